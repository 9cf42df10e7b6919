//! What jobs promise, against a real Postgres as the service role, and real HTTP on loopback.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod effects;
mod fixture;
mod postback;
mod publisher;
mod queue;
mod told;
