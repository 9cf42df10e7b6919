//! What a publisher reads of itself.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use settlement::figures::publisher::{self as figures, SubMark};
use settlement::figures::{Whose, recent};
use settlement::party::{self, PartyError};
use sqlx::PgConnection;
use utoipa::{IntoParams, ToSchema};

use super::super::auth::Principal;
use super::super::guests::Guest;
use super::super::listing::{Format, Page, PageQuery, Paging, as_csv};
use super::super::manage::{not_yours, sight};
use super::super::{App, Problem, input};
use super::{period, since};
use crate::wire::{FiguresView, RecentView, SubView, SummaryView};

/// Which days count.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OfPeriod {
    /// `today`, `7d`, `30d` or `all`, in days of the accounting zone; `30d` unless said otherwise.
    #[param(example = "7d")]
    period: Option<String>,
}

/// Whose figures a key may read under a code, and the code as it is written.
async fn whose(
    conn: &mut PgConnection,
    principal: &Principal,
    code: &str,
) -> Result<(Whose, String), Problem> {
    let sight = sight(principal)?;
    let found = party::find_publisher(conn, input::storable(code)?).await?;
    if sight.publisher.is_some_and(|own| own != found.id) {
        return Err(not_yours());
    }
    let whose = Whose {
        publisher: found.id,
        book: sight.book,
    };
    Ok((whose, found.code))
}

/// Show a publisher's clicks, conversions and earnings of a period.
#[utoipa::path(
    get, path = "/api/affiliates/stats/{code}", tag = "figures", security(("key" = [])),
    params(("code" = String, Path, description = "the publisher's code"), OfPeriod),
    responses((status = 200, body = FiguresView), (status = 401, body = Problem),
              (status = 403, body = Problem), (status = 404, body = Problem),
              (status = 422, body = Problem)),
)]
pub(crate) async fn stats(
    State(app): State<App>,
    principal: Principal,
    input::At(code): input::At<String>,
    input::Asked(asked): input::Asked<OfPeriod>,
) -> Result<Json<FiguresView>, Problem> {
    let (period, name) = period(asked.period.as_deref())?;
    let mut conn = app.conn().await?;
    let (whose, code) = whose(&mut conn, &principal, &code).await?;
    let since = since(&mut conn, period).await?;
    let figures = figures::whole(&mut conn, whose, since).await?;
    Ok(Json(FiguresView::new(&code, name, &figures)))
}

/// Show a publisher's figures in short, of all time.
#[utoipa::path(
    get, path = "/api/affiliates/summary/{code}", tag = "figures", security(("key" = [])),
    params(("code" = String, Path, description = "the publisher's code")),
    responses((status = 200, body = SummaryView), (status = 401, body = Problem),
              (status = 403, body = Problem), (status = 404, body = Problem)),
)]
pub(crate) async fn summary(
    State(app): State<App>,
    principal: Principal,
    input::At(code): input::At<String>,
) -> Result<Json<SummaryView>, Problem> {
    let (period, _) = period(Some("all"))?;
    let mut conn = app.conn().await?;
    let (whose, code) = whose(&mut conn, &principal, &code).await?;
    let since = since(&mut conn, period).await?;
    let figures = figures::whole(&mut conn, whose, since).await?;
    Ok(Json(SummaryView::new(&code, &figures)))
}

/// List a publisher's conversions, the newest first: amount, status, date and mark, and nothing
/// that names an order or a customer.
#[utoipa::path(
    get, path = "/api/affiliates/conversions/{code}", tag = "figures", security(("key" = [])),
    params(("code" = String, Path, description = "the publisher's code"), OfPeriod, PageQuery),
    responses((status = 200, body = Page<RecentView>), (status = 401, body = Problem),
              (status = 403, body = Problem), (status = 404, body = Problem),
              (status = 422, body = Problem)),
)]
pub(crate) async fn conversions(
    State(app): State<App>,
    principal: Principal,
    input::At(code): input::At<String>,
    input::Asked(asked): input::Asked<OfPeriod>,
    paging: Paging,
) -> Result<Response, Problem> {
    let (period, _) = period(asked.period.as_deref())?;
    let mut conn = app.conn().await?;
    let (whose, _) = whose(&mut conn, &principal, &code).await?;
    let since = since(&mut conn, period).await?;
    let (after, rows) = (paging.after()?, paging.rows());
    let rows = recent::conversions(&mut conn, whose, since, after, rows).await?;
    paging.reply(rows, |row: &RecentView| row.place)
}

/// Which code.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OfCode {
    /// A publisher's code, exact to the letter.
    #[param(example = "ZOE")]
    code: String,
}

/// Whether a code leads anywhere. Nothing else is told.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Validity {
    /// A publisher that takes part has this code.
    valid: bool,
}

/// Say whether a code is a publisher's, for whoever asks; how often is limited.
#[utoipa::path(
    get, path = "/api/affiliate/validate", tag = "figures", params(OfCode),
    responses((status = 200, body = Validity), (status = 422, body = Problem),
              (status = 429, body = Problem)),
)]
pub(crate) async fn validate(
    State(app): State<App>,
    guest: Guest,
    input::Asked(asked): input::Asked<OfCode>,
) -> Result<Json<Validity>, Problem> {
    guest.may_try_codes()?;
    let code = input::storable(&asked.code)?;
    let mut conn = app.conn().await?;
    let valid = match party::find_publisher(&mut conn, code).await {
        Ok(found) => found.code == code && found.state == "approved",
        Err(PartyError::UnknownPublisher(_)) => false,
        Err(error) => return Err(error.into()),
    };
    Ok(Json(Validity { valid }))
}

/// Which mark.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OfMark {
    /// `today`, `7d`, `30d` or `all`; `30d` unless said otherwise.
    #[param(example = "30d")]
    period: Option<String>,
    /// Which mark: 1 for `sub1` to 5 for `sub5`; 1 unless said otherwise.
    #[param(minimum = 1, maximum = 5)]
    sub: Option<u8>,
    /// `json` or `csv`.
    format: Option<Format>,
}

/// Show a publisher's figures by one of its marks, such as its campaigns.
#[utoipa::path(
    get, path = "/v1/figures/subs/{code}", tag = "figures", security(("key" = [])),
    params(("code" = String, Path, description = "the publisher's code"), OfMark),
    responses((status = 200, body = Vec<SubView>), (status = 401, body = Problem),
              (status = 403, body = Problem), (status = 404, body = Problem),
              (status = 422, body = Problem)),
)]
pub(crate) async fn subs(
    State(app): State<App>,
    principal: Principal,
    input::At(code): input::At<String>,
    input::Asked(asked): input::Asked<OfMark>,
) -> Result<Response, Problem> {
    let (period, _) = period(asked.period.as_deref())?;
    let mark = asked.sub.unwrap_or(1);
    if !(1..=5).contains(&mark) {
        let detail = format!("sub {mark} is none of the five; use 1 to 5");
        return Err(Problem::unprocessable("unknown-mark", detail));
    }
    let mut conn = app.conn().await?;
    let (whose, _) = whose(&mut conn, &principal, &code).await?;
    let since = since(&mut conn, period).await?;
    let figures = figures::by_sub(&mut conn, whose, since, SubMark::Numbered(mark)).await?;
    let rows: Vec<SubView> = figures
        .iter()
        .flat_map(|(mark, figures)| SubView::rows(mark, figures))
        .collect();
    match asked.format.unwrap_or(Format::Json) {
        Format::Json => Ok(Json(rows).into_response()),
        Format::Csv => as_csv(&rows),
    }
}
