//! Posting and reading. [`post`] is the only way into the journal.
//!
//! It calls `ledger.post` once per batch, which locks the books, numbers and chains the entries and
//! writes them with their lines and day sums, or answers why not, entry by entry. There is no
//! update and no delete: a mistake is corrected by a reversal.

mod read;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::actor::Actor;
use crate::book::BookId;
use crate::canonical::RECORD;
use crate::cause::Cause;
use crate::entry::{EntryId, JournalEntry};
use crate::money::Currency;
use crate::period::Period;
pub use read::{Count, Recorded, counts, find, page, related};

/// Where and when an entry stands in its book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The entry.
    pub id: EntryId,
    /// Its book.
    pub book: BookId,
    /// Its gapless number in the book.
    pub number: i64,
    /// When it was recorded first, UTC.
    pub recorded_at: DateTime<Utc>,
}

/// The answer to one posted entry.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "an entry may have been refused"]
pub enum Posted {
    /// Written now.
    New(Receipt),
    /// The same fact with the same content was posted before; the first receipt.
    Replayed(Receipt),
    /// The same fact was posted before with another content; nothing was written.
    Conflict(Receipt),
    /// Not written.
    Refused(Refusal),
}

impl Posted {
    /// The receipt of an entry that stands in the journal as given, new or replayed.
    ///
    /// # Errors
    /// The conflict or refusal, as an error.
    pub fn receipt(self) -> Result<Receipt, Refusal> {
        match self {
            Posted::New(receipt) | Posted::Replayed(receipt) => Ok(receipt),
            Posted::Conflict(first) => Err(Refusal::Conflict {
                number: first.number,
            }),
            Posted::Refused(refusal) => Err(refusal),
        }
    }
}

/// Why an entry was not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its effective day lies in a closed month.
    #[error(
        "period {period} is closed; post to {next_open} or later, \
         or reopen it with `counterfoil reopen`"
    )]
    PeriodClosed {
        /// The month of the entry.
        period: Period,
        /// The first open month.
        next_open: Period,
    },
    /// The book is not open.
    #[error("book {0} is not open; open it before posting")]
    UnknownBook(BookId),
    /// An account is not open in the book.
    #[error("an account of the entry is not open in book {0}; open it before posting")]
    UnknownAccount(BookId),
    /// An account holds another currency, or is memorandum where the entry is not.
    #[error("an account of the entry holds another currency than {0}, or is a memorandum account")]
    WrongAccount(Currency),
    /// A floored account would fall below zero.
    #[error("the entry would leave an account below zero: {held}; take no more than that")]
    Floor {
        /// What the account holds.
        held: String,
    },
    /// It reverses an entry that is not in this book.
    #[error("entry {0} to be reversed is not in this book")]
    ReversesUnknown(EntryId),
    /// It reverses an entry without mirroring it.
    #[error("the reversal does not mirror entry {0}; build it with `JournalEntry::reversal`")]
    NotAMirror(EntryId),
    /// It reverses an entry that is reversed already.
    #[error("entry {0} is reversed already; reverse the reversal to reinstate it")]
    AlreadyReversed(EntryId),
    /// The same fact stands in the journal with another content.
    #[error("the same fact stands as number {number} with another content; nothing was posted")]
    Conflict {
        /// The number of the entry that stands.
        number: i64,
    },
}

/// Postgres failed while posting or reading.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The database said no.
    #[error("the journal could not be written or read")]
    Database(#[from] sqlx::Error),
    /// `ledger.post` answered something this version does not know.
    #[error("ledger.post answered '{0}', which this version does not know; upgrade counterfoil")]
    UnknownAnswer(String),
    /// A stored entry no longer holds what an entry promises.
    #[error(
        "inconsistency in ledger.entry, book {book} number {number}: {problem}; \
         run `counterfoil verify`"
    )]
    Inconsistent {
        /// The book.
        book: BookId,
        /// The entry's number.
        number: i64,
        /// What is wrong with it.
        problem: String,
    },
}

