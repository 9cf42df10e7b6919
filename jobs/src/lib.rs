//! Everything that happens by itself or leaves the building.
//!
//! | module | answers |
//! |---|---|
//! | [`queue`] | what has to be done, when, and what became of it |
//! | [`due`] | what is approved when its days have passed |
//! | [`effects`] | what leaves because a conversion changed, in the transaction of the change |
//! | [`postback`] | how publishers hear of their conversions |
//! | [`outside`] | how to reach an address that somebody else chose, and no private one |
//!
//! What it never does: serve an HTTP route, hold a rule about money, or read the clock (a
//! [`queue::Clock`] is passed in).

pub mod due;
pub mod effects;
pub mod outside;
pub mod postback;
pub mod queue;
