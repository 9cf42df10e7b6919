//! The decision about a conversion: what could have earned it, and who shares it.

use std::collections::HashMap;

use ledger::{BookId, Money};
use sqlx::PgConnection;
use uuid::Uuid;

use super::TrailError;
use crate::attribution::decision::Considered;

/// Something that could have earned a conversion.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Touch {
    /// What it was, and its weight or why it has none.
    #[serde(flatten)]
    pub considered: Considered,
    /// The publisher's name.
    pub name: String,
}

/// A publisher's part of a conversion.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SharedBy {
    /// The publisher's name.
    pub publisher: String,
    /// For which click.
    pub click: Option<Uuid>,
    /// How much.
    pub due: Money,
}

/// What a decision kept, with the publishers' names.
pub(super) async fn touches(
    conn: &mut PgConnection,
    conversion: Uuid,
    kept: serde_json::Value,
) -> Result<Vec<Touch>, TrailError> {
    let wrong = |error: serde_json::Error| TrailError::Inconsistent(conversion, error.to_string());
    let kept: Vec<Considered> = serde_json::from_value(kept).map_err(wrong)?;
    if kept.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = kept.iter().map(|it| it.publisher).collect();
    let rows = sqlx::query!(
        "select id, name from settlement.publisher where id = any ($1)",
        &ids
    )
    .fetch_all(conn)
    .await?;
    let names: HashMap<Uuid, String> = rows.into_iter().map(|row| (row.id, row.name)).collect();
    let touch = |considered: Considered| {
        let name = names.get(&considered.publisher).cloned();
        Touch {
            name: name.unwrap_or_else(|| considered.publisher.to_string()),
            considered,
        }
    };
    Ok(kept.into_iter().map(touch).collect())
}

/// Who has which part of a conversion that several share; nothing where one has all.
pub(super) async fn shares(
    conn: &mut PgConnection,
    book: BookId,
    conversion: Uuid,
    money: &impl Fn(i64) -> Result<Money, TrailError>,
) -> Result<Vec<SharedBy>, TrailError> {
    let rows = sqlx::query!(
        r#"
        select p.name, k.click_id, k.publisher_due
        from settlement.conversion c
        join settlement.credit k on k.book_id = c.book_id and k.conversion_id = c.id
             and k.version = c.credit_version
        join settlement.publisher p on p.id = k.publisher_id
        where c.book_id = $1 and c.id = $2
        order by k.position
        "#,
        book.value(),
        conversion,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let due = money(row.publisher_due)?;
            Ok(SharedBy {
                publisher: row.name,
                click: row.click_id,
                due,
            })
        })
        .collect()
}
