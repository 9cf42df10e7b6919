//! `counterfoil figures`: what publishers earn and brands owe, as over HTTP.

use std::process::ExitCode;

use rust_decimal::Decimal;
use settlement::figures::owed::{Which, commissions, totals};
use settlement::figures::period::Period;
use settlement::figures::publisher::{self as figures, SubMark};
use settlement::figures::{Whose, recent};
use settlement::{network, party};

use super::Global;
use crate::chance;
use crate::output::{self, BadArgument};
use crate::wire::{self, CommissionView, FiguresView, OwedView, RecentView, SubView};

/// As many rows as a list on the command line has at most.
const ROWS: i64 = 1_000_000;

/// What publishers earn and brands owe.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// A publisher's clicks, conversions and earnings.
    Publisher(OfPublisher),
    /// The same by one of its marks, such as its campaigns.
    Subs(Subs),
    /// A publisher's conversions one by one, as it sees them.
    Conversions(OfPublisher),
    /// What each brand owes, the most first.
    Owed(HowMuch),
    /// Commissions with their clicks and products, the newest first.
    Commissions(WhichOnes),
}

/// A publisher and a period.
#[derive(Debug, clap::Args)]
pub(crate) struct OfPublisher {
    /// The publisher: its name, code or id.
    publisher: String,
    /// today, 7d, 30d or all, in days of the accounting zone.
    #[arg(long, default_value = "30d", value_parser = period)]
    period: Named,
    /// Print a list as CSV.
    #[arg(long)]
    csv: bool,
}

/// A publisher, a period and a mark.
#[derive(Debug, clap::Args)]
pub(crate) struct Subs {
    #[command(flatten)]
    of: OfPublisher,
    /// Which mark: 1 for `sub1` to 5 for `sub5`.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    sub: u8,
}

/// What each brand owes, the most first.
#[derive(Debug, clap::Args)]
pub(crate) struct HowMuch {
    /// Only brands that owe at least so much: 800 finds those near a threshold of 1000.
    #[arg(long, default_value = "0")]
    at_least: Decimal,
    /// From how much on a brand is marked.
    #[arg(long, default_value = "1000")]
    threshold: Decimal,
    /// Print the list as CSV.
    #[arg(long)]
    csv: bool,
}

/// Commissions with their clicks and products, the newest first.
#[derive(Debug, clap::Args)]
pub(crate) struct WhichOnes {
    /// Only those of at least so much.
    #[arg(long, default_value = "50")]
    at_least: Decimal,
    /// Only those in this state.
    #[arg(long)]
    state: Option<String>,
    /// Only those of this brand.
    #[arg(long)]
    brand: Option<String>,
    /// How many at most.
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Print the list as CSV.
    #[arg(long)]
    csv: bool,
}

/// A period and what it was called.
#[derive(Debug, Clone)]
struct Named(Period, String);

fn period(text: &str) -> Result<Named, String> {
    let period = Period::named(text);
    let period = period.ok_or_else(|| format!("use one of {}", Period::NAMES.join(", ")))?;
    Ok(Named(period, text.to_owned()))
}

pub(crate) async fn run(global: &Global, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Publisher(args) => whole(global, args).await,
        Command::Subs(args) => subs(global, args).await,
        Command::Conversions(args) => conversions(global, args).await,
        Command::Owed(args) => owed(global, args).await,
        Command::Commissions(args) => large(global, args).await,
    }
}

impl OfPublisher {
    async fn find(
        &self,
        conn: &mut sqlx::PgConnection,
    ) -> anyhow::Result<(Whose, String, settlement::figures::period::Since)> {
        let found = party::find_publisher(conn, &self.publisher).await;
        let found = found.map_err(|error| BadArgument(error.to_string()))?;
        let whose = Whose {
            publisher: found.id,
            book: None,
        };
        let zone = network::find(conn).await?.zone;
        Ok((whose, found.code, self.period.0.since(chance::now(), zone)))
    }
}

async fn whole(global: &Global, args: OfPublisher) -> anyhow::Result<ExitCode> {
    let view = global
        .read(async |conn| {
            let (whose, code, since) = args.find(conn).await?;
            let figures = figures::whole(conn, whose, since).await?;
            Ok(FiguresView::new(&code, &args.period.1, &figures))
        })
        .await?;
    output::json(&view)?;
    Ok(ExitCode::SUCCESS)
}

async fn subs(global: &Global, args: Subs) -> anyhow::Result<ExitCode> {
    let figures = global
        .read(async |conn| {
            let (whose, _, since) = args.of.find(conn).await?;
            Ok(figures::by_sub(conn, whose, since, SubMark::Numbered(args.sub)).await?)
        })
        .await?;
    let rows: Vec<SubView> = figures
        .iter()
        .flat_map(|(mark, figures)| SubView::rows(mark, figures))
        .collect();
    wire::print(&rows, args.of.csv, global.json)?;
    Ok(ExitCode::SUCCESS)
}

async fn conversions(global: &Global, args: OfPublisher) -> anyhow::Result<ExitCode> {
    let rows = global
        .read(async |conn| {
            let (whose, _, since) = args.find(conn).await?;
            Ok(recent::conversions(conn, whose, since, None, ROWS).await?)
        })
        .await?;
    let rows: Vec<RecentView> = rows.into_iter().map(RecentView::from).collect();
    wire::print(&rows, args.csv, global.json)?;
    Ok(ExitCode::SUCCESS)
}

async fn owed(global: &Global, args: HowMuch) -> anyhow::Result<ExitCode> {
    let rows = global
        .read(async |conn| Ok(totals(conn, None, args.at_least).await?))
        .await?;
    let rows: Vec<OwedView> = rows
        .into_iter()
        .map(|owed| OwedView::new(owed, args.threshold))
        .collect();
    wire::print(&rows, args.csv, global.json)?;
    Ok(ExitCode::SUCCESS)
}

async fn large(global: &Global, args: WhichOnes) -> anyhow::Result<ExitCode> {
    let rows = global
        .read(async |conn| {
            let book = match &args.brand {
                Some(brand) => {
                    let found = party::find_brand(conn, brand).await;
                    Some(found.map_err(|error| BadArgument(error.to_string()))?.book)
                }
                None => None,
            };
            let which = Which {
                book,
                state: args.state.clone(),
                at_least: args.at_least,
                after: None,
            };
            Ok(commissions(conn, &which, args.limit.into()).await?)
        })
        .await?;
    let rows: Vec<CommissionView> = rows.into_iter().map(CommissionView::from).collect();
    wire::print(&rows, args.csv, global.json)?;
    Ok(ExitCode::SUCCESS)
}