/// Appends entries inside the caller's database transaction and answers each in order.
///
/// Locks the books of the batch in id order until the caller commits. Growth: linear in the
/// entries.
#[expect(
    clippy::as_conversions,
    reason = "sqlx is told a parameter's type in this way"
)]
pub async fn post(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    entries: &[JournalEntry],
) -> Result<Vec<Posted>, JournalError> {
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let batch = Batch::of(entries);
    let rows = sqlx::query!(
        r#"
        select ordinal as "ordinal!", outcome as "outcome!", number, recorded_at, detail
        from ledger.post($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
        order by ordinal
        "#,
        now,
        by.as_str(),
        &batch.books,
        &batch.ids,
        &batch.kinds,
        &batch.memos,
        &batch.currencies,
        &batch.effective,
        &batch.descriptions,
        &batch.causes,
        &batch.reverses as &[Option<Uuid>],
        &batch.vouchers as &[Option<Uuid>],
        &batch.legs,
        &batch.accounts,
        &batch.amounts,
    )
    .fetch_all(conn)
    .await?;
    if rows.len() != entries.len() {
        return Err(JournalError::UnknownAnswer(format!(
            "{} of {}",
            rows.len(),
            entries.len()
        )));
    }
    entries
        .iter()
        .zip(rows)
        .map(|(entry, row)| {
            let receipt = row
                .number
                .zip(row.recorded_at)
                .map(|(number, recorded_at)| Receipt {
                    id: entry.id(),
                    book: entry.book(),
                    number,
                    recorded_at,
                });
            answer(entry, &row.outcome, receipt, row.detail)
        })
        .collect()
}

fn answer(
    entry: &JournalEntry,
    outcome: &str,
    receipt: Option<Receipt>,
    detail: Option<String>,
) -> Result<Posted, JournalError> {
    let reverses = || entry.reverses().unwrap_or(entry.id());
    Ok(match (outcome, receipt) {
        ("posted", Some(receipt)) => Posted::New(receipt),
        ("replayed", Some(receipt)) => Posted::Replayed(receipt),
        ("conflict", Some(receipt)) => Posted::Conflict(receipt),
        ("refused:period_closed", _) => {
            let fence = detail.and_then(|day| day.parse::<NaiveDate>().ok());
            Posted::Refused(Refusal::PeriodClosed {
                period: Period::containing(entry.effective()),
                next_open: Period::containing(fence.unwrap_or(entry.effective())).next(),
            })
        }
        ("refused:unknown_book", _) => Posted::Refused(Refusal::UnknownBook(entry.book())),
        ("refused:unknown_account", _) => Posted::Refused(Refusal::UnknownAccount(entry.book())),
        ("refused:wrong_account", _) => Posted::Refused(Refusal::WrongAccount(entry.currency())),
        ("refused:floor", _) => Posted::Refused(Refusal::Floor {
            held: detail.unwrap_or_default(),
        }),
        ("refused:reverses_unknown", _) => Posted::Refused(Refusal::ReversesUnknown(reverses())),
        ("refused:not_a_mirror", _) => Posted::Refused(Refusal::NotAMirror(reverses())),
        ("refused:already_reversed", _) => Posted::Refused(Refusal::AlreadyReversed(reverses())),
        (other, _) => return Err(JournalError::UnknownAnswer(other.to_owned())),
    })
}

/// A batch as the arrays that `ledger.post` takes.
struct Batch {
    books: Vec<i64>,
    ids: Vec<Uuid>,
    kinds: Vec<String>,
    memos: Vec<bool>,
    currencies: Vec<String>,
    effective: Vec<NaiveDate>,
    descriptions: Vec<String>,
    causes: Vec<String>,
    reverses: Vec<Option<Uuid>>,
    vouchers: Vec<Option<Uuid>>,
    legs: Vec<i32>,
    accounts: Vec<i64>,
    amounts: Vec<i64>,
}

impl Batch {
    fn of(entries: &[JournalEntry]) -> Batch {
        let legs = || entries.iter().flat_map(JournalEntry::legs);
        Batch {
            books: entries.iter().map(|e| e.book().value()).collect(),
            ids: entries.iter().map(|e| e.id().value()).collect(),
            kinds: entries.iter().map(|e| e.kind().to_owned()).collect(),
            memos: entries.iter().map(JournalEntry::is_memo).collect(),
            currencies: entries
                .iter()
                .map(|e| e.currency().code().to_owned())
                .collect(),
            effective: entries.iter().map(JournalEntry::effective).collect(),
            descriptions: entries.iter().map(|e| e.description().to_owned()).collect(),
            causes: entries.iter().map(|e| joined(e.causes())).collect(),
            reverses: entries
                .iter()
                .map(|e| e.reverses().map(EntryId::value))
                .collect(),
            vouchers: entries.iter().map(JournalEntry::voucher).collect(),
            legs: entries
                .iter()
                .map(|e| i32::try_from(e.legs().len()).expect("an entry has fewer than 2^31 legs"))
                .collect(),
            accounts: legs().map(|leg| leg.account.value()).collect(),
            amounts: legs().map(|leg| leg.minor).collect(),
        }
    }
}

fn joined(causes: &[Cause]) -> String {
    let texts: Vec<String> = causes.iter().map(Cause::to_string).collect();
    texts.join(RECORD.encode_utf8(&mut [0; 4]))
}
