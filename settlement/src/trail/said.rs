//! What the sender said of an order, the terms that answered, and what looked wrong about it.

use chrono::{DateTime, Utc};
use ledger::BookId;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::TrailError;
use crate::conversion::ConversionRef;
use crate::fraud::{self, Found};

/// The raw order, as its sender reported it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SaidStep {
    /// When it came, UTC.
    pub received_at: DateTime<Utc>,
    /// Who reported it.
    pub recorded_by: String,
    /// The click it named.
    pub click: Option<Uuid>,
    /// How that click was proved, or why what was handed back was ignored.
    pub click_check: Option<String>,
    /// The visitor it named.
    pub visitor: Option<String>,
    /// The publisher it named.
    pub publisher: Option<String>,
    /// The coupon it named.
    pub coupon: Option<String>,
    /// Whether it named its user, who is kept as a hash only.
    pub user_known: bool,
}

/// The version of a program's terms that decided a conversion.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TermsStep {
    /// Its number.
    pub version: i32,
    /// From when on, UTC.
    pub effective_from: DateTime<Utc>,
    /// What it pays, as JSON.
    pub rule: serde_json::Value,
    /// How the fee is split.
    pub fee_model: String,
    /// The share added to the brand's invoice.
    pub fee_brand_rate: Decimal,
    /// The share deducted from the publisher.
    pub fee_publisher_rate: Decimal,
    /// For how many days a click counts.
    pub lookback_days: i32,
    /// Model and precedence, as JSON.
    pub attribution: serde_json::Value,
}

/// A sign of fraud that was seen.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SignalStep {
    /// Which.
    pub signal: &'static str,
    /// `LOW`, `MEDIUM` or `HIGH`.
    pub severity: &'static str,
    /// What it adds to the score.
    pub score: u32,
    /// For people.
    pub reason: String,
    /// What it was seen by.
    pub evidence: serde_json::Value,
}

/// What the sender of an order said.
pub(super) async fn said(
    conn: &mut PgConnection,
    it: ConversionRef,
) -> Result<SaidStep, TrailError> {
    let row = sqlx::query!(
        r#"
        select e.received_at, e.recorded_by, e.click_id, e.visitor, e.coupon,
               e.details ->> 'click_check' as click_check, p.name as "publisher?",
               e.user_hash is not null as "user_known!"
        from settlement.conversion c
        join settlement.event e on e.book_id = c.book_id and e.id = c.event_id
        left join settlement.publisher p on p.id = e.publisher_id
        where c.book_id = $1 and c.id = $2
        "#,
        it.book.value(),
        it.id,
    )
    .fetch_one(conn)
    .await?;
    Ok(SaidStep {
        received_at: row.received_at,
        recorded_by: row.recorded_by,
        click: row.click_id,
        click_check: row.click_check,
        visitor: row.visitor,
        publisher: row.publisher,
        coupon: row.coupon,
        user_known: row.user_known,
    })
}

/// The terms that decided.
pub(super) async fn terms(
    conn: &mut PgConnection,
    book: BookId,
    program: Uuid,
    version: i32,
) -> Result<TermsStep, TrailError> {
    let terms = sqlx::query_as!(
        TermsStep,
        r#"
        select version, effective_from, rule, fee_model, fee_brand_rate, fee_publisher_rate,
               lookback_days, attribution
        from settlement.program_terms
        where book_id = $1 and program_id = $2 and version = $3
        "#,
        book.value(),
        program,
        version,
    );
    Ok(terms.fetch_one(conn).await?)
}

/// The signs of fraud that were seen.
pub(super) async fn signals(
    conn: &mut PgConnection,
    it: ConversionRef,
) -> Result<Vec<SignalStep>, TrailError> {
    let found = fraud::signals_of(conn, it).await?;
    let step = |found: Found| {
        let (severity, score) = found.signal.weight();
        SignalStep {
            signal: found.signal.as_str(),
            severity: severity.as_str(),
            score,
            reason: found.reason,
            evidence: found.evidence,
        }
    };
    Ok(found.into_iter().map(step).collect())
}
