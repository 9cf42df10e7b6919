//! `counterfoil work`: does what has to be done later or outside, until it is told to stop.

use std::process::ExitCode;
use std::sync::Arc;

use ::jobs::due::{self, Due};
use ::jobs::outside::Reach;
use ::jobs::postback::Deliver;
use ::jobs::queue::{self, Registry, Settings, Worker};
use chrono::TimeDelta;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::{Global, serve};
use crate::chance;
use crate::database::Database;

/// How long a job that is done or discarded is remembered, and with it its key.
const REMEMBERED_DAYS: i64 = 30;
/// How many are forgotten in one statement.
const FORGOTTEN_AT_ONCE: i64 = 10_000;

/// Do what has to be done later or outside: tell publishers of their conversions, and approve
/// those whose days for review have passed. Any number may
/// work on one database. Stops on Ctrl-C or SIGTERM, when what is under way is done; what a killed
/// one leaves is done by another a minute later.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Do what is due now and end.
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    worker: WorkerArgs,
}

/// How a worker works.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct WorkerArgs {
    /// How many jobs are done at the same time.
    #[arg(long, env = "COUNTERFOIL_JOBS_AT_ONCE", default_value_t = 16, value_name = "COUNT",
          value_parser = clap::value_parser!(u16).range(1..=500))]
    jobs_at_once: u16,
    /// Send postbacks to private addresses too. For tests on one machine.
    #[arg(long, env = "COUNTERFOIL_ALLOW_PRIVATE", hide = true)]
    allow_private: bool,
}

impl WorkerArgs {
    /// Connections that a worker needs: few, because a job mostly waits for others.
    pub(crate) fn connections(&self) -> u32 {
        u32::from(self.jobs_at_once / 2) + 2
    }

    /// A worker that knows every kind of job there is.
    pub(crate) fn worker(&self, pool: PgPool) -> Worker {
        let deliver = Deliver {
            reach: reach(self.allow_private),
            ..Deliver::default()
        };
        let settings = Settings {
            at_once: self.jobs_at_once.into(),
            ..Settings::new(format!("worker {}", std::process::id()))
        };
        let registry = Registry::new().with(deliver).with(Due);
        Worker::new(pool, Arc::new(chance::now), registry, settings)
    }
}

/// Which addresses may be reached.
pub(super) fn reach(allow_private: bool) -> Reach {
    if allow_private {
        Reach::Any
    } else {
        Reach::Public
    }
}

pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    serve::logs();
    let database = Database::open(&global.place()).await?;
    let pool = database.pool(args.worker.connections());
    let before = chance::now() - TimeDelta::days(REMEMBERED_DAYS);
    let mut conn = pool.acquire().await?;
    queue::prune(&mut conn, before, FORGOTTEN_AT_ONCE).await?;
    due::begin(&mut conn, chance::now()).await?;
    drop(conn);
    let worker = args.worker.worker(pool.clone());
    if args.once {
        let runs = worker.drain().await?;
        println!("{runs} jobs run");
    } else {
        println!("working");
        let stop = CancellationToken::new();
        tokio::spawn(serve::stops(stop.clone()));
        worker.run(stop).await;
    }
    pool.close().await;
    database.leave()?;
    Ok(ExitCode::SUCCESS)
}
