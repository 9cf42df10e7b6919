//! Recording orders: attribute, price, post, in one database transaction of the caller.
//!
//! An order is recorded once per program and reference. The same again is a duplicate, another
//! amount under the same reference a conflict; neither changes anything.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use ledger::{Actor, Amount, Currency, Money};
use sqlx::PgConnection;
use uuid::Uuid;

use super::store::{self, CommissionRow};
use super::{ConversionError, ConversionRef, State, derived};
use crate::commission::{Basis, Frozen, Standing, Volume};
use crate::fees::Components;
use crate::network::Calendar;
use crate::party::{self, ProgramRef};
use crate::posting::{self, Posting, Subject};
use crate::terms::{Terms, Unattributed};

/// An order as a brand reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The program it was placed in.
    pub program: ProgramRef,
    /// The brand's own reference, 1 to 200 characters, unique within the program.
    pub order_ref: String,
    /// When it was placed, UTC.
    pub occurred_at: DateTime<Utc>,
    /// What it was worth, in the program's currency.
    pub amount: Amount,
    /// Who ordered, by the id that the clicks carry.
    pub visitor: Option<String>,
    /// The click that the brand names.
    pub click: Option<Uuid>,
    /// The publisher that the brand names; counts where no click does.
    pub publisher: Option<Uuid>,
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
    /// The reference cannot be stored or shown.
    #[error("order reference {0:?} cannot be used; give 1 to 200 characters without control characters")]
    Reference(String),
    /// No terms were in force.
    #[error("the program had no terms at {0}; add terms that are effective by then")]
    NoTerms(DateTime<Utc>),
    /// The order is in another currency than the program.
    #[error("the order is in {order}, the program in {program}; report it in {program}")]
    Currency {
        /// The order's.
        order: Currency,
        /// The program's.
        program: Currency,
    },
}

/// Records orders and posts them as pending; answers each in order.
///
/// Twelve statements at the most, whatever the count. An order whose month is closed is posted on
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
    let mut programs: Vec<ProgramRef> = orders.iter().map(|order| order.program).collect();
    programs.sort_unstable();
    programs.dedup();
    let terms = party::terms_of(conn, &programs).await?;
    let mut answers: Vec<Option<Recorded>> = Vec::with_capacity(orders.len());
    let mut accepted: Vec<Accepted<'_>> = Vec::with_capacity(orders.len());
    for (position, order) in orders.iter().enumerate() {
        match accept(order, terms.get(&order.program).map_or(&[], Vec::as_slice)) {
            Ok((version, terms)) => {
                answers.push(None);
                accepted.push(Accepted { position, order, version, terms });
            }
            Err(refusal) => answers.push(Some(Recorded::Refused(refusal))),
        }
    }
    let standing = events_of(conn, now, by, &accepted).await?;
    let mut fresh: Vec<Accepted<'_>> = Vec::new();
    let mut taken: HashMap<Uuid, Money> = HashMap::new();
    for item in accepted {
        let event = item.event();
        let reference = ConversionRef::of_order(item.order.program, &item.order.order_ref);
        let stands = standing.get(&event).or_else(|| taken.get(&event));
        match stands {
            None => {
                taken.insert(event, item.order.amount.money());
                fresh.push(item);
            }
            Some(stands) => answers[item.position] = Some(judge(reference, &item, *stands)),
        }
    }
    for (item, answer) in enter(conn, now, by, &fresh).await? {
        answers[item] = Some(answer);
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
}

impl Accepted<'_> {
    fn event(&self) -> Uuid {
        derived(self.order.program, "order", &self.order.order_ref)
    }
}

fn accept<'a>(
    order: &Order,
    versions: &'a [(i32, Terms)],
) -> Result<(i32, &'a Terms), OrderRefusal> {
    let length = order.order_ref.chars().count();
    if length == 0 || length > 200 || order.order_ref.contains(char::is_control) {
        return Err(OrderRefusal::Reference(order.order_ref.clone()));
    }
    let (version, terms) = versions
        .iter()
        .rev()
        .find(|(_, terms)| terms.effective_from <= order.occurred_at)
        .map(|(version, terms)| (*version, terms))
        .ok_or(OrderRefusal::NoTerms(order.occurred_at))?;
    if order.amount.currency() == terms.currency {
        Ok((version, terms))
    } else {
        Err(OrderRefusal::Currency {
            order: order.amount.currency(),
            program: terms.currency,
        })
    }
}

fn judge(reference: ConversionRef, item: &Accepted<'_>, stands: Money) -> Recorded {
    if stands == item.order.amount.money() {
        Recorded::Duplicate(reference)
    } else {
        Recorded::Conflict(reference, stands)
    }
}

