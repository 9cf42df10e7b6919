//! `counterfoil close 2026-01`: checks the month and closes it in every book.

use std::process::ExitCode;

use ledger::{Period, checkpoint};
use settlement::close::{Closed, Finding};

use super::Global;
use crate::{chance, key, output};

/// Close a month: no entry can be posted into it any more. A checkpoint is taken with it. Closing
/// it again changes nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The month, such as 2026-01.
    period: Period,
}

pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let by = Global::actor("close");
    let now = chance::now();
    let key = key::of(&global.data)?;
    let closed = global.commit(async |conn| {
        let closed = settlement::close::close(conn, now, &by, args.period).await?;
        let checkpoint = match &closed {
            Closed::Now(close, _) => {
                let reason = format!("close of {}, version {}", args.period, close.version);
                Some(checkpoint::take(conn, now, &by, &reason, &key).await?)
            }
            Closed::Already(_) | Closed::Blocked(_) => None,
        };
        Ok((closed, checkpoint))
    });
    let (closed, checkpoint) = closed.await?;
    let signed = match checkpoint {
        Some(checkpoint) => Some((
            super::checkpoint::keep(&global.data, &checkpoint)?,
            checkpoint,
        )),
        None => None,
    };
    let code = match &closed {
        Closed::Now(..) | Closed::Already(_) => ExitCode::SUCCESS,
        Closed::Blocked(_) => ExitCode::FAILURE,
    };
    if global.json {
        let mut json = as_json(&closed);
        if let Some((file, checkpoint)) = signed {
            json["checkpoint"] = super::checkpoint::as_json(&file, &checkpoint)?;
        }
        output::json(&json)?;
    } else {
        print(&closed, args.period);
        if let Some((file, checkpoint)) = signed {
            println!("root of all books {}", checkpoint.root);
            println!("keep a copy of {} outside this database", file.display());
        }
    }
    Ok(code)
}

fn print(closed: &Closed, period: Period) {
    match closed {
        Closed::Now(close, warnings) => {
            println!(
                "period {period} is closed, version {}: {} entries, trial balance {}",
                close.version,
                close.entries,
                hex::encode(&close.trial_balance_hash)
            );
            findings(warnings);
        }
        Closed::Already(close) => println!(
            "period {period} was closed already, at {} by {}; trial balance {}",
            close.closed_at.format("%Y-%m-%d %H:%M UTC"),
            close.closed_by,
            hex::encode(&close.trial_balance_hash)
        ),
        Closed::Blocked(blockers) => {
            println!("period {period} is not closed:");
            findings(blockers);
        }
    }
}

fn findings(findings: &[Finding]) {
    /// A fault in many accounts is one fault; `verify` lists them all.
    const SHOWN: usize = 20;
    for finding in findings.iter().take(SHOWN) {
        let mark = if finding.blocks { "blocks" } else { "note" };
        println!("  {mark}: {}", finding.message);
    }
    if findings.len() > SHOWN {
        println!(
            "  … {} more; see `counterfoil verify`",
            findings.len() - SHOWN
        );
    }
}

fn as_json(closed: &Closed) -> serde_json::Value {
    let stated = |close: &ledger::period::Close| {
        serde_json::json!({
            "period": close.period.to_string(),
            "version": close.version,
            "closed_at": close.closed_at,
            "closed_by": close.closed_by,
            "entries": close.entries,
            "trial_balance_hash": hex::encode(&close.trial_balance_hash),
        })
    };
    match closed {
        Closed::Now(close, findings) => {
            serde_json::json!({ "outcome": "closed", "close": stated(close), "findings": findings })
        }
        Closed::Already(close) => {
            serde_json::json!({ "outcome": "closed_already", "close": stated(close) })
        }
        Closed::Blocked(findings) => {
            serde_json::json!({ "outcome": "blocked", "findings": findings })
        }
    }
}
