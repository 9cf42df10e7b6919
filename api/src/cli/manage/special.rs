//! `counterfoil coupon`, `counterfoil rule`: what is promised beside a program's terms.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use settlement::coupon::{self, Code, Coupon};
use settlement::fraud::{self, MarkKind};
use settlement::identity::UserKey;
use settlement::party::{self, Program};
use settlement::rules::book::{self, NewRateRule, NewTier};
use settlement::rules::{Kind, Selector};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Global, Reason, author, refused};
use crate::chance;
use crate::output::{self, BadArgument};
use crate::wire::pays;

/// Coupon codes of publishers.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum CouponCommand {
    /// Give a code to a publisher: orders that name it are then its.
    Add(CouponAddArgs),
    /// End what a code means for orders from a moment on.
    End(CouponEndArgs),
    /// List the codes of a program.
    List(ProgramArgs),
}

/// Rates, tiers and marks of single publishers.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum RuleCommand {
    /// Let some orders of a program pay another rate, from a moment on.
    Rate(Box<RateArgs>),
    /// List the rates that some orders pay.
    List(ProgramArgs),
    /// Give a publisher a tier by hand.
    Tier(TierArgs),
    /// Note by what a publisher's own orders are known, so that they are held.
    Own(OwnArgs),
}

/// A program.
#[derive(Debug, clap::Args)]
pub(crate) struct ProgramArgs {
    /// The program: its name, its brand's, brand/program, or its id.
    program: String,
}

/// Give a code to a publisher.
#[derive(Debug, clap::Args)]
pub(crate) struct CouponAddArgs {
    #[command(flatten)]
    program: ProgramArgs,
    /// The publisher: its name, code or id.
    publisher: String,
    /// The code, as customers type it; case does not count.
    code: String,
    /// From which order time on, as 2026-01-31T00:00:00Z; now, if not given.
    #[arg(long)]
    from: Option<DateTime<Utc>>,
}

/// End a code.
#[derive(Debug, clap::Args)]
pub(crate) struct CouponEndArgs {
    #[command(flatten)]
    program: ProgramArgs,
    /// The code.
    code: String,
    /// From which order time on; now, if not given.
    #[arg(long)]
    at: Option<DateTime<Utc>>,
}

/// Another rate for some orders of a program.
#[derive(Debug, clap::Args)]
pub(crate) struct RateArgs {
    #[command(flatten)]
    program: ProgramArgs,
    /// What they pay: a share such as 12%, an amount such as 5.00, or `none` to end such a rate.
    commission: String,
    /// Only this publisher's.
    #[arg(long)]
    publisher: Option<String>,
    /// Only orders of this product.
    #[arg(long)]
    product: Option<String>,
    /// Only orders of this plan.
    #[arg(long)]
    plan: Option<String>,
    /// Only orders of this category.
    #[arg(long)]
    category: Option<String>,
    /// Only first orders (`initial`) or repeat ones (`topup`).
    #[arg(long)]
    kind: Option<String>,
    /// From which order time on; now, if not given.
    #[arg(long)]
    from: Option<DateTime<Utc>>,
    #[command(flatten)]
    reason: Reason,
}

/// A tier given by hand.
#[derive(Debug, clap::Args)]
pub(crate) struct TierArgs {
    #[command(flatten)]
    program: ProgramArgs,
    /// The publisher: its name, code or id.
    publisher: String,
    /// The tier by name, or `none`: back to the tiers by volume.
    tier: String,
    /// From which order time on; now, if not given.
    #[arg(long)]
    from: Option<DateTime<Utc>>,
}

/// By what a publisher's own orders are known.
#[derive(Debug, clap::Args)]
pub(crate) struct OwnArgs {
    #[command(flatten)]
    program: ProgramArgs,
    /// The publisher: its name, code or id.
    publisher: String,
    /// Its id as a user of the brand; stored as a hash only.
    #[arg(long)]
    user: Option<String>,
    /// Its id as a visitor of the brand.
    #[arg(long)]
    visitor: Option<String>,
    /// The hash of its address, as `counterfoil trace` shows it.
    #[arg(long)]
    ip_hash: Option<String>,
}

