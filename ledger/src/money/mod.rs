//! Money: what an amount is, and the few things one may do with it. Pure.
//!
//! Every type is a proof that can only be built from the one below it:
//! [`Currency`] (has a minor unit) → [`Money`] (a whole number of those units, signed)
//! → [`Amount`] (strictly positive). A [`Rate`] takes a share of money, [`allocate`] splits it.
//!
//! What it never does:
//! - touch a float, in or out;
//! - round unless a [`Rounding`] was named: [`Money::new`] refuses what does not fit exactly;
//! - mix currencies, overflow or panic: there is no `+` on money, because it would have to;
//! - lose a unit: the parts of a split always sum to the whole.
//!
//! To add a currency, see [`Currency`]. To add a way of rounding, add a variant to [`Rounding`] and
//! the arms the compiler then asks for.

mod allocate;
mod amount;
mod currency;
mod rate;
mod written;

pub use allocate::allocate;
pub use amount::{Amount, Money};
pub use currency::Currency;
pub use rate::{Rate, Rounding};

use rust_decimal::Decimal;

/// Why a value is not money, or why two amounts do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// No such code in ISO 4217, nor among our own.
    #[error("unknown currency code {0:?}, expected capital letters such as \"USD\"")]
    UnknownCurrency(String),
    /// A code such as gold (XAU), in which nothing can be paid.
    #[error("{0} has no minor unit, so nothing can be booked in it")]
    NoMinorUnit(&'static str),
    /// Text that is no plain decimal number.
    #[error("{0:?} is not a decimal number such as \"-1234.56\"")]
    NotANumber(String),
    /// Text that is no amount followed by a currency.
    #[error("{0:?} is not money such as \"1234.56 USD\"")]
    NotMoney(String),
    /// More decimal places than the currency has. Whoever may round, says how.
    #[error("{amount} is finer than {currency} allows ({} decimal places)", currency.scale())]
    TooPrecise {
        /// What was offered.
        amount: Decimal,
        /// The currency that has fewer places.
        currency: Currency,
    },
    /// Two amounts of different currencies.
    #[error("{left} and {right} do not add up; convert one of them first")]
    CurrencyMismatch {
        /// The first one's currency.
        left: Currency,
        /// The other one's.
        right: Currency,
    },
    /// Zero or less, where only a positive amount makes sense.
    #[error("{0} is not a positive amount")]
    NotPositive(Money),
    /// Beyond what 63 bits of minor units hold.
    #[error("the amount is too large for {0}")]
    Overflow(Currency),
    /// A share below nothing or above everything.
    #[error("a rate of {0} is outside 0 to 1 (0 % to 100 %)")]
    RateOutOfRange(Decimal),
    /// Finer than a millionth.
    #[error("a rate of {0} has more than 6 decimal places")]
    RateTooPrecise(Decimal),
    /// An empty list of weights, or only zeros.
    #[error("nothing to split {0} by: every weight is zero")]
    NoWeight(Money),
}
