//! Orders as work of the intake: recorded, compared with what the sender said, answered.

use std::pin::Pin;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use jobs::effects;
use ledger::{Actor, Money};
use settlement::conversion::{ConversionRef, Order, OrderRefusal, Recorded};
use settlement::fraud::RiskSettings;
use settlement::reported::{self, Discrepancy, Figures, Kind, Strictness};
use settlement::tracking::{self, Click};
use sqlx::PgConnection;
use uuid::Uuid;

use super::Work;

/// Clicks that may not have come to Postgres yet.
pub(crate) trait Unsettled: Send + Sync {
    /// Returns when none of these clicks is kept only outside Postgres any more, or when waiting
    /// for that makes no sense.
    fn settle<'a>(&'a self, clicks: &'a [Uuid]) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
}

/// An order as it was reported.
#[derive(Debug, Clone)]
pub(crate) struct Reported {
    /// The order.
    pub(crate) order: Order,
    /// The click, if its signed token says all that attribution needs.
    pub(crate) click: Option<Click>,
    /// The commission that the sender computed; compared, never trusted.
    pub(crate) commission: Option<Money>,
    /// How strict the program is.
    pub(crate) strictness: Strictness,
}

/// What an order is answered.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It stands in the books, now or since before.
    Stands(Standing),
    /// It was not recorded.
    Refused(OrderRefusal),
}

/// An order that stands in the books.
#[derive(Debug)]
pub(crate) struct Standing {
    /// Its conversion.
    pub(crate) conversion: ConversionRef,
    /// Whether it was recorded now or before.
    pub(crate) outcome: Outcome,
    /// What it earns.
    pub(crate) figures: Figures,
    /// Whether it was older than the program wants to hear of.
    pub(crate) late: bool,
    /// Whether the sender computed another commission.
    pub(crate) commission_differs: bool,
}

/// Whether an order was recorded now or before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Now.
    Recorded,
    /// Before, the same.
    Duplicate,
    /// Before, with this amount, which stands.
    Conflict(Money),
}

/// Recording orders.
pub(crate) struct Orders {
    /// Clicks on their way to Postgres.
    pub(crate) unsettled: Option<Arc<dyn Unsettled>>,
    /// How orders are looked at.
    pub(crate) risk: RiskSettings,
}

impl Work for Orders {
    type Item = Reported;
    type Answer = Answer;

    fn book(item: &Reported) -> i64 {
        item.order.program.book.value()
    }

    async fn prepare(&self, items: &[Reported]) {
        let Some(unsettled) = &self.unsettled else {
            return;
        };
        let named: Vec<Uuid> = items
            .iter()
            .filter(|item| item.click.is_none())
            .filter_map(|item| item.order.click)
            .collect();
        if !named.is_empty() {
            unsettled.settle(&named).await;
        }
    }

    async fn run(
        &self,
        conn: &mut PgConnection,
        now: DateTime<Utc>,
        items: &[Reported],
    ) -> anyhow::Result<Vec<Answer>> {
        let by = Actor::new("http:intake");
        let clicks: Vec<Click> = items.iter().filter_map(|item| item.click.clone()).collect();
        if !clicks.is_empty() {
            tracking::record(conn, now, &by, &clicks).await?;
        }
        let orders: Vec<Order> = items.iter().map(|item| item.order.clone()).collect();
        let recorded = effects::take(conn, now, &by, &self.risk, &orders).await?;
        let standing: Vec<ConversionRef> = recorded.iter().filter_map(reference).collect();
        let figures = reported::figures(conn, &standing).await?;
        let mut discrepancies = Vec::new();
        let mut answers = Vec::with_capacity(items.len());
        for (item, recorded) in items.iter().zip(recorded) {
            let (conversion, outcome) = match recorded {
                Recorded::New(conversion, _) => (conversion, Outcome::Recorded),
                Recorded::Duplicate(conversion) => (conversion, Outcome::Duplicate),
                Recorded::Conflict(conversion, stands) => (conversion, Outcome::Conflict(stands)),
                Recorded::Refused(refusal) => {
                    answers.push(Answer::Refused(refusal));
                    continue;
                }
            };
            let figures = figures
                .get(&conversion)
                .ok_or_else(|| anyhow::anyhow!("conversion {conversion:?} is not there"))?;
            let found = differences(item, outcome, figures, now);
            answers.push(Answer::Stands(Standing {
                conversion,
                outcome,
                figures: figures.clone(),
                late: found.iter().any(|d| d.kind == Kind::Late),
                commission_differs: found.iter().any(|d| d.kind == Kind::CommissionAmount),
            }));
            discrepancies.extend(found);
        }
        reported::notice(conn, now, &by, &discrepancies).await?;
        Ok(answers)
    }
}

fn reference(recorded: &Recorded) -> Option<ConversionRef> {
    match recorded {
        Recorded::New(conversion, _)
        | Recorded::Duplicate(conversion)
        | Recorded::Conflict(conversion, _) => Some(*conversion),
        Recorded::Refused(_) => None,
    }
}

/// Where a report and the books differ.
fn differences(
    item: &Reported,
    outcome: Outcome,
    figures: &Figures,
    now: DateTime<Utc>,
) -> Vec<Discrepancy> {
    let order = &item.order;
    let discrepancy = |kind, reported: String, stands: String| Discrepancy {
        program: order.program,
        order_ref: order.order_ref.clone(),
        kind,
        reported,
        stands,
    };
    let mut found = Vec::new();
    if let Outcome::Conflict(stands) = outcome {
        let reported = order.amount.to_string();
        found.push(discrepancy(Kind::OrderAmount, reported, stands.to_string()));
    }
    if outcome != Outcome::Recorded {
        return found;
    }
    if let Some(theirs) = item.commission
        && theirs != figures.commission
    {
        let (theirs, ours) = (theirs.to_string(), figures.commission.to_string());
        let order_ref = order.order_ref.as_str();
        tracing::info!(order_ref, theirs, ours, "another commission was reported");
        found.push(discrepancy(Kind::CommissionAmount, theirs, ours));
    }
    let oldest = item
        .strictness
        .max_age_days
        .map(|days| now - TimeDelta::days(days.into()));
    if let Some(oldest) = oldest
        && order.occurred_at < oldest
    {
        let reported = order.occurred_at.to_rfc3339();
        found.push(discrepancy(
            Kind::Late,
            reported,
            format!("not before {}", oldest.date_naive()),
        ));
    }
    found
}
