//! `GET|POST /postback`: orders as networks and trackers report them, in their own words.
//!
//! The key comes as a header or as a token in the query, which is never logged or kept. A refused
//! postback leaves its numbered outcome, because its sender will not tell anybody about it. Senders
//! that ask for text, or come to TUNE's address, get TUNE's words with 200 whatever happened, since
//! they do not look at the status; only what should be tried again is a 503.

mod fields;
mod names;

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, OriginalUri, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jobs::effects;
use settlement::access::Scope;
use settlement::conversion::{Action, Changed, ConversionRef, Decision};
use settlement::reported::{self, Outcome, PostbackOutcome};

use self::fields::{Fields, Status};
use super::conv::report_as;
use super::reply::{self, Reply};
use crate::http::App;
use crate::http::auth::{Denied, Principal, bearer_of};
use crate::http::limits::Body;
use crate::http::problem::Problem;
use crate::{chance, database};

/// Report an order as a network or tracker does, with the parameter names of Affise, Awin, CJ,
/// Everflow, Keitaro, TUNE or Voluum.
#[utoipa::path(
    get, path = "/postback", tag = "conversions",
    responses((status = 200, body = Reply), (status = 401, body = Problem),
              (status = 422, body = Problem), (status = 503, body = Problem)),
)]
pub(super) async fn get(
    State(app): State<App>,
    peer: ConnectInfo<SocketAddr>,
    uri: OriginalUri,
    headers: HeaderMap,
    Body(body): Body,
) -> Response {
    answer(&app, peer, &uri, &headers, &body).await
}

/// The same as a form.
#[utoipa::path(
    post, path = "/postback", tag = "conversions",
    responses((status = 200, body = Reply), (status = 401, body = Problem),
              (status = 422, body = Problem), (status = 503, body = Problem)),
)]
pub(super) async fn post(
    State(app): State<App>,
    peer: ConnectInfo<SocketAddr>,
    uri: OriginalUri,
    headers: HeaderMap,
    Body(body): Body,
) -> Response {
    answer(&app, peer, &uri, &headers, &body).await
}

/// A postback that was not recorded: its number, what is told, and what stands for a duplicate.
struct Refusal(Outcome, Problem, Option<Reply>);

async fn answer(
    app: &App,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    OriginalUri(uri): &OriginalUri,
    headers: &HeaderMap,
    body: &[u8],
) -> Response {
    let form = std::str::from_utf8(body).unwrap_or_default();
    let fields = Fields::read(&[uri.query().unwrap_or_default(), form]);
    let from = app.proxies.client(peer.ip(), headers);
    let token = bearer_of(headers).or_else(|| fields.token());
    let principal = match token {
        Some(token) => app.keys.principal(chance::now(), token, from).await,
        None => Err(Denied::Missing),
    };
    let (known, done) = match principal {
        Ok(principal) => (
            Some(principal.clone()),
            record(app, &principal, &fields).await,
        ),
        Err(denied) => (None, Err(refused(denied))),
    };
    let outcome = |outcome, detail: &str, known: Option<&Principal>| PostbackOutcome {
        id: chance::id(),
        book: known.and_then(|p| p.book().ok().flatten()),
        key: known.map(|p| p.key().id),
        path: uri.path().to_owned(),
        query: fields.redacted(),
        outcome,
        detail: detail.to_owned(),
    };
    let done = match done {
        Ok(reply) => {
            if reply.test {
                let detail = "a test: answered, and not recorded";
                keep(app, outcome(Outcome::Test, detail, known.as_ref())).await;
            }
            Ok(reply)
        }
        Err(Refusal(refused, problem, stands)) => {
            // What is to be tried again is no outcome yet.
            if problem.status() < 500 {
                keep(app, outcome(refused, problem.detail(), known.as_ref())).await;
            }
            Err(Refusal(refused, problem, stands))
        }
    };
    words(done, wants_text(uri.path(), headers))
}

fn refused(denied: Denied) -> Refusal {
    let outcome = match denied {
        Denied::Address(_) => Outcome::AddressNotAllowed,
        Denied::Missing | Denied::Unknown | Denied::Unavailable(_) => Outcome::BadToken,
    };
    Refusal(outcome, denied.into(), None)
}

