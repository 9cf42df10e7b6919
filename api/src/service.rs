//! The parts of a running service, started and stopped together: for `counterfoil serve`, and for
//! `counterfoil demo`, which talks to one of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::cli::risk::RiskArgs;
use crate::database::Database;
use crate::http::clicks::{self, Clicks};
use crate::http::conversions::Programs;
use crate::http::limits::{self, Limits};
use crate::http::{self, App, Parts, auth, peer, stores};
use crate::intake::orders::Orders;
use crate::intake::{self, Intake};
use crate::spool::{self, Spool};

/// What an operator may set.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(crate) struct Settings {
    /// How many connections to PostgreSQL at most.
    #[arg(long, env = "COUNTERFOIL_CONNECTIONS", default_value_t = 16)]
    connections: u32,
    #[command(flatten)]
    proxies: peer::Args,
    #[command(flatten)]
    limits: limits::Args,
    #[command(flatten)]
    intake: intake::Args,
    #[command(flatten)]
    stores: stores::Args,
    #[command(flatten)]
    clicks: clicks::Args,
    #[command(flatten)]
    spool: spool::Args,
    #[command(flatten)]
    risk: RiskArgs,
}

/// A service that has begun.
pub(crate) struct Service {
    /// What its handlers use.
    pub(crate) app: App,
    writing: PgPool,
    stop: CancellationToken,
}

impl Service {
    /// Starts everything but listening.
    ///
    /// # Errors
    /// Postgres does not answer, or another process uses the spool.
    pub(crate) async fn start(
        settings: Settings,
        database: &Database,
        data: &Path,
        stop: CancellationToken,
    ) -> anyhow::Result<Service> {
        let pool = database.pool(settings.connections);
        let writing = database.pool(settings.intake.connections());
        let spool = Spool::open(&settings.spool, data, database.pool(1))?;
        let risk = settings.risk.settings();
        let orders = Orders {
            unsettled: Some(Arc::new(spool.clone())),
            risk,
        };
        let app = App::new(Parts {
            keys: auth::Keys::new(pool.clone()),
            proxies: settings.proxies,
            limits: Limits::new(&settings.limits),
            programs: Programs::new(pool.clone()),
            intake: Intake::start(&settings.intake, orders, &writing, pool.clone()),
            stores: settings.stores,
            risk,
            clicks: Clicks::start(&settings.clicks, &pool, &stop).await?,
            spool,
            pool,
        });
        Ok(Service { app, writing, stop })
    }

    /// Answers requests until it is told to stop, then does what is under way.
    pub(crate) async fn serve(self, listener: TcpListener) -> anyhow::Result<()> {
        let forgetting = tokio::spawn(forget(self.app.clone()));
        let routes = http::router(self.app.clone());
        axum::serve(
            listener,
            routes.into_make_service_with_connect_info::<SocketAddr>(),
        )
        .with_graceful_shutdown(self.stop.clone().cancelled_owned())
        .await?;
        forgetting.abort();
        self.app.intake.close().await;
        self.app.spool.close().await;
        self.writing.close().await;
        self.app.pool.close().await;
        Ok(())
    }
}

/// Keeps what the limits remember small.
async fn forget(app: App) {
    let mut minutes = tokio::time::interval(Duration::from_mins(1));
    loop {
        minutes.tick().await;
        app.limits.forget();
        app.clicks.forget();
    }
}
