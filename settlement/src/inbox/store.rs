//! The inbox in Postgres.

use chrono::{DateTime, Utc};
use ledger::{Actor, Currency, Money};
use sqlx::PgConnection;

use super::connection::Connection;
use super::fact::{About, Delivery, Fact, Says};
use super::fold::Overlay;
use super::{Converted, InboxError, Outcome};
use crate::conversion::{ConversionRef, Order, State};
use crate::coupon::Code;

/// Keeps a delivery. `false` if it came before; who brings it at the same moment waits here.
pub(super) async fn keep(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    connection: &Connection,
    delivery: &Delivery,
) -> Result<bool, InboxError> {
    let (order, facts) = match &delivery.says {
        Says::About(about) => (Some(about.order.as_str()), serde_json::json!(about.facts)),
        Says::Nothing(_) => (None, serde_json::json!([])),
    };
    let kept = sqlx::query!(
        r#"
        insert into settlement.inbox (book_id, source, delivery_key, connection_id, topic,
            body_hash, order_key, facts, received_at, received_by)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        on conflict (book_id, source, delivery_key) do nothing
        "#,
        connection.program.book.value(),
        connection.source,
        delivery.key,
        connection.id,
        delivery.topic,
        &delivery.body_hash[..],
        order,
        facts,
        now,
        by.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(kept.rows_affected() == 1)
}

/// Writes what came of a delivery, once.
pub(super) async fn conclude(
    conn: &mut PgConnection,
    connection: &Connection,
    delivery: &Delivery,
    outcome: &Outcome,
) -> Result<(), InboxError> {
    sqlx::query!(
        r#"
        update settlement.inbox set outcome = $4
        where book_id = $1 and source = $2 and delivery_key = $3
        "#,
        connection.program.book.value(),
        connection.source,
        delivery.key,
        serde_json::json!(outcome),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What came of a delivery that came before.
pub(super) async fn outcome(
    conn: &mut PgConnection,
    connection: &Connection,
    delivery: &Delivery,
) -> Result<Outcome, InboxError> {
    let stored = sqlx::query_scalar!(
        r#"
        select outcome from settlement.inbox
        where book_id = $1 and source = $2 and delivery_key = $3
        "#,
        connection.program.book.value(),
        connection.source,
        delivery.key,
    )
    .fetch_one(conn)
    .await?;
    let read = stored.map(serde_json::from_value).transpose();
    match read {
        Ok(Some(outcome)) => Ok(outcome),
        Ok(None) | Err(_) => Err(inconsistent(&delivery.key, "its outcome")),
    }
}

fn inconsistent(order: &str, problem: &str) -> InboxError {
    InboxError::Inconsistent {
        order: order.to_owned(),
        problem: problem.to_owned(),
    }
}

/// An order whose deliveries wait for us.
pub(super) struct Locked {
    /// The id that its deliveries are kept under, whatever alias they named.
    pub key: String,
    /// What they brought about so far.
    pub applied: Overlay,
}

/// Locks the order that a delivery is about, under all the ids that it names.
///
/// Aliases are locked before the order that they stand for: everybody goes the same way.
pub(super) async fn lock(
    conn: &mut PgConnection,
    connection: &Connection,
    about: &About,
) -> Result<Locked, InboxError> {
    let mut aliases = about.aliases.clone();
    aliases.retain(|alias| *alias != about.order);
    aliases.sort_unstable();
    aliases.dedup();
    for alias in &aliases {
        lock_one(conn, connection, alias).await?;
    }
    lock_one(conn, connection, &about.order).await?;
    let key = canonical(conn, connection, &about.order).await?;
    if key != about.order {
        lock_one(conn, connection, &key).await?;
    }
    let book = connection.program.book.value();
    sqlx::query!(
        r#"
        update settlement.store_order set alias_of = $4
        where book_id = $1 and connection_id = $2 and order_key = any ($3) and alias_of is null
          and order_key <> $4
        "#,
        book,
        connection.id,
        &aliases,
        key,
    )
    .execute(&mut *conn)
    .await?;
    // A later statement than the lock: it sees what the delivery before brought about.
    let applied = sqlx::query_scalar!(
        r#"
        select applied from settlement.store_order
        where book_id = $1 and connection_id = $2 and order_key = $3
        "#,
        book,
        connection.id,
        key,
    )
    .fetch_one(conn)
    .await?;
    let applied = Overlay::named(&applied).ok_or_else(|| inconsistent(&key, "applied"))?;
    Ok(Locked { key, applied })
}

async fn lock_one(
    conn: &mut PgConnection,
    connection: &Connection,
    order: &str,
) -> Result<(), InboxError> {
    let book = connection.program.book.value();
    sqlx::query!(
        r#"
        insert into settlement.store_order (book_id, connection_id, order_key, applied)
        values ($1, $2, $3, 'nothing')
        on conflict (book_id, connection_id, order_key) do nothing
        "#,
        book,
        connection.id,
        order,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        r#"
        select 1 as locked from settlement.store_order
        where book_id = $1 and connection_id = $2 and order_key = $3
        for update
        "#,
        book,
        connection.id,
        order,
    )
    .fetch_one(conn)
    .await?;
    Ok(())
}

/// The order that an id stands for: itself, where it is no alias.
pub(super) async fn canonical(
    conn: &mut PgConnection,
    connection: &Connection,
    order: &str,
) -> Result<String, InboxError> {
    let alias_of = sqlx::query_scalar!(
        r#"
        select alias_of from settlement.store_order
        where book_id = $1 and connection_id = $2 and order_key = $3
        "#,
        connection.program.book.value(),
        connection.id,
        order,
    )
    .fetch_optional(conn)
    .await?;
    Ok(alias_of.flatten().unwrap_or_else(|| order.to_owned()))
}

/// All that was ever said about an order, under any of its ids.
pub(super) async fn facts(
    conn: &mut PgConnection,
    connection: &Connection,
    order: &str,
) -> Result<Vec<Fact>, InboxError> {
    let rows = sqlx::query_scalar!(
        r#"
        select i.facts from settlement.inbox i
        where i.book_id = $1 and i.connection_id = $2
          and (i.order_key = $3 or i.order_key in (
              select o.order_key from settlement.store_order o
              where o.book_id = $1 and o.connection_id = $2 and o.alias_of = $3))
        "#,
        connection.program.book.value(),
        connection.id,
        order,
    )
    .fetch_all(conn)
    .await?;
    let mut facts = Vec::new();
    for row in rows {
        let read: Result<Vec<Fact>, _> = serde_json::from_value(row);
        facts.extend(read.map_err(|_| inconsistent(order, "a fact"))?);
    }
    Ok(facts)
}

/// Remembers what the deliveries of an order laid over its conversion.
pub(super) async fn save_applied(
    conn: &mut PgConnection,
    connection: &Connection,
    order: &str,
    applied: Overlay,
) -> Result<(), InboxError> {
    sqlx::query!(
        r#"
        update settlement.store_order set applied = $4
        where book_id = $1 and connection_id = $2 and order_key = $3
        "#,
        connection.program.book.value(),
        connection.id,
        order,
        applied.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A conversion as far as a delivery has to know it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    pub state: State,
    /// The order as it was reported, in its own currency.
    pub order: Money,
    /// How much of that was refunded.
    pub refunded: Money,
    /// Whether its terms approve what is paid.
    pub auto_approve: bool,
    /// Whether it is over a cap or waits for a rate, and is never approved by itself.
    pub needs_somebody: bool,
    commission: Money,
}

impl Standing {
    pub(super) fn shown(self, reference: ConversionRef) -> Converted {
        Converted {
            reference,
            state: self.state,
            commission: self.commission,
        }
    }
}

/// A conversion as it is now, if there is one.
pub(super) async fn standing(
    conn: &mut PgConnection,
    reference: ConversionRef,
) -> Result<Option<Standing>, InboxError> {
    let row = sqlx::query!(
        r#"
        select c.state, c.held_from, c.currency, c.gross,
               coalesce(c.original_currency, c.currency) as "reported_in!",
               coalesce(c.original_amount, c.order_amount) as "order_amount!",
               coalesce(c.original_refunded, c.refunded) as "refunded!",
               t.rules ->> 'auto_approve' is not distinct from 'on_paid' as "auto_approve!",
               c.priced_by ? 'over' or c.original_currency is not null and c.fx is null
                   as "needs_somebody!"
        from settlement.conversion c
        join settlement.program_terms t on t.book_id = c.book_id and t.program_id = c.program_id
             and t.version = c.terms_version
        where c.book_id = $1 and c.id = $2
        "#,
        reference.book.value(),
        reference.id,
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let wrong = |problem: &str| inconsistent(&reference.id.to_string(), problem);
    let money = |minor, currency: &str| {
        let currency: Currency = currency.parse().map_err(|_| wrong("currency"))?;
        Money::try_from_minor(minor, currency).map_err(|_| wrong("amount"))
    };
    Ok(Some(Standing {
        state: State::named(&row.state, row.held_from.as_deref()).ok_or_else(|| wrong("state"))?,
        order: money(row.order_amount, &row.reported_in)?,
        refunded: money(row.refunded, &row.reported_in)?,
        auto_approve: row.auto_approve,
        needs_somebody: row.needs_somebody,
        commission: money(row.gross, &row.currency)?,
    }))
}

/// Whether anybody of ours may have referred an order: it names a click, a coupon of the program,
/// which is then its coupon, or a user whom we know.
pub(super) async fn referred(
    conn: &mut PgConnection,
    order: &mut Order,
    coupons: &[String],
) -> Result<bool, InboxError> {
    let codes = coupons.iter().filter_map(|text| Code::new(text).ok());
    let codes: Vec<String> = codes.map(|code| code.as_str().to_owned()).collect();
    let book = order.program.book.value();
    let found = sqlx::query!(
        r#"
        select (select c.code from settlement.coupon c
                where c.book_id = $1 and c.program_id = $2 and c.code = any ($3)
                order by c.code limit 1) as code,
               exists (select from settlement.identity i
                       where i.book_id = $1 and i.user_hash = $4)
               or exists (select from settlement.claim m
                          where m.book_id = $1 and m.user_hash = $4) as "known!"
        "#,
        book,
        order.program.id,
        &codes,
        order.user.map(|user| user.bytes().to_vec()),
    )
    .fetch_one(conn)
    .await?;
    order.coupon = found.code.and_then(|code| Code::new(&code).ok());
    Ok(order.click.is_some() || order.coupon.is_some() || found.known)
}
