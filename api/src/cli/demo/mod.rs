//! `counterfoil demo`: real orders and refunds, replayed on their own dates into balanced books.
//!
//! It runs a service of its own and talks to it over HTTP as the world does: visitors follow links,
//! brands report orders, stores send webhooks, the office sets up and approves. The clock is set to
//! the day that is replayed and ids follow from it, so every machine comes to the same books, entry
//! for entry and hash for hash, and running it again changes nothing. The embedded quarter year is
//! real (see `api/demo/README.md`).

mod network;
mod replay;
mod shop;
mod source;
mod summary;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use self::shop::Shop;
use super::Global;
use crate::output;

/// Replay real orders and refunds into balanced books, and show what came of it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Orders to replay instead of the embedded ones, as CSV.
    #[arg(long)]
    orders: Option<PathBuf>,
    /// Refunds to replay with them, as CSV.
    #[arg(long, requires = "orders")]
    refunds: Option<PathBuf>,
}

pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let source = source::read(args.orders.as_deref(), args.refunds.as_deref())?;
    let (mut database, mut conn) = global.connect().await?;
    database.hurry();
    let founded = network::founded(&source);
    network::found(&mut conn, founded).await?;
    let shop = Shop::open(&database, &mut conn, &global.data, founded).await?;
    let offers = network::create(&shop, &mut conn, &source).await?;
    shop.know_links().await?;
    let replayed =
        replay::replay(&database, &shop, &mut conn, &source, &offers, !global.json).await?;
    shop.close(&mut conn).await?;
    let summary = summary::draw(&mut conn, global, &source, replayed).await?;
    drop(conn);
    database.leave()?;
    if global.json {
        output::json(&summary.as_json())?;
    } else {
        summary.print(&global.data, started.elapsed())?;
    }
    Ok(if summary.is_proved() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
