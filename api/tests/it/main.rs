//! The binary from outside: its arguments, its answers, its exit codes.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod arguments;
mod books;
mod clicks;
mod cluster;
mod conversions;
mod figures;
mod import;
mod outbound;
mod proofs;
mod readme;
mod rederive;
mod service;
mod spool;
mod stores;
mod support;
