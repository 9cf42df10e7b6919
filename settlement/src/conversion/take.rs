//! Taking orders in: recorded, looked at, held or approved by the program's rules; the one function
//! that every intake calls.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use ledger::{Actor, BookId, Currency, Money};
use sqlx::PgConnection;
use uuid::Uuid;

use super::change::{Decision, decide_each};
use super::{Action, ConversionError, ConversionRef, Order, Recorded, State, auto, record};
use crate::columns::column;
use crate::commission::CommissionError;
use crate::fraud::{self, RiskSettings};
use crate::rules::Rules;
use crate::rules::hold::Seen;

/// Records orders, then puts on hold what looks wrong or what the terms hold, then approves what
/// the terms approve by themselves; answers each in order, with the state it ended up in.
///
/// A fixed number of statements, whatever the count, in the caller's database transaction.
///
/// # Errors
/// Only for the whole batch; what is wrong with one order is its own answer.
pub async fn take(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    risk: &RiskSettings,
    orders: &[Order],
) -> Result<Vec<Recorded>, ConversionError> {
    let mut answers = record(conn, now, by, orders).await?;
    let new: Vec<ConversionRef> = answers
        .iter()
        .filter_map(|answer| match answer {
            Recorded::New(reference, State::Pending) => Some(*reference),
            Recorded::New(..)
            | Recorded::Duplicate(_)
            | Recorded::Conflict(..)
            | Recorded::Refused(_) => None,
        })
        .collect();
    if new.is_empty() {
        return Ok(answers);
    }
    let held = holds(conn, &new).await?;
    if !held.is_empty() {
        let _ = decide_each(conn, now, by, &held).await?;
    }
    let seen = fraud::assess(conn, now, by, risk, &new).await?;
    let approved = auto::approve(conn, now, by, &new).await?;
    if held.is_empty() && seen.is_empty() && approved.is_empty() {
        return Ok(answers);
    }
    let states = states(conn, &new).await?;
    for answer in &mut answers {
        if let Recorded::New(reference, state) = answer
            && let Some(now) = states.get(reference)
        {
            *state = *now;
        }
    }
    Ok(answers)
}

/// What the terms of new conversions hold, each with its reason.
async fn holds(
    conn: &mut PgConnection,
    new: &[ConversionRef],
) -> Result<Vec<(ConversionRef, Decision)>, ConversionError> {
    let rows = sqlx::query!(
        r#"
        select c.book_id, c.id, c.order_amount, c.currency, c.click_id is not null as "clicked!",
               t.rules,
               (select count(*) from (
                    select 1 from settlement.conversion o
                    where o.book_id = c.book_id and o.program_id = c.program_id
                      and o.publisher_id = c.publisher_id
                      and (o.occurred_at, o.id) < (c.occurred_at, c.id)
                    limit 10000) earlier) as "earlier!"
        from unnest($1::bigint[], $2::uuid[]) as u (book_id, id)
        join settlement.conversion c on c.book_id = u.book_id and c.id = u.id
        join settlement.program_terms t on t.book_id = c.book_id and t.program_id = c.program_id
             and t.version = c.terms_version
        where t.rules ? 'holds'
        "#,
        &column(new, |r| r.book.value()),
        &column(new, |r| r.id),
    )
    .fetch_all(conn)
    .await?;
    let mut held = Vec::new();
    for row in rows {
        let wrong = |problem: &str| ConversionError::Inconsistent {
            conversion: row.id,
            problem: problem.to_owned(),
        };
        let currency: Currency = row.currency.parse().map_err(|_| wrong("currency"))?;
        let order = Money::try_from_minor(row.order_amount, currency);
        let seen = Seen {
            order: order.map_err(|_| wrong("order_amount"))?,
            earlier: u64::try_from(row.earlier).unwrap_or(0),
            has_click: row.clicked,
        };
        let rules: Rules = serde_json::from_value(row.rules).map_err(|_| wrong("rules"))?;
        let mut reasons = Vec::new();
        for hold in &rules.holds {
            reasons.extend(hold.reason(&seen).map_err(CommissionError::from)?);
        }
        if !reasons.is_empty() {
            let reference = ConversionRef {
                book: BookId::from_value(row.book_id),
                id: row.id,
            };
            let decision = Decision {
                action: Action::Hold,
                reason: reasons.join("; "),
            };
            held.push((reference, decision));
        }
    }
    Ok(held)
}

/// The states of conversions now.
async fn states(
    conn: &mut PgConnection,
    conversions: &[ConversionRef],
) -> Result<HashMap<ConversionRef, State>, ConversionError> {
    let rows = sqlx::query!(
        r#"
        select c.book_id, c.id, c.state, c.held_from
        from unnest($1::bigint[], $2::uuid[]) as u (book_id, id)
        join settlement.conversion c on c.book_id = u.book_id and c.id = u.id
        "#,
        &column(conversions, |r| r.book.value()),
        &column(conversions, |r| r.id),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let state = State::named(&row.state, row.held_from.as_deref());
            let state = state.ok_or_else(|| inconsistent(row.id))?;
            let book = BookId::from_value(row.book_id);
            Ok((ConversionRef { book, id: row.id }, state))
        })
        .collect()
}

fn inconsistent(conversion: Uuid) -> ConversionError {
    ConversionError::Inconsistent {
        conversion,
        problem: "state".to_owned(),
    }
}
