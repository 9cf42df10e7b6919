//! The history of parties: each creation and each step, with author, time, reason, before, after.
//!
//! Rows are only ever added. A subject is a kind and its id, such as `publisher:…`; its changes are
//! numbered without gaps, because whoever changes a party holds its row.

use chrono::{DateTime, Utc};
use ledger::Actor;
use serde_json::Value;
use sqlx::PgConnection;

use super::PartyError;

/// One change to be kept.
#[derive(Debug)]
pub(crate) struct Change {
    subject: String,
    action: &'static str,
    before: Option<Value>,
    after: Value,
}

impl Change {
    /// A party came to be.
    pub(crate) fn created(subject: String, after: Value) -> Change {
        Change {
            subject,
            action: "create",
            before: None,
            after,
        }
    }

    /// A party took a step.
    pub(crate) fn step(
        subject: String,
        action: &'static str,
        before: Value,
        after: Value,
    ) -> Change {
        Change {
            subject,
            action,
            before: Some(before),
            after,
        }
    }
}

/// Keeps changes; each subject at most once in a call.
#[expect(
    clippy::as_conversions,
    reason = "tells sqlx that an array may hold nulls; converts nothing"
)]
pub(crate) async fn note(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    reason: &str,
    changes: &[Change],
) -> Result<(), sqlx::Error> {
    let subjects: Vec<String> = changes.iter().map(|c| c.subject.clone()).collect();
    let actions: Vec<String> = changes.iter().map(|c| c.action.to_owned()).collect();
    let before: Vec<Option<Value>> = changes.iter().map(|c| c.before.clone()).collect();
    let after: Vec<Value> = changes.iter().map(|c| c.after.clone()).collect();
    sqlx::query!(
        r#"
        insert into settlement.party_change
            (subject, version, action, reason, before, after, changed_at, changed_by)
        select u.subject,
               1 + coalesce((select max(h.version) from settlement.party_change h
                             where h.subject = u.subject), 0),
               u.action, $5, u.before, u.after, $6, $7
        from unnest($1::text[], $2::text[], $3::jsonb[], $4::jsonb[])
             as u (subject, action, before, after)
        "#,
        &subjects,
        &actions,
        &before as &[Option<Value>],
        &after,
        reason,
        now,
        by.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A change, as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartyChange {
    /// Kind and id, such as `publisher:…`.
    pub subject: String,
    /// The how-manieth of its subject.
    pub version: i32,
    /// What was done: `create`, `approve`, `suspend`, …
    pub action: String,
    /// Why, as its author said.
    pub reason: String,
    /// The row before; nothing when it came to be.
    pub before: Option<Value>,
    /// The row after.
    pub after: Value,
    /// When.
    pub changed_at: DateTime<Utc>,
    /// By whom.
    pub changed_by: String,
}

/// Where a page of changes goes on: the last one shown.
pub type Position = (DateTime<Utc>, String, i32);

/// Changes, the newest first: all, or those of one subject; those older than a position.
pub async fn list(
    conn: &mut PgConnection,
    subject: Option<&str>,
    after: Option<&Position>,
    limit: i64,
) -> Result<Vec<PartyChange>, PartyError> {
    let changes = sqlx::query_as!(
        PartyChange,
        r#"
        select subject, version, action, reason, before, after, changed_at, changed_by
        from settlement.party_change
        where ($1::text is null or subject = $1)
          and ($2::timestamptz is null or (changed_at, subject, version) < ($2, $3, $4))
        order by changed_at desc, subject desc, version desc
        limit $5
        "#,
        subject,
        after.map(|position| position.0),
        after.map(|position| position.1.clone()),
        after.map(|position| position.2),
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(changes)
}
