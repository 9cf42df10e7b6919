//! `counterfoil init NAME`: creates the network of a database.

use std::process::ExitCode;

use chrono_tz::Tz;

use super::Global;
use crate::{chance, database, output};

/// Create the network of this database; does nothing if it is there under the same name.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The network's name, as it stands on documents.
    name: String,
    /// The IANA time zone in which days and months are counted.
    #[arg(long, default_value = "UTC")]
    zone: Tz,
}

pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let (database, mut conn) = global.connect().await?;
    let by = Global::actor("init");
    let now = chance::now();
    let network = database::commit(&mut conn, async |conn| {
        settlement::network::create(conn, now, &by, &args.name, args.zone).await
    })
    .await?;
    drop(conn);
    database.leave()?;
    if global.json {
        output::json(&serde_json::json!({ "name": network.name, "zone": network.zone.name() }))?;
    } else {
        println!(
            "network {:?}, days and months in {}",
            network.name,
            network.zone.name()
        );
    }
    Ok(ExitCode::SUCCESS)
}
