//! Writing orders: the raw events, then the conversions with their attribution.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use ledger::{Actor, Currency, Money};
use sqlx::PgConnection;
use uuid::Uuid;

use super::Accepted;
use super::price::Priced;
use crate::columns::column;
use crate::conversion::ConversionError;

/// Writes the raw orders; returns what stood before under those that were there already.
#[expect(
    clippy::as_conversions,
    reason = "tells sqlx that an array may hold nulls; converts nothing"
)]
pub(super) async fn events(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    accepted: &[Accepted<'_>],
) -> Result<HashMap<Uuid, Money>, ConversionError> {
    let books: Vec<i64> = column(accepted, |a| a.order.program.book.value());
    let ids: Vec<Uuid> = column(accepted, Accepted::event);
    let visitors: Vec<Option<String>> = column(accepted, |a| a.order.visitor.clone());
    let clicks: Vec<Option<Uuid>> = column(accepted, |a| a.order.click);
    let publishers: Vec<Option<Uuid>> = column(accepted, |a| a.order.publisher);
    let reporters = column(accepted, |a| {
        let reporter = a.order.reported_by.as_ref().unwrap_or(by);
        reporter.as_str().to_owned()
    });
    let users: Vec<Option<Vec<u8>>> =
        column(accepted, |a| a.order.user.map(|user| user.bytes().to_vec()));
    let coupons: Vec<Option<String>> = column(accepted, |a| {
        a.order.coupon.as_ref().map(|code| code.as_str().to_owned())
    });
    let query = sqlx::query_scalar!(
        r#"
        insert into settlement.event (book_id, id, program_id, kind, external_ref, order_ref,
            occurred_at, received_at, recorded_by, currency, amount, visitor, click_id,
            publisher_id, details, user_hash, coupon)
        select u.book_id, u.id, u.program_id, 'order', u.reference, u.reference, u.occurred_at,
               $12, u.reporter, u.currency, u.amount, u.visitor, u.click_id, u.publisher_id,
               u.details, u.user_hash, u.coupon
        from unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[],
                    $6::text[], $7::bigint[], $8::text[], $9::uuid[], $10::uuid[], $11::jsonb[],
                    $13::text[], $14::bytea[], $15::text[])
             with ordinality
             as u (book_id, id, program_id, reference, occurred_at, currency, amount, visitor,
                   click_id, publisher_id, details, reporter, user_hash, coupon, n)
        order by u.book_id, u.id, u.n -- two sessions with the same orders wait, and never deadlock
        on conflict (book_id, id) do nothing
        returning id
        "#,
        &books,
        &ids,
        &column(accepted, |a| a.order.program.id),
        &column(accepted, |a| a.order.order_ref.clone()),
        &column(accepted, |a| a.order.occurred_at),
        &column(accepted, |a| a.order.amount.currency().code().to_owned()),
        &column(accepted, |a| a.order.amount.minor()),
        &visitors as &[Option<String>],
        &clicks as &[Option<Uuid>],
        &publishers as &[Option<Uuid>],
        &column(accepted, |a| a.order.details.stored()),
        now,
        &reporters,
        &users as &[Option<Vec<u8>>],
        &coupons as &[Option<String>],
    );
    let new: Vec<Uuid> = query.fetch_all(&mut *conn).await?;
    if new.len() == accepted.len() {
        return Ok(HashMap::new());
    }
    // A later statement than the insert: it sees what another session committed first.
    let rows = sqlx::query!(
        r#"
        select e.id, e.amount, e.currency
        from unnest($1::bigint[], $2::uuid[]) as u (book_id, id)
        join settlement.event e on e.book_id = u.book_id and e.id = u.id
        where e.id <> all ($3)
        "#,
        &books,
        &ids,
        &new,
    )
    .fetch_all(conn)
    .await?;
    let mut standing = HashMap::new();
    for row in rows {
        let wrong = |_| ConversionError::Inconsistent {
            conversion: row.id,
            problem: "the amount of its order".to_owned(),
        };
        let currency: Currency = row.currency.parse().map_err(wrong)?;
        standing.insert(
            row.id,
            Money::try_from_minor(row.amount, currency).map_err(wrong)?,
        );
    }
    Ok(standing)
}

