//! `counterfoil link` and `counterfoil program track`: words in addresses and where they lead.

use std::process::ExitCode;

use ledger::Actor;
use settlement::party;
use settlement::tracking::link::NewLink;
use settlement::tracking::manage::{self, LinkError};
use settlement::tracking::secrets;
use settlement::tracking::setup::{self, SetupError};

use super::{Global, ROWS, Reason, Shown, author, refused};
use crate::chance;
use crate::output::{self, BadArgument};
use crate::wire::{self, KindOfLink, LinkView, TokenKeyView, Tracked, TrackingView};

/// Links of publishers.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum LinkCommand {
    /// Make a link; each enrolment that is approved has one already.
    Add(AddArgs),
    /// End a link; its word is never handed on.
    End(EndArgs),
    /// List the links.
    List(ListArgs),
    /// Keys that sign click tokens.
    #[command(subcommand)]
    Keys(KeysCommand),
}

/// Make a link; each enrolment that is approved has one already.
#[derive(Debug, clap::Args)]
pub(crate) struct AddArgs {
    /// The word, never used before.
    slug: String,
    /// The program: its name, its brand's, brand/program, or its id.
    #[arg(long)]
    program: String,
    /// The publisher: its name, code or id.
    #[arg(long)]
    publisher: String,
    /// What kind of word it is.
    #[arg(long, value_enum, default_value = "slug")]
    kind: KindOfLink,
    /// A page of the program's hosts; the program's own, if none is named.
    #[arg(long = "to", value_name = "URL")]
    dest_url: Option<String>,
    /// `utm_campaign`.
    #[arg(long)]
    campaign: Option<String>,
    #[command(flatten)]
    reason: Reason,
}

/// End a link; its word is never handed on.
#[derive(Debug, clap::Args)]
pub(crate) struct EndArgs {
    /// The word.
    slug: String,
    #[command(flatten)]
    reason: Reason,
}

/// List the links.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Only those of this publisher.
    #[arg(long)]
    publisher: Option<String>,
    #[command(flatten)]
    shown: Shown,
}

/// Keys that sign click tokens.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum KeysCommand {
    /// Add a key, which signs from now on; tokens that older ones signed hold until they expire.
    Rotate,
    /// List the keys; what they are is shown to nobody.
    List,
}

/// Say where a program's links lead, and how its clicks are marked.
#[derive(Debug, clap::Args)]
pub(crate) struct TrackArgs {
    /// The program: its name, its brand's, brand/program, or its id.
    program: String,
    #[command(flatten)]
    tracked: Tracked,
    #[command(flatten)]
    reason: Reason,
}

/// Show where a program's links lead, and how its clicks are marked.
#[derive(Debug, clap::Args)]
pub(crate) struct TrackingArgs {
    /// The program: its name, its brand's, brand/program, or its id.
    program: String,
}

pub(crate) async fn run(global: &Global, command: LinkCommand) -> anyhow::Result<ExitCode> {
    match command {
        LinkCommand::Add(args) => add(global, args).await,
        LinkCommand::End(args) => end(global, args).await,
        LinkCommand::List(args) => list(global, args).await,
        LinkCommand::Keys(KeysCommand::Rotate) => rotate(global).await,
        LinkCommand::Keys(KeysCommand::List) => keys(global).await,
    }
}

/// What is wrong with an argument is a bad argument.
fn unfit(error: LinkError) -> anyhow::Error {
    match error {
        LinkError::Database(_) | LinkError::Setup(SetupError::Database(_)) => error.into(),
        other => BadArgument(other.to_string()).into(),
    }
}

async fn add(global: &Global, args: AddArgs) -> anyhow::Result<ExitCode> {
    let (now, by) = author("link-add");
    let view = global
        .commit(async |conn| {
            let program = party::find_program(conn, &args.program).await;
            let publisher = party::find_publisher(conn, &args.publisher).await;
            let link = NewLink {
                slug: args.slug.clone(),
                kind: args.kind.into(),
                program: program.map_err(refused)?.reference,
                publisher: publisher.map_err(refused)?.id,
                dest_url: args.dest_url.clone(),
                campaign: args.campaign.clone(),
            };
            let made = manage::make(conn, now, &by, &args.reason.reason, &[link]).await;
            made.map_err(unfit)?;
            Ok(LinkView::from(manage::find(conn, &args.slug).await?))
        })
        .await?;
    if global.json {
        output::json(&view)?;
    } else {
        println!("link '{}' is made", view.slug);
    }
    Ok(ExitCode::SUCCESS)
}

