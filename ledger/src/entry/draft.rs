//! Pure: an entry being written, and the one way in which it becomes an entry.

use chrono::NaiveDate;
use uuid::Uuid;

use super::{Direction, EntryError, EntryId, JournalEntry, Leg, Line};
use crate::book::BookId;
use crate::cause::Cause;
use crate::money::{Currency, Money, MoneyError};

/// An entry being written. It cannot be posted.
#[derive(Debug, Clone)]
#[must_use = "a draft is not posted; finish it with `balance`"]
pub struct Draft {
    pub(super) book: BookId,
    pub(super) id: EntryId,
    pub(super) kind: &'static str,
    pub(super) effective: NaiveDate,
    pub(super) description: String,
    pub(super) lines: Vec<Line>,
    pub(super) causes: Vec<Cause>,
    pub(super) voucher: Option<Uuid>,
}

impl Draft {
    /// Adds a line.
    pub fn line(mut self, line: Line) -> Draft {
        self.lines.push(line);
        self
    }

    /// Adds lines; takes an `Option` too: a fee of nothing is no line.
    pub fn lines(mut self, lines: impl IntoIterator<Item = Line>) -> Draft {
        self.lines.extend(lines);
        self
    }

    /// Says what the entry is because of.
    pub fn because(mut self, cause: Cause) -> Draft {
        self.causes.push(cause);
        self
    }

    /// Says all that the entry is because of.
    pub fn because_of(mut self, causes: impl IntoIterator<Item = Cause>) -> Draft {
        self.causes.extend(causes);
        self
    }

    /// Joins entries of several books or currencies into one event.
    pub fn voucher(mut self, voucher: Uuid) -> Draft {
        self.voucher = Some(voucher);
        self
    }

    /// The one door to a journal entry. Lines of one account on one side are summed.
    ///
    /// # Errors
    /// [`EntryError`] says which side is short, or which account, book or currency is at odds.
    pub fn balance(self) -> Result<JournalEntry, EntryError> {
        let [first, _, ..] = self.lines.as_slice() else {
            return Err(EntryError::TooFewLines(self.lines.len()));
        };
        let (memo, currency) = (first.memo, first.amount.currency());
        for line in &self.lines {
            if line.book != self.book {
                return Err(EntryError::TwoBooks(self.book, line.book));
            }
            if line.amount.currency() != currency {
                return Err(EntryError::TwoCurrencies(currency, line.amount.currency()));
            }
            if line.memo != memo {
                return Err(EntryError::MixedMemo);
            }
        }
        let legs = merged(&self.lines, currency)?;
        prove_balance(&legs, currency)?;
        Ok(JournalEntry {
            book: self.book,
            id: self.id,
            kind: self.kind.to_owned(),
            memo,
            currency,
            effective: self.effective,
            description: self.description,
            legs,
            causes: self.causes,
            reverses: None,
            voucher: self.voucher,
        })
    }
}

/// The lines by ascending account, one leg each.
fn merged(lines: &[Line], currency: Currency) -> Result<Vec<Leg>, EntryError> {
    let mut sorted: Vec<&Line> = lines.iter().collect();
    sorted.sort_by_key(|line| line.account);
    let mut legs: Vec<Leg> = Vec::with_capacity(sorted.len());
    for line in sorted {
        match legs.last_mut() {
            Some(leg) if leg.account == line.account => {
                if (leg.minor > 0) != (line.direction == Direction::Debit) {
                    return Err(EntryError::BothSides(line.account));
                }
                leg.minor = Money::try_from_minor(leg.minor, currency)?
                    .checked_add(Money::try_from_minor(line.signed(), currency)?)?
                    .minor();
            }
            _ => legs.push(Leg {
                account: line.account,
                minor: line.signed(),
            }),
        }
    }
    if legs.len() < 2 {
        return Err(EntryError::TooFewLines(legs.len()));
    }
    Ok(legs)
}

