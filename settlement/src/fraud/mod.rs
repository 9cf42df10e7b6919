//! What looks wrong about an order: signals, a score, and what is held until somebody has looked.
//!
//! [`assess`] is called right after orders are recorded, in the same database transaction:
//! recording holds the book's lock, so of two processes the second counts what the first wrote.
//! Each signal is kept once per conversion with its reason and evidence. When the scores of a
//! conversion's signals reach the threshold, it is put on hold, also if it was approved already;
//! the money moves by the posting manual like any other hold, and the change shows the reasons. A
//! conversion that somebody released stays released until it gets a signal that it did not have.
//!
//! | signal | severity, score | seen when |
//! |---|---|---|
//! | `SELF_PURCHASE_SUSPECTED` | HIGH 80 | customer or address is known as the publisher's own |
//! | `HIGH_FREQUENCY_ORDERS` | HIGH 70 | 3 orders of one click within 10 minutes: all of them |
//! | `MANY_ORDERS_SAME_IP` | MEDIUM 40 | 3 orders in the book from one address, same time |
//! | `UNUSUAL_ORDER_VALUE` | MEDIUM 30 | over 5 times the mean of the publisher's last 100 orders |
//! | `MANY_ORDERS_SAME_USER_AGENT` | LOW 20 | 3 orders of a publisher from one browser, same time |
//! | `REFERRER_REUSED_ACROSS_MERCHANTS` | LOW 20 | one referrer, orders at 3 brands, same time |
//!
//! What it never does: reject, delete or change an amount. It holds, and a person decides.
//!
//! # Adding a signal
//!
//! A variant of [`Signal`] with its severity and score, the fact it needs in `store.rs`, the
//! arm in `signals.rs` that sees it, and its name in the table's check.

mod reversals;
mod signals;
mod store;

use chrono::{DateTime, TimeDelta, Utc};
use ledger::Actor;
use sqlx::PgConnection;

use crate::conversion::change::{Decision, decide_each};
use crate::conversion::{Action, Changed, ConversionError, ConversionRef};

pub use reversals::{ReversalRate, reversal_rates};
pub use signals::{Found, Severity, Signal};
pub use store::{MarkKind, mark_publishers, signals_of};

/// What an operator sets; by these names in the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RiskSettings {
    /// `ENABLE_RISK_SCORING`: whether orders are looked at.
    pub enabled: bool,
    /// `RISK_SCORE_THRESHOLD`: from which score on a conversion is held.
    pub score_threshold: u32,
    /// `RISK_TRACKING_WINDOW_MINUTES`: how far apart orders may be to count together.
    pub window_minutes: u32,
    /// `RISK_TRACKING_ORDER_THRESHOLD`: how many of them are too many, that number included.
    pub order_threshold: u32,
}

impl Default for RiskSettings {
    fn default() -> RiskSettings {
        RiskSettings {
            enabled: true,
            score_threshold: 70,
            window_minutes: 10,
            order_threshold: 3,
        }
    }
}

impl RiskSettings {
    fn window(&self) -> TimeDelta {
        TimeDelta::minutes(self.window_minutes.into())
    }
}

/// What was seen about a conversion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// Which one.
    pub conversion: ConversionRef,
    /// The scores of all its signals together, 100 at most.
    pub score: u32,
    /// The signals that were not there before.
    pub new: Vec<Found>,
    /// What became of the hold, if its score reaches the threshold.
    pub held: Option<Changed>,
}

/// Looks at conversions, keeps what is seen, and holds those whose score reaches the threshold.
///
/// Answers every conversion that got a new signal, which may be more than those asked about: when
/// the third order of a click comes, the first two are held as well. Asked again, it finds nothing
/// new. A fixed number of statements, whatever the count.
///
/// # Errors
/// Only for the whole batch; nothing of it may then be committed.
pub async fn assess(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    settings: &RiskSettings,
    conversions: &[ConversionRef],
) -> Result<Vec<Assessment>, ConversionError> {
    if !settings.enabled || conversions.is_empty() {
        return Ok(Vec::new());
    }
    store::trace(conn, conversions).await?;
    let facts = store::facts(conn, settings, conversions).await?;
    let together = store::together(conn, settings, conversions).await?;
    let mut found = signals::of_each(settings, &facts);
    found.extend(signals::of_clicks(settings, &together));
    let new = store::keep(conn, now, by, &found).await?;
    if new.is_empty() {
        return Ok(Vec::new());
    }
    let scores = store::scores(conn, &new).await?;
    let mut held: Vec<(ConversionRef, Decision)> = Vec::new();
    for (conversion, score, reasons) in &scores {
        if *score >= settings.score_threshold {
            let decision = Decision {
                action: Action::Hold,
                reason: format!("risk score {score}: {reasons}"),
            };
            held.push((*conversion, decision));
        }
    }
    let answers = decide_each(conn, now, by, &held).await?;
    let answer_of = |conversion: ConversionRef| {
        let at = held.iter().position(|(held, _)| *held == conversion)?;
        answers.get(at).copied()
    };
    Ok(scores
        .into_iter()
        .map(|(conversion, score, _)| Assessment {
            conversion,
            score,
            held: answer_of(conversion),
            new: new
                .iter()
                .filter(|f| f.conversion == conversion)
                .cloned()
                .collect(),
        })
        .collect())
}