async fn end(global: &Global, args: EndArgs) -> anyhow::Result<ExitCode> {
    let (now, by) = author("link-end");
    let view = global
        .commit(async |conn| {
            let ended = manage::end(conn, now, &by, &args.reason.reason, &args.slug).await;
            ended.map_err(unfit)?;
            Ok(LinkView::from(manage::find(conn, &args.slug).await?))
        })
        .await?;
    if global.json {
        output::json(&view)?;
    } else {
        println!("link '{}' is over", view.slug);
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(global: &Global, args: ListArgs) -> anyhow::Result<ExitCode> {
    let rows = global
        .read(async |conn| {
            let publisher = match &args.publisher {
                Some(key) => Some(party::find_publisher(conn, key).await.map_err(refused)?.id),
                None => None,
            };
            Ok(manage::list(conn, None, publisher, None, ROWS).await?)
        })
        .await?;
    let rows: Vec<LinkView> = rows.into_iter().map(LinkView::from).collect();
    wire::print(&rows, args.shown.csv, global.json)?;
    Ok(ExitCode::SUCCESS)
}

async fn rotate(global: &Global) -> anyhow::Result<ExitCode> {
    let (now, by): (_, Actor) = author("link-keys-rotate");
    let secret = chance::bytes()?;
    let kid = global
        .commit(async |conn| {
            let known = secrets::key_rows(conn).await?;
            let taken = |kid: &String| known.iter().any(|key| key.kid == *kid);
            let mut names = (known.len() + 1..).map(|number| format!("k{number}"));
            let kid = names.find(|kid| !taken(kid)).unwrap_or_default();
            secrets::add_key(conn, now, &by, &kid, secret).await?;
            Ok(kid)
        })
        .await?;
    if global.json {
        output::json(&serde_json::json!({ "kid": kid }))?;
    } else {
        println!("key {kid} signs click tokens from now on");
    }
    Ok(ExitCode::SUCCESS)
}

async fn keys(global: &Global) -> anyhow::Result<ExitCode> {
    let rows = global
        .read(async |conn| Ok(secrets::key_rows(conn).await?))
        .await?;
    let rows: Vec<TokenKeyView> = rows.into_iter().map(TokenKeyView::from).collect();
    wire::print(&rows, false, global.json)?;
    Ok(ExitCode::SUCCESS)
}

/// `counterfoil program track`.
pub(super) async fn track(global: &Global, args: TrackArgs) -> anyhow::Result<ExitCode> {
    let (now, by) = author("program-track");
    let setup = args.tracked.setup();
    let setup = setup.map_err(|error| BadArgument(format!("{error:#}")))?;
    let version = global
        .commit(async |conn| {
            let program = party::find_program(conn, &args.program).await;
            let program = program.map_err(refused)?.reference;
            let reason = &args.reason.reason;
            let tracked = manage::track(conn, now, &by, reason, program, &setup).await;
            tracked.map_err(unfit)
        })
        .await?;
    if global.json {
        output::json(&serde_json::json!({ "version": version }))?;
    } else {
        println!(
            "links of '{}' lead to {} from now on",
            args.program, setup.dest_url
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// `counterfoil program tracking`.
pub(super) async fn tracking(global: &Global, args: TrackingArgs) -> anyhow::Result<ExitCode> {
    let setup = global
        .read(async |conn| {
            let program = party::find_program(conn, &args.program).await;
            let program = program.map_err(refused)?.reference;
            let setup = setup::latest(conn).await?.remove(&program);
            let setup = setup
                .ok_or(LinkError::NotTracked(program.id))
                .map_err(unfit)?;
            Ok(setup?)
        })
        .await?;
    output::json(&TrackingView::from(setup))?;
    Ok(ExitCode::SUCCESS)
}
