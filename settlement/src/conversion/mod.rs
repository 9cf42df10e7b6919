//! Conversions: an order from the moment it is recorded to approval, refund or reversal.
//!
//! [`record()`] attributes, prices and posts orders; [`refund()`] takes refunds into account;
//! [`change`] holds the decisions: approve, reject, hold, release, reverse, reinstate. Each takes a
//! slice, does its work in a fixed number of statements whatever the count, and answers item by
//! item.
//!
//! A conversion keeps the terms version and the rate it was priced with, so nothing decided later
//! reaches back. Its row holds what is in force now; `change` and `commission` rows hold how it
//! came to be, each with its journal entries.
//!
//! What it never does: begin or commit, read a clock, or post anything that is not in the
//! [posting manual](crate::posting).

pub mod auto;
pub mod awaiting;
pub mod change;
mod details;
mod find;
pub mod parked;
mod parts;
pub mod reason;
pub mod reattribute;
pub mod record;
pub mod refund;
pub mod state;
mod store;
mod stored;
mod take;

use ledger::{BookId, Refusal};
use uuid::Uuid;

use crate::commission::CommissionError;
use crate::fees::FeeError;
use crate::network::NetworkError;
use crate::party::{PartyError, ProgramRef};
use crate::posting::PostingError;

pub use awaiting::price_awaiting;
pub use change::{Changed, Decision, decide, decide_each};
pub use details::Details;
pub use find::{find_by_order, undecided};
pub use reason::reason;
pub use record::{Order, OrderRefusal, Recorded, record};
pub use refund::{Refund, RefundRefusal, Refunded, refund};
pub use state::{Action, State};
pub use take::take;

/// A conversion, with the book it lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConversionRef {
    /// The brand's book.
    pub book: BookId,
    /// The conversion.
    pub id: Uuid,
}

/// The namespace of conversion and event ids.
const CONVERSIONS: Uuid = Uuid::from_u128(0x2f8c_6a51_7d0b_5be4_8a39_c1f7_0e66_9d12);

impl ConversionRef {
    /// The conversion that an order of a program has, whether it is recorded or not.
    #[must_use]
    pub fn of_order(program: ProgramRef, order_ref: &str) -> ConversionRef {
        ConversionRef {
            book: program.book,
            id: derived(program, "conversion", order_ref),
        }
    }
}

/// An id that follows from a program and the sender's own reference.
fn derived(program: ProgramRef, kind: &str, reference: &str) -> Uuid {
    let name = format!("{}\u{1f}{kind}\u{1f}{reference}", program.id);
    Uuid::new_v5(&CONVERSIONS, name.as_bytes())
}

/// Whether a text that comes from outside can be stored and shown.
pub(crate) fn is_plain(text: &str) -> bool {
    (1..=200).contains(&text.chars().count()) && !text.contains(char::is_control)
}

/// A whole batch failed; nothing of it may be committed.
#[derive(Debug, thiserror::Error)]
pub enum ConversionError {
    /// The ledger refused the entries of one conversion.
    #[error("conversion {conversion} cannot be posted")]
    Refused {
        /// Which one.
        conversion: Uuid,
        /// Why.
        #[source]
        refusal: Refusal,
    },
    /// Somebody else changed a conversion in between.
    #[error("{missed} of {asked} conversions were changed by somebody else meanwhile; try again")]
    Raced {
        /// How many were not changed.
        missed: usize,
        /// How many should have been.
        asked: usize,
    },
    /// A stored conversion cannot be read.
    #[error("inconsistency in settlement.conversion {conversion}: {problem}")]
    Inconsistent {
        /// Which one.
        conversion: Uuid,
        /// What cannot be read.
        problem: String,
    },
    /// There is no network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Terms cannot be read.
    #[error(transparent)]
    Party(#[from] PartyError),
    /// A posting cannot be built.
    #[error(transparent)]
    Posting(#[from] PostingError),
    /// Rate rules cannot be read.
    #[error(transparent)]
    Rule(#[from] crate::rules::book::RuleError),
    /// Rates of exchange cannot be read.
    #[error(transparent)]
    Rate(#[from] crate::rates::RateError),
    /// A commission cannot be computed.
    #[error(transparent)]
    Commission(#[from] CommissionError),
    /// A fee cannot be computed.
    #[error(transparent)]
    Fee(#[from] FeeError),
    /// The journal could not be written.
    #[error(transparent)]
    Journal(#[from] ledger::journal::JournalError),
    /// Postgres failed.
    #[error("conversions could not be read or written")]
    Database(#[from] sqlx::Error),
}
