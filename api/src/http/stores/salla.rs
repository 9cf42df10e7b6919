//! Salla.
//!
//! - Three ways to secure deliveries, named in `X-Salla-Security-Strategy`: a signature (64 hex
//!   digits of HMAC-SHA256 of the raw body), a token (the secret itself in `Authorization`, without
//!   `Bearer`), or none, which is only believed where the connection says so.
//! - Only 200 and 201 count as taken; three more attempts, five minutes apart.
//! - `merchant` is a number. `created_at` is a date of JavaScript or ISO. `amounts.total` is an
//!   object or a bare number. The order may lie one level deeper in `data.order`.
//! - Where the referral lands is documented nowhere: the referrer, the source's value, campaign
//!   fields and coupons are looked at.
//! - Dates of orders are local, with their zone beside them.

use axum::Json as Body;
use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use settlement::inbox::fact::{Fact, OrderSeen, Status, What};

use super::json::Json;
use super::proof::{self, Mode, Unproven};
use super::read::{clicks_in, moment, moment_in, status};
use super::receive::{Incoming, receive};
use super::reply::Answer;
use super::sender::{Key, Reading, Request, Sender, Unreadable, about, lines};
use super::words;
use crate::http::App;
use crate::http::problem::Problem;

/// Salla.
pub(super) struct Salla;

/// Take in a webhook of Salla.
#[utoipa::path(post, path = "/api/salla/webhook", tag = "stores",
    request_body(content = String, content_type = "application/json",
                 description = "A delivery as Salla signs it in `x-salla-signature`, or with the \
                                secret in `Authorization`."),
    responses((status = 200, body = Answer), (status = 401, body = Problem)))]
pub(super) async fn webhook(
    State(app): State<App>,
    incoming: Incoming,
) -> Result<Body<Answer>, Problem> {
    receive(&app, &Salla, incoming).await
}

impl Sender for Salla {
    fn name(&self) -> &'static str {
        "salla"
    }

    fn habits(&self) -> (&'static str, Mode) {
        ("x-salla-signature", Mode::HmacSha256)
    }

    fn verify(
        &self,
        request: &Request<'_>,
        key: &Key<'_>,
        _now: DateTime<Utc>,
    ) -> Result<(), Unproven> {
        let strategy = request.header("X-Salla-Security-Strategy");
        let by_token = strategy.is_some_and(|name| name.eq_ignore_ascii_case("token"));
        if by_token && key.mode != Mode::None {
            let given = request.header(AUTHORIZATION.as_str());
            return proof::in_mode(Mode::Plain, key.secret, request.body, given);
        }
        proof::in_mode(
            key.mode,
            key.secret,
            request.body,
            request.header(key.header),
        )
    }

    fn read(&self, request: &Request<'_>, now: DateTime<Utc>) -> Result<Reading, Unreadable> {
        let json = request.json()?;
        let topic = json.text("event").unwrap_or_default();
        let store = json.first(&["merchant", "merchant.id"]);
        let subscription = json.text("subscription_id").unwrap_or_default();
        let key = request.key_of_bytes(&format!("{topic}:{subscription}"));
        let data = json.at("data.order").or_else(|| json.at("data"));
        let Some(data) = data.filter(|_| concerns_an_order(&topic)) else {
            let reason = "the event does not concern a conversion";
            return Ok(Reading::nothing(store, key, topic, reason));
        };
        let order = data.first(&["id", "order_id"]);
        let order = order.ok_or_else(|| Unreadable::lacks("order"))?;
        let at = json.text("created_at").and_then(|text| moment(&text));
        let at = at.unwrap_or(now);
        let mut facts = order_fact(json, data, at).into_iter().collect::<Vec<_>>();
        facts.extend(status_facts(json, data, &topic, at));
        Ok(Reading {
            store,
            key,
            topic,
            customer: data.text("customer.id"),
            says: about(order, facts),
        })
    }
}

/// Shipments and the like are another thing's life, under the order's name.
fn concerns_an_order(event: &str) -> bool {
    event.starts_with("order.") && !event.starts_with("order.shipment.")
}

fn order_fact(json: Json<'_>, data: Json<'_>, at: DateTime<Utc>) -> Option<Fact> {
    let amount = data.first(&[
        "amounts.total.amount",
        "amounts.total",
        "total.amount",
        "total",
    ])?;
    let currency = data.first(&[
        "currency",
        "amounts.total.currency",
        "total.currency",
        "amounts.currency",
    ])?;
    let coupons = [
        data.first(&["coupon.code", "coupon"]),
        data.text("coupon_code"),
    ];
    Some(Fact {
        at,
        what: What::Order(OrderSeen {
            placed_at: placed_at(data).unwrap_or(at),
            amount,
            currency,
            clicks: clicks(json, data),
            coupons: coupons.into_iter().flatten().collect(),
            customer: None,
            lines: lines(
                data,
                "items",
                &["sku", "product.sku", "id"],
                &["quantity"],
                &["amounts.total.amount", "amounts.total", "price.amount"],
            ),
        }),
    })
}

/// `date` is `{date, timezone}` with a local time, or a text.
fn placed_at(data: Json<'_>) -> Option<DateTime<Utc>> {
    if let Some(local) = data.text("date.date") {
        let zone = data
            .text("date.timezone")
            .and_then(|name| name.parse().ok());
        return moment_in(&local, zone.unwrap_or(RIYADH));
    }
    let text = data.first(&["date", "created_at"])?;
    moment_in(&text, RIYADH)
}

const RIYADH: Tz = chrono_tz::Asia::Riyadh;

fn clicks(json: Json<'_>, data: Json<'_>) -> Vec<String> {
    let mut clicks = Vec::new();
    for at in [
        "referrer",
        "referer",
        "referrer_code",
        "referer_code",
        "source_details.value",
    ] {
        clicks.extend(data.text(at).iter().flat_map(|text| clicks_in(text)));
    }
    for at in ["utm.ref", "utm.content", "ref"] {
        clicks.extend(data.text(at));
    }
    clicks.extend(
        json.text("referrer")
            .iter()
            .flat_map(|text| clicks_in(text)),
    );
    clicks.dedup();
    clicks
}

fn status_facts(json: Json<'_>, data: Json<'_>, event: &str, at: DateTime<Utc>) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(word) = data.first(&["payment_status", "payment.status", "payment.status.slug"]) {
        facts.push(status(at, words::of_payment(&word), "payment", &word));
    }
    let words = data
        .first(&[
            "status.slug",
            "status",
            "status.customized.slug",
            "status.name",
        ])
        .or_else(|| json.first(&["data.status.slug", "data.status"]));
    if let Some(word) = words {
        facts.push(status(at, words::of_order(&word), "order", &word));
    }
    // Some events say by their name what became of the order.
    if matches!(
        event,
        "order.cancelled" | "order.canceled" | "order.refunded" | "order.deleted"
    ) {
        facts.push(status(at, Status::Over, "event", event));
    }
    facts
}
