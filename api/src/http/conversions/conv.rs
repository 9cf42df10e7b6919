//! `POST /api/conv`: orders as brands report them, one or up to a thousand.

use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::value::RawValue;
use settlement::access::Scope;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::reply::{self, Item, Reply, Told};
use super::wanted::Wanted;
use crate::chance;
use crate::http::App;
use crate::http::auth::Principal;
use crate::http::limits::Body;
use crate::http::problem::Problem;
use crate::intake::orders::Reported;

/// The most orders of one request.
const MOST: usize = 1000;

/// An order as a brand reports it.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body; it is read by hand, for the amounts' sake"
)]
pub(super) struct ConvBody {
    /// The program.
    program_id: Uuid,
    /// The brand's own reference, unique within the program.
    #[schema(example = "ORDER-2026-0001")]
    brand_order_ref: String,
    /// What the order was worth: a number or a text, with no more decimals than the currency has.
    #[schema(value_type = Object, example = json!("99.00"))]
    order_value: String,
    /// ISO 4217; the program's, if none is given.
    #[schema(example = "USD")]
    order_currency: Option<String>,
    /// What the landing page was given: an id, a signed token or a tracking id.
    pcps_click: Option<String>,
    /// When it was placed; now, if not given.
    #[schema(example = "2026-01-05T10:00:00Z")]
    occurred_at: Option<String>,
    /// The commission as the sender computes it: compared, never trusted.
    #[schema(value_type = Option<Object>)]
    commission_amount: Option<String>,
}

/// How it is to be reported.
#[derive(Debug, Deserialize, IntoParams)]
pub(super) struct Options {
    /// Answer 409 if another amount stands under a reference, also if the program does not ask so.
    #[serde(default)]
    strict_duplicates: bool,
}

/// Report an order, or up to 1,000 of them as an array.
///
/// The same order again is a `duplicate` with its first conversion. Another amount under the same
/// reference changes nothing, is kept for the auditor, and answered `conflict`.
#[utoipa::path(
    post, path = "/api/conv", tag = "conversions", params(Options), request_body = ConvBody,
    responses(
        (status = 200, body = Reply),
        (status = 207, description = "several orders, each with its own outcome", body = [Item]),
        (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 409, body = Problem),
        (status = 413, body = Problem), (status = 422, body = Problem),
        (status = 429, body = Problem), (status = 503, body = Problem)),
)]
pub(super) async fn conv(
    State(app): State<App>,
    principal: Principal,
    Query(options): Query<Options>,
    Body(body): Body,
) -> Result<Response, Problem> {
    principal.may(Scope::Report)?;
    let body = std::str::from_utf8(&body).map_err(|_| malformed("it is not UTF-8 text"))?;
    let strict = options.strict_duplicates;
    if !body.trim_start().starts_with('[') {
        let json: &RawValue = read(body)?;
        let mut told = report(
            &app,
            &principal,
            &[Wanted::read(json.get())],
            "conv",
            strict,
        )
        .await?;
        return Ok(reply::single(told.remove(0)));
    }
    let items: Vec<&RawValue> = read(body)?;
    if items.is_empty() || items.len() > MOST {
        let detail = format!("there are {} orders; send 1 to {MOST} at once", items.len());
        return Err(Problem::unprocessable("too-many-orders", detail));
    }
    let wanted: Vec<_> = items.iter().map(|item| Wanted::read(item.get())).collect();
    Ok(reply::several(
        report(&app, &principal, &wanted, "conv", strict).await?,
    ))
}

fn read<'a, T: Deserialize<'a>>(body: &'a str) -> Result<T, Problem> {
    serde_json::from_str(body).map_err(|error| malformed(&error.to_string()))
}

fn malformed(why: &str) -> Problem {
    let detail = format!("the body is no JSON: {why}; nothing of it was recorded");
    Problem::bad_request("malformed-json", detail)
}

/// Reports orders through the intake; tells of each, in order.
///
/// # Errors
/// What is wrong with all of them; nothing is recorded then.
pub(super) async fn report(
    app: &App,
    principal: &Principal,
    wanted: &[Result<Wanted, Problem>],
    route: &str,
    strict: bool,
) -> Result<Vec<Told>, Problem> {
    report_as(app, principal, wanted, route, (strict, principal.is_test())).await
}

/// The same, strict or not, as a test or not.
pub(super) async fn report_as(
    app: &App,
    principal: &Principal,
    wanted: &[Result<Wanted, Problem>],
    route: &str,
    (strict, test): (bool, bool),
) -> Result<Vec<Told>, Problem> {
    let now = chance::now();
    let mut told: Vec<Option<Told>> = Vec::with_capacity(wanted.len());
    let mut reported: Vec<(usize, Reported)> = Vec::with_capacity(wanted.len());
    for (position, wanted) in wanted.iter().enumerate() {
        let resolved = match wanted {
            Ok(wanted) => wanted.resolve(app, principal, route, now).await,
            Err(problem) => Err(problem.clone()),
        };
        match resolved {
            Ok(item) => {
                told.push(None);
                reported.push((position, item));
            }
            Err(problem) => told.push(Some(Err(problem))),
        }
    }
    let names: Vec<(usize, String, bool)> = reported
        .iter()
        .map(|(at, item)| {
            (
                *at,
                item.order.order_ref.clone(),
                strict || item.strictness.duplicates,
            )
        })
        .collect();
    let items: Vec<Reported> = reported.into_iter().map(|(_, item)| item).collect();
    let answers = match (items.is_empty(), test) {
        (true, _) => Vec::new(),
        (false, true) => app
            .intake
            .rehearse(&items)
            .await?
            .into_iter()
            .map(Ok)
            .collect(),
        (false, false) => app.intake.submit(items).await?,
    };
    for ((position, order_ref, strict), answer) in names.into_iter().zip(answers) {
        told[position] = Some(match answer {
            Ok(answer) => reply::told(order_ref, answer, strict, test),
            Err(failed) => Err(failed.into()),
        });
    }
    Ok(told.into_iter().flatten().collect())
}
