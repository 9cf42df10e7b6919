//! Periods: calendar months of the accounting zone, closed in order, reopened only from the end.
//!
//! Closing moves every book's fence, stores the trial balance with its hash, and changes no entry.
//! Reopening keeps what the close stated: a later close is a new version beside it.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};
use sqlx::PgConnection;

use crate::actor::Actor;

/// A calendar month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    first_day: NaiveDate,
}

impl Period {
    /// The month that a day lies in.
    #[must_use]
    pub fn containing(day: NaiveDate) -> Period {
        Period {
            first_day: day.with_day(1).expect("every month has a first day"),
        }
    }

    /// Its first day.
    #[must_use]
    pub fn first_day(self) -> NaiveDate {
        self.first_day
    }

    /// Its last day.
    #[must_use]
    pub fn last_day(self) -> NaiveDate {
        self.next().first_day.pred_opt().unwrap_or(self.first_day)
    }

    /// The month after it.
    #[must_use]
    pub fn next(self) -> Period {
        let first_day = self.first_day.checked_add_months(Months::new(1));
        Period {
            first_day: first_day.unwrap_or(NaiveDate::MAX),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:04}-{:02}",
            self.first_day.year(),
            self.first_day.month()
        )
    }
}

/// The text is not a month.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a month; write it as 2026-01")]
pub struct InvalidPeriod(String);

impl FromStr for Period {
    type Err = InvalidPeriod;

    fn from_str(text: &str) -> Result<Period, InvalidPeriod> {
        let invalid = || InvalidPeriod(text.to_owned());
        // The parser of days takes signs and spaces too.
        let mut symbols = text.bytes().enumerate();
        if text.len() != 7
            || !symbols.all(|(at, b)| (at == 4) == (b == b'-') && (at == 4 || b.is_ascii_digit()))
        {
            return Err(invalid());
        }
        let day = NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d");
        day.map(Period::containing).map_err(|_| invalid())
    }
}

/// What a close stated; it stays when the month is reopened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// The month.
    pub period: Period,
    /// 1 for the first close, one more after each reopening.
    pub version: i32,
    /// When, UTC.
    pub closed_at: DateTime<Utc>,
    /// By whom.
    pub closed_by: String,
    /// Entries in all books at that moment.
    pub entries: i64,
    /// SHA-256 over the stored trial balance.
    pub trial_balance_hash: Vec<u8>,
    /// When, by whom and why it was reopened.
    pub reopened: Option<Reopened>,
}

/// Who reopened a month, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reopened {
    /// When, UTC.
    pub at: DateTime<Utc>,
    /// By whom.
    pub by: String,
    /// Why.
    pub because: String,
}

/// Why a month could not be closed or reopened.
#[derive(Debug, thiserror::Error)]
pub enum PeriodError {
    /// It is closed.
    #[error("period {0} is closed already; the next to close is {1}")]
    ClosedAlready(Period, String),
    /// An earlier month is open.
    #[error("period {0} cannot be closed before {1}; close {1} first")]
    OutOfOrder(Period, String),
    /// A later month is closed, or it is open.
    #[error("period {0} cannot be reopened; only the latest closed one can{1}")]
    NotLatest(Period, String),
    /// No reason was given.
    #[error("reopening period {0} needs a reason; give one with --because")]
    NoReason(Period),
    /// Postgres failed.
    #[error("the period could not be read or changed")]
    Database(#[source] sqlx::Error),
}

/// Closes a month in every book: no entry effective in it or earlier can be posted any more.
///
/// Locks every book. Stores the trial balance of each book and the hash over all of them.
///
/// # Errors
/// [`PeriodError::ClosedAlready`], [`PeriodError::OutOfOrder`]: months close in order.
pub async fn close(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    period: Period,
) -> Result<Close, PeriodError> {
    let row = sqlx::query!(
        r#"
        select version as "version!", entries as "entries!",
               trial_balance_hash as "trial_balance_hash!"
        from ledger.close_period($1, $2, $3)
        "#,
        now,
        by.as_str(),
        period.first_day(),
    )
    .fetch_one(conn)
    .await
    .map_err(|error| explained(error, period))?;
    Ok(Close {
        period,
        version: row.version,
        closed_at: now,
        closed_by: by.to_string(),
        entries: row.entries,
        trial_balance_hash: row.trial_balance_hash,
        reopened: None,
    })
}

/// Reopens the latest closed month; what its close stated is kept.
///
/// # Errors
/// [`PeriodError::NotLatest`], [`PeriodError::NoReason`].
pub async fn reopen(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    period: Period,
    because: &str,
) -> Result<(), PeriodError> {
    if because.trim().is_empty() {
        return Err(PeriodError::NoReason(period));
    }
    sqlx::query!(
        "select ledger.reopen_period($1, $2, $3, $4)",
        now,
        by.as_str(),
        period.first_day(),
        because,
    )
    .execute(conn)
    .await
    .map_err(|error| explained(error, period))?;
    Ok(())
}

/// Every close, latest first, reopened ones included.
pub async fn closes(conn: &mut PgConnection) -> Result<Vec<Close>, PeriodError> {
    let rows = sqlx::query!(
        r#"
        select month, version, closed_at, closed_by, entries, trial_balance_hash,
               reopened_at, reopened_by, reopened_because
        from ledger.period_close
        order by month desc, version desc
        "#
    )
    .fetch_all(conn)
    .await
    .map_err(PeriodError::Database)?;
    Ok(rows
        .into_iter()
        .map(|row| Close {
            period: Period::containing(row.month),
            version: row.version,
            closed_at: row.closed_at,
            closed_by: row.closed_by,
            entries: row.entries,
            trial_balance_hash: row.trial_balance_hash,
            reopened: row.reopened_at.map(|at| Reopened {
                at,
                by: row.reopened_by.unwrap_or_default(),
                because: row.reopened_because.unwrap_or_default(),
            }),
        })
        .collect())
}

/// The last day of the latest closed month; nothing can be posted on or before it.
pub async fn fence(conn: &mut PgConnection) -> Result<Option<NaiveDate>, sqlx::Error> {
    sqlx::query_scalar!("select ledger.fence()")
        .fetch_one(conn)
        .await
}

/// Recognises the refusals of `ledger.close_period` and `ledger.reopen_period` by their detail.
fn explained(error: sqlx::Error, period: Period) -> PeriodError {
    let Some(refusal) = error
        .as_database_error()
        .and_then(|e| e.try_downcast_ref::<sqlx::postgres::PgDatabaseError>())
    else {
        return PeriodError::Database(error);
    };
    let hint = refusal.hint().unwrap_or_default().to_owned();
    match refusal.detail() {
        Some("closed_already") => PeriodError::ClosedAlready(period, hint),
        Some("out_of_order") => PeriodError::OutOfOrder(period, hint),
        Some("not_latest") => PeriodError::NotLatest(period, format!(", {hint}")),
        Some("none_closed") => PeriodError::NotLatest(period, ", and none is closed".to_owned()),
        _ => PeriodError::Database(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_knows_its_days() {
        let february: Period = "2028-02".parse().unwrap();
        assert_eq!(february.last_day().to_string(), "2028-02-29");
        assert_eq!(february.next().to_string(), "2028-03");
        assert_eq!(Period::containing(february.last_day()), february);
        for bad in [
            "2026-13",
            "2026-00",
            "2026-1",
            "26-01",
            "2026-01-01",
            "",
            "2026_01",
            "+026-01",
            "-026-01",
            " 026-01",
            "２２-1",
        ] {
            assert!(bad.parse::<Period>().is_err(), "{bad}");
        }
    }
}