/// Writes new conversions and why they are credited as they are.
#[expect(
    clippy::as_conversions,
    reason = "tells sqlx that an array may hold nulls; converts nothing"
)]
pub(super) async fn conversions(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    priced: &[Priced<'_>],
) -> Result<(), ConversionError> {
    let publishers: Vec<Option<Uuid>> = column(priced, |p| p.credit.publisher);
    let clicks: Vec<Option<Uuid>> = column(priced, |p| p.credit.click);
    let credits: Vec<Option<i32>> = column(priced, |p| (!p.parts.0.is_empty()).then_some(1));
    let customers: Vec<Option<String>> = column(priced, |p| p.item.order.customer());
    let originals: Vec<Option<i64>> = column(priced, |p| p.original.map(Money::minor));
    let currencies: Vec<Option<String>> = column(priced, |p| {
        p.original.map(|money| money.currency().code().to_owned())
    });
    let quotes: Vec<Option<serde_json::Value>> = column(priced, |p| {
        p.quote.as_ref().map(|quote| serde_json::json!(quote))
    });
    let paid: Vec<Option<DateTime<Utc>>> = column(priced, |p| {
        p.item
            .order
            .details
            .paid
            .then_some(p.item.order.occurred_at)
    });
    let query = sqlx::query!(
        r#"
        with item as materialized (
            select * from unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::text[], $5::uuid[],
                $6::timestamptz[], $7::int[], $8::text[], $9::uuid[], $10::uuid[], $11::text[],
                $12::bigint[], $13::jsonb[], $14::bigint[], $15::bigint[], $16::bigint[],
                $17::bigint[], $18::bigint[], $19::text[], $20::jsonb[], $21::text[], $22::text[],
                $23::bigint[], $24::jsonb[], $25::timestamptz[], $26::jsonb[], $27::int[])
            as u (book_id, id, program_id, order_ref, event_id, occurred_at, terms_version, state,
                  publisher_id, click_id, currency, order_amount, frozen_rate, gross, brand_due,
                  publisher_due, fee_brand, fee_publisher, model, priced_by, customer,
                  original_currency, original_amount, fx, paid_at, considered,
                  credit_version)
        ), attributed as (
            insert into settlement.attribution (book_id, conversion_id, version, model, click_id,
                                                publisher_id, considered, decided_at,
                                                decided_by)
            select book_id, id, 1, model, click_id, publisher_id, considered, $28, $29 from item
        )
        insert into settlement.conversion (book_id, id, program_id, order_ref, event_id,
            occurred_at, terms_version, state, version, publisher_id, click_id, currency,
            order_amount, refunded, frozen_rate, gross, brand_due, publisher_due, fee_brand,
            fee_publisher, priced_by, customer, original_currency, original_amount,
            original_refunded, fx, paid_at, attributed_version, credit_version, changed_at,
            changed_by)
        select book_id, id, program_id, order_ref, event_id, occurred_at, terms_version, state, 1,
               publisher_id, click_id, currency, order_amount, 0, frozen_rate, gross, brand_due,
               publisher_due, fee_brand, fee_publisher, priced_by, customer, original_currency,
               original_amount, case when original_amount is not null then 0 end, fx, paid_at,
               1, credit_version, $28, $29
        from item
        "#,
        &column(priced, |p| p.reference.book.value()),
        &column(priced, |p| p.reference.id),
        &column(priced, |p| p.item.order.program.id),
        &column(priced, |p| p.item.order.order_ref.clone()),
        &column(priced, |p| p.item.event()),
        &column(priced, |p| p.item.order.occurred_at),
        &column(priced, |p| p.item.version),
        &column(priced, |p| p.state.stored().0.to_owned()),
        &publishers as &[Option<Uuid>],
        &clicks as &[Option<Uuid>],
        &column(priced, |p| p.item.terms.currency.code().to_owned()),
        &column(priced, |p| p.worth.minor()),
        &column(priced, |p| serde_json::json!(p.frozen.pays)),
        &column(priced, |p| p.amounts.gross().minor()),
        &column(priced, |p| p.amounts.brand_due().minor()),
        &column(priced, |p| p.amounts.publisher_due().minor()),
        &column(priced, |p| p.amounts.fee_brand().minor()),
        &column(priced, |p| p.amounts.fee_publisher().minor()),
        &column(priced, |p| p.credit.model.clone()),
        &column(priced, |p| serde_json::json!(p.by)),
        &customers as &[Option<String>],
        &currencies as &[Option<String>],
        &originals as &[Option<i64>],
        &quotes as &[Option<serde_json::Value>],
        &paid as &[Option<DateTime<Utc>>],
        &column(priced, |p| serde_json::json!(p.credit.considered)),
        &credits as &[Option<i32>],
        now,
        by.as_str(),
    );
    query.execute(conn).await?;
    Ok(())
}
