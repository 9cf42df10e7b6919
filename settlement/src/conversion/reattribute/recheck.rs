//! Proving conversions: from the raw facts and the terms to what each is said to earn.
//!
//! For each conversion: who earns it follows from the clicks, users, claims and codes that were
//! recorded when it was decided; its refunds are the raw refunds; its amounts follow from the
//! order, the refunds, the frozen rate and the fees of its terms; a plain rate is the one its terms
//! promise; and the parts of several publishers are the whole. That the ledger holds the same is
//! what [`crate::reconcile`] compares.
//!
//! What depended on its moment (a tier by volume, a narrower rate rule, a bonus) is taken as it is
//! kept with the conversion, with the rule that gave it.
//!
//! What it never does: correct anything.

use std::collections::HashMap;

use ledger::Money;
use sqlx::PgConnection;
use uuid::Uuid;

use super::facts::{self, Decided, Rows};
use crate::columns::column;
use crate::commission::{CommissionError, CommissionRule, Standing};
use crate::conversion::stored::{self, Stored};
use crate::conversion::{ConversionError, ConversionRef, State};
use crate::fees::Components;
use crate::party::ProgramRef;

/// Something that does not follow from the raw facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which conversion.
    pub conversion: ConversionRef,
    /// The brand's own reference of the order.
    pub order_ref: String,
    /// What is wrong with it.
    pub problem: String,
}

/// What one page came to.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// How many conversions were computed again.
    pub conversions: usize,
    /// What does not follow; nothing, as it should be.
    pub faults: Vec<Fault>,
    /// Where the next page begins; nothing after the last.
    pub next: Option<ConversionRef>,
}

/// Computes the next conversions again, in order of book and id.
pub async fn check(
    conn: &mut PgConnection,
    program: Option<ProgramRef>,
    after: Option<ConversionRef>,
    limit: i64,
) -> Result<Checked, ConversionError> {
    let decided = facts::page(conn, Rows::AsThen(program), after, limit).await?;
    let references = column(&decided, |it| it.conversion);
    let stored = stored::read(conn, &references).await?;
    let raw = raw(conn, &references).await?;
    let mut checked = Checked {
        conversions: decided.len(),
        next: facts::next(&decided, limit),
        ..Checked::default()
    };
    for it in &decided {
        let (Some(stored), Some(raw)) = (stored.get(&it.conversion), raw.get(&it.conversion))
        else {
            continue;
        };
        let problems = problems(it, stored, *raw)?;
        checked
            .faults
            .extend(problems.into_iter().map(|problem| Fault {
                conversion: it.conversion,
                order_ref: stored.order_ref.clone(),
                problem,
            }));
    }
    Ok(checked)
}

fn problems(
    decided: &Decided,
    stored: &Stored,
    (order, refunded): (i64, i64),
) -> Result<Vec<String>, ConversionError> {
    let mut problems = Vec::new();
    if !decided.stands() {
        let leading = decided.decision.leading();
        let who = leading.map_or("nobody".to_owned(), |credit| credit.publisher.to_string());
        let has = stored
            .publisher
            .map_or("nobody".to_owned(), |whose| whose.to_string());
        let rule = decided.decision.rule;
        problems.push(format!(
            "credited to {has}, and the clicks say {who} by {rule}"
        ));
    }
    let (said, returned) = stored.reported();
    if said.minor() != order || returned.minor() != refunded {
        problems.push(format!(
            "stands at {said}, {returned} refunded; raw facts say {order} and {refunded} minor \
             units"
        ));
    }
    let due = due(stored)?;
    if due != stored.amounts {
        let (is, should) = (stored.amounts.gross(), due.gross());
        problems.push(format!(
            "commission is {is} of it {is_due}, and follows as {should} of it {due}",
            is_due = stored.amounts.publisher_due(),
            due = due.publisher_due()
        ));
    }
    let parts = stored.parts.0.iter().map(|part| part.due);
    let parts = Money::sum(due.currency(), parts).map_err(CommissionError::from)?;
    let whole = stored.amounts.publisher_due();
    if !stored.parts.0.is_empty() && parts != whole {
        problems.push(format!("parts of {parts} are not the whole of {whole}"));
    }
    if let Some(promised) = plain_rate(stored)?
        && promised != stored.frozen
    {
        problems.push("its frozen rate is not the one its terms promise".to_owned());
    }
    Ok(problems)
}

/// What a conversion has to earn in its state.
fn due(stored: &Stored) -> Result<Components, ConversionError> {
    let earns = match stored.state {
        State::Pending | State::OnHold(_) | State::Approved => true,
        State::Unattributed | State::Rejected | State::Reversed => false,
    };
    if earns && !stored.priced_by.is_refused() {
        stored.priced()
    } else {
        Ok(Components::zero(stored.terms.currency))
    }
}

/// The rate that the terms promise, where it depends on nothing but them.
fn plain_rate(stored: &Stored) -> Result<Option<crate::commission::FrozenRate>, ConversionError> {
    let by = &stored.priced_by;
    let moment = by.rule.is_some() || by.bonus.is_some() || by.rated_at.is_some();
    Ok(match &stored.terms.rule {
        rule @ (CommissionRule::Flat(_) | CommissionRule::Percentage(_)) if !moment => {
            Some(rule.freeze(&Standing::default())?.pays)
        }
        _ => None,
    })
}

/// The raw order and the sum of its raw refunds, in minor units of the order's currency.
async fn raw(
    conn: &mut PgConnection,
    references: &[ConversionRef],
) -> Result<HashMap<ConversionRef, (i64, i64)>, ConversionError> {
    let rows = sqlx::query!(
        r#"
        select c.book_id, c.id, e.amount as "amount!",
               coalesce((
                   select sum(r.amount)::bigint from settlement.event r
                   where r.book_id = c.book_id and r.program_id = c.program_id
                     and r.order_ref = c.order_ref and r.kind = 'refund'), 0) as "refunded!"
        from unnest($1::bigint[], $2::uuid[]) as u (book_id, id)
        join settlement.conversion c on c.book_id = u.book_id and c.id = u.id
        join settlement.event e on e.book_id = c.book_id and e.id = c.event_id
        "#,
        &column(references, |r| r.book.value()),
        &column(references, |r| r.id),
    )
    .fetch_all(conn)
    .await?;
    let of = |book_id, id: Uuid| ConversionRef {
        book: ledger::BookId::from_value(book_id),
        id,
    };
    Ok(rows
        .into_iter()
        .map(|row| (of(row.book_id, row.id), (row.amount, row.refunded)))
        .collect())
}
