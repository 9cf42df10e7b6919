//! Pricing an order: the rule frozen at the publisher's standing, the amounts, the posting.

use std::collections::HashMap;

use ledger::{BookId, Money};
use sqlx::PgConnection;
use uuid::Uuid;

use super::Accepted;
use super::attribute::Credit;
use crate::columns::column;
use crate::commission::{Basis, CommissionError, Frozen, Standing, Volume};
use crate::conversion::{ConversionError, ConversionRef, State};
use crate::fees::Components;
use crate::network::Calendar;
use crate::party::ProgramRef;
use crate::posting::{self, Posting, Subject};
use crate::terms::Unattributed;

/// What each credited publisher sold in a program with tiers, up to the order at hand.
pub(super) type Volumes = HashMap<(ProgramRef, Uuid), (u64, Money)>;

/// A priced conversion, ready to be written.
pub(super) struct Priced<'a> {
    pub item: Accepted<'a>,
    pub reference: ConversionRef,
    pub credit: Credit,
    pub state: State,
    pub frozen: Frozen,
    pub amounts: Components,
    pub posting: Posting,
}

/// What was sold before this batch, for the programs that ask; one statement, or none.
pub(super) async fn volumes(
    conn: &mut PgConnection,
    fresh: &[Accepted<'_>],
    credits: &[Credit],
) -> Result<Volumes, ConversionError> {
    let mut volumes: Volumes = fresh
        .iter()
        .zip(credits)
        .filter(|(item, _)| item.terms.rule.counts().is_some())
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
        let book = BookId::from_value(row.book_id);
        let key = (
            ProgramRef {
                book,
                id: row.program_id,
            },
            row.publisher_id,
        );
        if let Some(volume) = volumes.get_mut(&key) {
            let value = Money::try_from_minor(row.value, volume.1.currency());
            let value = value.map_err(CommissionError::from)?;
            *volume = (u64::try_from(row.orders).unwrap_or(0), value);
        }
    }
    Ok(volumes)
}

/// Freezes the rule, computes the amounts and builds the entries of one order.
pub(super) fn price<'a>(
    item: Accepted<'a>,
    credit: Credit,
    volumes: &mut Volumes,
    calendar: Calendar,
) -> Result<Priced<'a>, ConversionError> {
    let Accepted { order, terms, .. } = item;
    let frozen = terms.rule.freeze(&standing(item, &credit, volumes)?)?;
    let reference = item.reference();
    let owed = credit.publisher.is_some() || terms.unattributed == Unattributed::HouseIncome;
    let (state, amounts) = if owed {
        let gross = frozen
            .pays
            .gross(Basis::of(order.amount.money())?, terms.rounding)?;
        let fees = terms.fees_of(credit.publisher);
        (State::Pending, Components::of(gross, fees, terms.rounding)?)
    } else {
        (State::Unattributed, Components::zero(terms.currency))
    };
    let (effective, origin) = calendar.effective(order.occurred_at);
    let subject = Subject {
        book: order.program.book,
        conversion: reference.id,
        order_ref: order.order_ref.clone(),
        click: credit.click,
        publisher: credit.publisher,
        currency: terms.currency,
        recognition: terms.recognition_point,
        presentation: terms.presentation,
        version: 1,
        effective,
        origin,
        because: Vec::new(),
    };
    let posting = posting::pending::pending(&subject, &amounts)?;
    Ok(Priced {
        item,
        reference,
        credit,
        state,
        frozen,
        amounts,
        posting,
    })
}

/// The publisher's standing before this order, which then counts for the next.
fn standing(
    item: Accepted<'_>,
    credit: &Credit,
    volumes: &mut Volumes,
) -> Result<Standing, ConversionError> {
    let Some(counted) = item.terms.rule.counts() else {
        return Ok(Standing::default());
    };
    let so_far = credit
        .publisher
        .and_then(|publisher| volumes.get_mut(&(item.order.program, publisher)));
    let volume = match (&so_far, counted) {
        (Some((orders, _)), Volume::Orders(_)) => Volume::Orders(*orders),
        (Some((_, value)), Volume::OrderValue(_)) => Volume::OrderValue(*value),
        (None, nothing) => nothing,
    };
    if let Some((orders, value)) = so_far {
        *orders += 1;
        *value = value
            .checked_add(item.order.amount.money())
            .map_err(CommissionError::from)?;
    }
    Ok(Standing {
        volume: Some(volume),
        ..Standing::default()
    })
}
