//! Revenue events, identities and claims: who a user is, who brought them, what they paid.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use settlement::access::Scope;
use settlement::identity::{self, Claim, Claimed, Identify};
use settlement::tracking::ClickRef;
use utoipa::ToSchema;
use uuid::Uuid;

use super::conv::report;
use super::decide::read;
use super::once::{self, Once};
use super::reply::{self, Reply};
use super::wanted::{Wanted, text};
use crate::chance;
use crate::http::App;
use crate::http::auth::Principal;
use crate::http::limits::Body;
use crate::http::problem::Problem;

/// A revenue event of a user.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct EventBody<'a> {
    /// May be left out by a brand with one program.
    program_id: Option<Uuid>,
    /// What happened, such as `invoice_paid`.
    #[serde(rename = "type")]
    #[schema(example = "invoice_paid")]
    kind: String,
    /// The brand's own id of the user; stored as a hash only.
    #[schema(example = "user-42")]
    user_id: String,
    /// The brand's own id of the event; it counts once.
    #[schema(example = "in_1042")]
    external_id: String,
    /// What was paid: a number or a text; nothing, if not given.
    #[serde(borrow)]
    #[schema(value_type = Option<Object>, example = json!("49.00"))]
    amount: Option<&'a RawValue>,
    /// ISO 4217; the program's, if none is given.
    currency: Option<String>,
    /// When; now, if not given.
    occurred_at: Option<DateTime<Utc>>,
    /// The click, if it is known.
    click_id: Option<String>,
    /// The plan, for rates by plan.
    plan: Option<String>,
    /// A coupon code.
    coupon: Option<String>,
}

/// Report a revenue event; idempotent on `external_id`.
#[utoipa::path(
    post, path = "/v1/events", tag = "conversions", request_body = EventBody,
    responses((status = 200, body = Reply), (status = 422, body = Problem)),
)]
pub(super) async fn event(
    State(app): State<App>,
    principal: Principal,
    Body(body): Body,
) -> Result<Response, Problem> {
    principal.may(Scope::Report)?;
    let event: EventBody<'_> = read(&body)?;
    if event.kind.is_empty() || event.kind.len() > 100 {
        let detail = "type is missing or longer than 100 characters";
        return Err(Problem::unprocessable("invalid-event", detail));
    }
    let wanted = Wanted {
        program: event.program_id,
        order_ref: event.external_id,
        amount: event
            .amount
            .map_or_else(|| Ok("0".to_owned()), |raw| text(raw, "amount"))?,
        currency: event.currency,
        click: event.click_id,
        occurred_at: event.occurred_at,
        commission: None,
        user: Some(event.user_id),
        coupon: event.coupon,
        plan: event.plan,
        product: None,
        category: None,
        subs: Default::default(),
    };
    let mut told = report(&app, &principal, &[Ok(wanted)], "events", false).await?;
    Ok(reply::single(told.remove(0)))
}

/// A user was recognised where a click had led.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names of the API")]
pub(super) struct IdentifyBody {
    /// May be left out by a brand with one program.
    program_id: Option<Uuid>,
    /// The brand's own id of the user; stored as a hash only.
    user_id: String,
    /// What the landing page was given.
    #[serde(alias = "cref", alias = "pcps_click")]
    click_id: String,
}

/// What became of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Identified {
    /// `identified`, or `known` if it was before.
    status: &'static str,
}

