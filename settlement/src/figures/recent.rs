//! A publisher's conversions one by one: amount, state, day and mark, and nothing that could name
//! an order, a customer or an account.

use chrono::{DateTime, Utc};
use ledger::{BookId, Money};
use sqlx::PgConnection;
use uuid::Uuid;

use super::period::Since;
use super::{FiguresError, Whose, money};

/// A conversion as its publisher sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentConversion {
    /// What the publisher earns or would earn.
    pub amount: Money,
    /// Its state.
    pub state: String,
    /// When it was ordered, UTC.
    pub occurred_at: DateTime<Utc>,
    /// `sub1` of its click.
    pub sub: Option<String>,
    /// Whether its click led to an earlier one: a later order of the same customer.
    pub is_topup: bool,
    /// For going on after it; says nothing about the order.
    pub place: Place,
}

/// Where a page goes on: the last one shown.
pub type Place = (DateTime<Utc>, Uuid);

/// A publisher's conversions since a moment, the newest first; those older than a place.
///
/// One statement; linear in the publisher's conversions of the period.
pub async fn conversions(
    conn: &mut PgConnection,
    whose: Whose,
    since: Since,
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<RecentConversion>, FiguresError> {
    let rows = sqlx::query!(
        r#"
        with mine as (
            select g.book_id, g.conversion_id, sum(g.publisher_due)::bigint as due
            from settlement.enrolment e
            join settlement.earning g on g.book_id = e.book_id and g.program_id = e.program_id
                 and g.publisher_id = e.publisher_id
            where e.publisher_id = $1 and ($2::bigint is null or e.book_id = $2)
            group by g.book_id, g.conversion_id
        )
        select c.id, m.due as "due!", c.currency, c.state, c.occurred_at, k.sub1 as "sub1?",
               c.click_id is not null and exists (
                   select from settlement.conversion b
                   where b.book_id = c.book_id and b.click_id = c.click_id
                     and (b.occurred_at, b.id) < (c.occurred_at, c.id)) as "topup!"
        from mine m
        join settlement.conversion c on c.book_id = m.book_id and c.id = m.conversion_id
             and c.occurred_at >= $3
        left join settlement.click k on k.book_id = c.book_id and k.id = c.click_id
        where $4::timestamptz is null or (c.occurred_at, c.id) < ($4, $5)
        order by c.occurred_at desc, c.id desc
        limit $6
        "#,
        whose.publisher,
        whose.book.map(BookId::value),
        since.at,
        after.map(|place| place.0),
        after.map(|place| place.1),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(RecentConversion {
                amount: money(&whose.publisher, row.due, &row.currency)?,
                state: row.state,
                occurred_at: row.occurred_at,
                sub: row.sub1,
                is_topup: row.topup,
                place: (row.occurred_at, row.id),
            })
        })
        .collect()
}
