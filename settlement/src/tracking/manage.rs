//! Managing links and how programs are tracked: checked, made, ended, and kept in the history.

use chrono::{DateTime, Utc};
use ledger::{Actor, BookId};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::destination::{Destination, DestinationError};
use super::link::{self, NewLink};
use super::setup::{self, Setup, SetupError};
use crate::columns::column;
use crate::party::ProgramRef;
use crate::party::changes::{Change, note};

/// A link, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRow {
    /// The word.
    pub slug: String,
    /// `slug`, `code`, `key` or `product`.
    pub kind: String,
    /// The brand, by name.
    pub brand: String,
    /// The program, by name.
    pub program: String,
    /// The program.
    pub program_id: Uuid,
    /// The publisher, by name.
    pub publisher: String,
    /// The publisher.
    pub publisher_id: Uuid,
    /// A page of its own.
    pub dest_url: Option<String>,
    /// `utm_campaign`.
    pub campaign: Option<String>,
    /// When it was made, UTC.
    pub created_at: DateTime<Utc>,
    /// When it ended, UTC.
    pub ended_at: Option<DateTime<Utc>>,
}

/// What can be wrong with a link.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Not a word that an address can hold.
    #[error(
        "{0:?} cannot stand in an address; use letters, digits, `.`, `_`, `~` and `-`, at most 64, \
         a letter or digit first"
    )]
    Malformed(String),
    /// The word leads elsewhere already, or did.
    #[error("{0:?} is taken and is never handed on; choose another word")]
    Taken(String),
    /// There is no such link.
    #[error("there is no link {0:?}; `counterfoil link list` shows those there are")]
    Unknown(String),
    /// The program leads nowhere yet.
    #[error(
        "program {0} is not tracked yet; say where it leads with `counterfoil program track` first"
    )]
    NotTracked(Uuid),
    /// The page is not the program's.
    #[error("{page} lies on none of the program's hosts and paths; it leads to {program}")]
    Elsewhere {
        /// The page.
        page: String,
        /// The program's own.
        program: String,
    },
    /// Not a page.
    #[error(transparent)]
    Destination(#[from] DestinationError),
    /// The program's tracking cannot be read or written.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// Postgres failed.
    #[error("links could not be read or written")]
    Database(#[from] sqlx::Error),
}

/// Makes links; all of them or none.
///
/// # Errors
/// [`LinkError::Taken`] also when the word belongs to the same publisher: it may lead elsewhere.
pub async fn make(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    reason: &str,
    links: &[NewLink],
) -> Result<(), LinkError> {
    let setups = setup::latest(conn).await?;
    for new in links {
        if !fits(&new.slug) {
            return Err(LinkError::Malformed(new.slug.clone()));
        }
        let Some(Ok(setup)) = setups.get(&new.program) else {
            return Err(LinkError::NotTracked(new.program.id));
        };
        if let Some(page) = &new.dest_url {
            may_lead(setup, page)?;
        }
    }
    let made = link::create(conn, now, by, links).await?;
    if let Some(taken) = links.iter().find(|new| !made.contains(&new.slug)) {
        return Err(LinkError::Taken(taken.slug.clone()));
    }
    let changes = column(links, |new| {
        Change::created(
            format!("link:{}", new.slug),
            json!({ "kind": new.kind.as_str(), "program": new.program.id,
                    "publisher": new.publisher, "dest_url": new.dest_url,
                    "campaign": new.campaign }),
        )
    });
    Ok(note(conn, now, by, reason, &changes).await?)
}

/// A word that an address can hold: what `link_slug_safe` asks for.
fn fits(word: &str) -> bool {
    let sign = |b: u8| b.is_ascii_alphanumeric() || b"._~-".contains(&b);
    let starts = word.starts_with(|first: char| first.is_ascii_alphanumeric());
    starts && word.len() <= 64 && word.bytes().all(sign)
}

/// Whether a link of the program may lead to a page: links are no way to send people anywhere.
fn may_lead(setup: &Setup, page: &str) -> Result<(), LinkError> {
    let own = Destination::parse(&setup.dest_url)?;
    let mut hosts = setup.profile.hosts.clone();
    hosts.push(own.host().to_owned());
    let within = Destination::parse(page)?.is_within(&hosts, &setup.profile.paths);
    within.then_some(()).ok_or_else(|| LinkError::Elsewhere {
        page: page.to_owned(),
        program: setup.dest_url.clone(),
    })
}

/// Ends a link; one that is over stays as it is. Its word is never handed on.
pub async fn end(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    reason: &str,
    slug: &str,
) -> Result<(), LinkError> {
    let known = sqlx::query_scalar!(
        r#"select to_jsonb(l) as "before!" from settlement.link l where slug = $1 for update"#,
        slug,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let before = known.ok_or_else(|| LinkError::Unknown(slug.to_owned()))?;
    if link::end(conn, now, by, &[slug.to_owned()]).await? == 0 {
        return Ok(());
    }
    let after = json!({ "ended_at": now, "ended_by": by.as_str() });
    let change = Change::step(format!("link:{slug}"), "end", before, after);
    Ok(note(conn, now, by, reason, &[change]).await?)
}

/// Adds a version to how a program is tracked, with its reason; returns the version's number.
pub async fn track(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    reason: &str,
    program: ProgramRef,
    setup: &Setup,
) -> Result<i32, LinkError> {
    let version = setup::add(conn, now, by, program, setup).await?;
    let after = json!({ "version": version, "dest_url": setup.dest_url,
                        "fallback_url": setup.fallback_url, "profile": setup.profile });
    let change = Change::created(format!("tracking:{}", program.id), after);
    note(conn, now, by, reason, &[change]).await?;
    Ok(version)
}

/// Links in order of their words: all, or those of a brand or a publisher; those after one.
pub async fn list(
    conn: &mut PgConnection,
    book: Option<BookId>,
    publisher: Option<Uuid>,
    after: Option<String>,
    limit: i64,
) -> Result<Vec<LinkRow>, sqlx::Error> {
    sqlx::query_as!(
        LinkRow,
        r#"
        select l.slug, l.kind, b.name as brand, p.name as program, l.program_id,
               u.name as publisher, l.publisher_id, l.dest_url, l.campaign, l.created_at, l.ended_at
        from settlement.link l
        join settlement.program p on p.book_id = l.book_id and p.id = l.program_id
        join settlement.brand b on b.id = p.brand_id
        join settlement.publisher u on u.id = l.publisher_id
        where ($1::bigint is null or l.book_id = $1)
          and ($2::uuid is null or l.publisher_id = $2)
          and ($3::text is null or l.slug > $3)
        order by l.slug
        limit $4
        "#,
        book.map(BookId::value),
        publisher,
        after,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// One link, by its word.
pub async fn find(conn: &mut PgConnection, slug: &str) -> Result<LinkRow, LinkError> {
    let found = sqlx::query_as!(
        LinkRow,
        r#"
        select l.slug, l.kind, b.name as brand, p.name as program, l.program_id,
               u.name as publisher, l.publisher_id, l.dest_url, l.campaign, l.created_at, l.ended_at
        from settlement.link l
        join settlement.program p on p.book_id = l.book_id and p.id = l.program_id
        join settlement.brand b on b.id = p.brand_id
        join settlement.publisher u on u.id = l.publisher_id
        where l.slug = $1
        "#,
        slug,
    )
    .fetch_optional(conn)
    .await?;
    found.ok_or_else(|| LinkError::Unknown(slug.to_owned()))
}
