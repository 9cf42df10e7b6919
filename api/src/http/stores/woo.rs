//! WooCommerce.
//!
//! - Signed with base64 HMAC-SHA256 of the raw body under the webhook's secret.
//! - When a webhook is set up it greets with the unsigned form `webhook_id=N`, which must get 200.
//! - Nothing is sent twice, and after a few failures nothing is sent at all: what is missed has to
//!   be fetched from the store. `X-WC-Webhook-Delivery-ID` repeats within a second and is no key.
//! - Every delivery is a picture of the whole order: `refunds[]` with negative totals, and a status
//!   that a merchant may set back, so a cancelled or failed order that is paid later lives on.
//! - A refund's total covers tax and shipping too: it counts as its share of the order's total.

use axum::Json as Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use chrono::{DateTime, Utc};
use settlement::inbox::fact::{Fact, OrderSeen, Status, What};

use super::json::Json;
use super::proof::{self, Mode, Unproven};
use super::read::{less, moment, names_click, size, status, sum};
use super::receive::{Incoming, receive};
use super::reply::Answer;
use super::sender::{Key, Reading, Request, Sender, Unreadable, about, lines};
use crate::http::App;
use crate::http::problem::Problem;

/// WooCommerce.
pub(super) struct Woo;

/// Take in a webhook of WooCommerce.
#[utoipa::path(post, path = "/api/woo/webhook", tag = "stores",
    request_body(content = String, content_type = "application/json",
                 description = "A delivery as WooCommerce signs it in `X-WC-Webhook-Signature`."),
    responses((status = 200, body = Answer), (status = 401, body = Problem)))]
pub(super) async fn webhook(
    State(app): State<App>,
    incoming: Incoming,
) -> Result<Body<Answer>, Problem> {
    receive(&app, &Woo, incoming).await
}

impl Sender for Woo {
    fn name(&self) -> &'static str {
        "woo"
    }

    fn habits(&self) -> (&'static str, Mode) {
        ("X-WC-Webhook-Signature", Mode::HmacSha256)
    }

    fn store_in_headers(&self, request: &Request<'_>) -> Option<String> {
        let source = request.header("X-WC-Webhook-Source")?;
        let bare = source.split_once("://").map_or(source, |(_, rest)| rest);
        Some(bare.trim_end_matches('/').to_ascii_lowercase())
    }

    fn greets(&self, request: &Request<'_>) -> bool {
        let form = request
            .header(CONTENT_TYPE.as_str())
            .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        let number = request.body.strip_prefix(b"webhook_id=");
        form && number.is_some_and(|n| !n.is_empty() && n.iter().all(u8::is_ascii_digit))
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
        let topic = request.header("X-WC-Webhook-Topic").unwrap_or_default();
        let store = self.store_in_headers(request);
        let (key, topic) = (request.key_of_bytes(topic), topic.to_owned());
        if !topic.starts_with("order.") {
            let reason = "the topic does not concern a conversion";
            return Ok(Reading::nothing(store, key, topic, reason));
        }
        let order = json.text("id").ok_or_else(|| Unreadable::lacks("order"))?;
        let facts = match json.text("total") {
            Some(total) => order_facts(json, &total, now),
            // Deleted: only its number is left.
            None => vec![status(now, Status::Failed, "order", "deleted")],
        };
        Ok(Reading {
            store,
            key,
            topic,
            customer: json.text("customer_id").filter(|id| id != "0"),
            says: about(order, facts),
        })
    }
}

fn order_facts(json: Json<'_>, total: &str, now: DateTime<Utc>) -> Vec<Fact> {
    let time = |path| json.text(path).and_then(|text| moment(&text));
    let placed_at = time("date_created_gmt");
    let paid_at = time("date_paid_gmt");
    let at = [time("date_modified_gmt"), paid_at, placed_at];
    let at = at.into_iter().flatten().max().unwrap_or(now);
    let mut facts = Vec::new();
    if let Some((amount, currency)) = base(json, total).zip(json.text("currency")) {
        let coupons = json.list("coupon_lines").into_iter();
        facts.push(Fact {
            at,
            what: What::Order(OrderSeen {
                placed_at: placed_at.unwrap_or(at),
                amount,
                currency,
                clicks: clicks(json),
                coupons: coupons.filter_map(|coupon| coupon.text("code")).collect(),
                customer: None,
                lines: lines(
                    json,
                    "line_items",
                    &["sku", "product_id", "id"],
                    &["quantity"],
                    &["total"],
                ),
            }),
        });
    }
    let refunds: Vec<String> = json
        .list("refunds")
        .into_iter()
        .filter_map(|refund| size(&refund.text("total")?))
        .collect();
    if let Some(refunded) = sum(&refunds).filter(|_| !refunds.is_empty()) {
        let of = total.to_owned();
        facts.push(Fact {
            at,
            what: What::RefundedSoFar { refunded, of },
        });
    }
    if let Some(paid_at) = paid_at {
        facts.push(status(paid_at, Status::Paid, "payment", "paid"));
    }
    if let Some(word) = json.text("status") {
        let meaning = match word.as_str() {
            "processing" | "completed" => Status::Paid,
            "refunded" => Status::Over,
            "cancelled" | "failed" | "trash" => Status::Failed,
            _ => Status::Open,
        };
        facts.push(status(at, meaning, "order", &word));
    }
    facts
}

/// What commissions count on: the lines after discounts, without tax and shipping.
fn base(json: Json<'_>, total: &str) -> Option<String> {
    let lines = json.list("line_items").into_iter();
    let lines: Vec<String> = lines.filter_map(|line| line.text("total")).collect();
    if lines.is_empty() {
        let not_ours = ["total_tax", "shipping_total"].map(|path| json.text(path));
        let not_ours: Vec<String> = not_ours.into_iter().flatten().collect();
        return less(total, &not_ours);
    }
    sum(&lines)
}

fn clicks(json: Json<'_>) -> Vec<String> {
    let metas = json.list("meta_data").into_iter().filter_map(|meta| {
        let name = meta.text("key")?;
        names_click(&name).then(|| meta.text("value")).flatten()
    });
    metas.collect()
}
