//! Shopify.
//!
//! - Signed with base64 HMAC-SHA256 of the raw body under the app's secret. Headers are not signed:
//!   what happened is read from the body, and a topic only says how to read it.
//! - `X-Shopify-Event-Id` stays the same when a delivery is repeated; `X-Shopify-Webhook-Id` does
//!   not. Several topics may tell of one event.
//! - Commissions count on `current_subtotal_price_set.shop_money`: after discounts, before tax and
//!   shipping, in the shop's currency. It shrinks with every refund, so what was refunded of it is
//!   added again, and refunds count on their own.
//! - The click is in `note_attributes`, else in the query of `landing_site`.
//! - An app must answer `customers/data_request`, `customers/redact` and `shop/redact`. Nothing
//!   personal is kept, so there is nothing to hand out or to erase.
//! - After a few refusals the subscription is deleted: whatever is genuine is answered 200.

use axum::Json as Body;
use axum::extract::State;
use chrono::{DateTime, Utc};
use settlement::inbox::fact::{Fact, OrderSeen, Status, What};

use super::json::Json;
use super::proof::{self, Mode, Unproven};
use super::read::{clicks_in, moment, names_click, size, status, sum};
use super::receive::{Incoming, receive};
use super::reply::Answer;
use super::sender::{Key, Reading, Request, Sender, Unreadable, about, lines};
use super::words;
use crate::http::App;
use crate::http::problem::Problem;

/// Shopify.
pub(super) struct Shopify;

/// Take in a webhook of Shopify.
#[utoipa::path(post, path = "/api/shopify/webhook", tag = "stores",
    request_body(content = String, content_type = "application/json",
                 description = "A delivery as Shopify signs it in `X-Shopify-Hmac-Sha256`."),
    responses((status = 200, body = Answer), (status = 401, body = Problem)))]
pub(super) async fn webhook(
    State(app): State<App>,
    incoming: Incoming,
) -> Result<Body<Answer>, Problem> {
    receive(&app, &Shopify, incoming).await
}

const SIGNATURE: &str = "X-Shopify-Hmac-Sha256";
const SHOP_MONEY: &str = "current_subtotal_price_set.shop_money";

impl Sender for Shopify {
    fn name(&self) -> &'static str {
        "shopify"
    }

    fn habits(&self) -> (&'static str, Mode) {
        (SIGNATURE, Mode::HmacSha256)
    }

    fn store_in_headers(&self, request: &Request<'_>) -> Option<String> {
        request
            .header("X-Shopify-Shop-Domain")
            .map(str::to_ascii_lowercase)
    }

    fn verify(
        &self,
        request: &Request<'_>,
        key: &Key<'_>,
        _now: DateTime<Utc>,
    ) -> Result<(), Unproven> {
        proof::base64_hmac(key.secret, request.body, request.header(key.header))
    }

    fn read(&self, request: &Request<'_>, now: DateTime<Utc>) -> Result<Reading, Unreadable> {
        let json = request.json()?;
        let topic = request.header("X-Shopify-Topic").unwrap_or_default();
        let store = self.store_in_headers(request);
        let key = match request.header("X-Shopify-Event-Id") {
            Some(event) => format!("{topic}:{event}"),
            None => request.key_of_bytes(topic),
        };
        let topic = topic.to_owned();
        if PRIVACY.contains(&topic.as_str()) {
            let reason = "nothing personal is kept: there is nothing to hand out or to erase";
            return Ok(Reading::nothing(store, key, topic, reason));
        }
        let says = match topic.split('/').next() {
            Some("refunds") => {
                let order = json.text("order_id");
                about(
                    order.ok_or_else(|| Unreadable::lacks("order"))?,
                    refund_facts(json, now),
                )
            }
            Some("orders") if json.is_true("test") => {
                return Ok(Reading::nothing(store, key, topic, "a test order"));
            }
            Some("orders") => {
                let order = json.text("id").ok_or_else(|| Unreadable::lacks("order"))?;
                about(order, order_facts(json, now))
            }
            _ => {
                let reason = "the topic does not concern a conversion";
                return Ok(Reading::nothing(store, key, topic, reason));
            }
        };
        Ok(Reading {
            store,
            key,
            topic,
            customer: json.text("customer.id"),
            says,
        })
    }
}

