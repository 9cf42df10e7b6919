//! Who takes part: brands, publishers, programs and their terms, enrolments.
//!
//! A brand has one book; a program belongs to a brand; a publisher earns in the programs that it is
//! enrolled in. Names are unique and how people find a party; ids are given by the caller, because
//! chance is an argument.
//!
//! Publishers, programs and enrolments have states; who may go where stands beside each
//! ([`PublisherState::after`] and its like). Every creation and every step is kept with its author,
//! time, reason, and the row before and after ([`changes`]).
//!
//! What it never does: delete a party, or change what one earned already. A suspended publisher
//! earns nothing from that moment on; what stands in the books stays there.

pub mod changes;
mod code;
mod enrolment;
mod program;
mod publisher;
mod versions;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use ledger::{Actor, BookId, Currency};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::terms::Terms;

use changes::{Change, note};
pub use code::{CodeError, PublisherCode};
pub use enrolment::{
    Enrolment, EnrolmentAction, EnrolmentFilter, EnrolmentState, apply_to, decide_enrolment, enrol,
    enrolments,
};
pub use program::{
    Program, ProgramAction, ProgramState, change_terms, create_programs, create_programs_as,
    decide_program, find_program, programs, terms_versions,
};
pub use publisher::{
    Application, Publisher, PublisherAction, PublisherState, apply, create_publishers,
    decide_publisher, find_publisher, publishers,
};
pub use versions::add_terms;
pub(crate) use versions::terms_of;

/// A program, with the book that it posts to.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
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
    /// No such publisher.
    #[error("publisher {0:?} is unknown; `counterfoil publisher list` shows those there are")]
    UnknownPublisher(String),
    /// No such program.
    #[error("program {0:?} is unknown; `counterfoil program list` shows those there are")]
    UnknownProgram(String),
    /// Several programs answer to a name.
    #[error("{0:?} names several programs; say brand/program, or give the id")]
    AmbiguousProgram(String),
    /// The publisher is not enrolled in the program.
    #[error("publisher {publisher:?} is not enrolled in program {program:?}; add it first")]
    NotEnrolled {
        /// The publisher, by name.
        publisher: String,
        /// The program, by name.
        program: String,
    },
    /// The name is taken.
    #[error("{kind} {name:?} is there already; choose another name")]
    NameTaken {
        /// What kind of party.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The public code is taken.
    #[error("code {0:?} is taken; choose another")]
    CodeTaken(String),
    /// A code that cannot stand in an address.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// A text that comes from outside cannot be kept.
    #[error("{what} {text:?} is not plain: {wanted}")]
    NotPlain {
        /// Which text.
        what: &'static str,
        /// As given.
        text: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// The step cannot be taken from this state.
    #[error("{what} is {state}; {action} is not possible from there")]
    Impossible {
        /// Which party.
        what: String,
        /// Its state.
        state: &'static str,
        /// What was asked.
        action: &'static str,
    },
    /// Another party has to be decided about first.
    #[error("{what} is {state}; it has to be {wanted} first")]
    NotReady {
        /// Which party.
        what: String,
        /// Its state.
        state: String,
        /// The state it has to be in.
        wanted: &'static str,
    },
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
    /// Rules that do not go with the program.
    #[error("rules of program {program}: {problem}")]
    Rules {
        /// The program.
        program: Uuid,
        /// What does not fit.
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
        insert into settlement.brand as b (id, name, book_id, created_at, created_by)
        select u.id, u.name, u.book_id, $4, $5
        from unnest($1::uuid[], $2::text[], $3::bigint[]) as u (id, name, book_id)
        on conflict (name) do nothing
        returning b.id, to_jsonb(b) as "after!"
        "#,
        &ids,
        &names,
        &books,
        now,
        by.as_str(),
    )
    .fetch_all(&mut *conn)
    .await?;
    let changes: Vec<Change> = created
        .into_iter()
        .map(|row| Change::created(format!("brand:{}", row.id), row.after))
        .collect();
    note(conn, now, by, "created", &changes).await?;
    Ok(u64::try_from(changes.len()).unwrap_or(u64::MAX))
}

/// A brand, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brand {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its book.
    pub book: BookId,
    /// Since when it takes part.
    pub created_at: DateTime<Utc>,
}

struct BrandRow {
    id: Uuid,
    name: String,
    book_id: i64,
    created_at: DateTime<Utc>,
}

impl BrandRow {
    fn read(self) -> Brand {
        Brand {
            id: self.id,
            name: self.name,
            book: BookId::from_value(self.book_id),
            created_at: self.created_at,
        }
    }
}

/// A brand by its id or name.
///
/// # Errors
/// [`PartyError::UnknownBrand`] when there is none.
pub async fn find_brand(conn: &mut PgConnection, key: &str) -> Result<Brand, PartyError> {
    let row = sqlx::query_as!(
        BrandRow,
        r#"
        select id, name, book_id, created_at from settlement.brand
        where id::text = lower($1) or name = $1
        order by (id::text = lower($1)) desc limit 1
        "#,
        key,
    )
    .fetch_optional(conn)
    .await?;
    let row = row.ok_or_else(|| PartyError::UnknownBrand(key.to_owned()))?;
    Ok(row.read())
}

/// Brands in order of their ids: all or the one with this book, those after one.
pub async fn brands(
    conn: &mut PgConnection,
    book: Option<BookId>,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Brand>, PartyError> {
    let rows = sqlx::query_as!(
        BrandRow,
        r#"
        select id, name, book_id, created_at from settlement.brand
        where ($1::uuid is null or id > $1) and ($3::bigint is null or book_id = $3)
        order by id limit $2
        "#,
        after,
        limit,
        book.map(BookId::value),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(BrandRow::read).collect())
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

/// Whether a text from outside can be stored and shown: one to 200 characters, no control signs.
fn plain(what: &'static str, text: &str) -> Result<(), PartyError> {
    let fits = (1..=200).contains(&text.chars().count())
        && !text.contains(char::is_control)
        && text.trim() == text;
    if fits {
        Ok(())
    } else {
        Err(PartyError::NotPlain {
            what,
            text: text.to_owned(),
            wanted: "one to 200 characters, no space at either end",
        })
    }
}
