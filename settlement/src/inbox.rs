//! The inbox: what stores deliver, kept once and acted on in the same database transaction.
//!
//! A delivery is verified and read before it comes here; what comes are [facts](fact). They are
//! kept for ever, and an order is wherever all its facts together say it is: so a delivery may come
//! twice, late, or before the order it is about, and the books end the same. What is about an order
//! that nobody described yet waits among the facts, and counts as soon as the order is there.
//!
//! What it never does: keep a body, trust the order of arrival, take back what somebody else
//! decided, or move an approved conversion to pending.
//!
//! One delivery at a time, unlike the rest of this crate: each is a request of its own, its sender
//! waits for the answer, and two of the same order wait for each other.

pub mod connection;
pub mod fact;
mod fold;
mod steps;
mod store;

use chrono::{DateTime, Utc};
use ledger::{Actor, Amount, Currency, Money};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::conversion::{
    self, Changed, ConversionError, ConversionRef, Decision, Details, Order, OrderRefusal,
    Recorded, Refund, Refunded, State,
};
use crate::fraud::RiskSettings;
use crate::identity::UserHash;
use crate::tracking::{self, ClickRef};
use connection::Connection;
use fact::{Delivery, OrderSeen, Says};
use fold::Folded;
use store::Standing;

/// What came of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It says nothing that concerns a conversion.
    Ignored {
        /// Why.
        reason: String,
    },
    /// Its order is not known yet; what it says counts once the order is.
    Waiting,
    /// Nobody referred its order: it names no click, no coupon and no user we know.
    NotReferred,
    /// Its order cannot be recorded.
    Refused {
        /// Why.
        reason: String,
    },
    /// Its order has a conversion, and this is what was done to it now.
    Done {
        /// What was done: `recorded`, `refunded`, `approve`.
        steps: Vec<String>,
        /// What was said and could not be done.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
    },
}

/// The answer to a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a delivery may have been refused"]
pub struct Received {
    /// What came of it, now or when it came first.
    pub outcome: Outcome,
    /// Whether it had come before.
    pub replayed: bool,
    /// The conversion of its order, as it is now.
    pub conversion: Option<Converted>,
}

/// A conversion as an answer shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Converted {
    /// Which one.
    pub reference: ConversionRef,
    /// Its state.
    pub state: State,
    /// The commission, before fees.
    pub commission: Money,
}

