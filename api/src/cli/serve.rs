//! `counterfoil serve`: the HTTP service, until it is told to stop.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use ::jobs::due;
use anyhow::Context;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Global;
use super::risk::RiskArgs;
use super::work::WorkerArgs;
use crate::chance;
use crate::database::Database;
use crate::http::clicks::{self, Clicks};
use crate::http::conversions::Programs;
use crate::http::limits::Limits;
use crate::http::{self, App, Parts, auth, limits, peer, stores};
use crate::intake::orders::Orders;
use crate::intake::{self, Intake};
use crate::spool::{self, Spool};

/// Serve tracking links, postbacks and the API over HTTP. Without configuration it serves the data
/// folder that `counterfoil demo` made. Stops on Ctrl-C or SIGTERM, when what is under way is done.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, env = "COUNTERFOIL_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// How many connections to PostgreSQL at most.
    #[arg(long, env = "COUNTERFOIL_CONNECTIONS", default_value_t = 16)]
    connections: u32,
    /// Also do what `counterfoil work` does.
    #[arg(long, env = "COUNTERFOIL_WORK")]
    work: bool,
    #[command(flatten)]
    worker: WorkerArgs,
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

pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    logs();
    let database = Database::open(&global.place()).await?;
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}; choose another --listen", args.listen))?;
    let address = listener.local_addr()?;
    let stop = CancellationToken::new();
    let pool = database.pool(args.connections);
    let writing = database.pool(args.intake.connections());
    let spool = Spool::open(&args.spool, &global.data, database.pool(1))?;
    let risk = args.risk.settings();
    let orders = Orders {
        unsettled: Some(Arc::new(spool.clone())),
        risk,
    };
    let app = App::new(Parts {
        keys: auth::Keys::new(pool.clone()),
        proxies: args.proxies,
        limits: Limits::new(&args.limits),
        programs: Programs::new(pool.clone()),
        intake: Intake::start(&args.intake, orders, &writing, pool.clone()),
        stores: args.stores,
        risk,
        clicks: Clicks::start(&args.clicks, &pool, &stop).await?,
        spool,
        pool,
    });
    let forgetting = tokio::spawn(forget(app.clone()));
    tokio::spawn(stops(stop.clone()));
    if args.work {
        due::begin(&mut *app.pool.acquire().await?, chance::now()).await?;
    }
    let working = args.work.then(|| {
        let worker = args.worker.worker(database.pool(args.worker.connections()));
        let stop = stop.clone();
        tokio::spawn(async move { worker.run(stop).await })
    });
    println!("listening on http://{address}");
    axum::serve(
        listener,
        http::router(app.clone()).into_make_service_with_connect_info::<SocketAddr>(),
    )
    .with_graceful_shutdown(stop.cancelled_owned())
    .await?;
    forgetting.abort();
    app.intake.close().await;
    app.spool.close().await;
    writing.close().await;
    if let Some(working) = working {
        working.await?;
    }
    app.pool.close().await;
    database.leave()?;
    Ok(ExitCode::SUCCESS)
}

/// What happens is told on standard error; `RUST_LOG` says how much.
pub(super) fn logs() {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()),
        )
        .with_writer(std::io::stderr)
        .init();
}

/// Tells everybody to stop when Ctrl-C or SIGTERM arrives.
pub(super) async fn stops(stop: CancellationToken) {
    told_to_stop().await;
    stop.cancel();
}

/// Ends when Ctrl-C or SIGTERM arrives.
async fn told_to_stop() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
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
