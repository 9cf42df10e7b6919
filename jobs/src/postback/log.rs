//! The delivery log: each attempt, with what was answered.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Attempt {
    /// The delivery; the same in every attempt.
    pub delivery_id: Uuid,
    /// Where to.
    pub target_id: Uuid,
    /// The how manieth attempt, from 1; 0 for a test.
    pub number: i32,
    /// What happened.
    pub event: String,
    /// To which conversion.
    pub conversion_id: Option<Uuid>,
    /// What was asked for, macros filled in.
    pub url: String,
    /// When.
    pub sent_at: DateTime<Utc>,
    /// How long it took.
    pub took_ms: i32,
    /// The HTTP status, if there was an answer.
    pub status: Option<i32>,
    /// The start of the answer.
    pub answer: String,
    /// Why it counts as failed; none if it went well.
    pub error: Option<String>,
}

/// Adds an attempt.
pub(super) async fn add(conn: &mut PgConnection, attempt: &Attempt) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        insert into jobs.delivery (delivery_id, target_id, attempt, event, conversion_id, url,
                                   sent_at, took_ms, status, answer, error)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        "#,
        attempt.delivery_id,
        attempt.target_id,
        attempt.number,
        attempt.event,
        attempt.conversion_id,
        attempt.url,
        attempt.sent_at,
        attempt.took_ms,
        attempt.status,
        attempt.answer,
        attempt.error,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The latest attempts: of all targets, or of one.
pub async fn latest(
    conn: &mut PgConnection,
    target: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Attempt>, sqlx::Error> {
    sqlx::query_as!(
        Attempt,
        r#"
        select delivery_id, target_id, attempt as number, event, conversion_id, url,
               sent_at, took_ms, status, answer, error
        from jobs.delivery
        where $1::uuid is null or target_id = $1
        order by id desc
        limit $2
        "#,
        target,
        limit,
    )
    .fetch_all(conn)
    .await
}
