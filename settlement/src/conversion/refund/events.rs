//! Raw refunds: which were recorded before, and writing those that are applied.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use ledger::Actor;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Refund, Refunded};
use crate::columns::column;
use crate::conversion::stored::Stored;
use crate::conversion::{ConversionError, ConversionRef, derived};

/// Amount in minor units and order of recorded refunds, by event.
pub(super) type Known = HashMap<Uuid, (i64, String)>;

/// Refunds recorded before, by event id: how much, of which order.
pub(super) async fn known(
    conn: &mut PgConnection,
    stored: &HashMap<ConversionRef, Stored>,
    refunds: &[Refund],
    targets: &[Result<ConversionRef, Refunded>],
) -> Result<Known, ConversionError> {
    let (books, ids): (Vec<i64>, Vec<Uuid>) = refunds
        .iter()
        .zip(targets)
        .filter_map(|(refund, target)| {
            let stored = stored.get(target.as_ref().ok()?)?;
            Some((stored.reference.book.value(), event_of(stored, refund)))
        })
        .unzip();
    let rows = sqlx::query!(
        r#"
        select e.id, e.amount, e.order_ref
        from unnest($1::bigint[], $2::uuid[]) as u (book_id, id)
        join settlement.event e on e.book_id = u.book_id and e.id = u.id
        "#,
        &books,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.id, (row.amount, row.order_ref)))
        .collect())
}

/// The event that a refund of an order is.
pub(super) fn event_of(stored: &Stored, refund: &Refund) -> Uuid {
    // One cancellation may cover several orders: it counts once for each.
    let reference = format!("{}\u{1f}{}", refund.refund_ref, stored.order_ref);
    derived(stored.program, "refund", &reference)
}

/// Writes the raw refunds of conversions, by their places in the batch.
pub(super) async fn insert(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    stored: &HashMap<ConversionRef, Stored>,
    events: &[(usize, ConversionRef, Uuid)],
    refunds: &[Refund],
) -> Result<(), ConversionError> {
    let of = |reference: &ConversionRef| &stored[reference];
    let query = sqlx::query!(
        r#"
        insert into settlement.event (book_id, id, program_id, kind, external_ref, order_ref,
            occurred_at, received_at, recorded_by, currency, amount)
        select u.book_id, u.id, u.program_id, 'refund', u.reference, u.order_ref, u.occurred_at,
               $9, $10, u.currency, u.amount
        from unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::text[], $5::text[],
                    $6::timestamptz[], $7::text[], $8::bigint[])
             as u (book_id, id, program_id, reference, order_ref, occurred_at, currency, amount)
        "#,
        &column(events, |(_, r, _)| r.book.value()),
        &column(events, |(_, _, event)| *event),
        &column(events, |(_, r, _)| of(r).program.id),
        &column(events, |(at, ..)| refunds[*at].refund_ref.clone()),
        &column(events, |(_, r, _)| of(r).order_ref.clone()),
        &column(events, |(at, ..)| refunds[*at].occurred_at),
        &column(events, |(at, ..)| refunds[*at]
            .amount
            .currency()
            .code()
            .to_owned()),
        &column(events, |(at, ..)| refunds[*at].amount.minor()),
        now,
        by.as_str(),
    );
    query.execute(conn).await?;
    Ok(())
}
