//! Requests with an `Idempotency-Key`: done once, answered alike ever after.
//!
//! [`begin`] takes the key's place in the caller's database transaction; a second request with the
//! same key waits for the first to commit and gets its answer. If the first fails, its place goes
//! with its transaction, and the second does the work.

use chrono::{DateTime, Utc};
use ledger::BookId;
use sqlx::PgConnection;

use super::Role;

/// A request that names itself.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The brand's book, or the house book for the network's own.
    pub book: BookId,
    /// Who sent it.
    pub role: Role,
    /// The name it gave itself.
    pub key: &'a str,
    /// What it asks for, such as `POST /v1/conversions/A-1/approve`.
    pub route: &'a str,
    /// SHA-256 of its body.
    pub body_hash: [u8; 32],
}

/// Whether a request is new.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a request may have been done before"]
pub enum Begun {
    /// It is; do it and call [`answer`].
    New,
    /// It was done before; this was the answer.
    Answered(i32, String),
    /// Another request had that name.
    Reused,
}

/// Takes the place of a request.
pub async fn begin(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    request: &Request<'_>,
) -> Result<Begun, sqlx::Error> {
    let caller = request.role.caller();
    let query = sqlx::query!(
        r#"
        insert into settlement.api_request (book_id, caller, idempotency_key, route, body_hash,
                                            created_at)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (book_id, caller, idempotency_key) do nothing
        "#,
        request.book.value(),
        caller,
        request.key,
        request.route,
        &request.body_hash[..],
        now,
    );
    if query.execute(&mut *conn).await?.rows_affected() == 1 {
        return Ok(Begun::New);
    }
    // A later statement than the insert: it sees what the first request committed.
    let row = sqlx::query!(
        r#"
        select route, body_hash, status, response from settlement.api_request
        where book_id = $1 and caller = $2 and idempotency_key = $3
        "#,
        request.book.value(),
        caller,
        request.key,
    )
    .fetch_one(conn)
    .await?;
    let same = row.route == request.route && row.body_hash == request.body_hash;
    Ok(match (same, row.status.zip(row.response)) {
        (true, Some((status, response))) => Begun::Answered(status, response),
        // Without an answer nothing is committed: it would be this very transaction's own.
        (true, None) | (false, _) => Begun::Reused,
    })
}

/// Keeps the answer to a request that was done, in the same database transaction.
pub async fn answer(
    conn: &mut PgConnection,
    request: &Request<'_>,
    status: u16,
    response: &str,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query!(
        r#"
        update settlement.api_request set status = $4, response = $5
        where book_id = $1 and caller = $2 and idempotency_key = $3
        "#,
        request.book.value(),
        request.role.caller(),
        request.key,
        i32::from(status),
        response,
    );
    query.execute(conn).await?;
    Ok(())
}
