//! The trail: from any figure back to its order and click, and forward to its entries.
//!
//! Whatever id a person has (an entry, an order or refund reference, a click, a conversion), the
//! trail of the conversion behind it tells the story in order: the click's raw record, what the
//! order's sender said and how it was proved, attribution with what was not chosen, terms,
//! commission, signs of fraud, each change, and the entries each posted.

mod click;
mod decision;
mod said;

use chrono::{DateTime, Utc};
use ledger::journal::{self, Recorded};
use ledger::{BookId, Currency, EntryId, Money};
use sqlx::PgConnection;
use uuid::Uuid;

pub use click::{ClickStep, RequestStep};
pub use decision::{SharedBy, Touch};
pub use said::{SaidStep, SignalStep, TermsStep};

use crate::conversion::ConversionRef;
use crate::rates::Quote;

/// A version of what a conversion earned.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CommissionStep {
    /// The version of the conversion.
    pub version: i32,
    /// What was left of the order.
    pub base: Money,
    /// Gross commission.
    pub gross: Money,
    /// What the brand owes.
    pub brand_due: Money,
    /// What the publisher earns.
    pub publisher_due: Money,
}

/// A change of a conversion.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ChangeStep {
    /// The version it led to.
    pub version: i32,
    /// What was done.
    pub action: String,
    /// The state before.
    pub from_state: String,
    /// The state after.
    pub to_state: String,
    /// Why.
    pub reason: String,
    /// When, UTC.
    pub changed_at: DateTime<Utc>,
    /// By whom.
    pub changed_by: String,
}

/// The whole story of one conversion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trail {
    /// The conversion.
    pub conversion: Uuid,
    /// The brand, its book's name.
    pub brand: String,
    /// The program.
    pub program: String,
    /// What its sender said.
    pub said: SaidStep,
    /// The version of its terms that decided.
    pub terms: TermsStep,
    /// Who earns it.
    pub publisher: Option<String>,
    /// The brand's reference.
    pub order_ref: String,
    /// When it was ordered, UTC.
    pub occurred_at: DateTime<Utc>,
    /// What it was worth.
    pub order: Money,
    /// How much of it was refunded.
    pub refunded: Money,
    /// The order in its own currency and the rate it was converted with, where that is another one.
    pub converted: Option<(Money, Option<Quote>)>,
    /// Its state.
    pub state: String,
    /// How it was attributed.
    pub model: String,
    /// What could have earned it, oldest first, if there was more than one.
    pub touches: Vec<Touch>,
    /// Who earns how much, if several publishers share it.
    pub shares: Vec<SharedBy>,
    /// The click, if one earned it.
    pub click: Option<ClickStep>,
    /// What looked wrong about it.
    pub signals: Vec<SignalStep>,
    /// The frozen rate, as JSON.
    pub frozen_rate: serde_json::Value,
    /// Why it pays that, as JSON.
    pub priced_by: serde_json::Value,
    /// What it earned, version by version.
    pub commissions: Vec<CommissionStep>,
    /// What happened to it.
    pub changes: Vec<ChangeStep>,
    /// Its journal entries, by number.
    pub entries: Vec<Recorded>,
}

