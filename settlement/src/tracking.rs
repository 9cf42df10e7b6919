//! Clicks: the raw rows that attribution reads. Append-only, unique by id.
//!
//! A click says which publisher sent which visitor to which program, and when. The visitor is an
//! opaque id of the store, never a name. How clicks arrive (links, cookies, the spool) is the
//! business of the crates to the right.

use chrono::{DateTime, Utc};
use ledger::Actor;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::party::ProgramRef;

/// A click as it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Click {
    /// Unique; the value in the cookie and the link.
    pub id: Uuid,
    /// Where it leads.
    pub program: ProgramRef,
    /// Who sent the visitor.
    pub publisher: Uuid,
    /// Who clicked, as far as the store will tell later.
    pub visitor: Option<String>,
    /// When, UTC.
    pub clicked_at: DateTime<Utc>,
}

/// Records clicks; one that is there already is left as it is. Returns how many were new.
#[expect(
    clippy::as_conversions,
    reason = "tells sqlx that an array may hold nulls; converts nothing"
)]
pub async fn record(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    clicks: &[Click],
) -> Result<u64, sqlx::Error> {
    let books: Vec<i64> = clicks
        .iter()
        .map(|click| click.program.book.value())
        .collect();
    let ids: Vec<Uuid> = clicks.iter().map(|click| click.id).collect();
    let programs: Vec<Uuid> = clicks.iter().map(|click| click.program.id).collect();
    let publishers: Vec<Uuid> = clicks.iter().map(|click| click.publisher).collect();
    let visitors: Vec<Option<String>> = clicks.iter().map(|click| click.visitor.clone()).collect();
    let times: Vec<DateTime<Utc>> = clicks.iter().map(|click| click.clicked_at).collect();
    let recorded = sqlx::query!(
        r#"
        insert into settlement.click (book_id, id, program_id, publisher_id, visitor, clicked_at,
                                      recorded_at, recorded_by)
        select u.*, $7, $8
        from unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[],
                    $6::timestamptz[]) as u
        on conflict (book_id, id) do nothing
        "#,
        &books,
        &ids,
        &programs,
        &publishers,
        &visitors as &[Option<String>],
        &times,
        now,
        by.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(recorded.rows_affected())
}
