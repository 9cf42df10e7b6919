//! Tracking links and landings: a click is kept before the visitor is sent on.

use utoipa_axum::router::OpenApiRouter;

use super::App;

/// The routes of this area.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
}
