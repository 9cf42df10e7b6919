//! What an order pays: the rules of a program, and the commission by them. Pure.
//!
//! A [`CommissionRule`] belongs to a version of a program's terms. When a conversion is recorded
//! (or already at the click, if the terms say so) the rule is *frozen*: [`CommissionRule::freeze`]
//! looks at the publisher's standing once and gives a [`FrozenRate`], which depends on nothing but
//! the order. It is stored on the conversion, and every later refund is computed with it:
//! [`FrozenRate::gross`] of what is left of the order. So neither a new rate nor a new tier ever
//! changes what was promised, and a refund that arrives late or twice changes nothing.
//!
//! What it never does: read a clock or a database, convert currencies (the order's value arrives in
//! the currency of the program), or take a commission from what a sender claims it to be.
//!
//! # Adding a rule
//!
//! 1. Copy `flat.rs` to a file of its own: a struct with the rule's settings and what it pays.
//! 2. Add a variant to [`CommissionRule`], and the arms the compiler then asks for. If the rule
//!    looks at more than the order, let it freeze to [`Flat`] or [`Percentage`], as [`Tiered`]
//!    does; if it cannot, it needs a variant of [`FrozenRate`] as well.
//! 3. Add it to `sample_rules` in this folder's tests; the snapshot `rules` then shows its JSON.
//!
//! Rules are stored as tagged JSON, so no migration is needed. Never change the meaning of a field
//! that is stored: give the changed rule a name of its own.

mod combined;
mod flat;
mod percentage;
mod tiered;

pub use combined::Combined;
pub use flat::Flat;
pub use percentage::Percentage;
pub use tiered::{Tier, Tiered, Volume};

use ledger::money::{Money, MoneyError, Rounding};
use serde::{Deserialize, Serialize};

/// How a program pays for an order. In JSON: `{"rule":"percentage","rate":"0.1"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum CommissionRule {
    /// The same for every order.
    Flat(Flat),
    /// A share of the order's value.
    Percentage(Percentage),
    /// By the publisher's tier at that moment.
    Tiered(Tiered),
}

impl CommissionRule {
    /// What the caller has to count for a [`Standing`]: a volume of zero in the right measure and
    /// currency, or nothing, because the rule has no tiers.
    #[must_use]
    pub fn counts(&self) -> Option<Volume> {
        match self {
            Self::Flat(_) | Self::Percentage(_) => None,
            Self::Tiered(tiered) => Some(tiered.entry()),
        }
    }

    /// Whether it has a tier of that name.
    #[must_use]
    pub fn has_tier(&self, name: &str) -> bool {
        match self {
            Self::Flat(_) | Self::Percentage(_) => false,
            Self::Tiered(tiered) => tiered.tiers().iter().any(|tier| tier.name == name),
        }
    }

    /// What this rule pays a publisher of this standing, from now on fixed for the conversion.
    pub fn freeze(&self, standing: &Standing) -> Result<Frozen, CommissionError> {
        match self {
            Self::Flat(flat) => Ok(Frozen {
                pays: FrozenRate::Flat(*flat),
                tier: None,
            }),
            Self::Percentage(percentage) => Ok(Frozen {
                pays: FrozenRate::Percentage(*percentage),
                tier: None,
            }),
            Self::Tiered(tiered) => {
                let tier = tiered.tier_of(standing)?;
                Ok(Frozen {
                    pays: tier.pays,
                    tier: Some(tier.name.clone()),
                })
            }
        }
    }
}

/// What a publisher has achieved in a program, as the caller knows it *before* the order at hand.
/// For a rule without tiers the default will do: it looks at neither.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// A tier given by hand; it outranks the volume.
    pub assigned: Option<String>,
    /// The volume so far, in the measure that [`CommissionRule::counts`] asks for.
    pub volume: Option<Volume>,
}

/// A rule as it was for one conversion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frozen {
    /// What the order pays.
    pub pays: FrozenRate,
    /// The tier that decided it, if the rule has tiers.
    pub tier: Option<String>,
}

/// What an order pays, whoever asks and whenever. JSON as for [`CommissionRule`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum FrozenRate {
    /// A fixed amount.
    Flat(Flat),
    /// A share of the order's value.
    Percentage(Percentage),
    /// A share and a fixed amount: a rate with a bonus.
    Combined(Combined),
}

impl FrozenRate {
    /// The gross commission: C, zero or positive, rounded once. Never grows as refunds do.
    pub fn gross(self, basis: Basis, rounding: Rounding) -> Result<Money, CommissionError> {
        match self {
            Self::Flat(flat) => flat.gross(basis),
            Self::Percentage(percentage) => Ok(percentage.gross(basis, rounding)),
            Self::Combined(combined) => combined.gross(basis, rounding),
        }
    }
}

/// What a commission is computed on: the order's value, and how much of it was refunded so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Basis {
    order: Money,
    refunded: Money,
    remaining: Money,
}

impl Basis {
    /// An order of which nothing was refunded.
    pub fn of(order: Money) -> Result<Self, CommissionError> {
        Self::new(order, Money::zero(order.currency()))
    }

    /// An order and the sum of all its refunds so far. Refunds may exceed the order, because shops
    /// also refund what was never part of its value, such as shipping: nothing remains then.
    pub fn new(order: Money, refunded: Money) -> Result<Self, CommissionError> {
        if order.is_negative() {
            return Err(CommissionError::NegativeOrder(order));
        }
        if refunded.is_negative() {
            return Err(CommissionError::NegativeRefund(refunded));
        }
        let remaining = order.checked_sub(refunded.lesser(order)?)?;
        Ok(Self {
            order,
            refunded,
            remaining,
        })
    }

    /// The order as it was placed.
    #[must_use]
    pub const fn order(self) -> Money {
        self.order
    }

    /// What is left of it, never below zero.
    #[must_use]
    pub const fn remaining(self) -> Money {
        self.remaining
    }

    /// Whether everything was refunded. A free order, of which nothing was, is not returned.
    #[must_use]
    pub const fn is_returned(self) -> bool {
        self.remaining.is_zero() && self.refunded.is_positive()
    }
}

/// Why there is no commission, or no such rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommissionError {
    /// An order below zero.
    #[error("an order of {0} is below zero; a refund is an event of its own")]
    NegativeOrder(Money),
    /// A refund below zero.
    #[error("refunds of {0} are below zero; a refund that was taken back is left out of the sum")]
    NegativeRefund(Money),
    /// No tier that a newcomer is in.
    #[error("a tiered rule needs a tier from zero on, for those who have not sold anything yet")]
    NoEntryTier,
    /// The same tier twice.
    #[error("tier {0:?} is there twice")]
    RepeatedTier(String),
    /// Tiers out of order.
    #[error("tier {0:?} does not start above the tier before it")]
    TiersOutOfOrder(String),
    /// A publisher in a tier that the rule does not have.
    #[error("tier {0:?} is not one of this rule; assign one that is, or none")]
    UnknownTier(String),
    /// Tiers by volume, and no volume.
    #[error("the rule has tiers, so the publisher's volume must be counted, or a tier assigned")]
    NoVolume,
    /// Orders counted here, order values there.
    #[error("the tiers count {tiers} and the publisher's volume counts {volume}")]
    OtherMeasure {
        /// What the rule counts.
        tiers: &'static str,
        /// What it was given.
        volume: &'static str,
    },
    /// Amounts that do not fit or do not go together.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

#[cfg(test)]
mod tests;