/// Writes the raw orders; returns what stood before under those that were there already.
async fn events_of(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    accepted: &[Accepted<'_>],
) -> Result<HashMap<Uuid, Money>, ConversionError> {
    let books: Vec<i64> = accepted.iter().map(|a| a.order.program.book.value()).collect();
    let ids: Vec<Uuid> = accepted.iter().map(Accepted::event).collect();
    let programs: Vec<Uuid> = accepted.iter().map(|a| a.order.program.id).collect();
    let references: Vec<String> = accepted.iter().map(|a| a.order.order_ref.clone()).collect();
    let times: Vec<DateTime<Utc>> = accepted.iter().map(|a| a.order.occurred_at).collect();
    let currencies: Vec<String> =
        accepted.iter().map(|a| a.order.amount.currency().code().to_owned()).collect();
    let amounts: Vec<i64> = accepted.iter().map(|a| a.order.amount.minor()).collect();
    let visitors: Vec<Option<String>> = accepted.iter().map(|a| a.order.visitor.clone()).collect();
    let clicks: Vec<Option<Uuid>> = accepted.iter().map(|a| a.order.click).collect();
    let publishers: Vec<Option<Uuid>> = accepted.iter().map(|a| a.order.publisher).collect();
    let new: Vec<Uuid> = sqlx::query_scalar!(
        r#"
        insert into settlement.event (book_id, id, program_id, kind, external_ref, order_ref,
            occurred_at, received_at, recorded_by, currency, amount, visitor, click_id,
            publisher_id)
        select u.book_id, u.id, u.program_id, 'order', u.reference, u.reference, u.occurred_at,
               $11, $12, u.currency, u.amount, u.visitor, u.click_id, u.publisher_id
        from unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[],
                    $6::text[], $7::bigint[], $8::text[], $9::uuid[], $10::uuid[])
             as u (book_id, id, program_id, reference, occurred_at, currency, amount, visitor,
                   click_id, publisher_id)
        on conflict (book_id, id) do nothing
        returning id
        "#,
        &books,
        &ids,
        &programs,
        &references,
        &times,
        &currencies,
        &amounts,
        &visitors as &[Option<String>],
        &clicks as &[Option<Uuid>],
        &publishers as &[Option<Uuid>],
        now,
        by.as_str(),
    )
    .fetch_all(&mut *conn)
    .await?;
    if new.len() == accepted.len() {
        return Ok(HashMap::new());
    }
    // A later statement than the insert: it sees what another session committed first.
    let rows = sqlx::query!(
        r#"
        select e.id, e.amount, e.currency
        from unnest($1::bigint[], $2::uuid[]) as u (book_id, id)
        join settlement.event e on e.book_id = u.book_id and e.id = u.id
        where e.id <> all ($3)
        "#,
        &books,
        &ids,
        &new,
    )
    .fetch_all(conn)
    .await?;
    let mut standing = HashMap::new();
    for row in rows {
        let wrong = |_| ConversionError::Inconsistent {
            conversion: row.id,
            problem: "the amount of its order".to_owned(),
        };
        let currency: Currency = row.currency.parse().map_err(wrong)?;
        standing.insert(row.id, Money::try_from_minor(row.amount, currency).map_err(wrong)?);
    }
    Ok(standing)
}

/// Who is credited with an order.
#[derive(Debug, Clone, Default)]
struct Credit {
    model: String,
    click: Option<Uuid>,
    publisher: Option<Uuid>,
}

/// A priced conversion, ready to be written.
struct Priced<'a> {
    item: Accepted<'a>,
    reference: ConversionRef,
    credit: Credit,
    state: State,
    frozen: Frozen,
    amounts: Components,
    posting: Posting,
}

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
    let credits = credits_of(conn, fresh).await?;
    let mut volumes = volumes_of(conn, fresh, &credits).await?;
    let mut priced = Vec::with_capacity(fresh.len());
    for (item, credit) in fresh.iter().zip(credits) {
        priced.push(price(*item, credit, &mut volumes, calendar)?);
    }
    insert(conn, now, by, &priced).await?;
    let commissions: Vec<CommissionRow> = priced
        .iter()
        .map(|p| CommissionRow {
            reference: p.reference,
            version: 1,
            event: p.item.event(),
            base: p.item.order.amount.money(),
            amounts: p.amounts,
        })
        .collect();
    store::add_commissions(conn, now, by, &commissions).await?;
    let answers = priced
        .iter()
        .map(|p| (p.item.position, Recorded::New(p.reference, p.state)))
        .collect();
    let postings: Vec<_> = priced.into_iter().map(|p| (p.reference, p.posting)).collect();
    store::post(conn, now, by, &postings).await?;
    Ok(answers)
}