/// Debits equal credits, summed in wider numbers than either can overflow.
pub(super) fn prove_balance(legs: &[Leg], currency: Currency) -> Result<(), EntryError> {
    /// What `ledger.legs_balance` accepts in a running sum.
    const LIMIT: i128 = 4_000_000_000_000_000_000;
    let mut residual: i128 = 0;
    for leg in legs {
        residual += i128::from(leg.minor);
        if residual.abs() > LIMIT || i128::from(leg.minor).abs() > LIMIT {
            return Err(EntryError::TooLarge(MoneyError::Overflow(currency)));
        }
    }
    if residual == 0 {
        return Ok(());
    }
    let size = i64::try_from(residual.abs()).map_err(|_| MoneyError::Overflow(currency))?;
    Err(EntryError::Unbalanced {
        heavier: if residual > 0 {
            Direction::Debit
        } else {
            Direction::Credit
        },
        by: Money::try_from_minor(size, currency)?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::account::{Account, AccountKind};
    use crate::idempotency::IdempotencyKey;
    use crate::money::Amount;
    use crate::testing::{amount_in, snapshots};

    fn account(book: &str, code: &'static str, currency: Currency) -> Account {
        Account::new(BookId::of_name(book), code, AccountKind::Asset, currency)
    }

    fn amount(minor: i64, currency: Currency) -> Amount {
        Amount::new(Money::try_from_minor(minor, currency).unwrap()).unwrap()
    }

    fn draft(lines: &[Line]) -> Draft {
        let (key, day) = (IdempotencyKey::of("test", 1), NaiveDate::default());
        JournalEntry::draft(BookId::of_name("acme"), &key, day, "").lines(lines.iter().copied())
    }

    #[test]
    fn an_entry_that_does_not_balance_says_which_side_is_short() {
        let [a, b, c] = ["1000", "2000", "3000"].map(|code| account("acme", code, Currency::USD));
        let debit = |account: &Account, minor| account.debit(amount(minor, Currency::USD)).unwrap();
        let credit = |account: &Account, minor| debit(account, minor).opposite();
        let zoe = account("zoe", "1000", Currency::USD);
        let yen = account("acme", "1000", Currency::JPY);
        let yen = yen.debit(amount(5, Currency::JPY)).unwrap();
        let memo = a.clone().memorandum();
        let most = 4_000_000_000_000_000_000;
        let wrong = [
            draft(&[]),
            draft(&[debit(&a, 5)]),
            draft(&[debit(&a, 2), debit(&a, 3)]),
            draft(&[debit(&a, 2500), credit(&b, 500)]),
            draft(&[debit(&a, 500), credit(&b, 400), credit(&c, 101)]),
            draft(&[debit(&a, 5), credit(&a, 5), debit(&b, 5), credit(&c, 5)]),
            draft(&[debit(&a, 5), credit(&zoe, 5)]),
            draft(&[debit(&zoe, 5), credit(&zoe, 5)]),
            draft(&[debit(&a, 5), yen.opposite()]),
            draft(&[debit(&a, 5), credit(&memo, 5)]),
            draft(&[debit(&a, i64::MAX), credit(&b, i64::MAX)]),
            draft(&[debit(&a, i64::MAX), debit(&a, i64::MAX), credit(&b, 1)]),
            draft(&[debit(&a, most), debit(&b, most), credit(&c, i64::MAX)]),
        ];
        let told = wrong
            .map(|draft| draft.balance().unwrap_err().to_string())
            .join("\n");
        let in_yen = a.debit(amount(5, Currency::JPY)).unwrap_err().to_string();
        let _to = snapshots("ledger");
        insta::assert_snapshot!("entry_errors", format!("{told}\n{in_yen}"));
    }

    proptest! {
        #[test]
        fn an_entry_balances_exactly_when_debits_equal_credits(
            debits in prop::collection::vec((0_usize..4, amount_in(Currency::USD)), 1..6),
            credits in prop::collection::vec((4_usize..8, amount_in(Currency::USD)), 1..6),
            settle: bool,
        ) {
            const CODES: [&str; 9] = ["0", "1", "2", "3", "4", "5", "6", "7", "8"];
            let accounts = CODES.map(|code| account("acme", code, Currency::USD));
            let mut lines = Vec::new();
            let mut residual = 0;
            for (at, amount) in &debits {
                lines.push(accounts[*at].debit(*amount).unwrap());
                residual += amount.minor();
            }
            for (at, amount) in &credits {
                lines.push(accounts[*at].credit(*amount).unwrap());
                residual -= amount.minor();
            }
            if settle && residual != 0 {
                let rest = amount(residual.abs(), Currency::USD);
                let line = accounts[8].debit(rest).unwrap();
                lines.push(if residual > 0 { line.opposite() } else { line });
                residual = 0;
            }
            match draft(&lines).balance() {
                Ok(entry) => {
                    prop_assert_eq!(residual, 0);
                    prop_assert_eq!(entry.legs().iter().map(|leg| leg.minor).sum::<i64>(), 0);
                    prop_assert!(entry.legs().is_sorted_by(|a, b| a.account < b.account));
                    prop_assert!(entry.legs().iter().all(|leg| leg.minor != 0));
                    let key = IdempotencyKey::of("back", 1);
                    let back = entry.reversal(&key, NaiveDate::default(), "");
                    for (leg, mirrored) in entry.legs().iter().zip(back.legs()) {
                        prop_assert_eq!(leg.account, mirrored.account);
                        prop_assert_eq!(-leg.minor, mirrored.minor);
                    }
                }
                Err(EntryError::Unbalanced { heavier, by }) => {
                    prop_assert_eq!(by.minor(), residual.abs());
                    prop_assert_eq!(heavier == Direction::Debit, residual > 0);
                }
                Err(other) => prop_assert!(false, "{}", other),
            }
        }
    }
}
