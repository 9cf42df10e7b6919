//! What is posted: entries of the posting manual, spread over books, publishers and days as a
//! network's are. The same number gives the same entry on every machine.

use chrono::{DateTime, Days, NaiveDate, Utc};
use ledger::{Account, BookId, Currency, JournalEntry, Money, Rate, Rounding};
use settlement::fees::{Components, FeeModel};
use settlement::posting::{Posting, Share, Subject, approved, pending};
use settlement::terms::{Presentation, RecognitionPoint};
use uuid::Uuid;

/// Books of the ledger.
pub(super) const BOOKS: u64 = 1_000;
/// Publishers who earn in each book; the first of them earn most.
const PUBLISHERS: u64 = 10;
/// Entries of one day.
const A_DAY: u64 = 9_000;

/// The namespace of the bench's ids.
const BENCH: Uuid = Uuid::from_u128(0x0c8a_1f6e_52a4_5e0b_8d2d_77a1_0f5b_9c31);

/// What an entry states, and of which book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fact {
    /// Recognised at approval: a memorandum entry of three lines.
    Expected,
    /// Recognised at conversion: three lines in the books. A quarter falls to the largest book.
    Recognised,
    /// An approval: four lines in the books.
    Approved,
}

/// Well mixed bits of a number (the finaliser of splitmix64).
pub(super) fn mixed(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// An id of the bench.
pub(super) fn id(kind: &str, number: u64) -> Uuid {
    Uuid::new_v5(&BENCH, format!("{kind}:{number}").as_bytes())
}

/// The name of a book.
pub(super) fn name(book: u64) -> String {
    format!("brand {book:04}")
}

/// When the first entry was posted.
pub(super) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_secs(1_751_328_000).unwrap_or_default()
}

/// All books, and the entries that are to be posted to them.
pub(super) struct Workload {
    books: Vec<BookId>,
    publishers: Vec<Uuid>,
}

impl Workload {
    /// The workload of the bench.
    pub(super) fn new() -> Workload {
        Workload {
            books: (0..BOOKS)
                .map(|book| BookId::of_name(&name(book)))
                .collect(),
            publishers: (0..PUBLISHERS)
                .map(|number| id("publisher", number))
                .collect(),
        }
    }

    /// The book with the most entries.
    pub(super) fn largest(&self) -> BookId {
        self.books[0]
    }

    /// All accounts of a book.
    pub(super) fn accounts(&self, book: usize) -> anyhow::Result<Vec<Account>> {
        let mut accounts = Vec::new();
        for publisher in 0..self.publishers.len() {
            for fact in [Fact::Expected, Fact::Recognised, Fact::Approved] {
                accounts.extend(self.posting(fact, 0, book, publisher)?.accounts);
            }
        }
        accounts.sort_by_key(Account::id);
        accounts.dedup();
        Ok(accounts)
    }

    /// Entry number so-and-so.
    pub(super) fn entry(&self, fact: Fact, number: u64) -> anyhow::Result<JournalEntry> {
        let chance = mixed(number);
        let book = if fact == Fact::Recognised && number.is_multiple_of(4) {
            0
        } else {
            usize::try_from(chance % BOOKS)?
        };
        let percent = (chance >> 32) % 100;
        let publisher = usize::try_from(percent * percent * PUBLISHERS / 10_000)?;
        let posting = self.posting(fact, number, book, publisher)?;
        let wanted = posting
            .entries
            .into_iter()
            .find(|e| e.is_memo() == (fact == Fact::Expected));
        wanted.ok_or_else(|| anyhow::anyhow!("the posting manual gave no entry"))
    }

    fn posting(
        &self,
        fact: Fact,
        number: u64,
        book: usize,
        publisher: usize,
    ) -> anyhow::Result<Posting> {
        let conversion = id("conversion", number);
        let start = NaiveDate::from_ymd_opt(2024, 7, 1).unwrap_or_default();
        let subject = Subject {
            book: self.books[book],
            conversion,
            order_ref: format!("S{:09}", 100_000_000 + number),
            click: Some(id("click", number)),
            publisher: self.publishers.get(publisher).copied(),
            split: Vec::new(),
            currency: Currency::GBP,
            recognition: match fact {
                Fact::Expected | Fact::Approved => RecognitionPoint::Approval,
                Fact::Recognised => RecognitionPoint::Conversion,
            },
            presentation: Presentation::Agent,
            version: if fact == Fact::Approved { 2 } else { 1 },
            effective: start
                .checked_add_days(Days::new(number / A_DAY))
                .unwrap_or(start),
            origin: None,
            because: Vec::new(),
        };
        let commission =
            Money::try_from_minor(i64::try_from(200 + number % 3_000)?, Currency::GBP)?;
        let fees = FeeModel::TwoSided {
            rate: Rate::percent(10.into())?,
        }
        .fees();
        let amounts = Components::of(commission, fees, Rounding::HalfUp)?;
        Ok(match fact {
            Fact::Expected | Fact::Recognised => pending::pending(&subject, &amounts)?,
            Fact::Approved => approved::approved(&subject, &amounts, Share::Open)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workload_has_the_entries_that_the_targets_speak_of() {
        let workload = Workload::new();
        for (fact, memo, lines, causes) in [
            (Fact::Expected, true, 3, 3),
            (Fact::Recognised, false, 3, 3),
            (Fact::Approved, false, 4, 3),
        ] {
            let entry = workload.entry(fact, 12_345).unwrap();
            assert_eq!((entry.is_memo(), entry.legs().len()), (memo, lines));
            assert_eq!(entry.causes().len(), causes);
        }
    }

    #[test]
    fn every_entry_finds_its_accounts_open() {
        let workload = Workload::new();
        let entry = workload.entry(Fact::Recognised, 8).unwrap();
        let open = workload.accounts(0).unwrap();
        let missing = |leg: &&ledger::entry::Leg| open.iter().all(|a| a.id() != leg.account);
        assert_eq!(entry.book(), workload.largest());
        assert_eq!(entry.legs().iter().find(missing), None);
    }
}
