//! Coupon codes of publishers: given, ended, listed.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use settlement::access::Scope;
use settlement::coupon::{self, Code, Coupon, Listed};
use settlement::party;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::super::auth::Principal;
use super::super::once::{Posted, Started};
use super::super::{App, Problem, input};
use super::{may_manage, not_yours, sight};
use crate::chance;

/// A code to be given to a publisher.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCoupon {
    /// The program, by id or name.
    #[schema(example = "Acme/Summer")]
    program: String,
    /// The publisher, by id, code or name.
    #[schema(example = "ZOE")]
    publisher: String,
    /// The code, as customers type it; case does not count.
    #[schema(example = "SUMMER10")]
    code: String,
    /// From which order time on; now, if not given.
    valid_from: Option<DateTime<Utc>>,
}

/// A code to be ended.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ending {
    /// The program, by id or name.
    #[schema(example = "Acme/Summer")]
    program: String,
    /// The code.
    #[schema(example = "SUMMER10")]
    code: String,
    /// From which order time on; now, if not given.
    at: Option<DateTime<Utc>>,
}

/// A code as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CouponView {
    /// The code.
    #[schema(example = "SUMMER10")]
    code: String,
    /// Whose it is.
    publisher_id: Uuid,
    /// From which order time on.
    valid_from: DateTime<Utc>,
    /// Until which order time.
    ended_at: Option<DateTime<Utc>>,
}

impl From<Listed> for CouponView {
    fn from(listed: Listed) -> CouponView {
        CouponView {
            code: listed.code,
            publisher_id: listed.publisher,
            valid_from: listed.valid_from,
            ended_at: listed.ended_at,
        }
    }
}

/// Whose codes.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// The program, by id or name.
    program: String,
}

fn code(text: &str) -> Result<Code, Problem> {
    Code::new(text).map_err(|error| Problem::unprocessable("invalid-code", error.to_string()))
}

/// Give a code to a publisher; orders that name it are its from then on.
#[utoipa::path(
    post, path = "/v1/coupons", tag = "coupons", security(("key" = [])),
    request_body = NewCoupon,
    responses(
        (status = 201, body = CouponView), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 415, body = Problem), (status = 422, body = Problem),
    ),
)]
pub(crate) async fn add(
    State(app): State<App>,
    principal: Principal,
    Posted { value: asked, once }: Posted<NewCoupon>,
) -> Result<Response, Problem> {
    may_manage(&principal)?;
    let code = code(input::storable(&asked.code)?)?;
    let (program, publisher) = (
        input::storable(&asked.program)?,
        input::storable(&asked.publisher)?,
    );
    let (now, by) = (chance::now(), principal.actor("coupons"));
    let mut transaction = match once.begin(&app, &principal).await? {
        Started::New(transaction) => transaction,
        Started::Before(response) => return Ok(response),
    };
    let program = party::find_program(&mut transaction, program).await?;
    let new = Coupon {
        program: program.reference,
        code,
        publisher: party::find_publisher(&mut transaction, publisher).await?.id,
        valid_from: asked.valid_from.unwrap_or(now),
    };
    let view = CouponView {
        code: new.code.as_str().to_owned(),
        publisher_id: new.publisher,
        valid_from: new.valid_from,
        ended_at: None,
    };
    let added = coupon::add(&mut transaction, now, &by, &[new]).await;
    if added.map_err(anyhow::Error::from)? == 0 {
        let detail = "this code begins at that moment already; give another valid_from";
        return Err(Problem::new(StatusCode::CONFLICT, "taken", detail));
    }
    once.finish(transaction, &principal, StatusCode::CREATED, &view)
        .await
}

/// End what a code means for orders from a moment on.
#[utoipa::path(
    post, path = "/v1/coupons/end", tag = "coupons", security(("key" = [])),
    request_body = Ending,
    responses(
        (status = 200, body = [CouponView]), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 415, body = Problem), (status = 422, body = Problem),
    ),
)]
pub(crate) async fn end(
    State(app): State<App>,
    principal: Principal,
    Posted { value: asked, once }: Posted<Ending>,
) -> Result<Response, Problem> {
    may_manage(&principal)?;
    let code = code(input::storable(&asked.code)?)?;
    let program = input::storable(&asked.program)?;
    let at = asked.at.unwrap_or_else(chance::now);
    let mut transaction = match once.begin(&app, &principal).await? {
        Started::New(transaction) => transaction,
        Started::Before(response) => return Ok(response),
    };
    let program = party::find_program(&mut transaction, program)
        .await?
        .reference;
    let ended = coupon::end(&mut transaction, at, program, &code).await;
    if !ended.map_err(anyhow::Error::from)? {
        let detail = "this code means nothing at that moment; nothing was changed";
        return Err(Problem::new(StatusCode::CONFLICT, "nothing-to-end", detail));
    }
    let codes = coupon::of_program(&mut transaction, program).await;
    let codes = codes.map_err(anyhow::Error::from)?.into_iter();
    let codes: Vec<CouponView> = codes
        .filter(|listed| listed.code == code.as_str())
        .map(CouponView::from)
        .collect();
    once.finish(transaction, &principal, StatusCode::OK, &codes)
        .await
}

/// List the codes of a program: all of them for the network and its brand, its own for a publisher.
#[utoipa::path(
    get, path = "/v1/coupons", tag = "coupons", security(("key" = [])), params(Filter),
    responses(
        (status = 200, body = [CouponView]), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem),
    ),
)]
pub(crate) async fn list(
    State(app): State<App>,
    principal: Principal,
    input::Asked(asked): input::Asked<Filter>,
) -> Result<Json<Vec<CouponView>>, Problem> {
    principal.may(Scope::Read)?;
    let sight = sight(&principal)?;
    let mut conn = app.conn().await?;
    let program = party::find_program(&mut conn, input::storable(&asked.program)?)
        .await?
        .reference;
    if sight.book.is_some_and(|own| own != program.book) {
        return Err(not_yours());
    }
    let codes = coupon::of_program(&mut conn, program).await;
    let codes = codes.map_err(anyhow::Error::from)?.into_iter();
    let codes = codes.filter(|listed| sight.publisher.is_none_or(|own| own == listed.publisher));
    Ok(Json(codes.map(CouponView::from).collect()))
}
