//! `counterfoil program`: what brands offer their publishers, and on which terms.

use std::process::ExitCode;

use settlement::party::{self, NewParty, NewProgram, ProgramAction, ProgramState};

use super::{Global, ROWS, Reason, Shown, author, link, refused};
use crate::output::BadArgument;
use crate::wire::{self, Offer, ProgramView, TermsView};
use crate::{chance, output};

/// Programs of brands.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ProgramCommand {
    /// Create a program, and its brand if there is none of that name.
    Add(ProgramArgs),
    /// List the programs.
    List(ListArgs),
    /// The versions of a program's terms.
    #[command(subcommand)]
    Terms(TermsCommand),
    /// Say where a program's links lead, and how its clicks are marked.
    Track(link::TrackArgs),
    /// Show where a program's links lead, and how its clicks are marked.
    Tracking(link::TrackingArgs),
    /// Give a draft to an administrator.
    Submit(DecideArgs),
    /// Open a program, or open it again.
    Activate(DecideArgs),
    /// Stop a program for a while; what was clicked before still earns.
    Pause(DecideArgs),
    /// End a program for good.
    Close(DecideArgs),
}

/// The versions of a program's terms.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum TermsCommand {
    /// Add a version; what is not said stays as it was.
    Add(Box<TermsAddArgs>),
    /// List the versions, the oldest first.
    List(TermsListArgs),
}

/// Create a program, and its brand if there is none of that name.
#[derive(Debug, clap::Args)]
pub(crate) struct ProgramArgs {
    /// The brand.
    brand: String,
    /// The program's name; the brand's, if none is given.
    #[arg(long)]
    name: Option<String>,
    /// Only draft it: it waits to be submitted and activated.
    #[arg(long)]
    draft: bool,
    #[command(flatten)]
    terms: Offer,
}

/// List the programs.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Only those of this brand.
    #[arg(long)]
    brand: Option<String>,
    #[command(flatten)]
    shown: Shown,
}

/// Decide about a program.
#[derive(Debug, clap::Args)]
pub(crate) struct DecideArgs {
    /// The program: its name, its brand's, brand/program, or its id.
    program: String,
    #[command(flatten)]
    reason: Reason,
}

/// Add a version; what is not said stays as it was.
#[derive(Debug, clap::Args)]
pub(crate) struct TermsAddArgs {
    /// The program: its name, its brand's, brand/program, or its id.
    program: String,
    #[command(flatten)]
    terms: Offer,
    #[command(flatten)]
    reason: Reason,
}

/// List the versions, the oldest first.
#[derive(Debug, clap::Args)]
pub(crate) struct TermsListArgs {
    /// The program: its name, its brand's, brand/program, or its id.
    program: String,
    #[command(flatten)]
    shown: Shown,
}

pub(crate) async fn run(global: &Global, command: ProgramCommand) -> anyhow::Result<ExitCode> {
    match command {
        ProgramCommand::Add(args) => add(global, args).await,
        ProgramCommand::List(args) => list(global, args).await,
        ProgramCommand::Terms(TermsCommand::Add(args)) => add_terms(global, *args).await,
        ProgramCommand::Terms(TermsCommand::List(args)) => list_terms(global, args).await,
        ProgramCommand::Track(args) => link::track(global, args).await,
        ProgramCommand::Tracking(args) => link::tracking(global, args).await,
        ProgramCommand::Submit(args) => decide(global, ProgramAction::Submit, args).await,
        ProgramCommand::Activate(args) => decide(global, ProgramAction::Activate, args).await,
        ProgramCommand::Pause(args) => decide(global, ProgramAction::Pause, args).await,
        ProgramCommand::Close(args) => decide(global, ProgramAction::Close, args).await,
    }
}

async fn add(global: &Global, args: ProgramArgs) -> anyhow::Result<ExitCode> {
    let terms = args.terms.first().map_err(|error| unfit(&error))?;
    let name = args.name.unwrap_or_else(|| args.brand.clone());
    let brand = NewParty {
        id: chance::id(),
        name: args.brand.clone(),
    };
    let program = NewProgram {
        id: chance::id(),
        brand: args.brand,
        name,
        terms,
    };
    let state = if args.draft {
        ProgramState::Draft
    } else {
        ProgramState::Active
    };
    let (now, by) = author("program-add");
    let created = global
        .commit(async |conn| {
            settlement::network::find(conn).await?;
            party::create_brands(conn, now, &by, &[brand]).await?;
            let new = std::slice::from_ref(&program);
            Ok(party::create_programs_as(conn, now, &by, new, state).await?)
        })
        .await?;
    anyhow::ensure!(
        created == 1,
        "brand '{}' has a program '{}' already; choose another --name",
        program.brand,
        program.name
    );
    if global.json {
        output::json(&serde_json::json!({ "program": program.id, "brand": program.brand }))?;
    } else {
        println!(
            "program '{}' of brand '{}' is {}",
            program.name, program.brand, program.id
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Terms that make no sense.
fn unfit(error: &anyhow::Error) -> BadArgument {
    BadArgument(format!("{error:#}"))
}

async fn list(global: &Global, args: ListArgs) -> anyhow::Result<ExitCode> {
    let brand = args.brand.as_deref();
    let rows = global
        .read(async |conn| Ok(party::programs(conn, brand, None, None, ROWS).await?))
        .await?;
    let rows: Vec<ProgramView> = rows.into_iter().map(ProgramView::from).collect();
    wire::print(&rows, args.shown.csv, global.json)?;
    Ok(ExitCode::SUCCESS)
}

async fn decide(
    global: &Global,
    action: ProgramAction,
    args: DecideArgs,
) -> anyhow::Result<ExitCode> {
    let (now, by) = author(&format!("program-{}", action.as_str()));
    let reason = &args.reason.reason;
    let program = global
        .commit(async |conn| {
            let found = party::find_program(conn, &args.program).await;
            let program = found.map_err(refused)?.reference;
            let decided = party::decide_program(conn, now, &by, program, action, reason).await;
            decided.map_err(refused)
        })
        .await?;
    let view = ProgramView::from(program);
    if global.json {
        output::json(&view)?;
    } else {
        println!("program '{}' is {}", view.name, view.state);
    }
    Ok(ExitCode::SUCCESS)
}

async fn add_terms(global: &Global, args: TermsAddArgs) -> anyhow::Result<ExitCode> {
    let (now, by) = author("program-terms-add");
    let reason = &args.reason.reason;
    let added = global
        .commit(async |conn| {
            let found = party::find_program(conn, &args.program).await;
            let program = found.map_err(refused)?.reference;
            let write = |latest: &_| args.terms.next(latest, now);
            let added = party::change_terms(conn, now, &by, program, reason, write).await;
            Ok(added.map_err(refused)?.map_err(|error| unfit(&error))?)
        })
        .await?;
    let view = TermsView::from(added);
    if global.json {
        output::json(&view)?;
    } else {
        println!("version {} of the terms is added", view.version);
    }
    Ok(ExitCode::SUCCESS)
}

async fn list_terms(global: &Global, args: TermsListArgs) -> anyhow::Result<ExitCode> {
    let versions = global
        .read(async |conn| {
            let found = party::find_program(conn, &args.program).await;
            let program = found.map_err(refused)?.reference;
            Ok(party::terms_versions(conn, program).await?)
        })
        .await?;
    let rows: Vec<TermsView> = versions.into_iter().map(TermsView::from).collect();
    wire::print(&rows, args.shown.csv, global.json)?;
    Ok(ExitCode::SUCCESS)
}
