//! Workers: take what is due, do it, write how it ended; stop without leaving a mess.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::{Clock, Context, Handler, Job, Outcome, QueueError, store};

/// How workers work.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many jobs are done at the same time.
    pub at_once: usize,
    /// How long a job belongs to whoever took it without a sign of life.
    pub lease: Duration,
    /// How long to wait when nothing is due.
    pub poll: Duration,
    /// How long to wait for jobs under way when told to stop.
    pub grace: Duration,
    /// Who works, for people who look: program, machine, process.
    pub name: String,
}

impl Settings {
    /// The usual, under this name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Settings {
        Settings {
            at_once: 16,
            lease: Duration::from_mins(1),
            poll: Duration::from_millis(500),
            grace: Duration::from_secs(30),
            name: name.into(),
        }
    }
}

type Run = dyn Fn(Context, Job) -> Pin<Box<dyn Future<Output = Outcome> + Send>> + Send + Sync;

/// A kind of job that is known here.
#[derive(Clone)]
struct Known {
    backoff: &'static [Duration],
    run: Arc<Run>,
}

/// The kinds of job that a worker can do. Jobs of other kinds wait for one that can.
#[derive(Clone, Default)]
pub struct Registry {
    known: HashMap<&'static str, Known>,
}

impl Registry {
    /// Nothing can be done yet.
    #[must_use]
    pub fn new() -> Registry {
        Registry::default()
    }

    /// Adds a kind; a later one of the same name takes its place.
    #[must_use]
    pub fn with<H: Handler>(mut self, handler: H) -> Registry {
        let handler = Arc::new(handler);
        let run =
            move |context: Context, job: Job| -> Pin<Box<dyn Future<Output = Outcome> + Send>> {
                let handler = handler.clone();
                Box::pin(async move { handler.run(&context, &job).await })
            };
        self.known.insert(
            H::KIND,
            Known {
                backoff: H::BACKOFF,
                run: Arc::new(run),
            },
        );
        self
    }

    fn kinds(&self) -> Vec<String> {
        self.known.keys().map(|kind| (*kind).to_owned()).collect()
    }
}

/// Does jobs. Any number may work on one database, in one process or many.
pub struct Worker {
    context: Context,
    registry: Registry,
    settings: Settings,
}

impl Worker {
    /// A worker that is not working yet.
    #[must_use]
    pub fn new(pool: PgPool, clock: Clock, registry: Registry, settings: Settings) -> Worker {
        Worker {
            context: Context { pool, clock },
            registry,
            settings,
        }
    }

    /// Works until told to stop; then finishes what is under way, at most for the grace. What is
    /// not finished by then is done again by somebody else once its lease has run out.
    pub async fn run(&self, stop: CancellationToken) {
        let mut under_way = JoinSet::new();
        while !stop.is_cancelled() {
            while under_way.try_join_next().is_some() {}
            let taken = match self.take(under_way.len()).await {
                Ok(taken) => taken,
                Err(error) => {
                    // Postgres may be away for a while; nothing is lost meanwhile.
                    tracing::warn!(%error, "jobs could not be taken; trying again");
                    Vec::new()
                }
            };
            let none = taken.is_empty();
            for job in taken {
                under_way.spawn(self.one(job));
            }
            if none {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(self.settings.poll) => {}
                    Some(_) = under_way.join_next() => {}
                }
            }
        }
        let finished = async { while under_way.join_next().await.is_some() {} };
        if tokio::time::timeout(self.settings.grace, finished)
            .await
            .is_err()
        {
            tracing::warn!("stopped before all jobs were finished; they will be done again");
        }
    }

    /// Does everything that is due by now, and answers how many runs that took.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn drain(&self) -> Result<usize, QueueError> {
        let mut runs = 0;
        loop {
            let taken = self.take(0).await?;
            if taken.is_empty() {
                return Ok(runs);
            }
            runs += taken.len();
            let mut under_way: JoinSet<()> = taken.into_iter().map(|job| self.one(job)).collect();
            while under_way.join_next().await.is_some() {}
        }
    }

    async fn take(&self, under_way: usize) -> Result<Vec<Job>, QueueError> {
        let free = self.settings.at_once.saturating_sub(under_way);
        if free == 0 {
            return Ok(Vec::new());
        }
        let mut conn = self.context.pool.acquire().await?;
        let taken = store::take(
            &mut conn,
            self.context.now(),
            self.settings.lease,
            &self.settings.name,
            &self.registry.kinds(),
            i64::try_from(free).unwrap_or(1),
        )
        .await?;
        Ok(taken)
    }

    /// Does one job and writes how it ended. Owns all it needs, to be spawned.
    fn one(&self, job: Job) -> impl Future<Output = ()> + Send + 'static + use<> {
        let (context, settings) = (self.context.clone(), self.settings.clone());
        let known = self.registry.known.get(job.kind.as_str()).cloned();
        async move {
            let Some(known) = known else { return };
            let running = tokio::spawn((known.run)(context.clone(), job.clone()));
            let running = AbortOnDropHandle::new(running);
            let outcome = keep_while(&context, &settings, &job, running).await;
            let Some(outcome) = outcome else { return };
            if let Err(error) = end(&context, &settings, &known, &job, &outcome).await {
                // The lease runs out, and the job is done again.
                tracing::warn!(job = job.id, %error, "how a job ended could not be written");
            }
        }
    }
}

/// Waits for a run and shows signs of life meanwhile; nothing when the job was lost to another
/// worker. A handler that panics has failed like any other.
async fn keep_while(
    context: &Context,
    settings: &Settings,
    job: &Job,
    running: AbortOnDropHandle<Outcome>,
) -> Option<Outcome> {
    let mut running = running;
    let mut beat = tokio::time::interval(settings.lease / 3);
    beat.tick().await;
    loop {
        tokio::select! {
            outcome = &mut running => {
                return Some(outcome.unwrap_or_else(|error| {
                    Outcome::Retry(format!("the handler of {} stopped: {error}", job.kind))
                }));
            }
            _ = beat.tick() => {
                let kept = keep(context, settings, job).await;
                if let Ok(false) = kept {
                    tracing::warn!(job = job.id, "the lease ran out; somebody else has the job");
                    return None;
                }
            }
        }
    }
}

async fn keep(context: &Context, settings: &Settings, job: &Job) -> Result<bool, sqlx::Error> {
    let mut conn = context.pool.acquire().await?;
    store::keep(&mut conn, context.now(), settings.lease, job).await
}

async fn end(
    context: &Context,
    settings: &Settings,
    known: &Known,
    job: &Job,
    outcome: &Outcome,
) -> Result<(), sqlx::Error> {
    let now = context.now();
    let mut conn = context.pool.acquire().await?;
    store::end(&mut conn, now, &settings.name, known.backoff, job, outcome).await?;
    match outcome {
        Outcome::Done | Outcome::Wait(_) => {
            tracing::debug!(job = job.id, kind = job.kind, ?outcome);
        }
        Outcome::Retry(error) | Outcome::Fail(error) => {
            tracing::warn!(
                job = job.id,
                kind = job.kind,
                attempt = job.attempt,
                error,
                "job failed"
            );
        }
    }
    Ok(())
}
