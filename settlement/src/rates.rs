//! Rates of exchange: stored by day, resolved, and applied to orders in another currency.
//!
//! Rates are imported or set by hand, each with its source, and never edited: a correction is a
//! further revision of the same day, and the highest one counts from then on. What was converted
//! before keeps the rate it was converted with.
//!
//! An order is converted at the rate of its day in the accounting zone: the latest on or before it,
//! [`MAX_AGE_DAYS`] old at most (rates pause on weekends and holidays). The pair itself counts
//! first, then its inverse, then the way over the euro with both legs of one day. A rate that had
//! to be divided has [`DIGITS`] significant digits, a half to the even neighbour; the amount is the
//! exact product, rounded once in the way the program's terms name.
//!
//! What it never does: guess. Without a rate there is none, and the order waits.

mod store;
mod table;

use chrono::{DateTime, NaiveDate, Utc};
use ledger::money::MoneyError;
use ledger::{Currency, Money, Rounding};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub(crate) use store::{Asked, quotes};
pub use store::{Listed, NewRate, Stored, add, list};
pub use table::{Table, TableRow};

/// How many days before an order a rate may be.
pub const MAX_AGE_DAYS: u64 = 7;

/// Significant digits of a rate that was divided. With them the product of any order is exact.
pub const DIGITS: u32 = 12;

/// A rate as an order was converted with it; kept on its conversion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// How much of the program's currency one unit of the order's was worth.
    pub rate: Decimal,
    /// The day the rate is of.
    pub day: NaiveDate,
    /// Who published it.
    pub source: String,
    /// When it was stored here.
    pub recorded_at: DateTime<Utc>,
    /// The stored rates it comes from: `EUR/USD 1.0843`.
    pub legs: Vec<String>,
}

impl Quote {
    /// What money is worth in another currency, rounded once.
    pub fn convert(
        &self,
        money: Money,
        into: Currency,
        rounding: Rounding,
    ) -> Result<Money, MoneyError> {
        let product = money.amount().checked_mul(self.rate);
        let product = product.ok_or(MoneyError::Overflow(into))?;
        Money::rounded(product, into, rounding)
    }
}

/// Rates could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum RateError {
    /// A rate of nothing, or of less.
    #[error("a rate of {0} is not above zero")]
    NotPositive(Decimal),
    /// Too many digits to multiply with exactly.
    #[error("a rate of {0} has more than 12 significant digits; round it where it comes from")]
    TooPrecise(Decimal),
    /// A rate of a currency against itself.
    #[error("a rate from {0} to itself is 1 and is not stored")]
    SameCurrency(Currency),
    /// No source.
    #[error("a rate needs a source: who published it, or who decided it")]
    NoSource,
    /// A file that is not the ECB's.
    #[error("line {line}: {problem}")]
    File {
        /// Which line, from 1 on.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// A stored rate cannot be read.
    #[error("inconsistency in settlement.fx_rate {base}/{quote} of {day}: {problem}")]
    Inconsistent {
        /// The currency of one unit.
        base: String,
        /// The currency it is expressed in.
        quote: String,
        /// Its day.
        day: NaiveDate,
        /// What cannot be read.
        problem: String,
    },
    /// Postgres failed.
    #[error("rates of exchange could not be read or stored")]
    Database(#[from] sqlx::Error),
}

#[cfg(test)]
mod tests;