async fn record(app: &App, principal: &Principal, fields: &Fields) -> Result<Reply, Refusal> {
    let protocol = |detail: String| {
        Refusal(
            Outcome::Protocol,
            Problem::unprocessable("invalid-postback", detail),
            None,
        )
    };
    let wrong = |problem| Refusal(Outcome::Protocol, problem, None);
    principal
        .may(Scope::Report)
        .map_err(|problem| Refusal(Outcome::BadToken, problem, None))?;
    let status = fields.status().map_err(protocol)?;
    let wanted = fields.wanted().map_err(protocol)?;
    let test = fields.is_test() || principal.is_test();
    let told = report_as(app, principal, &[Ok(wanted)], "postback", (false, test)).await;
    let mut told = told.map_err(wrong)?;
    let mut reply = told.remove(0).map_err(wrong)?;
    if reply.status == "conflict" {
        let detail = "another amount was recorded under this order before, which stands";
        let problem = Problem::new(StatusCode::CONFLICT, "conflict", detail);
        return Err(Refusal(Outcome::DuplicateReference, problem, None));
    }
    let moved = match status {
        Status::Record => false,
        _ if test => false,
        Status::Decide(_) | Status::Decline => {
            principal
                .may(Scope::Decide)
                .map_err(|problem| Refusal(Outcome::BadToken, problem, None))?;
            decide(app, principal, status, &mut reply)
                .await
                .map_err(wrong)?
        }
    };
    if reply.status == "duplicate" && !moved && !test {
        let detail = "this order was recorded before; nothing was changed";
        let problem = Problem::new(StatusCode::OK, "duplicate", detail);
        return Err(Refusal(Outcome::Duplicate, problem, Some(reply)));
    }
    Ok(reply)
}

/// Moves the conversion where the status says, if there is a way; true if it moved.
async fn decide(
    app: &App,
    principal: &Principal,
    status: Status,
    reply: &mut Reply,
) -> Result<bool, Problem> {
    let action = match (status, reply.state) {
        (Status::Decide(action), _) => action,
        (Status::Decline, "approved") => Action::Reverse,
        (Status::Decline | Status::Record, _) => Action::Reject,
    };
    let decision = Decision {
        action,
        reason: "review: the status of a postback".to_owned(),
    };
    let conversion = ConversionRef {
        book: reply.book,
        id: reply.conversion_id,
    };
    let by = principal.actor("postback");
    let mut transaction = app.pool.begin().await.map_err(anyhow::Error::from)?;
    let changed = effects::decide(
        &mut transaction,
        chance::now(),
        &by,
        &decision,
        &[conversion],
    )
    .await;
    let changed = changed.map_err(anyhow::Error::from)?;
    database::finish(transaction).await?;
    match changed[..] {
        [Changed::To(state)] => {
            reply.state = reply::state_name(state);
            Ok(true)
        }
        _ => Ok(false),
    }
}

async fn keep(app: &App, outcome: PostbackOutcome) {
    let kept = async {
        let mut conn = app.pool.acquire().await?;
        reported::keep(&mut conn, chance::now(), &[outcome]).await
    };
    if let Err(error) = kept.await {
        tracing::warn!(%error, "the outcome of a postback could not be kept");
    }
}

fn wants_text(path: &str, headers: &HeaderMap) -> bool {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok());
    path == "/aff_lsr" || accept.is_some_and(|accept| accept.starts_with("text/plain"))
}

/// The answer in the words of the sender.
fn words(done: Result<Reply, Refusal>, text: bool) -> Response {
    match done {
        Ok(_) if text => "success=true;".into_response(),
        Ok(reply) => reply::single(Ok(reply)),
        Err(Refusal(_, problem, _)) if problem.status() >= 500 => problem.into_response(),
        Err(Refusal(outcome, problem, _)) if text => {
            let detail = problem.detail().replace(';', ",");
            format!("success=false; err_msg={} {detail};", outcome.code()).into_response()
        }
        Err(Refusal(_, _, Some(stands))) => reply::single(Ok(stands)),
        Err(Refusal(_, problem, None)) => problem.into_response(),
    }
}