/// Tie a user to a click, so that orders on other devices find it.
#[utoipa::path(
    post, path = "/v1/identify", tag = "conversions", request_body = IdentifyBody,
    responses((status = 200, body = Identified), (status = 422, body = Problem)),
)]
pub(super) async fn identify(
    State(app): State<App>,
    principal: Principal,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Problem> {
    principal.may(Scope::Report)?;
    let wanted: IdentifyBody = read(&body)?;
    let program = app.programs.meant(&principal, wanted.program_id).await?;
    let (now, book) = (chance::now(), program.reference.book);
    let tokens = app.programs.tokens().await?;
    let click = ClickRef::parse(&wanted.click_id, &tokens, now)
        .map_err(|error| Problem::unprocessable("invalid-click", format!("click_id: {error}")))?;
    let user = app
        .programs
        .user_key()
        .await?
        .hash(book, plain(&wanted.user_id)?);
    let route = "POST /v1/identify".to_owned();
    let mut open = match once::begin(&app, &principal, &headers, route, &body).await? {
        Once::Answered(response) => return Ok(response),
        Once::Open(open) => open,
    };
    let tie = Identify {
        book,
        user,
        click: click.id,
    };
    let by = principal.actor("identify");
    let new = identity::identify(open.conn(), now, &by, &[tie]).await;
    let status = match new.map_err(anyhow::Error::from)? {
        0 => "known",
        _ => "identified",
    };
    open.answer(StatusCode::OK, &Identified { status }).await
}

/// A publisher's link brought a user to sign up.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct ClaimBody {
    /// May be left out by a brand with one program.
    program_id: Option<Uuid>,
    /// The brand's own id of the user; stored as a hash only.
    user_id: String,
    /// The publisher.
    #[serde(alias = "affiliate_id")]
    publisher_id: Uuid,
    /// When the link was clicked first.
    first_click_at: DateTime<Utc>,
}

/// Who brought the user.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ClaimReply {
    /// `claimed`, or `stands` if somebody claimed before; that stands.
    status: &'static str,
    /// The publisher who did.
    publisher_id: Uuid,
    /// When their link was clicked first.
    first_click_at: DateTime<Utc>,
}

/// Claim a user for a publisher; the first claim stands for ever.
#[utoipa::path(
    post, path = "/v1/claims", tag = "conversions", request_body = ClaimBody,
    responses((status = 200, body = ClaimReply), (status = 422, body = Problem)),
)]
pub(super) async fn claim(
    State(app): State<App>,
    principal: Principal,
    Body(body): Body,
) -> Result<Json<ClaimReply>, Problem> {
    principal.may(Scope::Report)?;
    let wanted: ClaimBody = read(&body)?;
    let program = app.programs.meant(&principal, wanted.program_id).await?;
    let (now, book) = (chance::now(), program.reference.book);
    let claim = Claim {
        book,
        user: app
            .programs
            .user_key()
            .await?
            .hash(book, plain(&wanted.user_id)?),
        publisher: wanted.publisher_id,
        first_click_at: wanted.first_click_at,
    };
    let headers = HeaderMap::new();
    let route = "POST /v1/claims".to_owned();
    let Once::Open(mut open) = once::begin(&app, &principal, &headers, route, &body).await? else {
        return Err(anyhow::anyhow!("a request without a name was answered before").into());
    };
    let by = principal.actor("claims");
    let claimed = identity::claim(open.conn(), now, &by, &[claim]).await;
    let (status, publisher_id, first_click_at) = match claimed.map_err(anyhow::Error::from)?[..] {
        [Claimed::Now] => (
            "claimed",
            wanted.publisher_id,
            wanted.first_click_at.min(now),
        ),
        [
            Claimed::Before {
                publisher,
                first_click_at,
            },
        ] => ("stands", publisher, first_click_at),
        _ => {
            let detail = format!("there is no publisher {}", wanted.publisher_id);
            return Err(Problem::unprocessable("unknown-publisher", detail));
        }
    };
    let reply = ClaimReply {
        status,
        publisher_id,
        first_click_at,
    };
    open.answer(StatusCode::OK, &reply).await?;
    Ok(Json(reply))
}

fn plain(user: &str) -> Result<&str, Problem> {
    if (1..=200).contains(&user.chars().count()) {
        return Ok(user);
    }
    let detail = "user_id is not 1 to 200 characters";
    Err(Problem::unprocessable("invalid-user", detail))
}
