//! Links, and how programs are tracked.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use settlement::party;
use settlement::tracking::link::NewLink;
use settlement::tracking::manage::{self, LinkError};
use settlement::tracking::setup::{self, SetupError};
use utoipa::ToSchema;

use super::super::auth::Principal;
use super::super::listing::{Page, PageQuery, Paging};
use super::super::once::{Posted, Started};
use super::super::{App, Problem, input};
use super::{Reason, may_manage, not_yours, sight};
use crate::chance;
use crate::wire::{KindOfLink, LinkView, Tracked, TrackingView};

/// A link to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewWord {
    /// The word, never used before.
    #[schema(example = "summer-shoes")]
    slug: String,
    /// What kind of word it is.
    kind: KindOfLink,
    /// The program, by id or name.
    #[schema(example = "Acme/Summer")]
    program: String,
    /// The publisher, by id, code or name.
    #[schema(example = "ZOE")]
    publisher: String,
    /// A page of the program's hosts; the program's own, if none is named.
    #[serde(default)]
    #[schema(example = "https://acme.example/shoes")]
    dest_url: Option<String>,
    /// `utm_campaign`.
    #[serde(default)]
    #[schema(example = "shoes")]
    campaign: Option<String>,
}

/// List the links: all of them for the network, its own for a brand or a publisher.
#[utoipa::path(
    get, path = "/v1/links", tag = "links", security(("key" = [])), params(PageQuery),
    responses((status = 200, body = Page<LinkView>), (status = 401, body = Problem),
              (status = 403, body = Problem), (status = 422, body = Problem)),
)]
pub(crate) async fn list(
    State(app): State<App>,
    principal: Principal,
    paging: Paging,
) -> Result<Response, Problem> {
    let sight = sight(&principal)?;
    let mut conn = app.conn().await?;
    let (after, rows) = (paging.after()?, paging.rows());
    let rows = manage::list(&mut conn, sight.book, sight.publisher, after, rows).await;
    let rows = rows.map_err(anyhow::Error::from)?;
    paging.reply(rows, |link: &LinkView| link.slug.clone())
}

/// Make a link. Each enrolment that is approved has one already.
#[utoipa::path(
    post, path = "/v1/links", tag = "links", security(("key" = [])), request_body = NewWord,
    responses(
        (status = 201, body = LinkView), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 415, body = Problem), (status = 422, body = Problem),
    ),
)]
pub(crate) async fn add(
    State(app): State<App>,
    principal: Principal,
    Posted { value: asked, once }: Posted<NewWord>,
) -> Result<Response, Problem> {
    may_manage(&principal)?;
    let (program, publisher) = (
        input::storable(&asked.program)?,
        input::storable(&asked.publisher)?,
    );
    let campaign = asked.campaign.as_deref().map(input::storable).transpose()?;
    let (now, by) = (chance::now(), principal.actor("links"));
    let mut transaction = match once.begin(&app, &principal).await? {
        Started::New(transaction) => transaction,
        Started::Before(response) => return Ok(response),
    };
    let link = NewLink {
        slug: asked.slug.clone(),
        kind: asked.kind.into(),
        program: party::find_program(&mut transaction, program)
            .await?
            .reference,
        publisher: party::find_publisher(&mut transaction, publisher).await?.id,
        dest_url: asked.dest_url.clone(),
        campaign: campaign.map(str::to_owned),
    };
    manage::make(&mut transaction, now, &by, "created", &[link]).await?;
    let view = LinkView::from(manage::find(&mut transaction, &asked.slug).await?);
    let created = StatusCode::CREATED;
    once.finish(transaction, &principal, created, &view).await
}

/// End a link. Its word is never handed on; what was clicked before still earns.
#[utoipa::path(
    post, path = "/v1/links/{slug}/end", tag = "links", security(("key" = [])),
    request_body = Reason, params(("slug" = String, Path, description = "its word")),
    responses(
        (status = 200, body = LinkView), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 415, body = Problem),
        (status = 422, body = Problem),
    ),
)]
pub(crate) async fn end(
    State(app): State<App>,
    principal: Principal,
    input::At(slug): input::At<String>,
    Posted {
        value: reason,
        once,
    }: Posted<Reason>,
) -> Result<Response, Problem> {
    may_manage(&principal)?;
    let (reason, slug) = (reason.text()?, input::storable(&slug)?);
    let (now, by) = (chance::now(), principal.actor("links"));
    let mut transaction = match once.begin(&app, &principal).await? {
        Started::New(transaction) => transaction,
        Started::Before(response) => return Ok(response),
    };
    manage::end(&mut transaction, now, &by, reason, slug).await?;
    let view = LinkView::from(manage::find(&mut transaction, slug).await?);
    once.finish(transaction, &principal, StatusCode::OK, &view)
        .await
}

