//! The journal, read once in number order: each entry in itself, and its place in its book.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::VerifyError;
use super::accounts::{Accounts, BookRow, Books, Held};
use super::copy::{Fields, Rows, array, bigints, boolean, fields, int4, int8, text, uuid};
use super::digest::{Difference, Digests, Moved};
use super::findings::Findings;
use crate::canonical::{Content, Hash, RECORD, chain};
use crate::money::Currency;

const TABLE: &str = "ledger.entry";
const COLUMNS: usize = 17;
/// How often progress is told.
const STEP: u64 = 10_000;
/// What no amount exceeds, so that sums of two cannot overflow (`ledger.legs_balance`).
const LIMIT: u64 = 4_000_000_000_000_000_000;
/// Days from 1970-01-01 to 2000-01-01, where Postgres begins to count.
const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
pub(super) const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// A walk through all entries of all books.
pub(super) struct Walk<'a> {
    books: &'a Books,
    accounts: Accounts,
    findings: &'a mut Findings,
    digests: Digests,
    place: Option<Place<'a>>,
    scratch: Scratch,
    entries: u64,
    lines: u64,
}

/// Where the walk stands in a book.
struct Place<'a> {
    book: i64,
    name: String,
    row: Option<&'a BookRow>,
    accounts: HashMap<i64, Held>,
    next: i64,
    /// The hash before the next entry; `None` when it is not known.
    previous: Option<Hash>,
    last_hash: Option<Vec<u8>>,
    moved: Difference,
}

/// Used again for each entry.
#[derive(Default)]
struct Scratch {
    accounts: Vec<i64>,
    amounts: Vec<i64>,
    causes: String,
    bytes: Vec<u8>,
}

/// A row of `ledger.entry`; a column that cannot be read is `None` and a finding.
struct Row<'a> {
    book: i64,
    number: i64,
    id: Option<Uuid>,
    recorded_at: Option<DateTime<Utc>>,
    effective: Option<NaiveDate>,
    day: i32,
    memo: Option<bool>,
    currency: Option<&'a str>,
    kind: Option<&'a str>,
    recorded_by: Option<&'a str>,
    description: Option<&'a str>,
    accounts: Option<&'a [u8]>,
    amounts: Option<&'a [u8]>,
    causes: Option<&'a [u8]>,
    reverses: Option<Uuid>,
    voucher: Option<Uuid>,
    fingerprint: Option<Hash>,
    hash: Option<&'a [u8]>,
}

impl<'a> Row<'a> {
    /// `None` when not even book and number can be read.
    fn read(fields: Fields<'a, COLUMNS>) -> Option<Row<'a>> {
        let [book, number, at, effective, memo, id, currency, kind, by, description, ..] = fields;
        let [.., accounts, amounts, causes, reverses, voucher, fingerprint, hash] = fields;
        Some(Row {
            book: int8(book)?,
            number: int8(number)?,
            id: uuid(id),
            recorded_at: int8(at).and_then(time),
            effective: int4(effective).and_then(day),
            day: int4(effective).unwrap_or_default(),
            memo: boolean(memo),
            currency: text(currency),
            kind: text(kind),
            recorded_by: text(by),
            description: text(description),
            accounts,
            amounts,
            causes,
            reverses: uuid(reverses),
            voucher: uuid(voucher),
            fingerprint: fingerprint.and_then(|bytes| bytes.try_into().ok()),
            hash,
        })
    }
}

fn time(since_2000: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(since_2000.checked_add(EPOCH_MICROS)?)
}

fn day(since_2000: i32) -> Option<NaiveDate> {
    NaiveDate::from_epoch_days(since_2000.checked_add(EPOCH_DAYS)?)
}

impl<'a> Walk<'a> {
    pub(super) fn new(books: &'a Books, accounts: Accounts, findings: &'a mut Findings) -> Walk<'a> {
        Walk {
            books,
            accounts,
            findings,
            digests: Digests::new(),
            place: None,
            scratch: Scratch::default(),
            entries: 0,
            lines: 0,
        }
    }

    /// Entries and legs read.
    pub(super) fn counted(&self) -> (u64, u64) {
        (self.entries, self.lines)
    }

