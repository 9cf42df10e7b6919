//! What signals are seen by, read for a whole batch; and the signals, kept once each.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use ledger::{Actor, BookId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::RiskSettings;
use super::signals::{Facts, Found, OfClick, Signal};
use crate::columns::column;
use crate::conversion::{ConversionError, ConversionRef};
use crate::terms::stored_names;

/// By what a publisher's own orders are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkKind {
    /// The opaque id under which the store knows the person: `user:…` or `visitor:…`.
    Customer,
    /// The hash of an address.
    IpHash,
}

stored_names!(MarkKind, MarkKind::Customer => "customer", MarkKind::IpHash => "ip_hash");

/// Notes by what publishers' own orders are known; what is noted already stays.
pub async fn mark_publishers(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    marks: &[(Uuid, MarkKind, String)],
) -> Result<(), sqlx::Error> {
    let query = sqlx::query!(
        r#"
        insert into settlement.publisher_mark (publisher_id, kind, value, noted_at, noted_by)
        select u.*, $4, $5
        from unnest($1::uuid[], $2::text[], $3::text[]) as u
        on conflict (publisher_id, kind, value) do nothing
        "#,
        &column(marks, |(publisher, ..)| *publisher),
        &column(marks, |(_, kind, _)| kind.as_str().to_owned()),
        &column(marks, |(_, _, value)| value.clone()),
        now,
        by.as_str(),
    );
    query.execute(conn).await?;
    Ok(())
}

fn books(conversions: &[ConversionRef]) -> Vec<i64> {
    column(conversions, |c| c.book.value())
}

fn ids(conversions: &[ConversionRef]) -> Vec<Uuid> {
    column(conversions, |c| c.id)
}

