//! `counterfoil reopen 2026-01 --because TEXT`: reopens the latest closed month.

use std::process::ExitCode;

use ledger::Period;

use super::{Global, scope};
use crate::{chance, output};

/// Reopen the latest closed month. What its close stated is kept; closing it again makes a new
/// version beside it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The month, such as 2026-01.
    period: Period,
    /// Why; it stands in the list of closed months.
    #[arg(long, value_name = "TEXT", value_parser = scope::reason)]
    because: String,
}

pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let by = Global::actor("reopen");
    let now = chance::now();
    let Args { period, because } = args;
    let reopened = global
        .commit(async |conn| Ok(ledger::period::reopen(conn, now, &by, period, &because).await?));
    reopened.await?;
    if global.json {
        output::json(&serde_json::json!({
            "period": period.to_string(), "reopened_at": now, "reopened_by": by,
            "because": because,
        }))?;
    } else {
        println!("period {period} is open again; `counterfoil close {period}` closes it");
    }
    Ok(ExitCode::SUCCESS)
}
