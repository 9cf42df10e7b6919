//! `counterfoil verify`: proves the whole ledger again from its entries, and holds it against the
//! conversions.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use ledger::checkpoint::{Checkpoint, CheckpointError, PublicKey};
use ledger::verify::Report;
use settlement::reconcile::{self, Difference, ReconcileError};
use sqlx::PgConnection;

use super::Global;
use super::scope::Publishers;
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
    let proof = global.read(async |conn| {
        let books = ledger::book::all(conn).await?;
        let entries: i64 = books.iter().map(|book| book.entries).sum();
        let bar = progress(u64::try_from(entries).unwrap_or(0));
        let report = ledger::verify::verify(conn, against.as_ref(), |read| bar.set_position(read));
        let report = report.await;
        bar.finish_and_clear();
        let report = report?;
        let conversions = conversions(conn, report.holds()).await?;
        Ok(Proof {
            report,
            conversions,
            milliseconds: begun.elapsed().as_millis(),
        })
    });
    let proof = proof.await?;
    if global.json {
        let Proof {
            report,
            conversions,
            milliseconds,
        } = &proof;
        output::json(&serde_json::json!({
            "holds": proof.holds(), "milliseconds": milliseconds, "report": report,
            "conversions": conversions,
        }))?;
    } else {
        print(&proof);
        if let Some(checkpoint) = against.filter(|_| args.public_key.is_none()) {
            println!(
                "the checkpoint is signed by {}; compare it with the public key you know",
                checkpoint.public_key
            );
        }
    }
    Ok(if proof.holds() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What was proved.
struct Proof {
    report: Report,
    /// Where the books and the conversions tell different stories, in sentences.
    conversions: Vec<String>,
    milliseconds: u128,
}

impl Proof {
    fn holds(&self) -> bool {
        self.report.holds() && self.conversions.is_empty()
    }
}

/// What stands on the control accounts against the conversions. Where the ledger does not hold
/// anyway, that it cannot be compared is one finding more.
async fn conversions(conn: &mut PgConnection, holds: bool) -> anyhow::Result<Vec<String>> {
    let differences = match reconcile::differences(conn).await {
        Err(ReconcileError::Database(error)) if holds => {
            return Err(ReconcileError::Database(error).into());
        }
        Err(error) => return Ok(vec![error.to_string()]),
        Ok(differences) => differences,
    };
    let publishers = Publishers::read(conn).await?;
    Ok(differences
        .into_iter()
        .map(
            |Difference {
                 book,
                 code,
                 publisher,
                 expected,
                 found,
                 ..
             }| {
                let whose = publisher.map(|id| format!(" ({})", publishers.name_of(id)));
                format!(
                    "book {book}, account {code}{}: holds {found}, the conversions say {expected}",
                    whose.unwrap_or_default()
                )
            },
        )
        .collect())
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
    let style =
        ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} entries, {eta} left");
    let bar = ProgressBar::new(entries);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn print(proof: &Proof) {
    let Proof {
        report,
        conversions,
        milliseconds,
    } = proof;
    let word = if proof.holds() {
        "proved:"
    } else {
        "looked at:"
    };
    for sentence in report.looked_at() {
        println!("{word} {sentence}");
    }
    println!("{word} the accounts hold what the conversions say");
    let time = format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100);
    if proof.holds() {
        println!(
            "the ledger holds: {} entries in {time}",
            HumanCount(report.entries)
        );
        return;
    }
    for finding in &report.findings {
        println!("does not hold: {finding}");
    }
    if report.left_out > 0 {
        println!("and {} more", HumanCount(report.left_out));
    }
    for sentence in conversions {
        println!("does not hold: {sentence}");
    }
    for first in report.first_failing() {
        println!("first failing entry of its book: {first}");
    }
    let findings = report.findings.len() + conversions.len();
    println!("the ledger does not hold: {findings} findings in {time}");
}
