//! Publishers whose approved conversions are taken back too often.

use chrono::{DateTime, Days, Utc};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

/// So many days back from now count.
const DAYS: u64 = 30;
/// More than this share is a finding: fifteen percent.
const LIMIT: Decimal = Decimal::from_parts(15, 0, 0, false, 2);

/// How often a publisher's conversions in a program were reversed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ReversalRate {
    /// The program.
    pub program: Uuid,
    /// The program's name.
    pub program_name: String,
    /// The publisher.
    pub publisher: Uuid,
    /// The publisher's name.
    pub publisher_name: String,
    /// Conversions whose latest approval lies in the last 30 days, or whose reversal does.
    pub approved: i64,
    /// Those of them that are reversed now.
    pub reversed: i64,
    /// The share, at four places.
    pub rate: Decimal,
}

/// Publishers of whose conversions more than 15 % were reversed within 30 days, the worst first:
/// a finding for review, nothing is done about it here.
///
/// A conversion counts if it was approved or reversed in that time; refunded whole counts as
/// reversed. Fewer than `least` conversions say nothing.
pub async fn reversal_rates(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    least: i64,
) -> Result<Vec<ReversalRate>, sqlx::Error> {
    let since = now.checked_sub_days(Days::new(DAYS)).unwrap_or(now);
    let query = sqlx::query_as!(
        ReversalRate,
        r#"
        with moved as (
            select distinct h.book_id, h.conversion_id
            from settlement.change h
            where h.changed_at > $1 and h.changed_at <= $2
              and h.to_state in ('approved', 'reversed')
        ), counted as (
            select c.book_id, c.program_id, c.publisher_id, count(*) as approved,
                   count(*) filter (where c.state = 'reversed') as reversed
            from moved m
            join settlement.conversion c on c.book_id = m.book_id and c.id = m.conversion_id
            where c.publisher_id is not null and c.approved_version is not null
            group by c.book_id, c.program_id, c.publisher_id
        )
        select n.program_id as program, p.name as program_name, n.publisher_id as "publisher!",
               u.name as publisher_name, n.approved as "approved!", n.reversed as "reversed!",
               round(n.reversed::numeric / n.approved, 4) as "rate!"
        from counted n
        join settlement.program p on p.book_id = n.book_id and p.id = n.program_id
        join settlement.publisher u on u.id = n.publisher_id
        where n.approved >= $3 and n.reversed > n.approved * $4::numeric
        order by 7 desc, p.name, u.name
        "#,
        since,
        now,
        least,
        LIMIT,
    );
    query.fetch_all(conn).await
}
