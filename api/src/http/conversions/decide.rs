//! Decisions: approve, reject, hold, release, reverse, reinstate; one conversion or many.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use jobs::effects;
use serde::{Deserialize, Serialize};
use settlement::access::Scope;
use settlement::conversion::{Action, Changed, Decision};
use settlement::reported::Named;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use super::once::{self, Once};
use super::reply::state_name;
use super::target::{self, Reason};
use crate::chance;
use crate::http::App;
use crate::http::auth::Principal;
use crate::http::limits::Body;
use crate::http::problem::Problem;

/// The most decisions of one request.
const MOST: usize = 1000;

/// What became of a decision.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Decided {
    /// The conversion.
    conversion_id: Uuid,
    /// Its order, as the brand calls it.
    #[schema(example = "ORDER-2026-0001")]
    order_ref: String,
    /// `changed`, or `unchanged` if it was so already.
    #[schema(example = "changed")]
    status: &'static str,
    /// The state it is in now.
    #[schema(example = "approved")]
    state: &'static str,
}

/// One decision of several.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Item {
    /// Its place in the request, from 0.
    index: usize,
    /// What it would have been answered alone.
    http_status: u16,
    /// What became of it.
    #[serde(flatten)]
    decided: Option<Decided>,
    /// Why it could not be.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

/// A decision about many.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Many {
    /// Order references or conversion ids, up to 1,000.
    conversions: Vec<String>,
    #[serde(flatten)]
    reason: Reason,
}

/// Decide about a conversion: approve, reject, hold, release, reverse or reinstate it.
#[utoipa::path(
    post, path = "/v1/conversions/{reference}/{action}", tag = "conversions",
    params(("reference" = String, Path, description = "order reference or conversion id"),
           ("action" = String, Path, description = "what is decided"),
           ("Idempotency-Key" = Option<String>, Header)),
    request_body = Reason,
    responses((status = 200, body = Decided), (status = 404, body = Problem),
              (status = 409, body = Problem), (status = 422, body = Problem)),
)]
pub(super) async fn one(
    State(app): State<App>,
    principal: Principal,
    Path((reference, action)): Path<(String, String)>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Problem> {
    principal.may(Scope::Decide)?;
    let action = named(&action)?;
    let reason: Reason = read(&body)?;
    let route = format!("POST /v1/conversions/{reference}/{}", action.as_str());
    let mut open = match once::begin(&app, &principal, &headers, route, &body).await? {
        Once::Answered(response) => return Ok(response),
        Once::Open(open) => open,
    };
    let decided = decide(open.conn(), &principal, action, &reason, &[reference]).await?;
    let decided = decided.into_iter().next();
    let decided = decided.ok_or_else(|| anyhow::anyhow!("a decision has no answer"))??;
    open.answer(StatusCode::OK, &decided).await
}

/// Decide alike about many conversions.
#[utoipa::path(
    post, path = "/v1/conversions/{action}", tag = "conversions",
    params(("action" = String, Path, description = "what is decided"),
           ("Idempotency-Key" = Option<String>, Header)),
    request_body = Many,
    responses((status = 207, body = [Item]), (status = 422, body = Problem)),
)]
pub(super) async fn many(
    State(app): State<App>,
    principal: Principal,
    Path(action): Path<String>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Problem> {
    principal.may(Scope::Decide)?;
    let action = named(&action)?;
    let Many {
        conversions,
        reason,
    } = read(&body)?;
    if conversions.is_empty() || conversions.len() > MOST {
        let detail = format!("name 1 to {MOST} conversions at once");
        return Err(Problem::unprocessable("too-many-conversions", detail));
    }
    let route = format!("POST /v1/conversions/{}", action.as_str());
    let mut open = match once::begin(&app, &principal, &headers, route, &body).await? {
        Once::Answered(response) => return Ok(response),
        Once::Open(open) => open,
    };
    let decided = decide(open.conn(), &principal, action, &reason, &conversions).await?;
    let items: Vec<Item> = decided
        .into_iter()
        .enumerate()
        .map(|(index, decided)| match decided {
            Ok(decided) => Item {
                index,
                http_status: 200,
                decided: Some(decided),
                problem: None,
            },
            Err(problem) => Item {
                index,
                http_status: problem.status(),
                decided: None,
                problem: Some(problem),
            },
        })
        .collect();
    open.answer(StatusCode::MULTI_STATUS, &items).await
}

fn named(action: &str) -> Result<Action, Problem> {
    Action::named(action).ok_or_else(|| {
        let detail = "a conversion can be approved, rejected, held, released, reversed, \
                      reinstated or refunded; say approve, reject, hold, release, reverse, \
                      reinstate or refund";
        Problem::new(StatusCode::NOT_FOUND, "unknown-action", detail)
    })
}

/// Reads a body.
pub(super) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        let detail = format!("the body cannot be read: {error}; nothing was changed");
        if error.is_data() {
            Problem::unprocessable("invalid-body", detail)
        } else {
            Problem::bad_request("malformed-json", detail)
        }
    })
}

/// Decides about conversions, each of which may be unknown or in the wrong state.
async fn decide(
    conn: &mut PgConnection,
    principal: &Principal,
    action: Action,
    reason: &Reason,
    names: &[String],
) -> Result<Vec<Result<Decided, Problem>>, Problem> {
    let decision = Decision {
        action,
        reason: reason.text()?,
    };
    let by = target::author(principal, action.as_str(), &reason.actor);
    let found = target::find(conn, principal, names).await?;
    let known: Vec<_> = found
        .iter()
        .flatten()
        .map(|named| named.conversion)
        .collect();
    let changed = effects::decide(conn, chance::now(), &by, &decision, &known).await;
    let mut changed = changed.map_err(anyhow::Error::from)?.into_iter();
    Ok(found
        .into_iter()
        .map(|found| {
            let meant = found?;
            let changed = changed.next().unwrap_or(Changed::Unknown);
            told(&meant, action, changed)
        })
        .collect())
}

fn told(named: &Named, action: Action, changed: Changed) -> Result<Decided, Problem> {
    let (status, state) = match changed {
        Changed::To(state) => ("changed", state),
        Changed::Already(state) => ("unchanged", state),
        Changed::Impossible(state) => {
            let (order, state) = (&named.order_ref, state_name(state));
            let action = action.as_str();
            let detail = format!("order {order} is {state}; it cannot {action} from there");
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "impossible-step",
                detail,
            ));
        }
        Changed::Unknown => {
            let detail = format!("order {} is gone; try again", named.order_ref);
            return Err(Problem::new(
                StatusCode::NOT_FOUND,
                "unknown-conversion",
                detail,
            ));
        }
    };
    Ok(Decided {
        conversion_id: named.conversion.id,
        order_ref: named.order_ref.clone(),
        status,
        state: state_name(state),
    })
}
