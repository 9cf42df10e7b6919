//! Zid.
//!
//! - The header and the way of signing are the merchant's choice: the secret itself, SHA-256 of
//!   secret and body, HMAC-SHA256, each with or without `sha256=`; or `?token=` in the address.
//! - The order lies at the root or in `data` or `order`, and so does each of its fields.
//! - The referral is an address with `?ref=`, or a bare code, under `referrer`, `referer`,
//!   `referer_code` or `referrer_code`.
//! - `payment_status: unpaid` covers pending, refunded and voided payments: it never takes anything
//!   back by itself. `order_status` does; its codes are in `words.rs`.

use axum::Json as Body;
use axum::extract::State;
use chrono::{DateTime, Utc};
use settlement::inbox::fact::{Fact, OrderSeen, What};

use super::json::Json;
use super::proof::{self, Mode, Unproven};
use super::read::{clicks_in, moment, status};
use super::receive::{Incoming, receive};
use super::reply::Answer;
use super::sender::{Key, Reading, Request, Sender, Unreadable, about, lines};
use super::words;
use crate::http::App;
use crate::http::problem::Problem;

/// Zid.
pub(super) struct Zid;

/// Take in a webhook of Zid.
#[utoipa::path(post, path = "/api/zid/webhook", tag = "stores",
    params(("token" = Option<String>, Query, description = "The secret, instead of a header.")),
    request_body(content = String, content_type = "application/json",
                 description = "A delivery with the secret or a signature in a header."),
    responses((status = 200, body = Answer), (status = 401, body = Problem)))]
pub(super) async fn webhook(
    State(app): State<App>,
    incoming: Incoming,
) -> Result<Body<Answer>, Problem> {
    receive(&app, &Zid, incoming).await
}

impl Sender for Zid {
    fn name(&self) -> &'static str {
        "zid"
    }

    fn habits(&self) -> (&'static str, Mode) {
        ("X-Zid-Webhook-Secret", Mode::Plain)
    }

    fn verify(
        &self,
        request: &Request<'_>,
        key: &Key<'_>,
        _now: DateTime<Utc>,
    ) -> Result<(), Unproven> {
        let given = request.header(key.header);
        match (given, request.token) {
            (None, Some(token)) => proof::in_mode(Mode::Plain, key.secret, &[], Some(token)),
            _ => proof::in_mode(key.mode, key.secret, request.body, given),
        }
    }

    fn read(&self, request: &Request<'_>, now: DateTime<Utc>) -> Result<Reading, Unreadable> {
        let body = Nested(request.json()?);
        let topic = body.text(&["event"]).unwrap_or_default();
        let store = body.text(&["store_id", "merchant_id", "store.id"]);
        if topic.starts_with("product.") || topic.starts_with("app.") {
            let (key, reason) = (
                request.key_of_bytes(&topic),
                "the event does not concern a conversion",
            );
            return Ok(Reading::nothing(store, key, topic, reason));
        }
        let order = body.text(&["order_id", "id"]);
        let order = order.ok_or_else(|| Unreadable::lacks("order"))?;
        let at = body.text(&["updated_at", "created_at"]);
        let at = at.and_then(|text| moment(&text)).unwrap_or(now);
        let payment = body.text(&["payment_status", "payment.status"]);
        let state = body.text(&["order_status.code", "order_status", "status.code", "status"]);
        // Deliveries have no number: what they say identifies them, and their bytes.
        let said = [&store, &Some(order.clone()), &payment, &state];
        let said = said.map(|text| text.as_deref().unwrap_or_default());
        let key = request.key_of_bytes(&format!("{topic}:{}", said.join(":")));
        let mut facts: Vec<Fact> = order_fact(body, at).into_iter().collect();
        if let Some(word) = payment {
            facts.push(status(at, words::of_payment(&word), "payment", &word));
        }
        if let Some(word) = state {
            facts.push(status(at, words::of_order(&word), "order", &word));
        }
        Ok(Reading {
            store,
            key,
            topic,
            customer: body.text(&["customer.id", "customer_id"]),
            says: about(order, facts),
        })
    }
}

/// A body whose fields may lie on several levels.
#[derive(Clone, Copy)]
struct Nested<'a>(Json<'a>);

const LEVELS: [&str; 4] = ["data", "order", "data.order", "payload"];

impl<'a> Nested<'a> {
    /// Every level there is, the outermost first.
    fn levels(self) -> impl Iterator<Item = Json<'a>> {
        let inner = LEVELS.iter().filter_map(move |level| self.0.at(level));
        std::iter::once(self.0).chain(inner)
    }

    /// The first of these fields that is on any level; the first name counts before the second.
    fn text(self, fields: &[&str]) -> Option<String> {
        fields
            .iter()
            .find_map(|field| self.levels().find_map(|level| level.text(field)))
    }
}

fn order_fact(body: Nested<'_>, at: DateTime<Utc>) -> Option<Fact> {
    let amount = body.text(&[
        "total.amount",
        "total",
        "order_total",
        "total_amount",
        "total_price",
    ]);
    let currency = body.text(&[
        "currency",
        "currency_code",
        "currency.code",
        "total.currency",
    ]);
    let placed_at = body.text(&["created_at", "order_date"]);
    let clicks = [
        "referrer",
        "referer",
        "referer_code",
        "referrer_code",
        "ref",
    ]
    .into_iter()
    .filter_map(|field| body.text(&[field]))
    .flat_map(|text| clicks_in(&text))
    .collect();
    let coupon = body.text(&["coupon.code", "coupon_code", "coupon"]);
    let columns = (
        ["sku", "product_id", "id"],
        ["quantity"],
        ["total.amount", "total", "price"],
    );
    let lines = body
        .levels()
        .map(|level| lines(level, "products", &columns.0, &columns.1, &columns.2))
        .find(|lines| !lines.is_empty());
    Some(Fact {
        at,
        what: What::Order(OrderSeen {
            placed_at: placed_at.and_then(|text| moment(&text)).unwrap_or(at),
            amount: amount?,
            currency: currency.unwrap_or_else(|| "SAR".to_owned()),
            clicks,
            coupons: coupon.into_iter().collect(),
            customer: None,
            lines: lines.unwrap_or_default(),
        }),
    })
}
