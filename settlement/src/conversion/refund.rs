//! Refunds: what is left of an order is priced again at the frozen rate, and the difference posted.
//!
//! A refund counts once per reference. One that fits no order, or more than one, or exceeds what is
//! left, is parked where finance sees it ([`super::parked`]) and never dropped; it is applied when
//! its order is recorded, or when it is reported again and fits.

mod events;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use ledger::{Actor, Amount, BookId, Cause, Money};
use sqlx::PgConnection;
use uuid::Uuid;

use super::change::share_of;
use super::parked::{self, Parked, Reason};
use super::parts::{CreditRow, credits_of};
use super::state::State;
use super::store::{self, ChangeRow, CommissionRow};
use super::stored::{self, Stored};
use super::{ConversionError, ConversionRef, find, is_plain};
use crate::columns::column;
use crate::commission::CommissionError;
use crate::network::Calendar;
use crate::posting::held::HeldFrom;
use crate::posting::{self, Posting, Subject};
use events::{Known, event_of};

/// A refund as a brand reports it.
#[expect(
    clippy::struct_field_names,
    reason = "refund_ref is the name in every file and table"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// The brand's own reference of the refund, 1 to 200 characters, unique within the program.
    pub refund_ref: String,
    /// The order it belongs to, if the brand says so.
    pub order_ref: Option<String>,
    /// Only in this book, if the brand is known.
    pub book: Option<BookId>,
    /// When it happened, UTC.
    pub occurred_at: DateTime<Utc>,
    /// How much of the order's value.
    pub amount: Amount,
    /// Why, by code and in words; kept with the change.
    pub reason: Option<String>,
    /// What else the sender said, for whoever has to find the order.
    pub note: String,
}

/// The answer to one refund.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a refund may have been parked"]
pub enum Refunded {
    /// Taken into account; the state the conversion is in now.
    Applied(ConversionRef, State),
    /// Taken into account before.
    Duplicate(ConversionRef),
    /// Recorded before with another amount, or of another order; what was recorded stands.
    Conflict(ConversionRef, Money),
    /// Parked for finance, now or before.
    Parked(Reason),
    /// Not taken in at all.
    Refused(RefundRefusal),
}

/// Why a refund was not even parked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefundRefusal {
    /// A reference or note cannot be stored or shown.
    #[error("{0:?} cannot be stored; give 1 to 200 characters without control characters")]
    Text(String),
}

/// Takes refunds into account; answers each in order.
///
/// A fixed number of statements, whatever the count. Several refunds of one order are applied in
/// the order given.
///
/// # Errors
/// Only for the whole batch; nothing of it may then be committed.
pub async fn refund(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    refunds: &[Refund],
) -> Result<Vec<Refunded>, ConversionError> {
    let targets = targets_of(conn, refunds).await?;
    let mut found: Vec<ConversionRef> = targets
        .iter()
        .filter_map(|t| t.as_ref().ok())
        .copied()
        .collect();
    found.sort_unstable();
    found.dedup();
    let stored = stored::lock(conn, &found).await?;
    let known = events::known(conn, &stored, refunds, &targets).await?;
    let calendar = Calendar::read(conn).await?;
    let mut work = Work {
        stored,
        known,
        ..Work::default()
    };
    let mut answers = Vec::with_capacity(refunds.len());
    for (position, (refund, target)) in refunds.iter().zip(targets).enumerate() {
        let answer = match target {
            Err(answer) => answer,
            Ok(reference) => work.apply(position, refund, reference, calendar)?,
        };
        answers.push(answer);
    }
    work.write(conn, now, by, refunds, &answers).await?;
    Ok(answers)
}

/// The conversion of each refund, or the answer where there is none.
async fn targets_of(
    conn: &mut PgConnection,
    refunds: &[Refund],
) -> Result<Vec<Result<ConversionRef, Refunded>>, ConversionError> {
    let mut order_refs: Vec<String> = refunds
        .iter()
        .filter(|r| flaw(r).is_none())
        .filter_map(|r| r.order_ref.clone())
        .collect();
    order_refs.sort_unstable();
    order_refs.dedup();
    let orders = find::find_by_order(conn, &order_refs).await?;
    Ok(refunds
        .iter()
        .map(|refund| {
            if let Some(flaw) = flaw(refund) {
                return Err(Refunded::Refused(flaw));
            }
            let candidates: Vec<_> = refund
                .order_ref
                .as_ref()
                .and_then(|order_ref| orders.get(order_ref))
                .into_iter()
                .flatten()
                .filter(|(reference, _)| refund.book.is_none_or(|book| book == reference.book))
                .collect();
            match candidates.as_slice() {
                [] => Err(Refunded::Parked(Reason::OrderUnknown)),
                [(reference, currency)] if *currency == refund.amount.currency() => Ok(*reference),
                [_] => Err(Refunded::Parked(Reason::CurrencyDiffers)),
                _ => Err(Refunded::Parked(Reason::OrderAmbiguous)),
            }
        })
        .collect())
}

fn flaw(refund: &Refund) -> Option<RefundRefusal> {
    let texts = [Some(&refund.refund_ref), refund.order_ref.as_ref()];
    let bad = texts.into_iter().flatten().find(|text| !is_plain(text));
    let bad = bad.or_else(|| Some(&refund.note).filter(|note| note.contains('\0')));
    bad.map(|text| RefundRefusal::Text(text.clone()))
}

/// A batch of refunds being applied.
#[derive(Default)]
struct Work {
    stored: HashMap<ConversionRef, Stored>,
    known: Known,
    before: HashMap<ConversionRef, i32>,
    events: Vec<(usize, ConversionRef, Uuid)>,
    changes: Vec<ChangeRow>,
    commissions: Vec<CommissionRow>,
    credits: Vec<CreditRow>,
    postings: Vec<(ConversionRef, Posting)>,
}

