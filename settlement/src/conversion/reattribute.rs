//! Deciding again who earned what: with another model or window, or with what was learned since.
//!
//! [`look`] says what would be different and writes nothing; [`apply`] writes it: a new version of
//! the attribution, the parts it gives, and one entry of the difference in the open month. Nothing
//! that stands is edited. Both go page by page, in a fixed number of statements each, so that a
//! network of any size passes through a bounded memory.
//!
//! The rate of a conversion is frozen: who earns may change, never what the order pays. What was
//! rejected or reversed earns nobody anything and is left alone.

mod facts;
pub mod recheck;

use chrono::{DateTime, Utc};
use ledger::{Actor, Money};
use sqlx::PgConnection;
use uuid::Uuid;

use facts::{Decided, Rows};

use super::parts::{CreditRow, Parts};
use super::state::State;
use super::store::{self, ChangeRow, CommissionRow};
use super::stored::{self, Stored};
use super::{ConversionError, ConversionRef};
use crate::attribution::Model;
use crate::attribution::decision::Decision;
use crate::columns::column;
use crate::commission::CommissionError;
use crate::fees::Components;
use crate::network::Calendar;
use crate::party::ProgramRef;
use crate::posting::held::HeldFrom;
use crate::posting::reattributed::{Credited, reattributed};
use crate::posting::{Posting, Share};
use crate::terms::Unattributed;

/// What to decide again, and by what.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scope {
    /// The model, if not each program's own.
    pub model: Option<Model>,
    /// The window in days, if not each program's own.
    pub lookback_days: Option<i32>,
    /// Only this program.
    pub program: Option<ProgramRef>,
}

/// A conversion that would be credited otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which one.
    pub conversion: ConversionRef,
    /// The brand's own reference of the order.
    pub order_ref: String,
    /// Its state now.
    pub state: State,
    /// By which rule it is decided now.
    pub rule: &'static str,
    /// What each publisher has.
    pub before: Vec<(Uuid, Money)>,
    /// What each publisher would have.
    pub after: Vec<(Uuid, Money)>,
}

/// What one page of conversions came to.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// How many were decided again.
    pub decided: usize,
    /// Which of them came out otherwise.
    pub differences: Vec<Difference>,
    /// Where the next page begins; nothing after the last.
    pub next: Option<ConversionRef>,
}

/// Decides a page again and writes nothing. `after` is the `next` of the page before.
pub async fn look(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    scope: Scope,
    after: Option<ConversionRef>,
    limit: i64,
) -> Result<Page, ConversionError> {
    let (page, _) = decide_again(conn, now, scope, after, limit, false).await?;
    Ok(page)
}

/// Decides a page again and posts the differences; run twice, it finds nothing the second time.
pub async fn apply(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    reason: &str,
    scope: Scope,
    after: Option<ConversionRef>,
    limit: i64,
) -> Result<Page, ConversionError> {
    let (page, moves) = decide_again(conn, now, scope, after, limit, true).await?;
    write(conn, now, by, reason, scope, moves).await?;
    Ok(page)
}

/// A conversion before and after.
struct Move {
    before: Stored,
    after: Stored,
    decision: Decision,
    posting: Posting,
}

async fn decide_again(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    scope: Scope,
    after: Option<ConversionRef>,
    limit: i64,
    locked: bool,
) -> Result<(Page, Vec<Move>), ConversionError> {
    let decided = facts::page(conn, Rows::Again(scope), after, limit).await?;
    let mut page = Page {
        decided: decided.len(),
        next: facts::next(&decided, limit),
        ..Page::default()
    };
    let other: Vec<Decided> = decided.into_iter().filter(|it| !it.stands()).collect();
    if other.is_empty() {
        return Ok((page, Vec::new()));
    }
    let references = column(&other, |it| it.conversion);
    let stored = if locked {
        stored::lock(conn, &references).await?
    } else {
        stored::read(conn, &references).await?
    };
    let calendar = Calendar::read(conn).await?;
    let mut moves = Vec::with_capacity(other.len());
    for it in other {
        let Some(before) = stored.get(&it.conversion) else {
            continue;
        };
        let Some(step) = moved(before, it.decision, calendar, now)? else {
            continue;
        };
        page.differences.push(Difference {
            conversion: it.conversion,
            order_ref: before.order_ref.clone(),
            state: before.state,
            rule: step.decision.rule,
            before: earned(before)?,
            after: earned(&step.after)?,
        });
        moves.push(step);
    }
    Ok((page, moves))
}

