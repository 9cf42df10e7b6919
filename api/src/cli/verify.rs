//! `counterfoil verify`: proves the whole ledger again from its entries.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use ledger::checkpoint::{Checkpoint, CheckpointError, PublicKey};
use ledger::verify::Report;

use super::Global;
use crate::output::{self, BadArgument};

/// Prove the whole ledger again from its entries: numbers, hashes, balances, closed months,
/// checkpoints. Says what was proved; exit code 1 when anything does not hold.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A checkpoint file kept elsewhere: proves that no book was rewritten since.
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// The public key that must have signed that checkpoint.
    #[arg(long, value_name = "HEX", requires = "against")]
    public_key: Option<PublicKey>,
}

pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let against = args.against.as_deref().map(read).transpose()?;
    if let Some(checkpoint) = &against {
        checkpoint.check(args.public_key.as_ref())?;
    }
    let begun = Instant::now();
    let report = global.read(async |conn| {
        let books = ledger::book::all(conn).await?;
        let entries: i64 = books.iter().map(|book| book.entries).sum();
        let bar = progress(u64::try_from(entries).unwrap_or(0));
        let report = ledger::verify::verify(conn, against.as_ref(), |read| bar.set_position(read));
        let report = report.await;
        bar.finish_and_clear();
        Ok(report?)
    });
    let report = report.await?;
    let milliseconds = begun.elapsed().as_millis();
    if global.json {
        output::json(&serde_json::json!({
            "holds": report.holds(), "milliseconds": milliseconds, "report": report,
        }))?;
    } else {
        print(&report, milliseconds);
        if let Some(checkpoint) = against.filter(|_| args.public_key.is_none()) {
            println!(
                "the checkpoint is signed by {}; compare it with the public key you know",
                checkpoint.public_key
            );
        }
    }
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read(path: &Path) -> anyhow::Result<Checkpoint> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| BadArgument(format!("{} cannot be read: {error}", path.display())))?;
    match Checkpoint::from_json(&text) {
        Err(error @ (CheckpointError::Unreadable(_) | CheckpointError::Format(_))) => {
            Err(BadArgument(format!("{}: {error}", path.display())).into())
        }
        read => read.with_context(|| format!("{} is not as it was signed", path.display())),
    }
}

/// A bar on standard error, drawn only for people.
fn progress(entries: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} entries, {eta} left");
    let bar = ProgressBar::new(entries);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn print(report: &Report, milliseconds: u128) {
    for sentence in report.looked_at() {
        println!("{} {sentence}", if report.holds() { "proved:" } else { "looked at:" });
    }
    let time = format!("{}.{:01} s", milliseconds / 1000, milliseconds % 1000 / 100);
    if report.holds() {
        println!("the ledger holds: {} entries in {time}", HumanCount(report.entries));
        return;
    }
    for finding in &report.findings {
        println!("does not hold: {finding}");
    }
    if report.left_out > 0 {
        println!("and {} more", HumanCount(report.left_out));
    }
    for first in report.first_failing() {
        println!("first failing entry of its book: {first}");
    }
    println!("the ledger does not hold: {} findings in {time}", report.findings.len());
}
