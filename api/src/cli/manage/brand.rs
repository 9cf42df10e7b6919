//! `counterfoil brand`: who pays for conversions.

use std::process::ExitCode;

use settlement::party::{self, NewParty, PartyError};

use super::{Global, ROWS, Shown, author, refused};
use crate::wire::{self, BrandView};
use crate::{chance, output};

/// Brands.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum BrandCommand {
    /// Create a brand with its book.
    Add {
        /// Its name, unique.
        name: String,
    },
    /// List the brands.
    List(ListArgs),
}

/// List the brands.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    shown: Shown,
}

pub(crate) async fn run(global: &Global, command: BrandCommand) -> anyhow::Result<ExitCode> {
    match command {
        BrandCommand::Add { name } => add(global, name).await,
        BrandCommand::List(args) => {
            let rows = global
                .read(async |conn| Ok(party::brands(conn, None, None, ROWS).await?))
                .await?;
            let rows: Vec<BrandView> = rows.into_iter().map(BrandView::from).collect();
            wire::print(&rows, args.shown.csv, global.json)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn add(global: &Global, name: String) -> anyhow::Result<ExitCode> {
    let (now, by) = author("brand-add");
    let new = NewParty {
        id: chance::id(),
        name,
    };
    let brand = global
        .commit(async |conn| {
            settlement::network::find(conn).await?;
            let brands = std::slice::from_ref(&new);
            if party::create_brands(conn, now, &by, brands).await? == 0 {
                let name = new.name.clone();
                return Err(refused(PartyError::NameTaken {
                    kind: "brand",
                    name,
                }));
            }
            party::find_brand(conn, &new.name).await.map_err(refused)
        })
        .await?;
    if global.json {
        output::json(&BrandView::from(brand))?;
    } else {
        println!("brand '{}' is {}", brand.name, brand.id);
    }
    Ok(ExitCode::SUCCESS)
}
