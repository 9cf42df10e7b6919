//! Attribution: which clicks, codes or names an order is credited to, and in what shares.
//!
//! - [`models`]: how the credit of an order is shared among its touches. Pure.
//! - [`decision`]: who earns an order, and why nobody else. Pure.
//! - [`AttributionTerms`]: what a program promises about it, part of its terms by version. Pure.
//!
//! What it never does: move money, or change a decision once made. A decision is a row that is
//! superseded by a later version, never edited.

pub(crate) mod candidates;
pub mod decision;
pub mod models;
mod terms;

pub use models::Model;
pub use terms::{AttributionTerms, Way};
