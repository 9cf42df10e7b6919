//! The stored conversion: locking it and reading it with its terms and latest change.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use ledger::{BookId, Cause, Currency, Money, Period};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Action, ConversionError, ConversionRef, State};
use crate::columns::column;
use crate::commission::{Basis, CommissionError, FrozenRate};
use crate::fees::Components;
use crate::party::{self, ProgramRef};
use crate::posting::Subject;
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
    pub publisher: Option<Uuid>,
    pub click: Option<Uuid>,
    pub order: Money,
    pub refunded: Money,
    pub frozen: FrozenRate,
    pub amounts: Components,
    pub terms: Terms,
    /// When it was approved or reinstated last.
    pub earned_at: Option<DateTime<Utc>>,
    /// The latest change: what was done, and from which state.
    pub latest: Option<(String, String)>,
}

impl Stored {
    /// The conversion as the posting manual sees it, at one of its changes.
    pub(super) fn subject(
        &self,
        version: i32,
        (effective, origin): (chrono::NaiveDate, Option<Period>),
        because: Vec<Cause>,
    ) -> Subject {
        Subject {
            book: self.reference.book,
            conversion: self.reference.id,
            order_ref: self.order_ref.clone(),
            click: self.click,
            publisher: self.publisher,
            currency: self.order.currency(),
            recognition: self.terms.recognition_point,
            presentation: self.terms.presentation,
            version,
            effective,
            origin,
            because,
        }
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

    /// What the conversion earns after refunds of this much, at the frozen rate.
    pub(super) fn priced(&self, refunded: Money) -> Result<Components, ConversionError> {
        let basis = Basis::new(self.order, refunded)?;
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
    let rows = sqlx::query_as!(
        Row,
        r#"
        select c.book_id, c.id, c.program_id, c.order_ref, c.event_id, c.occurred_at,
               c.terms_version, c.state, c.held_from, c.version, c.approved_version,
               c.publisher_id, c.click_id, c.currency, c.order_amount, c.refunded, c.frozen_rate,
               c.gross, c.fee_brand, c.fee_publisher,
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
    gross: i64,
    fee_brand: i64,
    fee_publisher: i64,
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

    fn read(self, versions: &[(i32, Terms)]) -> Result<Stored, ConversionError> {
        let conversion = self.id;
        let wrong = |problem: &str| ConversionError::Inconsistent {
            conversion,
            problem: problem.to_owned(),
        };
        let currency: Currency = self.currency.parse().map_err(|_| wrong("currency"))?;
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
            publisher: self.publisher_id,
            click: self.click_id,
            order: money(self.order_amount)?,
            refunded: money(self.refunded)?,
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
