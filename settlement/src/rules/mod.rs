//! What a program's terms say beyond one rate and a fee: when the rate is taken, bonus, repeat
//! orders, caps, and what is approved or put on hold by itself.
//!
//! | file | answers |
//! |---|---|
//! | [`rate`] | which rate counts: the most specific rule, effective at the moment |
//! | [`caps`] | whether there is room left under the caps |
//! | [`kind`] | a customer's first order or a repeat one, and what that changes |
//! | [`hold`] | which new conversions a program holds by itself |
//! | [`book`] | the rows: rate rules and tiers given by hand |
//!
//! Everything here is decided once, when a conversion is recorded, and kept on it ([`PricedBy`]):
//! a rule added later changes later orders only.
//!
//! What it never does: change what was recorded, or take a rate from a sender.
//!
//! # Adding a rule
//!
//! 1. A pure function of what is known of the order in a file of its own, and a field of [`Rules`]
//!    whose default changes nothing. Rules are stored as JSON, so no migration is needed.
//! 2. What it has to know is gathered in `conversion/record/facts.rs`, for the whole batch at once.
//! 3. What it decided becomes a field of [`PricedBy`], so that `trace` can say why.

pub mod book;
pub mod caps;
pub mod hold;
pub mod kind;
pub mod rate;

use chrono::{DateTime, Utc};
use ledger::Currency;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::commission::FrozenRate;

pub use caps::{Cap, Limit, Overflow, Per, Scope};
pub use hold::HoldRule;
pub use kind::Kind;
pub use rate::{RateRule, Selector};

/// The rules of a version of terms; the default is a program that has none.
///
/// In JSON every field may be left out: `{"auto_approve":"on_paid","repeat_months":12}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Whether the rate is the one of the order's moment or of the click's.
    pub rate_at: RateAt,
    /// What the first order of a new customer pays in addition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_order_bonus: Option<FrozenRate>,
    /// For how many months after a customer's first order repeat orders pay; without it, always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat_months: Option<u32>,
    /// How much may be earned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub caps: Vec<Cap>,
    /// What is approved by itself.
    pub auto_approve: AutoApprove,
    /// What is put on hold by itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<HoldRule>,
}

impl Rules {
    /// What is wrong with the rules of a program in this currency: amounts in another one.
    #[must_use]
    pub fn flaw(&self, currency: Currency) -> Option<String> {
        let bonus = self.first_order_bonus.and_then(FrozenRate::currency);
        let caps = self.caps.iter().filter_map(|cap| match cap.limit {
            Limit::Commission(limit) => Some(limit.currency()),
            Limit::Orders(_) => None,
        });
        let holds = self.holds.iter().filter_map(|hold| match hold {
            HoldRule::OrderFrom(from) => Some(from.currency()),
            HoldRule::FirstOrders(_) | HoldRule::WithoutClick => None,
        });
        let mut named = bonus.into_iter().chain(caps).chain(holds);
        let other = named.find(|named| *named != currency)?;
        Some(format!(
            "the program is in {currency} and a rule in {other}; write it in {currency}"
        ))
    }

    /// Whether an order's commission depends on the orders before it, so that two processes must
    /// not price orders of the program at the same moment.
    #[must_use]
    pub fn looks_back(&self) -> bool {
        self.first_order_bonus.is_some() || self.repeat_months.is_some() || !self.caps.is_empty()
    }
}

/// Whose moment decides the rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RateAt {
    /// The order's.
    #[default]
    Conversion,
    /// The click's: what was promised when the visitor was sent. An order without a click falls
    /// back to its own moment.
    Click,
}

/// When a conversion is approved without anybody looking.
///
/// What is on hold, over a cap or without a rate of exchange is never approved by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoApprove {
    /// Never: somebody reviews it.
    #[default]
    Never,
    /// As soon as the order is paid.
    OnPaid,
    /// So many days after the order, to the microsecond: `{"after_days":14}`.
    AfterDays(u32),
}

/// Why a conversion pays what it pays; kept with it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PricedBy {
    /// A first order or a repeat one.
    pub kind: Kind,
    /// The rate rule that decided; without one it was the program's own rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Uuid>,
    /// The tier that decided, if the program's rule has tiers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// The click's moment, if the rate is the one of then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rated_at: Option<DateTime<Utc>>,
    /// The bonus that is part of the frozen rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bonus: Option<FrozenRate>,
    /// The cap that leaves no room for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over: Option<Cap>,
    /// Repeat orders paid for so many months, and this one is later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beyond_months: Option<u32>,
}

impl PricedBy {
    /// Why it waits for somebody or earns nothing, for people; nothing if it is as any other.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        if let Some(months) = self.beyond_months {
            return Some(format!("repeat orders pay for {months} months only"));
        }
        self.over
            .as_ref()
            .map(|cap| format!("over the cap of {cap}"))
    }

    /// Whether it earns nothing for good.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        let rejected = |cap: &Cap| cap.overflow == Overflow::Rejected;
        self.beyond_months.is_some() || self.over.as_ref().is_some_and(rejected)
    }
}

#[cfg(test)]
mod tests;
