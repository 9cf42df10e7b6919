//! The car park: refunds that fit no order, kept until finance resolves them.

use chrono::{DateTime, Utc};
use ledger::{Actor, Amount, BookId, Currency, Money};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{CONVERSIONS, ConversionError, Refund};
use crate::columns::column;
use crate::commission::CommissionError;
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
    /// What became of it, if it left the car park.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<String>,
}

/// The place of a refund in the car park: all that the sender said. Cancellations of several items
/// share a reference, and none of them may push another out.
pub(super) fn id(refund: &Refund) -> Uuid {
    let book = refund.book.map(|book| book.to_string()).unwrap_or_default();
    let said = [
        "parked",
        &book,
        &refund.refund_ref,
        refund.order_ref.as_deref().unwrap_or_default(),
        &refund.amount.money().to_string(),
        &refund.note,
    ];
    Uuid::new_v5(&CONVERSIONS, said.join("\u{1f}").as_bytes())
}

/// Parks refunds; one that is parked already stays as it is.
#[expect(
    clippy::as_conversions,
    reason = "tells sqlx that an array may hold nulls; converts nothing"
)]
pub(super) async fn park(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    parked: &[Parked<'_>],
) -> Result<(), ConversionError> {
    let orders: Vec<Option<String>> = column(parked, |p| p.refund.order_ref.clone());
    let books: Vec<Option<i64>> = column(parked, |p| p.refund.book.map(BookId::value));
    let query = sqlx::query!(
        r#"
        insert into settlement.parked_refund
            (id, book_id, refund_ref, order_ref, occurred_at, currency, amount, note, reason,
             parked_at, parked_by)
        select u.*, $10, $11
        from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::timestamptz[],
                    $6::text[], $7::bigint[], $8::text[], $9::text[])
             as u (id, book_id, refund_ref, order_ref, occurred_at, currency, amount, note, reason)
        order by u.id -- two sessions with the same refunds wait, and never deadlock
        on conflict (id) do nothing
        "#,
        &column(parked, |p| id(p.refund)),
        &books as &[Option<i64>],
        &column(parked, |p| p.refund.refund_ref.clone()),
        &orders as &[Option<String>],
        &column(parked, |p| p.refund.occurred_at),
        &column(parked, |p| p.refund.amount.currency().code().to_owned()),
        &column(parked, |p| p.refund.amount.minor()),
        &column(parked, |p| p.refund.note.clone()),
        &column(parked, |p| p.reason.as_str().to_owned()),
        now,
        by.as_str(),
    );
    query.execute(conn).await?;
    Ok(())
}

/// Marks parked refunds as resolved; they stay visible with their resolution.
pub(super) async fn resolve(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    parked: &[Uuid],
    resolution: &str,
) -> Result<(), ConversionError> {
    sqlx::query!(
        r#"
        update settlement.parked_refund
        set resolved_at = $2, resolved_by = $3, resolution = $4
        where id = any ($1) and resolved_at is null
        "#,
        parked,
        now,
        by.as_str(),
        resolution,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Parked refunds whose order was unknown and is one of these; for one book only, if they name it.
pub(super) async fn waiting_for(
    conn: &mut PgConnection,
    order_refs: &[String],
) -> Result<Vec<Refund>, ConversionError> {
    let rows = sqlx::query!(
        r#"
        select id, book_id, refund_ref, order_ref, occurred_at, currency, amount, note
        from settlement.parked_refund
        where resolved_at is null and reason = 'order_unknown' and order_ref = any ($1)
        order by occurred_at, id
        "#,
        order_refs,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let amount = money(row.id, &row.currency, row.amount)?;
            Ok(Refund {
                refund_ref: row.refund_ref,
                order_ref: row.order_ref,
                book: row.book_id.map(BookId::from_value),
                occurred_at: row.occurred_at,
                amount: Amount::new(amount).map_err(CommissionError::from)?,
                reason: None,
                note: row.note,
            })
        })
        .collect()
}

fn money(parked: Uuid, currency: &str, minor: i64) -> Result<Money, ConversionError> {
    let wrong = |_| ConversionError::Inconsistent {
        conversion: parked,
        problem: "the amount of a parked refund".to_owned(),
    };
    let currency: Currency = currency.parse().map_err(wrong)?;
    Money::try_from_minor(minor, currency).map_err(wrong)
}

/// Refunds that wait for finance, oldest first.
pub async fn waiting(
    conn: &mut PgConnection,
    limit: i64,
) -> Result<Vec<ParkedRefund>, ConversionError> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select id, refund_ref, order_ref, occurred_at, currency, amount, note, reason, resolution
        from settlement.parked_refund
        where resolved_at is null
        order by occurred_at, refund_ref
        limit $1
        "#,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Row::read).collect()
}

/// Refunds that were parked under an id, their own reference or that of their order, with what
/// became of them.
pub async fn named(
    conn: &mut PgConnection,
    asked: &str,
) -> Result<Vec<ParkedRefund>, ConversionError> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select id, refund_ref, order_ref, occurred_at, currency, amount, note, reason, resolution
        from settlement.parked_refund
        where id = $1 or refund_ref = $2 or order_ref = $2
        order by occurred_at, refund_ref
        "#,
        asked.parse::<Uuid>().ok(),
        asked,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Row::read).collect()
}

/// A parked refund's columns.
struct Row {
    id: Uuid,
    refund_ref: String,
    order_ref: Option<String>,
    occurred_at: DateTime<Utc>,
    currency: String,
    amount: i64,
    note: String,
    reason: String,
    resolution: Option<String>,
}

impl Row {
    fn read(self) -> Result<ParkedRefund, ConversionError> {
        Ok(ParkedRefund {
            amount: money(self.id, &self.currency, self.amount)?,
            refund_ref: self.refund_ref,
            order_ref: self.order_ref,
            occurred_at: self.occurred_at,
            note: self.note,
            reason: self.reason,
            resolution: self.resolution,
        })
    }
}
