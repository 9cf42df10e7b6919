//! Programs and the versions of their terms.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use settlement::party::{self, NewProgram, PartyError, Program, ProgramAction, ProgramState};
use sqlx::PgConnection;
use utoipa::{IntoParams, ToSchema};

use super::super::auth::Principal;
use super::super::listing::{Page, PageQuery, Paging};
use super::super::once::{Posted, Started};
use super::super::{App, Problem, input};
use super::{Reason, may_manage, not_yours, sight};
use crate::chance;
use crate::wire::{Offer, ProgramView, TermsView};

/// Which programs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// Only those of this brand, by name or id.
    brand: Option<String>,
}

/// A program to be created, with the first version of its terms.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewProgramBody {
    /// The brand's name.
    #[schema(example = "Acme")]
    brand: String,
    /// The program's name, unique within the brand.
    #[schema(example = "Summer", min_length = 1, max_length = 200)]
    name: String,
    /// Whether it is only drafted: then it waits to be submitted and activated.
    #[serde(default)]
    draft: bool,
    /// The first version of its terms.
    terms: Offer,
}

/// The next version of a program's terms.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTerms {
    /// Why.
    #[schema(example = "autumn campaign", min_length = 1, max_length = 500)]
    reason: String,
    /// What changes; what is left out stays.
    terms: Offer,
}

/// List the programs: all of them for the network and publishers, its own for a brand.
#[utoipa::path(
    get, path = "/v1/programs", tag = "programs", security(("key" = [])),
    params(PageQuery, Filter),
    responses(
        (status = 200, body = Page<ProgramView>), (status = 401, body = Problem),
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
    let brand = filter.brand.as_deref().map(input::storable).transpose()?;
    let mut conn = app.conn().await?;
    let after = paging.after()?;
    let rows = party::programs(&mut conn, brand, sight.book, after, paging.rows()).await?;
    paging.reply(rows, |program: &ProgramView| program.id)
}

/// Create a program with the first version of its terms.
#[utoipa::path(
    post, path = "/v1/programs", tag = "programs", security(("key" = [])),
    request_body = NewProgramBody,
    responses(
        (status = 201, body = ProgramView), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 415, body = Problem), (status = 422, body = Problem),
    ),
)]
pub(crate) async fn add(
    State(app): State<App>,
    principal: Principal,
    Posted { value: asked, once }: Posted<NewProgramBody>,
) -> Result<Response, Problem> {
    may_manage(&principal)?;
    let terms = asked.terms.first().map_err(|error| unfit(&error))?;
    let program = NewProgram {
        id: chance::id(),
        brand: asked.brand,
        name: asked.name,
        terms,
    };
    let state = if asked.draft {
        ProgramState::Draft
    } else {
        ProgramState::Active
    };
    let (now, by) = (chance::now(), principal.actor("programs"));
    let mut transaction = match once.begin(&app, &principal).await? {
        Started::New(transaction) => transaction,
        Started::Before(response) => return Ok(response),
    };
    let new = [program];
    let created = party::create_programs_as(&mut transaction, now, &by, &new, state).await?;
    let [program] = new;
    if created == 0 {
        let (kind, name) = ("program", program.name);
        return Err(PartyError::NameTaken { kind, name }.into());
    }
    let created = party::find_program(&mut transaction, &program.id.to_string()).await?;
    let view = ProgramView::from(created);
    let created = StatusCode::CREATED;
    once.finish(transaction, &principal, created, &view).await
}

/// Terms that make no sense.
fn unfit(error: &anyhow::Error) -> Problem {
    Problem::unprocessable("terms-do-not-fit", format!("{error:#}"))
}

/// A program, if the key may see it.
async fn seen(
    conn: &mut PgConnection,
    principal: &Principal,
    key: &str,
) -> Result<Program, Problem> {
    let sight = sight(principal)?;
    let found = party::find_program(conn, input::storable(key)?).await;
    match (found, sight.book) {
        (Ok(found), Some(own)) if found.reference.book != own => Err(not_yours()),
        (Err(PartyError::UnknownProgram(_)), Some(_)) => Err(not_yours()),
        (found, _) => Ok(found?),
    }
}

