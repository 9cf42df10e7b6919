//! What open accounts are, for listings that have only their ids.

use std::collections::HashMap;

use sqlx::PgConnection;

use super::AccountId;
use crate::book::BookId;

/// An open account as stored, for listings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Number in the chart of accounts.
    pub code: String,
    /// Whose it is, as JSON.
    pub dimensions: serde_json::Value,
}

/// What some accounts are; ids that are not open are left out.
pub async fn describe(
    conn: &mut PgConnection,
    ids: &[(BookId, AccountId)],
) -> Result<HashMap<(BookId, AccountId), Description>, sqlx::Error> {
    let books: Vec<i64> = ids.iter().map(|(book, _)| book.value()).collect();
    let accounts: Vec<i64> = ids.iter().map(|(_, account)| account.value()).collect();
    let rows = sqlx::query!(
        r#"
        select a.book_id, a.id, a.code, a.dimensions
        from unnest($1::bigint[], $2::bigint[]) as asked (book_id, id)
        join ledger.account a on a.book_id = asked.book_id and a.id = asked.id
        "#,
        &books,
        &accounts,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let id = (
                BookId::from_value(row.book_id),
                AccountId::from_value(row.id),
            );
            let description = Description {
                code: row.code,
                dimensions: row.dimensions,
            };
            (id, description)
        })
        .collect())
}
