//! The life of a commission: click, order, attribution, commission, conversion, and the posting
//! manual.
//!
//! The modules, in the order in which money passes them:
//!
//! | module | answers |
//! |---|---|
//! | [`network`], [`party`], [`terms`] | who takes part, and what was promised |
//! | [`access`], [`reported`] | who may speak for them, and what they said that differs |
//! | [`tracking`] | who clicked |
//! | [`identity`], [`coupon`] | which user that was, who brought them, whose code they used |
//! | [`attribution`] | which clicks, codes or names an order is credited to |
//! | [`figures`] | what is read of clicks, orders and earnings |
//! | [`commission`], [`fees`] | what an order pays, and what each party owes or earns |
//! | [`conversion`] | an order, from pending to approved or reversed; refunds |
//! | [`inbox`] | what stores deliver, in whatever order it comes |
//! | [`rules`], [`rates`] | rates of their own, caps, bonuses; currencies at stored rates |
//! | [`invoice`] | what brands are billed |
//! | [`fraud`] | what looks wrong about an order, and is held |
//! | [`chart`], [`posting`] | which accounts, which entries |
//! | [`reconcile`], [`close`] | whether books and conversions agree; the end of a month |
//! | [`trail`] | from any figure back to its order and click |
//!
//! What it never does: it does not read the clock, begin or commit, send mail, speak HTTP or know a
//! command line; it writes no table of the ledger but posts through [`ledger::journal::post`].

pub mod access;
pub mod attribution;
pub mod calendar;
pub mod chart;
pub mod close;
mod columns;
pub mod commission;
pub mod conversion;
pub mod coupon;
pub mod fees;
pub mod figures;
pub mod fraud;
pub mod gate;
pub mod identity;
pub mod inbox;
pub mod invoice;
pub mod network;
pub mod party;
pub mod posting;
pub mod rates;
pub mod reconcile;
pub mod reported;
pub mod rules;
pub mod terms;
pub mod tracking;
pub mod trail;
