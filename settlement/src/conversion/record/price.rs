//! Pricing an order: the rate that counts, frozen; the amounts; the posting. Pure, by the
//! [facts](super::facts) gathered for the batch, to which each order adds itself.

use ledger::Money;

use super::attribute::Credit;
use super::facts::{Facts, promised, rated_at};
use super::{Accepted, LARGEST_ORDER};
use crate::commission::{Basis, CommissionError, Frozen, Standing, Volume};
use crate::conversion::parts::Parts;
use crate::conversion::{ConversionError, ConversionRef, State};
use crate::fees::Components;
use crate::network::Calendar;
use crate::posting::{self, Posting, Subject};
use crate::rates::Quote;
use crate::rules::PricedBy;
use crate::rules::kind::Customer;
use crate::rules::rate::{Asked, resolve};
use crate::terms::{Terms, Unattributed};

/// A priced conversion, ready to be written.
pub(super) struct Priced<'a> {
    pub item: Accepted<'a>,
    pub reference: ConversionRef,
    pub credit: Credit,
    pub state: State,
    /// The order in the program's currency; zero while it waits for a rate.
    pub worth: Money,
    /// The order in its own currency, where that is another one.
    pub original: Option<Money>,
    /// The rate between them.
    pub quote: Option<Quote>,
    pub frozen: Frozen,
    pub by: PricedBy,
    pub amounts: Components,
    pub parts: Parts,
    pub posting: Posting,
}

impl Priced<'_> {
    /// The state it ends up in: what the rules refuse is rejected as soon as it is recorded.
    pub(super) fn answer(&self) -> State {
        match self.state {
            State::Pending if self.by.is_refused() => State::Rejected,
            state => state,
        }
    }
}

/// Freezes the rate, computes the amounts and builds the entries of one order.
pub(super) fn price<'a>(
    item: Accepted<'a>,
    credit: Credit,
    facts: &mut Facts,
    calendar: Calendar,
) -> Result<Priced<'a>, ConversionError> {
    let terms = item.terms;
    let (original, quote, worth) = convert(item, facts, calendar);
    let (frozen, mut by) = freeze(item, &credit, facts, worth)?;
    let awaits_rate = original.is_some() && quote.is_none();
    let owed = credit.publisher.is_some() || terms.unattributed == Unattributed::HouseIncome;
    let state = if owed {
        State::Pending
    } else {
        State::Unattributed
    };
    let mut amounts = Components::zero(terms.currency);
    if owed && !awaits_rate && by.beyond_months.is_none() {
        let gross = frozen.pays.gross(Basis::of(worth)?, terms.rounding)?;
        by.over = facts.room.take(&item.case(credit.publisher), gross)?;
        if !by.is_refused() {
            amounts = Components::of(gross, terms.fees_of(credit.publisher), terms.rounding)?;
        }
    }
    let parts = Parts::of(&credit.shared, amounts.publisher_due());
    let parts = parts.map_err(CommissionError::from)?;
    let subject = Subject {
        split: parts.split().map_err(CommissionError::from)?,
        ..subject(item, &credit, calendar)
    };
    let posting = posting::pending::pending(&subject, &amounts)?;
    Ok(Priced {
        reference: item.reference(),
        item,
        credit,
        state,
        worth,
        original,
        quote,
        frozen,
        by,
        amounts,
        parts,
        posting,
    })
}

fn subject(item: Accepted<'_>, credit: &Credit, calendar: Calendar) -> Subject {
    let Accepted { order, terms, .. } = item;
    let (effective, origin) = calendar.effective(order.occurred_at);
    Subject {
        book: order.program.book,
        conversion: item.reference().id,
        order_ref: order.order_ref.clone(),
        click: credit.click,
        publisher: credit.publisher,
        split: Vec::new(),
        currency: terms.currency,
        recognition: terms.recognition_point,
        presentation: terms.presentation,
        version: 1,
        effective,
        origin,
        because: Vec::new(),
    }
}

/// The order in its own currency if that is another one, the rate, and what the order is worth in
/// the program's: nothing while there is no rate.
fn convert(
    item: Accepted<'_>,
    facts: &Facts,
    calendar: Calendar,
) -> (Option<Money>, Option<Quote>, Money) {
    let Accepted { order, terms, .. } = item;
    let amount = order.amount;
    if amount.currency() == terms.currency {
        return (None, None, amount);
    }
    let day = calendar.day(order.occurred_at);
    let quote = facts.rates.resolve(amount.currency(), terms.currency, day);
    let converted = quote.and_then(|quote| {
        let worth = converted(&quote, amount, terms)?;
        Some((quote, worth))
    });
    match converted {
        Some((quote, worth)) => (Some(amount), Some(quote), worth),
        None => (Some(amount), None, Money::zero(terms.currency)),
    }
}

