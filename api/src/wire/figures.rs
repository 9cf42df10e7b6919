//! Figures of publishers, as both surfaces show them.

use chrono::{DateTime, Utc};
use ledger::Money;
use serde::Serialize;
use settlement::figures::publisher::{Earned, Figures};
use settlement::figures::recent::{Place, RecentConversion};
use utoipa::ToSchema;

use super::Listed;

/// What was earned in one currency; amounts are decimals in it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EarnedView {
    /// ISO 4217.
    #[schema(example = "USD")]
    currency: String,
    /// Orders in force: pending, on hold or approved.
    #[schema(example = 12)]
    orders: i64,
    /// What they are worth, refunds taken off.
    #[schema(example = "1188.00")]
    order_value: String,
    /// The average of that; nothing without orders.
    #[schema(example = "99.00")]
    average_order_value: Option<String>,
    /// Expected and not decided yet.
    #[schema(example = "7.92")]
    pending: String,
    /// On hold.
    #[schema(example = "0.00")]
    on_hold: String,
    /// Earned, whether paid out already or not.
    #[schema(example = "87.12")]
    approved: String,
    /// All three together, per click that counts; nothing without clicks.
    #[schema(example = "0.2640")]
    earnings_per_click: Option<String>,
}

impl EarnedView {
    fn new(earned: &Earned, clicks: i64) -> EarnedView {
        let amount = |money: Money| money.amount().to_string();
        EarnedView {
            currency: earned.order_value.currency().code().to_owned(),
            orders: earned.orders,
            order_value: amount(earned.order_value),
            average_order_value: earned.average_order().map(|d| d.to_string()),
            pending: amount(earned.pending),
            on_hold: amount(earned.on_hold),
            approved: amount(earned.approved),
            earnings_per_click: earned.per_click(clicks).map(|d| d.to_string()),
        }
    }
}

/// Conversions by state.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatesView {
    /// Waiting for a decision.
    pending: i64,
    /// On hold.
    on_hold: i64,
    /// Approved.
    approved: i64,
    /// Rejected.
    rejected: i64,
    /// Taken back.
    reversed: i64,
}

/// A publisher's figures of a period.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FiguresView {
    /// The publisher's code.
    #[schema(example = "ZOE")]
    code: String,
    /// `today`, `7d`, `30d` or `all`, in days of the accounting zone.
    #[schema(example = "30d")]
    period: String,
    /// Clicks that count.
    #[schema(example = 360)]
    clicks: i64,
    /// Browsers' sessions among them.
    #[schema(example = 312)]
    unique_clicks: i64,
    /// Clicks that were kept and do not count.
    #[schema(example = 14)]
    disqualified_clicks: i64,
    /// Conversions in force.
    #[schema(example = 12)]
    conversions: i64,
    /// Conversions in force per click that counts; nothing without clicks.
    #[schema(example = "0.0333")]
    conversion_rate: Option<String>,
    /// All conversions by state.
    by_state: StatesView,
    /// What was earned, by currency.
    earnings: Vec<EarnedView>,
}

impl FiguresView {
    pub(crate) fn new(code: &str, period: &str, figures: &Figures) -> FiguresView {
        let states = figures.conversions;
        FiguresView {
            code: code.to_owned(),
            period: period.to_owned(),
            clicks: figures.clicks,
            unique_clicks: figures.unique_clicks,
            disqualified_clicks: figures.disqualified,
            conversions: states.in_force(),
            conversion_rate: figures.conversion_rate().map(|rate| rate.to_string()),
            by_state: StatesView {
                pending: states.pending,
                on_hold: states.on_hold,
                approved: states.approved,
                rejected: states.rejected,
                reversed: states.reversed,
            },
            earnings: earned(figures),
        }
    }
}

fn earned(figures: &Figures) -> Vec<EarnedView> {
    let earned = figures.earned.iter();
    earned
        .map(|it| EarnedView::new(it, figures.clicks))
        .collect()
}

/// The short form, for cards.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SummaryView {
    /// The publisher's code.
    #[schema(example = "ZOE")]
    code: String,
    /// Clicks that count, ever.
    #[schema(example = 4210)]
    clicks: i64,
    /// Conversions in force.
    #[schema(example = 131)]
    conversions: i64,
    /// What was earned, by currency.
    earnings: Vec<EarnedView>,
}

