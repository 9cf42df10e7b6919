//! One visit: looked up, judged, kept, and led on.

use std::net::IpAddr;
use std::sync::atomic::Ordering;

use chrono::{DateTime, TimeDelta, Utc};
use settlement::tracking::destination::Destination;
use settlement::tracking::judge::{Door, Facts, Standing, judge};
use settlement::tracking::profile::{DedupKey, Format};
use settlement::tracking::token::{Claims, TokenKeys, is_token};
use settlement::tracking::{Click, ClickRequest, Reason, reference};
use sha2::{Digest, Sha256};

use super::Clicks;
use super::links::{Page, Target};
use super::recent::Earlier;
use super::request::{Query, Visitor, seen};
use crate::chance;
use crate::http::App;
use crate::http::problem::Problem;
use crate::spool::Kept;

/// What a visit came to.
pub(super) struct Visit {
    /// The click, as it is kept.
    pub(super) click: Click,
    /// What the visitor carries from now on, if the click can earn anything.
    pub(super) carried: Option<String>,
    /// Where to; nowhere if the program takes no visitors and names no other page.
    pub(super) location: Option<String>,
    /// The `Set-Cookie` headers.
    pub(super) cookies: Vec<String>,
    /// The click that it repeats, where the site's own script asked.
    pub(super) repeats: Option<Earlier>,
}

/// Judges a visit of a link, keeps its click, and says where it leads.
///
/// # Errors
/// The click could not be kept, and the operator rather refuses than loses it.
pub(super) async fn visit(
    app: &App,
    visitor: &Visitor,
    target: &Target,
    keys: &TokenKeys,
    asked: Asked<'_>,
) -> Result<Visit, Problem> {
    let clicks = &app.clicks;
    let now = chance::now();
    let mut request = visitor.request(asked.path, asked.query);
    request.address = clicks.salts.hash(visitor.address, now);
    let country = &clicks.countries;
    request.country = country.of(visitor.address, &visitor.headers, visitor.proxied);
    let mut click = Click {
        expires_at: Some(now + target.program.profile.carried()),
        link: Some(target.word.clone()),
        subs: asked.query.subs.clone(),
        ..Click::new(
            chance::id(),
            target.program.reference,
            target.publisher,
            now,
        )
    };
    if let Some(sub) = asked.sub {
        click.subs[0] = Some(sub);
    }
    let mut cookies = Vec::new();
    click.session = session(visitor, target, &mut cookies);
    click.reason = judged(clicks, visitor, target, &request, asked.door);
    note_forged(clicks, visitor, target, keys, now);
    let carried = carry(&mut click, &target.program.profile.format, keys);
    let repeats = repeats(clicks, visitor, target, &click, &request, &carried);
    if let Some(earlier) = &repeats {
        click.duplicate_of = Some(earlier.click);
        if asked.door == Door::Script {
            click.reason = Some(Reason::DuplicateRecent);
        }
    }
    let qualifies = click.reason.is_none();
    if qualifies && let Some(cookie) = &target.program.profile.cookie {
        cookies.insert(0, cookie.header(&carried));
    }
    if !qualifies {
        cookies.clear();
    }
    let location = location(target, qualifies.then_some(carried.as_str()));
    let kept = Kept { click, request };
    let done = app.spool.keep(&kept).await;
    done.map_err(|error| Problem::unavailable(error.to_string(), 1))?;
    Ok(Visit {
        click: kept.click,
        carried: qualifies.then_some(carried),
        location,
        cookies,
        repeats,
    })
}

/// How a visit was asked for.
pub(super) struct Asked<'a> {
    /// Who asks: somebody who followed a link, or a site's script.
    pub(super) door: Door,
    /// Which route it took.
    pub(super) path: &'a str,
    /// What stood in the query.
    pub(super) query: &'a Query,
    /// `sub1`, where the path says it.
    pub(super) sub: Option<String>,
}

/// The browser's session: the one it carries, or a new one that it is given.
fn session(visitor: &Visitor, target: &Target, cookies: &mut Vec<String>) -> Option<String> {
    let cookie = target.program.profile.session.as_ref()?;
    let plain = |text: &&str| {
        let sign = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        (8..=64).contains(&text.len()) && text.bytes().all(sign)
    };
    let carried = visitor.cookie(&cookie.name).filter(plain);
    let session = carried.map_or_else(|| chance::id().simple().to_string(), str::to_owned);
    if carried.is_none() {
        cookies.push(cookie.header(&session));
    }
    Some(session)
}