/// What an order is worth at a rate; a rate that makes more of it than any order can be is none.
pub(in crate::conversion) fn converted(
    quote: &Quote,
    amount: Money,
    terms: &Terms,
) -> Option<Money> {
    let worth = quote.convert(amount, terms.currency, terms.rounding).ok();
    worth.filter(|worth| worth.minor() <= LARGEST_ORDER)
}

/// The rate that counts, with its bonus, and why.
fn freeze(
    item: Accepted<'_>,
    credit: &Credit,
    facts: &mut Facts,
    worth: Money,
) -> Result<(Frozen, PricedBy), ConversionError> {
    let Accepted { order, terms, .. } = item;
    let customer = customer(item, facts);
    let kind = customer.kind(order.occurred_at);
    let rated_at = rated_at(&item, credit, &facts.clicked);
    let details = &order.details;
    let asked = Asked {
        publisher: credit.publisher,
        product: details.product.as_deref(),
        plan: details.plan.as_deref(),
        category: details.category.as_deref(),
        kind,
        at: rated_at.unwrap_or(order.occurred_at),
    };
    // Every order counts for the tiers after it, whichever rule decides it.
    let standing = standing(item, credit, facts, &asked, worth)?;
    let rules = facts
        .rules
        .get(&order.program)
        .map_or(&[][..], Vec::as_slice);
    let (mut frozen, rule) = match resolve(rules, &asked) {
        Some((rule, pays)) => (Frozen { pays, tier: None }, Some(rule.id)),
        None => (
            promised(&item, credit, &facts.clicked)
                .rule
                .freeze(&standing)?,
            None,
        ),
    };
    let bonus = customer.bonus(&terms.rules);
    if let Some(bonus) = bonus {
        frozen.pays = frozen.pays.plus(bonus)?;
    }
    let by = PricedBy {
        kind,
        rule,
        tier: frozen.tier.clone(),
        rated_at,
        bonus,
        over: None,
        beyond_months: customer.beyond(&terms.rules, order.occurred_at),
    };
    Ok((frozen, by))
}

/// Who ordered, as far as anybody knows; the next order of the same customer is a repeat one.
fn customer(item: Accepted<'_>, facts: &mut Facts) -> Customer {
    let Accepted { order, .. } = item;
    let key = order.customer().map(|customer| (order.program, customer));
    let first_order = key
        .as_ref()
        .and_then(|key| facts.customers.get(key))
        .copied();
    let is_known = key.is_some();
    if let Some(key) = key {
        let first = facts.customers.entry(key).or_insert(order.occurred_at);
        *first = order.occurred_at.min(*first);
    }
    Customer {
        is_known,
        said_new: order.details.new_customer,
        said_number: order.details.payment_number,
        first_order,
    }
}

/// The publisher's standing before this order, which then counts for the next.
fn standing(
    item: Accepted<'_>,
    credit: &Credit,
    facts: &mut Facts,
    asked: &Asked<'_>,
    worth: Money,
) -> Result<Standing, ConversionError> {
    let rule = &promised(&item, credit, &facts.clicked).rule;
    let Some(counted) = rule.counts() else {
        return Ok(Standing::default());
    };
    let key = credit
        .publisher
        .map(|publisher| (item.order.program, publisher));
    let assigned = key
        .and_then(|key| facts.tiers.get(&key))
        .and_then(|given| given.iter().rev().find(|(from, _)| *from <= asked.at))
        .and_then(|(_, tier)| tier.clone())
        // A tier that the terms no longer have gives the publisher back to the volume.
        .filter(|tier| rule.has_tier(tier));
    let so_far = key.and_then(|key| facts.volumes.get_mut(&key));
    let volume = match (&so_far, counted) {
        (Some((orders, _)), Volume::Orders(_)) => Volume::Orders(*orders),
        (Some((_, value)), Volume::OrderValue(_)) => Volume::OrderValue(*value),
        (None, nothing) => nothing,
    };
    if let Some((orders, value)) = so_far {
        *orders += 1;
        *value = value.checked_add(worth).map_err(CommissionError::from)?;
    }
    Ok(Standing {
        assigned,
        volume: Some(volume),
    })
}
