//! `counterfoil enrolment`: which publisher may earn in which program.

use std::process::ExitCode;

use settlement::party::{self, EnrolmentAction, EnrolmentFilter, EnrolmentState, ProgramRef};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Global, ROWS, Reason, Shown, author, refused};
use crate::output;
use crate::output::BadArgument;
use crate::wire::{self, EnrolmentView};

/// Enrolments of publishers in programs.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum EnrolmentCommand {
    /// Ask for an enrolment; nothing counts before it is approved.
    Add(PairArgs),
    /// Let a publisher's orders count from now on; it gets its link.
    Approve(DecideArgs),
    /// Let a publisher's orders not count from now on, for a while.
    Suspend(DecideArgs),
    /// Let a publisher's orders not count from now on.
    End(DecideArgs),
    /// List the enrolments.
    List(ListArgs),
}

/// A publisher and a program.
#[derive(Debug, clap::Args)]
pub(crate) struct PairArgs {
    /// The program: its name, its brand's, brand/program, or its id.
    program: String,
    /// The publisher: its name, code or id.
    publisher: String,
}

/// Decide about an enrolment.
#[derive(Debug, clap::Args)]
pub(crate) struct DecideArgs {
    #[command(flatten)]
    pair: PairArgs,
    #[command(flatten)]
    reason: Reason,
}

/// List the enrolments.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Only those in this program.
    #[arg(long)]
    program: Option<String>,
    /// Only those of this publisher.
    #[arg(long)]
    publisher: Option<String>,
    /// Only those in this state: applied, approved, suspended, ended.
    #[arg(long)]
    state: Option<String>,
    #[command(flatten)]
    shown: Shown,
}

pub(crate) async fn run(global: &Global, command: EnrolmentCommand) -> anyhow::Result<ExitCode> {
    match command {
        EnrolmentCommand::Add(args) => add(global, args).await,
        EnrolmentCommand::Approve(args) => decide(global, EnrolmentAction::Approve, args).await,
        EnrolmentCommand::Suspend(args) => decide(global, EnrolmentAction::Suspend, args).await,
        EnrolmentCommand::End(args) => decide(global, EnrolmentAction::End, args).await,
        EnrolmentCommand::List(args) => list(global, args).await,
    }
}

impl PairArgs {
    async fn find(&self, conn: &mut PgConnection) -> anyhow::Result<(ProgramRef, Uuid)> {
        let program = party::find_program(conn, &self.program).await;
        let publisher = party::find_publisher(conn, &self.publisher).await;
        Ok((
            program.map_err(refused)?.reference,
            publisher.map_err(refused)?.id,
        ))
    }
}

async fn add(global: &Global, args: PairArgs) -> anyhow::Result<ExitCode> {
    let (now, by) = author("enrolment-add");
    let view = global
        .commit(async |conn| {
            let pair = args.find(conn).await?;
            party::apply_to(conn, now, &by, &[pair]).await?;
            one(conn, pair).await
        })
        .await?;
    tell(global, &args, &view)
}

async fn decide(
    global: &Global,
    action: EnrolmentAction,
    args: DecideArgs,
) -> anyhow::Result<ExitCode> {
    let (now, by) = author(&format!("enrolment-{}", action.as_str()));
    let reason = &args.reason.reason;
    let view = global
        .commit(async |conn| {
            let pair = args.pair.find(conn).await?;
            let decided = party::decide_enrolment(conn, now, &by, pair, action, reason).await;
            decided.map_err(refused)?;
            one(conn, pair).await
        })
        .await?;
    tell(global, &args.pair, &view)
}

async fn one(
    conn: &mut PgConnection,
    (program, publisher): (ProgramRef, Uuid),
) -> anyhow::Result<EnrolmentView> {
    let filter = EnrolmentFilter {
        program: Some(program),
        publisher: Some(publisher),
        ..EnrolmentFilter::default()
    };
    let found = party::enrolments(conn, filter, None, 1).await?.pop();
    let found = found.ok_or_else(|| anyhow::anyhow!("the enrolment is gone"))?;
    Ok(found.into())
}

fn tell(global: &Global, asked: &PairArgs, view: &EnrolmentView) -> anyhow::Result<ExitCode> {
    if global.json {
        output::json(view)?;
    } else {
        println!(
            "enrolment of '{}' in '{}' is {}",
            asked.publisher, asked.program, view.state
        );
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(global: &Global, args: ListArgs) -> anyhow::Result<ExitCode> {
    let state = args.state.as_deref().map(|name| {
        EnrolmentState::named(name).ok_or_else(|| {
            BadArgument(format!(
                "{name:?} is no state; use applied, approved, suspended or ended"
            ))
        })
    });
    let mut filter = EnrolmentFilter {
        state: state.transpose()?,
        ..EnrolmentFilter::default()
    };
    let rows = global
        .read(async |conn| {
            if let Some(program) = &args.program {
                let found = party::find_program(conn, program).await;
                filter.program = Some(found.map_err(refused)?.reference);
            }
            if let Some(publisher) = &args.publisher {
                let found = party::find_publisher(conn, publisher).await;
                filter.publisher = Some(found.map_err(refused)?.id);
            }
            Ok(party::enrolments(conn, filter, None, ROWS).await?)
        })
        .await?;
    let rows: Vec<EnrolmentView> = rows.into_iter().map(EnrolmentView::from).collect();
    wire::print(&rows, args.shown.csv, global.json)?;
    Ok(ExitCode::SUCCESS)
}
