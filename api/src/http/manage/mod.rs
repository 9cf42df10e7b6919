//! Management: brands, publishers, programs and their terms, enrolments; who changed what.
//!
//! A key with the scope `manage` may change; it speaks for the network. A brand's key with the
//! scope `read` sees what is its own, and so does a publisher's. Whoever wants to become a
//! publisher applies without a key.
//!
//! # Adding a kind of party
//!
//! A file with its handlers, its view in `wire/`, and its routes below.

mod applications;
mod brands;
mod changes;
mod coupons;
mod enrolments;
mod links;
mod programs;
mod publishers;

use axum::http::StatusCode;
use ledger::BookId;
use serde::Deserialize;
use settlement::access::{Role, Scope};
use settlement::party::PartyError;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::App;
use super::auth::Principal;
use super::problem::Problem;

/// The routes of this area.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(applications::apply))
        .routes(routes!(brands::list, brands::add))
        .routes(routes!(publishers::list, publishers::add))
        .routes(routes!(publishers::one))
        .routes(routes!(publishers::decide))
        .routes(routes!(programs::list, programs::add))
        .routes(routes!(programs::one))
        .routes(routes!(programs::decide))
        .routes(routes!(programs::terms, programs::add_terms))
        .routes(routes!(enrolments::list, enrolments::add))
        .routes(routes!(enrolments::decide))
        .routes(routes!(links::list, links::add))
        .routes(routes!(links::end))
        .routes(routes!(links::tracking, links::track))
        .routes(routes!(coupons::list, coupons::add))
        .routes(routes!(coupons::end))
        .routes(routes!(changes::list))
}

/// Why something is done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reason {
    /// For whoever reads the history later.
    #[schema(example = "reviewed the website", min_length = 1, max_length = 500)]
    reason: String,
}

impl Reason {
    fn text(&self) -> Result<&str, Problem> {
        let fits = (1..=500).contains(&self.reason.chars().count());
        if fits && !self.reason.contains(char::is_control) {
            return Ok(&self.reason);
        }
        Err(Problem::unprocessable(
            "reason-needed",
            "give a reason of 1 to 500 characters on one line",
        ))
    }
}

/// Whose things a key may see.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sight {
    /// Those of one brand only.
    pub(crate) book: Option<BookId>,
    /// Those of one publisher only.
    pub(crate) publisher: Option<Uuid>,
}

/// What a key may read of lists.
pub(crate) fn sight(principal: &Principal) -> Result<Sight, Problem> {
    principal.may(Scope::Read)?;
    let (book, publisher) = match principal.role() {
        Role::Network => (None, None),
        Role::Brand(book) => (Some(book), None),
        Role::Publisher(publisher) => (None, Some(publisher)),
    };
    Ok(Sight { book, publisher })
}

/// Refuses a key that may not change parties.
fn may_manage(principal: &Principal) -> Result<(), Problem> {
    principal.may(Scope::Manage)?;
    match principal.role() {
        Role::Network => Ok(()),
        Role::Brand(_) | Role::Publisher(_) => Err(not_yours()),
    }
}

/// Somebody else's.
pub(crate) fn not_yours() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "another-tenant",
        "this belongs to another party than the key does; use that party's key or the network's",
    )
}

impl From<PartyError> for Problem {
    fn from(error: PartyError) -> Problem {
        let detail = error.to_string();
        match error {
            PartyError::UnknownBrand(_)
            | PartyError::UnknownPublisher(_)
            | PartyError::UnknownProgram(_)
            | PartyError::NotEnrolled { .. } => {
                Problem::new(StatusCode::NOT_FOUND, "unknown-party", detail)
            }
            PartyError::AmbiguousProgram(_)
            | PartyError::NotPlain { .. }
            | PartyError::Code(_)
            | PartyError::Book(_)
            | PartyError::Rules { .. } => Problem::unprocessable("does-not-fit", detail),
            PartyError::NameTaken { .. } | PartyError::CodeTaken(_) => {
                Problem::new(StatusCode::CONFLICT, "taken", detail)
            }
            PartyError::Impossible { .. } | PartyError::NotReady { .. } => {
                Problem::new(StatusCode::CONFLICT, "not-from-this-state", detail)
            }
            other => Problem::internal(&other.into()),
        }
    }
}
