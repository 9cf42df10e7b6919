//! Books: one brand's set of accounts, or the network's own (the house book).
//!
//! A book's id follows from its name, so the same network has the same ids on every machine. The
//! row in `ledger.book` is the spine: its lock orders numbers, hashes and the fence of closed
//! months.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;

use crate::actor::Actor;
use crate::canonical;

/// The identity of a book: the first 63 bits of a SHA-256 over its name.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct BookId(i64);

impl BookId {
    /// The id that a book of this name has.
    #[must_use]
    pub fn of_name(name: &str) -> BookId {
        BookId(canonical::short_id(&format!(
            "book{}{name}",
            canonical::UNIT
        )))
    }

    /// As stored in Postgres.
    #[must_use]
    pub fn value(self) -> i64 {
        self.0
    }

    /// From a stored value.
    #[must_use]
    pub fn from_value(value: i64) -> BookId {
        BookId(value)
    }
}

impl fmt::Display for BookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A book as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Book {
    /// Follows from the name.
    pub id: BookId,
    /// One to 200 characters, unique.
    pub name: String,
    /// How many entries it holds; also the number of the latest.
    pub entries: i64,
    /// Hash of the latest entry.
    pub head: Vec<u8>,
    /// Last day of the latest closed month; entries must be effective later.
    pub closed_through: Option<NaiveDate>,
}

/// What can be wrong with a book.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The name cannot be used.
    #[error(
        "book name {0:?} cannot be used; give 1 to 200 characters, the first a letter or digit"
    )]
    Name(String),
    /// Postgres failed.
    #[error("books could not be opened or read")]
    Database(#[from] sqlx::Error),
}

/// Opens the books of these names that are not open yet; returns how many were new.
///
/// A book opened late inherits the fence of the months already closed.
///
/// # Errors
/// [`BookError::Name`] before anything is written; [`BookError::Database`] otherwise.
pub async fn open(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    names: &[&str],
) -> Result<usize, BookError> {
    if let Some(bad) = names.iter().find(|name| !is_plain(name)) {
        return Err(BookError::Name((*bad).to_owned()));
    }
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let opened = sqlx::query_scalar!(
        r#"select ledger.open_books($1, $2, $3) as "id!""#,
        now,
        by.as_str(),
        &names,
    )
    .fetch_all(conn)
    .await?;
    Ok(opened.len())
}

/// All books, by name.
pub async fn all(conn: &mut PgConnection) -> Result<Vec<Book>, BookError> {
    let rows = sqlx::query!(
        r#"
        select id, name, next_number - 1 as "entries!", head, closed_through
        from ledger.book
        order by name
        "#
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Book {
            id: BookId(row.id),
            name: row.name,
            entries: row.entries,
            head: row.head,
            closed_through: row.closed_through,
        })
        .collect())
}

fn is_plain(name: &str) -> bool {
    name.chars().next().is_some_and(char::is_alphanumeric)
        && name.chars().count() <= 200
        && !name.contains(char::is_control)
}
