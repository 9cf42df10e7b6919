//! Finding everything that could earn orders: clicks of the same visitor or user, claims, codes,
//! and what the brand itself says. One statement for any number of orders.
//!
//! Who ordered is the user that the order names, else the one who was recognised at the order's
//! click or visitor last. All clicks of all visitors that this user was recognised as are
//! candidates: so the telephone's click earns the laptop's order.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use ledger::BookId;
use sqlx::PgConnection;
use uuid::Uuid;

use super::AttributionTerms;
use super::decision::{Candidate, Decision, Source, decide};
use super::models::Model;
use crate::columns::column;
use crate::party::ProgramRef;

/// What is known of an order, as far as attribution asks.
#[derive(Debug, Clone)]
pub(crate) struct Asked<'a> {
    pub program: ProgramRef,
    pub occurred_at: DateTime<Utc>,
    pub lookback_days: i32,
    pub terms: &'a AttributionTerms,
    pub click: Option<Uuid>,
    pub visitor: Option<&'a str>,
    pub publisher: Option<Uuid>,
    pub user: Option<&'a [u8]>,
    pub coupon: Option<&'a str>,
    /// Only what was recorded by then; everything, if none.
    pub known_by: Option<DateTime<Utc>>,
}

/// Decides who earns each order.
#[expect(
    clippy::as_conversions,
    reason = "tells sqlx that an array may hold nulls; converts nothing"
)]
pub(crate) async fn decisions(
    conn: &mut PgConnection,
    asked: &[Asked<'_>],
) -> Result<Vec<Decision>, sqlx::Error> {
    let clicks: Vec<Option<Uuid>> = column(asked, |a| a.click);
    let visitors: Vec<Option<String>> = column(asked, |a| a.visitor.map(str::to_owned));
    let publishers: Vec<Option<Uuid>> = column(asked, |a| a.publisher);
    let users: Vec<Option<Vec<u8>>> = column(asked, |a| a.user.map(<[u8]>::to_vec));
    let coupons: Vec<Option<String>> = column(asked, |a| a.coupon.map(str::to_owned));
    let known: Vec<Option<DateTime<Utc>>> = column(asked, |a| a.known_by);
    let first = column(asked, |a| {
        matches!(a.terms.model, Model::FirstClick | Model::Position(_))
    });
    let query = sqlx::query_file_as!(
        Row,
        "src/attribution/candidates.sql",
        &column(asked, |a| a.program.book.value()),
        &column(asked, |a| a.program.id),
        &column(asked, |a| a.occurred_at),
        &column(asked, |a| a.lookback_days),
        &clicks as &[Option<Uuid>],
        &visitors as &[Option<String>],
        &publishers as &[Option<Uuid>],
        &users as &[Option<Vec<u8>>],
        &coupons as &[Option<String>],
        &known as &[Option<DateTime<Utc>>],
        &first,
    );
    let mut found: Vec<(bool, Vec<Candidate>)> = vec![(false, Vec::new()); asked.len()];
    let mut seen = HashSet::new();
    for row in query.fetch_all(conn).await? {
        let at = usize::try_from(row.n - 1).unwrap_or(usize::MAX);
        let (Some(asked), Some((known, candidates))) = (asked.get(at), found.get_mut(at)) else {
            continue;
        };
        *known |= row.user_known;
        // A click may be found as named, by its visitor and by its user: it is one.
        if row.click_id.is_none_or(|click| seen.insert((at, click))) {
            candidates.extend(row.read(asked));
        }
    }
    Ok(asked
        .iter()
        .zip(found)
        .map(|(asked, (known, candidates))| {
            decide(asked.terms, asked.lookback_days, known, candidates)
        })
        .collect())
}

struct Row {
    n: i64,
    source: String,
    user_known: bool,
    click_id: Option<Uuid>,
    publisher_id: Uuid,
    happened_at: DateTime<Utc>,
    until: DateTime<Utc>,
    book_id: i64,
    program_id: Uuid,
    enrolled: bool,
    reason: Option<String>,
    expired: bool,
}

impl Row {
    fn read(self, asked: &Asked<'_>) -> Option<Candidate> {
        let source = match self.source.as_str() {
            "claim" => Source::Claim,
            "coupon" => Source::Coupon,
            "declared" => Source::Declared,
            "click" if self.click_id == asked.click => Source::NamedClick,
            "click" => Source::Click,
            _ => return None,
        };
        let program = ProgramRef {
            book: BookId::from_value(self.book_id),
            id: self.program_id,
        };
        Some(Candidate {
            source,
            click: self.click_id,
            publisher: self.publisher_id,
            at: self.happened_at,
            until: self.until,
            same_program: program == asked.program,
            enrolled: self.enrolled,
            disqualified: self.reason,
            expired: self.expired,
        })
    }
}
