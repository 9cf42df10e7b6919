//! Pure: which signals the facts of orders show.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::RiskSettings;
use crate::conversion::ConversionRef;
use crate::terms::stored_names;

/// What may look wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// The publisher seems to have ordered himself.
    SelfPurchase,
    /// Many orders of one click in a short time.
    HighFrequency,
    /// Many orders from one address in a short time.
    SameIp,
    /// Many orders of one publisher from one browser in a short time.
    SameUserAgent,
    /// An order far larger than the publisher's others.
    UnusualValue,
    /// One referrer before orders at several brands in a short time.
    ReferrerReused,
}

stored_names!(Signal,
    Signal::SelfPurchase => "SELF_PURCHASE_SUSPECTED",
    Signal::HighFrequency => "HIGH_FREQUENCY_ORDERS",
    Signal::SameIp => "MANY_ORDERS_SAME_IP",
    Signal::SameUserAgent => "MANY_ORDERS_SAME_USER_AGENT",
    Signal::UnusualValue => "UNUSUAL_ORDER_VALUE",
    Signal::ReferrerReused => "REFERRER_REUSED_ACROSS_MERCHANTS");

/// How bad it would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Seen among honest orders as well.
    Low,
    /// Worth a look.
    Medium,
    /// Worth a hold by itself.
    High,
}

stored_names!(Severity,
    Severity::Low => "LOW", Severity::Medium => "MEDIUM", Severity::High => "HIGH");

impl Signal {
    /// How bad, and how much it adds to the score.
    #[must_use]
    pub const fn weight(self) -> (Severity, u32) {
        match self {
            Signal::SelfPurchase => (Severity::High, 80),
            Signal::HighFrequency => (Severity::High, 70),
            Signal::SameIp => (Severity::Medium, 40),
            Signal::UnusualValue => (Severity::Medium, 30),
            Signal::SameUserAgent | Signal::ReferrerReused => (Severity::Low, 20),
        }
    }
}

/// A signal seen on a conversion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which conversion.
    pub conversion: ConversionRef,
    /// What.
    pub signal: Signal,
    /// For people.
    pub reason: String,
    /// What it was seen by.
    pub evidence: serde_json::Value,
}

/// What is known of one order beside others.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub conversion: ConversionRef,
    /// What a publisher's mark says it shares with the publisher.
    pub own: Option<String>,
    /// Orders from the same address within the window, this one included.
    pub same_ip: u32,
    pub same_agent: u32,
    /// Brands with orders after the same referrer within the window.
    pub brands_of_referrer: u32,
    /// In minor units.
    pub value: i64,
    /// How many orders of the publisher came before, 100 at most, and what they sum up to.
    pub earlier: i64,
    pub earlier_value: i64,
}

/// From so many earlier orders on, their mean says something.
const ENOUGH_ORDERS: i64 = 20;
/// So many times the mean is unusual.
const UNUSUAL_FACTOR: i128 = 5;

/// The signals that concern an order by itself.
pub(super) fn of_each(settings: &RiskSettings, orders: &[Facts]) -> Vec<Found> {
    orders
        .iter()
        .flat_map(|order| of_one(settings, order))
        .collect()
}

fn of_one(settings: &RiskSettings, order: &Facts) -> Vec<Found> {
    let many = settings.order_threshold;
    let minutes = settings.window_minutes;
    let mut found = Vec::new();
    let mut see = |signal, reason: String, evidence| {
        found.push(Found {
            conversion: order.conversion,
            signal,
            reason,
            evidence,
        });
    };
    if let Some(own) = &order.own {
        let reason = format!("the order's {own} is known as the publisher's own");
        see(Signal::SelfPurchase, reason, json!({ "shared": own }));
    }
    if order.same_ip >= many {
        let orders = order.same_ip;
        let reason = format!("{orders} orders from one address within {minutes} minutes");
        see(
            Signal::SameIp,
            reason,
            json!({ "orders": orders, "minutes": minutes }),
        );
    }
    if order.same_agent >= many {
        let orders = order.same_agent;
        let reason =
            format!("{orders} orders of the publisher from one browser within {minutes} minutes");
        see(
            Signal::SameUserAgent,
            reason,
            json!({ "orders": orders, "minutes": minutes }),
        );
    }
    if order.brands_of_referrer >= many {
        let brands = order.brands_of_referrer;
        let reason = format!("one referrer before orders at {brands} brands in {minutes} minutes");
        see(
            Signal::ReferrerReused,
            reason,
            json!({ "brands": brands, "minutes": minutes }),
        );
    }
    let scaled = i128::from(order.value) * i128::from(order.earlier);
    if order.earlier >= ENOUGH_ORDERS && scaled > UNUSUAL_FACTOR * i128::from(order.earlier_value) {
        let (value, earlier) = (order.value, order.earlier);
        let sum = order.earlier_value;
        let reason =
            format!("more than {UNUSUAL_FACTOR} times the mean of the {earlier} orders before it");
        let evidence = json!({ "minor": value, "earlier": earlier, "earlier_minor": sum });
        see(Signal::UnusualValue, reason, evidence);
    }
    found
}

/// An order of a click, among others of the same click.
#[derive(Debug, Clone)]
pub(super) struct OfClick {
    pub conversion: ConversionRef,
    pub click: Uuid,
    pub order_ref: String,
    pub occurred_at: DateTime<Utc>,
}

