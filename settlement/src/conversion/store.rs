//! The stored conversion: reading it with its terms, and writing a change of it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use ledger::{Actor, BookId, Cause, Currency, Money, Period, Refusal};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{ConversionError, ConversionRef, State};
use crate::commission::{Basis, FrozenRate};
use crate::fees::Components;
use crate::party::{self, ProgramRef};
use crate::posting::{Posting, Subject};
use crate::terms::Terms;

/// A conversion as stored, with its terms.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub reference: ConversionRef,
    pub program: ProgramRef,
    pub order_ref: String,
    pub event: Uuid,
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
    /// The state before the latest change.
    pub came_from: Option<String>,
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

    /// What the conversion earns after refunds of this much, at the frozen rate.
    pub(super) fn priced(&self, refunded: Money) -> Result<Components, ConversionError> {
        let basis = Basis::new(self.order, refunded)?;
        let gross = self.frozen.gross(basis, self.terms.rounding)?;
        Ok(Components::of(gross, self.terms.fee_model.fees(), self.terms.rounding)?)
    }
}

/// One step of a conversion, to be written.
#[derive(Debug, Clone)]
pub(super) struct ChangeRow {
    pub reference: ConversionRef,
    pub version: i32,
    pub action: &'static str,
    pub from: State,
    pub to: State,
    pub reason: String,
    pub entries: Vec<Uuid>,
}

/// A version of what a conversion earns, to be written.
#[derive(Debug, Clone)]
pub(super) struct CommissionRow {
    pub reference: ConversionRef,
    pub version: i32,
    pub event: Uuid,
    pub base: Money,
    pub amounts: Components,
}

