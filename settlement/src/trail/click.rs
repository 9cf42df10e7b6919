//! The raw record of the click behind a conversion: what was kept of it, as it came.

use chrono::{DateTime, NaiveDate, Utc};
use ledger::BookId;
use sqlx::PgConnection;
use uuid::Uuid;

use super::TrailError;

/// The click that earned a conversion.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ClickStep {
    /// Its id.
    pub id: Uuid,
    /// When, UTC.
    pub clicked_at: DateTime<Utc>,
    /// Until when the visitor carried it, UTC.
    pub expires_at: Option<DateTime<Utc>>,
    /// The opaque visitor.
    pub visitor: Option<String>,
    /// The browser's session.
    pub session: Option<String>,
    /// The link's word.
    pub link: Option<String>,
    /// What the visitor carried instead of the id.
    pub tracking_id: Option<String>,
    /// `sub1` to `sub5`, where the publisher gave any.
    pub subs: [Option<String>; 5],
    /// Why it can earn nobody anything, if so.
    pub reason: Option<String>,
    /// The click it repeats.
    pub duplicate_of: Option<Uuid>,
    /// When it came to the database, UTC.
    pub recorded_at: DateTime<Utc>,
    /// Through which door.
    pub recorded_by: String,
    /// The request, where one was kept.
    pub request: Option<RequestStep>,
}

/// The request of a click.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RequestStep {
    /// The HTTP method.
    pub method: String,
    /// The route.
    pub path: String,
    /// The whole address that was asked for.
    pub landing_url: Option<String>,
    /// The page before.
    pub referrer: Option<String>,
    /// Two letters.
    pub country: Option<String>,
    /// The browser, as it called itself.
    pub user_agent: Option<String>,
    /// HMAC of the visitor's address, in hexadecimal; the address itself is nowhere.
    pub ip_hash: Option<String>,
    /// The day whose salt that was made with.
    pub salt_day: Option<NaiveDate>,
    /// `utm_source`, `utm_medium`, `utm_campaign`, `utm_term`, `utm_content`.
    pub utm: [Option<String>; 5],
    /// `Sec-Fetch-Site`, `-Mode`, `-Dest`.
    pub fetch: [Option<String>; 3],
    /// `Sec-Purpose`.
    pub purpose: Option<String>,
}

/// A click as it was recorded; `None` where none earned the conversion.
pub(super) async fn click(
    conn: &mut PgConnection,
    book: BookId,
    click: Option<Uuid>,
) -> Result<Option<ClickStep>, TrailError> {
    let Some(id) = click else { return Ok(None) };
    let row = sqlx::query!(
        r#"
        select k.clicked_at, k.expires_at, k.visitor, k.session, k.link, k.tracking_id, k.sub1,
               k.sub2, k.sub3, k.sub4, k.sub5, k.reason, k.duplicate_of, k.recorded_at,
               k.recorded_by, r.method as "method?", r.path as "path?", r.landing_url, r.referrer,
               r.country, r.user_agent, encode(r.ip_hash, 'hex') as ip_hash, r.salt_day,
               r.utm_source, r.utm_medium, r.utm_campaign, r.utm_term, r.utm_content,
               r.fetch_site, r.fetch_mode, r.fetch_dest, r.purpose
        from settlement.click k
        left join settlement.click_request r on r.book_id = k.book_id and r.id = k.id
        where k.book_id = $1 and k.id = $2
        "#,
        book.value(),
        id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| ClickStep {
        id,
        clicked_at: row.clicked_at,
        expires_at: row.expires_at,
        visitor: row.visitor,
        session: row.session,
        link: row.link,
        tracking_id: row.tracking_id,
        subs: [row.sub1, row.sub2, row.sub3, row.sub4, row.sub5],
        reason: row.reason,
        duplicate_of: row.duplicate_of,
        recorded_at: row.recorded_at,
        recorded_by: row.recorded_by,
        request: row.method.zip(row.path).map(|(method, path)| RequestStep {
            method,
            path,
            landing_url: row.landing_url,
            referrer: row.referrer,
            country: row.country,
            user_agent: row.user_agent,
            ip_hash: row.ip_hash,
            salt_day: row.salt_day,
            utm: [
                row.utm_source,
                row.utm_medium,
                row.utm_campaign,
                row.utm_term,
                row.utm_content,
            ],
            fetch: [row.fetch_site, row.fetch_mode, row.fetch_dest],
            purpose: row.purpose,
        }),
    }))
}
