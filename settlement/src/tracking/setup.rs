//! How programs are tracked, version by version: added, never edited.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use ledger::{Actor, BookId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::destination::{Destination, DestinationError};
use super::profile::{Profile, ProfileError};
use crate::party::ProgramRef;

/// How a program is tracked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// Where its links lead.
    pub dest_url: String,
    /// Where visitors go while it takes none.
    pub fallback_url: Option<String>,
    /// How its clicks are marked.
    pub profile: Profile,
}

/// What can be wrong with a setup.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// It leads nowhere.
    #[error(transparent)]
    Destination(#[from] DestinationError),
    /// Its profile cannot be.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// A stored profile cannot be read.
    #[error("inconsistency in settlement.program_tracking of program {program}: {problem}")]
    Stored {
        /// The program.
        program: Uuid,
        /// What cannot be read.
        problem: String,
    },
    /// Postgres failed.
    #[error("tracking could not be read or written")]
    Database(#[from] sqlx::Error),
}

/// Adds a version to how a program is tracked; from its commit on it counts. Returns its number.
pub async fn add(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    program: ProgramRef,
    setup: &Setup,
) -> Result<i32, SetupError> {
    setup.profile.check()?;
    for url in [&setup.dest_url].into_iter().chain(&setup.fallback_url) {
        Destination::parse(url)?;
    }
    let version = sqlx::query_scalar!(
        r#"
        insert into settlement.program_tracking
            (book_id, program_id, version, dest_url, fallback_url, profile,
             created_at, created_by)
        select $1, $2, coalesce(max(t.version), 0) + 1, $3, $4, $5, $6, $7
        from settlement.program_tracking t where t.book_id = $1 and t.program_id = $2
        returning version
        "#,
        program.book.value(),
        program.id,
        setup.dest_url,
        setup.fallback_url,
        serde_json::json!(setup.profile),
        now,
        by.as_str(),
    )
    .fetch_one(conn)
    .await?;
    Ok(version)
}

/// How each program is tracked now.
pub async fn latest(
    conn: &mut PgConnection,
) -> Result<HashMap<ProgramRef, Result<Setup, SetupError>>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select distinct on (book_id, program_id)
               book_id, program_id, dest_url, fallback_url, profile
        from settlement.program_tracking
        order by book_id, program_id, version desc
        "#
    )
    .fetch_all(conn)
    .await?;
    let setups = rows.into_iter().map(|row| {
        let program = ProgramRef {
            book: BookId::from_value(row.book_id),
            id: row.program_id,
        };
        let stored = |problem: String| SetupError::Stored {
            program: program.id,
            problem,
        };
        let read = || {
            Ok(Setup {
                dest_url: row.dest_url,
                fallback_url: row.fallback_url,
                profile: serde_json::from_value(row.profile)
                    .map_err(|error| stored(format!("profile: {error}")))?,
            })
        };
        (program, read())
    });
    Ok(setups.collect())
}
