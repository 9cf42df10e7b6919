//! What the network's office and the brands read: who owes how much, and for what.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::Deserialize;
use settlement::figures::click::outcome;
use settlement::figures::owed::{Which, commissions as commissions_of, totals};
use settlement::fraud;
use settlement::tracking::ClickRef;
use settlement::tracking::token::TokenKeys;
use utoipa::IntoParams;
use uuid::Uuid;

use super::super::auth::Principal;
use super::super::listing::{Format, Page, PageQuery, Paging, as_csv};
use super::super::manage::{Sight, not_yours, sight};
use super::super::{App, Problem, input};
use crate::chance;
use crate::wire::{ClickView, CommissionView, OwedView, ReversalView};

/// Publishers read their own figures, not the office's.
fn office(principal: &Principal) -> Result<Sight, Problem> {
    let sight = sight(principal)?;
    match sight.publisher {
        None => Ok(sight),
        Some(_) => Err(not_yours()),
    }
}

fn decimal(name: &str, text: Option<&str>, usual: i64) -> Result<Decimal, Problem> {
    let Some(text) = text else {
        return Ok(usual.into());
    };
    let fits =
        |number: &Decimal| !number.is_sign_negative() && *number < Decimal::from(1_i64 << 50);
    let number = Decimal::from_str_exact(text).ok().filter(fits);
    number.ok_or_else(|| {
        let detail = format!("{name} {text:?} is no amount; write it as 800 or 800.00");
        Problem::unprocessable("no-amount", detail)
    })
}

/// How much.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HowMuch {
    /// Only brands that owe at least so much, in their currency: 800 finds those near a threshold
    /// of 1000. 0 unless said otherwise.
    #[param(example = "800.00")]
    at_least: Option<String>,
    /// From how much on a brand is marked as over the threshold; 1000 unless said otherwise.
    #[param(example = "1000.00")]
    threshold: Option<String>,
    /// `json` or `csv`.
    format: Option<Format>,
}

/// List what each brand owes for conversions that are approved and not invoiced, or not decided
/// yet, the most first.
#[utoipa::path(
    get, path = "/v1/figures/owed", tag = "figures", security(("key" = [])), params(HowMuch),
    responses((status = 200, body = Vec<OwedView>), (status = 401, body = Problem),
              (status = 403, body = Problem), (status = 422, body = Problem)),
)]
pub(crate) async fn owed(
    State(app): State<App>,
    principal: Principal,
    input::Asked(asked): input::Asked<HowMuch>,
) -> Result<Response, Problem> {
    let sight = office(&principal)?;
    let at_least = decimal("at_least", asked.at_least.as_deref(), 0)?;
    let threshold = decimal("threshold", asked.threshold.as_deref(), 1_000)?;
    let mut conn = app.conn().await?;
    let rows = totals(&mut conn, sight.book, at_least).await?;
    let rows: Vec<OwedView> = rows
        .into_iter()
        .map(|owed| OwedView::new(owed, threshold))
        .collect();
    match asked.format.unwrap_or(Format::Json) {
        Format::Json => Ok(Json(rows).into_response()),
        Format::Csv => as_csv(&rows),
    }
}

/// Which commissions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WhichOnes {
    /// Only those of at least so much: `50` and `limit=20` show the recent large ones.
    #[param(example = "50.00")]
    at_least: Option<String>,
    /// Only those in this state: `pending`, `on_hold`, `approved`, `rejected`, `reversed` or
    /// `unattributed`.
    #[param(example = "approved")]
    state: Option<String>,
}

const STATES: [&str; 6] = [
    "pending",
    "on_hold",
    "approved",
    "rejected",
    "reversed",
    "unattributed",
];

/// List commissions with their clicks and products, the newest first.
#[utoipa::path(
    get, path = "/v1/figures/commissions", tag = "figures", security(("key" = [])),
    params(WhichOnes, PageQuery),
    responses((status = 200, body = Page<CommissionView>), (status = 401, body = Problem),
              (status = 403, body = Problem), (status = 422, body = Problem)),
)]
pub(crate) async fn commissions(
    State(app): State<App>,
    principal: Principal,
    input::Asked(asked): input::Asked<WhichOnes>,
    paging: Paging,
) -> Result<Response, Problem> {
    let sight = office(&principal)?;
    if let Some(state) = asked
        .state
        .as_deref()
        .filter(|state| !STATES.contains(state))
    {
        let detail = format!("{state:?} is no state; use one of {}", STATES.join(", "));
        return Err(Problem::unprocessable("unknown-state", detail));
    }
    let which = Which {
        book: sight.book,
        state: asked.state,
        at_least: decimal("at_least", asked.at_least.as_deref(), 0)?,
        after: paging.after::<(DateTime<Utc>, Uuid)>()?,
    };
    let mut conn = app.conn().await?;
    let rows = commissions_of(&mut conn, &which, paging.rows()).await?;
    paging.reply(rows, |row: &CommissionView| (row.created_at, row.id))
}

/// Show what one click led to.
#[utoipa::path(
    get, path = "/v1/figures/clicks/{click}", tag = "figures", security(("key" = [])),
    params(("click" = String, Path, description = "its id or tracking id")),
    responses((status = 200, body = ClickView), (status = 401, body = Problem),
              (status = 403, body = Problem), (status = 404, body = Problem)),
)]
pub(crate) async fn click(
    State(app): State<App>,
    principal: Principal,
    input::At(click): input::At<String>,
) -> Result<Json<ClickView>, Problem> {
    let sight = sight(&principal)?;
    let unknown = || {
        let detail = format!("there is no click {click:?}");
        Problem::new(StatusCode::NOT_FOUND, "unknown-click", detail)
    };
    let named = ClickRef::parse(
        input::storable(&click)?,
        &TokenKeys::default(),
        chance::now(),
    );
    let named = named.map_err(|_| unknown())?;
    let mut conn = app.conn().await?;
    let found = outcome(&mut conn, named.id).await?.ok_or_else(unknown)?;
    let hidden = sight.book.is_some_and(|own| own != found.book)
        || sight.publisher.is_some_and(|own| own != found.publisher);
    if hidden {
        return Err(not_yours());
    }
    Ok(Json(found.into()))
}

/// How many conversions say something.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Least {
    /// Only publishers with at least so many conversions within 30 days; 10 unless said otherwise.
    #[param(minimum = 1, example = 10)]
    least: Option<u32>,
    /// `json` or `csv`.
    format: Option<Format>,
}

/// List publishers of whose conversions more than 15 % were taken back within 30 days.
#[utoipa::path(
    get, path = "/v1/figures/reversals", tag = "figures", security(("key" = [])), params(Least),
    responses((status = 200, body = Vec<ReversalView>), (status = 401, body = Problem),
              (status = 403, body = Problem), (status = 422, body = Problem)),
)]
pub(crate) async fn reversals(
    State(app): State<App>,
    principal: Principal,
    input::Asked(asked): input::Asked<Least>,
) -> Result<Response, Problem> {
    let sight = office(&principal)?;
    if sight.book.is_some() {
        return Err(not_yours());
    }
    let least = asked.least.unwrap_or(10).max(1).into();
    let mut conn = app.conn().await?;
    let rows = fraud::reversal_rates(&mut conn, chance::now(), least).await;
    let rows = rows.map_err(anyhow::Error::from)?;
    let rows: Vec<ReversalView> = rows.into_iter().map(ReversalView::from).collect();
    match asked.format.unwrap_or(Format::Json) {
        Format::Json => Ok(Json(rows).into_response()),
        Format::Csv => as_csv(&rows),
    }
}
