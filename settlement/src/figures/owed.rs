//! What brands owe, large commissions, and where each came from: what a network's office asks.

use chrono::{DateTime, Utc};
use ledger::{BookId, Money};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{FiguresError, money};
use crate::chart::Code;

/// What a brand owes and is expected to owe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// The brand.
    pub brand_id: Uuid,
    /// Its name.
    pub brand: String,
    /// Accounts 1110 and 9100 together: approved and not invoiced, and not decided yet.
    pub total: Money,
    /// How many conversions that is.
    pub orders: i64,
}

/// What each brand owes, at least so much, the most first: of all brands, or of one.
///
/// Two sums over account days and one count of conversions, in one statement.
pub async fn totals(
    conn: &mut PgConnection,
    book: Option<BookId>,
    at_least: Decimal,
) -> Result<Vec<Owed>, FiguresError> {
    let codes = [Code::UnbilledReceivable, Code::ExpectedBrandDue];
    let codes = codes.map(|code| code.number().to_owned());
    let rows = sqlx::query!(
        r#"
        with owed as (
            select a.book_id, a.currency, sum(d.debits - d.credits)::bigint as total
            from ledger.account a
            join ledger.account_day d on d.book_id = a.book_id and d.account_id = a.id
            where a.code = any($1) and ($2::bigint is null or a.book_id = $2)
            group by a.book_id, a.currency
        )
        select b.id, b.name, o.currency, o.total as "total!",
               (select count(*) from settlement.conversion c
                where c.book_id = o.book_id and c.currency = o.currency
                  and c.state in ('pending', 'on_hold', 'approved')) as "orders!"
        from owed o
        join settlement.brand b on b.book_id = o.book_id
        join ledger.currency u on u.code = o.currency
        where o.total::numeric / power(10::numeric, u.scale) >= $3
        order by o.total::numeric / power(10::numeric, u.scale) desc, b.name
        "#,
        &codes,
        book.map(BookId::value),
        at_least,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Owed {
                total: money(&row.name, row.total, &row.currency)?,
                brand_id: row.id,
                brand: row.name,
                orders: row.orders,
            })
        })
        .collect()
}

/// A commission, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commission {
    /// The conversion.
    pub id: Uuid,
    /// The brand's name.
    pub brand: String,
    /// The brand's own reference of the order.
    pub order_ref: String,
    /// Gross commission.
    pub gross: Money,
    /// Its state.
    pub state: String,
    /// What was ordered, if one thing was.
    pub product: Option<String>,
    /// The click's tracking id, or its id.
    pub tracking_id: Option<String>,
    /// The word of the link that was followed: a product's, where links are products.
    pub link: Option<String>,
    /// When it was ordered, UTC.
    pub occurred_at: DateTime<Utc>,
}

/// Which commissions.
#[derive(Debug, Clone, Default)]
pub struct Which {
    /// Of one brand.
    pub book: Option<BookId>,
    /// In one state.
    pub state: Option<String>,
    /// At least so much.
    pub at_least: Decimal,
    /// Older than this one: the last one shown.
    pub after: Option<(DateTime<Utc>, Uuid)>,
}

/// Commissions with their clicks and products, the newest first.
pub async fn commissions(
    conn: &mut PgConnection,
    which: &Which,
    limit: i64,
) -> Result<Vec<Commission>, FiguresError> {
    let rows = sqlx::query!(
        r#"
        select c.id, b.name as brand, c.order_ref, c.gross, c.currency, c.state, c.occurred_at,
               o.details ->> 'product' as product, k.link as "link?",
               coalesce(k.tracking_id, c.click_id::text) as tracking_id
        from settlement.conversion c
        join settlement.brand b on b.book_id = c.book_id
        join ledger.currency u on u.code = c.currency
        join settlement.event o on o.book_id = c.book_id and o.id = c.event_id
        left join settlement.click k on k.book_id = c.book_id and k.id = c.click_id
        where ($1::bigint is null or c.book_id = $1)
          and ($2::text is null or c.state = $2)
          and c.gross >= $3::numeric * power(10::numeric, u.scale)
          and ($4::timestamptz is null or (c.occurred_at, c.id) < ($4, $5))
        order by c.occurred_at desc, c.id desc
        limit $6
        "#,
        which.book.map(BookId::value),
        which.state,
        which.at_least,
        which.after.map(|place| place.0),
        which.after.map(|place| place.1),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Commission {
                gross: money(&row.id, row.gross, &row.currency)?,
                id: row.id,
                brand: row.brand,
                order_ref: row.order_ref,
                state: row.state,
                product: row.product,
                tracking_id: row.tracking_id,
                link: row.link,
                occurred_at: row.occurred_at,
            })
        })
        .collect()
}
