//! The spool: a click lies on this machine's disk before its visitor is sent on, and is copied to
//! Postgres afterwards.
//!
//! Redirects therefore never wait for Postgres and lose nothing: whatever was confirmed survives a
//! `kill -9` and a power cut, and is copied when the service is back. Clicks that come together
//! share one write and one sync; none waits for others to come. A click's id is its key in
//! Postgres, so one that is copied twice is one.
//!
//! | module | answers |
//! |---|---|
//! | [`record`] | how clicks lie in a file, and how they are found between damage |
//! | [`segment`] | the files, appending to them and reading them |
//! | [`writer`] | the thread that writes |
//! | [`drain`] | the task that copies to Postgres |
//! | [`files`] | the lock, and what is noted beside the clicks |
//!
//! What it never does: judge a click, delete what it could not read, or share its folder with
//! another process.

mod drain;
mod files;
mod record;
mod segment;
pub(crate) mod status;
mod writer;

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::intake::orders::Unsettled;
use segment::{Appender, Place};
use writer::{Answer, Waiting};

pub(crate) use drain::drain_whole;
pub(crate) use record::Kept;

/// How many clicks may wait for the disk; it takes thousands at once, so more means it hangs.
const QUEUE: usize = 65_536;
/// Of how many clicks it is known one by one that they are not in Postgres yet.
const PENDING: usize = 1_000_000;
/// How long an order waits for its click, which mostly takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a service that stops waits for Postgres to take what is left.
const PARTING: Duration = Duration::from_secs(10);

/// Where clicks are kept, and what happens when they cannot be.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// Where clicks lie until they are in Postgres: a folder of this process's own, on a local
    /// disk. By default `spool` in the data folder.
    #[arg(long, env = "COUNTERFOIL_SPOOL", value_name = "FOLDER")]
    pub(crate) spool: Option<PathBuf>,
    /// What a visitor gets whose click cannot be kept because the disk is full: sent on, and the
    /// lost click counted, or 503.
    #[arg(long, env = "COUNTERFOIL_SPOOL_WHEN_FULL", default_value = "redirect")]
    spool_when_full: WhenFull,
    /// How large a file of clicks grows before the next is begun, in MiB.
    #[arg(long, env = "COUNTERFOIL_SPOOL_SEGMENT", default_value_t = 64, value_name = "MIB",
          value_parser = clap::value_parser!(u64).range(1..=4096), hide = true)]
    spool_segment: u64,
}

impl Args {
    /// The folder of the spool.
    pub(crate) fn folder(&self, data: &Path) -> PathBuf {
        self.spool.clone().unwrap_or_else(|| data.join("spool"))
    }
}

/// What happens to a visitor whose click cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum WhenFull {
    /// Sent on; the click is lost, and counted.
    Redirect,
    /// Answered 503.
    Refuse,
}

/// A click could not be kept, and its visitor is not to be sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SpoolError {
    /// The disk is full or fails.
    #[error("clicks cannot be kept at the moment; try again")]
    Full,
    /// The service is stopping.
    #[error("the service is stopping; try again")]
    Stopping,
}

/// What the threads and tasks of a spool know of each other.
struct Shared {
    folder: PathBuf,
    /// As far as clicks lie on the disk.
    written: watch::Sender<Place>,
    /// As far as they are in Postgres.
    drained: watch::Sender<Place>,
    /// Clicks on their way to Postgres.
    pending: Mutex<HashSet<Uuid>>,
    /// There are more of them than are known one by one.
    crowded: AtomicBool,
    /// How many clicks could not be kept since the spool was made.
    lost: AtomicU64,
    /// Whether the log was told that the disk is full.
    complained: AtomicBool,
}

impl Shared {
    /// A click is on its way to Postgres.
    fn remember(&self, click: Uuid) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.len() < PENDING {
            pending.insert(click);
        } else {
            self.crowded.store(true, Ordering::SeqCst);
        }
    }

    /// Clicks are not on their way to Postgres (any more).
    fn forget(&self, clicks: impl IntoIterator<Item = Uuid>) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        for click in clicks {
            pending.remove(&click);
        }
    }

    fn are_on_their_way(&self, clicks: &[Uuid]) -> bool {
        let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        self.crowded.load(Ordering::SeqCst) || clicks.iter().any(|click| pending.contains(click))
    }
}

/// An open spool; cheap to clone.
#[derive(Clone)]
pub(crate) struct Spool(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    when_full: WhenFull,
    queue: Mutex<Option<mpsc::Sender<Waiting>>>,
    tasks: Mutex<Option<Tasks>>,
    stop: CancellationToken,
}

struct Tasks {
    writer: JoinHandle<()>,
    drain: tokio::task::JoinHandle<()>,
    _lock: File,
}

