//! The database made ready, tried out on real servers.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod child;
mod cluster;
mod find;
mod migrate;
mod places;
mod sharing;
mod support;
mod testing;
