//! Targets: where a publisher wants to hear of its conversions.

use std::fmt;

use chrono::{DateTime, Utc};
use ledger::{Actor, BookId};
use settlement::party::ProgramRef;
use sqlx::PgConnection;
use url::Url;
use uuid::Uuid;

use super::Event;
use super::template::{Unknown, Values, render, unknown_macros};
use crate::outside::{self, Reach};

/// How a target is told.
#[derive(Clone, PartialEq, Eq)]
pub enum Method {
    /// By asking for the URL.
    Get,
    /// By a JSON body, signed with this secret.
    Post {
        /// Shared with the receiver.
        secret: String,
    },
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Method {
    /// As it is stored.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Method::Get => "get",
            Method::Post { .. } => "post",
        }
    }
}

/// A target to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTarget {
    /// Its id.
    pub id: Uuid,
    /// Whose conversions.
    pub publisher: Uuid,
    /// Only of this program; of all, if none is named.
    pub program: Option<ProgramRef>,
    /// How it is told.
    pub method: Method,
    /// Where, with macros.
    pub url: String,
    /// Of what.
    pub events: Vec<Event>,
    /// How long after the change, in milliseconds, at most a day.
    pub delay_ms: i32,
    /// What becomes of macros that nobody knows.
    pub unknown: Unknown,
    /// Whether it may see the brand's order reference.
    pub expose_order_id: bool,
}

/// A target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its id.
    pub id: Uuid,
    /// Whose conversions.
    pub publisher: Uuid,
    /// Only of this program.
    pub program: Option<ProgramRef>,
    /// How it is told.
    pub method: Method,
    /// Where, with macros.
    pub url: String,
    /// Of what, by name.
    pub events: Vec<String>,
    /// How long after the change, in milliseconds.
    pub delay_ms: i32,
    /// What becomes of macros that nobody knows.
    pub unknown: Unknown,
    /// Whether it may see the brand's order reference.
    pub expose_order_id: bool,
    /// Failed attempts since the last that went well.
    pub failures: i32,
    /// When it was disabled, and why.
    pub disabled: Option<(DateTime<Utc>, String)>,
}

