//! The senders against signed deliveries: what they prove, what they say, what they never say.

mod fixtures;
mod forged;
mod said;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use settlement::inbox::fact::{Fact, OrderSeen, Says, What};

use super::proof::{self, Mode, Unproven};
use super::sender::{Key, Reading, Request, Sender};
use super::{SENDERS, sender_named};

/// A request of a test.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub headers: HeaderMap,
    pub token: Option<String>,
    pub body: Vec<u8>,
}

impl Sent {
    /// A body with these headers.
    pub(super) fn new(body: impl Into<Vec<u8>>, headers: &[(&str, &str)]) -> Sent {
        let mut sent = Sent {
            headers: HeaderMap::new(),
            token: None,
            body: body.into(),
        };
        for (name, value) in headers {
            sent.set(name, value);
        }
        sent
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        let name: HeaderName = name.parse().unwrap();
        self.headers
            .insert(name, HeaderValue::from_str(value).unwrap());
    }

    pub(super) fn request(&self) -> Request<'_> {
        Request {
            headers: &self.headers,
            token: self.token.as_deref(),
            body: &self.body,
        }
    }
}

/// Whether a request proves itself to a sender, in its habitual way or another.
pub(super) fn proves(
    sender: &str,
    sent: &Sent,
    secret: &str,
    mode: Option<Mode>,
    now: DateTime<Utc>,
) -> Result<(), Unproven> {
    let sender = sender_named(sender).unwrap();
    let (header, habit) = sender.habits();
    let key = Key {
        secret,
        header,
        mode: mode.unwrap_or(habit),
    };
    sender.verify(&sent.request(), &key, now)
}

/// What a sender reads in a request.
pub(super) fn reads(sender: &str, sent: &Sent) -> Reading {
    let sender = sender_named(sender).unwrap();
    sender.read(&sent.request(), now()).unwrap()
}

/// The facts of a body, with these headers.
pub(super) fn facts(sender: &str, body: &Value, headers: &[(&str, &str)]) -> Vec<Fact> {
    match reads(sender, &Sent::new(body.to_string(), headers)).says {
        Says::About(about) => about.facts,
        Says::Nothing(reason) => panic!("nothing said: {reason}"),
    }
}

/// The order among facts.
pub(super) fn order(facts: &[Fact]) -> &OrderSeen {
    let orders = facts.iter().filter_map(|fact| match &fact.what {
        What::Order(order) => Some(order),
        _ => None,
    });
    let orders: Vec<_> = orders.collect();
    let [order] = orders.as_slice() else {
        panic!("not one order: {facts:?}");
    };
    order
}

/// When the signed fixtures were signed, as Stripe's header says.
pub(super) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_777_888_800, 0).unwrap()
}

/// The file of signed deliveries.
#[derive(Debug, Deserialize)]
pub(super) struct Vectors {
    pub secrets: std::collections::BTreeMap<String, String>,
    pub vectors: Vec<Vector>,
}

/// One signed delivery.
#[derive(Debug, Deserialize)]
pub(super) struct Vector {
    pub name: String,
    pub headers: std::collections::BTreeMap<String, String>,
    pub body_file: String,
    pub body_sha256: String,
}

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

impl Vectors {
    pub(super) fn read() -> Vectors {
        let text = std::fs::read_to_string(format!("{FIXTURES}/vectors.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    pub(super) fn named(&self, name: &str) -> Sent {
        let found = self.vectors.iter().find(|vector| vector.name == name);
        found.unwrap().sent()
    }
}

impl Vector {
    pub(super) fn sent(&self) -> Sent {
        let body = std::fs::read(format!("{FIXTURES}/{}", self.body_file)).unwrap();
        let headers: Vec<(&str, &str)> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        Sent::new(body, &headers)
    }

    /// Whose webhook it is; nobody's for a brand's own postback.
    pub(super) fn sender(&self) -> Option<&'static dyn Sender> {
        let name = self.name.split('_').next().unwrap_or_default();
        SENDERS.into_iter().find(|sender| sender.name() == name)
    }

    /// The way it is signed, where that is not the sender's habit.
    pub(super) fn mode(&self) -> Option<Mode> {
        match self.name.as_str() {
            "zid_sha256_mode" => Some(Mode::Sha256),
            "zid_hmac_mode" => Some(Mode::HmacSha256),
            _ => None,
        }
    }
}

/// The signature of a body in hex.
pub(super) fn hex_hmac(secret: &str, body: &[u8]) -> String {
    hex::encode(proof::hmac(secret, &[body]))
}
