//! The statements of the queue: enqueue, take, keep, end.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use super::{Job, Outcome, QueueError};

/// A job to be enqueued.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// What kind of thing is to be done.
    pub kind: &'static str,
    /// What names the thing within its kind; the same again is not enqueued.
    pub key: String,
    /// What the handler needs to know.
    pub payload: Value,
    /// Not before this moment.
    pub run_at: DateTime<Utc>,
}

/// Enqueues jobs in the caller's database transaction; answers how many were not there before.
pub async fn enqueue(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    jobs: &[NewJob],
) -> Result<u64, QueueError> {
    if jobs.is_empty() {
        return Ok(0);
    }
    let column = |of: &dyn Fn(&NewJob) -> String| jobs.iter().map(of).collect::<Vec<_>>();
    let payloads: Vec<Value> = jobs.iter().map(|job| job.payload.clone()).collect();
    let run_at: Vec<DateTime<Utc>> = jobs.iter().map(|job| job.run_at).collect();
    let query = sqlx::query!(
        r#"
        insert into jobs.job (kind, key, payload, state, run_at, attempts, claim, created_at)
        select u.kind, u.key, u.payload, 'waiting', u.run_at, 0, 0, $5
        from unnest($1::text[], $2::text[], $3::jsonb[], $4::timestamptz[])
             as u (kind, key, payload, run_at)
        on conflict (kind, key) do nothing
        "#,
        &column(&|job| job.kind.to_owned()),
        &column(&|job| job.key.clone()),
        &payloads,
        &run_at,
        now,
    );
    Ok(query.execute(conn).await?.rows_affected())
}

/// Takes up to `most` jobs of these kinds that are due, oldest first, under a lease.
pub(super) async fn take(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    lease: Duration,
    who: &str,
    kinds: &[String],
    most: i64,
) -> Result<Vec<Job>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        update jobs.job j
        set claimed_by = $2, claimed_until = $3, claim = j.claim + 1, attempts = j.attempts + 1
        from (select id from jobs.job
              where state = 'waiting' and run_at <= $1 and kind = any ($4)
                and (claimed_until is null or claimed_until <= $1)
              order by run_at, id
              limit $5
              for update skip locked) due
        where j.id = due.id
        returning j.id, j.kind, j.key, j.payload, j.attempts, j.claim
        "#,
        now,
        who,
        until(now, lease),
        kinds,
        most,
    )
    .fetch_all(conn)
    .await?;
    let mut taken: Vec<Job> = rows
        .into_iter()
        .map(|row| Job {
            id: row.id,
            kind: row.kind,
            key: row.key,
            payload: row.payload,
            attempt: row.attempts,
            claim: row.claim,
        })
        .collect();
    taken.sort_by_key(|job| job.id);
    Ok(taken)
}

/// Prolongs the lease of a job that takes long; false when somebody else has it by now.
pub(super) async fn keep(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    lease: Duration,
    job: &Job,
) -> Result<bool, sqlx::Error> {
    let kept = sqlx::query!(
        r#"
        update jobs.job set claimed_until = $3
        where id = $1 and claim = $2 and state = 'waiting' and claimed_by is not null
        "#,
        job.id,
        job.claim,
        until(now, lease),
    )
    .execute(conn)
    .await?;
    Ok(kept.rows_affected() == 1)
}

/// Writes how a job ended; false when somebody else has it by now, whose ending counts.
pub(super) async fn end(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    who: &str,
    backoff: &[Duration],
    job: &Job,
    outcome: &Outcome,
) -> Result<bool, sqlx::Error> {
    let ending = Ending::of(outcome, job.attempt, backoff, now);
    let ended = sqlx::query!(
        r#"
        update jobs.job
        set state = $3, run_at = coalesce($4, run_at), attempts = attempts - $5,
            last_error = coalesce($6, last_error), claimed_by = null, claimed_until = null,
            closed_at = case when $3 = 'waiting' then null else $7::timestamptz end,
            closed_by = case when $3 = 'waiting' then null else $8::text end
        where id = $1 and claim = $2 and state = 'waiting' and claimed_by is not null
        "#,
        job.id,
        job.claim,
        ending.state,
        ending.run_at,
        ending.given_back,
        ending.error,
        now,
        who,
    )
    .execute(conn)
    .await?;
    Ok(ended.rows_affected() == 1)
}

fn until(now: DateTime<Utc>, lease: Duration) -> DateTime<Utc> {
    now + TimeDelta::from_std(lease).unwrap_or(TimeDelta::hours(1))
}

/// What an outcome does to a job's row.
#[derive(Debug, PartialEq, Eq)]
struct Ending<'a> {
    state: &'static str,
    run_at: Option<DateTime<Utc>>,
    given_back: i32,
    error: Option<&'a str>,
}

impl<'a> Ending<'a> {
    fn of(
        outcome: &'a Outcome,
        attempt: i32,
        backoff: &[Duration],
        now: DateTime<Utc>,
    ) -> Ending<'a> {
        let ending = |state, run_at, error| Ending {
            state,
            run_at,
            given_back: 0,
            error,
        };
        match outcome {
            Outcome::Done => ending("done", None, None),
            Outcome::Wait(until) => Ending {
                given_back: 1,
                ..ending("waiting", Some(*until), None)
            },
            Outcome::Fail(error) => ending("dead", None, Some(error)),
            Outcome::Retry(error) => {
                let failed = usize::try_from(attempt - 1).unwrap_or(0);
                match backoff.get(failed) {
                    Some(step) => ending("waiting", Some(until(now, *step)), Some(error)),
                    None => ending("dead", None, Some(error)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failed_attempt_waits_for_its_step_and_the_last_is_the_end() {
        let now = DateTime::UNIX_EPOCH;
        let steps = [Duration::from_mins(1), Duration::from_mins(5)];
        let retry = Outcome::Retry("no".to_owned());
        let at = |attempt| Ending::of(&retry, attempt, &steps, now).run_at;
        assert_eq!(at(1), Some(now + TimeDelta::minutes(1)));
        assert_eq!(at(2), Some(now + TimeDelta::minutes(5)));
        assert_eq!(Ending::of(&retry, 3, &steps, now).state, "dead");
        let fail = Outcome::Fail("never".to_owned());
        assert_eq!(Ending::of(&fail, 1, &steps, now).state, "dead");
    }

    #[test]
    fn waiting_costs_no_attempt() {
        let wait = Outcome::Wait(DateTime::UNIX_EPOCH);
        let ending = Ending::of(&wait, 1, &[], DateTime::UNIX_EPOCH);
        assert_eq!((ending.state, ending.given_back), ("waiting", 1));
    }
}
