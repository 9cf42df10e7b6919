//! The command line: one file per subcommand, listed here on one screen.
//!
//! # Adding a subcommand
//!
//! Copy `close.rs`: an `Args` struct whose doc comments are the help, and `run`. Add a variant to
//! [`Command`] and its arm in [`run`]. Exit codes: 0 done, 1 failed or refused, 2 bad arguments.

mod balance;
mod bench;
mod checkpoint;
mod close;
mod db;
mod demo;
mod export;
mod figures;
mod import;
mod init;
mod jobs;
mod keys;
mod manage;
mod migrate;
mod periods;
mod postback;
mod rates;
mod rederive;
mod refunds;
mod reopen;
pub(crate) mod risk;
mod scope;
mod serve;
mod spool;
mod statement;
mod store;
mod trace;
mod trial_balance;
mod verify;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use ledger::Actor;
use sqlx::PgConnection;

use crate::database::{self, Database, Place};

/// A double-entry ledger and settlement engine for affiliate networks.
#[derive(Debug, Parser)]
#[command(
    name = "counterfoil",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Where the private PostgreSQL cluster, exports and keys lie.
    #[arg(
        long,
        global = true,
        env = "COUNTERFOIL_DATA",
        default_value = "counterfoil-data"
    )]
    pub(crate) data: PathBuf,
    /// A PostgreSQL 15 to 18 database to use instead of the private cluster.
    #[arg(long, global = true, env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// Print JSON instead of tables.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Install the PostgreSQL server with this system's package manager if there is none.
    #[arg(long, global = true)]
    pub(crate) install_postgres: bool,
}