    /// Reads every entry.
    pub(super) async fn all(
        &mut self,
        conn: &mut PgConnection,
        progress: &mut impl FnMut(u64),
    ) -> Result<(), VerifyError> {
        let mut rows = Rows::of(
            conn,
            "copy (select book_id, number, recorded_at, effective_on, memo, id, currency, kind,
                          recorded_by, description, accounts, amounts, causes, reverses, voucher_id,
                          fingerprint, hash
                   from ledger.entry order by book_id, number) to stdout (format binary)",
        )
        .await?;
        while let Some(bytes) = rows.next().await? {
            self.entries += 1;
            match Row::read(fields::<COLUMNS>(&bytes)?) {
                Some(row) => self.step(&row),
                None => self.findings.about(TABLE, None, "an entry has no book or no number"),
            }
            if self.entries.is_multiple_of(STEP) {
                progress(self.entries);
            }
        }
        progress(self.entries);
        self.leave_book();
        for (_, row) in self.books.iter().filter(|&(id, _)| !self.digests.has(id)) {
            at_the_end(row, 1, row.first_head.as_ref().map(Hash::as_slice), self.findings);
        }
        Ok(())
    }

    /// What the entries moved, to hold the derived tables against.
    pub(super) fn finish(self) -> Digests {
        self.digests
    }

    fn step(&mut self, row: &Row<'_>) {
        if self.place.as_ref().is_none_or(|place| place.book != row.book) {
            self.leave_book();
            self.place = Some(self.enter_book(row.book));
        }
        let Some(place) = &mut self.place else { return };
        let missing = place.next;
        if let Some(problem) = place.number(row.number) {
            let at = if row.number > missing { (missing, None) } else { (row.number, row.id) };
            self.findings.entry(TABLE, &place.name, at, problem);
        }
        let problem = row.content(&mut self.scratch).and_then(|()| place.link(row));
        let moves = place.moves(row, &self.scratch);
        if let Err(problem) = problem.and(moves) {
            self.findings.entry(TABLE, &place.name, (row.number, row.id), problem);
        }
        for (&account, &amount) in self.scratch.accounts.iter().zip(&self.scratch.amounts) {
            let leg = Moved { account, number: row.number, day: row.day, amount };
            self.digests.leg(&mut place.moved, &leg);
            self.lines += 1;
        }
        place.last_hash = row.hash.map(<[u8]>::to_vec);
        place.previous = row.hash.and_then(|hash| hash.try_into().ok());
        place.next = row.number.saturating_add(1);
    }

    fn enter_book(&mut self, book: i64) -> Place<'a> {
        let (row, name) = (self.books.get(book), self.books.name(book));
        if row.is_none() {
            let problem = "has entries but is not in ledger.book";
            self.findings.about("ledger.book", Some(&name), problem);
        }
        Place {
            book,
            name,
            row,
            accounts: self.accounts.take(book),
            next: 1,
            previous: row.and_then(|row| row.first_head),
            last_hash: None,
            moved: Difference::default(),
        }
    }

    fn leave_book(&mut self) {
        let Some(place) = self.place.take() else { return };
        self.digests.set(place.book, place.moved);
        if let Some(row) = place.row {
            at_the_end(row, place.next, place.last_hash.as_deref(), self.findings);
        }
    }
}

/// The row of a book says where its entries end.
fn at_the_end(row: &BookRow, next: i64, last_hash: Option<&[u8]>, findings: &mut Findings) {
    let stated = row.next_number;
    if stated > next {
        let last = stated - 1;
        let problem = format!("entries {next} to {last} are missing: ledger.book counts {last}");
        findings.entry(TABLE, &row.name, (next, None), problem);
    } else if stated < next {
        let problem = format!("its next number is {stated}, but entry {} exists", next - 1);
        findings.about("ledger.book", Some(&row.name), problem);
    } else if last_hash.is_some_and(|hash| hash != row.head) {
        let problem = format!("its head is not the hash of its latest entry, {}", next - 1);
        findings.about("ledger.book", Some(&row.name), problem);
    }
}

