//! Store webhooks: verified on raw bytes, kept once, then acted on.

use utoipa_axum::router::OpenApiRouter;

use super::App;

/// The routes of this area.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
}
