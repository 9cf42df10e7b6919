//! Writing clicks: append, and leave alone what is there.

use chrono::{DateTime, NaiveDate, Utc};
use ledger::Actor;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Click, ClickRequest};
use crate::columns::column;

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
    let sub = |n: usize| column(clicks, |c| c.subs[n].clone());
    let recorded = sqlx::query!(
        r#"
        insert into settlement.click
            (book_id, id, program_id, publisher_id, clicked_at, expires_at, link, tracking_id,
             visitor, session, sub1, sub2, sub3, sub4, sub5, reason, duplicate_of,
             recorded_at, recorded_by)
        select u.*, $18, $19
        from unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::uuid[], $5::timestamptz[],
                    $6::timestamptz[], $7::text[], $8::text[], $9::text[], $10::text[],
                    $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[],
                    $17::uuid[]) as u
        on conflict (book_id, id) do nothing
        "#,
        &column(clicks, |c| c.program.book.value()),
        &column(clicks, |c| c.id),
        &column(clicks, |c| c.program.id),
        &column(clicks, |c| c.publisher),
        &column(clicks, |c| c.clicked_at),
        &column(clicks, |c| c.expires_at) as &[Option<DateTime<Utc>>],
        &column(clicks, |c| c.link.clone()) as &[Option<String>],
        &column(clicks, |c| c.tracking_id.clone()) as &[Option<String>],
        &column(clicks, |c| c.visitor.clone()) as &[Option<String>],
        &column(clicks, |c| c.session.clone()) as &[Option<String>],
        &sub(0) as &[Option<String>],
        &sub(1) as &[Option<String>],
        &sub(2) as &[Option<String>],
        &sub(3) as &[Option<String>],
        &sub(4) as &[Option<String>],
        &column(clicks, |c| c.reason.map(|r| r.as_str().to_owned())) as &[Option<String>],
        &column(clicks, |c| c.duplicate_of) as &[Option<Uuid>],
        now,
        by.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(recorded.rows_affected())
}

/// Records the requests behind clicks; one that is there already is left as it is.
#[expect(
    clippy::as_conversions,
    reason = "tells sqlx that an array may hold nulls; converts nothing"
)]
pub async fn record_requests(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    requests: &[(&Click, &ClickRequest)],
) -> Result<u64, sqlx::Error> {
    let text = |of: &dyn Fn(&ClickRequest) -> Option<String>| column(requests, |(_, r)| of(r));
    let hashes: Vec<Option<Vec<u8>>> = column(requests, |(_, r)| {
        r.address.as_ref().map(|a| a.hash.to_vec())
    });
    let days: Vec<Option<NaiveDate>> =
        column(requests, |(_, r)| r.address.as_ref().map(|a| a.salt_day));
    let recorded = sqlx::query!(
        r#"
        insert into settlement.click_request
            (book_id, id, path, method, ip_hash, salt_day, user_agent, country, referrer,
             landing_url, utm_source, utm_medium, utm_campaign, utm_term, utm_content,
             fetch_site, fetch_mode, fetch_dest, purpose, recorded_at)
        select u.*, $20
        from unnest($1::bigint[], $2::uuid[], $3::text[], $4::text[], $5::bytea[], $6::date[],
                    $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[],
                    $13::text[], $14::text[], $15::text[], $16::text[], $17::text[], $18::text[],
                    $19::text[]) as u
        on conflict (book_id, id) do nothing
        "#,
        &column(requests, |(c, _)| c.program.book.value()),
        &column(requests, |(c, _)| c.id),
        &column(requests, |(_, r)| r.path.clone()),
        &column(requests, |(_, r)| r.method.clone()),
        &hashes as &[Option<Vec<u8>>],
        &days as &[Option<NaiveDate>],
        &text(&|r| r.user_agent.clone()) as &[Option<String>],
        &text(&|r| r.country.clone()) as &[Option<String>],
        &text(&|r| r.referrer.clone()) as &[Option<String>],
        &text(&|r| r.landing_url.clone()) as &[Option<String>],
        &text(&|r| r.utm[0].clone()) as &[Option<String>],
        &text(&|r| r.utm[1].clone()) as &[Option<String>],
        &text(&|r| r.utm[2].clone()) as &[Option<String>],
        &text(&|r| r.utm[3].clone()) as &[Option<String>],
        &text(&|r| r.utm[4].clone()) as &[Option<String>],
        &text(&|r| r.fetch[0].clone()) as &[Option<String>],
        &text(&|r| r.fetch[1].clone()) as &[Option<String>],
        &text(&|r| r.fetch[2].clone()) as &[Option<String>],
        &text(&|r| r.purpose.clone()) as &[Option<String>],
        now,
    )
    .execute(conn)
    .await?;
    Ok(recorded.rows_affected())
}
