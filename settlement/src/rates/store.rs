//! Storing rates of exchange, and reading those that a batch of orders needs.

use chrono::{DateTime, Days, NaiveDate, Utc};
use ledger::{Actor, Currency};
use rust_decimal::Decimal;
use sqlx::PgConnection;

use super::{DIGITS, MAX_AGE_DAYS, RateError, Table, TableRow};
use crate::columns::column;

/// A rate to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRate {
    /// The currency of one unit.
    pub base: Currency,
    /// The currency it is expressed in.
    pub quote: Currency,
    /// Its day.
    pub day: NaiveDate,
    /// How much of `quote`.
    pub rate: Decimal,
}

/// What became of rates to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[must_use = "says what was new"]
pub struct Stored {
    /// Days of pairs that had no rate.
    pub new: u64,
    /// Days that got another rate than they had: a further revision.
    pub corrected: u64,
    /// As this source said before.
    pub unchanged: u64,
}

/// Stores rates of one source, in one statement.
///
/// What the source said last of the same day is not stored again, so an import may be repeated,
/// and a correction by somebody else since then stands. Two at a time wait for each other.
///
/// # Errors
/// Before anything is stored, if a rate is none.
pub async fn add(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    source: &str,
    rates: &[NewRate],
) -> Result<Stored, RateError> {
    if source.trim().is_empty() {
        return Err(RateError::NoSource);
    }
    for new in rates {
        check(new)?;
    }
    // Revisions are counted up: whoever comes second must see what the first one stored.
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('settlement.fx_rate', 0))")
        .execute(&mut *conn)
        .await?;
    let row = sqlx::query!(
        r#"
        with given as (
            select distinct on (u.base, u.quote, u.day) u.base, u.quote, u.day, u.rate
            from unnest($1::text[], $2::text[], $3::date[], $4::numeric[]) with ordinality
                 as u (base, quote, day, rate, n)
            order by u.base, u.quote, u.day, u.n desc
        ), stands as (
            select g.*, coalesce(latest.revision, 0) as revision, said.rate as said
            from given g
            left join lateral (
                select f.revision from settlement.fx_rate f
                where f.base = g.base and f.quote = g.quote and f.day = g.day
                order by f.revision desc limit 1
            ) latest on true
            left join lateral (
                select f.rate from settlement.fx_rate f
                where f.base = g.base and f.quote = g.quote and f.day = g.day and f.source = $5
                order by f.revision desc limit 1
            ) said on true
        ), stored as (
            insert into settlement.fx_rate
                (base, quote, day, revision, rate, source, recorded_at, recorded_by)
            select s.base, s.quote, s.day, s.revision + 1, s.rate, $5, $6, $7
            from stands s where s.said is distinct from s.rate
            returning revision
        )
        select count(*) filter (where revision = 1) as "new!",
               count(*) filter (where revision > 1) as "corrected!",
               (select count(*) from given) - count(*) as "unchanged!"
        from stored
        "#,
        &column(rates, |r| r.base.code().to_owned()),
        &column(rates, |r| r.quote.code().to_owned()),
        &column(rates, |r| r.day),
        &column(rates, |r| r.rate),
        source,
        now,
        by.as_str(),
    )
    .fetch_one(conn)
    .await?;
    let count = |count: i64| u64::try_from(count).unwrap_or(0);
    Ok(Stored {
        new: count(row.new),
        corrected: count(row.corrected),
        unchanged: count(row.unchanged),
    })
}

fn check(new: &NewRate) -> Result<(), RateError> {
    if new.base == new.quote {
        return Err(RateError::SameCurrency(new.base));
    }
    if new.rate <= Decimal::ZERO {
        return Err(RateError::NotPositive(new.rate));
    }
    if new.rate.round_sf(DIGITS) != Some(new.rate) {
        return Err(RateError::TooPrecise(new.rate));
    }
    Ok(())
}

/// A stored rate as it is listed: the one that counts for its pair and day.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Listed {
    /// The currency of one unit.
    pub base: String,
    /// The currency it is expressed in.
    pub quote: String,
    /// Its day.
    pub day: NaiveDate,
    /// How much of `quote`.
    pub rate: Decimal,
    /// How many revisions of the day there are.
    pub revision: i32,
    /// Who published it.
    pub source: String,
    /// When it was stored.
    pub recorded_at: DateTime<Utc>,
    /// Who stored it.
    pub recorded_by: String,
}

/// Stored rates that count, latest day first; of one currency only, if it is named.
pub async fn list(
    conn: &mut PgConnection,
    of: Option<Currency>,
    limit: i64,
) -> Result<Vec<Listed>, RateError> {
    let rows = sqlx::query_as!(
        Listed,
        r#"
        select f.base, f.quote, f.day, f.rate, f.revision, f.source, f.recorded_at, f.recorded_by
        from settlement.fx_rate f
        where ($1::text is null or f.base = $1 or f.quote = $1)
          and not exists (
              select from settlement.fx_rate l
              where l.base = f.base and l.quote = f.quote and l.day = f.day
                and l.revision > f.revision)
        order by f.day desc, f.base, f.quote
        limit $2
        "#,
        of.map(Currency::code),
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// A rate that an order asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    pub from: Currency,
    pub into: Currency,
    pub day: NaiveDate,
}

/// The stored rates that can answer all of these; one statement, or none.
pub(crate) async fn quotes(conn: &mut PgConnection, asked: &[Asked]) -> Result<Table, RateError> {
    let Some(first) = asked.iter().map(|a| a.day).min() else {
        return Ok(Table::default());
    };
    let last = asked.iter().map(|a| a.day).max().unwrap_or(first);
    let first = first
        .checked_sub_days(Days::new(MAX_AGE_DAYS))
        .unwrap_or(first);
    let mut codes: Vec<String> = asked
        .iter()
        .flat_map(|a| [a.from, a.into, Currency::EUR])
        .map(|currency| currency.code().to_owned())
        .collect();
    codes.sort_unstable();
    codes.dedup();
    let rows = sqlx::query!(
        r#"
        select distinct on (base, quote, day) base, quote, day, rate, source, recorded_at
        from settlement.fx_rate
        where base = any ($1) and quote = any ($1) and day between $2 and $3
        order by base, quote, day, revision desc
        "#,
        &codes,
        first,
        last,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let wrong = |error: ledger::MoneyError| RateError::Inconsistent {
                base: row.base.clone(),
                quote: row.quote.clone(),
                day: row.day,
                problem: error.to_string(),
            };
            Ok(TableRow {
                base: row.base.parse().map_err(wrong)?,
                quote: row.quote.parse().map_err(wrong)?,
                day: row.day,
                rate: row.rate,
                source: row.source,
                recorded_at: row.recorded_at,
            })
        })
        .collect()
}