/// Orders that stand close together: every order of each run of so many within the window, both
/// ends included.
pub(super) fn of_clicks(settings: &RiskSettings, orders: &[OfClick]) -> Vec<Found> {
    let mut by_click: BTreeMap<_, Vec<&OfClick>> = BTreeMap::new();
    for order in orders {
        let key = (order.conversion.book, order.click);
        by_click.entry(key).or_default().push(order);
    }
    let many = usize::try_from(settings.order_threshold.max(1)).unwrap_or(usize::MAX);
    let mut found = Vec::new();
    for mut of_click in by_click.into_values() {
        of_click.sort_by_key(|order| (order.occurred_at, order.conversion));
        let mut close = vec![false; of_click.len()];
        for (first, run) in of_click.windows(many).enumerate() {
            let [start, .., end] = run else { continue };
            if end.occurred_at - start.occurred_at <= settings.window() {
                close[first..first + many].fill(true);
            }
        }
        for (order, _) in of_click.iter().zip(&close).filter(|(_, close)| **close) {
            found.push(frequent(settings, order, &of_click));
        }
    }
    found
}

fn frequent(settings: &RiskSettings, order: &OfClick, of_click: &[&OfClick]) -> Found {
    let near =
        |other: &&&OfClick| (other.occurred_at - order.occurred_at).abs() <= settings.window();
    let near: Vec<&str> = of_click
        .iter()
        .filter(near)
        .map(|o| o.order_ref.as_str())
        .collect();
    Found {
        conversion: order.conversion,
        signal: Signal::HighFrequency,
        reason: format!(
            "{} or more orders of one click within {} minutes",
            settings.order_threshold, settings.window_minutes
        ),
        evidence: json!({ "click": order.click, "orders": near }),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use ledger::BookId;

    use super::*;

    /// Which of the orders at these seconds are seen.
    fn seen(seconds: &[i64]) -> Vec<usize> {
        let orders: Vec<OfClick> = seconds
            .iter()
            .zip(0_u128..)
            .map(|(second, n)| OfClick {
                conversion: ConversionRef {
                    book: BookId::of_name("Acme"),
                    id: Uuid::from_u128(n),
                },
                click: Uuid::nil(),
                order_ref: n.to_string(),
                occurred_at: DateTime::UNIX_EPOCH + TimeDelta::seconds(*second),
            })
            .collect();
        let found = of_clicks(&RiskSettings::default(), &orders);
        let mut seen: Vec<usize> = found
            .iter()
            .map(|found| {
                orders
                    .iter()
                    .position(|o| o.conversion == found.conversion)
                    .unwrap()
            })
            .collect();
        seen.sort_unstable();
        seen
    }

    #[test]
    fn three_orders_within_ten_minutes_are_all_seen_and_two_are_not() {
        assert_eq!(seen(&[0, 300]), [0_usize; 0]);
        assert_eq!(seen(&[0, 300, 600]), [0, 1, 2], "the edge is within");
        assert_eq!(seen(&[0, 300, 601]), [0_usize; 0]);
        assert_eq!(
            seen(&[600, 0, 300]),
            [0, 1, 2],
            "in whatever order they came"
        );
    }

    #[test]
    fn only_the_orders_of_a_dense_run_are_seen() {
        assert_eq!(seen(&[0, 5000, 5100, 5200, 9000]), [1, 2, 3]);
        assert_eq!(seen(&[0, 300, 600, 900, 1200]), [0, 1, 2, 3, 4]);
    }

    fn facts() -> Facts {
        Facts {
            conversion: ConversionRef {
                book: BookId::of_name("Acme"),
                id: Uuid::nil(),
            },
            own: None,
            same_ip: 2,
            same_agent: 2,
            brands_of_referrer: 2,
            value: 500,
            earlier: 20,
            earlier_value: 2000,
        }
    }

    fn names(facts: Facts) -> Vec<&'static str> {
        let found = of_each(&RiskSettings::default(), &[facts]);
        found
            .into_iter()
            .map(|found| found.signal.as_str())
            .collect()
    }

    #[test]
    fn each_signal_is_seen_at_its_edge_and_not_below() {
        assert_eq!(names(facts()), [""; 0]);
        assert_eq!(
            names(Facts {
                same_ip: 3,
                ..facts()
            }),
            ["MANY_ORDERS_SAME_IP"]
        );
        let agent = Facts {
            same_agent: 3,
            ..facts()
        };
        assert_eq!(names(agent), ["MANY_ORDERS_SAME_USER_AGENT"]);
        let referrer = Facts {
            brands_of_referrer: 3,
            ..facts()
        };
        assert_eq!(names(referrer), ["REFERRER_REUSED_ACROSS_MERCHANTS"]);
        assert_eq!(
            names(Facts {
                value: 501,
                ..facts()
            }),
            ["UNUSUAL_ORDER_VALUE"]
        );
        let few = Facts {
            value: 501,
            earlier: 19,
            earlier_value: 1900,
            ..facts()
        };
        assert_eq!(names(few), [""; 0], "too few to say what is usual");
        let own = Facts {
            own: Some("customer".to_owned()),
            ..facts()
        };
        assert_eq!(names(own), ["SELF_PURCHASE_SUSPECTED"]);
    }
}
