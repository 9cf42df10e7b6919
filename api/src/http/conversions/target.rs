//! Which conversion a sender means, and why something is done to it.

use axum::http::StatusCode;
use ledger::Actor;
use serde::Deserialize;
use settlement::conversion::reason;
use settlement::conversion::reason::InvalidReason;
use settlement::reported::{self, Named};
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::http::auth::Principal;
use crate::http::problem::Problem;

/// Why something is done, and who says so.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names of the API")]
pub(super) struct Reason {
    /// One of `review`, `refund`, `chargeback`, `cancellation`, `fraud`, `duplicate`,
    /// `test_order`, `terms_violation`, `quality`, `correction`.
    #[schema(example = "fraud")]
    pub reason_code: String,
    /// The same in words.
    #[serde(default)]
    pub note: String,
    /// The person, where several use one key.
    #[serde(default)]
    pub actor: String,
}

impl Reason {
    /// The reason as it is kept.
    pub(super) fn text(&self) -> Result<String, Problem> {
        reason(&self.reason_code, &self.note).map_err(|invalid| {
            let code = match invalid {
                InvalidReason::UnknownCode => "unknown-reason",
                InvalidReason::NoteTooLong => "note-too-long",
            };
            Problem::unprocessable(code, invalid.to_string())
        })
    }
}

/// Who is named as author: the key, and the person behind it if one is named.
pub(super) fn author(principal: &Principal, route: &str, person: &str) -> Actor {
    let actor = principal.actor(route);
    let person: String = person
        .trim()
        .chars()
        .filter(|c| !c.is_control())
        .take(100)
        .collect();
    if person.is_empty() {
        actor
    } else {
        Actor::new(format!("{actor} {person}"))
    }
}

/// The conversion that each name means.
pub(super) async fn find(
    conn: &mut PgConnection,
    principal: &Principal,
    names: &[String],
) -> Result<Vec<Result<Named, Problem>>, Problem> {
    let found = reported::named(conn, principal.book()?, names).await;
    let found = found.map_err(anyhow::Error::from)?;
    Ok(names
        .iter()
        .map(|name| {
            let mut meant = found.iter().filter(|named| named.name == *name);
            match (meant.next(), meant.next()) {
                (Some(one), None) => Ok(one.clone()),
                (None, _) => Err(Problem::new(
                    StatusCode::NOT_FOUND,
                    "unknown-conversion",
                    format!("there is no conversion or order {name}; check the reference"),
                )),
                (Some(_), Some(_)) => Err(Problem::new(
                    StatusCode::CONFLICT,
                    "ambiguous-order",
                    format!("several programs have an order {name}; name it by conversion id"),
                )),
            }
        })
        .collect())
}
