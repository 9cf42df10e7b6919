//! `counterfoil changes`: who changed which party, when and why.

use std::process::ExitCode;

use settlement::party::changes;

use super::{Global, ROWS, Shown};
use crate::wire::{self, ChangeView};

/// List the changes of brands, publishers, programs, terms and enrolments, the newest first.
#[derive(Debug, clap::Args)]
pub(crate) struct ChangesArgs {
    /// Only those of one party, such as publisher:… as the list shows it.
    subject: Option<String>,
    #[command(flatten)]
    shown: Shown,
}

pub(crate) async fn run(global: &Global, args: ChangesArgs) -> anyhow::Result<ExitCode> {
    let subject = args.subject.as_deref();
    let rows = global
        .read(async |conn| Ok(changes::list(conn, subject, None, ROWS).await?))
        .await?;
    let rows: Vec<ChangeView> = rows.into_iter().map(ChangeView::from).collect();
    wire::print(&rows, args.shown.csv, global.json)?;
    Ok(ExitCode::SUCCESS)
}
