//! A fixed amount per order.

use ledger::money::{Amount, Money, MoneyError};
use serde::{Deserialize, Serialize};

use super::{Basis, CommissionError};

/// The same amount for every order, however large (a *CPA*).
///
/// It pays for the order, not for its value: a partial refund leaves it whole, and only when the
/// whole order was refunded does it fall to zero. A free order pays it too, such as the start of a
/// trial; that one is taken back by reversing the conversion, since there is nothing to refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flat {
    /// What an order pays, in the currency of the program.
    pub amount: Amount,
}

impl Flat {
    pub(super) fn gross(self, basis: Basis) -> Result<Money, CommissionError> {
        let (flat, order) = (self.amount.currency(), basis.order().currency());
        if flat != order {
            return Err(MoneyError::CurrencyMismatch {
                left: flat,
                right: order,
            }
            .into());
        }
        Ok(if basis.is_returned() {
            Money::zero(flat)
        } else {
            self.amount.money()
        })
    }
}
