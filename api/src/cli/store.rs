//! `counterfoil store add`, `list`, `rotate`: which stores report to which programs.
//!
//! Secrets are read from files or standard input, never from arguments, which everybody on a
//! machine can see.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use settlement::inbox::connection::{self, ANY_STORE, Connection, Listed};
use settlement::party::{self, ProgramRef};
use sqlx::PgConnection;
use uuid::Uuid;

use super::Global;
use crate::http::stores;
use crate::{chance, output};

/// Connect stores, whose webhooks then count.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Connect a store to a program.
    Add(AddArgs),
    /// List the connected stores.
    List,
    /// Replace the secret of a connection; the old one goes on counting for now.
    Rotate(RotateArgs),
}

/// Connect a store to a program.
#[derive(Debug, clap::Args)]
pub(crate) struct AddArgs {
    /// Whose webhooks they are.
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(stores::names()))]
    source: String,
    /// The store as the sender names it: Shopify's or WooCommerce's domain, Zid's or Salla's
    /// store number, Stripe's account; every store of that sender, if none is given.
    #[arg(long, default_value = ANY_STORE)]
    store: String,
    /// The brand whose program its orders count in.
    #[arg(long)]
    brand: String,
    /// The program, if the brand has several.
    #[arg(long)]
    program: Option<String>,
    /// A file with the secret its deliveries are signed with, `-` for standard input. Zid and Salla
    /// may do without: then the one that `counterfoil serve` is given counts.
    #[arg(long)]
    secret_file: Option<PathBuf>,
    /// The header with the signature, where the sender lets one choose.
    #[arg(long)]
    header: Option<String>,
    /// How deliveries are signed, where the sender lets one choose.
    #[arg(long)]
    mode: Option<stores::Mode>,
    /// Approve as soon as the store says "paid" or "delivered", without a review.
    #[arg(long)]
    auto_approve_on_paid: bool,
    /// Record also orders that name no click.
    #[arg(long)]
    record_all: bool,
    /// Stands before the store's order numbers, where two stores of a program number alike.
    #[arg(long, default_value = "")]
    order_prefix: String,
}

/// Replace the secret of a connection.
#[derive(Debug, clap::Args)]
pub(crate) struct RotateArgs {
    /// The connection, as `store list` shows it.
    connection: Uuid,
    /// A file with the new secret, `-` for standard input.
    #[arg(long)]
    secret_file: PathBuf,
    /// Let only the new secret count from now on.
    #[arg(long)]
    only: bool,
}

pub(crate) async fn run(global: &Global, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Add(args) => add(global, args).await,
        Command::List => list(global).await,
        Command::Rotate(args) => rotate(global, args).await,
    }
}

async fn add(global: &Global, args: AddArgs) -> anyhow::Result<ExitCode> {
    let secret = args.secret_file.as_ref().map(secret).transpose()?;
    let (now, by, id) = (chance::now(), Global::actor("store-add"), chance::id());
    let source = args.source.clone();
    let store = args.store.clone();
    let added = global
        .commit(async |conn| -> anyhow::Result<bool> {
            let connection = Connection {
                id,
                program: program(conn, &args.brand, args.program.as_deref()).await?,
                source: args.source,
                store: args.store.to_ascii_lowercase(),
                order_prefix: args.order_prefix,
                secrets: secret.into_iter().collect(),
                header: args.header,
                mode: args.mode.map(|mode| mode.as_str().to_owned()),
                auto_approve_on_paid: args.auto_approve_on_paid,
                record_all: args.record_all,
            };
            Ok(connection::add(conn, now, &by, &connection).await?)
        })
        .await?;
    anyhow::ensure!(
        added,
        "store '{store}' of {source} is connected already; see `store list`"
    );
    if global.json {
        output::json(&serde_json::json!({ "connection": id, "path": format!("/hooks/{id}") }))?;
    } else {
        println!("store '{store}' of {source} is connection {id}");
        println!("it may send to /api/{source}/webhook or to /hooks/{id}");
    }
    Ok(ExitCode::SUCCESS)
}

/// The program that is meant; a brand with one program needs no name.
async fn program(
    conn: &mut PgConnection,
    brand: &str,
    name: Option<&str>,
) -> anyhow::Result<ProgramRef> {
    let programs = party::programs_by_brand(conn).await?;
    let offered = programs.get(brand).map_or(&[][..], Vec::as_slice);
    let meant: Vec<ProgramRef> = offered
        .iter()
        .filter(|(program, ..)| name.is_none_or(|name| name == program))
        .map(|(_, program, _)| *program)
        .collect();
    match meant.as_slice() {
        [program] => Ok(*program),
        [] => anyhow::bail!("brand '{brand}' has no such program; create it with `program add`"),
        _ => anyhow::bail!("brand '{brand}' has several programs; choose one with --program"),
    }
}

fn secret(file: &PathBuf) -> anyhow::Result<String> {
    let mut text = String::new();
    if file.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text)?;
    } else {
        let read = std::fs::read_to_string(file);
        text = read.with_context(|| format!("cannot read {}", file.display()))?;
    }
    let secret = text.trim_end_matches(['\r', '\n']).to_owned();
    anyhow::ensure!(!secret.is_empty(), "the secret is empty");
    Ok(secret)
}

async fn list(global: &Global) -> anyhow::Result<ExitCode> {
    let listed: Vec<Listed> = global
        .read(async |conn| Ok(connection::list(conn).await?))
        .await?;
    if global.json {
        output::json(&listed)?;
        return Ok(ExitCode::SUCCESS);
    }
    for it in listed {
        let latest = it
            .latest
            .map_or_else(|| "never".to_owned(), |at| at.to_rfc3339());
        println!(
            "{}  {} {}  {} / {}  {} deliveries, latest {latest}",
            it.id, it.source, it.store, it.brand, it.program, it.deliveries
        );
    }
    Ok(ExitCode::SUCCESS)
}

async fn rotate(global: &Global, args: RotateArgs) -> anyhow::Result<ExitCode> {
    let secret = secret(&args.secret_file)?;
    let rotated = global
        .commit(async |conn| -> anyhow::Result<bool> {
            Ok(connection::rotate(conn, args.connection, &secret, args.only).await?)
        })
        .await?;
    anyhow::ensure!(
        rotated,
        "there is no connection {}; see `store list`",
        args.connection
    );
    println!("connection {} has a new secret", args.connection);
    Ok(ExitCode::SUCCESS)
}
