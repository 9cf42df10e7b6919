//! Decisions about conversions: approve, reject, hold, release, reverse, reinstate.
//!
//! Each is idempotent by state: deciding twice changes nothing the second time. Each posts the
//! entries of its file in the posting manual and leaves a row with author, reason and entries.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use ledger::Actor;
use sqlx::PgConnection;

use super::parts::credits_of;
use super::state::{Action, State, Step};
use super::store::{self, ChangeRow, CommissionRow};
use super::stored::{self, Stored};
use super::{ConversionError, ConversionRef};
use crate::fees::Components;
use crate::network::Calendar;
use crate::posting::held::HeldFrom;
use crate::posting::reinstated::Reversal;
use crate::posting::reversed::Approval;
use crate::posting::{self, Posting, Share};

/// What is decided, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What is done.
    pub action: Action,
    /// Why; kept with the change and shown to whom it concerns.
    pub reason: String,
}

/// The answer to one decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a decision may have been impossible"]
pub enum Changed {
    /// It is in this state now.
    To(State),
    /// It was so already; nothing changed.
    Already(State),
    /// It cannot be done from this state.
    Impossible(State),
    /// There is no such conversion.
    Unknown,
}

/// Decides about conversions and posts what follows; answers each in order.
///
/// A fixed number of statements, whatever the count. Entries count on the day of `now`, or on the
/// first open day if that month is closed already.
///
/// # Errors
/// Only for the whole batch; nothing of it may then be committed.
pub async fn decide(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    decision: &Decision,
    conversions: &[ConversionRef],
) -> Result<Vec<Changed>, ConversionError> {
    let each: Vec<_> = conversions
        .iter()
        .map(|reference| (*reference, decision.clone()))
        .collect();
    decide_each(conn, now, by, &each).await
}

/// The same with a decision of its own for each; a conversion named twice takes the first.
///
/// # Errors
/// Only for the whole batch; nothing of it may then be committed.
pub async fn decide_each(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    decisions: &[(ConversionRef, Decision)],
) -> Result<Vec<Changed>, ConversionError> {
    let conversions: Vec<ConversionRef> = decisions.iter().map(|(to, _)| *to).collect();
    let stored = stored::lock(conn, &conversions).await?;
    let calendar = Calendar::read(conn).await?;
    let mut seen = HashSet::new();
    let mut steps = Vec::new();
    let mut answers = Vec::with_capacity(decisions.len());
    for (reference, decision) in decisions {
        let Some(before) = stored.get(reference) else {
            answers.push(Changed::Unknown);
            continue;
        };
        let refunded_whole = before.is_returned();
        answers.push(match step(before, decision.action) {
            // Nobody knows yet what it is worth.
            Step::To(_) if decision.action == Action::Approve && before.awaits_rate() => {
                Changed::Impossible(before.state)
            }
            // Refunded in full: there is nothing left to reinstate.
            Step::To(_) if decision.action == Action::Reinstate && refunded_whole => {
                Changed::Impossible(before.state)
            }
            Step::To(state) if !seen.insert(*reference) => Changed::Already(state),
            Step::To(state) => {
                steps.push(taken(before, decision, state, calendar, now)?);
                Changed::To(state)
            }
            Step::Already => Changed::Already(before.state),
            Step::Impossible => Changed::Impossible(before.state),
        });
    }
    write(conn, now, by, steps, &stored).await?;
    Ok(answers)
}

/// What a decision does to a conversion: reinstated, one that was never approved waits again.
fn step(before: &Stored, action: Action) -> Step {
    match before.state.after(action) {
        Step::To(State::Approved)
            if action == Action::Reinstate && before.approved_version.is_none() =>
        {
            Step::To(State::Pending)
        }
        step => step,
    }
}

/// A conversion after a decision, and what it posts.
struct Taken {
    decision: Decision,
    after: Stored,
    posting: Posting,
}

