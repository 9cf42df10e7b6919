//! Pure: which state a conversion may go to from which.
//!
//! The states are ours to set; whether a conversion is invoiced, collected or paid out is not a
//! state but derived from the ledger.

use crate::posting::held::HeldFrom;
use crate::terms::stored_names;

/// The state of a conversion; each variant carries exactly its own data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No publisher earned it.
    Unattributed,
    /// Recorded, waiting for review.
    Pending,
    /// The publisher's share is on hold.
    OnHold(HeldFrom),
    /// Earned.
    Approved,
    /// Refused before approval.
    Rejected,
    /// Taken back, or refunded in full.
    Reversed,
}

/// A decision about a conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Accept it: it is earned.
    Approve,
    /// Refuse it before it was approved.
    Reject,
    /// Put the publisher's share on hold.
    Hold,
    /// Take the share off hold.
    Release,
    /// Take back what was approved, or what still waits because its order is gone.
    Reverse,
    /// Take back the reversal: earned again, or waiting again if it never was.
    Reinstate,
}

stored_names!(Action,
    Action::Approve => "approve", Action::Reject => "reject", Action::Hold => "hold",
    Action::Release => "release", Action::Reverse => "reverse", Action::Reinstate => "reinstate");

/// What an action does to a conversion in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It goes there.
    To(State),
    /// It is there already; asking twice changes nothing.
    Already,
    /// It cannot.
    Impossible,
}

impl State {
    /// The name in Postgres, and whence it was put on hold.
    #[must_use]
    pub fn stored(self) -> (&'static str, Option<&'static str>) {
        match self {
            State::Unattributed => ("unattributed", None),
            State::Pending => ("pending", None),
            State::OnHold(HeldFrom::Pending) => ("on_hold", Some("pending")),
            State::OnHold(HeldFrom::Approved) => ("on_hold", Some("approved")),
            State::Approved => ("approved", None),
            State::Rejected => ("rejected", None),
            State::Reversed => ("reversed", None),
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn named(name: &str, held_from: Option<&str>) -> Option<State> {
        [
            State::Unattributed,
            State::Pending,
            State::OnHold(HeldFrom::Pending),
            State::OnHold(HeldFrom::Approved),
            State::Approved,
            State::Rejected,
            State::Reversed,
        ]
        .into_iter()
        .find(|state| state.stored() == (name, held_from))
    }

    /// What an action does from here.
    #[must_use]
    pub fn after(self, action: Action) -> Step {
        use HeldFrom::{Approved as WasApproved, Pending as WasPending};
        match (action, self) {
            (Action::Approve, State::Pending | State::OnHold(WasPending)) => {
                Step::To(State::Approved)
            }
            (Action::Reject, State::Pending | State::OnHold(WasPending)) => {
                Step::To(State::Rejected)
            }
            (Action::Hold, State::Pending) => Step::To(State::OnHold(WasPending)),
            (Action::Hold, State::Approved) => Step::To(State::OnHold(WasApproved)),
            (Action::Release, State::OnHold(WasPending)) => Step::To(State::Pending),
            (Action::Release, State::OnHold(WasApproved))
            | (Action::Reinstate, State::Reversed) => Step::To(State::Approved),
            (Action::Reverse, State::Pending | State::Approved | State::OnHold(_)) => {
                Step::To(State::Reversed)
            }
            (Action::Approve, State::Approved)
            | (Action::Reject, State::Rejected)
            | (Action::Hold, State::OnHold(_))
            | (Action::Reverse, State::Reversed) => Step::Already,
            (
                Action::Approve
                | Action::Reject
                | Action::Hold
                | Action::Release
                | Action::Reverse
                | Action::Reinstate,
                _,
            ) => Step::Impossible,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_out_of_rejected_or_unattributed() {
        for action in [
            Action::Approve,
            Action::Hold,
            Action::Release,
            Action::Reverse,
            Action::Reinstate,
        ] {
            assert_eq!(State::Rejected.after(action), Step::Impossible);
            assert_eq!(State::Unattributed.after(action), Step::Impossible);
        }
    }

    #[test]
    fn a_release_returns_to_where_the_hold_came_from() {
        for from in [State::Pending, State::Approved] {
            let Step::To(held) = from.after(Action::Hold) else {
                panic!("{from:?} can be held")
            };
            assert_eq!(held.after(Action::Release), Step::To(from));
        }
    }

    #[test]
    fn an_approved_conversion_never_becomes_pending_or_rejected() {
        for action in [
            Action::Approve,
            Action::Reject,
            Action::Hold,
            Action::Release,
            Action::Reverse,
        ] {
            let after = State::Approved.after(action);
            assert!(!matches!(after, Step::To(State::Pending | State::Rejected)));
        }
    }
}