pub(crate) async fn coupon(global: &Global, command: CouponCommand) -> anyhow::Result<ExitCode> {
    match command {
        CouponCommand::Add(args) => add_coupon(global, args).await,
        CouponCommand::End(args) => end_coupon(global, args).await,
        CouponCommand::List(args) => {
            let list = async |conn: &mut PgConnection| {
                let program = args.find(conn).await?;
                Ok(coupon::of_program(conn, program.reference).await?)
            };
            let codes = global.read(list).await?;
            output::json(&codes)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

pub(crate) async fn rule(global: &Global, command: RuleCommand) -> anyhow::Result<ExitCode> {
    match command {
        RuleCommand::Rate(args) => rate(global, *args).await,
        RuleCommand::Tier(args) => tier(global, args).await,
        RuleCommand::Own(args) => own(global, args).await,
        RuleCommand::List(args) => {
            let list = async |conn: &mut PgConnection| {
                let program = args.find(conn).await?;
                Ok(book::of_program(conn, program.reference).await?)
            };
            let rules = global.read(list).await?;
            output::json(&rules)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

impl ProgramArgs {
    async fn find(&self, conn: &mut PgConnection) -> anyhow::Result<Program> {
        party::find_program(conn, &self.program)
            .await
            .map_err(refused)
    }
}

async fn publisher(conn: &mut PgConnection, key: &str) -> anyhow::Result<Uuid> {
    Ok(party::find_publisher(conn, key).await.map_err(refused)?.id)
}

fn code(text: &str) -> anyhow::Result<Code> {
    Code::new(text).map_err(|error| BadArgument(error.to_string()).into())
}

fn said(global: &Global, sentence: &str) -> anyhow::Result<ExitCode> {
    if global.json {
        output::json(&serde_json::json!({ "done": sentence }))?;
    } else {
        println!("{sentence}");
    }
    Ok(ExitCode::SUCCESS)
}

async fn add_coupon(global: &Global, args: CouponAddArgs) -> anyhow::Result<ExitCode> {
    let (now, by) = author("coupon-add");
    let code = code(&args.code)?;
    let new = global
        .commit(async |conn| {
            let coupon = Coupon {
                program: args.program.find(conn).await?.reference,
                code: code.clone(),
                publisher: publisher(conn, &args.publisher).await?,
                valid_from: args.from.unwrap_or(now),
            };
            Ok(coupon::add(conn, now, &by, &[coupon]).await?)
        })
        .await?;
    if new == 0 {
        anyhow::bail!(
            "{} begins at that moment already; give another --from",
            code.as_str()
        );
    }
    said(
        global,
        &format!("{} is '{}''s", code.as_str(), args.publisher),
    )
}

async fn end_coupon(global: &Global, args: CouponEndArgs) -> anyhow::Result<ExitCode> {
    let code = code(&args.code)?;
    let at = args.at.unwrap_or_else(chance::now);
    let ended = global
        .commit(async |conn| {
            let program = args.program.find(conn).await?.reference;
            Ok(coupon::end(conn, at, program, &code).await?)
        })
        .await?;
    if !ended {
        anyhow::bail!(
            "{} means nothing at that moment; nothing was changed",
            code.as_str()
        );
    }
    said(
        global,
        &format!("{} ends at {}", code.as_str(), at.to_rfc3339()),
    )
}

async fn rate(global: &Global, args: RateArgs) -> anyhow::Result<ExitCode> {
    let (now, by) = author("rule-rate");
    let kind = args.kind.as_deref().map(|name| {
        Kind::named(name).ok_or_else(|| {
            BadArgument(format!(
                "{name:?} is no kind of order; say initial or topup"
            ))
        })
    });
    let kind = kind.transpose()?;
    global
        .commit(async |conn| {
            let program = args.program.find(conn).await?;
            let named = match &args.publisher {
                Some(key) => Some(publisher(conn, key).await?),
                None => None,
            };
            let pays = match args.commission.as_str() {
                "none" => None,
                text => Some(pays(text, program.currency.parse()?)?),
            };
            let rule = NewRateRule {
                id: chance::id(),
                program: program.reference,
                selector: Selector {
                    publisher: named,
                    product: args.product.clone(),
                    plan: args.plan.clone(),
                    category: args.category.clone(),
                    kind,
                },
                effective_from: args.from.unwrap_or(now),
                pays,
                reason: args.reason.reason.clone(),
            };
            Ok(book::add_rate_rules(conn, now, &by, &[rule]).await?)
        })
        .await?;
    said(global, &format!("these orders pay {}", args.commission))
}

async fn tier(global: &Global, args: TierArgs) -> anyhow::Result<ExitCode> {
    let (now, by) = author("rule-tier");
    global
        .commit(async |conn| {
            let new = NewTier {
                id: chance::id(),
                program: args.program.find(conn).await?.reference,
                publisher: publisher(conn, &args.publisher).await?,
                effective_from: args.from.unwrap_or(now),
                tier: Some(args.tier.clone()).filter(|tier| tier != "none"),
            };
            Ok(book::assign_tiers(conn, now, &by, &[new]).await?)
        })
        .await?;
    said(
        global,
        &format!("'{}' is in tier {}", args.publisher, args.tier),
    )
}

async fn own(global: &Global, args: OwnArgs) -> anyhow::Result<ExitCode> {
    let (now, by) = author("rule-own");
    if args.user.is_none() && args.visitor.is_none() && args.ip_hash.is_none() {
        let detail = "say --user, --visitor or --ip-hash".to_owned();
        return Err(BadArgument(detail).into());
    }
    global
        .commit(async |conn| {
            let program = args.program.find(conn).await?;
            let whose = publisher(conn, &args.publisher).await?;
            let mut marks = Vec::new();
            if let Some(user) = &args.user {
                let hash = UserKey::read(conn)
                    .await?
                    .hash(program.reference.book, user);
                let known = format!("user:{}", hex::encode(hash.bytes()));
                marks.push((whose, MarkKind::Customer, known));
            }
            if let Some(visitor) = &args.visitor {
                marks.push((whose, MarkKind::Customer, format!("visitor:{visitor}")));
            }
            if let Some(hash) = &args.ip_hash {
                marks.push((whose, MarkKind::IpHash, hash.to_ascii_lowercase()));
            }
            Ok(fraud::mark_publishers(conn, now, &by, &marks).await?)
        })
        .await?;
    said(
        global,
        &format!("orders of '{}' itself are held from now on", args.publisher),
    )
}
