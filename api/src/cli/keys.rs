//! `counterfoil keys`: who may speak to the service.

use std::process::ExitCode;

use chrono::{DateTime, TimeDelta, Utc};
use ipnet::IpNet;
use ledger::BookId;
use serde_json::json;
use settlement::access::{self, Key, Mode, NewKey, Role, Scope, Secret};
use settlement::party;
use sqlx::PgConnection;
use uuid::Uuid;

use super::Global;
use crate::chance;
use crate::output::{self, BadArgument, Columns};

/// API keys.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a key and show it, this once.
    Create(CreateArgs),
    /// List the keys; what they are is not stored.
    List(ListArgs),
    /// Make a key with the rights of another, which is refused after a while.
    Rotate(RotateArgs),
    /// Refuse a key from now on; a running service does so within a second.
    Revoke(RevokeArgs),
}

/// Make a key and show it, this once.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("party").required(true)))]
pub(crate) struct CreateArgs {
    /// What people call the key.
    name: String,
    /// It speaks for this brand.
    #[arg(long, group = "party")]
    brand: Option<String>,
    /// It speaks for this publisher.
    #[arg(long, group = "party")]
    publisher: Option<String>,
    /// It speaks for the network: every brand and publisher.
    #[arg(long, group = "party")]
    network: bool,
    /// What it reports is checked and answered, and not recorded.
    #[arg(long)]
    test: bool,
    /// What it may be used for: report, decide, read, manage; all that its party may, by default.
    #[arg(long = "scope", value_parser = scope)]
    scopes: Vec<Scope>,
    /// Accept it only from these addresses, such as 192.0.2.0/24; may be repeated.
    #[arg(long = "from", value_name = "CIDR")]
    from: Vec<IpNet>,
}

/// List the keys; what they are is not stored.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Also those that are refused.
    #[arg(long)]
    all: bool,
}

/// Make a key with the rights of another, which is refused after a while.
#[derive(Debug, clap::Args)]
pub(crate) struct RotateArgs {
    /// The id of the key, as `counterfoil keys list` shows it.
    id: Uuid,
    /// For how many hours the old key is accepted still.
    #[arg(long, value_name = "HOURS", default_value_t = 24,
          value_parser = clap::value_parser!(u16).range(0..=2160))]
    keep_old: u16,
}

/// Refuse a key from now on; a running service does so within a second.
#[derive(Debug, clap::Args)]
pub(crate) struct RevokeArgs {
    /// The id of the key, as `counterfoil keys list` shows it.
    id: Uuid,
}

/// Reads a scope.
fn scope(text: &str) -> Result<Scope, String> {
    Scope::named(text).ok_or_else(|| {
        let all: Vec<&str> = Scope::ALL.into_iter().map(Scope::as_str).collect();
        format!("'{text}' is no scope; there are {}", all.join(", "))
    })
}

pub(crate) async fn run(global: &Global, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Create(args) => create(global, args).await,
        Command::List(args) => list(global, args).await,
        Command::Rotate(args) => rotate(global, args).await,
        Command::Revoke(args) => revoke(global, args).await,
    }
}

async fn create(global: &Global, args: CreateArgs) -> anyhow::Result<ExitCode> {
    let mode = if args.test { Mode::Test } else { Mode::Live };
    let secret = Secret::new(mode, chance::half()?);
    let id = chance::id();
    let (now, by) = (chance::now(), Global::actor("keys-create"));
    global
        .commit(async |conn| -> anyhow::Result<()> {
            let role = role(conn, &args).await?;
            let scopes = if args.scopes.is_empty() {
                role.scopes().to_vec()
            } else {
                args.scopes
            };
            let key = NewKey {
                id,
                secret: secret.clone(),
                name: args.name,
                mode,
                role,
                scopes,
                networks: args.from.iter().map(ToString::to_string).collect(),
            };
            Ok(access::create(conn, now, &by, &key).await?)
        })
        .await?;
    show(global, id, &secret)
}

async fn role(conn: &mut PgConnection, args: &CreateArgs) -> anyhow::Result<Role> {
    if let Some(name) = &args.brand {
        let brands = party::brands_by_name(conn).await?;
        let (_, book) = brands
            .get(name)
            .ok_or_else(|| BadArgument(format!("there is no brand '{name}'")))?;
        return Ok(Role::Brand(*book));
    }
    if let Some(name) = &args.publisher {
        let publishers = party::publishers_by_name(conn).await?;
        let id = publishers
            .get(name)
            .ok_or_else(|| BadArgument(format!("there is no publisher '{name}'")))?;
        return Ok(Role::Publisher(*id));
    }
    Ok(Role::Network)
}

