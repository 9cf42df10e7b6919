//! A share of the order's value and a fixed amount together: a rate with a bonus.

use ledger::money::{Amount, Currency, Money, Rate, Rounding};
use serde::{Deserialize, Serialize};

use super::{Basis, CommissionError, Flat, FrozenRate, Percentage};

/// A share of what is left of the order, and an amount that stays whole until all is refunded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Combined {
    /// The share: 0.1 is ten percent.
    pub rate: Rate,
    /// What comes on top, in the currency of the program.
    pub amount: Amount,
}

impl Combined {
    pub(super) fn gross(self, basis: Basis, rounding: Rounding) -> Result<Money, CommissionError> {
        let Combined { rate, amount } = self;
        let share = Percentage { rate }.gross(basis, rounding);
        Ok(share.checked_add(Flat { amount }.gross(basis)?)?)
    }
}

impl FrozenRate {
    /// This and that together: shares add up, to the whole at most, and so do amounts.
    pub fn plus(self, other: FrozenRate) -> Result<FrozenRate, CommissionError> {
        let (this, that) = (self.parts(), other.parts());
        let sum = this.0.as_fraction() + that.0.as_fraction();
        let rate = Rate::fraction(sum.min(Rate::WHOLE.as_fraction()))?;
        let amount = match (this.1, that.1) {
            (Some(one), Some(other)) => Some(Amount::new(one.money().checked_add(other.money())?)?),
            (one, other) => one.or(other),
        };
        Ok(match amount {
            Some(amount) if rate == Rate::ZERO => FrozenRate::Flat(Flat { amount }),
            Some(amount) => FrozenRate::Combined(Combined { rate, amount }),
            None => FrozenRate::Percentage(Percentage { rate }),
        })
    }

    fn parts(self) -> (Rate, Option<Amount>) {
        match self {
            Self::Flat(flat) => (Rate::ZERO, Some(flat.amount)),
            Self::Percentage(percentage) => (percentage.rate, None),
            Self::Combined(both) => (both.rate, Some(both.amount)),
        }
    }

    /// The currency that an amount in it is in; a mere share fits any.
    #[must_use]
    pub fn currency(self) -> Option<Currency> {
        self.parts().1.map(Amount::currency)
    }
}
