//! Conversions as senders name them: by the order's reference or by the conversion's id.

use ledger::{BookId, Currency, Money};
use sqlx::PgConnection;
use uuid::Uuid;

use super::ReportedError;
use crate::conversion::ConversionRef;

/// A conversion that a name may mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The name.
    pub name: String,
    /// The conversion.
    pub conversion: ConversionRef,
    /// The order, as the brand calls it.
    pub order_ref: String,
    /// What the order was worth, in its own currency.
    pub order: Money,
    /// What of it was refunded so far.
    pub refunded: Money,
}

/// The conversions that names may mean, within one book or in all; several may share one.
pub async fn named(
    conn: &mut PgConnection,
    within: Option<BookId>,
    names: &[String],
) -> Result<Vec<Named>, ReportedError> {
    let ids: Vec<Uuid> = names.iter().filter_map(|name| name.parse().ok()).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"
        select c.order_ref as "name!", c.book_id as "book_id!", c.id as "id!",
               c.order_ref as "order_ref!",
               coalesce(c.original_currency, c.currency) as "currency!",
               coalesce(c.original_amount, c.order_amount) as "order_amount!",
               coalesce(c.original_refunded, c.refunded) as "refunded!"
        from settlement.conversion c
        where c.order_ref = any ($1) and ($3::bigint is null or c.book_id = $3)
        union all
        select c.id::text, c.book_id, c.id, c.order_ref,
               coalesce(c.original_currency, c.currency),
               coalesce(c.original_amount, c.order_amount),
               coalesce(c.original_refunded, c.refunded)
        from settlement.brand b
        join settlement.conversion c on c.book_id = b.book_id and c.id = any ($2)
        where $3::bigint is null or b.book_id = $3
        "#,
        names,
        &ids,
        within.map(BookId::value),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Row::read).collect()
}

/// Locks conversions, in the order of their ids, until the database transaction ends; gives what is
/// refunded of each by then.
pub async fn lock(
    conn: &mut PgConnection,
    conversions: &[ConversionRef],
) -> Result<Vec<(ConversionRef, Money)>, ReportedError> {
    let (books, ids): (Vec<i64>, Vec<Uuid>) =
        conversions.iter().map(|c| (c.book.value(), c.id)).unzip();
    let rows = sqlx::query_as!(
        Row,
        r#"
        select c.order_ref as name, c.book_id, c.id, c.order_ref,
               coalesce(c.original_currency, c.currency) as "currency!",
               coalesce(c.original_amount, c.order_amount) as "order_amount!",
               coalesce(c.original_refunded, c.refunded) as "refunded!"
        from settlement.conversion c
        where (c.book_id, c.id) in (select * from unnest($1::bigint[], $2::uuid[]))
        order by c.book_id, c.id
        for update
        "#,
        &books,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| row.read().map(|named| (named.conversion, named.refunded)))
        .collect()
}

/// A conversion's columns.
struct Row {
    name: String,
    book_id: i64,
    id: Uuid,
    order_ref: String,
    currency: String,
    order_amount: i64,
    refunded: i64,
}

impl Row {
    fn read(self) -> Result<Named, ReportedError> {
        let row = self.id;
        let wrong = |problem| ReportedError::Inconsistent {
            table: "settlement.conversion",
            row,
            problem,
        };
        let currency: Currency = self.currency.parse().map_err(|_| wrong("currency"))?;
        let money = |minor| Money::try_from_minor(minor, currency).map_err(|_| wrong("amount"));
        Ok(Named {
            order: money(self.order_amount)?,
            refunded: money(self.refunded)?,
            name: self.name,
            conversion: ConversionRef {
                book: BookId::from_value(self.book_id),
                id: row,
            },
            order_ref: self.order_ref,
        })
    }
}
