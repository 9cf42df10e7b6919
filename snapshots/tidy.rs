//! The house rules, as tests. Each rule is one test whose name states the fact; each checker is a
//! function over text, so a second test can hand it a planted fault and see it found.
//!
//! # Adding a rule
//!
//! Write a checker that takes text and answers with [`tree::Fault`]s, a test that runs it over the
//! workspace, and a test that runs it over the smallest text that breaks the rule.

#[path = "tidy/chain.rs"]
mod chain;
#[path = "tidy/migration.rs"]
mod migration;
#[path = "tidy/place.rs"]
mod place;
#[path = "tidy/placement.rs"]
mod placement;
#[path = "tidy/pure.rs"]
mod pure;
#[path = "tidy/rust.rs"]
mod rust;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/sql.rs"]
mod sql;
#[path = "tidy/tables.rs"]
mod tables;
#[path = "tidy/tree.rs"]
mod tree;
