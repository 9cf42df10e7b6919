//! `counterfoil refunds parked`: refunds that fit no order.

use std::process::ExitCode;

use settlement::conversion::parked;

use super::Global;
use super::scope::Totals;
use crate::output::{self, Columns};

/// Refunds that wait for somebody.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the refunds that fit no order, oldest first, with their totals.
    Parked,
}

pub(crate) async fn run(global: &Global, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Parked => parked(global).await,
    }
}

async fn parked(global: &Global) -> anyhow::Result<ExitCode> {
    let refunds = global
        .read(async |conn| Ok(parked::waiting(conn, i64::MAX).await?))
        .await?;
    let mut totals = Totals::default();
    refunds
        .iter()
        .try_for_each(|refund| totals.add(refund.amount))?;
    if global.json {
        output::json(&serde_json::json!({
            "refunds": refunds, "totals": totals.all().collect::<Vec<_>>(),
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if refunds.is_empty() {
        println!("no refund is parked");
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Columns::new(&[
        "refund", "order", "when", "currency", ">amount", "reason", "note",
    ]);
    let count = refunds.len();
    for refund in refunds {
        table.row([
            refund.refund_ref,
            refund.order_ref.unwrap_or_default(),
            refund.occurred_at.format("%Y-%m-%d %H:%M UTC").to_string(),
            refund.amount.currency().to_string(),
            output::grouped(refund.amount),
            refund.reason.replace('_', " "),
            refund.note,
        ]);
    }
    table.rule();
    for total in totals.all() {
        let empty = String::new;
        let currency = total.currency().to_string();
        let amount = output::grouped(total);
        table.row([
            format!("{count} refunds"),
            empty(),
            empty(),
            currency,
            amount,
        ]);
    }
    table.print();
    Ok(ExitCode::SUCCESS)
}
