//! `counterfoil postback`: where publishers want to hear of their conversions.

use std::process::ExitCode;

use ::jobs::postback::template::Unknown;
use ::jobs::postback::{self, Event, Method, NewTarget, Target, log, target};
use serde_json::{Value, json};
use settlement::party::{self, ProgramRef};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Global, work};
use crate::chance;
use crate::database::Database;
use crate::output::{self, BadArgument, Columns};

/// Postbacks to publishers.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Tell a publisher of its conversions from now on.
    Add(AddArgs),
    /// List who is told, and where.
    List,
    /// Send an example at once and show the answer.
    Test(TestArgs),
    /// List the latest attempts with what was answered.
    Log(LogArgs),
    /// Tell nothing more, until it is enabled again.
    Disable(DisableArgs),
    /// Tell again, as if nothing had failed.
    Enable(EnableArgs),
}

/// Tell a publisher of its conversions from now on.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
#[derive(Debug, clap::Args)]
pub(crate) struct AddArgs {
    /// The publisher.
    publisher: String,
    /// Where, with macros such as `{click_id}`, `{payout}` and `{status}` in its path or query.
    url: String,
    /// Only conversions of this brand's program.
    #[arg(long)]
    brand: Option<String>,
    /// The program, where the brand has several.
    #[arg(long, requires = "brand")]
    program: Option<String>,
    /// Of what: pending, approved, rejected, reversed, held, released, adjusted; may be repeated.
    #[arg(long = "event", value_parser = event,
          default_values = ["pending", "approved", "rejected", "reversed"])]
    events: Vec<Event>,
    /// Send a signed JSON body by POST; the secret is shown once.
    #[arg(long)]
    post: bool,
    /// How long to wait after the change, in milliseconds.
    #[arg(long, default_value_t = 0)]
    delay_ms: i32,
    /// Leave nothing where the URL has a macro that nobody knows; else it stays as it stands.
    #[arg(long)]
    empty_unknown: bool,
    /// Let `{order_id}` be the brand's own order reference.
    #[arg(long)]
    expose_order_id: bool,
    /// Accept a private address. For tests on one machine.
    #[arg(long, env = "COUNTERFOIL_ALLOW_PRIVATE", hide = true)]
    allow_private: bool,
}

/// Send an example at once and show the answer.
#[derive(Debug, clap::Args)]
pub(crate) struct TestArgs {
    /// The id of the postback, as `counterfoil postback list` shows it.
    id: Uuid,
    /// Send it to a private address too. For tests on one machine.
    #[arg(long, env = "COUNTERFOIL_ALLOW_PRIVATE", hide = true)]
    allow_private: bool,
}

/// List the latest attempts with what was answered.
#[derive(Debug, clap::Args)]
pub(crate) struct LogArgs {
    /// Only of this postback.
    id: Option<Uuid>,
    /// How many at most.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..))]
    limit: i64,
}

/// Tell nothing more, until it is enabled again.
#[derive(Debug, clap::Args)]
pub(crate) struct DisableArgs {
    /// The id of the postback.
    id: Uuid,
    /// Why.
    #[arg(long, default_value = "by hand")]
    reason: String,
}

/// Tell again, as if nothing had failed.
#[derive(Debug, clap::Args)]
pub(crate) struct EnableArgs {
    /// The id of the postback.
    id: Uuid,
}

/// Reads an event, with or without `conversion.` before it.
fn event(text: &str) -> Result<Event, String> {
    let short = |event: &Event| event.as_str().trim_start_matches("conversion.").to_owned();
    let named = |event: &&Event| event.as_str() == text || short(event) == text;
    Event::ALL.iter().find(named).copied().ok_or_else(|| {
        let all: Vec<String> = Event::ALL.iter().map(short).collect();
        format!("there are {}", all.join(", "))
    })
}

pub(crate) async fn run(global: &Global, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Add(args) => add(global, args).await,
        Command::List => list(global).await,
        Command::Test(args) => test(global, args).await,
        Command::Log(args) => attempts(global, args).await,
        Command::Disable(args) => {
            let (now, by) = (chance::now(), Global::actor("postback-disable"));
            let (id, reason) = (args.id, args.reason);
            let disable = async |conn: &mut PgConnection| {
                Ok(target::disable(conn, now, &by, id, &reason).await?)
            };
            global.commit(disable).await?;
            said(global, id, "disabled")
        }
        Command::Enable(EnableArgs { id }) => {
            let (now, by) = (chance::now(), Global::actor("postback-enable"));
            global
                .commit(async |conn| Ok(target::enable(conn, now, &by, id).await?))
                .await?;
            said(global, id, "enabled")
        }
    }
}

fn said(global: &Global, id: Uuid, what: &str) -> anyhow::Result<ExitCode> {
    if global.json {
        output::json(&json!({ "id": id, "now": what }))?;
    } else {
        println!("postback {id} is {what}");
    }
    Ok(ExitCode::SUCCESS)
}

