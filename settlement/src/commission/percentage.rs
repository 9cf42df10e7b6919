//! A share of the order's value.

use ledger::money::{Money, Rate, Rounding};
use serde::{Deserialize, Serialize};

use super::Basis;

/// A share of what is left of the order, rounded once to the currency's minor unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Percentage {
    /// The share: 0.1 is ten percent.
    pub rate: Rate,
}

impl Percentage {
    pub(super) fn gross(self, basis: Basis, rounding: Rounding) -> Money {
        self.rate.of(basis.remaining(), rounding)
    }
}