impl SummaryView {
    pub(crate) fn new(code: &str, figures: &Figures) -> SummaryView {
        SummaryView {
            code: code.to_owned(),
            clicks: figures.clicks,
            conversions: figures.conversions.in_force(),
            earnings: earned(figures),
        }
    }
}

/// A conversion as its publisher sees it: nothing of it names an order or a customer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecentView {
    /// What the publisher earns or would earn.
    #[schema(example = "7.92")]
    amount: String,
    /// ISO 4217.
    #[schema(example = "USD")]
    currency: String,
    /// `pending`, `on_hold`, `approved`, `rejected` or `reversed`.
    #[schema(example = "pending")]
    status: String,
    /// When it was ordered.
    date: DateTime<Utc>,
    /// `sub1` of its click.
    #[schema(example = "FB")]
    sub_id: Option<String>,
    /// `initial`, or `topup`: a later order of the same click.
    #[schema(example = "initial")]
    kind: &'static str,
    #[serde(skip)]
    pub(crate) place: Place,
}

impl From<RecentConversion> for RecentView {
    fn from(conversion: RecentConversion) -> RecentView {
        RecentView {
            amount: conversion.amount.amount().to_string(),
            currency: conversion.amount.currency().code().to_owned(),
            status: conversion.state,
            date: conversion.occurred_at,
            sub_id: conversion.sub,
            kind: if conversion.is_topup {
                "topup"
            } else {
                "initial"
            },
            place: conversion.place,
        }
    }
}

impl Listed for RecentView {
    const COLUMNS: &'static [&'static str] =
        &["amount", "currency", "status", "date", "sub_id", "kind"];
    const SHOWN: &'static [&'static str] =
        &["date", ">amount", "currency", "status", "sub_id", "kind"];
}

/// Figures of one mark, in one currency.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SubView {
    /// The mark; empty: none.
    #[schema(example = "FB")]
    sub_id: String,
    /// Clicks that count.
    #[schema(example = 120)]
    clicks: i64,
    /// Sessions among them.
    #[schema(example = 101)]
    unique_clicks: i64,
    /// Conversions in force.
    #[schema(example = 4)]
    conversions: i64,
    /// Conversions per click; nothing without clicks.
    #[schema(example = "0.0333")]
    conversion_rate: Option<String>,
    /// ISO 4217; nothing without conversions.
    #[schema(example = "USD")]
    currency: Option<String>,
    /// What the orders are worth.
    #[schema(example = "396.00")]
    order_value: Option<String>,
    /// Expected and not decided yet.
    #[schema(example = "7.92")]
    pending: Option<String>,
    /// On hold.
    #[schema(example = "0.00")]
    on_hold: Option<String>,
    /// Earned.
    #[schema(example = "23.76")]
    approved: Option<String>,
    /// Per click that counts.
    #[schema(example = "0.2640")]
    earnings_per_click: Option<String>,
}

impl SubView {
    /// One row for each currency, or one without.
    pub(crate) fn rows(mark: &str, figures: &Figures) -> Vec<SubView> {
        let row = |earned: Option<EarnedView>| {
            let earned = earned.as_ref();
            SubView {
                sub_id: mark.to_owned(),
                clicks: figures.clicks,
                unique_clicks: figures.unique_clicks,
                conversions: earned.map_or(figures.conversions.in_force(), |it| it.orders),
                conversion_rate: figures.conversion_rate().map(|rate| rate.to_string()),
                currency: earned.map(|it| it.currency.clone()),
                order_value: earned.map(|it| it.order_value.clone()),
                pending: earned.map(|it| it.pending.clone()),
                on_hold: earned.map(|it| it.on_hold.clone()),
                approved: earned.map(|it| it.approved.clone()),
                earnings_per_click: earned.and_then(|it| it.earnings_per_click.clone()),
            }
        };
        if figures.earned.is_empty() {
            return vec![row(None)];
        }
        self::earned(figures)
            .into_iter()
            .map(|it| row(Some(it)))
            .collect()
    }
}

impl Listed for SubView {
    const COLUMNS: &'static [&'static str] = &[
        "sub_id",
        "clicks",
        "unique_clicks",
        "conversions",
        "conversion_rate",
        "currency",
        "order_value",
        "pending",
        "on_hold",
        "approved",
        "earnings_per_click",
    ];
    const SHOWN: &'static [&'static str] = &[
        "sub_id",
        ">clicks",
        ">conversions",
        ">conversion_rate",
        "currency",
        ">pending",
        ">on_hold",
        ">approved",
        ">earnings_per_click",
    ];
}