/// Topics that every app must answer.
const PRIVACY: &[&str] = &["customers/data_request", "customers/redact", "shop/redact"];

fn order_facts(json: Json<'_>, now: DateTime<Utc>) -> Vec<Fact> {
    let time = |paths: &[&str]| json.first(paths).and_then(|text| moment(&text));
    let at = time(&["updated_at", "created_at"]).unwrap_or(now);
    let refunds = json.list("refunds");
    let mut facts: Vec<Fact> = refunds
        .iter()
        .flat_map(|refund| refund_facts(*refund, at))
        .collect();
    let refunded: Vec<String> = refunds
        .iter()
        .flat_map(|refund| line_subtotals(*refund))
        .collect();
    if let Some((amount, currency)) = base(json, &refunded) {
        facts.push(Fact {
            at,
            what: What::Order(OrderSeen {
                placed_at: time(&["created_at", "processed_at"]).unwrap_or(at),
                amount,
                currency,
                clicks: clicks(json),
                coupons: json
                    .list("discount_codes")
                    .into_iter()
                    .filter_map(|code| code.text("code"))
                    .collect(),
                customer: None,
                lines: lines(
                    json,
                    "line_items",
                    &["sku", "id"],
                    &["quantity"],
                    &["price"],
                ),
            }),
        });
    }
    if let Some(word) = json.text("financial_status") {
        let meaning = words::of_payment(&word);
        // What is refunded, even in part, was paid for.
        if word.contains("refunded") {
            facts.push(status(at, Status::Paid, "payment", &word));
        }
        facts.push(status(at, meaning, "payment", &word));
    }
    if let Some(cancelled) = time(&["cancelled_at"]) {
        facts.push(status(cancelled, Status::Over, "order", "cancelled"));
    }
    facts
}

/// What commissions count on: what is left of the order, and what was refunded of it.
fn base(json: Json<'_>, refunded: &[String]) -> Option<(String, String)> {
    let currency = json
        .text(&format!("{SHOP_MONEY}.currency_code"))
        .or_else(|| json.text("currency"))?;
    let left = json
        .text(&format!("{SHOP_MONEY}.amount"))
        .or_else(|| json.text("current_subtotal_price"));
    let amount = match left {
        Some(left) if refunded.is_empty() => left,
        Some(left) => {
            let mut parts = refunded.to_vec();
            parts.push(left);
            sum(&parts)?
        }
        None => json.text("subtotal_price")?,
    };
    Some((amount, currency))
}

fn clicks(json: Json<'_>) -> Vec<String> {
    let noted = json.list("note_attributes").into_iter().filter_map(|note| {
        let name = note.text("name")?;
        names_click(&name).then(|| note.text("value")).flatten()
    });
    let mut clicks: Vec<String> = noted.collect();
    if let Some(landing) = json.text("landing_site").filter(|site| site.contains('?')) {
        clicks.extend(clicks_in(&landing));
    }
    clicks.dedup();
    clicks
}

/// The subtotals of a refund's lines, in the shop's currency, before tax.
fn line_subtotals(refund: Json<'_>) -> Vec<String> {
    let lines = refund.list("refund_line_items");
    lines
        .into_iter()
        .filter_map(|line| line.first(&["subtotal_set.shop_money.amount", "subtotal"]))
        .collect()
}

/// A refund counts by the lines that went back; one without lines by the money that did.
fn refund_facts(refund: Json<'_>, otherwise: DateTime<Utc>) -> Vec<Fact> {
    let Some(reference) = refund.text("id") else {
        return Vec::new();
    };
    let mut parts = line_subtotals(refund);
    if parts.is_empty() {
        let paid_back = refund.list("transactions").into_iter().filter(|paid| {
            paid.text("kind").as_deref() == Some("refund")
                && paid.text("status").as_deref() == Some("success")
        });
        parts = paid_back.filter_map(|paid| paid.text("amount")).collect();
    }
    let time = refund.first(&["processed_at", "created_at"]);
    let at = time.and_then(|text| moment(&text)).unwrap_or(otherwise);
    let amount = sum(&parts).and_then(|amount| size(&amount));
    amount
        .map(|amount| Fact {
            at,
            what: What::Refund { reference, amount },
        })
        .into_iter()
        .collect()
}