impl Global {
    /// Where the database is.
    pub(crate) fn place(&self) -> Place<'_> {
        Place {
            url: self.database_url.as_deref().filter(|url| !url.is_empty()),
            data: &self.data,
            install: self.install_postgres,
        }
    }

    /// Opens the database and connects as the service role.
    pub(crate) async fn connect(&self) -> anyhow::Result<(Database, PgConnection)> {
        let database = Database::open(&self.place()).await?;
        let conn = database.service().await?;
        Ok((database, conn))
    }

    /// Opens the database, reads one consistent state of it, and leaves.
    pub(crate) async fn read<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let (database, mut conn) = self.connect().await?;
        let done = database::read(&mut conn, work).await?;
        drop(conn);
        database.leave()?;
        Ok(done)
    }

    /// Opens the database, does some work in one database transaction, and leaves.
    pub(crate) async fn commit<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let (database, mut conn) = self.connect().await?;
        let done = database::commit(&mut conn, work).await?;
        drop(conn);
        database.leave()?;
        Ok(done)
    }

    /// Who runs a command, for `recorded_by`: the command and the person logged in.
    pub(crate) fn actor(command: &str) -> Actor {
        let person = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER"));
        match person {
            Ok(person) if !person.is_empty() => Actor::new(format!("cli:{command}@{person}")),
            _ => Actor::new(format!("cli:{command}")),
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Replay real orders and refunds into balanced books, and show what came of it.
    Demo(demo::Args),
    /// Create the network of this database.
    Init(init::Args),
    /// Create and list brands.
    #[command(subcommand)]
    Brand(manage::BrandCommand),
    /// Create programs of brands, decide about them, and change their terms.
    #[command(subcommand)]
    Program(manage::ProgramCommand),
    /// Create publishers, take applications and decide about them.
    #[command(subcommand)]
    Publisher(manage::PublisherCommand),
    /// Enrol publishers in programs.
    #[command(subcommand)]
    Enrolment(manage::EnrolmentCommand),
    /// Make, end and list links, and the keys that sign their tokens.
    #[command(subcommand)]
    Link(manage::LinkCommand),
    /// Coupon codes of publishers.
    #[command(subcommand)]
    Coupon(manage::CouponCommand),
    /// Rates, tiers and marks of single publishers.
    #[command(subcommand)]
    Rule(manage::RuleCommand),
    /// List who changed which party, when and why.
    Changes(manage::ChangesArgs),
    /// Make, list, rotate and revoke API keys.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Connect stores, whose webhooks then count.
    #[command(subcommand)]
    Store(store::Command),
    /// Read orders, refunds or decisions from a CSV file.
    #[command(subcommand)]
    Import(import::Command),
    /// What publishers earn and brands owe.
    #[command(subcommand)]
    Figures(figures::Command),
    /// Tell the story behind any id: entry, order, refund, conversion or click.
    Trace(trace::Args),
    /// Show what the accounts hold.
    Balance(balance::Args),
    /// Show debits and credits by account, which must be equal.
    TrialBalance(trial_balance::Args),
    /// List what an account did, line by line.
    Statement(statement::Args),
    /// Close a month.
    Close(close::Args),
    /// Reopen the latest closed month.
    Reopen(reopen::Args),
    /// List the closed months.
    Periods(periods::Args),
    /// Refunds that wait for somebody.
    #[command(subcommand)]
    Refunds(refunds::Command),
    /// Rates of exchange: read the ECB's file, set one by hand, list them.
    #[command(subcommand)]
    Rates(rates::Command),
    /// List publishers of whose conversions too many are taken back.
    Risk(risk::Args),
    /// Decide again who earned what: shows the differences, and posts them only with --apply.
    Rederive(rederive::Args),
    /// Prove the whole ledger again from its entries.
    Verify(verify::Args),
    /// Sign how far every book has come, for somebody outside to keep.
    Checkpoint(checkpoint::Args),
    /// Write the journal for hledger, ledger-cli, beancount, or as CSV or JSONL.
    Export(export::Args),
    /// Bring the database's schema to this program's version.
    Migrate(migrate::Args),
    /// Start, stop and look at the private PostgreSQL cluster.
    #[command(subcommand)]
    Db(db::Command),
    /// Tell publishers of their conversions.
    #[command(subcommand)]
    Postback(postback::Command),
    /// What has to be done later or outside.
    #[command(subcommand)]
    Jobs(jobs::Command),
    /// Do what has to be done later or outside, until told to stop.
    Work(work::Args),
    /// Serve tracking links, postbacks and the API over HTTP.
    Serve(serve::Args),
    /// Look at the clicks that lie on this machine's disk until they are in Postgres.
    Spool(spool::Args),
    /// Measure how fast this machine is, in a scratch database of its own.
    #[command(subcommand)]
    Bench(bench::Command),
}

/// Reads the command line; prints help or the mistake and exits with 0 or 2.
pub(crate) fn parse() -> Cli {
    Cli::parse()
}

/// Does what was asked.
pub(crate) async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let Cli { global, command } = cli;
    match command {
        Command::Demo(args) => demo::run(&global, args).await,
        Command::Init(args) => init::run(&global, args).await,
        Command::Brand(command) => manage::brand(&global, command).await,
        Command::Program(command) => manage::program(&global, command).await,
        Command::Publisher(command) => manage::publisher(&global, command).await,
        Command::Enrolment(command) => manage::enrolment(&global, command).await,
        Command::Link(command) => manage::link(&global, command).await,
        Command::Coupon(command) => manage::coupon(&global, command).await,
        Command::Rule(command) => manage::rule(&global, command).await,
        Command::Changes(args) => manage::changes(&global, args).await,
        Command::Keys(command) => keys::run(&global, command).await,
        Command::Store(command) => store::run(&global, command).await,
        Command::Import(command) => import::run(&global, command).await,
        Command::Figures(command) => figures::run(&global, command).await,
        Command::Trace(args) => trace::run(&global, args).await,
        Command::Balance(args) => balance::run(&global, args).await,
        Command::TrialBalance(args) => trial_balance::run(&global, args).await,
        Command::Statement(args) => statement::run(&global, args).await,
        Command::Close(args) => close::run(&global, args).await,
        Command::Reopen(args) => reopen::run(&global, args).await,
        Command::Periods(args) => periods::run(&global, args).await,
        Command::Refunds(command) => refunds::run(&global, command).await,
        Command::Rates(command) => rates::run(&global, command).await,
        Command::Risk(args) => risk::run(&global, args).await,
        Command::Rederive(args) => rederive::run(&global, args).await,
        Command::Verify(args) => verify::run(&global, args).await,
        Command::Checkpoint(args) => checkpoint::run(&global, args).await,
        Command::Export(args) => export::run(&global, args).await,
        Command::Migrate(args) => migrate::run(&global, args).await,
        Command::Db(command) => db::run(&global, command).await,
        Command::Postback(command) => postback::run(&global, command).await,
        Command::Jobs(command) => jobs::run(&global, command).await,
        Command::Work(args) => work::run(&global, args).await,
        Command::Serve(args) => serve::run(&global, args).await,
        Command::Spool(args) => spool::run(&global, args).await,
        Command::Bench(command) => bench::run(&global, command).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_tree_is_valid() {
        Cli::command().debug_assert();
    }
}