fn judged(
    clicks: &Clicks,
    visitor: &Visitor,
    target: &Target,
    request: &ClickRequest,
    door: Door,
) -> Option<Reason> {
    let facts = Facts {
        standing: target.standing,
        destination_allowed: !matches!(target.page, Page::Forbidden),
        // Whoever asked too often at the script's door was answered already.
        over_rate: door == Door::Link && is_over_rate(clicks, visitor.address),
        referrers: &target.program.profile.referrers,
        repeated: false,
    };
    judge(
        &seen(door, &visitor.method, request, &clicks.robots),
        &facts,
    )
}

fn is_over_rate(clicks: &Clicks, address: IpAddr) -> bool {
    clicks
        .by_address
        .check_key(&clicks.recent.number(address))
        .is_err()
}

/// A token in the visitor's cookie that does not hold is nobody's business, but it is counted.
fn note_forged(
    clicks: &Clicks,
    visitor: &Visitor,
    target: &Target,
    keys: &TokenKeys,
    now: DateTime<Utc>,
) {
    let cookie = target.program.profile.cookie.as_ref();
    let carried = cookie.and_then(|cookie| visitor.cookie(&cookie.name));
    let Some(token) = carried.filter(|text| is_token(text)) else {
        return;
    };
    if let Err(error) = keys.verify(token, now) {
        let ignored = clicks.ignored_tokens.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::info!(%error, ignored, "a visitor's click token was ignored");
    }
}

/// What the visitor carries; a tracking id is drawn first, and the click's id follows from it.
fn carry(click: &mut Click, format: &Format, keys: &TokenKeys) -> String {
    match format {
        Format::Uuid => click.id.to_string(),
        Format::Tracking(prefix) => {
            let text = format!("{prefix}{}", drawn(click.id));
            click.id = reference::tracking_id(&text);
            click.tracking_id = Some(text.clone());
            text
        }
        Format::Signed => {
            let claims = Claims {
                program: click.program,
                publisher: click.publisher,
                click: click.id,
                clicked_at: click.clicked_at,
                expires_at: click.expires_at.unwrap_or(click.clicked_at),
                sub1: click.subs[0].clone(),
            };
            // Keys are made before the service takes its first visitor.
            keys.sign(&claims).unwrap_or_else(|| click.id.to_string())
        }
    }
}

/// Twelve characters of the alphabet that tracking ids have, out of an id drawn by chance.
fn drawn(id: uuid::Uuid) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    let hash = Sha256::digest(id.as_bytes());
    let letters = hash.iter().take(12);
    letters
        .map(|byte| char::from(LETTERS[usize::from(byte & 63)]))
        .collect()
}

/// The click that this one repeats, by what the program counts visitors by.
fn repeats(
    clicks: &Clicks,
    visitor: &Visitor,
    target: &Target,
    click: &Click,
    request: &ClickRequest,
    carried: &str,
) -> Option<Earlier> {
    let dedup = target.program.profile.dedup?;
    if click.reason.is_some() {
        return None;
    }
    let this = Earlier {
        click: click.id,
        at: click.clicked_at,
        carried: carried.to_owned(),
    };
    let window = TimeDelta::seconds(dedup.window_seconds.into());
    let recent = &clicks.recent;
    match dedup.key {
        DedupKey::Session => {
            let key = (click.program, click.publisher, click.session.as_deref());
            recent.repeats(key, window, &this)
        }
        DedupKey::IpUaTarget => {
            let key = (visitor.address, request.user_agent.as_deref(), &target.word);
            recent.repeats(key, window, &this)
        }
    }
}

/// Where a visitor is led.
pub(super) fn location(target: &Target, carried: Option<&str>) -> Option<String> {
    let program = &target.program;
    if target.standing != Standing::Active {
        return program.fallback.as_ref().map(Destination::plain);
    }
    let page = match &target.page {
        Page::Own(page) => page,
        Page::Programs | Page::Forbidden => &program.destination,
    };
    let Some(carried) = carried else {
        return Some(page.plain());
    };
    let profile = &program.profile;
    let mut marks = vec![(profile.parameter.as_str(), carried)];
    if let Some(utm) = &profile.utm {
        marks.push(("utm_source", &utm.source));
        marks.push(("utm_medium", &utm.medium));
        marks.extend(
            target
                .campaign
                .as_deref()
                .map(|name| ("utm_campaign", name)),
        );
    }
    Some(page.with(&marks))
}
