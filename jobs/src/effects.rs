//! Effects: what leaves the building because conversions changed, enqueued in the same database
//! transaction as the change.
//!
//! Whoever records, refunds or decides about conversions calls [`record`], [`refund`] or [`decide`]
//! here instead of settlement's own: they are the same, and tell the publishers. Whoever changes
//! conversions in another way calls [`enqueue`] with what changed, before the commit.
//!
//! What it never does: send anything (that is a job, after the commit), or tell anybody twice of
//! one change.

mod stores;

use chrono::{DateTime, TimeDelta, Utc};
use ledger::{Actor, Currency, Money};
use settlement::conversion::{
    self, Action, Changed, ConversionError, ConversionRef, Decision, Order, Recorded, Refund,
    Refunded, State, auto,
};
use settlement::fraud::RiskSettings;
use settlement::inbox::InboxError;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::postback::values::{Facts, values};
use crate::postback::{DELIVER, Event, Payload};
use crate::queue::{self, NewJob, QueueError};

pub use stores::receive;

/// A change that publishers may hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Effect {
    /// What changed.
    pub conversion: ConversionRef,
    /// How.
    pub event: Event,
}

/// Why a change, or what follows from it, failed. Nothing of it may be committed.
#[derive(Debug, thiserror::Error)]
pub enum EffectError {
    /// The change itself.
    #[error(transparent)]
    Conversion(#[from] ConversionError),
    /// The same for a delivery of a store.
    #[error(transparent)]
    Inbox(#[from] InboxError),
    /// The queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// A stored conversion cannot be read.
    #[error("inconsistency in settlement.conversion {0}: {1}")]
    Inconsistent(Uuid, &'static str),
    /// Postgres failed.
    #[error("who is to hear of a change could not be read")]
    Database(#[from] sqlx::Error),
}

/// The namespace of deliveries' ids.
const DELIVERIES: Uuid = Uuid::from_u128(0x51d7_0c3e_84f2_5a6b_9e10_7bc4_2d95_f8a3);

/// Records orders and tells the publishers that were credited; see [`conversion::record()`].
pub async fn record(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    orders: &[Order],
) -> Result<Vec<Recorded>, EffectError> {
    let answers = conversion::record(&mut *conn, now, by, orders).await?;
    tell(conn, now, &answers).await?;
    Ok(answers)
}

/// Takes orders in and tells the publishers that were credited; see [`conversion::take`].
pub async fn take(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    risk: &RiskSettings,
    orders: &[Order],
) -> Result<Vec<Recorded>, EffectError> {
    let answers = conversion::take(&mut *conn, now, by, risk, orders).await?;
    tell(conn, now, &answers).await?;
    Ok(answers)
}

/// Tells the publishers of orders that were recorded.
async fn tell(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    answers: &[Recorded],
) -> Result<(), EffectError> {
    let effects: Vec<Effect> = answers
        .iter()
        .filter_map(|answer| match answer {
            Recorded::New(conversion, state) => Some(Effect {
                conversion: *conversion,
                event: event_of(*state)?,
            }),
            Recorded::Duplicate(_) | Recorded::Conflict(..) | Recorded::Refused(_) => None,
        })
        .collect();
    enqueue(conn, now, &effects).await.map(drop)
}

/// Takes refunds into account and tells the publishers; see [`conversion::refund()`].
pub async fn refund(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    refunds: &[Refund],
) -> Result<Vec<Refunded>, EffectError> {
    let answers = conversion::refund(&mut *conn, now, by, refunds).await?;
    let effects: Vec<Effect> = answers
        .iter()
        .filter_map(|answer| match answer {
            Refunded::Applied(conversion, State::Reversed) => Some(Effect {
                conversion: *conversion,
                event: Event::Reversed,
            }),
            Refunded::Applied(conversion, State::Pending | State::Approved | State::OnHold(_)) => {
                Some(Effect {
                    conversion: *conversion,
                    event: Event::Adjusted,
                })
            }
            Refunded::Applied(_, State::Unattributed | State::Rejected)
            | Refunded::Duplicate(_)
            | Refunded::Conflict(..)
            | Refunded::Parked(_)
            | Refunded::Refused(_) => None,
        })
        .collect();
    enqueue(conn, now, &effects).await?;
    Ok(answers)
}

/// Decides about conversions and tells the publishers; see [`conversion::decide`].
pub async fn decide(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    decision: &Decision,
    conversions: &[ConversionRef],
) -> Result<Vec<Changed>, EffectError> {
    let each: Vec<_> = conversions
        .iter()
        .map(|conversion| (*conversion, decision.clone()))
        .collect();
    decide_each(conn, now, by, &each).await
}

/// The same with a decision of its own for each; see [`conversion::decide_each`].
pub async fn decide_each(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    decisions: &[(ConversionRef, Decision)],
) -> Result<Vec<Changed>, EffectError> {
    let answers = conversion::decide_each(&mut *conn, now, by, decisions).await?;
    let effects: Vec<Effect> = decisions
        .iter()
        .zip(&answers)
        .filter_map(|((conversion, decision), answer)| {
            let Changed::To(state) = answer else {
                return None;
            };
            Some(Effect {
                conversion: *conversion,
                event: match decision.action {
                    Action::Hold => Event::Held,
                    Action::Release => Event::Released,
                    Action::Approve | Action::Reject | Action::Reverse | Action::Reinstate => {
                        event_of(*state)?
                    }
                },
            })
        })
        .collect();
    enqueue(conn, now, &effects).await?;
    Ok(answers)
}

/// Approves what is due by the terms, so many at once, and tells the publishers; answers how many.
/// See [`auto::approve_due`].
pub async fn approve_due(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    limit: i64,
) -> Result<usize, EffectError> {
    let approved = auto::approve_due(&mut *conn, now, by, limit).await?;
    let effects: Vec<Effect> = approved
        .iter()
        .filter(|(_, changed)| matches!(changed, Changed::To(_)))
        .map(|(conversion, _)| Effect {
            conversion: *conversion,
            event: Event::Approved,
        })
        .collect();
    enqueue(conn, now, &effects).await?;
    Ok(effects.len())
}

/// What a conversion that came into a state now is to its publisher.
fn event_of(state: State) -> Option<Event> {
    match state {
        State::Pending => Some(Event::Pending),
        State::OnHold(_) => Some(Event::Held),
        State::Approved => Some(Event::Approved),
        State::Rejected => Some(Event::Rejected),
        State::Reversed => Some(Event::Reversed),
        State::Unattributed => None,
    }
}

/// Enqueues what these changes make leave the building; answers how many deliveries that is. Call
/// it after the change, in the same database transaction.
///
/// Two statements, whatever the count; one when nobody wants to hear.
pub async fn enqueue(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    effects: &[Effect],
) -> Result<u64, EffectError> {
    if effects.is_empty() {
        return Ok(0);
    }
    let heard = hearers(conn, effects).await?;
    let mut jobs = Vec::with_capacity(heard.len());
    for hearer in heard {
        jobs.push(hearer.job(now)?);
    }
    Ok(queue::enqueue(conn, now, &jobs).await?)
}

/// A target and the conversion it is to hear of.
struct Hearer {
    target: Uuid,
    delay_ms: i32,
    expose_order_id: bool,
    event: Event,
    book: i64,
    conversion: Uuid,
    version: i32,
    program: Uuid,
    publisher: Uuid,
    click: Option<Uuid>,
    state: String,
    currency: String,
    order_amount: i64,
    publisher_due: i64,
    order_ref: String,
    order_currency: String,
    coupon: Option<String>,
    country: Option<String>,
    campaign: Option<String>,
    subs: [Option<String>; 5],
}

async fn hearers(conn: &mut PgConnection, effects: &[Effect]) -> Result<Vec<Hearer>, EffectError> {
    let books: Vec<i64> = effects.iter().map(|e| e.conversion.book.value()).collect();
    let ids: Vec<Uuid> = effects.iter().map(|e| e.conversion.id).collect();
    let events: Vec<String> = effects
        .iter()
        .map(|e| e.event.as_str().to_owned())
        .collect();
    let rows = sqlx::query!(
        r#"
        select distinct t.id as target, t.delay_ms, t.expose_order_id, u.event as "event!",
               c.book_id, c.id, c.version, c.program_id, t.publisher_id,
               w.click_id as "click_id?", c.state, c.currency,
               w.publisher_due as "publisher_due!", c.order_ref, e.coupon,
               coalesce(c.original_currency, c.currency) as "order_currency!",
               coalesce(c.original_amount, c.order_amount) as "order_amount!",
               k.sub1 as "sub1?", k.sub2 as "sub2?", k.sub3 as "sub3?", k.sub4 as "sub4?",
               k.sub5 as "sub5?", r.country as "country?", r.utm_campaign as "campaign?"
        from unnest($1::bigint[], $2::uuid[], $3::text[]) as u (book_id, id, event)
        join settlement.conversion c on c.book_id = u.book_id and c.id = u.id
        -- Of a shared conversion each hears of its own part, by the click that earned most.
        cross join lateral (
            select w.publisher_id, sum(w.publisher_due)::bigint as publisher_due,
                   (array_agg(w.click_id order by w.publisher_due desc, w.position))[1] as click_id
            from settlement.earning w
            where w.book_id = c.book_id and w.conversion_id = c.id
            group by w.publisher_id
        ) w
        join jobs.postback_target t
          on t.publisher_id = w.publisher_id and t.disabled_at is null
         and u.event = any (t.events)
         and (t.program_id is null
              or (t.program_book_id = c.book_id and t.program_id = c.program_id))
        join settlement.event e on e.book_id = c.book_id and e.id = c.event_id
        left join settlement.click k on k.book_id = c.book_id and k.id = w.click_id
        left join settlement.click_request r on r.book_id = c.book_id and r.id = w.click_id
        "#,
        &books,
        &ids,
        &events,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let event = Event::ALL
                .into_iter()
                .find(|event| event.as_str() == row.event);
            Ok(Hearer {
                target: row.target,
                delay_ms: row.delay_ms,
                expose_order_id: row.expose_order_id,
                event: event.ok_or(EffectError::Inconsistent(row.id, "event"))?,
                book: row.book_id,
                conversion: row.id,
                version: row.version,
                program: row.program_id,
                publisher: row.publisher_id,
                click: row.click_id,
                state: row.state,
                currency: row.currency,
                order_amount: row.order_amount,
                publisher_due: row.publisher_due,
                order_ref: row.order_ref,
                coupon: row.coupon,
                country: row.country,
                campaign: row.campaign,
                order_currency: row.order_currency,
                subs: [row.sub1, row.sub2, row.sub3, row.sub4, row.sub5],
            })
        })
        .collect()
}

impl Hearer {
    /// The job that tells it. The id follows from target and change, so one change is told once.
    fn job(self, now: DateTime<Utc>) -> Result<NewJob, EffectError> {
        let name = format!(
            "{}\u{1f}{}\u{1f}{}\u{1f}{}\u{1f}{}",
            self.target,
            self.book,
            self.conversion,
            self.version,
            self.event.as_str()
        );
        let delivery = Uuid::new_v5(&DELIVERIES, name.as_bytes());
        let inconsistent = |what| EffectError::Inconsistent(self.conversion, what);
        let money = |minor, currency: &str, what| {
            let currency: Currency = currency.parse().map_err(|_| inconsistent("currency"))?;
            Money::try_from_minor(minor, currency).map_err(|_| inconsistent(what))
        };
        let facts = Facts {
            conversion: self.conversion,
            publisher: self.publisher,
            program: self.program,
            click: self.click,
            state: self.state.clone(),
            payout: money(self.publisher_due, &self.currency, "publisher_due")?,
            order: money(self.order_amount, &self.order_currency, "order_amount")?,
            order_ref: self.expose_order_id.then(|| self.order_ref.clone()),
            subs: self.subs.clone(),
            coupon: self.coupon.clone(),
            country: self.country.clone(),
            campaign: self.campaign.clone(),
        };
        let payload = Payload {
            delivery,
            target: self.target,
            event: self.event.as_str().to_owned(),
            conversion: Some(self.conversion),
            values: values(&facts, self.event, delivery, now),
        };
        let payload = serde_json::to_value(payload).map_err(|_| inconsistent("payload"))?;
        Ok(NewJob {
            kind: DELIVER,
            key: delivery.to_string(),
            payload,
            run_at: now + TimeDelta::milliseconds(i64::from(self.delay_ms)),
        })
    }
}