/// A delivery could not be taken in; nothing of it may be committed.
#[derive(Debug, thiserror::Error)]
pub enum InboxError {
    /// Stored facts cannot be read.
    #[error("inconsistency in settlement.inbox of order {order:?}: {problem}")]
    Inconsistent {
        /// The order.
        order: String,
        /// What cannot be read.
        problem: String,
    },
    /// Its conversion could not be recorded or changed.
    #[error(transparent)]
    Conversion(#[from] ConversionError),
    /// Postgres failed.
    #[error("the inbox could not be read or written")]
    Database(#[from] sqlx::Error),
}

/// How a text that may name a click is read, as of the order's time; nothing if no reference of a
/// click looks like that.
pub type ReadClick<'a> = &'a (dyn Fn(&str, DateTime<Utc>) -> Option<ClickRef> + Send + Sync);

/// Takes in a delivery of a store: keeps it, and brings its order to where all that was ever said
/// about it says it stands.
///
/// # Errors
/// Nothing of the delivery may then be committed; its sender will send it again.
pub async fn receive(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    risk: &RiskSettings,
    connection: &Connection,
    delivery: &Delivery,
    read_click: ReadClick<'_>,
) -> Result<Received, InboxError> {
    if !store::keep(conn, now, by, connection, delivery).await? {
        return again(conn, connection, delivery).await;
    }
    let (outcome, conversion) = match &delivery.says {
        Says::Nothing(reason) => {
            let reason = reason.clone();
            (Outcome::Ignored { reason }, None)
        }
        Says::About(about) => {
            let order = store::lock(conn, connection, about).await?;
            settle(conn, now, by, risk, connection, &order, read_click).await?
        }
    };
    store::conclude(conn, connection, delivery, &outcome).await?;
    Ok(Received {
        outcome,
        replayed: false,
        conversion,
    })
}

/// A delivery that came before: the same answer, with the conversion as it is now.
async fn again(
    conn: &mut PgConnection,
    connection: &Connection,
    delivery: &Delivery,
) -> Result<Received, InboxError> {
    let outcome = store::outcome(conn, connection, delivery).await?;
    let conversion = match &delivery.says {
        Says::Nothing(_) => None,
        Says::About(about) => {
            let order = store::canonical(conn, connection, &about.order).await?;
            let reference = reference(connection, &order);
            let standing = store::standing(conn, reference).await?;
            standing.map(|standing| standing.shown(reference))
        }
    };
    Ok(Received {
        outcome,
        replayed: true,
        conversion,
    })
}

fn reference(connection: &Connection, order: &str) -> ConversionRef {
    ConversionRef::of_order(connection.program, &order_ref(connection, order))
}

fn order_ref(connection: &Connection, order: &str) -> String {
    format!("{}{order}", connection.order_prefix)
}

/// Brings an order, which is locked, to where its facts say it stands.
async fn settle(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    risk: &RiskSettings,
    connection: &Connection,
    order: &store::Locked,
    read_click: ReadClick<'_>,
) -> Result<(Outcome, Option<Converted>), InboxError> {
    let folded = fold::fold(&store::facts(conn, connection, &order.key).await?);
    let reference = reference(connection, &order.key);
    let mut work = Work {
        steps: Vec::new(),
        notes: Vec::new(),
    };
    if let Some(seen) = &folded.order {
        let mut asked = match new_order(connection, &order.key, seen) {
            Ok(asked) => asked,
            Err(outcome) => return Ok((outcome, None)),
        };
        asked.details.paid = folded.standing.paid;
        let named = seen
            .clicks
            .iter()
            .find_map(|text| read_click(text, seen.placed_at));
        asked.click = named.as_ref().map(|click| click.id);
        asked.details.click_check = named.as_ref().map(|click| click.check().to_owned());
        // The order may have overtaken its click, of which a token tells enough.
        if let Some(claims) = named.and_then(|click| click.claims)
            && claims.program == connection.program
        {
            tracking::record(conn, now, by, &[claims.click()]).await?;
        }
        let referred = store::referred(conn, &mut asked, &seen.coupons).await?;
        if (connection.record_all || referred)
            && let Some(refused) = work.record(conn, now, by, risk, &asked).await?
        {
            return Ok((refused, None));
        }
    }
    let Some(standing) = store::standing(conn, reference).await? else {
        return Ok(match folded.order {
            Some(_) => (Outcome::NotReferred, None),
            None => (Outcome::Waiting, None),
        });
    };
    work.refund(conn, now, by, connection, order, &folded, standing)
        .await?;
    work.decide(conn, now, by, connection, order, &folded)
        .await?;
    let standing = store::standing(conn, reference).await?;
    let outcome = Outcome::Done {
        steps: work.steps,
        notes: work.notes,
    };
    Ok((outcome, standing.map(|it| it.shown(reference))))
}

/// The order to record, or what comes of it if it cannot be one.
fn new_order(connection: &Connection, key: &str, seen: &OrderSeen) -> Result<Order, Outcome> {
    let worth = seen.currency.parse::<Currency>();
    let worth = worth.and_then(|currency| fold::money(&seen.amount, currency));
    let worth = worth.map_err(|error| Outcome::Refused {
        reason: error.to_string(),
    })?;
    if worth.is_zero() {
        let reason = "the order is worth nothing".to_owned();
        return Err(Outcome::Ignored { reason });
    }
    let user = seen.customer.as_ref().and_then(|text| {
        let hash: Vec<u8> = hex::decode(text).ok()?;
        UserHash::from_stored(&hash)
    });
    let order_ref = order_ref(connection, key);
    Ok(Order {
        user,
        details: Details {
            product: product(seen),
            ..Details::default()
        },
        ..Order::new(connection.program, order_ref, seen.placed_at, worth)
    })
}

/// The one product of an order that has no other.
fn product(seen: &OrderSeen) -> Option<String> {
    let [line] = seen.lines.as_slice() else {
        return None;
    };
    let plain = line.sku.len() <= 200 && !line.sku.contains(char::is_control);
    plain.then(|| line.sku.clone())
}

/// What is done to one order.
struct Work {
    steps: Vec<String>,
    notes: Vec<String>,
}

impl Work {
    async fn record(
        &mut self,
        conn: &mut PgConnection,
        now: DateTime<Utc>,
        by: &Actor,
        risk: &RiskSettings,
        order: &Order,
    ) -> Result<Option<Outcome>, InboxError> {
        let orders = std::slice::from_ref(order);
        let answers = conversion::take(conn, now, by, risk, orders).await?;
        match answers.into_iter().next() {
            Some(Recorded::New(..)) => self.steps.push("recorded".to_owned()),
            Some(Recorded::Conflict(_, stands)) => self.notes.push(format!(
                "the order was recorded as {stands}, which stands, and is now said to be {}",
                order.amount
            )),
            Some(Recorded::Refused(refusal)) => {
                return Ok(Some(Outcome::Refused {
                    reason: OrderRefusal::to_string(&refusal),
                }));
            }
            Some(Recorded::Duplicate(_)) | None => {}
        }
        Ok(None)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "connection, moment and author, and what is refunded of which order"
    )]
    async fn refund(
        &mut self,
        conn: &mut PgConnection,
        now: DateTime<Utc>,
        by: &Actor,
        connection: &Connection,
        order: &store::Locked,
        folded: &Folded,
        standing: Standing,
    ) -> Result<(), InboxError> {
        let target = match folded.refunded(standing.order) {
            Ok(target) => target,
            Err(error) => {
                self.notes.push(error.to_string());
                return Ok(());
            }
        };
        let more = target.checked_sub(standing.refunded);
        let Some(amount) = more.ok().and_then(|more| Amount::new(more).ok()) else {
            return Ok(());
        };
        let refund = Refund {
            refund_ref: format!("{} of {}", target.amount(), order.key),
            order_ref: Some(order_ref(connection, &order.key)),
            book: Some(connection.program.book),
            occurred_at: folded.refunded_at.unwrap_or(now),
            amount,
            reason: None,
            note: folded.refund_note(),
        };
        let answers = conversion::refund(conn, now, by, &[refund]).await?;
        match answers.into_iter().next() {
            Some(Refunded::Applied(..) | Refunded::Duplicate(_)) | None => {
                self.steps.push(format!("refunded {}", amount.money()));
            }
            Some(other) => self.notes.push(format!("refund not applied: {other:?}")),
        }
        Ok(())
    }

    async fn decide(
        &mut self,
        conn: &mut PgConnection,
        now: DateTime<Utc>,
        by: &Actor,
        connection: &Connection,
        order: &store::Locked,
        folded: &Folded,
    ) -> Result<(), InboxError> {
        let reference = reference(connection, &order.key);
        let mut applied = order.applied;
        for _ in 0..steps::LONGEST {
            let Some(standing) = store::standing(conn, reference).await? else {
                break;
            };
            let mut target = folded.standing;
            target.paid &= connection.auto_approve_on_paid || standing.auto_approve;
            target.paid &= !standing.needs_somebody;
            let Some(action) = steps::next(standing.state, applied, target) else {
                break;
            };
            let decision = Decision {
                action,
                reason: format!("{} says: {}", connection.source, folded.word),
            };
            let answers = conversion::decide(conn, now, by, &decision, &[reference]).await?;
            let Some(Changed::To(_)) = answers.first() else {
                self.notes.push(format!("cannot {}", action.as_str()));
                break;
            };
            self.steps.push(action.as_str().to_owned());
            applied = steps::applied(applied, action);
        }
        if applied != order.applied {
            store::save_applied(conn, connection, &order.key, applied).await?;
        }
        Ok(())
    }
}
