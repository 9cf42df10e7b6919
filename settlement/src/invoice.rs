//! What brands are billed.
//!
//! Only the documents so far: what an invoice, a credit note, a statement or a remittance says, as
//! it is frozen when it is issued. See [`document`].

pub mod document;
