//! The end of a month: what must be true before it is closed, and closing it.
//!
//! First half of the close: the checks that the ledger and the conversions can answer, and the
//! fence. Invoices, reconciliation and the second signature follow with the rest of settlement.
//!
//! What it never does: waive a blocker by itself, or change an entry.

use chrono::{DateTime, Utc};
use ledger::period::{self, Close, PeriodError};
use ledger::{Actor, Period};
use sqlx::PgConnection;

use crate::network::{self, NetworkError};
use crate::reconcile::{self, ReconcileError};

/// Something the checklist found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// Whether the month cannot be closed before it is dealt with.
    pub blocks: bool,
    /// What it is, and what to do.
    pub message: String,
}

/// How a close went.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a close may have been blocked"]
pub enum Closed {
    /// Closed now; warnings stand beside it.
    Now(Close, Vec<Finding>),
    /// It was closed already; nothing changed.
    Already(Close),
    /// Not closed: at least one finding blocks.
    Blocked(Vec<Finding>),
}

/// Why a close could not be tried.
#[derive(Debug, thiserror::Error)]
pub enum CloseError {
    /// There is no network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The ledger refused.
    #[error(transparent)]
    Period(#[from] PeriodError),
    /// Books and conversions could not be compared.
    #[error(transparent)]
    Reconcile(#[from] ReconcileError),
    /// Postgres failed.
    #[error("the checklist could not be read")]
    Database(#[from] sqlx::Error),
}

/// What stands in the way of closing a month, and what is worth knowing.
///
/// Blocks: the month is not over in the accounting zone; debits and credits differ; an account
/// does not hold what the conversions say. Warns:
/// conversions of the month still pending or on hold, parked refunds.
pub async fn checklist(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    period: Period,
) -> Result<Vec<Finding>, CloseError> {
    let zone = network::find(conn).await?.zone;
    let mut findings = Vec::new();
    if now.with_timezone(&zone).date_naive() <= period.last_day() {
        findings.push(Finding {
            blocks: true,
            message: format!(
                "period {period} ends on {} ({zone}); close it afterwards",
                period.last_day()
            ),
        });
    }
    let facts = sqlx::query!(
        r#"
        select (select count(*) from settlement.conversion c
                where c.state = 'pending'
                  and (c.occurred_at at time zone $2)::date <= $1) as "pending!",
               (select count(*) from settlement.conversion c
                where c.state = 'on_hold'
                  and (c.occurred_at at time zone $2)::date <= $1) as "held!",
               (select count(*) from settlement.parked_refund r
                where r.resolved_at is null) as "parked!",
               (select count(*) from (
                    select a.currency from ledger.account_day d
                    join ledger.account a on a.book_id = d.book_id and a.id = d.account_id
                    where d.day <= $1
                    group by a.currency, a.memo
                    having sum(d.debits) <> sum(d.credits)) uneven) as "uneven!"
        "#,
        period.last_day(),
        zone.name(),
    )
    .fetch_one(&mut *conn)
    .await?;
    if facts.uneven > 0 {
        findings.push(Finding {
            blocks: true,
            message: "debits and credits differ; run `counterfoil verify`".to_owned(),
        });
    }
    for wrong in reconcile::differences(conn).await? {
        let reconcile::Difference {
            book,
            code,
            expected,
            found,
            ..
        } = wrong;
        findings.push(Finding {
            blocks: true,
            message: format!(
                "account {code} of {book} holds {found}, its conversions say {expected}; \
                 run `counterfoil verify`"
            ),
        });
    }
    for (count, what) in [
        (
            facts.pending,
            "conversions are still pending; they will count in a later month",
        ),
        (facts.held, "conversions are on hold"),
        (
            facts.parked,
            "refunds are parked; see `counterfoil refunds parked`",
        ),
    ] {
        if count > 0 {
            findings.push(Finding {
                blocks: false,
                message: format!("{count} {what}"),
            });
        }
    }
    Ok(findings)
}

/// Closes a month if nothing blocks; closing a closed month again changes nothing.
///
/// # Errors
/// [`PeriodError::OutOfOrder`] when an earlier month is open.
pub async fn close(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    period: Period,
) -> Result<Closed, CloseError> {
    let closes = period::closes(conn).await?;
    let standing = closes
        .into_iter()
        .find(|c| c.period == period && c.reopened.is_none());
    if let Some(close) = standing {
        return Ok(Closed::Already(close));
    }
    let findings = checklist(conn, now, period).await?;
    if findings.iter().any(|finding| finding.blocks) {
        return Ok(Closed::Blocked(findings));
    }
    Ok(Closed::Now(
        period::close(conn, now, by, period).await?,
        findings,
    ))
}
