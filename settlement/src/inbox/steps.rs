//! Pure: the next step from where a conversion is to where its order stands.
//!
//! There is no step from approved back to pending, and none that undoes what somebody else did: a
//! hold for fraud or a reversal by hand stays, whatever the store says afterwards.

use super::fold::{Overlay, Standing};
use crate::conversion::{Action, State};
use crate::posting::held::HeldFrom;

/// What to do next; nothing when it is there, or cannot get nearer. `applied` is what earlier
/// deliveries laid over the conversion.
pub(super) fn next(state: State, applied: Overlay, target: Standing) -> Option<Action> {
    let ours_to_release = applied == Overlay::Hold;
    match (state, target.over) {
        (State::Reversed, Overlay::Nothing | Overlay::Hold) => {
            (applied == Overlay::Reversal).then_some(Action::Reinstate)
        }
        (State::Pending | State::Approved | State::OnHold(_), Overlay::Reversal) => {
            Some(Action::Reverse)
        }
        (State::Pending, Overlay::Nothing | Overlay::Hold) if target.paid => Some(Action::Approve),
        (State::Pending | State::Approved, Overlay::Hold) => Some(Action::Hold),
        (State::OnHold(_), Overlay::Nothing) => ours_to_release.then_some(Action::Release),
        // Paid in the meantime: released, approved, and held as what it is now.
        (State::OnHold(HeldFrom::Pending), Overlay::Hold) => {
            (ours_to_release && target.paid).then_some(Action::Release)
        }
        (State::Pending | State::Approved, Overlay::Nothing)
        | (State::OnHold(HeldFrom::Approved), Overlay::Hold)
        | (State::Reversed, Overlay::Reversal)
        | (State::Rejected | State::Unattributed, _) => None,
    }
}

/// The longest way: reinstate, approve, hold.
pub(super) const LONGEST: usize = 4;

/// What lies over a conversion after a step.
pub(super) fn applied(before: Overlay, step: Action) -> Overlay {
    match step {
        Action::Hold => Overlay::Hold,
        Action::Reverse => Overlay::Reversal,
        Action::Release | Action::Reinstate => Overlay::Nothing,
        Action::Approve | Action::Reject => before,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [State; 7] = [
        State::Unattributed,
        State::Pending,
        State::OnHold(HeldFrom::Pending),
        State::OnHold(HeldFrom::Approved),
        State::Approved,
        State::Rejected,
        State::Reversed,
    ];
    const OVERLAYS: [Overlay; 3] = [Overlay::Nothing, Overlay::Hold, Overlay::Reversal];

    #[test]
    fn every_step_is_one_that_a_conversion_can_take_and_the_way_ends() {
        use crate::conversion::state::Step;
        for (start, laid, over) in STATES
            .iter()
            .flat_map(|state| OVERLAYS.map(|laid| OVERLAYS.map(|over| (*state, laid, over))))
            .flatten()
        {
            for paid in [false, true] {
                let (mut state, mut laid) = (start, laid);
                let target = Standing { paid, over };
                let mut steps = 0;
                while let Some(step) = next(state, laid, target) {
                    let Step::To(after) = state.after(step) else {
                        panic!("{step:?} is impossible from {state:?}");
                    };
                    let downgrade = (state, after) == (State::Approved, State::Pending);
                    assert!(!downgrade, "never approved -> pending");
                    laid = applied(laid, step);
                    state = after;
                    steps += 1;
                    assert!(steps <= LONGEST, "{start:?} to {target:?} has no end");
                }
            }
        }
    }

    #[test]
    fn nobody_elses_hold_or_reversal_is_taken_back() {
        for paid in [false, true] {
            let over = Overlay::Nothing;
            let target = Standing { paid, over };
            for state in [State::OnHold(HeldFrom::Pending), State::Reversed] {
                assert_eq!(next(state, Overlay::Nothing, target), None);
            }
        }
    }
}
