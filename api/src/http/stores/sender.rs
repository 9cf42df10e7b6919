//! What a sender of webhooks is, and what a delivery of it looks like before it is believed.

use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use settlement::inbox::fact::{About, Fact, LineSeen, Says};
use sha2::{Digest, Sha256};

use super::json::Json;
use super::proof::{Mode, Unproven};

/// A store system that sends webhooks. Each file of this folder that is one documents its pitfalls.
///
/// All of it is pure: what a delivery proves and says depends on its bytes, the secret and `now`.
pub(super) trait Sender: Sync {
    /// Its name: in addresses, in Postgres, on the command line.
    fn name(&self) -> &'static str;

    /// The header with the signature and the way of signing, unless a connection says otherwise.
    fn habits(&self) -> (&'static str, Mode);

    /// The store that a header names, so that only its secrets are tried. Nothing is believed yet.
    fn store_in_headers(&self, _request: &Request<'_>) -> Option<String> {
        None
    }

    /// Whether it is only a greeting, which is not signed and changes nothing.
    fn greets(&self, _request: &Request<'_>) -> bool {
        false
    }

    /// Whether the raw bytes come from who knows the secret.
    fn verify(
        &self,
        request: &Request<'_>,
        key: &Key<'_>,
        now: DateTime<Utc>,
    ) -> Result<(), Unproven>;

    /// What the delivery says; asked only after it is verified.
    fn read(&self, request: &Request<'_>, now: DateTime<Utc>) -> Result<Reading, Unreadable>;
}

/// A request, before anything of it is believed.
pub(super) struct Request<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// `?token=` of its address.
    pub token: Option<&'a str>,
    /// Its body, byte by byte as it came.
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    /// The text of a header.
    pub(super) fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON.
    pub(super) fn json(&self) -> Result<Json<'a>, Unreadable> {
        Json::read(self.body).map_err(|error| Unreadable(format!("the body is no JSON: {error}")))
    }

    /// SHA-256 of the body.
    pub(super) fn body_hash(&self) -> [u8; 32] {
        Sha256::digest(self.body).into()
    }

    /// A delivery key for senders whose deliveries have no number: the same bytes are the same
    /// delivery.
    pub(super) fn key_of_bytes(&self, topic: &str) -> String {
        format!("{topic}:{}", hex::encode(self.body_hash()))
    }
}

/// A secret and how it is used.
pub(super) struct Key<'a> {
    /// The secret.
    pub secret: &'a str,
    /// The header with the signature.
    pub header: &'a str,
    /// The way of signing.
    pub mode: Mode,
}

/// What a delivery says.
#[derive(Debug)]
pub(super) struct Reading {
    /// The store it comes from, if it says so.
    pub store: Option<String>,
    /// The same for the same delivery sent again.
    pub key: String,
    /// What the sender calls it.
    pub topic: String,
    /// The store's id of who ordered; hashed before it is kept.
    pub customer: Option<String>,
    /// What it says.
    pub says: Says,
}

impl Reading {
    /// A delivery that says nothing that concerns a conversion.
    pub(super) fn nothing(
        store: Option<String>,
        key: String,
        topic: String,
        reason: &str,
    ) -> Reading {
        Reading {
            store,
            key,
            topic,
            customer: None,
            says: Says::Nothing(reason.to_owned()),
        }
    }
}

/// About one order that goes by one id.
pub(super) fn about(order: String, facts: Vec<Fact>) -> Says {
    Says::About(About {
        order,
        aliases: Vec::new(),
        facts,
    })
}

/// The lines of an order: where they are, and the names of number, quantity and price in each.
pub(super) fn lines(
    json: Json<'_>,
    list: &str,
    sku: &[&str],
    quantity: &[&str],
    amount: &[&str],
) -> Vec<LineSeen> {
    json.list(list)
        .into_iter()
        .take(MOST_LINES)
        .filter_map(|line| {
            Some(LineSeen {
                sku: line.first(sku)?,
                quantity: line.first(quantity).unwrap_or_else(|| "1".to_owned()),
                amount: line.first(amount)?,
            })
        })
        .collect()
}

/// More lines of an order are not kept.
const MOST_LINES: usize = 500;

/// Why a delivery that is genuine cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unreadable(pub String);

impl Unreadable {
    /// Something is not there.
    pub(super) fn lacks(what: &str) -> Unreadable {
        Unreadable(format!("the body names no {what}"))
    }
}
