//! `counterfoil migrate`: brings the schema to this program's version.

use std::process::ExitCode;

use super::Global;
use crate::database::Database;
use crate::output;

/// Bring the database's schema to this program's version. Every command does it by itself; this
/// one does nothing else.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) async fn run(global: &Global, _: Args) -> anyhow::Result<ExitCode> {
    let database = Database::locate(&global.place()).await?;
    let migrated = database.migrate().await?;
    database.leave()?;
    let (applied, version) = (migrated.applied, migrated.version);
    if global.json {
        output::json(&serde_json::json!({ "applied": applied, "version": version }))?;
    } else if applied == 0 {
        println!("nothing to do: the schema is at version {version}");
    } else {
        println!("applied {applied} migrations: the schema is at version {version}");
    }
    Ok(ExitCode::SUCCESS)
}
