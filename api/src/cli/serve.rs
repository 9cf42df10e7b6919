//! `counterfoil serve`: the HTTP service, until it is told to stop.

use std::net::SocketAddr;
use std::process::ExitCode;

use ::jobs::due;
use anyhow::Context;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Global;
use super::work::WorkerArgs;
use crate::chance;
use crate::database::Database;
use crate::service::{Service, Settings};

/// Serve tracking links, postbacks and the API over HTTP. Without configuration it serves the data
/// folder that `counterfoil demo` made. Stops on Ctrl-C or SIGTERM, when what is under way is done.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, env = "COUNTERFOIL_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Also do what `counterfoil work` does.
    #[arg(long, env = "COUNTERFOIL_WORK")]
    work: bool,
    #[command(flatten)]
    worker: WorkerArgs,
    #[command(flatten)]
    settings: Settings,
}

pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    logs();
    let database = Database::open(&global.place()).await?;
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}; choose another --listen", args.listen))?;
    let address = listener.local_addr()?;
    let stop = CancellationToken::new();
    let service = Service::start(args.settings, &database, &global.data, stop.clone()).await?;
    tokio::spawn(stops(stop.clone()));
    if args.work {
        due::begin(&mut *service.app.pool.acquire().await?, chance::now()).await?;
    }
    let working = args.work.then(|| {
        let worker = args.worker.worker(database.pool(args.worker.connections()));
        tokio::spawn(async move { worker.run(stop).await })
    });
    println!("listening on http://{address}");
    service.serve(listener).await?;
    if let Some(working) = working {
        working.await?;
    }
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
