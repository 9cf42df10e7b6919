//! `counterfoil jobs`: what waits to be done, what failed for good, and what is to become of it.

use std::process::ExitCode;

use ::jobs::queue::{self, State};
use serde_json::json;

use super::Global;
use crate::chance;
use crate::output::{self, Columns};

/// What has to be done later or outside.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List jobs: those that failed for good, unless another state is asked for.
    List(ListArgs),
    /// Let dead jobs run again at once, with all their attempts before them.
    Retry(Ids),
    /// Give dead jobs up.
    Discard(Ids),
}

/// List jobs: those that failed for good, unless another state is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Where they stand.
    #[arg(long, value_enum, default_value_t = Standing::Dead)]
    state: Standing,
    /// Only of this kind, such as postback.deliver.
    #[arg(long)]
    kind: Option<String>,
    /// How many at most.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..))]
    limit: i64,
}

/// Jobs by number.
#[derive(Debug, clap::Args)]
pub(crate) struct Ids {
    /// Their numbers, as `counterfoil jobs list` shows them.
    #[arg(required = true)]
    ids: Vec<i64>,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Standing {
    /// To be done, now or later.
    Waiting,
    /// Done, within the last month.
    Done,
    /// Failed for good.
    Dead,
    /// Given up by somebody.
    Discarded,
}

pub(crate) async fn run(global: &Global, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::List(args) => list(global, args).await,
        Command::Retry(Ids { ids }) => {
            let now = chance::now();
            let work = global.commit(async |conn| Ok(queue::retry(conn, now, &ids).await?));
            work.await?;
            changed(global, "retried", &ids)
        }
        Command::Discard(Ids { ids }) => {
            let (now, by) = (chance::now(), Global::actor("jobs-discard"));
            let work = global.commit(async |conn| Ok(queue::discard(conn, now, &by, &ids).await?));
            work.await?;
            changed(global, "discarded", &ids)
        }
    }
}

fn changed(global: &Global, what: &str, ids: &[i64]) -> anyhow::Result<ExitCode> {
    if global.json {
        output::json(&json!({ what: ids }))?;
    } else {
        println!("{} jobs {what}", ids.len());
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(global: &Global, args: ListArgs) -> anyhow::Result<ExitCode> {
    let state = match args.state {
        Standing::Waiting => State::Waiting,
        Standing::Done => State::Done,
        Standing::Dead => State::Dead,
        Standing::Discarded => State::Discarded,
    };
    let kind = args.kind.as_deref();
    let jobs = global
        .read(async |conn| Ok(queue::list(conn, state, kind, args.limit).await?))
        .await?;
    if global.json {
        output::json(&jobs)?;
        return Ok(ExitCode::SUCCESS);
    }
    if jobs.is_empty() {
        println!("no job is {}", state.as_str());
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Columns::new(&[">job", "kind", "about", "due", ">attempts", "last error"]);
    for job in jobs {
        table.row([
            job.id.to_string(),
            job.kind,
            job.key,
            job.run_at.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
            job.attempts.to_string(),
            job.last_error.unwrap_or_default(),
        ]);
    }
    table.print();
    Ok(ExitCode::SUCCESS)
}