fn taken(
    before: &Stored,
    decision: &Decision,
    state: State,
    calendar: Calendar,
    now: DateTime<Utc>,
) -> Result<Taken, ConversionError> {
    let action = decision.action;
    let day = calendar.effective(now);
    let version = before.version + 1;
    let subject = before.subject(version, day, Vec::new())?;
    let share = share_of(before.state);
    let mut after = Stored {
        state,
        version,
        ..before.clone()
    };
    let owed = before.amounts.publisher_due();
    let posting = match (action, before.state, state) {
        (Action::Approve, _, _) => {
            after.approved_version = Some(version);
            posting::approved::approved(&subject, &before.amounts, share)?
        }
        (Action::Reject, _, _)
        | (Action::Reverse, State::Pending | State::OnHold(HeldFrom::Pending), _) => {
            after.earn(Components::zero(before.order.currency()))?;
            posting::rejected::rejected(&subject, &before.amounts, share)?
        }
        (Action::Hold, _, State::OnHold(from)) => posting::held::held(&subject, owed, from)?,
        (Action::Release, State::OnHold(from), _) => {
            posting::released::released(&subject, owed, from)?
        }
        (Action::Reinstate, _, State::Pending) => {
            after.earn(before.priced()?)?;
            let subject = after.subject(version, day, Vec::new())?;
            posting::pending::pending(&subject, &after.amounts)?
        }
        (Action::Reverse, _, _) => {
            after.earn(Components::zero(before.order.currency()))?;
            let approval = approval_of(before, day)?;
            posting::reversed::reversed(&subject, &before.amounts, share, approval.as_ref())?
        }
        (Action::Reinstate, _, _) => {
            after.earn(before.priced()?)?;
            let subject = after.subject(version, day, Vec::new())?;
            // A reversal of a share on hold, or with a refund since, is no mirror of what returns.
            let mirrors = before.was(Action::Reverse, State::Approved);
            let reversal = mirrors
                .then(|| reversal_of(before, &after, day))
                .transpose()?;
            posting::reinstated::reinstated(&subject, &after.amounts, reversal.as_ref())?
        }
        (Action::Hold | Action::Release, _, _) => Posting::default(),
    };
    Ok(Taken {
        decision: decision.clone(),
        after,
        posting,
    })
}

/// A day on which entries count, and the closed month they come from, if one.
type Day = (chrono::NaiveDate, Option<ledger::Period>);

/// The reversal that a reinstatement may mirror, of what it brings back.
fn reversal_of(before: &Stored, after: &Stored, day: Day) -> Result<Reversal, ConversionError> {
    Ok(Reversal {
        subject: after.subject(before.version, day, Vec::new())?,
        approval: approval_of(after, day)?,
    })
}

/// The approval that a reversal may mirror: none if a refund changed the amounts since, or somebody
/// else was credited.
fn approval_of(stored: &Stored, day: Day) -> Result<Option<Approval>, ConversionError> {
    let stands = |version: &i32| stored.refunded.is_zero() && stored.attributed_version <= *version;
    let approval = |version| -> Result<Approval, ConversionError> {
        Ok(Approval {
            subject: stored.subject(version, day, Vec::new())?,
        })
    };
    stored
        .approved_version
        .filter(stands)
        .map(approval)
        .transpose()
}

/// Where the publisher's share stands in a state.
pub(super) fn share_of(state: State) -> Share {
    match state {
        State::OnHold(HeldFrom::Pending | HeldFrom::Approved) => Share::Held,
        State::Unattributed
        | State::Pending
        | State::Approved
        | State::Rejected
        | State::Reversed => Share::Open,
    }
}

async fn write(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    steps: Vec<Taken>,
    stored: &HashMap<ConversionRef, Stored>,
) -> Result<(), ConversionError> {
    if steps.is_empty() {
        return Ok(());
    }
    let mut changes = Vec::with_capacity(steps.len());
    let mut commissions = Vec::new();
    let mut saved = Vec::with_capacity(steps.len());
    let mut postings = Vec::with_capacity(steps.len());
    let mut credits = Vec::new();
    for Taken {
        decision,
        mut after,
        posting,
    } in steps
    {
        let before = &stored[&after.reference];
        credits.extend(credits_of(&mut after, &before.parts));
        changes.push(ChangeRow {
            reference: after.reference,
            version: after.version,
            action: decision.action.as_str(),
            from: before.state,
            to: after.state,
            reason: decision.reason,
            entries: posting
                .entries
                .iter()
                .map(|entry| entry.id().value())
                .collect(),
        });
        if after.amounts != before.amounts {
            commissions.push(CommissionRow {
                reference: after.reference,
                version: after.version,
                event: after.event,
                base: after.left()?,
                amounts: after.amounts,
            });
        }
        postings.push((after.reference, posting));
        saved.push((before.version, after));
    }
    store::save(conn, now, by, &saved).await?;
    store::add_changes(conn, now, by, &changes).await?;
    store::add_commissions(conn, now, by, &commissions).await?;
    store::add_credits(conn, &credits).await?;
    store::post(conn, now, by, &postings).await
}
