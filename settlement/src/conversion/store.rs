//! Writing a change of conversions: the rows, their history, their entries.

use chrono::{DateTime, Utc};
use ledger::{Actor, Money, Refusal};
use sqlx::PgConnection;
use uuid::Uuid;

use super::parts::CreditRow;
use super::stored::Stored;
use super::{ConversionError, ConversionRef, State};
use crate::columns::column;
use crate::fees::Components;
use crate::posting::Posting;

/// One step of a conversion, to be written.
#[derive(Debug, Clone)]
pub(super) struct ChangeRow {
    pub reference: ConversionRef,
    pub version: i32,
    pub action: &'static str,
    pub from: State,
    pub to: State,
    pub reason: String,
    pub entries: Vec<Uuid>,
}

/// A version of what a conversion earns, to be written.
#[derive(Debug, Clone)]
pub(super) struct CommissionRow {
    pub reference: ConversionRef,
    pub version: i32,
    pub event: Uuid,
    pub base: Money,
    pub amounts: Components,
}

/// Adds parts of what several publishers share.
#[expect(
    clippy::as_conversions,
    reason = "tells sqlx that an array may hold nulls; converts nothing"
)]
pub(super) async fn add_credits(
    conn: &mut PgConnection,
    rows: &[CreditRow],
) -> Result<(), ConversionError> {
    if rows.is_empty() {
        return Ok(());
    }
    let clicks: Vec<Option<Uuid>> = column(rows, |r| r.part.credit.click);
    let weight = |row: &CreditRow| i64::try_from(row.part.credit.weight).unwrap_or(i64::MAX);
    let query = sqlx::query!(
        r#"
        insert into settlement.credit (book_id, conversion_id, version, position, publisher_id,
                                       click_id, weight, publisher_due)
        select * from unnest($1::bigint[], $2::uuid[], $3::int[], $4::smallint[], $5::uuid[],
                             $6::uuid[], $7::bigint[], $8::bigint[])
        "#,
        &column(rows, |r| r.reference.book.value()),
        &column(rows, |r| r.reference.id),
        &column(rows, |r| r.version),
        &column(rows, |r| r.position),
        &column(rows, |r| r.part.credit.publisher),
        &clicks as &[Option<Uuid>],
        &column(rows, weight),
        &column(rows, |r| r.part.due.minor()),
    );
    query.execute(conn).await?;
    Ok(())
}

/// Opens the accounts of postings and posts them all; refuses the batch if one entry is refused.
/// `owners` names the conversion of each posting.
pub(super) async fn post(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    postings: &[(ConversionRef, Posting)],
) -> Result<(), ConversionError> {
    if postings
        .iter()
        .all(|(_, posting)| posting.entries.is_empty())
    {
        return Ok(());
    }
    let mut accounts: Vec<_> = postings
        .iter()
        .flat_map(|(_, p)| p.accounts.clone())
        .collect();
    accounts.sort_by_key(|account| (account.book(), account.id()));
    accounts.dedup();
    ledger::account::open(&mut *conn, now, by, &accounts).await?;
    let owners: Vec<Uuid> = postings
        .iter()
        .flat_map(|(owner, p)| p.entries.iter().map(|_| owner.id))
        .collect();
    let entries: Vec<_> = postings
        .iter()
        .flat_map(|(_, p)| p.entries.clone())
        .collect();
    let answers = ledger::journal::post(conn, now, by, &entries).await?;
    for (conversion, answer) in owners.into_iter().zip(answers) {
        answer
            .receipt()
            .map_err(|refusal: Refusal| ConversionError::Refused {
                conversion,
                refusal,
            })?;
    }
    Ok(())
}

