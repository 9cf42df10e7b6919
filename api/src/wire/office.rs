//! What the office reads, as both surfaces show it: names are those that shops and networks use.

use chrono::{DateTime, Utc};
use serde::Serialize;
use settlement::figures::click::ClickOutcome;
use settlement::figures::owed::{Commission, Owed};
use settlement::fraud::ReversalRate;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Listed;

/// What a brand owes and is expected to owe.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OwedView {
    /// The brand.
    id: Uuid,
    /// Its name.
    #[schema(example = "Acme")]
    name: String,
    /// Approved and not invoiced, and not decided yet, together.
    #[schema(example = "1020.50")]
    total_owed: String,
    /// ISO 4217.
    #[schema(example = "SAR")]
    currency: String,
    /// How many conversions that is.
    #[schema(example = 41)]
    order_count: i64,
    /// Whether it has reached the threshold that was asked about.
    over_threshold: bool,
}

impl OwedView {
    pub(crate) fn new(owed: Owed, threshold: rust_decimal::Decimal) -> OwedView {
        OwedView {
            id: owed.brand_id,
            name: owed.brand,
            over_threshold: owed.total.amount() >= threshold,
            total_owed: owed.total.amount().to_string(),
            currency: owed.total.currency().code().to_owned(),
            order_count: owed.orders,
        }
    }
}

impl Listed for OwedView {
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "name",
        "totalOwed",
        "currency",
        "orderCount",
        "overThreshold",
    ];
    const SHOWN: &'static [&'static str] = &[
        "name",
        ">totalOwed",
        "currency",
        ">orderCount",
        "overThreshold",
    ];
}

/// The product of a commission.
#[derive(Debug, Serialize, ToSchema)]
struct ProductView {
    /// What was ordered, as the shop calls it.
    #[schema(example = "Trail shoe")]
    name: Option<String>,
    /// The word of the link that was followed.
    #[schema(example = "trail-shoe")]
    slug: Option<String>,
}

/// The click of a commission.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TrackingOfCommission {
    /// What its visitor carried.
    #[schema(example = "raff_X4m9K2pL7nQw")]
    tracking_id: Option<String>,
    /// What was clicked and ordered.
    product: ProductView,
}

/// A commission, and where it came from.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CommissionView {
    /// The conversion.
    pub(crate) id: Uuid,
    /// The brand's reference of the order.
    #[schema(example = "456")]
    order_id: String,
    /// Gross commission.
    #[schema(example = "25.00")]
    commission_amount: String,
    /// ISO 4217.
    #[schema(example = "SAR")]
    currency: String,
    /// The state.
    #[schema(example = "pending")]
    status: String,
    /// The brand.
    #[schema(example = "Acme")]
    merchant_name: String,
    /// What was ordered, as the shop calls it.
    #[schema(example = "Trail shoe")]
    product_name: Option<String>,
    /// Its click.
    click_tracking: TrackingOfCommission,
    /// When it was ordered.
    pub(crate) created_at: DateTime<Utc>,
}

impl From<Commission> for CommissionView {
    fn from(it: Commission) -> CommissionView {
        CommissionView {
            id: it.id,
            order_id: it.order_ref,
            commission_amount: it.gross.amount().to_string(),
            currency: it.gross.currency().code().to_owned(),
            status: it.state,
            merchant_name: it.brand,
            product_name: it.product.clone(),
            click_tracking: TrackingOfCommission {
                tracking_id: it.tracking_id,
                product: ProductView {
                    name: it.product,
                    slug: it.link,
                },
            },
            created_at: it.occurred_at,
        }
    }
}

impl Listed for CommissionView {
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "orderId",
        "commissionAmount",
        "currency",
        "status",
        "merchantName",
        "productName",
        "clickTracking",
        "createdAt",
    ];
    const SHOWN: &'static [&'static str] = &[
        "createdAt",
        "merchantName",
        "orderId",
        ">commissionAmount",
        "currency",
        "status",
        "productName",
    ];
}

/// Conversions of a click in one state.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ConvertedView {
    /// The state.
    #[schema(example = "approved")]
    status: String,
    /// How many.
    #[schema(example = 2)]
    count: i64,
    /// What the orders were worth.
    #[schema(example = "198.00")]
    conversion_value: String,
    /// Gross commission.
    #[schema(example = "19.80")]
    commission_value: String,
    /// ISO 4217.
    #[schema(example = "USD")]
    currency: String,
}

/// A click and what came of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClickView {
    /// The click.
    id: Uuid,
    /// What its visitor carried, if not the id.
    #[schema(example = "raff_X4m9K2pL7nQw")]
    tracking_id: Option<String>,
    /// When.
    clicked_at: DateTime<Utc>,
    /// Why it can earn nobody anything.
    #[schema(example = "BOT_UA")]
    disqualify_reason: Option<String>,
    /// Whether it led to a conversion.
    converted: bool,
    /// How many.
    #[schema(example = 2)]
    converted_count: i64,
    /// When the first was ordered.
    converted_at: Option<DateTime<Utc>>,
    /// When the latest was.
    last_converted_at: Option<DateTime<Utc>>,
    /// The conversions by state and currency.
    conversions: Vec<ConvertedView>,
}

impl From<ClickOutcome> for ClickView {
    fn from(click: ClickOutcome) -> ClickView {
        let count = click.conversions.iter().map(|it| it.count).sum();
        ClickView {
            id: click.id,
            tracking_id: click.tracking_id,
            clicked_at: click.clicked_at,
            disqualify_reason: click.reason,
            converted: count > 0,
            converted_count: count,
            converted_at: click.converted_at,
            last_converted_at: click.last_converted_at,
            conversions: click
                .conversions
                .into_iter()
                .map(|it| ConvertedView {
                    status: it.state,
                    count: it.count,
                    conversion_value: it.value.amount().to_string(),
                    commission_value: it.commission.amount().to_string(),
                    currency: it.value.currency().code().to_owned(),
                })
                .collect(),
        }
    }
}

/// A publisher of whose conversions too many are taken back.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReversalView {
    /// The program's name.
    #[schema(example = "Summer")]
    program: String,
    /// The publisher's name.
    #[schema(example = "Zoe's Blog")]
    publisher: String,
    /// Conversions approved or taken back within 30 days.
    #[schema(example = 40)]
    approved: i64,
    /// Those of them that are taken back.
    #[schema(example = 9)]
    reversed: i64,
    /// The share.
    #[schema(example = "0.2250")]
    rate: String,
}

impl From<ReversalRate> for ReversalView {
    fn from(rate: ReversalRate) -> ReversalView {
        ReversalView {
            program: rate.program_name,
            publisher: rate.publisher_name,
            approved: rate.approved,
            reversed: rate.reversed,
            rate: rate.rate.to_string(),
        }
    }
}

impl Listed for ReversalView {
    const COLUMNS: &'static [&'static str] =
        &["program", "publisher", "approved", "reversed", "rate"];
    const SHOWN: &'static [&'static str] =
        &["program", "publisher", ">approved", ">reversed", ">rate"];
}
