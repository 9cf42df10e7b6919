//! What is approved by itself: paid orders, or those of which so many days have passed.
//!
//! Only what is pending, within its caps and priced is approved; what is on hold waits for somebody
//! to release it, and is then approved by the next [`approve_due`]. Approving is a decision like
//! any other ([`super::change`]), with the rule as its reason.

use chrono::{DateTime, Utc};
use ledger::{Actor, BookId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::change::{Decision, decide_each};
use super::{Action, Changed, ConversionError, ConversionRef};
use crate::columns::column;

/// Notes that orders are paid, and approves those whose terms say so; answers what was approved.
pub async fn paid(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    conversions: &[ConversionRef],
) -> Result<Vec<(ConversionRef, Changed)>, ConversionError> {
    // Locked in id order, as everywhere: two sessions with the same orders never deadlock.
    sqlx::query!(
        r#"
        with paid as (
            select c.book_id, c.id from settlement.conversion c
            where (c.book_id, c.id) in (select * from unnest($1::bigint[], $2::uuid[]))
              and c.paid_at is null
            order by c.book_id, c.id
            for update
        )
        update settlement.conversion c set paid_at = $3
        from paid p where c.book_id = p.book_id and c.id = p.id
        "#,
        &column(conversions, |r| r.book.value()),
        &column(conversions, |r| r.id),
        now,
    )
    .execute(&mut *conn)
    .await?;
    approve(conn, now, by, conversions).await
}

/// Approves those of these conversions that are due; answers what was approved.
pub async fn approve(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    conversions: &[ConversionRef],
) -> Result<Vec<(ConversionRef, Changed)>, ConversionError> {
    let books = column(conversions, |r| r.book.value());
    let ids = column(conversions, |r| r.id);
    let limit = i64::try_from(conversions.len()).unwrap_or(i64::MAX);
    due(conn, now, by, Some((&books, &ids)), limit).await
}

/// Approves whatever is due, the oldest first, so many at once; call it again until it answers
/// nothing.
pub async fn approve_due(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    limit: i64,
) -> Result<Vec<(ConversionRef, Changed)>, ConversionError> {
    due(conn, now, by, None, limit).await
}

async fn due(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    only: Option<(&[i64], &[Uuid])>,
    limit: i64,
) -> Result<Vec<(ConversionRef, Changed)>, ConversionError> {
    let (books, ids) = only.unzip();
    let rows = sqlx::query!(
        r#"
        select c.book_id, c.id, t.rules ->> 'auto_approve' = 'on_paid' as "on_paid!"
        from settlement.conversion c
        join settlement.program_terms t on t.book_id = c.book_id and t.program_id = c.program_id
             and t.version = c.terms_version
        where c.state = 'pending' and not c.priced_by ? 'over'
          and (c.original_currency is null or c.fx is not null)
          and ($2::bigint[] is null or (c.book_id, c.id) in (
              select * from unnest($2::bigint[], $3::uuid[])))
          and (t.rules ->> 'auto_approve' = 'on_paid' and c.paid_at is not null
               or jsonb_typeof(t.rules -> 'auto_approve') = 'object'
               and c.occurred_at + make_interval(
                   hours => 24 * (t.rules -> 'auto_approve' ->> 'after_days')::int) <= $1)
        order by c.occurred_at, c.id
        limit $4
        "#,
        now,
        books,
        ids,
        limit,
    )
    .fetch_all(&mut *conn)
    .await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut decisions = Vec::with_capacity(rows.len());
    for row in rows {
        let reason = if row.on_paid {
            "paid: approved by the program's terms"
        } else {
            "the days for review have passed: approved by the program's terms"
        };
        let reference = ConversionRef {
            book: BookId::from_value(row.book_id),
            id: row.id,
        };
        let decision = Decision {
            action: Action::Approve,
            reason: reason.to_owned(),
        };
        decisions.push((reference, decision));
    }
    let answers = decide_each(conn, now, by, &decisions).await?;
    let approved = decisions.into_iter().map(|(reference, _)| reference);
    Ok(approved.zip(answers).collect())
}