/// A program by its id, its name, or `brand/program` with the slash escaped.
#[utoipa::path(
    get, path = "/v1/programs/{program}", tag = "programs", security(("key" = [])),
    params(("program" = String, Path, description = "its id or name")),
    responses(
        (status = 200, body = ProgramView), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 422, body = Problem),
    ),
)]
pub(crate) async fn one(
    State(app): State<App>,
    principal: Principal,
    input::At(program): input::At<String>,
) -> Result<Json<ProgramView>, Problem> {
    let mut conn = app.conn().await?;
    Ok(Json(seen(&mut conn, &principal, &program).await?.into()))
}

/// Decide about a program: submit, activate, pause or close.
#[utoipa::path(
    post, path = "/v1/programs/{program}/{action}", tag = "programs", security(("key" = [])),
    request_body = Reason,
    params(("program" = String, Path, description = "its id or name"),
           ("action" = String, Path, description = "submit, activate, pause or close")),
    responses(
        (status = 200, body = ProgramView), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 415, body = Problem), (status = 422, body = Problem),
    ),
)]
pub(crate) async fn decide(
    State(app): State<App>,
    principal: Principal,
    input::At((program, action)): input::At<(String, String)>,
    Posted {
        value: reason,
        once,
    }: Posted<Reason>,
) -> Result<Response, Problem> {
    may_manage(&principal)?;
    let action = ProgramAction::named(&action).ok_or_else(|| {
        let detail = format!("{action:?} is no decision; use submit, activate, pause or close");
        Problem::new(StatusCode::NOT_FOUND, "unknown-action", detail)
    })?;
    let reason = reason.text()?;
    let key = input::storable(&program)?;
    let (now, by) = (chance::now(), principal.actor("programs"));
    let mut transaction = match once.begin(&app, &principal).await? {
        Started::New(transaction) => transaction,
        Started::Before(response) => return Ok(response),
    };
    let program = party::find_program(&mut transaction, key).await?.reference;
    let decided =
        party::decide_program(&mut transaction, now, &by, program, action, reason).await?;
    let view = ProgramView::from(decided);
    once.finish(transaction, &principal, StatusCode::OK, &view)
        .await
}

/// List the versions of a program's terms, the oldest first.
#[utoipa::path(
    get, path = "/v1/programs/{program}/terms", tag = "programs", security(("key" = [])),
    params(("program" = String, Path, description = "its id or name"), PageQuery),
    responses(
        (status = 200, body = Page<TermsView>), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 422, body = Problem),
    ),
)]
pub(crate) async fn terms(
    State(app): State<App>,
    principal: Principal,
    paging: Paging,
    input::At(program): input::At<String>,
) -> Result<Response, Problem> {
    let after: Option<i32> = paging.after()?;
    let mut conn = app.conn().await?;
    let program = seen(&mut conn, &principal, &program).await?;
    let mut versions = party::terms_versions(&mut conn, program.reference).await?;
    versions.retain(|(version, _)| after.is_none_or(|after| *version > after));
    paging.reply(versions, |terms: &TermsView| terms.version)
}

/// Add a version to a program's terms.
#[utoipa::path(
    post, path = "/v1/programs/{program}/terms", tag = "programs", security(("key" = [])),
    request_body = NewTerms,
    params(("program" = String, Path, description = "its id or name")),
    responses(
        (status = 201, body = TermsView), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 415, body = Problem), (status = 422, body = Problem),
    ),
)]
pub(crate) async fn add_terms(
    State(app): State<App>,
    principal: Principal,
    input::At(program): input::At<String>,
    Posted { value: asked, once }: Posted<NewTerms>,
) -> Result<Response, Problem> {
    may_manage(&principal)?;
    let reason = Reason {
        reason: asked.reason,
    };
    let reason = reason.text()?;
    let key = input::storable(&program)?;
    let (now, by) = (chance::now(), principal.actor("terms"));
    let mut transaction = match once.begin(&app, &principal).await? {
        Started::New(transaction) => transaction,
        Started::Before(response) => return Ok(response),
    };
    let program = party::find_program(&mut transaction, key).await?.reference;
    let write = |latest: &_| asked.terms.next(latest, now);
    let added = party::change_terms(&mut transaction, now, &by, program, reason, write).await?;
    let added = added.map_err(|error| unfit(&error))?;
    let view = TermsView::from(added);
    let created = StatusCode::CREATED;
    once.finish(transaction, &principal, created, &view).await
}
