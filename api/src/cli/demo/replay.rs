//! Day by day: visits, orders, refunds, approvals; each month is closed on the fifth after it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta, Utc};
use indicatif::{ProgressBar, ProgressStyle};
use jobs::effects;
use ledger::{Actor, Period};
use serde_json::{Value, json};
use settlement::close::{self, Closed};
use settlement::conversion::{self, Action, Changed, Decision, Refunded};
use sqlx::PgConnection;

use super::network::{Offer, id};
use super::shop::Shop;
use super::source::Source;
use crate::chance;
use crate::cli::import::{orders, refunds};
use crate::database::{self, Database};

/// How long an order may come back before its conversion is approved.
const REVIEW_DAYS: i64 = 14;
/// The day of the month on which the month before is closed.
const CLOSING_DAY: u32 = 5;

/// After so many days Postgres looks at how full its tables are.
const ANALYZED: [i64; 6] = [0, 1, 3, 8, 20, 50];

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
    database: &Database,
    shop: &Shop,
    conn: &mut PgConnection,
    source: &Source,
    parties: &HashMap<String, Offer>,
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
    let (mut replayed, mut known) = (Replayed::default(), Known::default());
    for day in first.iter_days().take_while(|day| *day <= end) {
        if let Some((orders, refunds)) = days.get(&day) {
            let happens = (&orders[..], &refunds[..]);
            trade(
                shop,
                conn,
                (day, parties),
                happens,
                &mut known,
                &mut replayed,
            )
            .await?;
        }
        if ANALYZED.contains(&(day - first).num_days()) {
            database.analyze().await?;
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

/// What happens between a network and its brands on one day.
async fn trade(
    shop: &Shop,
    conn: &mut PgConnection,
    (day, parties): (NaiveDate, &HashMap<String, Offer>),
    (orders, refunds): (&[&orders::Row], &[&refunds::Row]),
    known: &mut Known,
    replayed: &mut Replayed,
) -> anyhow::Result<()> {
    chance::replay(day.and_time(NaiveTime::MIN).and_utc());
    shop.next_day().await?;
    let mut reports: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for row in orders {
        let offer = &parties[&row.brand];
        let click = click(shop, row, offer, known, replayed).await?;
        if TRACKED.contains(&row.brand.as_str()) {
            chance::replay(row.occurred_at);
            let answer = shop
                .postback(&tracker(row, offer, click.as_deref()))
                .await?;
            replayed.count_order(&answer)?;
        } else {
            let order = report(row, offer, click.as_deref());
            reports.entry(&row.brand).or_default().push(order);
        }
    }
    let evening = day.and_time(NaiveTime::MIN).and_utc() + TimeDelta::days(1);
    chance::replay(evening - TimeDelta::seconds(1));
    for orders in reports.values().flat_map(|orders| orders.chunks(1_000)) {
        for answer in shop.report(orders).await? {
            replayed.count_order(&answer)?;
        }
    }
    known.brands.extend(
        orders
            .iter()
            .map(|row| (row.order_ref.clone(), row.brand.clone())),
    );
    give_back(shop, conn, parties, refunds, known, replayed).await
}

/// Brands whose orders a tracker reports one by one, when they happen.
const TRACKED: [&str; 3] = ["EIRE", "Spain", "Switzerland"];

/// What the brands' servers remember.
#[derive(Default)]
struct Known {
    /// Customers that a brand recognised before.
    customers: HashSet<(String, String)>,
    /// The brand of each order.
    brands: HashMap<String, String>,
    /// How many visits there were.
    visits: i64,
}

/// A visit of the order's customer, some minutes before the order; the minutes follow from the
/// order. A customer whom the brand meets for the first time signs up, and is recognised later.
async fn click(
    shop: &Shop,
    row: &orders::Row,
    offer: &Offer,
    known: &mut Known,
    replayed: &mut Replayed,
) -> anyhow::Result<Option<String>> {
    let Some(link) = row
        .publisher
        .as_ref()
        .and_then(|name| offer.links.get(name))
    else {
        return Ok(None);
    };
    let drawn = id("click", &format!("{}/{}", row.brand, row.order_ref));
    let minutes = i64::from(drawn.as_bytes()[0] % 90) + 2;
    // No two visits fall into the same microsecond, so that each has an id of its own.
    known.visits += 1;
    let apart = TimeDelta::microseconds(known.visits);
    chance::replay(row.occurred_at - TimeDelta::minutes(minutes) + apart);
    let guest = row.customer.is_none();
    let customer = row.customer.as_deref().unwrap_or(&row.order_ref);
    let drawn = id("address", customer);
    let [_, _, third, fourth, ..] = *drawn.as_bytes();
    let from = Ipv4Addr::new(198, 18 + (third & 1), third, fourth);
    let path = format!("{link}?sub1={}", CAMPAIGNS[usize::from(fourth % 3)]);
    let carried = shop.visit(&path, offer.parameter, from).await?;
    replayed.clicks += 1;
    let meets = (row.brand.clone(), customer.to_owned());
    if !guest && known.customers.insert(meets) {
        shop.identify(offer.program.id, customer, &carried).await?;
    }
    Ok(Some(carried))
}

/// The marks that publishers put on their links.
const CAMPAIGNS: [&str; 3] = ["blog", "mail", "video"];

/// An order as a brand's server reports it.
fn report(row: &orders::Row, offer: &Offer, click: Option<&str>) -> Value {
    json!({
        "program_id": offer.program.id,
        "brand_order_ref": row.order_ref,
        "order_value": row.amount.money().amount().to_string(),
        "order_currency": row.amount.currency().code(),
        "pcps_click": click,
        "user_id": row.customer,
        "occurred_at": row.occurred_at,
    })
}

/// An order in the words of a tracker.
fn tracker(row: &orders::Row, offer: &Offer, click: Option<&str>) -> Vec<(&'static str, String)> {
    let mut parameters = vec![
        ("program_id", offer.program.id.to_string()),
        ("order_id", row.order_ref.clone()),
        ("amount", row.amount.money().amount().to_string()),
        ("currency", row.amount.currency().code().to_owned()),
    ];
    parameters.extend(click.map(|click| ("transaction_id", click.to_owned())));
    parameters.extend(row.customer.clone().map(|user| ("user_id", user)));
    parameters
}

/// Stores tell of refunds by webhook. What names no order is in a file of the bank's, as it were:
/// it is read in, and parked for finance.
async fn give_back(
    shop: &Shop,
    conn: &mut PgConnection,
    parties: &HashMap<String, Offer>,
    refunds: &[&refunds::Row],
    known: &Known,
    replayed: &mut Replayed,
) -> anyhow::Result<()> {
    let mut unmatched = Vec::new();
    for row in refunds {
        let order = row.order_ref.as_ref();
        let brand = order.and_then(|order| known.brands.get(order));
        let Some((order, offer)) = order.zip(brand.and_then(|brand| parties.get(brand))) else {
            unmatched.push(conversion::Refund {
                refund_ref: row.refund_ref.clone(),
                order_ref: row.order_ref.clone(),
                book: None,
                occurred_at: row.occurred_at,
                amount: row.amount,
                note: row.note.clone(),
                reason: None,
            });
            continue;
        };
        let body = json!({
            "id": row.refund_ref, "order_id": order, "created_at": row.occurred_at,
            "refund_line_items": [{
                "subtotal": row.amount.money().amount().to_string(),
            }],
        });
        let event = format!("{}/{order}/{}", row.refund_ref, row.line);
        let answer = shop.webhook(&offer.store, &event, &body).await?;
        replayed.count_delivery(&answer);
    }
    let (now, by) = (chance::now(), Actor::new("cli:demo"));
    let parked = database::commit(conn, async |conn| {
        effects::refund(conn, now, &by, &unmatched).await
    })
    .await?;
    replayed.count_refunds(parked)
}

impl Replayed {
    fn count_order(&mut self, answer: &Value) -> anyhow::Result<()> {
        match answer["status"].as_str() {
            Some("recorded") => self.orders += 1,
            Some("duplicate") => self.seen_before += 1,
            _ => anyhow::bail!("an order was answered {answer}"),
        }
        Ok(())
    }

    fn count_delivery(&mut self, answer: &Value) {
        if answer["replayed"] == true {
            self.seen_before += 1;
        } else {
            self.refunds += 1;
        }
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
