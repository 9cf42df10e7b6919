//! `POST /api/track/click`: a store's own script asks for a tracking id before its visitor leaves.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat, Utc};
use governor::DefaultKeyedRateLimiter;
use governor::clock::{Clock, DefaultClock};
use serde::{Deserialize, Serialize};
use settlement::tracking::Reason;
use settlement::tracking::judge::Door;
use utoipa::ToSchema;

use super::request::{Query, Visitor};
use super::visit::{Asked, location, visit};
use crate::http::App;
use crate::http::limits::Body;
use crate::http::problem::Problem;

/// Which product a visitor clicked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Clicked {
    /// The product, as its link is called.
    #[schema(example = "prod_123")]
    product_id: String,
}

/// Where the visitor is to go.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tracked {
    /// The click was kept.
    success: bool,
    /// Whether it can earn anything.
    qualified: bool,
    /// What the visitor carries; of a repeated click, the one it repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "raff_X4m9K2pL7nQw")]
    tracking_id: Option<String>,
    /// Where to go.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "https://store.zid.sa/products/123?ref=raff_X4m9K2pL7nQw")]
    redirect_url: Option<String>,
    /// Until when it counts, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2026-02-07T12:00:00.000Z")]
    expires_at: Option<String>,
    /// Why it cannot earn anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "DUPLICATE_RECENT")]
    disqualify_reason: Option<Reason>,
}

/// Track a click of a product, asked by the store's own page. Every question is kept with what
/// disqualifies it, if anything does.
#[utoipa::path(post, path = "/api/track/click", tag = "clicks",
    request_body(content = Clicked),
    responses((status = 200, body = Tracked), (status = 404, body = Problem),
              (status = 422, body = Problem), (status = 429, body = Problem),
              (status = 503, body = Problem)))]
pub(super) async fn track(
    State(app): State<App>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
    Body(body): Body,
) -> Response {
    match answer(&app, &visitor, query.as_deref().unwrap_or_default(), &body).await {
        Ok(tracked) => (StatusCode::OK, Json(tracked)).into_response(),
        Err(problem) => problem.into_response(),
    }
}

async fn answer(
    app: &App,
    visitor: &Visitor,
    query: &str,
    body: &[u8],
) -> Result<Tracked, Problem> {
    let asked: Clicked = serde_json::from_slice(body).map_err(|error| {
        Problem::unprocessable(
            "invalid-click",
            format!("send {{\"productId\": …}}: {error}"),
        )
    })?;
    let map = Arc::clone(&app.clicks.links.now());
    let target = map.find(&asked.product_id).ok_or_else(|| {
        let detail = format!("product {:?} has no link; make one first", asked.product_id);
        Problem::new(StatusCode::NOT_FOUND, "unknown-product", detail)
    })?;
    may_ask(app, visitor.address, &asked.product_id)?;
    let query = Query::read(query);
    let asked = Asked {
        door: Door::Script,
        path: "/api/track/click",
        query: &query,
        sub: None,
    };
    let visit = visit(app, visitor, target, &map.keys, asked).await?;
    // Whoever repeats a click is led with the one that counts.
    let carried = visit
        .repeats
        .map(|earlier| earlier.carried)
        .or(visit.carried);
    let redirect_url = match &carried {
        Some(carried) => location(target, Some(carried)),
        None => visit.location,
    };
    Ok(Tracked {
        success: true,
        qualified: visit.click.reason.is_none(),
        tracking_id: carried,
        redirect_url,
        expires_at: visit.click.expires_at.map(written),
        disqualify_reason: visit.click.reason,
    })
}

fn written(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Refuses who asks too often, for anything or for one product.
fn may_ask(app: &App, address: IpAddr, product: &str) -> Result<(), Problem> {
    let clicks = &app.clicks;
    let within = |limiter: &DefaultKeyedRateLimiter<u64>, key: u64| {
        limiter.check_key(&key).map_err(|denied| {
            let wait = denied.wait_time_from(DefaultClock::default().now());
            let seconds = u32::try_from(wait.as_secs() + 1).unwrap_or(u32::MAX);
            let detail = format!("too many clicks from your address; wait {seconds} s");
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited", detail).after(seconds)
        })
    };
    within(&clicks.by_script, clicks.recent.number(address))?;
    within(&clicks.by_product, clicks.recent.number((address, product)))
}
