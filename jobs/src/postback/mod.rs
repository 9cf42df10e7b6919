//! Postbacks to publishers: each hears of its own conversions, by a URL with macros or by a signed
//! POST.
//!
//! [`effects`](crate::effects) enqueues one job per target and change, in the database transaction
//! of the change; [`Deliver`] sends it and writes each attempt to the [`log`]. A target that keeps
//! failing is disabled, and somebody is told.
//!
//! A receiver may get the same postback twice (its answer may be lost): the delivery's id, in the
//! header `Counterfoil-Delivery` and the macro `{event_id}`, is the same both times.
//!
//! What it never does: reach a private address, follow a redirect, or tell a publisher the brand's
//! order reference unless the target says so.
//!
//! # Adding a macro
//!
//! Its name in [`template::MACROS`], its value in `values.rs`.

mod deliver;
pub mod log;
mod message;
pub mod target;
pub mod template;
pub(crate) mod values;

pub use deliver::{DISABLED_MAIL, Deliver, Limits, sample};
pub use message::signature;
pub use target::{Method, NewTarget, Target, TargetError};

use uuid::Uuid;

use crate::postback::template::Values;

/// The kind of a delivery's job.
pub const DELIVER: &str = "postback.deliver";

/// What a publisher may hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Event {
    /// A conversion was recorded for it.
    Pending,
    /// A conversion was approved, or reinstated.
    Approved,
    /// A conversion was rejected.
    Rejected,
    /// A conversion was taken back, or its order refunded in full.
    Reversed,
    /// A conversion is held for review.
    Held,
    /// A conversion on hold goes on.
    Released,
    /// A part of the order was refunded: its amounts are others now.
    Adjusted,
}

impl Event {
    /// Every event.
    pub const ALL: [Event; 7] = [
        Event::Pending,
        Event::Approved,
        Event::Rejected,
        Event::Reversed,
        Event::Held,
        Event::Released,
        Event::Adjusted,
    ];

    /// Its name, as targets and receivers know it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Event::Pending => "conversion.pending",
            Event::Approved => "conversion.approved",
            Event::Rejected => "conversion.rejected",
            Event::Reversed => "conversion.reversed",
            Event::Held => "conversion.held",
            Event::Released => "conversion.released",
            Event::Adjusted => "conversion.adjusted",
        }
    }
}

/// What a delivery's job carries: everything as it was when the change was made.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Payload {
    /// What the receiver knows it by.
    pub(crate) delivery: Uuid,
    /// Where it goes.
    pub(crate) target: Uuid,
    /// What happened.
    pub(crate) event: String,
    /// To which conversion.
    pub(crate) conversion: Option<Uuid>,
    /// The macros' values.
    pub(crate) values: Values,
}
