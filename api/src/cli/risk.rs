//! `counterfoil risk`: what looks wrong and waits for somebody; and the settings of risk scoring.

use std::process::ExitCode;

use settlement::fraud::{self, RiskSettings};

use super::Global;
use crate::chance;
use crate::output::{self, Columns};

/// How orders are looked at; these names are those of the environment.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct RiskArgs {
    /// Look for signs of fraud when orders arrive.
    #[arg(
        long = "enable-risk-scoring",
        env = "ENABLE_RISK_SCORING",
        default_value_t = true,
        action = clap::ArgAction::Set
    )]
    enabled: bool,
    /// From which score on a conversion is held.
    #[arg(
        long = "risk-score-threshold",
        env = "RISK_SCORE_THRESHOLD",
        default_value_t = 70
    )]
    score_threshold: u32,
    /// How many minutes apart orders may be to count together.
    #[arg(
        long = "risk-tracking-window-minutes",
        env = "RISK_TRACKING_WINDOW_MINUTES",
        default_value_t = 10
    )]
    window_minutes: u32,
    /// How many orders of one click in that time are too many, that number included.
    #[arg(
        long = "risk-tracking-order-threshold",
        env = "RISK_TRACKING_ORDER_THRESHOLD",
        default_value_t = 3,
        value_parser = clap::value_parser!(u32).range(2..)
    )]
    order_threshold: u32,
}

impl RiskArgs {
    /// As settlement takes them.
    pub(crate) fn settings(self) -> RiskSettings {
        RiskSettings {
            enabled: self.enabled,
            score_threshold: self.score_threshold,
            window_minutes: self.window_minutes,
            order_threshold: self.order_threshold,
        }
    }
}

/// List publishers of whose conversions more than 15 % were taken back within 30 days.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Fewer conversions than this say nothing.
    #[arg(long, default_value_t = 10)]
    least: i64,
    #[command(flatten)]
    risk: RiskArgs,
}

pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let (now, least) = (chance::now(), args.least);
    let found = global
        .read(async |conn| Ok(fraud::reversal_rates(conn, now, least).await?))
        .await?;
    let settings = args.risk.settings();
    if global.json {
        output::json(&serde_json::json!({
            "reversals": found, "enabled": settings.enabled,
            "score_threshold": settings.score_threshold,
            "window_minutes": settings.window_minutes,
            "order_threshold": settings.order_threshold,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if settings.enabled {
        println!(
            "orders are looked at: {} of one click within {} minutes, held from score {} on",
            settings.order_threshold, settings.window_minutes, settings.score_threshold
        );
    } else {
        println!("orders are not looked at: ENABLE_RISK_SCORING is false");
    }
    if found.is_empty() {
        println!("of no publisher were more than 15 % taken back within 30 days");
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Columns::new(&[
        "program",
        "publisher",
        ">conversions",
        ">reversed",
        ">share",
    ]);
    for rate in found {
        table.row([
            rate.program_name,
            rate.publisher_name,
            rate.approved.to_string(),
            rate.reversed.to_string(),
            format!(
                "{} %",
                (rate.rate * rust_decimal::Decimal::ONE_HUNDRED).normalize()
            ),
        ]);
    }
    table.print();
    Ok(ExitCode::SUCCESS)
}
