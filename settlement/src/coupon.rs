//! Coupon codes: a second way to find who earned an order.
//!
//! A code belongs to one publisher of one program from a moment on. It may be ended, or given to
//! another publisher from a later moment; what it meant before stays, because the order's time
//! decides. Codes are compared without regard to case or outer spaces.

use chrono::{DateTime, Utc};
use ledger::Actor;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::columns::column;
use crate::party::ProgramRef;

/// A code as it is compared, 1 to 100 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(String);

/// A text that cannot be a coupon code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("coupon code {0:?} cannot be used; give 1 to 100 characters without control characters")]
pub struct InvalidCode(String);

impl Code {
    /// Reads what somebody typed.
    pub fn new(text: &str) -> Result<Code, InvalidCode> {
        let code: String = text.trim().to_uppercase();
        if (1..=100).contains(&code.chars().count()) && !code.contains(char::is_control) {
            Ok(Code(code))
        } else {
            Err(InvalidCode(text.to_owned()))
        }
    }

    /// As stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A code of a publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coupon {
    /// Where it counts.
    pub program: ProgramRef,
    /// The code.
    pub code: Code,
    /// Whose it is.
    pub publisher: Uuid,
    /// From which order time on, UTC.
    pub valid_from: DateTime<Utc>,
}

/// Adds codes; one that begins at the same moment already is left as it is. Returns how many were
/// new. A publisher that does not exist fails the batch.
pub async fn add(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    coupons: &[Coupon],
) -> Result<u64, sqlx::Error> {
    let query = sqlx::query!(
        r#"
        insert into settlement.coupon (book_id, program_id, code, publisher_id, valid_from,
                                       created_at, created_by)
        select u.*, $6, $7
        from unnest($1::bigint[], $2::uuid[], $3::text[], $4::uuid[], $5::timestamptz[]) as u
        order by 1, 2, 3, 5
        on conflict (book_id, program_id, code, valid_from) do nothing
        "#,
        &column(coupons, |c| c.program.book.value()),
        &column(coupons, |c| c.program.id),
        &column(coupons, |c| c.code.as_str().to_owned()),
        &column(coupons, |c| c.publisher),
        &column(coupons, |c| c.valid_from),
        now,
        by.as_str(),
    );
    Ok(query.execute(conn).await?.rows_affected())
}

/// Ends what a code means for orders from this moment on; true if there was something to end.
pub async fn end(
    conn: &mut PgConnection,
    at: DateTime<Utc>,
    program: ProgramRef,
    code: &Code,
) -> Result<bool, sqlx::Error> {
    let query = sqlx::query!(
        r#"
        update settlement.coupon set ended_at = $4
        where book_id = $1 and program_id = $2 and code = $3 and valid_from < $4
          and (ended_at is null or ended_at > $4)
        "#,
        program.book.value(),
        program.id,
        code.as_str(),
        at,
    );
    Ok(query.execute(conn).await?.rows_affected() > 0)
}

/// A code as it stands, for lists.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Listed {
    /// The code.
    pub code: String,
    /// Whose it is.
    pub publisher: Uuid,
    /// From when, UTC.
    pub valid_from: DateTime<Utc>,
    /// Until when, UTC; open if none.
    pub ended_at: Option<DateTime<Utc>>,
}

/// The codes of a program, by code and time.
pub async fn of_program(
    conn: &mut PgConnection,
    program: ProgramRef,
) -> Result<Vec<Listed>, sqlx::Error> {
    sqlx::query_as!(
        Listed,
        r#"
        select code, publisher_id as publisher, valid_from, ended_at from settlement.coupon
        where book_id = $1 and program_id = $2
        order by code, valid_from
        "#,
        program.book.value(),
        program.id,
    )
    .fetch_all(conn)
    .await
}
