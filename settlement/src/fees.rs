//! The network's fee: who pays it, and the amounts that follow from one commission. Pure.
//!
//! A fee has two rates, kept apart: `m` is added to what the brand is charged, `d` is taken from
//! what the publisher is paid. With C the gross commission:
//!
//! ```text
//! B (brand owes)      = C + round(C * m)
//! P (publisher earns) = C - round(C * d)
//! F (network fee)     = B - P
//! ```
//!
//! [`Components`] holds these five amounts and cannot be built so that they disagree. It never
//! rounds B or P themselves, only the two parts of the fee, and each of them once, from C.
//!
//! Which model a program has is said when it is created; there is no default that guesses.
//! Minimum fees and fees per month are lines of their own on the invoice, not part of this.
//!
//! # Adding a fee model
//!
//! A pair of rates with a name is a variant of [`FeeModel`] and the arms the compiler asks for.
//! Add it to the table in this file's tests; `snapshots/commission/fee_models.snap` shows it.

use ledger::money::{Currency, Money, MoneyError, Rate, Rounding};
use serde::{Deserialize, Serialize};

/// The two rates of a network fee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fees {
    /// `m`: added to the brand's invoice.
    pub brand_rate: Rate,
    /// `d`: deducted from the publisher's commission.
    pub publisher_rate: Rate,
}

/// The ways in which networks speak of their fee; each is a pair of rates.
///
/// In JSON: `{"model":"two_sided","rate":"0.2"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "model", rename_all = "snake_case", deny_unknown_fields)]
pub enum FeeModel {
    /// The brand pays the commission, and the fee comes out of the publisher's side.
    Deducted {
        /// The share of the commission that the network keeps.
        rate: Rate,
    },
    /// The publisher gets the whole commission, and the brand pays the fee on top.
    OnTop {
        /// The share of the commission that the brand pays in addition.
        rate: Rate,
    },
    /// Both: the brand pays the fee on top, and as much again is deducted from the publisher.
    TwoSided {
        /// The share of the commission that each side pays.
        rate: Rate,
    },
    /// The network is its own publisher: the whole commission is its income.
    House,
    /// Any other pair.
    Custom(Fees),
}

impl FeeModel {
    /// The pair of rates.
    #[must_use]
    pub const fn fees(self) -> Fees {
        let (brand_rate, publisher_rate) = match self {
            Self::Deducted { rate } => (Rate::ZERO, rate),
            Self::OnTop { rate } => (rate, Rate::ZERO),
            Self::TwoSided { rate } => (rate, rate),
            Self::House => (Rate::ZERO, Rate::WHOLE),
            Self::Custom(fees) => return fees,
        };
        Fees {
            brand_rate,
            publisher_rate,
        }
    }

    /// The name under which a program's terms store it, beside the two rates.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deducted { .. } => "deducted",
            Self::OnTop { .. } => "on_top",
            Self::TwoSided { .. } => "two_sided",
            Self::House => "house",
            Self::Custom(_) => "custom",
        }
    }

    /// From a stored name and pair of rates, which must be a pair that this model can have.
    pub fn from_stored(name: &str, fees: Fees) -> Result<Self, FeeError> {
        let model = match name {
            "deducted" => Self::Deducted {
                rate: fees.publisher_rate,
            },
            "on_top" => Self::OnTop {
                rate: fees.brand_rate,
            },
            "two_sided" => Self::TwoSided {
                rate: fees.brand_rate,
            },
            "house" => Self::House,
            "custom" => Self::Custom(fees),
            unknown => return Err(FeeError::UnknownModel(unknown.to_owned())),
        };
        if model.fees() == fees {
            Ok(model)
        } else {
            Err(FeeError::OtherRates { model, fees })
        }
    }
}

/// What one commission means to each party. At every instant `brand_due = publisher_due + fee`.
///
/// The amounts of a conversion are zero or positive; the *difference* between two of them, which is
/// what a refund posts, may have either sign, and obeys the same equations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Components {
    gross: Money,
    brand_due: Money,
    publisher_due: Money,
    fee_brand: Money,
    fee_publisher: Money,
}

