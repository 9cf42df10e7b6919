//! Attribution: which publisher an order is credited to, and by which rule.

use sqlx::PgConnection;
use uuid::Uuid;

use super::Accepted;
use crate::columns::column;
use crate::conversion::ConversionError;

/// Who is credited with an order.
#[derive(Debug, Clone, Default)]
pub(super) struct Credit {
    pub model: String,
    pub click: Option<Uuid>,
    pub publisher: Option<Uuid>,
}

/// Credits each order: the click that the brand names, else the visitor's last click, both within
/// the window, else the publisher that the brand names; only publishers enrolled in the program.
///
/// The window is counted in hours: a day of 23 or 25 hours in somebody's time zone changes nothing.
#[expect(
    clippy::as_conversions,
    reason = "tells sqlx that an array may hold nulls; converts nothing"
)]
pub(super) async fn credits(
    conn: &mut PgConnection,
    fresh: &[Accepted<'_>],
) -> Result<Vec<Credit>, ConversionError> {
    let clicks: Vec<Option<Uuid>> = column(fresh, |a| a.order.click);
    let visitors: Vec<Option<String>> = column(fresh, |a| a.order.visitor.clone());
    let publishers: Vec<Option<Uuid>> = column(fresh, |a| a.order.publisher);
    let query = sqlx::query!(
        r#"
        select coalesce(credit.model, 'none') as "model!", credit.click_id, credit.publisher_id
        from unnest($1::bigint[], $2::uuid[], $3::timestamptz[], $4::int[], $5::uuid[],
                    $6::text[], $7::uuid[]) with ordinality
             as o (book_id, program_id, occurred_at, lookback, click_id, visitor, publisher_id, n)
        left join lateral (
            select a.model, a.click_id, a.publisher_id
            from (
                select 1 as rank, 'named_click' as model, k.id as click_id, k.publisher_id,
                       k.clicked_at
                from settlement.click k
                where k.book_id = o.book_id and k.id = o.click_id and k.program_id = o.program_id
                union all
                select 2, 'last_click', k.id, k.publisher_id, k.clicked_at
                from settlement.click k
                where k.book_id = o.book_id and k.program_id = o.program_id
                  and k.visitor = o.visitor
                union all
                select 3, 'declared', null, o.publisher_id, o.occurred_at
                where o.publisher_id is not null
            ) a
            where a.clicked_at between o.occurred_at - make_interval(hours => 24 * o.lookback)
                                   and o.occurred_at
              -- As a value, so that it is looked up for each candidate, never the other way round.
              and (
                  select e.earns @> o.occurred_at
                  from settlement.enrolment e
                  where e.book_id = o.book_id and e.program_id = o.program_id
                    and e.publisher_id = a.publisher_id)
            order by a.rank, a.clicked_at desc, a.click_id desc
            limit 1
        ) credit on true
        order by o.n
        "#,
        &column(fresh, |a| a.order.program.book.value()),
        &column(fresh, |a| a.order.program.id),
        &column(fresh, |a| a.order.occurred_at),
        &column(fresh, |a| a.terms.lookback_days),
        &clicks as &[Option<Uuid>],
        &visitors as &[Option<String>],
        &publishers as &[Option<Uuid>],
    );
    let rows = query.fetch_all(conn).await?;
    Ok(rows
        .into_iter()
        .map(|row| Credit {
            model: row.model,
            click: row.click_id,
            publisher: row.publisher_id,
        })
        .collect())
}
