//! Postbacks that were not recorded, each with the number of the reason.
//!
//! The numbers are those of TUNE's conversion statuses, because whoever operates such a program
//! knows them by heart.

use chrono::{DateTime, Utc};
use ledger::BookId;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::columns::column;

/// Why a postback was not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The order was recorded before.
    Duplicate,
    /// It names no click, coupon or user.
    NoReferral,
    /// It came from an address that its key may not be used from.
    AddressNotAllowed,
    /// It cannot be read as a postback.
    Protocol,
    /// Another amount stands under its reference.
    DuplicateReference,
    /// Its token is missing, unknown or revoked.
    BadToken,
    /// It was a test.
    Test,
}

impl Outcome {
    /// Its number.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Outcome::Duplicate => 12,
            Outcome::NoReferral => 13,
            Outcome::AddressNotAllowed => 14,
            Outcome::Protocol => 15,
            Outcome::DuplicateReference => 18,
            Outcome::BadToken => 19,
            Outcome::Test => 21,
        }
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Duplicate => "duplicate",
            Outcome::NoReferral => "no_referral",
            Outcome::AddressNotAllowed => "address_not_allowed",
            Outcome::Protocol => "protocol",
            Outcome::DuplicateReference => "duplicate_reference",
            Outcome::BadToken => "bad_token",
            Outcome::Test => "test",
        }
    }
}

/// A postback that was not recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostbackOutcome {
    /// Chosen by the caller.
    pub id: Uuid,
    /// The brand's book, as far as it is known.
    pub book: Option<BookId>,
    /// Which API key it came with.
    pub key: Option<Uuid>,
    /// The path it came to.
    pub path: String,
    /// What it said, without its token.
    pub query: String,
    /// Why it was not recorded.
    pub outcome: Outcome,
    /// The same in words.
    pub detail: String,
}

/// Keeps outcomes.
#[expect(
    clippy::as_conversions,
    reason = "tells sqlx that an array may hold nulls; converts nothing"
)]
pub async fn keep(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    outcomes: &[PostbackOutcome],
) -> Result<(), sqlx::Error> {
    let books: Vec<Option<i64>> = column(outcomes, |o| o.book.map(BookId::value));
    let keys: Vec<Option<Uuid>> = column(outcomes, |o| o.key);
    let query = sqlx::query!(
        r#"
        insert into settlement.postback_outcome (id, book_id, key_id, path, query, code, name,
                                                 detail, received_at)
        select u.*, $9
        from unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::int[],
                    $7::text[], $8::text[]) as u
        "#,
        &column(outcomes, |o| o.id),
        &books as &[Option<i64>],
        &keys as &[Option<Uuid>],
        &column(outcomes, |o| o.path.clone()),
        &column(outcomes, |o| o.query.clone()),
        &column(outcomes, |o| o.outcome.code()),
        &column(outcomes, |o| o.outcome.as_str().to_owned()),
        &column(outcomes, |o| o.detail.clone()),
        now,
    );
    query.execute(conn).await?;
    Ok(())
}
