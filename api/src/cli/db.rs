//! `counterfoil db start|stop|status|psql`: the private PostgreSQL cluster.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};

use anyhow::Context;
use migrations::cluster::{self, Cluster, SUPERUSER, Status, Stop};
use tokio::process;

use super::Global;
use crate::database::{self, DATABASE};
use crate::output::{self, BadArgument};

/// Start, stop and look at the private PostgreSQL cluster in the data folder.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Start the server and let it stay when no command uses it.
    Start,
    /// Stop the server.
    Stop {
        /// End the sessions of commands that use it.
        #[arg(long)]
        force: bool,
    },
    /// Tell whether it runs, where its files are, and who uses it. Starts nothing.
    Status,
    /// Open a prompt as the owner of the database, or run psql with some arguments.
    Psql {
        /// What psql takes, such as --command 'select …'.
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "ARGUMENTS"
        )]
        arguments: Vec<OsString>,
    },
}

pub(crate) async fn run(global: &Global, command: Command) -> anyhow::Result<ExitCode> {
    if global.place().url.is_some() {
        let sentence = "`counterfoil db` is for the private cluster, but DATABASE_URL (or \
                        --database-url) names a server of yours; leave it out to use the cluster";
        return Err(BadArgument(sentence.to_owned()).into());
    }
    match command {
        Command::Start => start(global).await,
        Command::Stop { force } => stop(global, force),
        Command::Status => print(global, &cluster::status(&global.data)?),
        Command::Psql { arguments } => psql(global, arguments).await,
    }
}

async fn start(global: &Global) -> anyhow::Result<ExitCode> {
    let cluster = database::cluster(&global.place())?;
    cluster.ensure_database(DATABASE).await?;
    cluster.pin()?;
    cluster.leave()?;
    print(global, &cluster::status(&global.data)?)
}

fn stop(global: &Global, force: bool) -> anyhow::Result<ExitCode> {
    let how = if force { Stop::Anyway } else { Stop::IfIdle };
    let stopped = cluster::stop(&global.data, how)?;
    if global.json {
        output::json(&serde_json::json!({ "stopped": stopped }))?;
    } else if stopped {
        println!("the private cluster is stopped");
    } else {
        println!("the private cluster was not running");
    }
    Ok(ExitCode::SUCCESS)
}

/// The address for other programs, while the server runs.
fn url(socket: &Path) -> String {
    // Of what a socket's path may hold, only this means something else in a URL.
    let socket = socket.display().to_string().replace('+', "%2B");
    format!("postgres://{SUPERUSER}@localhost/{DATABASE}?host={socket}")
}

fn print(global: &Global, status: &Status) -> anyhow::Result<ExitCode> {
    let url = url(&status.socket);
    if global.json {
        output::json(&serde_json::json!({
            "running": status.pid.is_some(), "pid": status.pid, "version": status.major,
            "pinned": status.pinned, "users": status.users, "data": status.data,
            "socket": status.socket, "log": status.log, "database_url": url,
            "notice": status.notice,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    match (status.pid, status.major) {
        (Some(pid), _) if status.pinned => {
            println!("running, process {pid}, until `counterfoil db stop`");
        }
        (Some(pid), _) => println!("running, process {pid}, while commands use it"),
        (None, Some(_)) => println!("stopped; the next command starts it"),
        (None, None) => println!("not there yet; the first command makes it"),
    }
    if let Some(major) = status.major {
        println!("version       PostgreSQL {major}");
    }
    println!("files         {}", status.data.display());
    println!("log           {}", status.log.display());
    println!("socket        {}", status.socket.display());
    if !status.users.is_empty() {
        let users: Vec<String> = status.users.iter().map(ToString::to_string).collect();
        println!("used by       process {}", users.join(", "));
    }
    if status.pid.is_some() {
        println!("DATABASE_URL  {url}");
    }
    if let Some(notice) = &status.notice {
        println!("{notice}");
    }
    Ok(ExitCode::SUCCESS)
}

async fn psql(global: &Global, arguments: Vec<OsString>) -> anyhow::Result<ExitCode> {
    let cluster = database::cluster(&global.place())?;
    cluster.ensure_database(DATABASE).await?;
    let status = prompt(&cluster, arguments).await;
    cluster.leave()?;
    let code = status?.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Runs psql on this terminal. Ctrl-C is psql's: it cancels a statement, and we stay behind it.
async fn prompt(cluster: &Cluster, arguments: Vec<OsString>) -> anyhow::Result<ExitStatus> {
    let beside = cluster.binaries().program("psql");
    let program = if beside.is_file() {
        beside
    } else {
        PathBuf::from("psql")
    };
    let mut command = process::Command::new(&program);
    // What the environment says about another server must not lead elsewhere.
    for name in [
        "PGHOSTADDR",
        "PGPORT",
        "PGSERVICE",
        "PGOPTIONS",
        "PGSSLMODE",
        "PGPASSWORD",
    ] {
        command.env_remove(name);
    }
    command.arg("--host").arg(cluster.socket());
    command
        .args(["--username", SUPERUSER, "--dbname", DATABASE])
        .args(arguments);
    let mut child = command.spawn().with_context(|| {
        format!(
            "{} cannot be run; install the PostgreSQL client programs",
            program.display()
        )
    })?;
    loop {
        tokio::select! {
            status = child.wait() => return Ok(status?),
            _ = tokio::signal::ctrl_c() => {}
        }
    }
}
