//! What has to be known to price a batch of orders, gathered in a fixed number of statements.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use ledger::{BookId, Money};
use sqlx::PgConnection;
use uuid::Uuid;

use super::Accepted;
use super::attribute::Credit;
use super::room::{self, Case, Room};
use crate::columns::column;
use crate::commission::CommissionError;
use crate::conversion::ConversionError;
use crate::network::Calendar;
use crate::party::ProgramRef;
use crate::rates::{self, Table};
use crate::rules::book::{self, Tiers};
use crate::rules::{RateAt, RateRule};
use crate::terms::Terms;

/// What each credited publisher sold in a program, up to the order at hand.
pub(super) type Volumes = HashMap<(ProgramRef, Uuid), (u64, Money)>;

/// What is known; orders of the batch add to it one after the other.
pub(super) struct Facts {
    /// The moment of the click behind an order, by book and click.
    pub clicked: HashMap<(BookId, Uuid), DateTime<Utc>>,
    /// Rate rules by program.
    pub rules: HashMap<ProgramRef, Vec<RateRule>>,
    /// Tiers given by hand.
    pub tiers: Tiers,
    /// Sales so far, where a rule has tiers.
    pub volumes: Volumes,
    /// The first order of each customer in a program.
    pub customers: HashMap<(ProgramRef, String), DateTime<Utc>>,
    /// What stands under the caps.
    pub room: Room,
    /// Rates of exchange.
    pub rates: Table,
}

/// Locks the programs whose orders are priced by what came before, then reads everything.
pub(super) async fn gather(
    conn: &mut PgConnection,
    fresh: &[Accepted<'_>],
    credits: &[Credit],
    calendar: Calendar,
) -> Result<Facts, ConversionError> {
    let clicked = clicked(conn, fresh, credits).await?;
    let looks_back = fresh.iter().zip(credits).filter(|(item, credit)| {
        item.terms.rules.looks_back() || promised(item, credit, &clicked).rule.counts().is_some()
    });
    let looks_back = looks_back.map(|(item, _)| item.order.program).collect();
    room::lock(conn, looks_back).await?;
    let mut programs = column(fresh, |item| item.order.program);
    programs.sort_unstable();
    programs.dedup();
    let mut publishers: Vec<Uuid> = credits.iter().filter_map(|c| c.publisher).collect();
    publishers.sort_unstable();
    publishers.dedup();
    let rules = book::rate_rules(conn, &programs, &publishers).await?;
    let volumes = volumes(conn, fresh, credits, &clicked).await?;
    let tiers = if volumes.is_empty() {
        Tiers::new()
    } else {
        let asked: Vec<_> = volumes.keys().copied().collect();
        book::tiers(conn, &asked).await?
    };
    let cases: Vec<Case<'_>> = fresh
        .iter()
        .zip(credits)
        .map(|(item, credit)| item.case(credit.publisher))
        .collect();
    Ok(Facts {
        customers: customers(conn, fresh).await?,
        room: Room::read(conn, calendar.zone(), &cases, &[]).await?,
        rates: rates::quotes(conn, &asked(fresh, calendar)).await?,
        clicked,
        rules,
        tiers,
        volumes,
    })
}

/// The terms whose rate counts: those of the click's moment, if the terms of the order say so and
/// both speak of the same currency; else those of the order.
pub(super) fn promised<'a>(
    item: &Accepted<'a>,
    credit: &Credit,
    clicked: &HashMap<(BookId, Uuid), DateTime<Utc>>,
) -> &'a Terms {
    rated_at(item, credit, clicked)
        .and_then(|at| {
            let mut versions = item.versions.iter().rev();
            versions.find(|(_, terms)| terms.effective_from <= at)
        })
        .map(|(_, terms)| terms)
        .filter(|terms| terms.currency == item.terms.currency)
        .unwrap_or(item.terms)
}

/// The click's moment, if it decides the rate.
pub(super) fn rated_at(
    item: &Accepted<'_>,
    credit: &Credit,
    clicked: &HashMap<(BookId, Uuid), DateTime<Utc>>,
) -> Option<DateTime<Utc>> {
    if item.terms.rules.rate_at != RateAt::Click {
        return None;
    }
    clicked
        .get(&(item.order.program.book, credit.click?))
        .copied()
}

