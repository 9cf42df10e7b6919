//! Store webhooks: verified on raw bytes, kept once, then acted on.
//!
//! A delivery passes four doors: [`receive`] finds the connections it may be of and believes none
//! of it before [`proof`] does; the sender's own file reads it into facts; the inbox of
//! `settlement` keeps them and brings the order to where they say it stands, in one database
//! transaction; [`reply`] tells the sender.
//!
//! What it never does: parse what is not verified, keep a body, name or address, pass an amount
//! through a float, or rely on the order in which deliveries arrive.
//!
//! # Adding a sender
//!
//! 1. A file like `shopify.rs`: its pitfalls in the module's documentation, a unit struct that is a
//!    [`sender::Sender`], and `webhook` for its address. Words for states are in `words.rs`.
//! 2. A line in [`SENDERS`] and one in [`routes()`]; a signed delivery in `api/tests/fixtures/`.

mod click;
mod json;
mod proof;
mod read;
mod receive;
mod reply;
mod salla;
mod sender;
mod settings;
mod shopify;
mod stripe;
#[cfg(test)]
mod tests;
mod woo;
mod words;
mod zid;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
pub(crate) use proof::Mode;
use sender::Sender;
pub(crate) use settings::Args;

/// Every sender there is.
const SENDERS: [&dyn Sender; 5] = [
    &shopify::Shopify,
    &woo::Woo,
    &salla::Salla,
    &zid::Zid,
    &stripe::Stripe,
];

/// The routes of this area.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(shopify::webhook))
        .routes(routes!(woo::webhook))
        .routes(routes!(salla::webhook))
        .routes(routes!(zid::webhook))
        .routes(routes!(stripe::webhook))
        .routes(routes!(receive::hook))
        .route("/webhooks/{source}", axum::routing::post(receive::named))
}

/// The names of the senders.
pub(crate) fn names() -> [&'static str; 5] {
    SENDERS.map(Sender::name)
}

fn sender_named(name: &str) -> Option<&'static dyn Sender> {
    SENDERS.into_iter().find(|sender| sender.name() == name)
}
