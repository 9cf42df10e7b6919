//! `counterfoil publisher`: who earns commissions.

use std::process::ExitCode;

use settlement::party::{
    self, Application, NewParty, PublisherAction, PublisherCode, PublisherState,
};
use uuid::Uuid;

use super::{Global, ROWS, Reason, Shown, author, refused};
use crate::output::BadArgument;
use crate::wire::{self, PublisherView};
use crate::{chance, output};

/// Publishers.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum PublisherCommand {
    /// Take a publisher's application; it earns nothing before it is approved.
    Apply(ApplyArgs),
    /// Create publishers and enrol them in a brand's programs, all approved, for orders of all
    /// times: for bringing in what was agreed elsewhere.
    Add(PublisherArgs),
    /// Let a publisher take part, for the first time or again.
    Approve(DecideArgs),
    /// Stop a publisher; its enrolments are suspended with it.
    Suspend(DecideArgs),
    /// Refuse a publisher's application.
    Reject(DecideArgs),
    /// List the publishers.
    List(ListArgs),
}

/// Take a publisher's application; it earns nothing before it is approved.
#[derive(Debug, clap::Args)]
pub(crate) struct ApplyArgs {
    /// Its name, unique.
    name: String,
    /// Where to write to it.
    #[arg(long)]
    mail: String,
    /// Where it publishes, such as <https://example.org>.
    #[arg(long)]
    website: String,
    /// Its public code, as in /ref/CODE; one is made if none is given.
    #[arg(long)]
    code: Option<PublisherCode>,
}

/// Create publishers and enrol them in a brand's programs.
#[derive(Debug, clap::Args)]
pub(crate) struct PublisherArgs {
    /// The publishers.
    #[arg(required = true)]
    names: Vec<String>,
    /// Enrol them in all programs of this brand; may be repeated.
    #[arg(long)]
    brand: Vec<String>,
}

/// Decide about a publisher.
#[derive(Debug, clap::Args)]
pub(crate) struct DecideArgs {
    /// The publisher: its name, code or id.
    publisher: String,
    #[command(flatten)]
    reason: Reason,
}

/// List the publishers.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Only those in this state: applied, approved, suspended, rejected.
    #[arg(long)]
    state: Option<String>,
    #[command(flatten)]
    shown: Shown,
}

pub(crate) async fn run(global: &Global, command: PublisherCommand) -> anyhow::Result<ExitCode> {
    match command {
        PublisherCommand::Apply(args) => apply(global, args).await,
        PublisherCommand::Add(args) => add(global, args).await,
        PublisherCommand::Approve(args) => decide(global, PublisherAction::Approve, args).await,
        PublisherCommand::Suspend(args) => decide(global, PublisherAction::Suspend, args).await,
        PublisherCommand::Reject(args) => decide(global, PublisherAction::Reject, args).await,
        PublisherCommand::List(args) => list(global, args).await,
    }
}

async fn apply(global: &Global, args: ApplyArgs) -> anyhow::Result<ExitCode> {
    let (now, by) = author("publisher-apply");
    let application = Application {
        id: chance::id(),
        name: args.name,
        code: args.code,
        contact_mail: args.mail,
        website: args.website,
    };
    let publisher = global
        .commit(async |conn| {
            let applied = party::apply(conn, now, &by, &application).await;
            applied.map_err(refused)
        })
        .await?;
    tell(global, publisher)
}

async fn decide(
    global: &Global,
    action: PublisherAction,
    args: DecideArgs,
) -> anyhow::Result<ExitCode> {
    let (now, by) = author(&format!("publisher-{}", action.as_str()));
    let reason = &args.reason.reason;
    let publisher = global
        .commit(async |conn| {
            let found = party::find_publisher(conn, &args.publisher).await;
            let id = found.map_err(refused)?.id;
            let decided = party::decide_publisher(conn, now, &by, id, action, reason).await;
            decided.map_err(refused)
        })
        .await?;
    tell(global, publisher)
}

fn tell(global: &Global, publisher: party::Publisher) -> anyhow::Result<ExitCode> {
    let view = PublisherView::from(publisher);
    if global.json {
        output::json(&view)?;
    } else {
        let PublisherView {
            name, state, code, ..
        } = view;
        println!("publisher '{name}' is {state}, its code is {code}");
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(global: &Global, args: ListArgs) -> anyhow::Result<ExitCode> {
    let state = args.state.as_deref().map(|name| {
        PublisherState::named(name).ok_or_else(|| {
            BadArgument(format!(
                "{name:?} is no state; use applied, approved, suspended or rejected"
            ))
        })
    });
    let state = state.transpose()?;
    let rows = global
        .read(async |conn| Ok(party::publishers(conn, state, None, ROWS).await?))
        .await?;
    let rows: Vec<PublisherView> = rows.into_iter().map(PublisherView::from).collect();
    wire::print(&rows, args.shown.csv, global.json)?;
    Ok(ExitCode::SUCCESS)
}

async fn add(global: &Global, args: PublisherArgs) -> anyhow::Result<ExitCode> {
    let new = args.names.iter().map(|name| NewParty {
        id: chance::id(),
        name: name.clone(),
    });
    let new: Vec<NewParty> = new.collect();
    let (now, by) = author("publisher-add");
    let (created, enrolled) = global
        .commit(async |conn| {
            let created = party::create_publishers(conn, now, &by, &new).await?;
            let known = party::publishers_by_name(conn).await?;
            let programs = party::programs_by_brand(conn).await?;
            let mut enrolments = Vec::new();
            for brand in &args.brand {
                let offered = programs.get(brand);
                let offered =
                    offered.ok_or_else(|| anyhow::anyhow!("brand '{brand}' has no program"))?;
                for (_, program, _) in offered {
                    let ids = args
                        .names
                        .iter()
                        .filter_map(|name| known.get(name).copied());
                    enrolments.extend(ids.map(|id: Uuid| (*program, id)));
                }
            }
            Ok((created, party::enrol(conn, now, &by, &enrolments).await?))
        })
        .await?;
    if global.json {
        output::json(&serde_json::json!({ "created": created, "enrolled": enrolled }))?;
    } else {
        println!("{created} publishers created, {enrolled} enrolments made");
    }
    Ok(ExitCode::SUCCESS)
}
