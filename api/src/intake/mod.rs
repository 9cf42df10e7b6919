//! The intake: whatever arrives while the last commit runs becomes the next batch.
//!
//! Work is queued by lane (the hash of its book); each lane has one writer and one connection. The
//! writer does a whole batch in one database transaction and answers every caller after the commit.
//! There is no timer: at low load a batch is one item and waits for nobody, under load hundreds
//! share a commit. A full queue is answered at once, so that memory is bounded.
//!
//! An item that cannot be is its own answer and spoils nothing. When a batch fails as a whole, its
//! items are done one by one, each in its own database transaction, so that only the bad one fails.
//! Several processes may run lanes for the same book: the book's lock keeps them right.
//!
//! # Adding a kind of work
//!
//! Implement [`Work`] (see [`orders`]), build an [`Intake`] of it in `cli/serve.rs`, and put it
//! into the service's parts.

mod lane;
pub(crate) mod orders;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::http::problem::Problem;
use lane::Waiting;

/// How batches are made.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// Whether postbacks share a commit; `off` is for comparing.
    #[arg(
        long = "intake-batching",
        env = "COUNTERFOIL_INTAKE_BATCHING",
        default_value = "on"
    )]
    batching: Switch,
    /// How many lanes; postbacks of one brand take the same.
    #[arg(long = "intake-lanes", env = "COUNTERFOIL_INTAKE_LANES", default_value_t = 2,
          value_parser = clap::value_parser!(u16).range(1..=64))]
    lanes: u16,
    /// How many postbacks may wait in a lane before others are asked to come back.
    #[arg(long = "intake-queue", env = "COUNTERFOIL_INTAKE_QUEUE", default_value_t = 4096,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    queue: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Switch {
    On,
    Off,
}

impl Args {
    /// How many connections the writers hold.
    pub(crate) fn connections(&self) -> u32 {
        self.lanes.into()
    }
}

/// A kind of work that is done in batches.
pub(crate) trait Work: Send + Sync + 'static {
    /// What arrives.
    type Item: Send + Sync;
    /// What each item is answered.
    type Answer: Send;

    /// The book of an item: items of one book are done in the order they came.
    fn book(item: &Self::Item) -> i64;

    /// Waits for what the items need from outside the database; called before it begins.
    fn prepare(&self, items: &[Self::Item]) -> impl Future<Output = ()> + Send;

    /// Does the items in the caller's database transaction; answers each, in order.
    ///
    /// # Errors
    /// Only for the whole batch; nothing of it is then committed.
    fn run(
        &self,
        conn: &mut PgConnection,
        now: DateTime<Utc>,
        items: &[Self::Item],
    ) -> impl Future<Output = anyhow::Result<Vec<Self::Answer>>> + Send;
}

/// Why an item has no answer.
#[derive(Debug, Clone)]
pub(crate) enum Failed {
    /// Too much waits already.
    Full,
    /// The database does not answer.
    Unavailable,
    /// It went wrong inside, and was logged.
    Internal,
}

impl From<Failed> for Problem {
    fn from(failed: Failed) -> Problem {
        match failed {
            Failed::Full => Problem::unavailable("too many reports wait already; try again", 1),
            Failed::Unavailable => {
                Problem::unavailable("the database does not answer; try again", 2)
            }
            Failed::Internal => Problem::internal_logged(),
        }
    }
}

/// The lanes of one kind of work.
pub(crate) struct Intake<W: Work> {
    work: Arc<W>,
    lanes: Vec<Lane<W>>,
    writers: Mutex<Vec<JoinHandle<()>>>,
    capacity: u32,
    pool: PgPool,
    stop: CancellationToken,
}

struct Lane<W: Work> {
    queue: mpsc::UnboundedSender<Waiting<W>>,
    room: Arc<Semaphore>,
}

/// The answers to what was handed in, in order.
pub(crate) type Answers<W> = Vec<Result<<W as Work>::Answer, Failed>>;

impl<W: Work> Intake<W> {
    /// Starts the writers; `writing` has a connection for each of them, `pool` some for the rest.
    pub(crate) fn start(args: &Args, work: W, writing: &PgPool, pool: PgPool) -> Intake<W> {
        let (work, stop) = (Arc::new(work), CancellationToken::new());
        let mut writers = Vec::new();
        let mut lanes = Vec::new();
        if args.batching == Switch::On {
            for _ in 0..args.lanes {
                let (queue, items) = mpsc::unbounded_channel();
                let writer = lane::write(Arc::clone(&work), writing.clone(), items, stop.clone());
                writers.push(tokio::spawn(writer));
                let room = Arc::new(Semaphore::new(usize::try_from(args.queue).unwrap_or(1)));
                lanes.push(Lane { queue, room });
            }
        }
        Intake {
            work,
            lanes,
            writers: Mutex::new(writers),
            capacity: args.queue,
            pool,
            stop,
        }
    }

    /// Hands in items; answers after their commit. None is taken if there is no room for all.
    pub(crate) async fn submit(&self, items: Vec<W::Item>) -> Result<Answers<W>, Failed> {
        if self.lanes.is_empty() {
            return Ok(lane::one_by_one(&*self.work, &self.pool, &items).await);
        }
        let mut by_lane: BTreeMap<usize, (Vec<usize>, Vec<W::Item>)> = BTreeMap::new();
        for (position, item) in items.into_iter().enumerate() {
            let (positions, items) = by_lane.entry(self.lane_of(&item)).or_default();
            positions.push(position);
            items.push(item);
        }
        let mut taken = Vec::with_capacity(by_lane.len());
        for (at, (positions, items)) in by_lane {
            let lane = &self.lanes[at];
            // A request larger than the whole queue gets in when nothing else waits.
            let room = u32::try_from(items.len())
                .unwrap_or(u32::MAX)
                .min(self.capacity);
            let room = Arc::clone(&lane.room)
                .try_acquire_many_owned(room)
                .map_err(|_| Failed::Full)?;
            taken.push((lane, positions, items, room));
        }
        let mut replies = Vec::with_capacity(taken.len());
        for (lane, positions, items, room) in taken {
            let (reply, answer) = oneshot::channel();
            let waiting = Waiting { items, reply, room };
            lane.queue.send(waiting).map_err(|_| Failed::Unavailable)?;
            replies.push((positions, answer));
        }
        let mut answers = Vec::new();
        for (positions, reply) in replies {
            let done = reply.await.map_err(|_| Failed::Internal)?;
            answers.extend(positions.into_iter().zip(done));
        }
        answers.sort_by_key(|(position, _)| *position);
        Ok(answers.into_iter().map(|(_, answer)| answer).collect())
    }

    /// Does items as if they counted, answers, and takes everything back.
    pub(crate) async fn rehearse(&self, items: &[W::Item]) -> Result<Vec<W::Answer>, Failed> {
        lane::rehearse(&*self.work, &self.pool, items).await
    }

    /// Takes nothing more, does what waits still, and ends the writers.
    pub(crate) async fn close(&self) {
        self.stop.cancel();
        let writers = {
            let mut writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *writers)
        };
        for writer in writers {
            if let Err(error) = writer.await {
                tracing::error!(%error, "a writer of the intake failed");
            }
        }
    }

    fn lane_of(&self, item: &W::Item) -> usize {
        let lanes = i64::try_from(self.lanes.len()).unwrap_or(1);
        usize::try_from(W::book(item).rem_euclid(lanes)).unwrap_or(0)
    }
}
