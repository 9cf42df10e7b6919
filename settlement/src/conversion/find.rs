//! Finding conversions: by the brands' references, and those that wait for review.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use ledger::{BookId, Currency};
use sqlx::PgConnection;

use super::{ConversionError, ConversionRef};

/// Conversions by the brands' order references, in every book, each with the currency in which its
/// order was reported; several may share a reference.
pub async fn find_by_order(
    conn: &mut PgConnection,
    order_refs: &[String],
) -> Result<HashMap<String, Vec<(ConversionRef, Currency)>>, ConversionError> {
    let rows = sqlx::query!(
        r#"
        select book_id, id, order_ref, coalesce(original_currency, currency) as "currency!"
        from settlement.conversion
        where order_ref = any ($1)
        order by book_id, id
        "#,
        order_refs,
    )
    .fetch_all(conn)
    .await?;
    let mut found: HashMap<String, Vec<(ConversionRef, Currency)>> = HashMap::new();
    for row in rows {
        let currency = row
            .currency
            .parse()
            .map_err(|_| ConversionError::Inconsistent {
                conversion: row.id,
                problem: "currency".to_owned(),
            })?;
        let reference = ConversionRef {
            book: BookId::from_value(row.book_id),
            id: row.id,
        };
        found
            .entry(row.order_ref)
            .or_default()
            .push((reference, currency));
    }
    Ok(found)
}

/// Conversions still waiting for review whose order is older than a moment, oldest first.
pub async fn undecided(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<ConversionRef>, ConversionError> {
    let rows = sqlx::query!(
        r#"
        select book_id, id from settlement.conversion
        where state = 'pending' and occurred_at < $1
        order by occurred_at, id
        limit $2
        "#,
        before,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| ConversionRef {
            book: BookId::from_value(row.book_id),
            id: row.id,
        })
        .collect())
}
