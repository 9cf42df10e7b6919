//! What senders report, beside the order itself: which program they mean, how strict it is with
//! them, and where a report and the books differ.
//!
//! A report never changes what stands. One that says something else (another amount under the same
//! reference, another commission, an order of long ago) is kept as a [`Discrepancy`] that an
//! auditor finds; a postback that was not recorded leaves its numbered [`Outcome`].

mod named;
mod outcome;
mod store;

use chrono::{DateTime, Utc};
use ledger::{Currency, Money};
use uuid::Uuid;

use crate::conversion::State;
use crate::party::ProgramRef;
use crate::terms::stored_names;

pub use named::{Named, lock, named};
pub use outcome::{Outcome, PostbackOutcome, keep};
pub use store::{figures, notice, only_program, program, set_strictness};

/// A program as senders name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its id, with its book.
    pub reference: ProgramRef,
    /// The currency of its latest terms.
    pub currency: Currency,
    /// How strict it is.
    pub strictness: Strictness,
}

/// How strict a program is with what is reported to it; not at all, by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Strictness {
    /// Whether another amount under a known reference is answered as an error.
    pub duplicates: bool,
    /// After how many days an order is reported late.
    pub max_age_days: Option<i32>,
}

/// In which way a report and the books differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Another amount under a reference that was recorded before.
    OrderAmount,
    /// Another commission than the terms give.
    CommissionAmount,
    /// The order is older than the program wants to hear of.
    Late,
}

stored_names!(Kind, Kind::OrderAmount => "order_amount",
    Kind::CommissionAmount => "commission_amount", Kind::Late => "late");

/// Where a report and the books differ; the books stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discrepancy {
    /// The program of the order.
    pub program: ProgramRef,
    /// The order.
    pub order_ref: String,
    /// In which way.
    pub kind: Kind,
    /// What was reported.
    pub reported: String,
    /// What stands.
    pub stands: String,
}

/// What a conversion earns now, for the answer to its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    /// Its state.
    pub state: State,
    /// Who is credited; the first of them, if several are.
    pub publisher: Option<Uuid>,
    /// The commission before fees.
    pub commission: Money,
    /// Both sides' network fees.
    pub network_fee: Money,
    /// What the publisher gets.
    pub publisher_payout: Money,
    /// When the order was placed.
    pub occurred_at: DateTime<Utc>,
}

/// What cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ReportedError {
    /// A stored row cannot be read.
    #[error("inconsistency in {table} {row}: {problem}")]
    Inconsistent {
        /// Where.
        table: &'static str,
        /// Which row.
        row: Uuid,
        /// What cannot be read.
        problem: &'static str,
    },
    /// Postgres failed.
    #[error("what was reported could not be read or kept")]
    Database(#[from] sqlx::Error),
}