impl Spool {
    /// Opens a spool and begins to copy to Postgres what an earlier process left in it.
    ///
    /// # Errors
    /// Another process uses it, or the folder cannot be used.
    pub(crate) fn open(args: &Args, data: &Path, pool: PgPool) -> anyhow::Result<Spool> {
        let folder = args.folder(data);
        let lock = files::lock(&folder)?;
        let segments = segment::list(&folder)
            .with_context(|| format!("the spool {} cannot be read", folder.display()))?;
        let noted = files::drained(&folder);
        let next = segments
            .last()
            .map_or(noted.segment, |last| last + 1)
            .max(1);
        let first = segments.first().copied().unwrap_or(next);
        let from = noted.max(Place::start_of(first));
        let shared = Arc::new(Shared {
            written: watch::Sender::new(Place::start_of(next)),
            drained: watch::Sender::new(from),
            pending: Mutex::default(),
            // What an earlier process left is not known one by one.
            crowded: AtomicBool::new(!segments.is_empty()),
            lost: AtomicU64::new(files::lost(&folder)),
            complained: AtomicBool::new(false),
            folder,
        });
        let stop = CancellationToken::new();
        let (queue, waiting) = mpsc::channel(QUEUE);
        let appender = Appender::new(&shared.folder, next, args.spool_segment << 20);
        let known = Arc::clone(&shared);
        let writer = std::thread::Builder::new()
            .name("spool".to_owned())
            .spawn(move || writer::write(waiting, appender, &known))
            .context("the thread that keeps clicks cannot be started")?;
        let drain = tokio::spawn(drain::run(Arc::clone(&shared), pool, stop.clone()));
        Ok(Spool(Arc::new(Inner {
            shared,
            when_full: args.spool_when_full,
            queue: Mutex::new(Some(queue)),
            tasks: Mutex::new(Some(Tasks {
                writer,
                drain,
                _lock: lock,
            })),
            stop,
        })))
    }

    /// Keeps a click. When this answers, it lies on the disk, or was counted as lost.
    ///
    /// # Errors
    /// The visitor is not to be sent on: the service stops, or there is no room and that is what
    /// the operator chose.
    pub(crate) async fn keep(&self, kept: &Kept) -> Result<(), SpoolError> {
        let queue = {
            let queue = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.clone().ok_or(SpoolError::Stopping)?
        };
        let shared = &self.0.shared;
        let click = kept.click.id;
        let frame = match record::frame(kept) {
            Ok(frame) => frame,
            Err(error) => {
                tracing::error!(%error, %click, "a click was lost");
                return self.is_lost();
            }
        };
        shared.remember(click);
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting {
            click,
            frame,
            reply,
        };
        if queue.try_send(waiting).is_err() {
            shared.forget([click]);
            return self.is_lost();
        }
        drop(queue);
        match answer.await {
            Ok(Answer::Kept) => Ok(()),
            Ok(Answer::NoRoom) | Err(_) => self.is_lost(),
        }
    }

    /// A click has no room.
    fn is_lost(&self) -> Result<(), SpoolError> {
        match self.0.when_full {
            WhenFull::Refuse => Err(SpoolError::Full),
            WhenFull::Redirect => {
                let shared = &self.0.shared;
                let lost = shared.lost.fetch_add(1, Ordering::Relaxed) + 1;
                drop(files::mark_lost(&shared.folder, lost));
                Ok(())
            }
        }
    }

    /// Takes no more clicks, and waits a while for Postgres to take those there are; what is left
    /// stays on the disk for the next start.
    pub(crate) async fn close(&self) {
        let queue = {
            let mut queue = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.take()
        };
        drop(queue);
        let tasks = {
            let mut tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            tasks.take()
        };
        let Some(tasks) = tasks else {
            return;
        };
        if tokio::task::spawn_blocking(|| tasks.writer.join())
            .await
            .is_err()
        {
            tracing::error!("the thread that keeps clicks failed");
        }
        let end = *self.0.shared.written.borrow();
        let mut drained = self.0.shared.drained.subscribe();
        let all = drained.wait_for(|place| *place >= end);
        if tokio::time::timeout(PARTING, all).await.is_err() {
            tracing::warn!("not all clicks are in Postgres yet; they are kept for the next start");
        }
        self.0.stop.cancel();
        drop(tasks.drain.await);
    }
}

impl Unsettled for Spool {
    fn settle<'a>(&'a self, clicks: &'a [Uuid]) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            let shared = &self.0.shared;
            if !shared.are_on_their_way(clicks) {
                return;
            }
            let end = *shared.written.borrow();
            let mut drained = shared.drained.subscribe();
            let there = drained.wait_for(|place| *place >= end);
            if tokio::time::timeout(PATIENCE, there).await.is_err() {
                tracing::warn!("an order did not wait longer for its click to reach Postgres");
            }
        })
    }
}

#[cfg(test)]
mod tests;
