//! `counterfoil program add` and `counterfoil publisher add`: who takes part.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use ledger::{Amount, Currency, Money, Rate, Rounding};
use settlement::attribution::{AttributionTerms, Model, Way};
use settlement::commission::{CommissionRule, Flat, Percentage};
use settlement::fees::FeeModel;
use settlement::party::{self, NewParty, NewProgram};
use settlement::rules::Rules;
use settlement::terms::{Presentation, RecognitionPoint, Terms, Unattributed};
use uuid::Uuid;

use super::Global;
use crate::{chance, database, output};

/// Programs of brands.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ProgramCommand {
    /// Create a program, and its brand if there is none of that name.
    Add(ProgramArgs),
}

/// Publishers.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum PublisherCommand {
    /// Create publishers and enrol them in a brand's programs.
    Add(PublisherArgs),
}

/// Which side bears the network fee. There is no default: say which reading is meant.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum FeeReading {
    /// The brand pays the commission; the fee comes out of the publisher's side.
    Deducted,
    /// The publisher gets the whole commission; the brand pays the fee on top.
    OnTop,
    /// The brand pays the fee on top, and as much again is deducted from the publisher.
    TwoSided,
    /// The network is its own publisher: the whole commission is its income.
    House,
}

/// Create a program, and its brand if there is none of that name.
#[derive(Debug, clap::Args)]
pub(crate) struct ProgramArgs {
    /// The brand.
    brand: String,
    /// The program's name; the brand's, if none is given.
    #[arg(long)]
    name: Option<String>,
    /// The currency of orders, commissions and invoices.
    #[arg(long)]
    currency: Currency,
    /// What an order pays: a share such as 10%, or an amount such as 5.00.
    #[arg(long)]
    commission: String,
    /// Which side bears the network fee.
    #[arg(long)]
    fee_model: FeeReading,
    /// The network fee, as a share of the commission.
    #[arg(long, default_value = "20%")]
    fee: Rate,
    /// How many days a click earns an order.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(i32).range(1..=365))]
    lookback_days: i32,
    #[command(flatten)]
    attribution: AttributionArgs,
    /// Orders before this moment are refused; by default all are accepted.
    #[arg(long)]
    effective_from: Option<DateTime<Utc>>,
}

/// How orders find their publishers.
#[derive(Debug, clap::Args)]
struct AttributionArgs {
    /// How clicks share an order: `last_click`, `first_click`, linear, position:40/20/40 or
    /// `time_decay:7d`.
    #[arg(long, default_value_t = Model::default(), value_name = "MODEL")]
    attribution_model: Model,
    /// Which way of finding the publisher counts before which; one that is left out never counts.
    #[arg(long, value_delimiter = ',', default_value = "click,coupon,declared", value_name = "WAYS",
          value_parser = way)]
    precedence: Vec<Way>,
    /// Whoever brought a user to sign up keeps all of that user's orders.
    #[arg(long)]
    claim_at_signup: bool,
}

impl AttributionArgs {
    fn terms(&self) -> AttributionTerms {
        AttributionTerms {
            model: self.attribution_model,
            precedence: self.precedence.clone(),
            claim_at_signup: self.claim_at_signup,
        }
    }
}

fn way(text: &str) -> Result<Way, String> {
    Way::named(text)
        .ok_or_else(|| format!("no way is called '{text}'; use click, coupon, declared"))
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

pub(crate) async fn program(global: &Global, command: ProgramCommand) -> anyhow::Result<ExitCode> {
    let ProgramCommand::Add(args) = command;
    let terms = terms(&args)?;
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
    let (database, mut conn) = global.connect().await?;
    let (now, by) = (chance::now(), Global::actor("program-add"));
    let created = database::commit(&mut conn, async |conn| -> anyhow::Result<u64> {
        settlement::network::find(conn).await?;
        party::create_brands(conn, now, &by, &[brand]).await?;
        Ok(party::create_programs(conn, now, &by, std::slice::from_ref(&program)).await?)
    })
    .await?;
    drop(conn);
    database.leave()?;
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

fn terms(args: &ProgramArgs) -> anyhow::Result<Terms> {
    let rule = if args.commission.ends_with('%') {
        CommissionRule::Percentage(Percentage {
            rate: args.commission.parse::<Rate>()?,
        })
    } else {
        let money = Money::parse(&args.commission, args.currency)?;
        CommissionRule::Flat(Flat {
            amount: Amount::new(money)?,
        })
    };
    Ok(Terms {
        effective_from: args.effective_from.unwrap_or(DateTime::UNIX_EPOCH),
        currency: args.currency,
        rule,
        fee_model: match args.fee_model {
            FeeReading::Deducted => FeeModel::Deducted { rate: args.fee },
            FeeReading::OnTop => FeeModel::OnTop { rate: args.fee },
            FeeReading::TwoSided => FeeModel::TwoSided { rate: args.fee },
            FeeReading::House => FeeModel::House,
        },
        rounding: Rounding::HalfUp,
        recognition_point: RecognitionPoint::Approval,
        presentation: Presentation::Agent,
        unattributed: Unattributed::RecordOnly,
        lookback_days: args.lookback_days,
        attribution: args.attribution.terms(),
        rules: Rules::default(),
    })
}

pub(crate) async fn publisher(
    global: &Global,
    command: PublisherCommand,
) -> anyhow::Result<ExitCode> {
    let PublisherCommand::Add(args) = command;
    let new = args
        .names
        .iter()
        .map(|name| NewParty {
            id: chance::id(),
            name: name.clone(),
        })
        .collect::<Vec<_>>();
    let (database, mut conn) = global.connect().await?;
    let (now, by) = (chance::now(), Global::actor("publisher-add"));
    let (created, enrolled) = database::commit(&mut conn, async |conn| -> anyhow::Result<_> {
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
    drop(conn);
    database.leave()?;
    if global.json {
        output::json(&serde_json::json!({ "created": created, "enrolled": enrolled }))?;
    } else {
        println!("{created} publishers created, {enrolled} enrolments made");
    }
    Ok(ExitCode::SUCCESS)
}
