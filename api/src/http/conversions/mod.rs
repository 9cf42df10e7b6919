//! Conversions from brands: `/api/conv`, postbacks, decisions and refunds.

use utoipa_axum::router::OpenApiRouter;

use super::App;

/// The routes of this area.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
}
