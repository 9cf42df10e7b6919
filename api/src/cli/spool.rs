//! `counterfoil spool`: clicks that lie on this machine's disk until they are in Postgres.

use std::process::ExitCode;

use super::Global;
use crate::database::Database;
use crate::output;
use crate::spool::{self, status::Status};

/// Look at the clicks that lie on this machine's disk until they are in Postgres.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    spool: spool::Args,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show what it holds; the same as without a word.
    Show,
    /// Copy all of it to Postgres, when no service runs that would. Doing it again changes nothing.
    Drain,
}

pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let folder = args.spool.folder(&global.data);
    if let Some(Command::Drain) = args.command {
        let database = Database::open(&global.place()).await?;
        let pool = database.pool(1);
        let copied = spool::drain_whole(&folder, &pool).await;
        pool.close().await;
        database.leave()?;
        let copied = copied?;
        if global.json {
            output::json(&serde_json::json!({ "copied": copied }))?;
        } else {
            println!("copied {copied} clicks to the database");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let status = spool::status::status(&folder)?;
    if global.json {
        output::json(&status)?;
    } else {
        print(&status, &folder.display().to_string());
    }
    Ok(ExitCode::SUCCESS)
}

fn print(status: &Status, folder: &str) {
    let user = status.used_by.as_ref();
    let user = user.map_or("no process".to_owned(), |number| {
        format!("process {number}")
    });
    println!("{folder}, used by {user}");
    println!(
        "  waiting    {} clicks, in {} files of {} bytes",
        status.waiting, status.segments, status.bytes
    );
    if let Some(oldest) = status.oldest {
        println!("  oldest     {}", oldest.format("%Y-%m-%d %H:%M:%S UTC"));
    }
    println!(
        "  lost       {} clicks, because the disk was full",
        status.lost
    );
    println!(
        "  set aside  {} clicks that the database refused (aside/refused.jsonl), {} damaged files",
        status.refused,
        status.damaged.len()
    );
    if status.unreadable > 0 {
        println!("  unreadable {} bytes", status.unreadable);
    }
    if status.waiting > 0 && status.used_by.is_none() {
        println!("`counterfoil serve` copies them to the database, or `counterfoil spool drain`");
    }
}
