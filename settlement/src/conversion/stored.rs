//! The stored conversion: locking it and reading it with its terms and latest change.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use ledger::{BookId, Cause, Currency, Money, Period};
use sqlx::PgConnection;
use uuid::Uuid;

use super::parts::Parts;
use super::{Action, ConversionError, ConversionRef, State};
use crate::columns::column;
use crate::commission::{Basis, CommissionError, FrozenRate};
use crate::fees::Components;
use crate::party::{self, ProgramRef};
use crate::posting::Subject;
use crate::rates::Quote;
use crate::rules::PricedBy;
use crate::terms::Terms;

/// A conversion as stored, with its terms.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub reference: ConversionRef,
    pub program: ProgramRef,
    pub order_ref: String,
    pub event: Uuid,
    pub occurred_at: DateTime<Utc>,
    pub state: State,
    pub version: i32,
    pub approved_version: Option<i32>,
    /// The change that credited it as it is.
    pub attributed_version: i32,
    pub publisher: Option<Uuid>,
    pub click: Option<Uuid>,
    pub order: Money,
    pub refunded: Money,
    /// The order as it was reported, where that was in another currency.
    pub original: Option<Original>,
    pub frozen: FrozenRate,
    pub priced_by: PricedBy,
    pub amounts: Components,
    /// Who shares it, if several do, and the change that made the shares what they are.
    pub parts: Parts,
    pub credit_version: Option<i32>,
    pub terms: Terms,
    /// When it was approved or reinstated last.
    pub earned_at: Option<DateTime<Utc>>,
    /// The latest change: what was done, and from which state.
    pub latest: Option<(String, String)>,
}

/// An order in another currency than its program's.
#[derive(Debug, Clone)]
pub(super) struct Original {
    pub amount: Money,
    pub refunded: Money,
    /// The rate it was converted with; none while it waits for one.
    pub quote: Option<Quote>,
}

impl Stored {
    /// The order as it was reported, and how much of that was refunded.
    pub(super) fn reported(&self) -> (Money, Money) {
        match &self.original {
            Some(original) => (original.amount, original.refunded),
            None => (self.order, self.refunded),
        }
    }

    /// Whether all of the order was refunded; of a free order nothing can be.
    pub(super) fn is_returned(&self) -> bool {
        let (order, refunded) = self.reported();
        order == refunded && !order.is_zero()
    }

    /// Whether it waits for a rate of exchange.
    pub(super) fn awaits_rate(&self) -> bool {
        self.original.as_ref().is_some_and(|o| o.quote.is_none())
    }

    /// What is left of the order, as it was reported.
    pub(super) fn left_reported(&self) -> Result<Money, ConversionError> {
        let (order, refunded) = self.reported();
        Ok(order.checked_sub(refunded).map_err(CommissionError::from)?)
    }

    /// Takes a refund in the currency of the order into account. All refunds together are converted
    /// at the frozen rate, so that a refund of everything leaves exactly nothing.
    pub(super) fn give_back(&mut self, refund: Money) -> Result<(), ConversionError> {
        let wrong = CommissionError::from;
        let Some(original) = &mut self.original else {
            self.refunded = self.refunded.checked_add(refund).map_err(wrong)?;
            return Ok(());
        };
        original.refunded = original.refunded.checked_add(refund).map_err(wrong)?;
        self.refunded = self.converted_refunds()?;
        Ok(())
    }

    /// What was refunded so far, in the program's currency.
    pub(super) fn converted_refunds(&self) -> Result<Money, ConversionError> {
        let Some(original) = &self.original else {
            return Ok(self.refunded);
        };
        let Some(quote) = &original.quote else {
            return Ok(Money::zero(self.terms.currency));
        };
        if original.refunded == original.amount {
            return Ok(self.order);
        }
        let terms = &self.terms;
        let refunded = quote.convert(original.refunded, terms.currency, terms.rounding);
        let refunded = refunded.map_err(CommissionError::from)?;
        Ok(refunded.lesser(self.order).map_err(CommissionError::from)?)
    }

