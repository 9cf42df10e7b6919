//! Pure: whether a table repeats the entries, told from one small sum per book.
//!
//! Each leg of an entry adds a number that depends on all of it; each row of `ledger.line` takes
//! its own away. Nothing is left when, and (but for one case in 2^64) only when, both hold the
//! same, in whatever order and however many they are. Day sums are compared in the same way: the
//! number then depends on account and day, times what was moved. The numbers are keyed with a
//! secret of this run, so nobody can choose rows that cancel out.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

/// What the entries of a book say more than a derived table (or, wrapped around, less).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Difference {
    lines: u64,
    debits: u128,
    credits: u128,
    count: u128,
}

impl Difference {
    pub(super) fn lines_differ(&self) -> bool {
        self.lines != 0
    }

    pub(super) fn days_differ(&self) -> bool {
        (self.debits, self.credits, self.count) != (0, 0, 0)
    }
}

/// One leg, or one row of `ledger.line`.
pub(super) struct Moved {
    pub account: i64,
    pub number: i64,
    pub day: i32,
    pub amount: i64,
}

/// One row of `ledger.account_day`.
pub(super) struct DaySum {
    pub account: i64,
    pub day: i32,
    pub debits: i64,
    pub credits: i64,
    pub lines: i32,
}

/// The numbers of one run; each is keyed anew.
pub(super) struct Digests {
    key: RandomState,
    second: RandomState,
    books: BTreeMap<i64, Difference>,
}

impl Digests {
    pub(super) fn new() -> Digests {
        Digests {
            key: RandomState::new(),
            second: RandomState::new(),
            books: BTreeMap::new(),
        }
    }

    /// What is left per book.
    pub(super) fn books(&self) -> &BTreeMap<i64, Difference> {
        &self.books
    }

    /// A book's difference, to be added up where many rows of one book follow each other.
    pub(super) fn of_book(&mut self, book: i64) -> Difference {
        self.books.get(&book).copied().unwrap_or_default()
    }

    /// Whether anything was said of a book.
    pub(super) fn has(&self, book: i64) -> bool {
        self.books.contains_key(&book)
    }

    pub(super) fn set(&mut self, book: i64, difference: Difference) {
        self.books.insert(book, difference);
    }

    /// A leg of an entry: adds its line and its part of the day.
    pub(super) fn leg(&self, to: &mut Difference, leg: &Moved) {
        to.lines = to.lines.wrapping_add(self.line_number(leg));
        let day = self.day_number(leg.account, leg.day);
        let part = day.wrapping_mul(u128::from(leg.amount.unsigned_abs()));
        if leg.amount > 0 {
            to.debits = to.debits.wrapping_add(part);
        } else {
            to.credits = to.credits.wrapping_add(part);
        }
        to.count = to.count.wrapping_add(day);
    }

    /// A row of `ledger.line`: takes it away.
    pub(super) fn line(&self, from: &mut Difference, line: &Moved) {
        from.lines = from.lines.wrapping_sub(self.line_number(line));
    }

    /// A row of `ledger.account_day`: takes it away.
    pub(super) fn day(&self, from: &mut Difference, sum: &DaySum) {
        let day = self.day_number(sum.account, sum.day);
        let times = |value: i64| {
            let part = day.wrapping_mul(u128::from(value.unsigned_abs()));
            if value < 0 { part.wrapping_neg() } else { part }
        };
        from.debits = from.debits.wrapping_sub(times(sum.debits));
        from.credits = from.credits.wrapping_sub(times(sum.credits));
        from.count = from.count.wrapping_sub(times(i64::from(sum.lines)));
    }

    fn line_number(&self, line: &Moved) -> u64 {
        self.key
            .hash_one((line.account, line.number, line.amount, line.day))
    }

    /// Twice as long: it is multiplied by amounts, which may be even.
    fn day_number(&self, account: i64, day: i32) -> u128 {
        let high = u128::from(self.key.hash_one((account, day)));
        (high << 64) | u128::from(self.second.hash_one((account, day)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEGS: [(i64, i64, i32, i64); 5] = [
        (1, 1, 10, 500),
        (2, 1, 10, -500),
        (1, 2, 10, 250),
        (2, 2, 11, -125),
        (3, 2, 10, -125),
    ];

    fn moved((account, number, day, amount): (i64, i64, i32, i64)) -> Moved {
        Moved {
            account,
            number,
            day,
            amount,
        }
    }

    #[test]
    fn the_same_lines_in_any_order_leave_nothing_and_others_do() {
        let digests = Digests::new();
        let left = |lines: &[(i64, i64, i32, i64)]| {
            let mut difference = Difference::default();
            for leg in LEGS {
                digests.leg(&mut difference, &moved(leg));
            }
            for &line in lines {
                digests.line(&mut difference, &moved(line));
            }
            difference.lines_differ()
        };
        let mut lines = LEGS.to_vec();
        lines.reverse();
        assert!(!left(&lines));
        assert!(left(&lines[1..]), "one lost");
        assert!(
            left(&[lines.clone(), vec![lines[0]]].concat()),
            "one there twice"
        );
        for change in [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)] {
            let mut other = lines.clone();
            let line = &mut other[2];
            *line = (
                line.0 + change.0,
                line.1 + change.1,
                line.2 + change.2,
                line.3 + change.3,
            );
            assert!(left(&other), "{change:?}");
        }
    }

    #[test]
    fn the_sums_of_the_days_leave_nothing_and_others_do() {
        let digests = Digests::new();
        let left = |change: &dyn Fn(&mut Vec<DaySum>)| {
            let day = |account, day, debits, credits, lines| DaySum {
                account,
                day,
                debits,
                credits,
                lines,
            };
            let mut days = vec![
                day(1, 10, 750, 0, 2),
                day(2, 10, 0, 500, 1),
                day(2, 11, 0, 125, 1),
                day(3, 10, 0, 125, 1),
            ];
            change(&mut days);
            let mut difference = Difference::default();
            for leg in LEGS {
                digests.leg(&mut difference, &moved(leg));
            }
            for sum in &days {
                digests.day(&mut difference, sum);
            }
            difference.days_differ()
        };
        assert!(!left(&|_| ()));
        assert!(left(&|days| days.truncate(3)));
        assert!(left(&|days| days[0].debits += 1));
        assert!(left(&|days| days[0].credits += 1));
        assert!(left(&|days| days[0].lines += 1));
        assert!(left(&|days| days[1].day += 1));
        assert!(left(&|days| days[1].account += 1));
        assert!(left(&|days| (days[0].debits, days[0].credits) = (751, 1)));
        // The largest power of two, which a shorter number would lose.
        assert!(left(&|days| days[1].credits = 500 + (1 << 62)));
        assert!(left(&|days| days[1].debits = -500));
    }
}
