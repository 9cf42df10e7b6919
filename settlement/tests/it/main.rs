//! What settlement promises, against a real Postgres, as the service role.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod access;
mod attribution;
mod facts;
mod figures;
mod fixture;
mod guards;
mod identity;
mod inbox;
mod management;
mod posting;
mod rates;
mod risk;
mod rules;
mod smoke;
mod taken_back;
mod together;
