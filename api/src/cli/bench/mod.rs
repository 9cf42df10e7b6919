//! `counterfoil bench ledger`: what this machine's books can do, each figure beside a reference
//! that was measured in the same run, so that a slow machine does not look like a slow program.
//!
//! It works in a private cluster of its own in a temporary folder below the data folder, with the
//! settings that real books have, and takes the folder away afterwards; it never opens the user's
//! database. Speed is measured here and only here: no test holds a time.
//!
//! # Adding a measurement
//!
//! A file beside `reading.rs` that takes a [`Bench`] and gives [`report::Row`]s; call it in
//! [`measure`].

mod import;
mod meter;
mod posting;
mod reading;
mod reference;
mod report;
mod scratch;
mod workload;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use sqlx::PgConnection;

use self::meter::Meter;
use self::report::Report;
use self::scratch::Scratch;
use super::Global;

/// Measure how fast this machine is, in a scratch database of its own.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Posting, importing, balances and verification, each beside a reference of the same run.
    Ledger(Args),
}

/// Options of `bench ledger`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many journal entries to post [default: 100000, with --full 3340000].
    #[arg(long, value_parser = clap::value_parser!(u64).range(10_000..=100_000_000))]
    entries: Option<u64>,
    /// How many orders to import [default: 50000, with --full 1000000].
    #[arg(long, value_parser = clap::value_parser!(u64).range(10_000..=100_000_000))]
    orders: Option<u64>,
    /// The sizes that the targets speak of: 10 million lines, a million orders.
    #[arg(long)]
    full: bool,
}

/// What a measurement works with.
struct Bench {
    scratch: Scratch,
    meter: Meter,
    entries: u64,
    orders: u64,
    begun: Instant,
}

impl Bench {
    /// Tells on standard error what comes next.
    fn say(&self, what: &str) {
        eprintln!("{:>5} s  {what}", self.begun.elapsed().as_secs());
    }

    /// A connection to the ledger that the measurements share, as the service role.
    async fn ledger(&self) -> anyhow::Result<PgConnection> {
        self.scratch.service("ledger").await
    }
}

pub(crate) async fn run(global: &Global, command: Command) -> anyhow::Result<ExitCode> {
    let Command::Ledger(args) = command;
    let scratch = Scratch::create(&global.place())?;
    let folder = scratch.folder().to_owned();
    eprintln!(
        "working in {}, which is removed afterwards",
        folder.display()
    );
    let outcome = tokio::select! {
        outcome = measure(scratch, &args) => outcome,
        stopped = tokio::signal::ctrl_c() => {
            stopped?;
            Err(anyhow::anyhow!("stopped; the scratch database was removed"))
        }
    };
    let report = outcome?;
    report.print(global.json)?;
    Ok(ExitCode::SUCCESS)
}

async fn measure(scratch: Scratch, args: &Args) -> anyhow::Result<Report> {
    let meter = Meter::new(&scratch)
        .await
        .context("the scratch database cannot be watched")?;
    let mut bench = Bench {
        scratch,
        meter,
        entries: args
            .entries
            .unwrap_or(if args.full { 3_340_000 } else { 100_000 }),
        orders: args
            .orders
            .unwrap_or(if args.full { 1_000_000 } else { 50_000 }),
        begun: Instant::now(),
    };
    let mut report = Report::new(&bench.meter.postgres);
    let mut reference = reference::Reference::prepare(&mut bench).await?;
    reference.run(&mut bench, "before").await?;
    let posted = posting::measure(&mut bench).await?;
    reference.run(&mut bench, "after").await?;
    report.add(posting::rows(&posted, &reference));
    report.add(reading::measure(&mut bench).await?);
    report.add(import::measure(&mut bench).await?);
    report.seconds = bench.begun.elapsed().as_secs();
    bench.scratch.remove()?;
    Ok(report)
}

/// How many of something there were in a second.
fn per_second(count: u64, took: Duration) -> u64 {
    let rate = u128::from(count) * 1_000_000 / took.as_micros().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// The middle one of some durations.
fn median(mut took: Vec<Duration>) -> Duration {
    took.sort_unstable();
    took.get(took.len() / 2).copied().unwrap_or_default()
}
