//! Enrolments: asked for, approved, suspended, ended.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use settlement::access::Scope;
use settlement::party::{
    self, EnrolmentAction, EnrolmentFilter, EnrolmentState, PartyError, ProgramRef,
};
use sqlx::PgConnection;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::super::auth::Principal;
use super::super::listing::{Page, PageQuery, Paging};
use super::super::once::{Posted, Started};
use super::super::{App, Problem, input};
use super::{Reason, may_manage, not_yours, sight};
use crate::chance;
use crate::wire::EnrolmentView;

/// Which enrolments.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// Only those in this program, by id or name.
    program: Option<String>,
    /// Only those of this publisher, by id, code or name.
    publisher: Option<String>,
    /// Only those in this state: applied, approved, suspended, ended.
    state: Option<String>,
}

/// An enrolment to be asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewEnrolment {
    /// The program, by id or name.
    #[schema(example = "Acme/Summer")]
    program: String,
    /// The publisher, by id, code or name.
    #[schema(example = "ZOE")]
    publisher: String,
}

/// List the enrolments: all of them for the network, its own for a brand or a publisher.
#[utoipa::path(
    get, path = "/v1/enrolments", tag = "enrolments", security(("key" = [])),
    params(PageQuery, Filter),
    responses(
        (status = 200, body = Page<EnrolmentView>), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem),
    ),
)]
pub(crate) async fn list(
    State(app): State<App>,
    principal: Principal,
    paging: Paging,
    input::Asked(asked): input::Asked<Filter>,
) -> Result<Response, Problem> {
    let sight = sight(&principal)?;
    let state = asked.state.as_deref().map(state).transpose()?;
    let mut conn = app.conn().await?;
    let mut filter = EnrolmentFilter {
        book: sight.book,
        publisher: sight.publisher,
        state,
        ..EnrolmentFilter::default()
    };
    if let Some(program) = asked.program.as_deref() {
        let program = input::storable(program)?;
        let found = party::find_program(&mut conn, program).await?.reference;
        if sight.book.is_some_and(|own| own != found.book) {
            return Err(not_yours());
        }
        filter.program = Some(found);
    }
    if let Some(publisher) = asked.publisher.as_deref() {
        let publisher = input::storable(publisher)?;
        let found = party::find_publisher(&mut conn, publisher).await?.id;
        if sight.publisher.is_some_and(|own| own != found) {
            return Err(not_yours());
        }
        filter.publisher = Some(found);
    }
    let rows = party::enrolments(&mut conn, filter, paging.after()?, paging.rows()).await?;
    paging.reply(rows, |e: &EnrolmentView| (e.program_id, e.publisher_id))
}

fn state(name: &str) -> Result<EnrolmentState, Problem> {
    EnrolmentState::named(name).ok_or_else(|| {
        let detail = format!("{name:?} is no state; use applied, approved, suspended or ended");
        Problem::unprocessable("unknown-state", detail)
    })
}

/// Ask for an enrolment; the network decides. A publisher's own key may ask for its own.
#[utoipa::path(
    post, path = "/v1/enrolments", tag = "enrolments", security(("key" = [])),
    request_body = NewEnrolment,
    responses(
        (status = 201, body = EnrolmentView), (status = 200, body = EnrolmentView),
        (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 415, body = Problem), (status = 422, body = Problem),
    ),
)]
pub(crate) async fn add(
    State(app): State<App>,
    principal: Principal,
    Posted { value: asked, once }: Posted<NewEnrolment>,
) -> Result<Response, Problem> {
    let sight = sight(&principal)?;
    if sight.publisher.is_none() {
        principal.may(Scope::Manage)?;
    }
    let (program, publisher) = (input::storable(&asked.program)?, &asked.publisher);
    let publisher = input::storable(publisher)?;
    let (now, by) = (chance::now(), principal.actor("enrolments"));
    let mut transaction = match once.begin(&app, &principal).await? {
        Started::New(transaction) => transaction,
        Started::Before(response) => return Ok(response),
    };
    let publisher = party::find_publisher(&mut transaction, publisher).await?.id;
    if sight.publisher.is_some_and(|own| own != publisher) {
        return Err(not_yours());
    }
    let program = party::find_program(&mut transaction, program)
        .await?
        .reference;
    let pair = (program, publisher);
    let new = party::apply_to(&mut transaction, now, &by, &[pair]).await?;
    let view = one(&mut transaction, pair).await?;
    let status = if new == 1 {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    once.finish(transaction, &principal, status, &view).await
}

async fn one(
    conn: &mut PgConnection,
    (program, publisher): (ProgramRef, Uuid),
) -> Result<EnrolmentView, PartyError> {
    let filter = EnrolmentFilter {
        program: Some(program),
        publisher: Some(publisher),
        ..EnrolmentFilter::default()
    };
    let found = party::enrolments(conn, filter, None, 1).await?.pop();
    let found = found.ok_or_else(|| PartyError::NotEnrolled {
        publisher: publisher.to_string(),
        program: program.id.to_string(),
    })?;
    Ok(found.into())
}

/// Decide about an enrolment: approve, suspend or end. Approving gives the publisher its link.
#[utoipa::path(
    post, path = "/v1/enrolments/{program}/{publisher}/{action}", tag = "enrolments",
    security(("key" = [])), request_body = Reason,
    params(("program" = String, Path, description = "its id or name"),
           ("publisher" = String, Path, description = "its id, code or name"),
           ("action" = String, Path, description = "approve, suspend or end")),
    responses(
        (status = 200, body = EnrolmentView), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 415, body = Problem), (status = 422, body = Problem),
    ),
)]
pub(crate) async fn decide(
    State(app): State<App>,
    principal: Principal,
    input::At((program, publisher, action)): input::At<(String, String, String)>,
    Posted {
        value: reason,
        once,
    }: Posted<Reason>,
) -> Result<Response, Problem> {
    may_manage(&principal)?;
    let action = EnrolmentAction::named(&action).ok_or_else(|| {
        let detail = format!("{action:?} is no decision; use approve, suspend or end");
        Problem::new(StatusCode::NOT_FOUND, "unknown-action", detail)
    })?;
    let reason = reason.text()?;
    let (program, publisher) = (input::storable(&program)?, input::storable(&publisher)?);
    let (now, by) = (chance::now(), principal.actor("enrolments"));
    let mut transaction = match once.begin(&app, &principal).await? {
        Started::New(transaction) => transaction,
        Started::Before(response) => return Ok(response),
    };
    let program = party::find_program(&mut transaction, program)
        .await?
        .reference;
    let publisher = party::find_publisher(&mut transaction, publisher).await?.id;
    let pair = (program, publisher);
    party::decide_enrolment(&mut transaction, now, &by, pair, action, reason).await?;
    let view = one(&mut transaction, pair).await?;
    once.finish(transaction, &principal, StatusCode::OK, &view)
        .await
}
