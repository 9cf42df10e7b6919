//! What happens by itself when its time has come: conversions whose days for review have passed,
//! or that were paid while somebody still looked at them, are approved by the terms.
//!
//! One job, [`Due`], that never ends: it does what is due and waits a minute. [`begin`] enqueues
//! it, once however many workers there are.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use ledger::Actor;
use sqlx::PgConnection;

use crate::effects;
use crate::queue::{Context, Handler, Job, NewJob, Outcome, QueueError, enqueue};

/// The kind of the job.
pub const DUE: &str = "conversions.due";

/// As many conversions are approved in one database transaction.
const AT_ONCE: i64 = 1_000;
/// How long it waits.
const PAUSE: TimeDelta = TimeDelta::minutes(1);

/// Approves what is due.
#[derive(Debug, Clone, Copy, Default)]
pub struct Due;

/// Enqueues the job, if it is not there yet.
pub async fn begin(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<(), QueueError> {
    let job = NewJob {
        kind: DUE,
        key: "all".to_owned(),
        payload: serde_json::json!({}),
        run_at: now,
    };
    enqueue(conn, now, &[job]).await.map(drop)
}

impl Handler for Due {
    const KIND: &'static str = DUE;
    // It is tried for ever: the last step is long, and a restart of a worker begins anew.
    const BACKOFF: &'static [Duration] = &[
        Duration::from_mins(1),
        Duration::from_mins(5),
        Duration::from_mins(30),
        Duration::from_hours(6),
        Duration::from_hours(24),
    ];

    async fn run(&self, context: &Context, _: &Job) -> Outcome {
        loop {
            match approve(context).await {
                Ok(0) => return Outcome::Wait(context.now() + PAUSE),
                Ok(_) => {}
                Err(error) => return Outcome::Retry(error.to_string()),
            }
        }
    }
}

/// Approves the oldest that are due; answers how many.
async fn approve(context: &Context) -> Result<usize, effects::EffectError> {
    let by = Actor::new("job:due");
    let mut transaction = context.pool.begin().await?;
    let approved = effects::approve_due(&mut transaction, context.now(), &by, AT_ONCE).await?;
    // Committing an aborted transaction answers with success: ask first whether it lives.
    sqlx::query("select pg_current_xact_id_if_assigned()")
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(approved)
}