/// Reads conversions with their terms and locks them, in id order.
pub(super) async fn lock(
    conn: &mut PgConnection,
    references: &[ConversionRef],
) -> Result<HashMap<ConversionRef, Stored>, ConversionError> {
    let books: Vec<i64> = references.iter().map(|r| r.book.value()).collect();
    let ids: Vec<Uuid> = references.iter().map(|r| r.id).collect();
    let rows = sqlx::query!(
        r#"
        select c.*,
               (select h.from_state from settlement.change h
                where h.book_id = c.book_id and h.conversion_id = c.id
                  and h.version = c.version) as came_from
        from settlement.conversion c
        where (c.book_id, c.id) in (select * from unnest($1::bigint[], $2::uuid[]))
        order by c.book_id, c.id
        for update of c
        "#,
        &books,
        &ids,
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut programs: Vec<ProgramRef> = rows
        .iter()
        .map(|row| ProgramRef { book: BookId::from_value(row.book_id), id: row.program_id })
        .collect();
    programs.sort_unstable();
    programs.dedup();
    let terms = party::terms_of(conn, &programs).await?;
    rows.into_iter()
        .map(|row| {
            let wrong = |problem: &str| ConversionError::Inconsistent {
                conversion: row.id,
                problem: problem.to_owned(),
            };
            let book = BookId::from_value(row.book_id);
            let program = ProgramRef { book, id: row.program_id };
            let currency: Currency = row.currency.parse().map_err(|_| wrong("currency"))?;
            let money = |minor| Money::try_from_minor(minor, currency).map_err(|_| wrong("amount"));
            let reference = ConversionRef { book, id: row.id };
            let stored = Stored {
                reference,
                program,
                order_ref: row.order_ref.clone(),
                event: row.event_id,
                state: State::named(&row.state, row.held_from.as_deref())
                    .ok_or_else(|| wrong("state"))?,
                version: row.version,
                approved_version: row.approved_version,
                publisher: row.publisher_id,
                click: row.click_id,
                order: money(row.order_amount)?,
                refunded: money(row.refunded)?,
                frozen: serde_json::from_value(row.frozen_rate.clone())
                    .map_err(|_| wrong("frozen_rate"))?,
                amounts: Components::from_parts(
                    money(row.gross)?,
                    money(row.fee_brand)?,
                    money(row.fee_publisher)?,
                )?,
                terms: terms
                    .get(&program)
                    .and_then(|versions| versions.iter().find(|(v, _)| *v == row.terms_version))
                    .map(|(_, terms)| terms.clone())
                    .ok_or_else(|| wrong("terms_version"))?,
                came_from: row.came_from,
            };
            Ok((reference, stored))
        })
        .collect()
}

/// Opens the accounts of postings and posts them all; refuses the batch if one entry is refused.
/// `owners` names the conversion of each posting.
pub(super) async fn post(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    postings: &[(ConversionRef, Posting)],
) -> Result<(), ConversionError> {
    let mut accounts: Vec<_> = postings.iter().flat_map(|(_, p)| p.accounts.clone()).collect();
    accounts.sort_by_key(|account| (account.book(), account.id()));
    accounts.dedup();
    ledger::account::open(&mut *conn, now, by, &accounts).await?;
    let owners = postings.iter().flat_map(|(owner, p)| p.entries.iter().map(|_| owner.id));
    let entries: Vec<_> = postings.iter().flat_map(|(_, p)| p.entries.clone()).collect();
    let answers = ledger::journal::post(conn, now, by, &entries).await?;
    for (conversion, answer) in owners.zip(answers) {
        answer
            .receipt()
            .map_err(|refusal: Refusal| ConversionError::Refused { conversion, refusal })?;
    }
    Ok(())
}

/// Writes what conversions are now. Each must still be at the version before.
pub(super) async fn save(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    conversions: &[(i32, Stored)],
) -> Result<(), ConversionError> {
    let each = |f: &dyn Fn(&Stored) -> i64| -> Vec<i64> {
        conversions.iter().map(|(_, stored)| f(stored)).collect()
    };
    let books = each(&|s| s.reference.book.value());
    let ids: Vec<Uuid> = conversions.iter().map(|(_, s)| s.reference.id).collect();
    let before: Vec<i32> = conversions.iter().map(|(before, _)| *before).collect();
    let versions: Vec<i32> = conversions.iter().map(|(_, s)| s.version).collect();
    let approved: Vec<Option<i32>> = conversions.iter().map(|(_, s)| s.approved_version).collect();
    let states: Vec<String> =
        conversions.iter().map(|(_, s)| s.state.stored().0.to_owned()).collect();
    let holds: Vec<Option<String>> =
        conversions.iter().map(|(_, s)| s.state.stored().1.map(str::to_owned)).collect();
    let saved = sqlx::query!(
        r#"
        update settlement.conversion c
        set version = u.version, state = u.state, held_from = u.held_from,
            approved_version = u.approved_version, refunded = u.refunded, gross = u.gross,
            brand_due = u.brand_due, publisher_due = u.publisher_due, fee_brand = u.fee_brand,
            fee_publisher = u.fee_publisher, changed_at = $14, changed_by = $15
        from unnest($1::bigint[], $2::uuid[], $3::int[], $4::int[], $5::text[], $6::text[],
                    $7::int[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[],
                    $12::bigint[], $13::bigint[])
             as u (book_id, id, before, version, state, held_from, approved_version, refunded,
                   gross, brand_due, publisher_due, fee_brand, fee_publisher)
        where c.book_id = u.book_id and c.id = u.id and c.version = u.before
        "#,
        &books,
        &ids,
        &before,
        &versions,
        &states,
        &holds as &[Option<String>],
        &approved as &[Option<i32>],
        &each(&|s| s.refunded.minor()),
        &each(&|s| s.amounts.gross().minor()),
        &each(&|s| s.amounts.brand_due().minor()),
        &each(&|s| s.amounts.publisher_due().minor()),
        &each(&|s| s.amounts.fee_brand().minor()),
        &each(&|s| s.amounts.fee_publisher().minor()),
        now,
        by.as_str(),
    )
    .execute(conn)
    .await?;
    let saved = usize::try_from(saved.rows_affected()).unwrap_or(0);
    let asked = conversions.len();
    if saved == asked {
        Ok(())
    } else {
        Err(ConversionError::Raced { missed: asked - saved, asked })
    }
}

/// Adds steps to the history of conversions.
pub(super) async fn add_changes(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    changes: &[ChangeRow],
) -> Result<(), ConversionError> {
    let books: Vec<i64> = changes.iter().map(|c| c.reference.book.value()).collect();
    let ids: Vec<Uuid> = changes.iter().map(|c| c.reference.id).collect();
    let versions: Vec<i32> = changes.iter().map(|c| c.version).collect();
    let actions: Vec<String> = changes.iter().map(|c| c.action.to_owned()).collect();
    let from: Vec<String> = changes.iter().map(|c| c.from.stored().0.to_owned()).collect();
    let to: Vec<String> = changes.iter().map(|c| c.to.stored().0.to_owned()).collect();
    let reasons: Vec<String> = changes.iter().map(|c| c.reason.clone()).collect();
    // Arrays of different lengths cannot be nested: entry ids travel as one text per change.
    let entries: Vec<String> = changes
        .iter()
        .map(|c| {
            let ids: Vec<String> = c.entries.iter().map(Uuid::to_string).collect();
            format!("{{{}}}", ids.join(","))
        })
        .collect();
    sqlx::query!(
        r#"
        insert into settlement.change (book_id, conversion_id, version, action, from_state,
                                       to_state, reason, entry_ids, changed_at, changed_by)
        select u.book_id, u.id, u.version, u.action, u.from_state, u.to_state, u.reason,
               u.entry_ids::uuid[], $9, $10
        from unnest($1::bigint[], $2::uuid[], $3::int[], $4::text[], $5::text[], $6::text[],
                    $7::text[], $8::text[])
             as u (book_id, id, version, action, from_state, to_state, reason, entry_ids)
        "#,
        &books,
        &ids,
        &versions,
        &actions,
        &from,
        &to,
        &reasons,
        &entries,
        now,
        by.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Adds versions of what conversions earn.
pub(super) async fn add_commissions(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    rows: &[CommissionRow],
) -> Result<(), ConversionError> {
    let each = |f: &dyn Fn(&CommissionRow) -> i64| -> Vec<i64> { rows.iter().map(f).collect() };
    let ids: Vec<Uuid> = rows.iter().map(|r| r.reference.id).collect();
    let versions: Vec<i32> = rows.iter().map(|r| r.version).collect();
    let events: Vec<Uuid> = rows.iter().map(|r| r.event).collect();
    sqlx::query!(
        r#"
        insert into settlement.commission (book_id, conversion_id, version, event_id, base, gross,
            brand_due, publisher_due, fee_brand, fee_publisher, decided_at, decided_by)
        select u.*, $11, $12
        from unnest($1::bigint[], $2::uuid[], $3::int[], $4::uuid[], $5::bigint[], $6::bigint[],
                    $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[]) as u
        "#,
        &each(&|r| r.reference.book.value()),
        &ids,
        &versions,
        &events,
        &each(&|r| r.base.minor()),
        &each(&|r| r.amounts.gross().minor()),
        &each(&|r| r.amounts.brand_due().minor()),
        &each(&|r| r.amounts.publisher_due().minor()),
        &each(&|r| r.amounts.fee_brand().minor()),
        &each(&|r| r.amounts.fee_publisher().minor()),
        now,
        by.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Conversions by the brands' order references, in every book; several may share one.
pub async fn find_by_order(
    conn: &mut PgConnection,
    order_refs: &[String],
) -> Result<HashMap<String, Vec<(ConversionRef, Currency)>>, ConversionError> {
    let rows = sqlx::query!(
        r#"
        select book_id, id, order_ref, currency from settlement.conversion
        where order_ref = any ($1)
        order by book_id, id
        "#,
        order_refs,
    )
    .fetch_all(conn)
    .await?;
    let mut found: HashMap<String, Vec<(ConversionRef, Currency)>> = HashMap::new();
    for row in rows {
        let currency = row.currency.parse().map_err(|_| ConversionError::Inconsistent {
            conversion: row.id,
            problem: "currency".to_owned(),
        })?;
        let reference = ConversionRef { book: BookId::from_value(row.book_id), id: row.id };
        found.entry(row.order_ref).or_default().push((reference, currency));
    }
    Ok(found)
}

/// Conversions still waiting for review whose order is older than a moment, oldest first.
pub async fn undecided(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<ConversionRef>, ConversionError> {
    let rows = sqlx::query!(
        r#"
        select book_id, id from settlement.conversion
        where state = 'pending' and occurred_at < $1
        order by occurred_at, id
        limit $2
        "#,
        before,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| ConversionRef { book: BookId::from_value(row.book_id), id: row.id })
        .collect())
}