/// Credits each order: the click that the brand names, else the visitor's last click within the
/// window, else the publisher that the brand names; only publishers enrolled in the program.
async fn credits_of(
    conn: &mut PgConnection,
    fresh: &[Accepted<'_>],
) -> Result<Vec<Credit>, ConversionError> {
    let books: Vec<i64> = fresh.iter().map(|a| a.order.program.book.value()).collect();
    let programs: Vec<Uuid> = fresh.iter().map(|a| a.order.program.id).collect();
    let times: Vec<DateTime<Utc>> = fresh.iter().map(|a| a.order.occurred_at).collect();
    let lookbacks: Vec<i32> = fresh.iter().map(|a| a.terms.lookback_days).collect();
    let clicks: Vec<Option<Uuid>> = fresh.iter().map(|a| a.order.click).collect();
    let visitors: Vec<Option<String>> = fresh.iter().map(|a| a.order.visitor.clone()).collect();
    let publishers: Vec<Option<Uuid>> = fresh.iter().map(|a| a.order.publisher).collect();
    let rows = sqlx::query!(
        r#"
        select coalesce(credit.model, 'none') as "model!", credit.click_id, credit.publisher_id
        from unnest($1::bigint[], $2::uuid[], $3::timestamptz[], $4::int[], $5::uuid[],
                    $6::text[], $7::uuid[]) with ordinality
             as o (book_id, program_id, occurred_at, lookback, click_id, visitor, publisher_id, n)
        left join lateral (
            select a.*
            from (
                select 1 as rank, 'named_click' as model, k.id as click_id, k.publisher_id
                from settlement.click k
                where k.book_id = o.book_id and k.id = o.click_id and k.program_id = o.program_id
                  and k.clicked_at between o.occurred_at - make_interval(days => o.lookback)
                                       and o.occurred_at
                union all
                (select 2, 'last_click', k.id, k.publisher_id
                 from settlement.click k
                 where k.book_id = o.book_id and k.program_id = o.program_id
                   and k.visitor = o.visitor
                   and k.clicked_at between o.occurred_at - make_interval(days => o.lookback)
                                        and o.occurred_at
                 order by k.clicked_at desc, k.id desc
                 limit 1)
                union all
                select 3, 'declared', null, o.publisher_id where o.publisher_id is not null
            ) a
            where exists (
                select 1 from settlement.enrolment e
                where e.book_id = o.book_id and e.program_id = o.program_id
                  and e.publisher_id = a.publisher_id
                  and (e.ended_at is null or e.ended_at > o.occurred_at))
            order by a.rank
            limit 1
        ) credit on true
        order by o.n
        "#,
        &books,
        &programs,
        &times,
        &lookbacks,
        &clicks as &[Option<Uuid>],
        &visitors as &[Option<String>],
        &publishers as &[Option<Uuid>],
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Credit { model: row.model, click: row.click_id, publisher: row.publisher_id })
        .collect())
}

/// What each credited publisher sold in a program with tiers before this batch.
type Volumes = HashMap<(ProgramRef, Uuid), (u64, Money)>;

async fn volumes_of(
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
            credit.publisher.map(|publisher| ((item.order.program, publisher), (0, nothing)))
        })
        .collect();
    if volumes.is_empty() {
        return Ok(volumes);
    }
    let books: Vec<i64> = volumes.keys().map(|(program, _)| program.book.value()).collect();
    let programs: Vec<Uuid> = volumes.keys().map(|(program, _)| program.id).collect();
    let publishers: Vec<Uuid> = volumes.keys().map(|(_, publisher)| *publisher).collect();
    let rows = sqlx::query!(
        r#"
        select u.book_id as "book_id!", u.program_id as "program_id!",
               u.publisher_id as "publisher_id!", count(*) as "orders!",
               sum(c.order_amount)::bigint as "value!"
        from unnest($1::bigint[], $2::uuid[], $3::uuid[]) as u (book_id, program_id, publisher_id)
        join settlement.conversion c on c.book_id = u.book_id and c.program_id = u.program_id
             and c.publisher_id = u.publisher_id
        group by u.book_id, u.program_id, u.publisher_id
        "#,
        &books,
        &programs,
        &publishers,
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        let book = ledger::BookId::from_value(row.book_id);
        let key = (ProgramRef { book, id: row.program_id }, row.publisher_id);
        if let Some(volume) = volumes.get_mut(&key) {
            let value = Money::try_from_minor(row.value, volume.1.currency());
            let value = value.map_err(crate::commission::CommissionError::from)?;
            *volume = (u64::try_from(row.orders).unwrap_or(0), value);
        }
    }
    Ok(volumes)
}