/// What can be wrong with targets.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The URL cannot be used.
    #[error("postback URL {0}: {1}")]
    Url(String, String),
    /// A macro that nobody knows.
    #[error("postback URL has the macro {{{0}}}, which is unknown; known are {1}")]
    Macro(String, String),
    /// The delay is out of bounds.
    #[error("a delay of {0} ms is not between 0 and a day")]
    Delay(i32),
    /// No event was named.
    #[error("a postback needs at least one event")]
    NoEvent,
    /// The secret is too short to protect anything.
    #[error("a secret has at least 16 characters")]
    Secret,
    /// There is none of that id.
    #[error("there is no postback target {0}; `counterfoil postback list` shows them")]
    Missing(Uuid),
    /// A stored target cannot be read.
    #[error("inconsistency in jobs.postback_target {0}: {1}")]
    Inconsistent(Uuid, &'static str),
    /// Postgres failed.
    #[error("postback targets could not be read or written")]
    Database(#[from] sqlx::Error),
}

/// Judges a target before it is made. Names are judged again at each delivery, by the addresses
/// they then have.
pub fn check(target: &NewTarget, reach: Reach) -> Result<(), TargetError> {
    let refused = |why: String| TargetError::Url(target.url.clone(), why);
    let rendered = render(&target.url, &Values::new(), Unknown::Empty);
    let url = Url::parse(&rendered).map_err(|error| refused(error.to_string()))?;
    // Macros in the scheme, host or port would let a value choose where it goes.
    let authority = target.url.split_once("://").map(|(scheme, rest)| {
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        format!("{scheme}{}", &rest[..end])
    });
    if authority.is_none_or(|authority| authority.contains('{')) {
        return Err(refused(
            "macros may stand only after https://host/".to_owned(),
        ));
    }
    outside::check(&url, reach).map_err(refused)?;
    if target.unknown == Unknown::Empty
        && let Some(name) = unknown_macros(&target.url).first()
    {
        let known = super::template::MACROS.join(", ");
        return Err(TargetError::Macro((*name).to_owned(), known));
    }
    if !(0..=86_400_000).contains(&target.delay_ms) {
        return Err(TargetError::Delay(target.delay_ms));
    }
    if target.events.is_empty() {
        return Err(TargetError::NoEvent);
    }
    match &target.method {
        Method::Post { secret } if secret.chars().count() < 16 => Err(TargetError::Secret),
        Method::Post { .. } | Method::Get => Ok(()),
    }
}

/// Makes a target.
pub async fn add(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    target: &NewTarget,
    reach: Reach,
) -> Result<(), TargetError> {
    check(target, reach)?;
    let events: Vec<String> = target
        .events
        .iter()
        .map(|event| event.as_str().to_owned())
        .collect();
    let secret = match &target.method {
        Method::Get => None,
        Method::Post { secret } => Some(secret.as_str()),
    };
    sqlx::query!(
        r#"
        insert into jobs.postback_target (id, publisher_id, program_book_id, program_id, method,
            url, secret, events, delay_ms, unknown_macro, expose_order_id, failures,
            created_at, created_by, changed_at, changed_by)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, $12, $13, $12, $13)
        "#,
        target.id,
        target.publisher,
        target.program.map(|program| program.book.value()),
        target.program.map(|program| program.id),
        target.method.as_str(),
        target.url,
        secret,
        &events,
        target.delay_ms,
        target.unknown.as_str(),
        target.expose_order_id,
        now,
        by.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

struct Row {
    id: Uuid,
    publisher_id: Uuid,
    program_book_id: Option<i64>,
    program_id: Option<Uuid>,
    method: String,
    url: String,
    secret: Option<String>,
    events: Vec<String>,
    delay_ms: i32,
    unknown_macro: String,
    expose_order_id: bool,
    failures: i32,
    disabled_at: Option<DateTime<Utc>>,
    disabled_reason: Option<String>,
}

impl Row {
    fn target(self) -> Result<Target, TargetError> {
        let method = match (self.method.as_str(), self.secret) {
            ("get", None) => Method::Get,
            ("post", Some(secret)) => Method::Post { secret },
            _ => return Err(TargetError::Inconsistent(self.id, "method")),
        };
        let unknown = Unknown::from_stored(&self.unknown_macro)
            .ok_or(TargetError::Inconsistent(self.id, "unknown_macro"))?;
        Ok(Target {
            id: self.id,
            publisher: self.publisher_id,
            program: self
                .program_book_id
                .zip(self.program_id)
                .map(|(book, id)| ProgramRef {
                    book: BookId::from_value(book),
                    id,
                }),
            method,
            url: self.url,
            events: self.events,
            delay_ms: self.delay_ms,
            unknown,
            expose_order_id: self.expose_order_id,
            failures: self.failures,
            disabled: self.disabled_at.zip(self.disabled_reason),
        })
    }
}

/// Targets: all of them, or one publisher's.
pub async fn list(
    conn: &mut PgConnection,
    publisher: Option<Uuid>,
) -> Result<Vec<Target>, TargetError> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select id, publisher_id, program_book_id, program_id, method, url, secret, events,
               delay_ms, unknown_macro, expose_order_id, failures, disabled_at, disabled_reason
        from jobs.postback_target
        where $1::uuid is null or publisher_id = $1
        order by created_at, id
        "#,
        publisher,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Row::target).collect()
}

/// A target by its id.
pub async fn find(conn: &mut PgConnection, id: Uuid) -> Result<Target, TargetError> {
    let row = sqlx::query_as!(
        Row,
        r#"
        select id, publisher_id, program_book_id, program_id, method, url, secret, events,
               delay_ms, unknown_macro, expose_order_id, failures, disabled_at, disabled_reason
        from jobs.postback_target
        where id = $1
        "#,
        id,
    )
    .fetch_optional(conn)
    .await?;
    row.ok_or(TargetError::Missing(id))?.target()
}

/// Stops telling a target anything; does nothing if it is disabled already.
pub async fn disable(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    id: Uuid,
    reason: &str,
) -> Result<(), TargetError> {
    let found = sqlx::query_scalar!(
        r#"
        update jobs.postback_target
        set disabled_at = coalesce(disabled_at, $2), changed_at = $2, changed_by = $3,
            disabled_reason = coalesce(disabled_reason, $4)
        where id = $1
        returning id
        "#,
        id,
        now,
        by.as_str(),
        reason,
    )
    .fetch_optional(conn)
    .await?;
    found.map(|_| ()).ok_or(TargetError::Missing(id))
}

/// Tells a target again, as if nothing had failed; what died meanwhile is retried by
/// [`queue::retry`](crate::queue::retry).
pub async fn enable(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    id: Uuid,
) -> Result<(), TargetError> {
    let found = sqlx::query_scalar!(
        r#"
        update jobs.postback_target
        set disabled_at = null, disabled_reason = null, failures = 0, failing_since = null,
            changed_at = $2, changed_by = $3
        where id = $1
        returning id
        "#,
        id,
        now,
        by.as_str(),
    )
    .fetch_optional(conn)
    .await?;
    found.map(|_| ()).ok_or(TargetError::Missing(id))
}