/// Writes what conversions are now. Each must still be at the version before.
#[expect(
    clippy::as_conversions,
    reason = "tells sqlx that an array may hold nulls; converts nothing"
)]
pub(super) async fn save(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    conversions: &[(i32, Stored)],
) -> Result<(), ConversionError> {
    let approved: Vec<Option<i32>> = column(conversions, |(_, s)| s.approved_version);
    let credits: Vec<Option<i32>> = column(conversions, |(_, s)| s.credit_version);
    let publishers: Vec<Option<Uuid>> = column(conversions, |(_, s)| s.publisher);
    let clicks: Vec<Option<Uuid>> = column(conversions, |(_, s)| s.click);
    let holds: Vec<Option<String>> =
        column(conversions, |(_, s)| s.state.stored().1.map(str::to_owned));
    let originals: Vec<Option<i64>> = column(conversions, |(_, s)| {
        s.original
            .as_ref()
            .map(|original| original.refunded.minor())
    });
    let quotes: Vec<Option<serde_json::Value>> = column(conversions, |(_, s)| {
        let quote = s
            .original
            .as_ref()
            .and_then(|original| original.quote.as_ref());
        quote.map(|quote| serde_json::json!(quote))
    });
    let query = sqlx::query!(
        r#"
        update settlement.conversion c
        set version = u.version, state = u.state, held_from = u.held_from,
            approved_version = u.approved_version, refunded = u.refunded, gross = u.gross,
            brand_due = u.brand_due, publisher_due = u.publisher_due, fee_brand = u.fee_brand,
            fee_publisher = u.fee_publisher, order_amount = u.order_amount,
            original_refunded = u.original_refunded, fx = u.fx, priced_by = u.priced_by,
            credit_version = u.credit_version, publisher_id = u.publisher_id,
            click_id = u.click_id, attributed_version = u.attributed_version,
            changed_at = $22, changed_by = $23
        from unnest($1::bigint[], $2::uuid[], $3::int[], $4::int[], $5::text[], $6::text[],
                    $7::int[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[],
                    $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::jsonb[],
                    $17::jsonb[], $18::int[], $19::uuid[], $20::uuid[], $21::int[])
             as u (book_id, id, before, version, state, held_from, approved_version, refunded,
                   gross, brand_due, publisher_due, fee_brand, fee_publisher, order_amount,
                   original_refunded, fx, priced_by, credit_version, publisher_id, click_id,
                   attributed_version)
        where c.book_id = u.book_id and c.id = u.id and c.version = u.before
        "#,
        &column(conversions, |(_, s)| s.reference.book.value()),
        &column(conversions, |(_, s)| s.reference.id),
        &column(conversions, |(before, _)| *before),
        &column(conversions, |(_, s)| s.version),
        &column(conversions, |(_, s)| s.state.stored().0.to_owned()),
        &holds as &[Option<String>],
        &approved as &[Option<i32>],
        &column(conversions, |(_, s)| s.refunded.minor()),
        &column(conversions, |(_, s)| s.amounts.gross().minor()),
        &column(conversions, |(_, s)| s.amounts.brand_due().minor()),
        &column(conversions, |(_, s)| s.amounts.publisher_due().minor()),
        &column(conversions, |(_, s)| s.amounts.fee_brand().minor()),
        &column(conversions, |(_, s)| s.amounts.fee_publisher().minor()),
        &column(conversions, |(_, s)| s.order.minor()),
        &originals as &[Option<i64>],
        &quotes as &[Option<serde_json::Value>],
        &column(conversions, |(_, s)| serde_json::json!(s.priced_by)),
        &credits as &[Option<i32>],
        &publishers as &[Option<Uuid>],
        &clicks as &[Option<Uuid>],
        &column(conversions, |(_, s)| s.attributed_version),
        now,
        by.as_str(),
    );
    let saved = query.execute(conn).await?;
    let saved = usize::try_from(saved.rows_affected()).unwrap_or(0);
    let asked = conversions.len();
    if saved == asked {
        Ok(())
    } else {
        Err(ConversionError::Raced {
            missed: asked - saved,
            asked,
        })
    }
}

/// Adds steps to the history of conversions.
pub(super) async fn add_changes(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    changes: &[ChangeRow],
) -> Result<(), ConversionError> {
    // Arrays of different lengths cannot be nested: entry ids travel as one text per change.
    let entries = column(changes, |c| {
        format!("{{{}}}", column(&c.entries, Uuid::to_string).join(","))
    });
    let query = sqlx::query!(
        r#"
        insert into settlement.change (book_id, conversion_id, version, action, from_state,
                                       to_state, reason, entry_ids, changed_at, changed_by)
        select u.book_id, u.id, u.version, u.action, u.from_state, u.to_state, u.reason,
               u.entry_ids::uuid[], $9, $10
        from unnest($1::bigint[], $2::uuid[], $3::int[], $4::text[], $5::text[], $6::text[],
                    $7::text[], $8::text[])
             as u (book_id, id, version, action, from_state, to_state, reason, entry_ids)
        "#,
        &column(changes, |c| c.reference.book.value()),
        &column(changes, |c| c.reference.id),
        &column(changes, |c| c.version),
        &column(changes, |c| c.action.to_owned()),
        &column(changes, |c| c.from.stored().0.to_owned()),
        &column(changes, |c| c.to.stored().0.to_owned()),
        &column(changes, |c| c.reason.clone()),
        &entries,
        now,
        by.as_str(),
    );
    query.execute(conn).await?;
    Ok(())
}

/// Adds versions of what conversions earn.
pub(super) async fn add_commissions(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    rows: &[CommissionRow],
) -> Result<(), ConversionError> {
    if rows.is_empty() {
        return Ok(());
    }
    let query = sqlx::query!(
        r#"
        insert into settlement.commission (book_id, conversion_id, version, event_id, base, gross,
            brand_due, publisher_due, fee_brand, fee_publisher, decided_at, decided_by)
        select u.*, $11, $12
        from unnest($1::bigint[], $2::uuid[], $3::int[], $4::uuid[], $5::bigint[], $6::bigint[],
                    $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[]) as u
        "#,
        &column(rows, |r| r.reference.book.value()),
        &column(rows, |r| r.reference.id),
        &column(rows, |r| r.version),
        &column(rows, |r| r.event),
        &column(rows, |r| r.base.minor()),
        &column(rows, |r| r.amounts.gross().minor()),
        &column(rows, |r| r.amounts.brand_due().minor()),
        &column(rows, |r| r.amounts.publisher_due().minor()),
        &column(rows, |r| r.amounts.fee_brand().minor()),
        &column(rows, |r| r.amounts.fee_publisher().minor()),
        now,
        by.as_str(),
    );
    query.execute(conn).await?;
    Ok(())
}
