//! Recording orders: attribute, price, post, in one database transaction of the caller.
//!
//! An order is recorded once per program and reference. The same again is a duplicate, another
//! amount under the same reference a conflict; neither changes anything. A refund that came before
//! its order waits in the [car park](super::parked) and is applied as soon as the order is there.

mod attribute;
mod facts;
mod insert;
pub(super) mod price;
pub(super) mod room;

use chrono::{DateTime, Utc};
use ledger::{Actor, Money};
use sqlx::PgConnection;
use uuid::Uuid;

use super::change::{self, Decision};
use super::parked;
use super::state::Action;
use super::store::{self, CommissionRow};
use super::{ConversionError, ConversionRef, Details, Refunded, State, derived, is_plain, refund};
use crate::columns::column;
use crate::coupon::Code;
use crate::identity::UserHash;
use crate::network::Calendar;
use crate::party::{self, ProgramRef};
use crate::terms::Terms;

/// An order as a brand reports it.
#[expect(
    clippy::struct_field_names,
    reason = "order_ref is the name in every file and table"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The program it was placed in.
    pub program: ProgramRef,
    /// The brand's own reference, 1 to 200 characters, unique within the program.
    pub order_ref: String,
    /// When it was placed, UTC.
    pub occurred_at: DateTime<Utc>,
    /// What it was worth, nothing for a free order or a signup; another currency than the program's
    /// is converted at a stored rate.
    pub amount: Money,
    /// Who ordered, by the id that the clicks carry, 1 to 200 characters.
    pub visitor: Option<String>,
    /// The click that the brand names.
    pub click: Option<Uuid>,
    /// The publisher that the brand names; counts where no click does.
    pub publisher: Option<Uuid>,
    /// Who ordered, if the brand knows its user.
    pub user: Option<UserHash>,
    /// The coupon code that was used.
    pub coupon: Option<Code>,
    /// Who reported it, if that is somebody else than who records the batch.
    pub reported_by: Option<Actor>,
    /// What else the brand says of it.
    pub details: Details,
}

impl Order {
    /// An order of which nothing more is known: nobody named, nobody seen.
    #[must_use]
    pub fn new(
        program: ProgramRef,
        order_ref: impl Into<String>,
        occurred_at: DateTime<Utc>,
        amount: impl Into<Money>,
    ) -> Order {
        Order {
            program,
            order_ref: order_ref.into(),
            occurred_at,
            amount: amount.into(),
            visitor: None,
            click: None,
            publisher: None,
            user: None,
            coupon: None,
            reported_by: None,
            details: Details::default(),
        }
    }

    /// Who ordered, as far as the sender tells: its user, else the visitor, else whoever clicked.
    fn customer(&self) -> Option<String> {
        let user = self.user.as_ref();
        let user = user.map(|user| format!("user:{}", hex::encode(user.bytes())));
        let visitor = self.visitor.as_ref();
        user.or_else(|| visitor.map(|visitor| format!("visitor:{visitor}")))
            .or_else(|| self.click.map(|click| format!("click:{click}")))
    }
}

/// The answer to one order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "an order may have been refused"]
pub enum Recorded {
    /// Recorded now, in this state.
    New(ConversionRef, State),
    /// Recorded before, with the same amount.
    Duplicate(ConversionRef),
    /// Recorded before with another amount, which stands.
    Conflict(ConversionRef, Money),
    /// Not recorded.
    Refused(OrderRefusal),
}

/// Why an order was not recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderRefusal {
    /// A reference cannot be stored or shown.
    #[error("reference {0:?} cannot be used; give 1 to 200 characters without control characters")]
    Reference(String),
    /// No terms were in force.
    #[error("the program had no terms at {0}; add terms that are effective by then")]
    NoTerms(DateTime<Utc>),
    /// An order cannot be worth less than nothing.
    #[error("an order cannot be worth {0}; report what was given back as a refund")]
    Negative(Money),
    /// The order is larger than any order can be.
    #[error("an order of {0} is too large to be meant; check the amount and its decimals")]
    TooLarge(Money),
}

/// The largest order in minor units: sums of many thousands of them still fit.
const LARGEST_ORDER: i64 = 100_000_000_000_000;

/// Records orders and posts them as pending; answers each in order.
///
/// A fixed number of statements, whatever the count. An order whose month is closed is posted on
/// the first open day and names its own month as a cause.
///
/// # Errors
/// Only for the whole batch; what is wrong with one order is its own answer.
pub async fn record(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    orders: &[Order],
) -> Result<Vec<Recorded>, ConversionError> {
    let mut programs = column(orders, |order| order.program);
    programs.sort_unstable();
    programs.dedup();
    let terms = party::terms_of(conn, &programs).await?;
    let mut answers: Vec<Option<Recorded>> = Vec::with_capacity(orders.len());
    let mut accepted: Vec<Accepted<'_>> = Vec::with_capacity(orders.len());
    for (position, order) in orders.iter().enumerate() {
        let versions = terms.get(&order.program).map_or(&[][..], Vec::as_slice);
        match accept(order, versions) {
            Ok((version, terms)) => {
                answers.push(None);
                accepted.push(Accepted {
                    position,
                    order,
                    version,
                    terms,
                    versions,
                });
            }
            Err(refusal) => answers.push(Some(Recorded::Refused(refusal))),
        }
    }
    let mut standing = insert::events(conn, now, by, &accepted).await?;
    let mut fresh: Vec<Accepted<'_>> = Vec::new();
    for item in accepted {
        let event = item.event();
        if let Some(stands) = standing.get(&event) {
            answers[item.position] = Some(judge(&item, *stands));
        } else {
            standing.insert(event, item.order.amount);
            fresh.push(item);
        }
    }
    for (position, answer) in enter(conn, now, by, &fresh).await? {
        answers[position] = Some(answer);
    }
    Ok(answers.into_iter().flatten().collect())
}

