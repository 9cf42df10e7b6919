//! Jobs as a person sees them: what waits, what died and why; retry, discard, forget.

use chrono::{DateTime, Utc};
use ledger::Actor;
use sqlx::PgConnection;

use super::QueueError;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// To be done, now or later.
    Waiting,
    /// Done.
    Done,
    /// It failed for good; somebody has to look.
    Dead,
    /// Somebody decided that it need not be done.
    Discarded,
}

impl State {
    /// As it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Done => "done",
            State::Dead => "dead",
            State::Discarded => "discarded",
        }
    }
}

/// A job as a list shows it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Letter {
    /// Its number.
    pub id: i64,
    /// Its kind.
    pub kind: String,
    /// What it is about.
    pub key: String,
    /// What its handler is told.
    pub payload: serde_json::Value,
    /// Where it stands.
    pub state: String,
    /// When it runs next, or last should have.
    pub run_at: DateTime<Utc>,
    /// How many attempts counted.
    pub attempts: i32,
    /// Who works on it at the moment.
    pub claimed_by: Option<String>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When it was enqueued.
    pub created_at: DateTime<Utc>,
    /// When it was done, died or was discarded.
    pub closed_at: Option<DateTime<Utc>>,
    /// By whom.
    pub closed_by: Option<String>,
}

/// Jobs in a state, the longest waiting first; of any kind, or of one.
pub async fn list(
    conn: &mut PgConnection,
    state: State,
    kind: Option<&str>,
    limit: i64,
) -> Result<Vec<Letter>, QueueError> {
    Ok(sqlx::query_as!(
        Letter,
        r#"
        select id, kind, key, payload, state, run_at, attempts, claimed_by, last_error,
               created_at, closed_at, closed_by
        from jobs.job
        where state = $1 and ($2::text is null or kind = $2)
        order by run_at, id
        limit $3
        "#,
        state.as_str(),
        kind,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// Lets dead jobs run again at once, with all their attempts before them.
///
/// # Errors
/// [`QueueError::NotDead`] for the first that is not dead; nothing may then be committed.
pub async fn retry(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    ids: &[i64],
) -> Result<(), QueueError> {
    let done = sqlx::query_scalar!(
        r#"
        update jobs.job
        set state = 'waiting', run_at = $2, attempts = 0, closed_at = null, closed_by = null
        where id = any ($1) and state = 'dead'
        returning id
        "#,
        ids,
        now,
    )
    .fetch_all(conn)
    .await?;
    all_of(ids, &done)
}

/// Gives dead jobs up; who did it stands on them.
///
/// # Errors
/// [`QueueError::NotDead`] for the first that is not dead; nothing may then be committed.
pub async fn discard(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    ids: &[i64],
) -> Result<(), QueueError> {
    let done = sqlx::query_scalar!(
        r#"
        update jobs.job set state = 'discarded', closed_at = $2, closed_by = $3
        where id = any ($1) and state = 'dead'
        returning id
        "#,
        ids,
        now,
        by.as_str(),
    )
    .fetch_all(conn)
    .await?;
    all_of(ids, &done)
}

fn all_of(asked: &[i64], done: &[i64]) -> Result<(), QueueError> {
    match asked.iter().find(|id| !done.contains(id)) {
        Some(missing) => Err(QueueError::NotDead(*missing)),
        None => Ok(()),
    }
}

/// Forgets up to `most` jobs that were done or discarded before a moment; answers how many. Their
/// keys may be used again then.
pub async fn prune(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    most: i64,
) -> Result<u64, QueueError> {
    let gone = sqlx::query!(
        r#"
        delete from jobs.job
        where id in (select id from jobs.job
                     where state in ('done', 'discarded') and closed_at < $1
                     limit $2)
        "#,
        before,
        most,
    )
    .execute(conn)
    .await?;
    Ok(gone.rows_affected())
}
