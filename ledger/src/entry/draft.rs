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
            _ => legs.push(Leg { account: line.account, minor: line.signed() }),
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
        heavier: if residual > 0 { Direction::Debit } else { Direction::Credit },
        by: Money::try_from_minor(size, currency)?,
    })
}