impl Place<'_> {
    /// Numbers run from 1 without gaps.
    fn number(&mut self, number: i64) -> Option<String> {
        let expected = self.next;
        if number == expected {
            return None;
        }
        self.previous = None; // it is not the entry before that is missing
        Some(if number > expected && number - 1 > expected {
            format!("entries {expected} to {} are missing", number - 1)
        } else if number > expected {
            "this entry is missing".to_owned()
        } else if number < 1 {
            "numbers begin at 1".to_owned()
        } else {
            "this number is there more than once".to_owned()
        })
    }

    /// The hash follows from the entry before, number, time, author and fingerprint.
    fn link(&self, row: &Row<'_>) -> Result<(), String> {
        let (Some(at), Some(by)) = (row.recorded_at, row.recorded_by) else {
            return Err("its time or author cannot be read".to_owned());
        };
        let Some(fingerprint) = &row.fingerprint else {
            return Err("its fingerprint is not a SHA-256".to_owned());
        };
        if row.hash.map(<[u8]>::len) != Some(32) {
            return Err("its hash is not a SHA-256".to_owned());
        }
        let Some(previous) = &self.previous else { return Ok(()) };
        if row.hash != Some(&chain(previous, row.number, at, by, fingerprint)) {
            return Err("its hash does not follow from the entry before it, its number, time, author \
                        and fingerprint; one of them was changed, or entries were exchanged"
                .to_owned());
        }
        Ok(())
    }

    /// Accounts exist in the book, hold the currency, and keep their floors.
    fn moves(&mut self, row: &Row<'_>, scratch: &Scratch) -> Result<(), String> {
        let mut problem = Ok(());
        for (id, &amount) in scratch.accounts.iter().zip(&scratch.amounts) {
            let Some(held) = self.accounts.get_mut(id) else {
                problem = problem.and(Err(format!("account #{id} does not exist in this book")));
                continue;
            };
            let code = &held.code;
            let moved = held.side * i128::from(amount);
            held.balance += moved;
            let fault = if row.currency != Some(&*held.currency) {
                format!("account {code} holds {}, the entry is in another currency", held.currency)
            } else if row.memo != Some(held.memo) {
                format!("account {code} is on the other side of the memorandum line")
            } else if held.floored && moved < 0 && held.balance < 0 {
                format!("it leaves account {code} at {} minor units, below its floor", held.balance)
            } else {
                continue;
            };
            problem = problem.and(Err(fault));
        }
        problem
    }
}

impl Row<'_> {
    /// The entry in itself; leaves its legs in `scratch`.
    fn content(&self, scratch: &mut Scratch) -> Result<(), String> {
        let Scratch { accounts, amounts, causes, bytes } = scratch;
        let shaped = bigints(self.accounts, accounts).and(bigints(self.amounts, amounts));
        if shaped.is_none() || accounts.len() != amounts.len() {
            accounts.clear();
            return Err("its legs are not two lists of the same length".to_owned());
        }
        balanced(accounts, amounts)?;
        let causes = self.causes(causes)?;
        let (Some(id), Some(memo), Some(effective)) = (self.id, self.memo, self.effective) else {
            return Err("its id, memorandum mark or effective day cannot be read".to_owned());
        };
        let (Some(kind), Some(currency), Some(description)) =
            (self.kind, self.currency, self.description)
        else {
            return Err("its kind, currency or description cannot be read".to_owned());
        };
        let content = Content {
            book: self.book,
            id,
            memo,
            effective,
            accounts,
            amounts,
            kind,
            currency,
            reverses: self.reverses,
            voucher: self.voucher,
            causes,
            description,
        };
        if Some(content.fingerprint(bytes)) != self.fingerprint {
            return Err("its content does not give its fingerprint; a column was changed after it \
                        was recorded"
                .to_owned());
        }
        if currency.parse::<Currency>().is_err() {
            return Err(format!("its currency {currency:?} is none"));
        }
        if kind.is_empty() || kind.contains(char::is_control) {
            return Err("its kind is not plain text".to_owned());
        }
        Ok(())
    }

    /// The causes as they are hashed. Each is text that cannot be mistaken for two.
    fn causes<'s>(&self, joined: &'s mut String) -> Result<&'s str, String> {
        joined.clear();
        let read = array(self.causes, |item| {
            let cause = text(Some(item)).filter(|cause| !cause.is_empty())?;
            if cause.contains(char::is_control) {
                return None;
            }
            if !joined.is_empty() {
                joined.push(RECORD);
            }
            joined.push_str(cause);
            Some(())
        });
        match read {
            Some(()) => Ok(joined),
            None => Err("its causes are not a list of plain texts".to_owned()),
        }
    }
}

/// At least two legs, none zero, accounts ascending, sum zero.
fn balanced(accounts: &[i64], amounts: &[i64]) -> Result<(), String> {
    if accounts.len() < 2 {
        return Err(format!("it has {} legs, an entry has at least two", accounts.len()));
    }
    if !accounts.is_sorted_by(|a, b| a < b) {
        return Err("its accounts are not in ascending order, each once".to_owned());
    }
    if amounts.iter().any(|amount| *amount == 0 || amount.unsigned_abs() > LIMIT) {
        return Err("a leg is zero or larger than an amount can be".to_owned());
    }
    let sum: i128 = amounts.iter().copied().map(i128::from).sum();
    match sum {
        0 => Ok(()),
        _ => Err(format!("it does not balance: debits less credits are {sum} minor units")),
    }
}
