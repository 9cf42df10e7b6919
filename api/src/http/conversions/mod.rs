//! Conversions from brands: `/api/conv`, postbacks, decisions and refunds.
//!
//! Orders go through the [intake](crate::intake): many senders share a commit, each is answered
//! after it. What a sender computed itself is compared and never trusted.

mod conv;
mod programs;
mod reply;
mod wanted;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;

pub(crate) use programs::Programs;

/// The routes of this area.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(conv::conv))
}
