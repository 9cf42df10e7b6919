//! Reading: figures of publishers and brands, summed from the ledger.
//!
//! A key with the scope `read` sees what is its own: a publisher its figures, a brand those of its
//! programs, the network all. Lists come as CSV too.

mod office;
mod publisher;

use axum::http::StatusCode;
use settlement::figures::FiguresError;
use settlement::figures::period::{Period, Since};
use settlement::network;
use sqlx::PgConnection;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::problem::Problem;
use crate::chance;

/// The routes of this area.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(publisher::stats))
        .routes(routes!(publisher::conversions))
        .routes(routes!(publisher::summary))
        .routes(routes!(publisher::validate))
        .routes(routes!(publisher::subs))
        .routes(routes!(office::owed))
        .routes(routes!(office::commissions))
        .routes(routes!(office::click))
        .routes(routes!(office::reversals))
}

/// The period of that name, or which names there are.
fn period(name: Option<&str>) -> Result<(Period, &str), Problem> {
    let name = name.unwrap_or("30d");
    let period = Period::named(name).ok_or_else(|| {
        let names = Period::NAMES.join(", ");
        let detail = format!("period {name:?} is none of {names}");
        Problem::unprocessable("unknown-period", detail)
    })?;
    Ok((period, name))
}

/// Where a period begins now, in the accounting zone.
async fn since(conn: &mut PgConnection, period: Period) -> Result<Since, Problem> {
    let network = network::find(conn).await.map_err(FiguresError::from)?;
    Ok(period.since(chance::now(), network.zone))
}

impl From<FiguresError> for Problem {
    fn from(error: FiguresError) -> Problem {
        match error {
            FiguresError::Network(missing @ network::NetworkError::Missing) => {
                Problem::new(StatusCode::NOT_FOUND, "no-network", missing.to_string())
            }
            other => Problem::internal(&other.into()),
        }
    }
}
