//! Stripe.
//!
//! - `Stripe-Signature: t=…,v1=…[,v1=…]`: hex HMAC-SHA256 of `t.body`, several while a secret is
//!   replaced. A signature more than five minutes old, or ahead, is refused.
//! - Events come unordered and more than once; `created` says when each happened.
//! - Amounts are whole numbers in Stripe's own minor units, which for some currencies are not
//!   those of ISO 4217.
//! - A checkout counts once `payment_status` is `paid`, now or later (`async_payment_succeeded`),
//!   with its subtotal less discounts. An invoice counts when it is paid in full, without tax. A
//!   subscription's checkout and its first invoice are one order.
//! - `charge.refunded` says how much is refunded by now, all refunds together, of a charge that
//!   covers tax too: it counts as a share. A charge names its payment intent and no invoice;
//!   `invoice_payment.paid` tells which invoice that is.
//! - Disputes hold a commission, and take it back when they are lost.

use axum::Json as Body;
use axum::extract::State;
use chrono::{DateTime, Utc};
use settlement::inbox::fact::{About, Fact, OrderSeen, Says, Status, What};

use super::json::Json;
use super::proof::{self, Mode, Unproven};
use super::read::{less, names_click, status};
use super::receive::{Incoming, receive};
use super::reply::Answer;
use super::sender::{Key, Reading, Request, Sender, Unreadable};
use crate::http::App;
use crate::http::problem::Problem;

/// Stripe.
pub(super) struct Stripe;

/// Take in a webhook of Stripe.
#[utoipa::path(post, path = "/api/stripe/webhook", tag = "stores",
    request_body(content = String, content_type = "application/json",
                 description = "An event as Stripe signs it in `Stripe-Signature`."),
    responses((status = 200, body = Answer), (status = 401, body = Problem)))]
pub(super) async fn webhook(
    State(app): State<App>,
    incoming: Incoming,
) -> Result<Body<Answer>, Problem> {
    receive(&app, &Stripe, incoming).await
}

/// How old or how far ahead a signature may be.
const TOLERANCE: i64 = 300;

impl Sender for Stripe {
    fn name(&self) -> &'static str {
        "stripe"
    }

    fn habits(&self) -> (&'static str, Mode) {
        ("Stripe-Signature", Mode::HmacSha256)
    }

    fn verify(
        &self,
        request: &Request<'_>,
        key: &Key<'_>,
        now: DateTime<Utc>,
    ) -> Result<(), Unproven> {
        let header = request.header(key.header).ok_or(Unproven::Missing)?;
        proof::refuse_empty(key.secret)?;
        let part = |name| {
            let parts = header.split(',').filter_map(|part| part.split_once('='));
            parts.filter_map(move |(key, value)| (key.trim() == name).then_some(value))
        };
        let stamp = part("t").next().ok_or(Unproven::Missing)?;
        let seconds: i64 = stamp.parse().map_err(|_| Unproven::Wrong)?;
        let expected = proof::hmac(key.secret, &[stamp.as_bytes(), b".", request.body]);
        let expected = hex::encode(expected);
        let signed = part("v1").any(|given| proof::same(given, &expected).is_ok());
        if !signed {
            return Err(Unproven::Wrong);
        }
        let age = now.timestamp().abs_diff(seconds);
        if age > TOLERANCE.unsigned_abs() {
            return Err(Unproven::Stale(TOLERANCE));
        }
        Ok(())
    }

    fn read(&self, request: &Request<'_>, now: DateTime<Utc>) -> Result<Reading, Unreadable> {
        let json = request.json()?;
        let topic = json.text("type").unwrap_or_default();
        let store = json.text("account");
        let key = json.text("id").ok_or_else(|| Unreadable::lacks("event"))?;
        let object = json.at("data.object");
        let object = object.ok_or_else(|| Unreadable::lacks("object"))?;
        let at = seconds(json, "created").unwrap_or(now);
        let says = says(&topic, object, at)?;
        Ok(Reading {
            store,
            key,
            topic,
            customer: object.first(&["customer", "customer.id"]),
            says,
        })
    }
}

fn seconds(json: Json<'_>, path: &str) -> Option<DateTime<Utc>> {
    let seconds = json.text(path)?.parse().ok()?;
    DateTime::from_timestamp(seconds, 0)
}

fn says(event: &str, object: Json<'_>, at: DateTime<Utc>) -> Result<Says, Unreadable> {
    Ok(match event {
        "checkout.session.completed"
        | "checkout.session.async_payment_succeeded"
        | "checkout.session.async_payment_failed" => checkout(event, object, at)?,
        "invoice.paid" | "invoice.payment_succeeded" => invoice(object, at)?,
        "invoice_payment.paid" => joined(object)?,
        "charge.refunded" => charge_refunded(object, at)?,
        "charge.dispute.created"
        | "charge.dispute.funds_withdrawn"
        | "charge.dispute.funds_reinstated"
        | "charge.dispute.closed" => dispute(event, object, at)?,
        _ if ["transfer.", "payout.", "account."]
            .iter()
            .any(|kind| event.starts_with(kind)) =>
        {
            Says::Nothing("the event concerns a payout".to_owned())
        }
        _ => Says::Nothing("the event does not concern a conversion".to_owned()),
    })
}

/// About an order under the first of these ids that there is; the others are aliases.
fn about(ids: &[Option<String>], facts: Vec<Fact>) -> Result<Says, Unreadable> {
    let mut ids = ids.iter().flatten().cloned();
    let order = ids.next().ok_or_else(|| Unreadable::lacks("payment"))?;
    Ok(Says::About(About {
        order,
        aliases: ids.collect(),
        facts,
    }))
}

