//! Pure: what the macros say about a conversion.

use chrono::{DateTime, Utc};
use ledger::Money;
use uuid::Uuid;

use super::Event;
use super::template::Values;

/// A conversion as a publisher may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) conversion: Uuid,
    pub(crate) publisher: Uuid,
    pub(crate) program: Uuid,
    pub(crate) click: Option<Uuid>,
    pub(crate) subs: [Option<String>; 5],
    pub(crate) coupon: Option<String>,
    pub(crate) country: Option<String>,
    pub(crate) campaign: Option<String>,
    pub(crate) state: String,
    pub(crate) payout: Money,
    pub(crate) order: Money,
    /// The brand's own reference; only where the target may see it.
    pub(crate) order_ref: Option<String>,
}

/// The values of a delivery.
pub(crate) fn values(facts: &Facts, event: Event, delivery: Uuid, now: DateTime<Utc>) -> Values {
    let payout = facts.payout.amount().to_string();
    let named = [
        ("transaction_id", facts.conversion.to_string()),
        ("commission_id", facts.conversion.to_string()),
        ("partner_id", facts.publisher.to_string()),
        ("publisher_id", facts.publisher.to_string()),
        ("offer_id", facts.program.to_string()),
        ("program_id", facts.program.to_string()),
        ("event_id", delivery.to_string()),
        ("event_type", event.as_str().to_owned()),
        ("status", facts.state.clone()),
        ("sum", payout.clone()),
        ("amount", payout.clone()),
        ("payout", payout),
        ("currency", facts.payout.currency().code().to_owned()),
        ("order_sum", facts.order.amount().to_string()),
        ("order_currency", facts.order.currency().code().to_owned()),
    ];
    let mut values: Values = named
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    put_moment(&mut values, now);
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            values.insert(name.to_owned(), value);
        }
    };
    put("click_id", facts.click.map(|click| click.to_string()));
    put("order_id", facts.order_ref.clone());
    put("promo_code", facts.coupon.clone());
    put("geo", facts.country.clone());
    put("campaign_id", facts.campaign.clone());
    for (name, sub) in ["sub1", "sub2", "sub3", "sub4", "sub5"]
        .into_iter()
        .zip(&facts.subs)
    {
        put(name, sub.clone());
    }
    values
}

/// When it happened: `{timestamp}` in Unix seconds, `{date}` as a day, UTC.
pub(super) fn put_moment(values: &mut Values, now: DateTime<Utc>) {
    values.insert("timestamp".to_owned(), now.timestamp().to_string());
    values.insert("date".to_owned(), now.format("%Y-%m-%d").to_string());
}