/// Notes from where orders came, where anything is known of it.
pub(super) async fn trace(
    conn: &mut PgConnection,
    conversions: &[ConversionRef],
) -> Result<(), ConversionError> {
    sqlx::query!(
        r#"
        insert into settlement.order_trace
            (book_id, conversion_id, publisher_id, occurred_at, ip_hash, user_agent, referrer)
        select c.book_id, c.id, c.publisher_id, c.occurred_at, seen.*
        from unnest($1::bigint[], $2::uuid[]) as u (book_id, id)
        join settlement.conversion c on c.book_id = u.book_id and c.id = u.id
        join settlement.event e on e.book_id = c.book_id and e.id = c.event_id
        left join settlement.click_request k on k.book_id = c.book_id and k.id = c.click_id
        cross join lateral (
            select coalesce(e.details ->> 'ip_hash', encode(k.ip_hash, 'hex')) as ip_hash,
                   coalesce(e.details ->> 'user_agent', k.user_agent) as user_agent,
                   k.referrer as referrer
        ) seen
        where num_nonnulls(seen.ip_hash, seen.user_agent, seen.referrer) > 0
        on conflict (book_id, conversion_id) do nothing
        "#,
        &books(conversions),
        &ids(conversions),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What is known of each order beside others. Counting stops at a hundred.
pub(super) async fn facts(
    conn: &mut PgConnection,
    settings: &RiskSettings,
    conversions: &[ConversionRef],
) -> Result<Vec<Facts>, ConversionError> {
    let minutes = i32::try_from(settings.window_minutes).unwrap_or(i32::MAX);
    let rows = sqlx::query!(
        r#"
        select c.book_id, c.id, c.order_amount,
               (select m.kind from settlement.publisher_mark m
                where m.publisher_id = c.publisher_id
                  and (m.kind = 'customer' and m.value = c.customer
                       or m.kind = 'ip_hash' and m.value = t.ip_hash)
                order by m.kind limit 1) as own,
               (select count(*) from (
                    select 1 from settlement.order_trace o
                    where o.book_id = t.book_id and o.ip_hash = t.ip_hash
                      and o.occurred_at between c.occurred_at - w.near and c.occurred_at + w.near
                    limit 100) as near) as "same_ip!",
               (select count(*) from (
                    select 1 from settlement.order_trace o
                    where o.book_id = t.book_id and o.publisher_id = t.publisher_id
                      and o.user_agent = t.user_agent
                      and o.occurred_at between c.occurred_at - w.near and c.occurred_at + w.near
                    limit 100) as near) as "same_agent!",
               (select count(distinct near.book_id) from (
                    select o.book_id from settlement.order_trace o
                    where o.referrer = t.referrer
                      and o.occurred_at between c.occurred_at - w.near and c.occurred_at + w.near
                    limit 100) as near) as "brands_of_referrer!",
               usual.earlier as "earlier!", usual.earlier_value as "earlier_value!"
        from unnest($1::bigint[], $2::uuid[]) as u (book_id, id)
        cross join (select make_interval(mins => $3) as near) w
        join settlement.conversion c on c.book_id = u.book_id and c.id = u.id
        left join settlement.order_trace t on t.book_id = c.book_id and t.conversion_id = c.id
        cross join lateral (
            select count(*) as earlier, coalesce(sum(before.order_amount), 0)::bigint
                   as earlier_value
            from (
                select o.order_amount from settlement.conversion o
                where o.book_id = c.book_id and o.program_id = c.program_id
                  and o.publisher_id = c.publisher_id and o.occurred_at < c.occurred_at
                  and o.currency = c.currency
                order by o.occurred_at desc limit 100) before
        ) usual
        "#,
        &books(conversions),
        &ids(conversions),
        minutes,
    )
    .fetch_all(conn)
    .await?;
    let count = |count: i64| u32::try_from(count).unwrap_or(u32::MAX);
    Ok(rows
        .into_iter()
        .map(|row| Facts {
            conversion: ConversionRef {
                book: BookId::from_value(row.book_id),
                id: row.id,
            },
            own: row.own.map(|kind| kind.replace("ip_hash", "address")),
            same_ip: count(row.same_ip),
            same_agent: count(row.same_agent),
            brands_of_referrer: count(row.brands_of_referrer),
            value: row.order_amount,
            earlier: row.earlier,
            earlier_value: row.earlier_value,
        })
        .collect())
}

/// All orders of the same clicks that are near enough to count together with these.
pub(super) async fn together(
    conn: &mut PgConnection,
    settings: &RiskSettings,
    conversions: &[ConversionRef],
) -> Result<Vec<OfClick>, ConversionError> {
    let minutes = i32::try_from(settings.window_minutes).unwrap_or(i32::MAX);
    let rows = sqlx::query!(
        r#"
        with clicked as (
            select c.book_id, c.click_id, min(c.occurred_at) - make_interval(mins => $3) as starts,
                   max(c.occurred_at) + make_interval(mins => $3) as ends
            from unnest($1::bigint[], $2::uuid[]) as u (book_id, id)
            join settlement.conversion c on c.book_id = u.book_id and c.id = u.id
            where c.click_id is not null
            group by c.book_id, c.click_id
        )
        select c.book_id, c.id, c.click_id as "click_id!", c.order_ref, c.occurred_at
        from clicked k
        join settlement.conversion c on c.book_id = k.book_id and c.click_id = k.click_id
             and c.occurred_at between k.starts and k.ends
        "#,
        &books(conversions),
        &ids(conversions),
        minutes,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| OfClick {
            conversion: ConversionRef {
                book: BookId::from_value(row.book_id),
                id: row.id,
            },
            click: row.click_id,
            order_ref: row.order_ref,
            occurred_at: row.occurred_at,
        })
        .collect())
}

/// Keeps signals; returns those that were not there before.
pub(super) async fn keep(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    found: &[Found],
) -> Result<Vec<Found>, ConversionError> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        r#"
        insert into settlement.fraud_signal (book_id, conversion_id, signal, severity, score,
                                             reason, evidence, detected_at, detected_by)
        select u.*, $8, $9
        from unnest($1::bigint[], $2::uuid[], $3::text[], $4::text[], $5::int[], $6::text[],
                    $7::jsonb[]) as u (book_id, id, signal, severity, score, reason, evidence)
        order by u.book_id, u.id, u.signal
        on conflict (book_id, conversion_id, signal) do nothing
        returning book_id, conversion_id, signal
        "#,
        &column(found, |f| f.conversion.book.value()),
        &column(found, |f| f.conversion.id),
        &column(found, |f| f.signal.as_str().to_owned()),
        &column(found, |f| f.signal.weight().0.as_str().to_owned()),
        &column(found, |f| i32::try_from(f.signal.weight().1).unwrap_or(100)),
        &column(found, |f| f.reason.clone()),
        &column(found, |f| f.evidence.clone()),
        now,
        by.as_str(),
    )
    .fetch_all(conn)
    .await?;
    let kept: HashSet<(i64, Uuid, String)> = rows
        .into_iter()
        .map(|row| (row.book_id, row.conversion_id, row.signal))
        .collect();
    let is_new = |f: &&Found| {
        let signal = f.signal.as_str().to_owned();
        kept.contains(&(f.conversion.book.value(), f.conversion.id, signal))
    };
    Ok(found.iter().filter(is_new).cloned().collect())
}

/// The score and reasons of each conversion that these signals are about.
pub(super) async fn scores(
    conn: &mut PgConnection,
    new: &[Found],
) -> Result<Vec<(ConversionRef, u32, String)>, ConversionError> {
    let rows = sqlx::query!(
        r#"
        select s.book_id, s.conversion_id, least(sum(s.score), 100) as "score!",
               string_agg(s.signal || ' (' || s.reason || ')', '; ' order by s.signal)
                   as "reasons!"
        from (select distinct * from unnest($1::bigint[], $2::uuid[])) as u (book_id, id)
        join settlement.fraud_signal s on s.book_id = u.book_id and s.conversion_id = u.id
        group by s.book_id, s.conversion_id
        order by s.book_id, s.conversion_id
        "#,
        &column(new, |f| f.conversion.book.value()),
        &column(new, |f| f.conversion.id),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let conversion = ConversionRef {
                book: BookId::from_value(row.book_id),
                id: row.conversion_id,
            };
            (
                conversion,
                u32::try_from(row.score).unwrap_or(0),
                row.reasons,
            )
        })
        .collect())
}

/// The signals of a conversion, with their reasons, in the order of their names.
pub async fn signals_of(
    conn: &mut PgConnection,
    conversion: ConversionRef,
) -> Result<Vec<Found>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select signal, reason, evidence from settlement.fraud_signal
        where book_id = $1 and conversion_id = $2
        order by signal
        "#,
        conversion.book.value(),
        conversion.id,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            Some(Found {
                conversion,
                signal: Signal::named(&row.signal)?,
                reason: row.reason,
                evidence: row.evidence,
            })
        })
        .collect())
}
