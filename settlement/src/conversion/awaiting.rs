//! Orders in another currency that wait for a rate of exchange, priced as soon as there is one.
//!
//! Such an order is recorded at once, pending and worth nothing, so nothing is guessed and nothing
//! lost; it cannot be approved. Its rule, tier and bonus were frozen then; what is left to do is to
//! convert it, to see whether it fits under the caps, and to post what a pending order posts.

use chrono::{DateTime, Utc};
use ledger::{Actor, BookId, Money};
use sqlx::PgConnection;

use super::change::{Decision, decide_each};
use super::parts::{CreditRow, credits_of};
use super::record::price::converted;
use super::record::room::{self, Case, Room};
use super::state::{Action, State};
use super::store::{self, ChangeRow, CommissionRow};
use super::stored::{self, Stored};
use super::{ConversionError, ConversionRef};
use crate::columns::column;
use crate::fees::Components;
use crate::network::Calendar;
use crate::party::ProgramRef;
use crate::posting::held::HeldFrom;
use crate::posting::{self, Posting};
use crate::rates::{self, Quote};

/// Prices conversions for whose day there is a rate now, the oldest first, so many at once; answers
/// which. Call it after rates were imported, until it answers nothing.
///
/// # Errors
/// Only for the whole batch; nothing of it may then be committed.
pub async fn price_awaiting(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    limit: i64,
) -> Result<Vec<ConversionRef>, ConversionError> {
    let calendar = Calendar::read(conn).await?;
    let waiting = waiting(conn, limit, calendar).await?;
    // As recording does it: first the programs, then the conversions, then the books.
    room::lock(conn, column(&waiting, |(_, program)| *program)).await?;
    let references = column(&waiting, |(reference, _)| *reference);
    let mut stored: Vec<Stored> = stored::lock(conn, &references)
        .await?
        .into_values()
        .collect();
    stored.retain(Stored::awaits_rate);
    stored.sort_by_key(|stored| (stored.occurred_at, stored.reference));
    let table = rates::quotes(conn, &column(&stored, |s| asked(s, calendar))).await?;
    let cases: Vec<Case<'_>> = stored.iter().map(case).collect();
    let ids = column(&stored, |s| s.reference.id);
    let mut room = Room::read(conn, calendar.zone(), &cases, &ids).await?;
    let mut work = Work::default();
    for before in &stored {
        let asked = asked(before, calendar);
        let Some(quote) = table.resolve(asked.from, asked.into, asked.day) else {
            continue;
        };
        let Some(worth) = converted(&quote, before.reported().0, &before.terms) else {
            continue;
        };
        work.price(before, quote, worth, &mut room, calendar)?;
    }
    work.write(conn, now, by).await
}

/// Conversions that wait and for whose day some rate of their currency is stored by now.
async fn waiting(
    conn: &mut PgConnection,
    limit: i64,
    calendar: Calendar,
) -> Result<Vec<(ConversionRef, ProgramRef)>, ConversionError> {
    let rows = sqlx::query!(
        r#"
        select c.book_id, c.id, c.program_id
        from settlement.conversion c
        where c.original_currency is not null and c.fx is null
          and c.state in ('unattributed', 'pending', 'on_hold')
          and exists (
              select from settlement.fx_rate f
              where c.original_currency in (f.base, f.quote)
                and f.day between (c.occurred_at at time zone $2)::date - $3::int
                              and (c.occurred_at at time zone $2)::date)
        order by c.occurred_at, c.id
        limit $1
        "#,
        limit,
        calendar.zone().name(),
        i32::try_from(rates::MAX_AGE_DAYS).unwrap_or(i32::MAX),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let book = BookId::from_value(row.book_id);
            let program = ProgramRef {
                book,
                id: row.program_id,
            };
            (ConversionRef { book, id: row.id }, program)
        })
        .collect())
}

fn asked(stored: &Stored, calendar: Calendar) -> rates::Asked {
    rates::Asked {
        from: stored.reported().0.currency(),
        into: stored.terms.currency,
        day: calendar.day(stored.occurred_at),
    }
}

