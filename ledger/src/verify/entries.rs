//! The journal, read once in number order: each entry in itself ([`super::content`]), and its place
//! in its book.

use std::collections::HashMap;

use sqlx::PgConnection;

use super::VerifyError;
use super::accounts::{Accounts, BookRow, Books, Held};
use super::content::{COLUMNS, Row, Scratch};
use super::copy::{Rows, fields};
use super::digest::{Difference, Digests, Moved};
use super::findings::Findings;
use crate::canonical::{Hash, chain};

const TABLE: &str = "ledger.entry";
/// How often progress is told.
const STEP: u64 = 10_000;

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

impl<'a> Walk<'a> {
    pub(super) fn new(
        books: &'a Books,
        accounts: Accounts,
        findings: &'a mut Findings,
    ) -> Walk<'a> {
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
            match Row::read(&fields::<COLUMNS>(&bytes)?) {
                Some(row) => self.step(&row),
                None => self
                    .findings
                    .about(TABLE, None, "an entry has no book or no number"),
            }
            if self.entries.is_multiple_of(STEP) {
                progress(self.entries);
            }
        }
        progress(self.entries);
        self.leave_book();
        for (_, row) in self.books.iter().filter(|&(id, _)| !self.digests.has(id)) {
            at_the_end(
                row,
                1,
                row.first_head.as_ref().map(Hash::as_slice),
                self.findings,
            );
        }
        Ok(())
    }

    /// What the entries moved, to hold the derived tables against.
    pub(super) fn finish(self) -> Digests {
        self.digests
    }

    fn step(&mut self, row: &Row<'_>) {
        if self
            .place
            .as_ref()
            .is_none_or(|place| place.book != row.book)
        {
            self.leave_book();
            self.place = Some(self.enter_book(row.book));
        }
        let Some(place) = &mut self.place else { return };
        let missing = place.next;
        if let Some(problem) = place.number(row.number) {
            let at = if row.number > missing {
                (missing, None)
            } else {
                (row.number, row.id)
            };
            self.findings.entry(TABLE, &place.name, at, problem);
        }
        let problem = row
            .content(&mut self.scratch)
            .and_then(|()| place.link(row));
        let moves = place.moves(row, &self.scratch);
        if let Err(problem) = problem.and(moves) {
            self.findings
                .entry(TABLE, &place.name, (row.number, row.id), problem);
        }
        for (&account, &amount) in self.scratch.accounts.iter().zip(&self.scratch.amounts) {
            let leg = Moved {
                account,
                number: row.number,
                day: row.day,
                amount,
            };
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
        let Some(place) = self.place.take() else {
            return;
        };
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
        let Some(previous) = &self.previous else {
            return Ok(());
        };
        if row.hash != Some(&chain(previous, row.number, at, by, fingerprint)) {
            return Err(
                "its hash does not follow from the entry before it, its number, time, author \
                        and fingerprint; one of them was changed, or entries were exchanged"
                    .to_owned(),
            );
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
                format!(
                    "account {code} holds {}, the entry is in another currency",
                    held.currency
                )
            } else if row.memo != Some(held.memo) {
                format!("account {code} is on the other side of the memorandum line")
            } else if held.floored && moved < 0 && held.balance < 0 {
                format!(
                    "it leaves account {code} at {} minor units, below its floor",
                    held.balance
                )
            } else {
                continue;
            };
            problem = problem.and(Err(fault));
        }
        problem
    }
}
