//! Reading entries back: each is proved to balance again on the way.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::JournalError;
use crate::account::AccountId;
use crate::book::BookId;
use crate::cause::Cause;
use crate::entry::{EntryId, JournalEntry, Leg, Stored};

/// An entry as it stands in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_field_names,
    reason = "they are called as their columns are"
)]
pub struct Recorded {
    /// The entry, its balance proved again on reading.
    pub entry: JournalEntry,
    /// Its gapless number in the book.
    pub number: i64,
    /// When we knew, UTC.
    pub recorded_at: DateTime<Utc>,
    /// Who posted it.
    pub recorded_by: String,
    /// Its link in the book's hash chain.
    pub hash: Vec<u8>,
}

/// Entries by id, in book and number order; ids that are not posted are left out.
///
/// # Errors
/// [`JournalError::Inconsistent`] when a stored entry no longer balances.
pub async fn find(
    conn: &mut PgConnection,
    ids: &[(BookId, EntryId)],
) -> Result<Vec<Recorded>, JournalError> {
    let books: Vec<i64> = ids.iter().map(|(book, _)| book.value()).collect();
    let ids: Vec<Uuid> = ids.iter().map(|(_, id)| id.value()).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"
        select e.book_id, e.number, e.id, e.kind, e.memo, e.currency, e.effective_on, e.recorded_at,
               e.recorded_by, e.description, e.accounts, e.amounts,
               string_to_array(e.causes, chr(30)) as "causes!", e.reverses, e.voucher_id, e.hash
        from unnest($1::bigint[], $2::uuid[]) as asked (book_id, id)
        join ledger.entry e on e.book_id = asked.book_id and e.id = asked.id
        order by e.book_id, e.number
        "#,
        &books,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Row::proved).collect()
}

/// Entries of any book that carry one of these ids, as entry, voucher or reversed entry.
pub async fn related(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Recorded>, JournalError> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select e.book_id, e.number, e.id, e.kind, e.memo, e.currency, e.effective_on, e.recorded_at,
               e.recorded_by, e.description, e.accounts, e.amounts,
               string_to_array(e.causes, chr(30)) as "causes!", e.reverses, e.voucher_id, e.hash
        from ledger.book b
        join ledger.entry e on e.book_id = b.id
             and (e.id = any ($1) or e.voucher_id = any ($1) or e.reverses = any ($1))
        order by e.book_id, e.number
        "#,
        ids,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Row::proved).collect()
}

/// Entries of one book by number, from `first`, at most `limit`.
pub async fn page(
    conn: &mut PgConnection,
    book: BookId,
    first: i64,
    limit: i64,
) -> Result<Vec<Recorded>, JournalError> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select e.book_id, e.number, e.id, e.kind, e.memo, e.currency, e.effective_on, e.recorded_at,
               e.recorded_by, e.description, e.accounts, e.amounts,
               string_to_array(e.causes, chr(30)) as "causes!", e.reverses, e.voucher_id, e.hash
        from ledger.entry e
        where e.book_id = $1 and e.number >= $2
        order by e.number
        limit $3
        "#,
        book.value(),
        first,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Row::proved).collect()
}

/// How many entries of each kind there are in all books, memorandum entries last.
pub async fn counts(conn: &mut PgConnection) -> Result<Vec<Count>, JournalError> {
    Ok(sqlx::query_as!(
        Count,
        r#"
        select kind, memo, count(*) as "entries!"
        from ledger.entry group by kind, memo order by memo, kind
        "#
    )
    .fetch_all(conn)
    .await?)
}

/// Entries of one kind.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Count {
    /// The fact they state.
    pub kind: String,
    /// Whether they stand outside the trial balance.
    pub memo: bool,
    /// How many.
    pub entries: i64,
}

struct Row {
    book_id: i64,
    number: i64,
    id: Uuid,
    kind: String,
    memo: bool,
    currency: String,
    effective_on: NaiveDate,
    recorded_at: DateTime<Utc>,
    recorded_by: String,
    description: String,
    accounts: Vec<i64>,
    amounts: Vec<i64>,
    causes: Vec<String>,
    reverses: Option<Uuid>,
    voucher_id: Option<Uuid>,
    hash: Vec<u8>,
}

impl Row {
    fn proved(self) -> Result<Recorded, JournalError> {
        let (book, number) = (BookId::from_value(self.book_id), self.number);
        let wrong = |problem: String| JournalError::Inconsistent {
            book,
            number,
            problem,
        };
        let causes: Result<Vec<Cause>, _> = self.causes.iter().map(|text| text.parse()).collect();
        let entry = JournalEntry::read(Stored {
            book,
            id: EntryId::from(self.id),
            kind: self.kind,
            memo: self.memo,
            currency: self.currency.parse().map_err(|e| wrong(format!("{e}")))?,
            effective: self.effective_on,
            description: self.description,
            legs: self
                .accounts
                .iter()
                .zip(&self.amounts)
                .map(|(&account, &minor)| Leg {
                    account: AccountId::from_value(account),
                    minor,
                })
                .collect(),
            causes: causes.map_err(|e| wrong(format!("{e}")))?,
            reverses: self.reverses.map(EntryId::from),
            voucher: self.voucher_id,
        })
        .map_err(|e| wrong(e.to_string()))?;
        Ok(Recorded {
            entry,
            number,
            recorded_at: self.recorded_at,
            recorded_by: self.recorded_by,
            hash: self.hash,
        })
    }
}
