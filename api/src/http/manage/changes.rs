//! Who changed what, when and why.

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use settlement::access::{Role, Scope};
use settlement::party::changes;
use utoipa::IntoParams;

use super::super::auth::Principal;
use super::super::listing::{Page, PageQuery, Paging};
use super::super::{App, Problem, input};
use super::not_yours;
use crate::wire::ChangeView;

/// Which changes.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// Only those of one party: `publisher:…`, `program:…`, `terms:…`,
    /// `enrolment:program/publisher`.
    subject: Option<String>,
}

/// List changes of parties, the newest first.
#[utoipa::path(
    get, path = "/v1/changes", tag = "changes", security(("key" = [])), params(PageQuery, Filter),
    responses(
        (status = 200, body = Page<ChangeView>), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 422, body = Problem),
    ),
)]
pub(crate) async fn list(
    State(app): State<App>,
    principal: Principal,
    paging: Paging,
    input::Asked(filter): input::Asked<Filter>,
) -> Result<Response, Problem> {
    principal.may(Scope::Read)?;
    if principal.role() != Role::Network {
        return Err(not_yours());
    }
    let subject = filter.subject.as_deref().map(input::storable).transpose()?;
    let after: Option<(DateTime<Utc>, String, i32)> = paging.after()?;
    let mut conn = app.conn().await?;
    let rows = changes::list(&mut conn, subject, after.as_ref(), paging.rows()).await?;
    paging.reply(rows, |change: &ChangeView| {
        (change.changed_at, change.subject.clone(), change.version)
    })
}