impl Components {
    /// From the gross commission, which is zero or positive.
    pub fn of(gross: Money, fees: Fees, rounding: Rounding) -> Result<Self, FeeError> {
        if gross.is_negative() {
            return Err(FeeError::NegativeCommission(gross));
        }
        Self::from_parts(
            gross,
            fees.brand_rate.of(gross, rounding),
            fees.publisher_rate.of(gross, rounding),
        )
    }

    /// From the three amounts that say everything; the brand's and the publisher's follow. This is
    /// how frozen amounts are read back: whatever is stored, what comes of it balances.
    pub fn from_parts(
        gross: Money,
        fee_brand: Money,
        fee_publisher: Money,
    ) -> Result<Self, FeeError> {
        Ok(Self {
            gross,
            brand_due: gross.checked_add(fee_brand)?,
            publisher_due: gross.checked_sub(fee_publisher)?,
            fee_brand,
            fee_publisher,
        })
    }

    /// No commission at all: what is left of a conversion that was reversed.
    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        let zero = Money::zero(currency);
        Self {
            gross: zero,
            brand_due: zero,
            publisher_due: zero,
            fee_brand: zero,
            fee_publisher: zero,
        }
    }

    /// C: the commission before any fee.
    #[must_use]
    pub const fn gross(self) -> Money {
        self.gross
    }

    /// B: what the brand owes.
    #[must_use]
    pub const fn brand_due(self) -> Money {
        self.brand_due
    }

    /// P: what the publisher earns.
    #[must_use]
    pub const fn publisher_due(self) -> Money {
        self.publisher_due
    }

    /// The part of the fee that the brand pays on top.
    #[must_use]
    pub const fn fee_brand(self) -> Money {
        self.fee_brand
    }

    /// The part of the fee that is deducted from the publisher.
    #[must_use]
    pub const fn fee_publisher(self) -> Money {
        self.fee_publisher
    }

    /// F: the network's whole fee.
    pub fn fee(self) -> Result<Money, FeeError> {
        Ok(self.fee_brand.checked_add(self.fee_publisher)?)
    }

    /// The currency of all five.
    #[must_use]
    pub const fn currency(self) -> Currency {
        self.gross.currency()
    }

    /// Nothing in any of the five.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.gross.is_zero() && self.fee_brand.is_zero() && self.fee_publisher.is_zero()
    }

    /// Both together, component by component.
    pub fn plus(self, other: Self) -> Result<Self, FeeError> {
        Self::from_parts(
            self.gross.checked_add(other.gross)?,
            self.fee_brand.checked_add(other.fee_brand)?,
            self.fee_publisher.checked_add(other.fee_publisher)?,
        )
    }

    /// The signed difference, component by component: what is to be posted so that `before`
    /// becomes `self`. After a refund every component of it is zero or negative.
    pub fn minus(self, before: Self) -> Result<Self, FeeError> {
        self.plus(before.negated())
    }

    /// The same, the other way: what undoes it.
    #[must_use]
    pub const fn negated(self) -> Self {
        Self {
            gross: self.gross.negated(),
            brand_due: self.brand_due.negated(),
            publisher_due: self.publisher_due.negated(),
            fee_brand: self.fee_brand.negated(),
            fee_publisher: self.fee_publisher.negated(),
        }
    }
}

/// Why there are no components, or no fee model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeeError {
    /// A commission is earned or not; what is taken back is a difference.
    #[error("a commission of {0} is below zero; take back what was earned by a difference")]
    NegativeCommission(Money),
    /// A name that no variant has.
    #[error("unknown fee model {0:?}, expected deducted, on_top, two_sided, house or custom")]
    UnknownModel(String),
    /// Stored rates that the named model cannot have.
    #[error(
        "fee model {} does not go with {} for the brand and {} for the publisher; \
         a free pair of rates is called custom",
        model.name(), fees.brand_rate, fees.publisher_rate
    )]
    OtherRates {
        /// The model named.
        model: FeeModel,
        /// The rates found beside it.
        fees: Fees,
    },
    /// Amounts that do not fit or do not go together.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

#[cfg(test)]
mod tests;