impl Work {
    fn apply(
        &mut self,
        position: usize,
        refund: &Refund,
        reference: ConversionRef,
        calendar: Calendar,
    ) -> Result<Refunded, ConversionError> {
        let Some(stored) = self.stored.get_mut(&reference) else {
            return Ok(Refunded::Parked(Reason::OrderUnknown));
        };
        let event = event_of(stored, refund);
        if let Some((minor, order_ref)) = self.known.get(&event) {
            let stands = Money::try_from_minor(*minor, stored.reported().0.currency())
                .map_err(CommissionError::from)?;
            return Ok(
                if stands == refund.amount.money() && *order_ref == stored.order_ref {
                    Refunded::Duplicate(reference)
                } else {
                    Refunded::Conflict(reference, stands)
                },
            );
        }
        if refund.amount.minor() > stored.left_reported()?.minor() {
            return Ok(Refunded::Parked(Reason::ExceedsOrder));
        }
        self.known
            .insert(event, (refund.amount.minor(), stored.order_ref.clone()));
        self.before.entry(reference).or_insert(stored.version);
        let step = step(stored, refund, event, calendar)?;
        self.events.push((position, reference, event));
        let state = step.change.to;
        self.changes.push(step.change);
        self.commissions.extend(step.commission);
        self.credits.extend(step.credits);
        self.postings.push((reference, step.posting));
        Ok(Refunded::Applied(reference, state))
    }

    async fn write(
        self,
        conn: &mut PgConnection,
        now: DateTime<Utc>,
        by: &Actor,
        refunds: &[Refund],
        answers: &[Refunded],
    ) -> Result<(), ConversionError> {
        let parked: Vec<Parked<'_>> = refunds
            .iter()
            .zip(answers)
            .filter_map(|(refund, answer)| match answer {
                Refunded::Parked(reason) => Some(Parked {
                    refund,
                    reason: *reason,
                }),
                Refunded::Applied(..)
                | Refunded::Duplicate(_)
                | Refunded::Conflict(..)
                | Refunded::Refused(_) => None,
            })
            .collect();
        if !parked.is_empty() {
            parked::park(conn, now, by, &parked).await?;
        }
        if self.events.is_empty() {
            return Ok(());
        }
        let applied = column(&self.events, |(at, ..)| parked::id(&refunds[*at]));
        parked::resolve(conn, now, by, &applied, "applied to its order").await?;
        let saved: Vec<(i32, Stored)> = self
            .before
            .iter()
            .map(|(reference, version)| (*version, self.stored[reference].clone()))
            .collect();
        events::insert(conn, now, by, &self.stored, &self.events, refunds).await?;
        store::save(conn, now, by, &saved).await?;
        store::add_changes(conn, now, by, &self.changes).await?;
        store::add_commissions(conn, now, by, &self.commissions).await?;
        store::add_credits(conn, &self.credits).await?;
        store::post(conn, now, by, &self.postings).await
    }
}

/// What one refund does to a conversion.
struct RefundStep {
    change: ChangeRow,
    commission: Option<CommissionRow>,
    credits: Vec<CreditRow>,
    posting: Posting,
}

fn step(
    stored: &mut Stored,
    refund: &Refund,
    event: Uuid,
    calendar: Calendar,
) -> Result<RefundStep, ConversionError> {
    let (before, share) = (stored.clone(), share_of(stored.state));
    stored.version += 1;
    stored.give_back(refund.amount.money())?;
    let stage = match before.state {
        State::Pending | State::OnHold(HeldFrom::Pending) => Some(HeldFrom::Pending),
        State::Approved | State::OnHold(HeldFrom::Approved) => Some(HeldFrom::Approved),
        // Nothing is in force: the refund is kept, and nothing moves.
        State::Unattributed | State::Rejected | State::Reversed => None,
    };
    let mut posting = Posting::default();
    if let Some(stage) = stage {
        stored.earn(stored.priced()?)?;
        if stored.is_returned() {
            stored.state = State::Reversed;
        }
        // It counts no earlier than what it takes back.
        let since = match stage {
            HeldFrom::Pending => before.occurred_at,
            HeldFrom::Approved => before.earned_at.unwrap_or(before.occurred_at),
        };
        let day = calendar.effective(refund.occurred_at.max(since));
        let because = vec![Cause::new("refund", &refund.refund_ref)];
        let less = before.parts.less(&stored.parts);
        let subject = Subject {
            split: less.map_err(CommissionError::from)?,
            ..stored.subject(stored.version, day, because)?
        };
        let less = before.amounts.minus(stored.amounts)?;
        posting = posting::refunded::refunded(&subject, &less, stage, share)?;
    }
    let change = ChangeRow {
        reference: stored.reference,
        version: stored.version,
        action: "refund",
        from: before.state,
        to: stored.state,
        reason: because(refund),
        entries: column(&posting.entries, |entry| entry.id().value()),
    };
    let left = stored.left()?;
    let commission = (stored.amounts != before.amounts).then_some(CommissionRow {
        reference: stored.reference,
        version: stored.version,
        event,
        base: left,
        amounts: stored.amounts,
    });
    Ok(RefundStep {
        change,
        commission,
        credits: credits_of(stored, &before.parts),
        posting,
    })
}

/// Which refund it was, how much, and why if that was said.
fn because(refund: &Refund) -> String {
    let what = format!("refund {} of {}", refund.refund_ref, refund.amount.money());
    match &refund.reason {
        Some(reason) => format!("{what}, {reason}"),
        None => what,
    }
}
