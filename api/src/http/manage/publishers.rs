//! Publishers: listed, added, decided about.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use settlement::party::{self, NewParty, PartyError, PublisherAction, PublisherState};
use utoipa::{IntoParams, ToSchema};

use super::super::auth::Principal;
use super::super::listing::{Page, PageQuery, Paging};
use super::super::once::{Posted, Started};
use super::super::{App, Problem, input};
use super::{Reason, may_manage, not_yours, sight};
use crate::chance;
use crate::wire::PublisherView;

/// Which publishers.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// Only those in this state: applied, approved, suspended, rejected.
    state: Option<String>,
}

/// A publisher to be created, approved.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPublisher {
    /// Its name, unique.
    #[schema(example = "Zoe's Blog", min_length = 1, max_length = 200)]
    name: String,
}

/// List the publishers.
#[utoipa::path(
    get, path = "/v1/publishers", tag = "publishers", security(("key" = [])),
    params(PageQuery, Filter),
    responses(
        (status = 200, body = Page<PublisherView>), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 422, body = Problem),
    ),
)]
pub(crate) async fn list(
    State(app): State<App>,
    principal: Principal,
    paging: Paging,
    input::Asked(filter): input::Asked<Filter>,
) -> Result<Response, Problem> {
    let sight = sight(&principal)?;
    if sight.book.is_some() || sight.publisher.is_some() {
        return Err(not_yours());
    }
    let state = filter.state.as_deref().map(state).transpose()?;
    let mut conn = app.conn().await?;
    let rows = party::publishers(&mut conn, state, paging.after()?, paging.rows()).await?;
    paging.reply(rows, |publisher: &PublisherView| publisher.id)
}

fn state(name: &str) -> Result<PublisherState, Problem> {
    PublisherState::named(name).ok_or_else(|| {
        let detail = format!("{name:?} is no state; use applied, approved, suspended or rejected");
        Problem::unprocessable("unknown-state", detail)
    })
}

/// Create a publisher that takes part at once.
#[utoipa::path(
    post, path = "/v1/publishers", tag = "publishers", security(("key" = [])),
    request_body = NewPublisher,
    responses(
        (status = 201, body = PublisherView), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 409, body = Problem), (status = 415, body = Problem),
        (status = 422, body = Problem),
    ),
)]
pub(crate) async fn add(
    State(app): State<App>,
    principal: Principal,
    Posted { value: asked, once }: Posted<NewPublisher>,
) -> Result<Response, Problem> {
    may_manage(&principal)?;
    let new = [NewParty {
        id: chance::id(),
        name: asked.name,
    }];
    let (now, by) = (chance::now(), principal.actor("publishers"));
    let mut transaction = match once.begin(&app, &principal).await? {
        Started::New(transaction) => transaction,
        Started::Before(response) => return Ok(response),
    };
    let created = party::create_publishers(&mut transaction, now, &by, &new).await?;
    let [publisher] = new;
    if created == 0 {
        let (kind, name) = ("publisher", publisher.name);
        return Err(PartyError::NameTaken { kind, name }.into());
    }
    let id = publisher.id.to_string();
    let created = party::find_publisher(&mut transaction, &id).await?;
    let view = PublisherView::from(created);
    let created = StatusCode::CREATED;
    once.finish(transaction, &principal, created, &view).await
}

/// A publisher by its id, code or name; a publisher's own key sees its own.
#[utoipa::path(
    get, path = "/v1/publishers/{publisher}", tag = "publishers", security(("key" = [])),
    params(("publisher" = String, Path, description = "its id, code or name")),
    responses(
        (status = 200, body = PublisherView), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 422, body = Problem),
    ),
)]
pub(crate) async fn one(
    State(app): State<App>,
    principal: Principal,
    input::At(publisher): input::At<String>,
) -> Result<Json<PublisherView>, Problem> {
    let sight = sight(&principal)?;
    if sight.book.is_some() {
        return Err(not_yours());
    }
    let key = input::storable(&publisher)?;
    let mut conn = app.conn().await?;
    let found = party::find_publisher(&mut conn, key).await;
    match (found, sight.publisher) {
        (Ok(found), Some(own)) if found.id != own => Err(not_yours()),
        // Nobody learns from a refusal which names are taken.
        (Err(PartyError::UnknownPublisher(_)), Some(_)) => Err(not_yours()),
        (found, _) => Ok(Json(found?.into())),
    }
}

/// Decide about a publisher: approve, suspend or reject. Its enrolments are suspended with it, and
/// approved again with it.
#[utoipa::path(
    post, path = "/v1/publishers/{publisher}/{action}", tag = "publishers",
    security(("key" = [])), request_body = Reason,
    params(("publisher" = String, Path, description = "its id, code or name"),
           ("action" = String, Path, description = "approve, suspend or reject")),
    responses(
        (status = 200, body = PublisherView), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 415, body = Problem), (status = 422, body = Problem),
    ),
)]
pub(crate) async fn decide(
    State(app): State<App>,
    principal: Principal,
    input::At((publisher, action)): input::At<(String, String)>,
    Posted {
        value: reason,
        once,
    }: Posted<Reason>,
) -> Result<Response, Problem> {
    may_manage(&principal)?;
    let action = PublisherAction::named(&action).ok_or_else(|| {
        let detail = format!("{action:?} is no decision; use approve, suspend or reject");
        Problem::new(StatusCode::NOT_FOUND, "unknown-action", detail)
    })?;
    let reason = reason.text()?;
    let key = input::storable(&publisher)?;
    let (now, by) = (chance::now(), principal.actor("publishers"));
    let mut transaction = match once.begin(&app, &principal).await? {
        Started::New(transaction) => transaction,
        Started::Before(response) => return Ok(response),
    };
    let found = party::find_publisher(&mut transaction, key).await?;
    let decided =
        party::decide_publisher(&mut transaction, now, &by, found.id, action, reason).await?;
    let view = PublisherView::from(decided);
    once.finish(transaction, &principal, StatusCode::OK, &view)
        .await
}
