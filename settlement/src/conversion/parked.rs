//! The car park: refunds that fit no order, kept until finance resolves them.

use chrono::{DateTime, Utc};
use ledger::{Actor, Money};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{CONVERSIONS, ConversionError, Refund};
use crate::terms::stored_names;

/// Why a refund is parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// No conversion has that order reference.
    OrderUnknown,
    /// Several brands have that order reference.
    OrderAmbiguous,
    /// More is refunded than is left of the order.
    ExceedsOrder,
    /// It is in another currency than the order.
    CurrencyDiffers,
}

stored_names!(Reason,
    Reason::OrderUnknown => "order_unknown", Reason::OrderAmbiguous => "order_ambiguous",
    Reason::ExceedsOrder => "exceeds_order", Reason::CurrencyDiffers => "currency_differs");

/// A refund on its way into the car park.
pub(super) struct Parked<'a> {
    pub refund: &'a Refund,
    pub reason: Reason,
}

/// A parked refund, as finance sees it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ParkedRefund {
    /// The brand's reference of the refund.
    pub refund_ref: String,
    /// The order it was said to belong to.
    pub order_ref: Option<String>,
    /// When it happened, UTC.
    pub occurred_at: DateTime<Utc>,
    /// How much.
    pub amount: Money,
    /// What else the sender said.
    pub note: String,
    /// Why it is parked.
    pub reason: String,
}

/// Parks refunds; one that is parked already stays as it is.
pub(super) async fn park(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    parked: &[Parked<'_>],
) -> Result<(), ConversionError> {
    let ids: Vec<Uuid> = parked
        .iter()
        .map(|p| Uuid::new_v5(&CONVERSIONS, format!("parked\u{1f}{}", p.refund.refund_ref).as_bytes()))
        .collect();
    let references: Vec<String> = parked.iter().map(|p| p.refund.refund_ref.clone()).collect();
    let orders: Vec<Option<String>> = parked.iter().map(|p| p.refund.order_ref.clone()).collect();
    let times: Vec<DateTime<Utc>> = parked.iter().map(|p| p.refund.occurred_at).collect();
    let currencies: Vec<String> =
        parked.iter().map(|p| p.refund.amount.currency().code().to_owned()).collect();
    let amounts: Vec<i64> = parked.iter().map(|p| p.refund.amount.minor()).collect();
    let notes: Vec<String> = parked.iter().map(|p| p.refund.note.clone()).collect();
    let reasons: Vec<String> = parked.iter().map(|p| p.reason.as_str().to_owned()).collect();
    sqlx::query!(
        r#"
        insert into settlement.parked_refund
            (id, refund_ref, order_ref, occurred_at, currency, amount, note, reason,
             parked_at, parked_by)
        select u.*, $9, $10
        from unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::text[],
                    $6::bigint[], $7::text[], $8::text[]) as u
        on conflict (refund_ref) do nothing
        "#,
        &ids,
        &references,
        &orders as &[Option<String>],
        &times,
        &currencies,
        &amounts,
        &notes,
        &reasons,
        now,
        by.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Marks parked refunds as resolved; they stay visible with their resolution.
pub(super) async fn resolve(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    refund_refs: &[String],
    resolution: &str,
) -> Result<(), ConversionError> {
    sqlx::query!(
        r#"
        update settlement.parked_refund
        set resolved_at = $2, resolved_by = $3, resolution = $4
        where refund_ref = any ($1) and resolved_at is null
        "#,
        refund_refs,
        now,
        by.as_str(),
        resolution,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Refunds that wait for finance, oldest first.
pub async fn waiting(
    conn: &mut PgConnection,
    limit: i64,
) -> Result<Vec<ParkedRefund>, ConversionError> {
    let rows = sqlx::query!(
        r#"
        select id, refund_ref, order_ref, occurred_at, currency, amount, note, reason
        from settlement.parked_refund
        where resolved_at is null
        order by occurred_at, refund_ref
        limit $1
        "#,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let wrong = |_| ConversionError::Inconsistent {
                conversion: row.id,
                problem: "the amount of a parked refund".to_owned(),
            };
            let currency: ledger::Currency = row.currency.parse().map_err(wrong)?;
            Ok(ParkedRefund {
                refund_ref: row.refund_ref,
                order_ref: row.order_ref,
                occurred_at: row.occurred_at,
                amount: Money::try_from_minor(row.amount, currency).map_err(wrong)?,
                note: row.note,
                reason: row.reason,
            })
        })
        .collect()
}
