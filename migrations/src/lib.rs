//! The database made ready: the migrations and their embedded migrator, the private PostgreSQL
//! cluster, and (feature `testing`) a fresh database for each test.
//!
//! This crate knows nothing about money, books or brands. It never reads or writes a table that
//! a migration made; the crates of the chain do.
//!
//! # Adding a migration
//!
//! 1. Add `NNNN_what_it_does.sql` beside `Cargo.toml`, with the next number. It opens with one
//!    sentence of purpose; each invariant is lettered and names the constraint that holds it.
//! 2. Never edit one that has been released: the migrator refuses a changed file.
//! 3. Roles belong to the whole server, not to one database. Create them with a guard against
//!    another database doing the same at the same time.

pub mod cluster;
mod migrate;
#[cfg(feature = "testing")]
pub mod testing;

pub use migrate::{MIGRATOR, MigrateError, Migrated, latest, migrate, pending};
