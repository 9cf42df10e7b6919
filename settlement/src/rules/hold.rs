//! Pure: which new conversions a program puts on hold by itself, whoever sends them.

use ledger::Money;
use ledger::money::MoneyError;
use serde::{Deserialize, Serialize};

/// What a program holds until somebody has looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldRule {
    /// Orders worth this much or more: `{"order_from":{"amount":"1000.00","currency":"USD"}}`.
    OrderFrom(Money),
    /// The first so many conversions of each publisher in the program: `{"first_orders":3}`.
    FirstOrders(u64),
    /// Orders that no click led to, only the sender's word.
    WithoutClick,
}

/// A new conversion, as far as hold rules look at it.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// What the order was worth, in the program's currency.
    pub order: Money,
    /// How many conversions of its publisher came before it.
    pub earlier: u64,
    /// Whether a click led to it.
    pub has_click: bool,
}

impl HoldRule {
    /// Why it is held, if it is.
    pub fn reason(&self, seen: &Seen) -> Result<Option<String>, MoneyError> {
        Ok(match *self {
            HoldRule::OrderFrom(from) if seen.order.compare(from)?.is_ge() => {
                Some(format!("orders from {from} on are looked at"))
            }
            HoldRule::FirstOrders(first) if seen.earlier < first => Some(format!(
                "the first {first} orders of a publisher are looked at"
            )),
            HoldRule::WithoutClick if !seen.has_click => {
                Some("orders without a click are looked at".to_owned())
            }
            HoldRule::OrderFrom(_) | HoldRule::FirstOrders(_) | HoldRule::WithoutClick => None,
        })
    }
}