fn case(stored: &Stored) -> Case<'_> {
    Case {
        program: stored.program,
        terms: &stored.terms,
        publisher: stored.publisher,
        occurred_at: stored.occurred_at,
    }
}

#[derive(Default)]
struct Work {
    saved: Vec<(i32, Stored)>,
    changes: Vec<ChangeRow>,
    commissions: Vec<CommissionRow>,
    credits: Vec<CreditRow>,
    postings: Vec<(ConversionRef, Posting)>,
    refused: Vec<(ConversionRef, Decision)>,
}

impl Work {
    fn price(
        &mut self,
        before: &Stored,
        quote: Quote,
        worth: Money,
        room: &mut Room,
        calendar: Calendar,
    ) -> Result<(), ConversionError> {
        let mut after = before.clone();
        after.version += 1;
        after.order = worth;
        let reason = format!("{} at {} of {}", before.reported().0, quote.rate, quote.day);
        if let Some(original) = &mut after.original {
            original.quote = Some(quote);
        }
        after.refunded = after.converted_refunds()?;
        let owed = before.state != State::Unattributed;
        if owed {
            after.earn(after.priced()?)?;
            after.priced_by.over = room.take(&case(before), after.amounts.gross())?;
        }
        if after.priced_by.is_refused() {
            after.earn(Components::zero(after.terms.currency))?;
            let reason = after.priced_by.reason().unwrap_or_default();
            let action = Action::Reject;
            self.refused
                .push((after.reference, Decision { action, reason }));
        }
        let posting = pending(&after, calendar)?;
        self.changes.push(ChangeRow {
            reference: after.reference,
            version: after.version,
            action: "price",
            from: before.state,
            to: after.state,
            reason,
            entries: column(&posting.entries, |entry| entry.id().value()),
        });
        self.commissions.push(CommissionRow {
            reference: after.reference,
            version: after.version,
            event: after.event,
            base: after.left()?,
            amounts: after.amounts,
        });
        self.credits.extend(credits_of(&mut after, &before.parts));
        self.postings.push((after.reference, posting));
        self.saved.push((before.version, after));
        Ok(())
    }

    async fn write(
        self,
        conn: &mut PgConnection,
        now: DateTime<Utc>,
        by: &Actor,
    ) -> Result<Vec<ConversionRef>, ConversionError> {
        if self.saved.is_empty() {
            return Ok(Vec::new());
        }
        store::save(conn, now, by, &self.saved).await?;
        store::add_changes(conn, now, by, &self.changes).await?;
        store::add_commissions(conn, now, by, &self.commissions).await?;
        store::add_credits(conn, &self.credits).await?;
        store::post(conn, now, by, &self.postings).await?;
        if !self.refused.is_empty() {
            let _ = decide_each(conn, now, by, &self.refused).await?;
        }
        Ok(column(&self.saved, |(_, stored)| stored.reference))
    }
}

/// What a pending order posts, and the hold if its share is on hold already.
fn pending(after: &Stored, calendar: Calendar) -> Result<Posting, ConversionError> {
    let day = calendar.effective(after.occurred_at);
    let subject = after.subject(after.version, day, Vec::new())?;
    let mut posting = posting::pending::pending(&subject, &after.amounts)?;
    if after.state == State::OnHold(HeldFrom::Pending) {
        let owed = after.amounts.publisher_due();
        let held = posting::held::held(&subject, owed, HeldFrom::Pending)?;
        posting.entries.extend(held.entries);
        posting.accounts.extend(held.accounts);
    }
    Ok(posting)
}

/// How many conversions wait for a rate, by the currency they wait for.
pub async fn awaited(conn: &mut PgConnection) -> Result<Vec<(String, i64)>, ConversionError> {
    let rows = sqlx::query!(
        r#"
        select original_currency as "currency!", count(*) as "orders!"
        from settlement.conversion
        where original_currency is not null and fx is null
          and state in ('unattributed', 'pending', 'on_hold')
        group by original_currency order by original_currency
        "#
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.currency, row.orders))
        .collect())
}
