//! `counterfoil periods`: the closed months, and what became of them.

use std::process::ExitCode;

use ledger::period::{self, Close};

use super::Global;
use crate::output::{self, Columns};

/// List the closes of months, latest first, reopened ones included.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) async fn run(global: &Global, _: Args) -> anyhow::Result<ExitCode> {
    let closes = global
        .read(async |conn| Ok(period::closes(conn).await?))
        .await?;
    if global.json {
        output::json(&closes.iter().map(as_json).collect::<Vec<_>>())?;
        return Ok(ExitCode::SUCCESS);
    }
    if closes.is_empty() {
        println!("no month is closed");
        return Ok(ExitCode::SUCCESS);
    }
    let headings = [
        "month",
        ">version",
        "closed",
        "by",
        ">entries",
        "trial balance",
        "reopened",
    ];
    let mut table = Columns::new(&headings);
    for close in &closes {
        let reopened = close.reopened.as_ref().map(|reopened| {
            let at = reopened.at.format("%Y-%m-%d %H:%M");
            format!("{at} by {}: {}", reopened.by, reopened.because)
        });
        table.row([
            close.period.to_string(),
            close.version.to_string(),
            close.closed_at.format("%Y-%m-%d %H:%M").to_string(),
            close.closed_by.clone(),
            close.entries.to_string(),
            hex::encode(&close.trial_balance_hash)
                .chars()
                .take(16)
                .collect(),
            reopened.unwrap_or_default(),
        ]);
    }
    table.print();
    Ok(ExitCode::SUCCESS)
}

fn as_json(close: &Close) -> serde_json::Value {
    let reopened = close.reopened.as_ref().map(|reopened| {
        serde_json::json!({ "at": reopened.at, "by": reopened.by, "because": reopened.because })
    });
    serde_json::json!({
        "period": close.period.to_string(), "version": close.version,
        "closed_at": close.closed_at, "closed_by": close.closed_by, "entries": close.entries,
        "trial_balance_hash": hex::encode(&close.trial_balance_hash), "reopened": reopened,
    })
}
