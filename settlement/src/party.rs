//! Who takes part: brands, publishers, programs and their terms, enrolments.
//!
//! A brand has one book; a program belongs to a brand; a publisher earns in the programs that it is
//! enrolled in. Names are unique and how people find a party; ids are given by the caller, because
//! chance is an argument.

mod versions;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use ledger::{Actor, BookId, Currency};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::terms::Terms;

pub use versions::add_terms;
use versions::insert_terms;
pub(crate) use versions::terms_of;

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

/// Creates programs that are not there yet, with version 1 of their terms; returns how many were
/// new.
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
