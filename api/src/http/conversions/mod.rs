//! Conversions from brands: `/api/conv`, postbacks, decisions and refunds.
//!
//! Orders go through the [intake](crate::intake): many senders share a commit, each is answered
//! after it. What a sender computed itself is compared and never trusted.

mod conv;
mod decide;
mod events;
mod once;
mod postback;
mod programs;
mod refund;
mod reply;
mod target;
mod wanted;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;

pub(crate) use programs::Programs;

/// The routes of this area.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(conv::conv))
        .routes(routes!(refund::one))
        .routes(routes!(refund::many))
        .routes(routes!(decide::one))
        .routes(routes!(decide::many))
        .routes(routes!(events::event))
        .routes(routes!(events::identify))
        .routes(routes!(events::claim))
        .routes(routes!(postback::get, postback::post))
        .route(
            "/aff_lsr",
            axum::routing::get(postback::get).post(postback::post),
        )
        .route(
            "/track/conv",
            axum::routing::get(postback::get).post(postback::post),
        )
}