fn price<'a>(
    item: Accepted<'a>,
    credit: Credit,
    volumes: &mut Volumes,
    calendar: Calendar,
) -> Result<Priced<'a>, ConversionError> {
    let Accepted { order, terms, .. } = item;
    let mut standing = Standing::default();
    if let Some(counted) = terms.rule.counts() {
        let so_far = credit
            .publisher
            .and_then(|publisher| volumes.get_mut(&(order.program, publisher)));
        standing.volume = Some(match (&so_far, counted) {
            (Some((orders, _)), Volume::Orders(_)) => Volume::Orders(*orders),
            (Some((_, value)), Volume::OrderValue(_)) => Volume::OrderValue(*value),
            (None, nothing) => nothing,
        });
        if let Some((orders, value)) = so_far {
            *orders += 1;
            *value = value
                .checked_add(order.amount.money())
                .map_err(crate::commission::CommissionError::from)?;
        }
    }
    let frozen = terms.rule.freeze(&standing)?;
    let gross = frozen.pays.gross(Basis::of(order.amount.money())?, terms.rounding)?;
    let reference = ConversionRef::of_order(order.program, &order.order_ref);
    let owed = credit.publisher.is_some() || terms.unattributed == Unattributed::HouseIncome;
    let (state, amounts) = if owed {
        let fees = terms.fee_model.fees();
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
    Ok(Priced { item, reference, credit, state, frozen, amounts, posting })
}

async fn insert(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    priced: &[Priced<'_>],
) -> Result<(), ConversionError> {
    let each = |f: &dyn Fn(&Priced<'_>) -> i64| -> Vec<i64> { priced.iter().map(f).collect() };
    let books = each(&|p| p.reference.book.value());
    let ids: Vec<Uuid> = priced.iter().map(|p| p.reference.id).collect();
    let programs: Vec<Uuid> = priced.iter().map(|p| p.item.order.program.id).collect();
    let references: Vec<String> = priced.iter().map(|p| p.item.order.order_ref.clone()).collect();
    let events: Vec<Uuid> = priced.iter().map(|p| p.item.event()).collect();
    let times: Vec<DateTime<Utc>> = priced.iter().map(|p| p.item.order.occurred_at).collect();
    let versions: Vec<i32> = priced.iter().map(|p| p.item.version).collect();
    let states: Vec<String> = priced.iter().map(|p| p.state.stored().0.to_owned()).collect();
    let publishers: Vec<Option<Uuid>> = priced.iter().map(|p| p.credit.publisher).collect();
    let clicks: Vec<Option<Uuid>> = priced.iter().map(|p| p.credit.click).collect();
    let models: Vec<String> = priced.iter().map(|p| p.credit.model.clone()).collect();
    let currencies: Vec<String> =
        priced.iter().map(|p| p.item.terms.currency.code().to_owned()).collect();
    let rates: Vec<_> = priced.iter().map(|p| serde_json::json!(p.frozen.pays)).collect();
    sqlx::query!(
        r#"
        with item as materialized (
            select * from unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::text[], $5::uuid[],
                $6::timestamptz[], $7::int[], $8::text[], $9::uuid[], $10::uuid[], $11::text[],
                $12::bigint[], $13::jsonb[], $14::bigint[], $15::bigint[], $16::bigint[],
                $17::bigint[], $18::bigint[], $19::text[])
            as u (book_id, id, program_id, order_ref, event_id, occurred_at, terms_version, state,
                  publisher_id, click_id, currency, order_amount, frozen_rate, gross, brand_due,
                  publisher_due, fee_brand, fee_publisher, model)
        ), attributed as (
            insert into settlement.attribution (book_id, conversion_id, version, model, click_id,
                                                publisher_id, decided_at, decided_by)
            select book_id, id, 1, model, click_id, publisher_id, $20, $21 from item
        )
        insert into settlement.conversion (book_id, id, program_id, order_ref, event_id,
            occurred_at, terms_version, state, version, publisher_id, click_id, currency,
            order_amount, refunded, frozen_rate, gross, brand_due, publisher_due, fee_brand,
            fee_publisher, changed_at, changed_by)
        select book_id, id, program_id, order_ref, event_id, occurred_at, terms_version, state, 1,
               publisher_id, click_id, currency, order_amount, 0, frozen_rate, gross, brand_due,
               publisher_due, fee_brand, fee_publisher, $20, $21
        from item
        "#,
        &books,
        &ids,
        &programs,
        &references,
        &events,
        &times,
        &versions,
        &states,
        &publishers as &[Option<Uuid>],
        &clicks as &[Option<Uuid>],
        &currencies,
        &each(&|p| p.item.order.amount.minor()),
        &rates,
        &each(&|p| p.amounts.gross().minor()),
        &each(&|p| p.amounts.brand_due().minor()),
        &each(&|p| p.amounts.publisher_due().minor()),
        &each(&|p| p.amounts.fee_brand().minor()),
        &each(&|p| p.amounts.fee_publisher().minor()),
        &models,
        now,
        by.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(())
}
