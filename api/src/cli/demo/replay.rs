//! Day by day: clicks, orders, refunds, approvals; on the fifth of a month the one before is
//! closed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta, Utc};
use indicatif::{ProgressBar, ProgressStyle};
use jobs::effects;
use ledger::{Actor, Period};
use settlement::close::{self, Closed};
use settlement::conversion::{self, Action, Changed, Decision, Recorded, Refunded};
use settlement::tracking::{self, Click};
use sqlx::PgConnection;
use uuid::Uuid;

use super::network::{Parties, id};
use super::source::Source;
use crate::cli::import::{orders, refunds};
use crate::database;

/// How long an order may come back before its conversion is approved.
const REVIEW_DAYS: i64 = 14;
/// The day of the month on which the month before is closed.
const CLOSING_DAY: u32 = 5;

/// What was done.
#[derive(Debug, Default, Clone)]
pub(super) struct Replayed {
    pub(super) clicks: u64,
    pub(super) orders: u64,
    pub(super) refunds: u64,
    pub(super) parked: u64,
    pub(super) approved: u64,
    pub(super) seen_before: u64,
    pub(super) closed: Vec<(String, String)>,
}

/// Replays everything on its own dates; what is there already stays as it is.
pub(super) async fn replay(
    conn: &mut PgConnection,
    source: &Source,
    parties: &Parties,
    shown: bool,
) -> anyhow::Result<Replayed> {
    let mut days: BTreeMap<NaiveDate, (Vec<&orders::Row>, Vec<&refunds::Row>)> = BTreeMap::new();
    for row in &source.orders {
        days.entry(row.occurred_at.date_naive())
            .or_default()
            .0
            .push(row);
    }
    for row in &source.refunds {
        days.entry(row.occurred_at.date_naive())
            .or_default()
            .1
            .push(row);
    }
    let (Some(first), Some(last)) = (days.keys().next().copied(), days.keys().last().copied())
    else {
        return Ok(Replayed::default());
    };
    let end = Period::containing(last).next().first_day() + TimeDelta::days(4);
    let bar = progress((end - first).num_days(), shown);
    let mut replayed = Replayed::default();
    for day in first.iter_days().take_while(|day| *day <= end) {
        if let Some((orders, refunds)) = days.get(&day) {
            let now =
                day.and_time(NaiveTime::MIN).and_utc() + TimeDelta::days(1) - TimeDelta::seconds(1);
            trade(conn, now, parties, orders, refunds, &mut replayed).await?;
        }
        let morning = day.and_time(NaiveTime::MIN).and_utc() + TimeDelta::hours(6);
        approve(conn, morning, &mut replayed).await?;
        if day.day() == CLOSING_DAY && Period::containing(day) > Period::containing(first) {
            close_month_before(conn, morning, day, &mut replayed).await?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(replayed)
}

async fn trade(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    parties: &Parties,
    orders: &[&orders::Row],
    refunds: &[&refunds::Row],
    replayed: &mut Replayed,
) -> anyhow::Result<()> {
    let by = Actor::new("cli:demo");
    let clicks: Vec<Click> = orders
        .iter()
        .filter_map(|row| click_before(row, parties))
        .collect();
    let rows: Vec<conversion::Order> = orders
        .iter()
        .map(|row| conversion::Order {
            visitor: row.customer.clone(),
            // A guest is nobody's visitor: the shop passes the click on instead.
            click: row.customer.is_none().then(|| click_id(row)),
            ..conversion::Order::new(
                parties.programs[&row.brand],
                &row.order_ref,
                row.occurred_at,
                row.amount,
            )
        })
        .collect();
    let returned: Vec<conversion::Refund> = refunds
        .iter()
        .map(|row| conversion::Refund {
            refund_ref: row.refund_ref.clone(),
            order_ref: row.order_ref.clone(),
            book: None,
            occurred_at: row.occurred_at,
            amount: row.amount,
            reason: None,
            note: row.note.clone(),
        })
        .collect();
    let (clicked, recorded, refunded) = database::commit(conn, async |conn| -> anyhow::Result<_> {
        let clicked = tracking::record(conn, now, &by, &clicks).await?;
        let recorded = effects::record(conn, now, &by, &rows).await?;
        let refunded = effects::refund(conn, now, &by, &returned).await?;
        Ok((clicked, recorded, refunded))
    })
    .await?;
    replayed.clicks += clicked;
    replayed.count_orders(recorded)?;
    replayed.count_refunds(refunded)
}

impl Replayed {
    fn count_orders(&mut self, answers: Vec<Recorded>) -> anyhow::Result<()> {
        for answer in answers {
            match answer {
                Recorded::New(..) => self.orders += 1,
                Recorded::Duplicate(_) => self.seen_before += 1,
                Recorded::Conflict(conversion, stands) => {
                    anyhow::bail!("order of conversion {} stands with {stands}", conversion.id)
                }
                Recorded::Refused(refusal) => return Err(refusal.into()),
            }
        }
        Ok(())
    }

    fn count_refunds(&mut self, answers: Vec<Refunded>) -> anyhow::Result<()> {
        for answer in answers {
            match answer {
                Refunded::Applied(..) => self.refunds += 1,
                Refunded::Refused(refusal) => return Err(refusal.into()),
                Refunded::Parked(_) => self.parked += 1,
                Refunded::Duplicate(_) => self.seen_before += 1,
                Refunded::Conflict(conversion, stands) => {
                    anyhow::bail!(
                        "refund of conversion {} stands with {stands}",
                        conversion.id
                    )
                }
            }
        }
        Ok(())
    }
}

fn click_id(row: &orders::Row) -> Uuid {
    id("click", &format!("{}/{}", row.brand, row.order_ref))
}

/// A click of the order's customer, some minutes before the order; the minutes follow from its id.
fn click_before(row: &orders::Row, parties: &Parties) -> Option<Click> {
    let id = click_id(row);
    let minutes = i64::from(id.as_bytes()[0] % 90) + 2;
    let publisher = parties.publishers[row.publisher.as_ref()?];
    let clicked_at = row.occurred_at - TimeDelta::minutes(minutes);
    Some(Click {
        visitor: row.customer.clone(),
        ..Click::new(id, parties.programs[&row.brand], publisher, clicked_at)
    })
}

async fn approve(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    replayed: &mut Replayed,
) -> anyhow::Result<()> {
    let by = Actor::new("cli:demo");
    let decision = Decision {
        action: Action::Approve,
        reason: format!("no objection within {REVIEW_DAYS} days"),
    };
    let changed = database::commit(conn, async |conn| -> anyhow::Result<_> {
        let due = now - TimeDelta::days(REVIEW_DAYS);
        let waiting = conversion::undecided(conn, due, 100_000).await?;
        Ok(effects::decide(conn, now, &by, &decision, &waiting).await?)
    })
    .await?;
    for answer in changed {
        match answer {
            Changed::To(_) => replayed.approved += 1,
            Changed::Already(_) => {}
            Changed::Impossible(state) => {
                anyhow::bail!("a {state:?} conversion was to be approved")
            }
            Changed::Unknown => anyhow::bail!("an unknown conversion was to be approved"),
        }
    }
    Ok(())
}

async fn close_month_before(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    day: NaiveDate,
    replayed: &mut Replayed,
) -> anyhow::Result<()> {
    let last_month = Period::containing(day.with_day(1).map_or(day, |d| d - TimeDelta::days(1)));
    let by = Actor::new("cli:demo");
    let closed = database::commit(conn, async |conn| {
        close::close(conn, now, &by, last_month).await
    })
    .await?;
    match closed {
        Closed::Now(close, _) | Closed::Already(close) => {
            let hash = hex::encode(&close.trial_balance_hash);
            replayed.closed.push((last_month.to_string(), hash));
            Ok(())
        }
        Closed::Blocked(findings) => {
            let blockers: BTreeSet<_> = findings.into_iter().map(|f| f.message).collect();
            anyhow::bail!("period {last_month} cannot be closed: {blockers:?}")
        }
    }
}

fn progress(days: i64, shown: bool) -> ProgressBar {
    let Some(days) = u64::try_from(days).ok().filter(|_| shown) else {
        return ProgressBar::hidden();
    };
    let bar = ProgressBar::new(days);
    bar.enable_steady_tick(Duration::from_millis(200));
    match ProgressStyle::with_template("replaying {bar:30} day {pos} of {len}, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
