//! The HTTP surface: tracking links, postbacks, store webhooks, and the API.
//!
//! Each area has a folder with its `routes()`; [`router`] is their sum. A handler reads its input,
//! calls one function of the crates to the left inside [`database::commit`](crate::database) and
//! says what came of it; every refusal is a [`problem::Problem`] that names the way out.
//!
//! What it never does: hold a rule about money, trust a sender's arithmetic, or answer before what
//! it confirms is durable.
//!
//! # Adding an area
//!
//! 1. A folder beside the others, with `pub(crate) fn routes() -> OpenApiRouter<App>`; annotate
//!    each handler with `#[utoipa::path]`, so that `/openapi.json` knows it.
//! 2. Merge it in [`router`]. What it needs at run time becomes a field of [`Parts`]; what an
//!    operator may set, an `Args` of its own, flattened into `cli/serve.rs`.

pub(crate) mod auth;
pub(crate) mod clicks;
pub(crate) mod conversions;
mod document;
pub(crate) mod figures;
pub(crate) mod guests;
pub(crate) mod input;
pub(crate) mod limits;
pub(crate) mod listing;
pub(crate) mod manage;
pub(crate) mod once;
pub(crate) mod peer;
pub(crate) mod problem;
mod robots;
pub(crate) mod stores;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::{Router, middleware};
use settlement::fraud::RiskSettings;
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres, Transaction};
use utoipa_axum::router::OpenApiRouter;

use crate::intake::Intake;
use crate::intake::orders::Orders;
use crate::spool::Spool;
use problem::Problem;

/// What every handler may use; cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Parts>);

/// The parts of a running service.
pub(crate) struct Parts {
    /// Connections that work as the service role.
    pub(crate) pool: PgPool,
    /// Who may speak to it.
    pub(crate) keys: auth::Keys,
    /// Whose word on a request's address counts.
    pub(crate) proxies: peer::Args,
    /// How much may be asked.
    pub(crate) limits: limits::Limits,
    /// The programs that senders name.
    pub(crate) programs: conversions::Programs,
    /// Where reported orders go.
    pub(crate) intake: Intake<Orders>,
    /// What counts for stores whose connection says nothing else.
    pub(crate) stores: stores::Args,
    /// Where clicks are kept until they are in Postgres.
    pub(crate) spool: Spool,
    /// Where links lead, and how clicks are looked at.
    pub(crate) clicks: Arc<clicks::Clicks>,
    /// How orders are looked at.
    pub(crate) risk: RiskSettings,
}

impl App {
    pub(crate) fn new(parts: Parts) -> App {
        App(Arc::new(parts))
    }

    /// A connection, to read.
    pub(crate) async fn conn(&self) -> Result<PoolConnection<Postgres>, Problem> {
        self.pool.acquire().await.map_err(|error| away(&error))
    }

    /// A database transaction; [`finish`](crate::database::finish) commits it.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Postgres>, Problem> {
        self.pool.begin().await.map_err(|error| away(&error))
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// The database does not answer.
fn away(error: &sqlx::Error) -> Problem {
    tracing::warn!(%error, "the database does not answer");
    Problem::unavailable("the database does not answer; try again", 1)
}

/// Every route of the service.
pub(crate) fn router(app: App) -> Router {
    let limited = OpenApiRouter::new()
        .merge(auth::routes())
        .merge(conversions::routes())
        .merge(figures::routes())
        .merge(manage::routes())
        .layer(middleware::from_fn_with_state(app.clone(), limits::limit));
    let (router, document) = OpenApiRouter::with_openapi(document::blank())
        .merge(limited)
        .merge(clicks::routes())
        .merge(stores::routes())
        .split_for_parts();
    router
        .merge(document::routes(document))
        .merge(robots::routes())
        .fallback(problem::no_such_route)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(DefaultBodyLimit::max(app.limits.max_body))
        .layer(middleware::from_fn(robots::keep_out))
        .with_state(app)
}
