//! Who takes part: brands, publishers, programs and their terms, enrolments.
//!
//! A brand has one book; a program belongs to a brand; a publisher earns in the programs that it is
//! enrolled in. Names are unique and how people find a party; ids are given by the caller, because
//! chance is an argument.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use ledger::{Actor, BookId, Currency, Rate};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::fees::{FeeError, FeeModel, Fees};
use crate::terms::{Presentation, RecognitionPoint, Terms, Unattributed};
use crate::terms::{rounding_name, rounding_named};

/// A program, with the book that it posts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProgramRef {
    /// The brand's book.
    pub book: BookId,
    /// The program.
    pub id: Uuid,
}

/// A party to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewParty {
    /// Chosen by the caller.
    pub id: Uuid,
    /// Unique among its kind.
    pub name: String,
}

/// A program to be created, with its first terms.
#[derive(Debug, Clone)]
pub struct NewProgram {
    /// Chosen by the caller.
    pub id: Uuid,
    /// The brand, by name.
    pub brand: String,
    /// Unique within the brand.
    pub name: String,
    /// The first version of its terms.
    pub terms: Terms,
}

/// What can be wrong with a party.
#[derive(Debug, thiserror::Error)]
pub enum PartyError {
    /// No such brand.
    #[error("brand {0:?} is unknown; create it first")]
    UnknownBrand(String),
    /// The brand's book could not be opened.
    #[error(transparent)]
    Book(#[from] ledger::book::BookError),
    /// Stored terms cannot be read.
    #[error("inconsistency in settlement.program_terms of program {program}: {problem}")]
    Terms {
        /// The program.
        program: Uuid,
        /// What cannot be read.
        problem: String,
    },
    /// Postgres failed.
    #[error("parties could not be read or created")]
    Database(#[from] sqlx::Error),
}

/// Creates brands that are not there yet, each with its book; returns how many were new.
pub async fn create_brands(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    brands: &[NewParty],
) -> Result<u64, PartyError> {
    let names: Vec<&str> = brands.iter().map(|brand| brand.name.as_str()).collect();
    ledger::book::open(conn, now, by, &names).await?;
    let ids: Vec<Uuid> = brands.iter().map(|brand| brand.id).collect();
    let books: Vec<i64> = names
        .iter()
        .map(|name| BookId::of_name(name).value())
        .collect();
    let names: Vec<String> = brands.iter().map(|brand| brand.name.clone()).collect();
    let created = sqlx::query!(
        r#"
        insert into settlement.brand (id, name, book_id, created_at, created_by)
        select u.id, u.name, u.book_id, $4, $5
        from unnest($1::uuid[], $2::text[], $3::bigint[]) as u (id, name, book_id)
        on conflict (name) do nothing
        "#,
        &ids,
        &names,
        &books,
        now,
        by.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(created.rows_affected())
}

/// Creates publishers that are not there yet; returns how many were new.
pub async fn create_publishers(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    publishers: &[NewParty],
) -> Result<u64, PartyError> {
    let ids: Vec<Uuid> = publishers.iter().map(|publisher| publisher.id).collect();
    let names: Vec<String> = publishers
        .iter()
        .map(|publisher| publisher.name.clone())
        .collect();
    let created = sqlx::query!(
        r#"
        insert into settlement.publisher (id, name, created_at, created_by)
        select u.id, u.name, $3, $4
        from unnest($1::uuid[], $2::text[]) as u (id, name)
        on conflict (name) do nothing
        "#,
        &ids,
        &names,
        now,
        by.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(created.rows_affected())
}

/// Creates programs that are not there yet, with version 1 of their terms; returns how many were new.
///
/// # Errors
/// [`PartyError::UnknownBrand`] before anything is written.
pub async fn create_programs(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    programs: &[NewProgram],
) -> Result<u64, PartyError> {
    let brands = brands_by_name(conn).await?;
    if let Some(program) = programs.iter().find(|p| !brands.contains_key(&p.brand)) {
        return Err(PartyError::UnknownBrand(program.brand.clone()));
    }
    let books: Vec<i64> = programs
        .iter()
        .map(|p| brands[&p.brand].1.value())
        .collect();
    let brand_ids: Vec<Uuid> = programs.iter().map(|p| brands[&p.brand].0).collect();
    let ids: Vec<Uuid> = programs.iter().map(|p| p.id).collect();
    let names: Vec<String> = programs.iter().map(|p| p.name.clone()).collect();
    let created: Vec<Uuid> = sqlx::query_scalar!(
        r#"
        insert into settlement.program (book_id, id, brand_id, name, created_at, created_by)
        select u.book_id, u.id, u.brand_id, u.name, $5, $6
        from unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::text[])
             as u (book_id, id, brand_id, name)
        on conflict (book_id, name) do nothing
        returning id
        "#,
        &books,
        &ids,
        &brand_ids,
        &names,
        now,
        by.as_str(),
    )
    .fetch_all(&mut *conn)
    .await?;
    let first: Vec<(ProgramRef, i32, &Terms)> = programs
        .iter()
        .filter(|p| created.contains(&p.id))
        .map(|p| {
            (
                ProgramRef {
                    book: brands[&p.brand].1,
                    id: p.id,
                },
                1,
                &p.terms,
            )
        })
        .collect();
    insert_terms(conn, now, by, &first).await?;
    Ok(u64::try_from(created.len()).unwrap_or(u64::MAX))
}

/// Adds a version to a program's terms; orders from `terms.effective_from` on are decided by it.
pub async fn add_terms(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    program: ProgramRef,
    terms: &Terms,
) -> Result<i32, PartyError> {
    let latest = sqlx::query_scalar!(
        r#"
        select coalesce(max(version), 0) as "latest!"
        from settlement.program_terms where book_id = $1 and program_id = $2
        "#,
        program.book.value(),
        program.id,
    )
    .fetch_one(&mut *conn)
    .await?;
    insert_terms(conn, now, by, &[(program, latest + 1, terms)]).await?;
    Ok(latest + 1)
}

async fn insert_terms(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    versions: &[(ProgramRef, i32, &Terms)],
) -> Result<(), PartyError> {
    let each = |f: &dyn Fn(&Terms) -> String| -> Vec<String> {
        versions.iter().map(|(_, _, terms)| f(terms)).collect()
    };
    let books: Vec<i64> = versions
        .iter()
        .map(|(program, _, _)| program.book.value())
        .collect();
    let programs: Vec<Uuid> = versions.iter().map(|(program, _, _)| program.id).collect();
    let numbers: Vec<i32> = versions.iter().map(|(_, version, _)| *version).collect();
    let from: Vec<_> = versions
        .iter()
        .map(|(_, _, terms)| terms.effective_from)
        .collect();
    let rules: Vec<_> = versions
        .iter()
        .map(|(_, _, t)| serde_json::json!(t.rule))
        .collect();
    let fees: Vec<Fees> = versions
        .iter()
        .map(|(_, _, terms)| terms.fee_model.fees())
        .collect();
    let brand_rates: Vec<_> = fees.iter().map(|f| f.brand_rate.as_fraction()).collect();
    let publisher_rates: Vec<_> = fees
        .iter()
        .map(|f| f.publisher_rate.as_fraction())
        .collect();
    let lookbacks: Vec<i32> = versions
        .iter()
        .map(|(_, _, terms)| terms.lookback_days)
        .collect();
    let query = sqlx::query!(
        r#"
        insert into settlement.program_terms
            (book_id, program_id, version, effective_from, currency, rule, fee_model,
             fee_brand_rate, fee_publisher_rate, rounding, recognition_point, presentation,
             unattributed, lookback_days, created_at, created_by)
        select u.*, $15, $16
        from unnest($1::bigint[], $2::uuid[], $3::int[], $4::timestamptz[], $5::text[],
                    $6::jsonb[], $7::text[], $8::numeric[], $9::numeric[], $10::text[],
                    $11::text[], $12::text[], $13::text[], $14::int[]) as u
        "#,
        &books,
        &programs,
        &numbers,
        &from,
        &each(&|t| t.currency.code().to_owned()),
        &rules,
        &each(&|t| t.fee_model.name().to_owned()),
        &brand_rates,
        &publisher_rates,
        &each(&|t| rounding_name(t.rounding).to_owned()),
        &each(&|t| t.recognition_point.as_str().to_owned()),
        &each(&|t| t.presentation.as_str().to_owned()),
        &each(&|t| t.unattributed.as_str().to_owned()),
        &lookbacks,
        now,
        by.as_str(),
    );
    query.execute(conn).await?;
    Ok(())
}

/// Enrols publishers in programs; those enrolled already stay as they are.
pub async fn enrol(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    enrolments: &[(ProgramRef, Uuid)],
) -> Result<u64, PartyError> {
    let books: Vec<i64> = enrolments
        .iter()
        .map(|(program, _)| program.book.value())
        .collect();
    let programs: Vec<Uuid> = enrolments.iter().map(|(program, _)| program.id).collect();
    let publishers: Vec<Uuid> = enrolments.iter().map(|(_, publisher)| *publisher).collect();
    let enrolled = sqlx::query!(
        r#"
        insert into settlement.enrolment
            (book_id, program_id, publisher_id, approved_at, approved_by)
        select u.book_id, u.program_id, u.publisher_id, $4, $5
        from unnest($1::bigint[], $2::uuid[], $3::uuid[]) as u (book_id, program_id, publisher_id)
        on conflict (book_id, program_id, publisher_id) do nothing
        "#,
        &books,
        &programs,
        &publishers,
        now,
        by.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(enrolled.rows_affected())
}

/// Brands by name: id and book.
pub async fn brands_by_name(
    conn: &mut PgConnection,
) -> Result<HashMap<String, (Uuid, BookId)>, PartyError> {
    let rows = sqlx::query!("select name, id, book_id from settlement.brand")
        .fetch_all(conn)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.name, (row.id, BookId::from_value(row.book_id))))
        .collect())
}

/// Publishers by name.
pub async fn publishers_by_name(
    conn: &mut PgConnection,
) -> Result<HashMap<String, Uuid>, PartyError> {
    let rows = sqlx::query!("select name, id from settlement.publisher")
        .fetch_all(conn)
        .await?;
    Ok(rows.into_iter().map(|row| (row.name, row.id)).collect())
}

/// Programs by the name of their brand, each with its name and the currency of its latest terms.
pub async fn programs_by_brand(
    conn: &mut PgConnection,
) -> Result<HashMap<String, Vec<(String, ProgramRef, Currency)>>, PartyError> {
    let rows = sqlx::query!(
        r#"
        select b.name as brand, p.name, p.book_id, p.id, t.currency
        from settlement.program p
        join settlement.brand b on b.id = p.brand_id
        join lateral (
            select l.currency from settlement.program_terms l
            where l.book_id = p.book_id and l.program_id = p.id
            order by l.version desc limit 1
        ) t on true
        order by b.name, p.name
        "#
    )
    .fetch_all(conn)
    .await?;
    let mut programs: HashMap<String, Vec<(String, ProgramRef, Currency)>> = HashMap::new();
    for row in rows {
        let program = ProgramRef {
            book: BookId::from_value(row.book_id),
            id: row.id,
        };
        let currency = row.currency.parse().map_err(|error| PartyError::Terms {
            program: row.id,
            problem: format!("currency: {error}"),
        })?;
        programs
            .entry(row.brand)
            .or_default()
            .push((row.name, program, currency));
    }
    Ok(programs)
}

/// All terms of some programs, by program, oldest version first.
pub(crate) async fn terms_of(
    conn: &mut PgConnection,
    programs: &[ProgramRef],
) -> Result<HashMap<ProgramRef, Vec<(i32, Terms)>>, PartyError> {
    let books: Vec<i64> = programs
        .iter()
        .map(|program| program.book.value())
        .collect();
    let ids: Vec<Uuid> = programs.iter().map(|program| program.id).collect();
    let rows = sqlx::query_as!(
        TermsRow,
        r#"
        select t.book_id, t.program_id, t.version, t.effective_from, t.currency, t.rule,
               t.fee_model, t.fee_brand_rate, t.fee_publisher_rate, t.rounding,
               t.recognition_point, t.presentation, t.unattributed, t.lookback_days
        from unnest($1::bigint[], $2::uuid[]) as asked (book_id, id)
        join settlement.program_terms t on t.book_id = asked.book_id and t.program_id = asked.id
        order by t.book_id, t.program_id, t.version
        "#,
        &books,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    let mut terms: HashMap<ProgramRef, Vec<(i32, Terms)>> = HashMap::new();
    for row in rows {
        let program = ProgramRef {
            book: BookId::from_value(row.book_id),
            id: row.program_id,
        };
        let version = row.version;
        let read = row.read().map_err(|problem| PartyError::Terms {
            program: program.id,
            problem,
        })?;
        terms.entry(program).or_default().push((version, read));
    }
    Ok(terms)
}

struct TermsRow {
    book_id: i64,
    program_id: Uuid,
    version: i32,
    effective_from: DateTime<Utc>,
    currency: String,
    rule: serde_json::Value,
    fee_model: String,
    fee_brand_rate: rust_decimal::Decimal,
    fee_publisher_rate: rust_decimal::Decimal,
    rounding: String,
    recognition_point: String,
    presentation: String,
    unattributed: String,
    lookback_days: i32,
}

impl TermsRow {
    fn read(self) -> Result<Terms, String> {
        let fees = Fees {
            brand_rate: Rate::fraction(self.fee_brand_rate).map_err(|e| e.to_string())?,
            publisher_rate: Rate::fraction(self.fee_publisher_rate).map_err(|e| e.to_string())?,
        };
        let unknown = |column: &str, value: &str| format!("{column} {value:?} is unknown");
        Ok(Terms {
            effective_from: self.effective_from,
            currency: self
                .currency
                .parse()
                .map_err(|e| format!("currency: {e}"))?,
            rule: serde_json::from_value(self.rule).map_err(|e| format!("rule: {e}"))?,
            fee_model: FeeModel::from_stored(&self.fee_model, fees)
                .map_err(|e: FeeError| e.to_string())?,
            rounding: rounding_named(&self.rounding)
                .ok_or_else(|| unknown("rounding", &self.rounding))?,
            recognition_point: RecognitionPoint::named(&self.recognition_point)
                .ok_or_else(|| unknown("recognition_point", &self.recognition_point))?,
            presentation: Presentation::named(&self.presentation)
                .ok_or_else(|| unknown("presentation", &self.presentation))?,
            unattributed: Unattributed::named(&self.unattributed)
                .ok_or_else(|| unknown("unattributed", &self.unattributed))?,
            lookback_days: self.lookback_days,
        })
    }
}