    /// The conversion as the posting manual sees it, at one of its changes.
    pub(super) fn subject(
        &self,
        version: i32,
        (effective, origin): (chrono::NaiveDate, Option<Period>),
        because: Vec<Cause>,
    ) -> Result<Subject, ConversionError> {
        Ok(Subject {
            book: self.reference.book,
            conversion: self.reference.id,
            order_ref: self.order_ref.clone(),
            click: self.click,
            publisher: self.publisher,
            split: self.parts.split().map_err(CommissionError::from)?,
            currency: self.order.currency(),
            recognition: self.terms.recognition_point,
            presentation: self.terms.presentation,
            version,
            effective,
            origin,
            because,
        })
    }

    /// Makes the amounts these, the parts of several publishers with them.
    pub(super) fn earn(&mut self, amounts: Components) -> Result<(), ConversionError> {
        let parts = self.parts.to(amounts.publisher_due());
        self.parts = parts.map_err(CommissionError::from)?;
        self.amounts = amounts;
        Ok(())
    }

    /// Whether the latest change was this action from this state.
    pub(super) fn was(&self, action: Action, from: State) -> bool {
        self.latest
            .as_ref()
            .is_some_and(|(did, left)| did == action.as_str() && left == from.stored().0)
    }

    /// What is left of the order.
    pub(super) fn left(&self) -> Result<Money, ConversionError> {
        Ok(self
            .order
            .checked_sub(self.refunded)
            .map_err(CommissionError::from)?)
    }

    /// What the conversion earns after its refunds, at the frozen rate. Nothing while nobody knows
    /// what the order is worth.
    pub(super) fn priced(&self) -> Result<Components, ConversionError> {
        if self.awaits_rate() || self.is_returned() {
            return Ok(Components::zero(self.terms.currency));
        }
        let basis = Basis::new(self.order, self.refunded)?;
        let gross = self.frozen.gross(basis, self.terms.rounding)?;
        Ok(Components::of(
            gross,
            self.terms.fees_of(self.publisher),
            self.terms.rounding,
        )?)
    }
}

/// Locks conversions, in id order, and reads them with their terms.
///
/// Reading is a later statement than locking: it sees what the session before committed, in every
/// table.
pub(super) async fn lock(
    conn: &mut PgConnection,
    references: &[ConversionRef],
) -> Result<HashMap<ConversionRef, Stored>, ConversionError> {
    let books = column(references, |r| r.book.value());
    let ids = column(references, |r| r.id);
    sqlx::query!(
        r#"
        select 1 as locked from settlement.conversion c
        where (c.book_id, c.id) in (select * from unnest($1::bigint[], $2::uuid[]))
        order by c.book_id, c.id
        for update
        "#,
        &books,
        &ids,
    )
    .fetch_all(&mut *conn)
    .await?;
    read(conn, references).await
}