/// How a program is to be tracked, and why it changes.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct NewTracking {
    #[serde(flatten)]
    tracked: Tracked,
    /// For whoever reads the history later.
    #[schema(example = "the shop has moved", min_length = 1, max_length = 500)]
    reason: String,
}

/// Show how a program is tracked: where its links lead, and how its clicks are marked.
#[utoipa::path(
    get, path = "/v1/programs/{program}/tracking", tag = "links", security(("key" = [])),
    params(("program" = String, Path, description = "its id or name")),
    responses((status = 200, body = TrackingView), (status = 401, body = Problem),
              (status = 403, body = Problem), (status = 404, body = Problem)),
)]
pub(crate) async fn tracking(
    State(app): State<App>,
    principal: Principal,
    input::At(program): input::At<String>,
) -> Result<Response, Problem> {
    let sight = sight(&principal)?;
    let key = input::storable(&program)?;
    let mut conn = app.conn().await?;
    let program = party::find_program(&mut conn, key).await?.reference;
    if sight.book.is_some_and(|own| own != program.book) {
        return Err(not_yours());
    }
    let mut setups = setup::latest(&mut conn)
        .await
        .map_err(anyhow::Error::from)?;
    let setup = setups.remove(&program);
    let setup = setup.ok_or(LinkError::NotTracked(program.id))?;
    Ok(Json(TrackingView::from(setup.map_err(LinkError::from)?)).into_response())
}

/// Add a version to how a program is tracked; from then on its links lead there.
#[utoipa::path(
    post, path = "/v1/programs/{program}/tracking", tag = "links", security(("key" = [])),
    request_body = NewTracking,
    params(("program" = String, Path, description = "its id or name")),
    responses(
        (status = 201, body = TrackingView), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 415, body = Problem),
        (status = 422, body = Problem),
    ),
)]
pub(crate) async fn track(
    State(app): State<App>,
    principal: Principal,
    input::At(program): input::At<String>,
    Posted { value: asked, once }: Posted<NewTracking>,
) -> Result<Response, Problem> {
    may_manage(&principal)?;
    let reason = Reason {
        reason: asked.reason,
    };
    let reason = reason.text()?;
    let setup = asked.tracked.setup();
    let setup =
        setup.map_err(|error| Problem::unprocessable("does-not-fit", format!("{error:#}")))?;
    let key = input::storable(&program)?;
    let (now, by) = (chance::now(), principal.actor("tracking"));
    let mut transaction = match once.begin(&app, &principal).await? {
        Started::New(transaction) => transaction,
        Started::Before(response) => return Ok(response),
    };
    let program = party::find_program(&mut transaction, key).await?.reference;
    manage::track(&mut transaction, now, &by, reason, program, &setup).await?;
    let view = TrackingView::from(setup);
    let created = StatusCode::CREATED;
    once.finish(transaction, &principal, created, &view).await
}

impl From<LinkError> for Problem {
    fn from(error: LinkError) -> Problem {
        let detail = error.to_string();
        match error {
            LinkError::Unknown(_) => Problem::new(StatusCode::NOT_FOUND, "unknown-link", detail),
            LinkError::NotTracked(_) => Problem::new(StatusCode::NOT_FOUND, "not-tracked", detail),
            LinkError::Taken(_) => Problem::new(StatusCode::CONFLICT, "taken", detail),
            LinkError::Malformed(_)
            | LinkError::Elsewhere { .. }
            | LinkError::Destination(_)
            | LinkError::Setup(SetupError::Destination(_) | SetupError::Profile(_)) => {
                Problem::unprocessable("does-not-fit", detail)
            }
            other @ (LinkError::Setup(_) | LinkError::Database(_)) => {
                Problem::internal(&other.into())
            }
        }
    }
}