/// A trail could not be followed.
#[derive(Debug, thiserror::Error)]
pub enum TrailError {
    /// A stored value cannot be read.
    #[error("inconsistency in the trail of conversion {0}: {1}")]
    Inconsistent(Uuid, String),
    /// The journal could not be read.
    #[error(transparent)]
    Journal(#[from] journal::JournalError),
    /// Postgres failed.
    #[error("the trail could not be read")]
    Database(#[from] sqlx::Error),
}

/// The conversions behind whatever a person typed: an id of an entry, conversion, click or event, a
/// place in a book (`United Kingdom/17`), or a reference of an order or refund.
pub async fn conversions_of(
    conn: &mut PgConnection,
    asked: &str,
) -> Result<Vec<(BookId, Uuid)>, TrailError> {
    let id = asked.parse::<Uuid>().ok();
    let place = asked
        .rsplit_once('/')
        .and_then(|(book, number)| Some((book.to_owned(), number.parse::<i64>().ok()?)));
    let (book, number) = place.unzip();
    let rows = sqlx::query!(
        r#"
        with entry as (
            select e.book_id, e.causes from ledger.book b
            join ledger.entry e on e.book_id = b.id
                 and (e.id = $1 or (b.name = $3 and e.number = $4))
        )
        select c.book_id as "book_id!", c.id as "id!" from settlement.conversion c
        where c.order_ref = $2 or c.id = $1 or c.click_id = $1 or c.event_id = $1
        union
        select e.book_id, substr(cause, 12)::uuid
        from entry e cross join lateral string_to_table(e.causes, chr(30)) as cause
        where cause like 'conversion:%'
        union
        select c.book_id, c.id from settlement.event r
        join settlement.conversion c on c.book_id = r.book_id and c.program_id = r.program_id
             and c.order_ref = r.order_ref
        where r.kind = 'refund' and (r.external_ref = $2 or r.id = $1)
        union
        select c.book_id, c.id from settlement.inbox i
        join settlement.store_connection s on s.id = i.connection_id
        left join settlement.store_order o on o.book_id = i.book_id
             and o.connection_id = i.connection_id and o.order_key = i.order_key
        join settlement.conversion c on c.book_id = i.book_id and c.program_id = s.program_id
             and c.order_ref = s.order_prefix || coalesce(o.alias_of, i.order_key)
        where i.facts @> jsonb_build_array(jsonb_build_object('reference', $2::text))
        "#,
        id,
        asked,
        book,
        number,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (BookId::from_value(row.book_id), row.id))
        .collect())
}

/// The story of one conversion; `None` if there is no such conversion.
pub async fn trail(
    conn: &mut PgConnection,
    book: BookId,
    conversion: Uuid,
) -> Result<Option<Trail>, TrailError> {
    let Some(head) = head(conn, book, conversion).await? else {
        return Ok(None);
    };
    let wrong = |problem: String| TrailError::Inconsistent(conversion, problem);
    let money = |minor| in_minor(conversion, &head.currency, minor);
    let commissions = commissions(conn, book, conversion, &money).await?;
    let touches = decision::touches(conn, conversion, head.considered).await?;
    let shares = decision::shares(conn, book, conversion, &money).await?;
    let (changes, entries) = changes(conn, book, conversion).await?;
    let reference = ConversionRef {
        book,
        id: conversion,
    };
    let said = said::said(conn, reference).await?;
    let terms = said::terms(conn, book, head.program_id, head.terms_version).await?;
    let signals = said::signals(conn, reference).await?;
    let click = click::click(conn, book, head.click_id).await?;
    let original = head.original_currency.zip(head.original_amount);
    let converted = original.map(|(currency, minor)| {
        let quote = head.fx.map(serde_json::from_value).transpose();
        let quote = quote.map_err(|error| wrong(error.to_string()))?;
        Ok::<_, TrailError>((in_minor(conversion, &currency, minor)?, quote))
    });
    Ok(Some(Trail {
        conversion,
        brand: head.brand,
        program: head.program,
        said,
        terms,
        publisher: head.publisher,
        order_ref: head.order_ref,
        occurred_at: head.occurred_at,
        order: money(head.order_amount)?,
        refunded: money(head.refunded)?,
        converted: converted.transpose()?,
        state: head.state,
        model: head.model,
        touches,
        shares,
        click,
        signals,
        frozen_rate: head.frozen_rate,
        priced_by: head.priced_by,
        commissions,
        changes,
        entries,
    }))
}

fn in_minor(conversion: Uuid, currency: &str, minor: i64) -> Result<Money, TrailError> {
    let wrong = |problem: String| TrailError::Inconsistent(conversion, problem);
    let currency: Currency = currency
        .parse()
        .map_err(|_| wrong(format!("currency {currency}")))?;
    Money::try_from_minor(minor, currency).map_err(|error| wrong(error.to_string()))
}

/// A conversion's own columns, with the names around it and its latest attribution.
struct Head {
    program_id: Uuid,
    terms_version: i32,
    order_ref: String,
    occurred_at: DateTime<Utc>,
    currency: String,
    order_amount: i64,
    refunded: i64,
    original_currency: Option<String>,
    original_amount: Option<i64>,
    fx: Option<serde_json::Value>,
    state: String,
    frozen_rate: serde_json::Value,
    priced_by: serde_json::Value,
    click_id: Option<Uuid>,
    brand: String,
    program: String,
    publisher: Option<String>,
    model: String,
    considered: serde_json::Value,
}

async fn head(
    conn: &mut PgConnection,
    book: BookId,
    conversion: Uuid,
) -> Result<Option<Head>, sqlx::Error> {
    sqlx::query_as!(
        Head,
        r#"
        select c.program_id, c.terms_version, c.order_ref, c.occurred_at, c.currency,
               c.order_amount, c.refunded, c.original_currency, c.original_amount, c.fx, c.state,
               c.frozen_rate, c.priced_by, c.click_id, b.name as brand, p.name as program,
               u.name as "publisher?", a.model, a.considered
        from settlement.conversion c
        join ledger.book b on b.id = c.book_id
        join settlement.program p on p.book_id = c.book_id and p.id = c.program_id
        join lateral (
            select model, considered from settlement.attribution a
            where a.book_id = c.book_id and a.conversion_id = c.id
            order by a.version desc limit 1
        ) a on true
        left join settlement.publisher u on u.id = c.publisher_id
        where c.book_id = $1 and c.id = $2
        "#,
        book.value(),
        conversion,
    )
    .fetch_optional(conn)
    .await
}

async fn commissions(
    conn: &mut PgConnection,
    book: BookId,
    conversion: Uuid,
    money: &impl Fn(i64) -> Result<Money, TrailError>,
) -> Result<Vec<CommissionStep>, TrailError> {
    let rows = sqlx::query!(
        r#"
        select version, base, gross, brand_due, publisher_due from settlement.commission
        where book_id = $1 and conversion_id = $2 order by version
        "#,
        book.value(),
        conversion,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(CommissionStep {
                version: row.version,
                base: money(row.base)?,
                gross: money(row.gross)?,
                brand_due: money(row.brand_due)?,
                publisher_due: money(row.publisher_due)?,
            })
        })
        .collect()
}

/// The changes of a conversion, and its entries: those of its recording and of each change.
async fn changes(
    conn: &mut PgConnection,
    book: BookId,
    conversion: Uuid,
) -> Result<(Vec<ChangeStep>, Vec<Recorded>), TrailError> {
    let rows = sqlx::query!(
        r#"
        select version, action, from_state, to_state, reason, entry_ids, changed_at, changed_by
        from settlement.change where book_id = $1 and conversion_id = $2 order by version
        "#,
        book.value(),
        conversion,
    )
    .fetch_all(&mut *conn)
    .await?;
    let recorded = crate::posting::pending::key(conversion).entry_id(book);
    let mut ids = vec![(book, recorded)];
    ids.extend(
        rows.iter()
            .flat_map(|row| &row.entry_ids)
            .map(|id| (book, EntryId::from(*id))),
    );
    let entries = journal::find(conn, &ids).await?;
    let steps = rows
        .into_iter()
        .map(|row| ChangeStep {
            version: row.version,
            action: row.action,
            from_state: row.from_state,
            to_state: row.to_state,
            reason: row.reason,
            changed_at: row.changed_at,
            changed_by: row.changed_by,
        })
        .collect();
    Ok((steps, entries))
}