/// When the clicks were made, for the orders whose rate is the click's.
async fn clicked(
    conn: &mut PgConnection,
    fresh: &[Accepted<'_>],
    credits: &[Credit],
) -> Result<HashMap<(BookId, Uuid), DateTime<Utc>>, ConversionError> {
    let asked: Vec<(BookId, Uuid)> = fresh
        .iter()
        .zip(credits)
        .filter(|(item, _)| item.terms.rules.rate_at == RateAt::Click)
        .filter_map(|(item, credit)| Some((item.order.program.book, credit.click?)))
        .collect();
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        r#"
        select k.book_id, k.id, k.clicked_at
        from unnest($1::bigint[], $2::uuid[]) as u (book_id, id)
        join settlement.click k on k.book_id = u.book_id and k.id = u.id
        "#,
        &column(&asked, |(book, _)| book.value()),
        &column(&asked, |(_, click)| *click),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| ((BookId::from_value(row.book_id), row.id), row.clicked_at))
        .collect())
}

/// What was sold before this batch, for the programs whose rule has tiers; one statement, or none.
async fn volumes(
    conn: &mut PgConnection,
    fresh: &[Accepted<'_>],
    credits: &[Credit],
    clicked: &HashMap<(BookId, Uuid), DateTime<Utc>>,
) -> Result<Volumes, ConversionError> {
    let mut volumes: Volumes = fresh
        .iter()
        .zip(credits)
        .filter(|(item, credit)| promised(item, credit, clicked).rule.counts().is_some())
        .filter_map(|(item, credit)| {
            let nothing = Money::zero(item.terms.currency);
            credit
                .publisher
                .map(|publisher| ((item.order.program, publisher), (0, nothing)))
        })
        .collect();
    if volumes.is_empty() {
        return Ok(volumes);
    }
    let asked: Vec<(ProgramRef, Uuid)> = volumes.keys().copied().collect();
    let query = sqlx::query!(
        r#"
        select u.book_id as "book_id!", u.program_id as "program_id!",
               u.publisher_id as "publisher_id!", count(*) as "orders!",
               sum(c.order_amount)::bigint as "value!"
        from unnest($1::bigint[], $2::uuid[], $3::uuid[]) as u (book_id, program_id, publisher_id)
        join settlement.conversion c on c.book_id = u.book_id and c.program_id = u.program_id
             and c.publisher_id = u.publisher_id
        group by u.book_id, u.program_id, u.publisher_id
        "#,
        &column(&asked, |(program, _)| program.book.value()),
        &column(&asked, |(program, _)| program.id),
        &column(&asked, |(_, publisher)| *publisher),
    );
    let rows = query.fetch_all(conn).await?;
    for row in rows {
        let program = ProgramRef {
            book: BookId::from_value(row.book_id),
            id: row.program_id,
        };
        if let Some(volume) = volumes.get_mut(&(program, row.publisher_id)) {
            let value = Money::try_from_minor(row.value, volume.1.currency());
            let value = value.map_err(CommissionError::from)?;
            *volume = (u64::try_from(row.orders).unwrap_or(0), value);
        }
    }
    Ok(volumes)
}

/// The first order of each customer, where the orders say who ordered.
async fn customers(
    conn: &mut PgConnection,
    fresh: &[Accepted<'_>],
) -> Result<HashMap<(ProgramRef, String), DateTime<Utc>>, ConversionError> {
    let mut asked: Vec<(ProgramRef, String)> = fresh
        .iter()
        .filter_map(|item| Some((item.order.program, item.order.customer()?)))
        .collect();
    asked.sort_unstable();
    asked.dedup();
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        r#"
        select u.book_id as "book_id!", u.program_id as "program_id!", u.customer as "customer!",
               first.occurred_at
        from unnest($1::bigint[], $2::uuid[], $3::text[]) as u (book_id, program_id, customer)
        cross join lateral (
            select c.occurred_at from settlement.conversion c
            where c.book_id = u.book_id and c.program_id = u.program_id
              and c.customer = u.customer
            order by c.occurred_at limit 1
        ) first
        "#,
        &column(&asked, |(program, _)| program.book.value()),
        &column(&asked, |(program, _)| program.id),
        &column(&asked, |(_, customer)| customer.clone()),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let program = ProgramRef {
                book: BookId::from_value(row.book_id),
                id: row.program_id,
            };
            ((program, row.customer), row.occurred_at)
        })
        .collect())
}

/// The rates that orders in another currency than their program's ask for.
fn asked(fresh: &[Accepted<'_>], calendar: Calendar) -> Vec<rates::Asked> {
    fresh
        .iter()
        .map(|item| rates::Asked {
            from: item.order.amount.currency(),
            into: item.terms.currency,
            day: calendar.day(item.order.occurred_at),
        })
        .filter(|asked| asked.from != asked.into)
        .collect()
}