fn checkout(event: &str, session: Json<'_>, at: DateTime<Utc>) -> Result<Says, Unreadable> {
    let mut facts = Vec::new();
    let word = session.text("payment_status").unwrap_or_default();
    if word == "paid" {
        let discount = session.text("total_details.amount_discount");
        let discount: Vec<String> = discount.into_iter().collect();
        let subtotal = session.text("amount_subtotal");
        let worth = subtotal.and_then(|amount| less(&amount, &discount));
        facts.extend(order(
            session,
            worth,
            seconds(session, "created").unwrap_or(at),
            at,
        ));
        facts.push(status(at, Status::Paid, "payment", &word));
    } else if event.ends_with("payment_failed") {
        facts.push(status(at, Status::Failed, "payment", "failed"));
    } else {
        facts.push(status(at, Status::Open, "payment", &word));
    }
    let ids = [
        session.first(&["invoice", "invoice.id"]),
        session.first(&["payment_intent", "payment_intent.id"]),
        session.text("id"),
    ];
    about(&ids, facts)
}

fn invoice(invoice: Json<'_>, at: DateTime<Utc>) -> Result<Says, Unreadable> {
    let owed = invoice.text("amount_remaining");
    if owed.is_some_and(|owed| owed != "0") {
        return Ok(Says::Nothing("the invoice is not paid in full".to_owned()));
    }
    let worth = invoice.first(&["total_excluding_tax", "subtotal_excluding_tax"]);
    let worth = worth.or_else(|| {
        let tax: Vec<String> = invoice.text("tax").into_iter().collect();
        less(&invoice.text("total")?, &tax)
    });
    let placed_at = seconds(invoice, "created").unwrap_or(at);
    let mut facts: Vec<Fact> = order(invoice, worth, placed_at, at).into_iter().collect();
    facts.push(status(at, Status::Paid, "invoice", "paid"));
    let mut ids = vec![invoice.text("id"), invoice.text("payment_intent")];
    ids.push(invoice.text("charge"));
    let payments = invoice.list("payments.data").into_iter();
    ids.extend(payments.map(|payment| payment.text("payment.payment_intent")));
    about(&ids, facts)
}

/// Which payment an invoice was paid with: no charge says it any more.
fn joined(payment: Json<'_>) -> Result<Says, Unreadable> {
    let ids = [
        payment.first(&["invoice", "invoice.id"]),
        payment.first(&["payment.payment_intent", "payment.charge"]),
    ];
    about(&ids, Vec::new())
}

fn charge_refunded(charge: Json<'_>, at: DateTime<Utc>) -> Result<Says, Unreadable> {
    let refunded = charge
        .text("amount_refunded")
        .filter(|amount| amount != "0");
    let facts = refunded
        .zip(charge.text("amount"))
        .map(|(refunded, of)| Fact {
            at,
            what: What::RefundedSoFar { refunded, of },
        });
    about(&payment_of(charge, "id"), facts.into_iter().collect())
}

/// A charge's order: its invoice where it still says so, else its payment intent, else itself.
fn payment_of(object: Json<'_>, charge: &str) -> [Option<String>; 3] {
    [
        object.text("invoice"),
        object.first(&["payment_intent", "payment_intent.id"]),
        object.text(charge),
    ]
}

fn dispute(event: &str, dispute: Json<'_>, at: DateTime<Utc>) -> Result<Says, Unreadable> {
    let word = dispute.text("status").unwrap_or_default();
    let meaning = match (event.rsplit('.').next(), word.as_str()) {
        (Some("closed"), "won" | "warning_closed") | (Some("funds_reinstated"), _) => {
            Status::Reinstated
        }
        (Some("closed"), "lost") => Status::Over,
        (Some("closed"), _) => Status::Open,
        _ => Status::Disputed,
    };
    let facts = vec![status(at, meaning, "dispute", &word)];
    about(&payment_of(dispute, "charge"), facts)
}

/// The order that a checkout or an invoice is; nothing without an amount or a currency.
fn order(
    object: Json<'_>,
    minor: Option<String>,
    placed_at: DateTime<Utc>,
    at: DateTime<Utc>,
) -> Option<Fact> {
    let currency = object.text("currency")?.to_ascii_uppercase();
    let amount = major(&minor?, &currency)?;
    let mut clicks: Vec<String> = object.text("client_reference_id").into_iter().collect();
    for place in [
        "metadata",
        "subscription_details.metadata",
        "parent.subscription_details.metadata",
    ] {
        let members = object.members(place).into_iter();
        let named = members.filter(|(name, _)| names_click(name));
        clicks.extend(named.map(|(_, value)| value));
    }
    Some(Fact {
        at,
        what: What::Order(OrderSeen {
            placed_at,
            amount,
            currency,
            clicks,
            coupons: Vec::new(),
            customer: None,
            lines: Vec::new(),
        }),
    })
}

/// Currencies that Stripe counts without decimals.
const WITHOUT_DECIMALS: &[&str] = &[
    "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF",
    "XOF", "XPF",
];
/// Currencies that Stripe counts in thousandths.
const THOUSANDTHS: &[&str] = &["BHD", "JOD", "KWD", "OMR", "TND"];

/// An amount of Stripe's in the currency's own unit: `9900` of USD is `99.00`.
fn major(minor: &str, currency: &str) -> Option<String> {
    let places = if WITHOUT_DECIMALS.contains(&currency) {
        0
    } else if THOUSANDTHS.contains(&currency) {
        3
    } else {
        2
    };
    let minor: i64 = minor.parse().ok()?;
    let amount = rust_decimal::Decimal::try_new(minor, places).ok()?;
    Some(amount.to_string())
}
