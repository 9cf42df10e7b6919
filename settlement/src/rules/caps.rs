//! Pure: caps, and whether there is room left under them.
//!
//! A cap counts the conversions in force (pending, on hold, approved) whose order lies in its
//! window, except those that were over a cap themselves. Exactly up to the cap is within it. An
//! order that does not fit whole is over the cap; a smaller one after it may still fit.

use std::fmt;

use chrono::{DateTime, Datelike, NaiveDate, TimeZone, Utc};
use chrono_tz::Tz;
use ledger::Money;
use ledger::money::MoneyError;
use serde::{Deserialize, Serialize};

/// How much may be earned, by whom, in which time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cap {
    /// All of the program together, or each publisher for itself.
    pub scope: Scope,
    /// In which time.
    pub per: Per,
    /// How much.
    pub limit: Limit,
    /// What becomes of an order that does not fit.
    pub overflow: Overflow,
}

/// Who shares a cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All publishers of the program together.
    Program,
    /// Each publisher.
    Publisher,
}

/// The time a cap is counted over; days and months are those of the accounting zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// The day of the order.
    Day,
    /// The month of the order.
    Month,
    /// Since ever.
    Total,
}

/// How much: `{"orders":100}` or `{"commission":{"amount":"500.00","currency":"USD"}}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// So many conversions.
    Orders(u64),
    /// So much gross commission, as it stands.
    Commission(Money),
}

/// What becomes of an order that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overflow {
    /// It waits for somebody, with its whole commission, and is never approved by itself.
    Pending,
    /// It is rejected and earns nothing.
    Rejected,
}

/// What stands under a cap already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// Conversions.
    pub orders: u64,
    /// Their gross commission.
    pub commission: Money,
}

impl Used {
    /// With one more order of this commission.
    pub fn with(self, gross: Money) -> Result<Used, MoneyError> {
        Ok(Used {
            orders: self.orders + 1,
            commission: self.commission.checked_add(gross)?,
        })
    }
}

impl Cap {
    /// Whether all of this is within the cap.
    pub fn holds(&self, used: Used) -> Result<bool, MoneyError> {
        Ok(match self.limit {
            Limit::Orders(limit) => used.orders <= limit,
            Limit::Commission(limit) => used.commission.compare(limit)?.is_le(),
        })
    }
}

impl Per {
    /// The first moment that counts and the first that no longer does.
    #[must_use]
    pub fn window(self, at: DateTime<Utc>, zone: Tz) -> (DateTime<Utc>, DateTime<Utc>) {
        let day = at.with_timezone(&zone).date_naive();
        let (from, to) = match self {
            Per::Day => (Some(day), day.succ_opt()),
            Per::Month => (day.with_day(1), first_of_next_month(day)),
            Per::Total => (None, None),
        };
        (
            from.map_or(DateTime::UNIX_EPOCH, |day| midnight(day, zone)),
            to.map_or(FAR, |day| midnight(day, zone)),
        )
    }
}

/// After every order, and within what Postgres can hold.
const FAR: DateTime<Utc> =
    DateTime::from_timestamp(253_402_300_799, 0).expect("the end of the year 9999 is a moment");

fn first_of_next_month(day: NaiveDate) -> Option<NaiveDate> {
    day.with_day(1)?.checked_add_months(chrono::Months::new(1))
}

/// The first moment of a day in a zone. Where the clocks skip midnight, the day begins later.
fn midnight(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let naive = day.and_time(chrono::NaiveTime::MIN);
    (0..24)
        .filter_map(|hours| {
            let local = naive.checked_add_signed(chrono::TimeDelta::hours(hours))?;
            zone.from_local_datetime(&local).earliest()
        })
        .map(|at| at.with_timezone(&Utc))
        .next()
        .unwrap_or_else(|| naive.and_utc())
}

impl fmt::Display for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.limit {
            Limit::Orders(orders) => write!(f, "{orders} orders")?,
            Limit::Commission(money) => write!(f, "{money}")?,
        }
        f.write_str(match self.per {
            Per::Day => " a day",
            Per::Month => " a month",
            Per::Total => " in total",
        })?;
        f.write_str(match self.scope {
            Scope::Program => " for the program",
            Scope::Publisher => " for each publisher",
        })
    }
}
