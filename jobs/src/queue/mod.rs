//! The queue: what has to be done later or outside, kept in Postgres until it is done.
//!
//! A job is enqueued in the caller's own database transaction, so it exists if and only if what
//! causes it was committed. Workers take what is due under a lease and say how it ended:
//!
//! | outcome | what becomes of the job |
//! |---|---|
//! | [`Outcome::Done`] | done |
//! | [`Outcome::Wait`] | runs again at that moment; the attempt does not count |
//! | [`Outcome::Retry`] | runs again after the next step of its backoff; after the last, dead |
//! | [`Outcome::Fail`] | dead at once: trying again cannot help |
//!
//! A dead job stays until a person retries or discards it. A worker that is killed leaves a lease
//! behind which runs out; then another takes the job. So a job may run twice, and every handler
//! must bear it: what it sends carries an id that follows from the job.
//!
//! What it never does: read a clock (api passes one in), lose a job, or wake anybody inside a
//! caller's transaction.
//!
//! # Adding a kind of job
//!
//! A type with [`Handler`]: its name, its backoff, and `run`. Register it where workers are built
//! (`api/src/cli/work.rs`); enqueue it with [`enqueue`].

mod letters;
mod store;
mod worker;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgPool;

pub use letters::{Letter, State, discard, list, prune, retry};
pub use store::{NewJob, enqueue};
pub use worker::{Registry, Settings, Worker};

/// Tells the time. Only api reads a real clock; tests turn one by hand.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// A job in the hands of a worker.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its number.
    pub id: i64,
    /// What kind of thing is to be done.
    pub kind: String,
    /// What names the thing within its kind.
    pub key: String,
    /// What the handler needs to know.
    pub payload: serde_json::Value,
    /// Which attempt this is, from 1.
    pub attempt: i32,
    /// How often it was taken, this time included; an ending names it.
    claim: i64,
}

/// How a run of a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// It cannot be done before this moment; nothing went wrong.
    Wait(DateTime<Utc>),
    /// It failed and may succeed later.
    Retry(String),
    /// It failed and cannot succeed as it stands.
    Fail(String),
}

/// What handlers may use.
#[derive(Clone)]
pub struct Context {
    /// Connections that work as the service role.
    pub pool: PgPool,
    /// The time.
    pub clock: Clock,
}

impl Context {
    /// Now.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        (self.clock)()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

/// Does one kind of job. It may be run twice for the same job and must bear it.
pub trait Handler: Send + Sync + 'static {
    /// The kind's name, `area.verb`.
    const KIND: &'static str;
    /// How long to wait after each failed attempt; after the last step the job is dead.
    const BACKOFF: &'static [Duration];

    /// Does the job once.
    fn run(&self, context: &Context, job: &Job) -> impl Future<Output = Outcome> + Send;
}

/// What can go wrong with the queue itself.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Jobs that were to be retried or discarded are not there, or not in a state for it.
    #[error("job {0} is not there or is not dead; `counterfoil jobs list` shows those that are")]
    NotDead(i64),
    /// Postgres failed.
    #[error("jobs could not be read or written")]
    Database(#[from] sqlx::Error),
}