/// What each publisher has of a conversion.
fn earned(stored: &Stored) -> Result<Vec<(Uuid, Money)>, ConversionError> {
    let split = stored.parts.split().map_err(CommissionError::from)?;
    let single = || {
        let due = stored.amounts.publisher_due();
        stored
            .publisher
            .map(|publisher| (publisher, due))
            .into_iter()
            .collect()
    };
    Ok(if split.is_empty() { single() } else { split })
}

/// A conversion as it is once it is credited anew; nothing if it cannot be.
fn moved(
    before: &Stored,
    decision: Decision,
    calendar: Calendar,
    now: DateTime<Utc>,
) -> Result<Option<Move>, ConversionError> {
    let (stage, share) = match before.state {
        State::Unattributed | State::Pending => (HeldFrom::Pending, Share::Open),
        State::OnHold(from) => (from, Share::Held),
        State::Approved => (HeldFrom::Approved, Share::Open),
        State::Rejected | State::Reversed => return Ok(None),
    };
    let leading = decision.leading();
    let version = before.version + 1;
    let mut after = Stored {
        version,
        attributed_version: version,
        publisher: leading.map(|credit| credit.publisher),
        click: leading.and_then(|credit| credit.click),
        ..before.clone()
    };
    let owed = after.publisher.is_some() || after.terms.unattributed == Unattributed::HouseIncome;
    after.state = match (before.state, owed) {
        (_, false) => State::Unattributed,
        (State::Unattributed, true) => State::Pending,
        (stands, true) => stands,
    };
    after.amounts = if owed && !before.priced_by.is_refused() {
        after.priced()?
    } else {
        Components::zero(before.terms.currency)
    };
    let parts = Parts::of(&decision.shared(), after.amounts.publisher_due());
    after.parts = parts.map_err(CommissionError::from)?;
    after.credit_version = (!after.parts.0.is_empty()).then_some(version);
    let day = calendar.effective(now);
    let was = Stored {
        version,
        ..before.clone()
    };
    let credited = |stored: &Stored| -> Result<Credited, ConversionError> {
        let subject = stored.subject(version, day, Vec::new())?;
        Ok(Credited {
            subject,
            amounts: stored.amounts,
        })
    };
    let posting = reattributed(&credited(&was)?, &credited(&after)?, stage, share)?;
    Ok(Some(Move {
        before: before.clone(),
        after,
        decision,
        posting,
    }))
}

async fn write(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    reason: &str,
    scope: Scope,
    moves: Vec<Move>,
) -> Result<(), ConversionError> {
    if moves.is_empty() {
        return Ok(());
    }
    let rows: Vec<(&Stored, &Decision)> =
        moves.iter().map(|it| (&it.after, &it.decision)).collect();
    facts::supersede(conn, now, by, scope, &rows).await?;
    let mut changes = Vec::with_capacity(moves.len());
    let mut commissions = Vec::new();
    let mut credits: Vec<CreditRow> = Vec::new();
    let mut saved = Vec::with_capacity(moves.len());
    let mut postings = Vec::with_capacity(moves.len());
    for Move {
        before,
        after,
        decision,
        posting,
    } in moves
    {
        let entries = posting
            .entries
            .iter()
            .map(|entry| entry.id().value())
            .collect();
        changes.push(ChangeRow {
            reference: after.reference,
            version: after.version,
            action: "reattribute",
            from: before.state,
            to: after.state,
            reason: format!("{reason} ({})", decision.rule),
            entries,
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
        credits.extend(after.parts.rows(after.reference, after.version));
        postings.push((after.reference, posting));
        saved.push((before.version, after));
    }
    store::save(conn, now, by, &saved).await?;
    store::add_changes(conn, now, by, &changes).await?;
    store::add_commissions(conn, now, by, &commissions).await?;
    store::add_credits(conn, &credits).await?;
    store::post(conn, now, by, &postings).await
}