/// An order that can be recorded, with the terms that decide it.
#[derive(Clone, Copy)]
struct Accepted<'a> {
    position: usize,
    order: &'a Order,
    version: i32,
    terms: &'a Terms,
    versions: &'a [(i32, Terms)],
}

impl Accepted<'_> {
    fn event(&self) -> Uuid {
        derived(self.order.program, "order", &self.order.order_ref)
    }

    /// The order as caps see it.
    fn case(&self, publisher: Option<Uuid>) -> room::Case<'_> {
        room::Case {
            program: self.order.program,
            terms: self.terms,
            publisher,
            occurred_at: self.order.occurred_at,
        }
    }

    fn reference(&self) -> ConversionRef {
        ConversionRef::of_order(self.order.program, &self.order.order_ref)
    }
}

fn accept<'a>(
    order: &Order,
    versions: &'a [(i32, Terms)],
) -> Result<(i32, &'a Terms), OrderRefusal> {
    let texts = [Some(&order.order_ref), order.visitor.as_ref()];
    let mut texts = texts.into_iter().flatten().chain(order.details.texts());
    if let Some(bad) = texts.find(|text| !is_plain(text)) {
        return Err(OrderRefusal::Reference(bad.clone()));
    }
    if order.amount.is_negative() {
        return Err(OrderRefusal::Negative(order.amount));
    }
    if order.amount.minor() > LARGEST_ORDER {
        return Err(OrderRefusal::TooLarge(order.amount));
    }
    let (version, terms) = versions
        .iter()
        .rev()
        .find(|(_, terms)| terms.effective_from <= order.occurred_at)
        .map(|(version, terms)| (*version, terms))
        .ok_or(OrderRefusal::NoTerms(order.occurred_at))?;
    Ok((version, terms))
}

fn judge(item: &Accepted<'_>, stands: Money) -> Recorded {
    if stands == item.order.amount {
        Recorded::Duplicate(item.reference())
    } else {
        Recorded::Conflict(item.reference(), stands)
    }
}

/// Credits, prices, writes and posts orders that are new; answers by position.
async fn enter(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    fresh: &[Accepted<'_>],
) -> Result<Vec<(usize, Recorded)>, ConversionError> {
    if fresh.is_empty() {
        return Ok(Vec::new());
    }
    let calendar = Calendar::read(conn).await?;
    let credits = attribute::credits(conn, fresh).await?;
    let mut facts = facts::gather(conn, fresh, &credits, calendar).await?;
    let mut priced = Vec::with_capacity(fresh.len());
    for (item, credit) in fresh.iter().zip(credits) {
        priced.push(price::price(*item, credit, &mut facts, calendar)?);
    }
    insert::conversions(conn, now, by, &priced).await?;
    let commissions = column(&priced, |p| CommissionRow {
        reference: p.reference,
        version: 1,
        event: p.item.event(),
        base: p.worth,
        amounts: p.amounts,
    });
    store::add_commissions(conn, now, by, &commissions).await?;
    let credits: Vec<_> = priced
        .iter()
        .flat_map(|p| p.parts.rows(p.reference, 1))
        .collect();
    store::add_credits(conn, &credits).await?;
    let answers = column(&priced, |p| {
        (p.item.position, Recorded::New(p.reference, p.answer()))
    });
    let refused = refusals(&priced);
    let postings: Vec<_> = priced
        .into_iter()
        .map(|p| (p.reference, p.posting))
        .collect();
    store::post(conn, now, by, &postings).await?;
    if !refused.is_empty() {
        let _ = change::decide_each(conn, now, by, &refused).await?;
    }
    apply_early_refunds(conn, now, by, fresh).await?;
    Ok(answers)
}

/// What the program's rules reject, each with its reason.
fn refusals(priced: &[price::Priced<'_>]) -> Vec<(ConversionRef, Decision)> {
    let refused = priced.iter().filter(|p| p.answer() == State::Rejected);
    let decision = |p: &price::Priced<'_>| {
        let reason = p.by.reason()?;
        let action = Action::Reject;
        Some((p.reference, Decision { action, reason }))
    };
    refused.filter_map(decision).collect()
}

/// Refunds that came before their order.
async fn apply_early_refunds(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    fresh: &[Accepted<'_>],
) -> Result<(), ConversionError> {
    let order_refs = column(fresh, |item| item.order.order_ref.clone());
    let waiting = parked::waiting_for(conn, &order_refs).await?;
    if waiting.is_empty() {
        return Ok(());
    }
    // Each is answered where finance looks: applied, or parked still for another reason.
    let _: Vec<Refunded> = refund(conn, now, by, &waiting).await?;
    Ok(())
}