/// Reads conversions with their terms.
pub(super) async fn read(
    conn: &mut PgConnection,
    references: &[ConversionRef],
) -> Result<HashMap<ConversionRef, Stored>, ConversionError> {
    let books = column(references, |r| r.book.value());
    let ids = column(references, |r| r.id);
    let rows = sqlx::query_as!(
        Row,
        r#"
        select c.book_id, c.id, c.program_id, c.order_ref, c.event_id, c.occurred_at,
               c.terms_version, c.state, c.held_from, c.version, c.approved_version,
               c.publisher_id, c.click_id, c.currency, c.order_amount, c.refunded, c.frozen_rate,
               c.priced_by, c.original_currency, c.original_amount, c.original_refunded, c.fx,
               c.gross, c.fee_brand, c.fee_publisher, c.attributed_version, c.credit_version,
               (select jsonb_agg(jsonb_build_array(k.publisher_id, k.click_id, k.weight,
                                                   k.publisher_due) order by k.position)
                from settlement.credit k
                where k.book_id = c.book_id and k.conversion_id = c.id
                  and k.version = c.credit_version) as parts,
               latest.action as "latest_action?", latest.from_state as "latest_from?",
               (select max(h.changed_at) from settlement.change h
                where h.book_id = c.book_id and h.conversion_id = c.id
                  and h.action in ('approve', 'reinstate')) as earned_at
        from (select distinct * from unnest($1::bigint[], $2::uuid[])) as u (book_id, id)
        join settlement.conversion c on c.book_id = u.book_id and c.id = u.id
        left join settlement.change latest on latest.book_id = c.book_id
             and latest.conversion_id = c.id and latest.version = c.version
        "#,
        &books,
        &ids,
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut programs = column(&rows, Row::program);
    programs.sort_unstable();
    programs.dedup();
    let terms = party::terms_of(conn, &programs).await?;
    rows.into_iter()
        .map(|row| {
            let versions = terms.get(&row.program()).map_or(&[][..], Vec::as_slice);
            let stored = row.read(versions)?;
            Ok((stored.reference, stored))
        })
        .collect()
}

/// A conversion's columns.
struct Row {
    book_id: i64,
    id: Uuid,
    program_id: Uuid,
    order_ref: String,
    event_id: Uuid,
    occurred_at: DateTime<Utc>,
    terms_version: i32,
    state: String,
    held_from: Option<String>,
    version: i32,
    approved_version: Option<i32>,
    publisher_id: Option<Uuid>,
    click_id: Option<Uuid>,
    currency: String,
    order_amount: i64,
    refunded: i64,
    frozen_rate: serde_json::Value,
    priced_by: serde_json::Value,
    original_currency: Option<String>,
    original_amount: Option<i64>,
    original_refunded: Option<i64>,
    fx: Option<serde_json::Value>,
    gross: i64,
    fee_brand: i64,
    fee_publisher: i64,
    attributed_version: i32,
    credit_version: Option<i32>,
    parts: Option<serde_json::Value>,
    latest_action: Option<String>,
    latest_from: Option<String>,
    earned_at: Option<DateTime<Utc>>,
}

impl Row {
    fn program(&self) -> ProgramRef {
        ProgramRef {
            book: BookId::from_value(self.book_id),
            id: self.program_id,
        }
    }

    fn original(&self) -> Result<Option<Original>, ConversionError> {
        let wrong = |problem: &str| ConversionError::Inconsistent {
            conversion: self.id,
            problem: problem.to_owned(),
        };
        let Some(currency) = &self.original_currency else {
            return Ok(None);
        };
        let currency: Currency = currency.parse().map_err(|_| wrong("original_currency"))?;
        let money = |minor: Option<i64>| {
            let minor = minor.ok_or_else(|| wrong("original_amount"))?;
            Money::try_from_minor(minor, currency).map_err(|_| wrong("original_amount"))
        };
        let quote = self.fx.clone().map(serde_json::from_value).transpose();
        Ok(Some(Original {
            amount: money(self.original_amount)?,
            refunded: money(self.original_refunded)?,
            quote: quote.map_err(|_| wrong("fx"))?,
        }))
    }

    fn read(self, versions: &[(i32, Terms)]) -> Result<Stored, ConversionError> {
        let conversion = self.id;
        let wrong = |problem: &str| ConversionError::Inconsistent {
            conversion,
            problem: problem.to_owned(),
        };
        let currency: Currency = self.currency.parse().map_err(|_| wrong("currency"))?;
        let original = self.original()?;
        let money = |minor| Money::try_from_minor(minor, currency).map_err(|_| wrong("amount"));
        let terms = versions
            .iter()
            .find(|(version, _)| *version == self.terms_version);
        Ok(Stored {
            program: self.program(),
            reference: ConversionRef {
                book: BookId::from_value(self.book_id),
                id: self.id,
            },
            event: self.event_id,
            occurred_at: self.occurred_at,
            state: State::named(&self.state, self.held_from.as_deref())
                .ok_or_else(|| wrong("state"))?,
            version: self.version,
            approved_version: self.approved_version,
            attributed_version: self.attributed_version,
            credit_version: self.credit_version,
            parts: Parts::read(self.parts, currency).ok_or_else(|| wrong("credit"))?,
            publisher: self.publisher_id,
            click: self.click_id,
            order: money(self.order_amount)?,
            refunded: money(self.refunded)?,
            original,
            priced_by: serde_json::from_value(self.priced_by).map_err(|_| wrong("priced_by"))?,
            frozen: serde_json::from_value(self.frozen_rate).map_err(|_| wrong("frozen_rate"))?,
            amounts: Components::from_parts(
                money(self.gross)?,
                money(self.fee_brand)?,
                money(self.fee_publisher)?,
            )?,
            terms: terms
                .map(|(_, terms)| terms.clone())
                .ok_or_else(|| wrong("terms_version"))?,
            earned_at: self.earned_at,
            latest: self.latest_action.zip(self.latest_from),
            order_ref: self.order_ref,
        })
    }
}