async fn rotate(global: &Global, args: RotateArgs) -> anyhow::Result<ExitCode> {
    let (now, by) = (chance::now(), Global::actor("keys-rotate"));
    let until = now + TimeDelta::hours(args.keep_old.into());
    let new = (chance::id(), chance::half()?);
    let (key, secret) = global
        .commit(async |conn| Ok(access::rotate(conn, now, &by, args.id, new, until).await?))
        .await?;
    eprintln!("{} is accepted until {}", args.id, at(until));
    show(global, key.id, &secret)
}

async fn revoke(global: &Global, args: RevokeArgs) -> anyhow::Result<ExitCode> {
    let (now, by) = (chance::now(), Global::actor("keys-revoke"));
    let key = global
        .commit(async |conn| Ok(access::revoke(conn, now, &by, args.id).await?))
        .await?;
    if global.json {
        output::json(&json!({ "key": key.id, "revoked_at": now }))?;
    } else {
        println!("{} '{}' is refused from now on", key.hint, key.name);
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows a new key, for the only time.
fn show(global: &Global, id: Uuid, secret: &Secret) -> anyhow::Result<ExitCode> {
    if global.json {
        output::json(&json!({ "id": id, "key": secret.reveal() }))?;
    } else {
        println!("{}", secret.reveal());
        eprintln!("this is key {id}; keep it now, it is not shown again");
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(global: &Global, args: ListArgs) -> anyhow::Result<ExitCode> {
    let now = chance::now();
    let (mut keys, parties) = global
        .read(async |conn| -> anyhow::Result<_> {
            Ok((access::list(conn).await?, Parties::read(conn).await?))
        })
        .await?;
    keys.retain(|key| args.all || key.works_at(now));
    if global.json {
        let keys: Vec<_> = keys.iter().map(|key| listed(key, &parties)).collect();
        output::json(&keys)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Columns::new(&["id", "key", "name", "for", "scopes", "made", "refused"]);
    for key in keys {
        table.row([
            key.id.to_string(),
            key.hint.clone(),
            key.name.clone(),
            parties.name(key.role),
            scopes(&key).join(" "),
            at(key.created_at),
            key.revoked.map(|(from, _)| at(from)).unwrap_or_default(),
        ]);
    }
    table.print();
    Ok(ExitCode::SUCCESS)
}

fn listed(key: &Key, parties: &Parties) -> serde_json::Value {
    json!({
        "id": key.id, "hint": key.hint, "name": key.name, "mode": key.mode.as_str(),
        "role": key.role.as_str(), "for": parties.name(key.role), "scopes": scopes(key),
        "from": key.networks, "created_at": key.created_at, "created_by": key.created_by,
        "replaces": key.replaces,
        "revoked_at": key.revoked.as_ref().map(|(from, _)| from),
        "revoked_by": key.revoked.as_ref().map(|(_, by)| by),
    })
}

fn scopes(key: &Key) -> Vec<&'static str> {
    key.scopes.iter().map(|scope| scope.as_str()).collect()
}

fn at(moment: DateTime<Utc>) -> String {
    moment.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// The names of all parties.
struct Parties {
    brands: Vec<(BookId, String)>,
    publishers: Vec<(Uuid, String)>,
}

impl Parties {
    async fn read(conn: &mut PgConnection) -> anyhow::Result<Parties> {
        let brands = party::brands_by_name(conn).await?;
        let publishers = party::publishers_by_name(conn).await?;
        Ok(Parties {
            brands: brands.into_iter().map(|(n, (_, book))| (book, n)).collect(),
            publishers: publishers.into_iter().map(|(n, id)| (id, n)).collect(),
        })
    }

    fn name(&self, role: Role) -> String {
        let found = match role {
            Role::Network => None,
            Role::Brand(book) => self.brands.iter().find(|(b, _)| *b == book).map(|f| &f.1),
            Role::Publisher(id) => self.publishers.iter().find(|(p, _)| *p == id).map(|f| &f.1),
        };
        found.cloned().unwrap_or_else(|| role.as_str().to_owned())
    }
}
