//! `counterfoil brand`, `publisher`, `program`, `enrolment`, `link`, `coupon`, `rule`, `changes`:
//! who takes part, and what was promised.
//!
//! Every step asks for its `--reason` and is kept with it, with who took it and when.

mod brand;
mod changes;
mod enrolment;
mod link;
mod program;
mod publisher;
mod special;

use ledger::Actor;
use settlement::party::PartyError;

use super::Global;
use crate::chance;
use crate::output::BadArgument;

pub(crate) use brand::{BrandCommand, run as brand};
pub(crate) use changes::{ChangesArgs, run as changes};
pub(crate) use enrolment::{EnrolmentCommand, run as enrolment};
pub(crate) use link::{LinkCommand, run as link};
pub(crate) use program::{ProgramCommand, run as program};
pub(crate) use publisher::{PublisherCommand, run as publisher};
pub(crate) use special::{CouponCommand, RuleCommand, coupon, rule};

/// As many rows as a list on the command line has at most.
const ROWS: i64 = 1_000_000;

/// How a list is shown.
#[derive(Debug, clap::Args)]
struct Shown {
    /// Print the whole list as CSV.
    #[arg(long)]
    csv: bool,
}

/// Why something is done.
#[derive(Debug, clap::Args)]
struct Reason {
    /// Why; kept in the history.
    #[arg(long, default_value = "decided by hand")]
    reason: String,
}

/// What stands in the history: when, and who on which command.
fn author(command: &str) -> (chrono::DateTime<chrono::Utc>, Actor) {
    (chance::now(), Global::actor(command))
}

/// A party that is not there, or a text that cannot be, is a bad argument: exit code 2. A step that
/// the party's state does not allow is a refusal: exit code 1.
fn refused(error: PartyError) -> anyhow::Error {
    match error {
        PartyError::UnknownBrand(_)
        | PartyError::UnknownPublisher(_)
        | PartyError::UnknownProgram(_)
        | PartyError::AmbiguousProgram(_)
        | PartyError::NotEnrolled { .. }
        | PartyError::NameTaken { .. }
        | PartyError::CodeTaken(_)
        | PartyError::Code(_)
        | PartyError::NotPlain { .. }
        | PartyError::Rules { .. } => BadArgument(error.to_string()).into(),
        other => other.into(),
    }
}