async fn add(global: &Global, args: AddArgs) -> anyhow::Result<ExitCode> {
    let secret = format!("pcwh_{}", hex::encode(chance::bytes()?));
    let id = chance::id();
    let (now, by) = (chance::now(), Global::actor("postback-add"));
    let reach = work::reach(args.allow_private);
    let shown = args.post.then(|| secret.clone());
    global
        .commit(async |conn| -> anyhow::Result<()> {
            let publishers = party::publishers_by_name(conn).await?;
            let publisher = publishers.get(&args.publisher).copied();
            let new = NewTarget {
                id,
                publisher: publisher.ok_or_else(|| {
                    BadArgument(format!("there is no publisher '{}'", args.publisher))
                })?,
                program: program(conn, args.brand.as_deref(), args.program.as_deref()).await?,
                method: if args.post {
                    Method::Post { secret }
                } else {
                    Method::Get
                },
                url: args.url,
                events: args.events,
                delay_ms: args.delay_ms,
                unknown: if args.empty_unknown {
                    Unknown::Empty
                } else {
                    Unknown::Literal
                },
                expose_order_id: args.expose_order_id,
            };
            Ok(target::add(conn, now, &by, &new, reach).await?)
        })
        .await?;
    if global.json {
        output::json(&json!({ "id": id, "secret": shown }))?;
        return Ok(ExitCode::SUCCESS);
    }
    println!("postback {id} is told from now on");
    if let Some(secret) = shown {
        println!("its secret is {secret}; keep it now, it is not shown again");
    }
    Ok(ExitCode::SUCCESS)
}

/// The program meant: the brand's only one, or the one that is named.
async fn program(
    conn: &mut PgConnection,
    brand: Option<&str>,
    name: Option<&str>,
) -> anyhow::Result<Option<ProgramRef>> {
    let Some(brand) = brand else { return Ok(None) };
    let programs = party::programs_by_brand(conn).await?;
    let offered = programs
        .get(brand)
        .ok_or_else(|| BadArgument(format!("brand '{brand}' has no program")))?;
    let mut meant = offered
        .iter()
        .filter(|(program, ..)| name.is_none_or(|name| name == program));
    match (meant.next(), meant.next()) {
        (Some((_, program, _)), None) => Ok(Some(*program)),
        (None, _) => Err(BadArgument(format!("brand '{brand}' has no such program")).into()),
        _ => Err(BadArgument(format!("brand '{brand}' has several programs; name one")).into()),
    }
}

async fn list(global: &Global) -> anyhow::Result<ExitCode> {
    let (targets, publishers) = global
        .read(async |conn| -> anyhow::Result<_> {
            Ok((
                target::list(conn, None).await?,
                party::publishers_by_name(conn).await?,
            ))
        })
        .await?;
    let name = |target: &Target| {
        let found = publishers.iter().find(|(_, id)| **id == target.publisher);
        found.map_or_else(|| target.publisher.to_string(), |(name, _)| name.clone())
    };
    if global.json {
        let targets: Vec<Value> = targets.iter().map(|t| listed(t, &name(t))).collect();
        output::json(&targets)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Columns::new(&["id", "publisher", "how", "url", "events", "state"]);
    for target in targets {
        let state = match &target.disabled {
            Some((at, reason)) => format!("disabled {}: {reason}", at.format("%Y-%m-%d")),
            None if target.failures > 0 => format!("{} failures in a row", target.failures),
            None => "told".to_owned(),
        };
        table.row([
            target.id.to_string(),
            name(&target),
            target.method.as_str().to_owned(),
            target.url,
            target.events.join(" ").replace("conversion.", ""),
            state,
        ]);
    }
    table.print();
    Ok(ExitCode::SUCCESS)
}

fn listed(target: &Target, publisher: &str) -> Value {
    json!({
        "id": target.id, "publisher": publisher, "program": target.program.map(|p| p.id),
        "method": target.method.as_str(), "url": target.url, "events": target.events,
        "delay_ms": target.delay_ms, "unknown_macro": target.unknown.as_str(),
        "expose_order_id": target.expose_order_id, "failures": target.failures,
        "disabled_at": target.disabled.as_ref().map(|(at, _)| at),
        "disabled_reason": target.disabled.as_ref().map(|(_, reason)| reason),
    })
}

async fn test(global: &Global, args: TestArgs) -> anyhow::Result<ExitCode> {
    let database = Database::open(&global.place()).await?;
    let pool = database.pool(1);
    let (now, reach) = (chance::now(), work::reach(args.allow_private));
    let sent = postback::sample(&pool, now, reach, args.id, chance::id()).await;
    pool.close().await;
    database.leave()?;
    let sent = sent?;
    if global.json {
        output::json(&sent)?;
    } else {
        println!("{}", sent.url);
        if let Some(status) = sent.status {
            println!(
                "answered {status} after {} ms: {}",
                sent.took_ms, sent.answer
            );
        }
        if let Some(error) = &sent.error {
            println!("failed: {error}");
        }
    }
    Ok(if sent.error.is_none() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn attempts(global: &Global, args: LogArgs) -> anyhow::Result<ExitCode> {
    let log = global
        .read(async |conn| Ok(log::latest(conn, args.id, args.limit).await?))
        .await?;
    if global.json {
        output::json(&log)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Columns::new(&[
        "when", "event", "delivery", ">attempt", ">status", ">ms", "url", "answer",
    ]);
    for attempt in log {
        let status = attempt.status.map(|status| status.to_string());
        table.row([
            attempt.sent_at.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
            attempt.event.replace("conversion.", ""),
            attempt.delivery_id.to_string(),
            attempt.number.to_string(),
            status.unwrap_or_default(),
            attempt.took_ms.to_string(),
            attempt.url,
            attempt.error.unwrap_or(attempt.answer),
        ]);
    }
    table.print();
    Ok(ExitCode::SUCCESS)
}
