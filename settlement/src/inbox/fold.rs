//! Pure: all that was said about an order, folded into what should be so.
//!
//! Deliveries come late, twice and in any order. So nothing is decided by the delivery at hand:
//! every fact about the order is laid out by the sender's time, and what follows from all of them
//! is the target. The same facts give the same target, however they came.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use ledger::{Currency, Money, MoneyError, Rounding};
use rust_decimal::Decimal;

use super::fact::{Fact, OrderSeen, Status, What};

/// What should be so, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Folded {
    /// The order, if anybody described it yet.
    pub order: Option<OrderSeen>,
    /// Where it stands.
    pub standing: Standing,
    /// When the latest refund happened.
    pub refunded_at: Option<DateTime<Utc>>,
    /// The sender's latest word about its state.
    pub word: String,
    /// Refunds by their references.
    singles: BTreeMap<String, String>,
    /// Refunds as running totals: of what was charged, how much.
    totals: Vec<(String, String)>,
}

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// It was paid for.
    pub paid: bool,
    /// What lies over that.
    pub over: Overlay,
}

/// What a store's word lays over a conversion, and may take away again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overlay {
    /// Nothing.
    Nothing,
    /// A hold.
    Hold,
    /// A reversal.
    Reversal,
}

impl Overlay {
    /// The name in Postgres.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Overlay::Nothing => "nothing",
            Overlay::Hold => "hold",
            Overlay::Reversal => "reversal",
        }
    }

    /// The overlay of that name.
    pub(super) fn named(name: &str) -> Option<Overlay> {
        [Overlay::Nothing, Overlay::Hold, Overlay::Reversal]
            .into_iter()
            .find(|overlay| overlay.as_str() == name)
    }
}

/// Folds facts, in whatever order they are given.
pub(super) fn fold(facts: &[Fact]) -> Folded {
    let mut facts: Vec<&Fact> = facts.iter().collect();
    facts.sort_by_key(|fact| (fact.at, rank(&fact.what)));
    let mut folded = Folded {
        order: None,
        standing: Standing {
            paid: false,
            over: Overlay::Nothing,
        },
        refunded_at: None,
        word: String::new(),
        singles: BTreeMap::new(),
        totals: Vec::new(),
    };
    let mut state = Life::default();
    for fact in facts {
        match &fact.what {
            What::Order(seen) => match &mut folded.order {
                Some(order) => enrich(order, seen),
                first @ None => *first = Some(seen.clone()),
            },
            What::Refund { reference, amount } => {
                let known = folded.singles.entry(reference.clone());
                known.or_insert_with(|| amount.clone());
                folded.refunded_at = Some(fact.at);
            }
            What::RefundedSoFar { refunded, of } => {
                folded.totals.push((refunded.clone(), of.clone()));
                folded.refunded_at = Some(fact.at);
            }
            What::Status { status, word } => {
                state.goes_on(*status);
                folded.word.clone_from(word);
            }
        }
    }
    folded.standing = state.standing();
    folded
}

/// Facts of the same moment: the order before what became of it.
fn rank(what: &What) -> (u8, Option<Status>, &str) {
    match what {
        What::Order(seen) => (0, None, &seen.amount),
        What::Refund { reference, .. } => (1, None, reference),
        What::RefundedSoFar { refunded, .. } => (1, None, refunded),
        What::Status { status, .. } => (2, Some(*status), ""),
    }
}

/// What a later description adds. The first one's amount stands.
fn enrich(order: &mut OrderSeen, seen: &OrderSeen) {
    order.placed_at = order.placed_at.min(seen.placed_at);
    for (known, more) in [
        (&mut order.clicks, &seen.clicks),
        (&mut order.coupons, &seen.coupons),
    ] {
        for text in more {
            if !known.contains(text) {
                known.push(text.clone());
            }
        }
    }
    if order.customer.is_none() {
        order.customer.clone_from(&seen.customer);
    }
}

/// The life of an order, state by state.
#[derive(Default)]
struct Life {
    paid: bool,
    disputed: bool,
    end: End,
}

/// Whether an order came to an end.
#[derive(Default, PartialEq, Eq)]
enum End {
    #[default]
    None,
    /// Another payment may still mend it.
    Failed,
    Over,
}

impl Life {
    fn goes_on(&mut self, status: Status) {
        match status {
            Status::Open => {}
            Status::Paid => {
                self.paid = true;
                if self.end == End::Failed {
                    self.end = End::None;
                }
            }
            Status::Disputed => self.disputed = true,
            Status::Failed if self.end == End::Over => {}
            Status::Failed => self.end = End::Failed,
            Status::Over => self.end = End::Over,
            Status::Reinstated => (self.disputed, self.end) = (false, End::None),
        }
    }

    fn standing(&self) -> Standing {
        let over = match self.end {
            End::Failed | End::Over => Overlay::Reversal,
            End::None if self.disputed => Overlay::Hold,
            End::None => Overlay::Nothing,
        };
        Standing {
            paid: self.paid,
            over,
        }
    }
}

impl Folded {
    /// How much of an order of this worth is refunded: each reference once, the largest running
    /// total as its share of what was charged, and never more than the order.
    pub(super) fn refunded(&self, worth: Money) -> Result<Money, MoneyError> {
        let currency = worth.currency();
        let mut refunded = Money::zero(currency);
        for amount in self.singles.values() {
            refunded = refunded.checked_add(money(amount, currency)?)?;
        }
        for (part, of) in &self.totals {
            let share = share(worth, plain(part)?, plain(of)?)?;
            if share.compare(refunded)?.is_gt() {
                refunded = share;
            }
        }
        refunded.lesser(worth)
    }

    /// The refunds that the sender numbers, for whoever looks one up.
    pub(super) fn refund_note(&self) -> String {
        let numbers: Vec<&str> = self.singles.keys().map(String::as_str).collect();
        numbers.join(" ")
    }
}

/// The part of an order that was refunded: a charge also covers taxes and shipping, of which no
/// commission is owed.
fn share(worth: Money, part: Decimal, of: Decimal) -> Result<Money, MoneyError> {
    if part <= Decimal::ZERO {
        return Ok(Money::zero(worth.currency()));
    }
    if part >= of {
        return Ok(worth);
    }
    let share = worth.amount().checked_mul(part);
    let share = share.and_then(|product| product.checked_div(of));
    let overflow = MoneyError::Overflow(worth.currency());
    Money::rounded(share.ok_or(overflow)?, worth.currency(), Rounding::HalfUp)
}

/// An amount that a sender wrote, rounded if it is finer than the currency.
pub(super) fn money(text: &str, currency: Currency) -> Result<Money, MoneyError> {
    Money::rounded(plain(text)?, currency, Rounding::HalfUp)
}

fn plain(text: &str) -> Result<Decimal, MoneyError> {
    let read = text.parse().or_else(|_| Decimal::from_scientific(text));
    read.map_err(|_| MoneyError::NotMoney(text.to_owned()))
}
