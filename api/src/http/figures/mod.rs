//! Reading: statistics of publishers and brands, summed from the ledger.

use utoipa_axum::router::OpenApiRouter;

use super::App;

/// The routes of this area.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
}
