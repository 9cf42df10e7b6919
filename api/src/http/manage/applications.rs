//! Publishers apply themselves, without a key.

use axum::Json;
use axum::http::StatusCode;
use ledger::Actor;
use serde::{Deserialize, Serialize};
use settlement::party::{self, Application};
use utoipa::ToSchema;

use super::super::guests::Guest;
use super::super::{App, Problem, input};
use crate::{chance, database};

/// An application to become a publisher.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewApplication {
    /// The publisher's name, unique.
    #[schema(example = "Zoe's Blog", min_length = 1, max_length = 200)]
    name: String,
    /// Where to write to it.
    #[schema(example = "zoe@example.org")]
    contact_mail: String,
    /// Where it publishes.
    #[schema(example = "https://zoe.example.org")]
    website: String,
    /// The public code it wishes: 1 to 64 of A-Z, a-z, 0-9, _ and -.
    #[serde(default)]
    #[schema(example = "ZOE")]
    code: Option<String>,
}

/// What an applicant is told.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Applied {
    /// The publisher's public code, once it is approved.
    #[schema(example = "ZOE")]
    code: String,
    /// `applied`: somebody will decide.
    #[schema(example = "applied")]
    state: String,
}

/// Apply to become a publisher.
#[utoipa::path(
    post, path = "/v1/publishers/applications", tag = "publishers",
    request_body = NewApplication,
    responses(
        (status = 201, body = Applied),
        (status = 400, body = Problem), (status = 409, body = Problem),
        (status = 415, body = Problem), (status = 422, body = Problem),
        (status = 429, body = Problem),
    ),
)]
pub(crate) async fn apply(
    app: axum::extract::State<App>,
    guest: Guest,
    input::Body(asked): input::Body<NewApplication>,
) -> Result<(StatusCode, Json<Applied>), Problem> {
    guest.may_apply()?;
    let code = asked.code.as_deref().map(str::parse).transpose();
    let application = Application {
        id: chance::id(),
        name: asked.name,
        code: code.map_err(party::PartyError::from)?,
        contact_mail: asked.contact_mail,
        website: asked.website,
    };
    let mut transaction = app.begin().await?;
    let by = Actor::new("http:application");
    let applied = party::apply(&mut transaction, chance::now(), &by, &application).await?;
    database::finish(transaction).await?;
    let told = Applied {
        code: applied.code,
        state: applied.state,
    };
    Ok((StatusCode::CREATED, Json(told)))
}
