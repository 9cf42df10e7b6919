//! The task that copies clicks from the spool to Postgres, in the order they were kept.
//!
//! A segment is removed after the commit that holds the last of it. A batch that Postgres refuses
//! is tried click by click; one that it refuses alone is set aside with its words, and holds up
//! nobody. While Postgres is away the task waits, a little longer each time.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ledger::Actor;
use settlement::tracking::{self, Click, ClickRequest};
use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

use super::record::Kept;
use super::segment::{self, Batch, Place};
use super::{Shared, files};
use crate::{chance, database};

/// How many clicks are copied in one database transaction.
const AT_ONCE: usize = 2_000;
/// The first wait while Postgres is away, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Copies until told to stop.
pub(super) async fn run(shared: Arc<Shared>, pool: PgPool, stop: CancellationToken) {
    let mut written = shared.written.subscribe();
    let mut damaged = false;
    loop {
        let until = *written.borrow_and_update();
        let copied = copy(&shared.folder, &pool, &shared, until, &mut damaged);
        tokio::select! {
            () = copied => {}
            () = stop.cancelled() => return,
        }
        tokio::select! {
            changed = written.changed() => if changed.is_err() { return },
            () = stop.cancelled() => return,
        }
    }
}

/// Copies everything up to a place; comes back only when it is done.
async fn copy(folder: &Path, pool: &PgPool, shared: &Shared, until: Place, damaged: &mut bool) {
    let mut wait = WAITS.0;
    loop {
        let from = *shared.drained.borrow();
        if from >= until {
            break;
        }
        match step(folder, pool, from, until, damaged).await {
            Ok(step) => {
                wait = WAITS.0;
                shared.forget(step.ids);
                drop(files::mark_drained(folder, step.next));
                shared.drained.send_replace(step.next);
            }
            Err(error) => {
                if wait == WAITS.0 {
                    tracing::warn!(%error, "clicks wait in the spool");
                }
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(WAITS.1);
            }
        }
    }
    if *shared.written.borrow() == until {
        shared.crowded.store(false, Ordering::SeqCst);
    }
}

/// What one step came to.
struct Step {
    ids: Vec<uuid::Uuid>,
    next: Place,
}

/// Copies one batch, or goes on to the next segment.
async fn step(
    folder: &Path,
    pool: &PgPool,
    from: Place,
    until: Place,
    damaged: &mut bool,
) -> anyhow::Result<Step> {
    let limit = (from.segment == until.segment).then_some(until.offset);
    let owned = folder.to_owned();
    let read = move || segment::read(&owned, from, limit, AT_ONCE);
    let batch = match tokio::task::spawn_blocking(read).await? {
        Ok(batch) => batch,
        // The place was noted, and its segment removed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Batch {
            found: super::record::Found::default(),
            next: from,
            at_end: true,
        },
        Err(error) => return Err(error.into()),
    };
    if !batch.found.clicks.is_empty() {
        store(folder, pool, &batch.found.clicks).await?;
    }
    note_damage(from, &batch, damaged);
    let ids = batch
        .found
        .clicks
        .iter()
        .map(|kept| kept.click.id)
        .collect();
    let mut next = batch.next;
    if batch.at_end && from.segment < until.segment {
        leave(folder, from.segment, *damaged)?;
        *damaged = false;
        let following = segment::list(folder)?
            .into_iter()
            .find(|number| *number > from.segment);
        next = Place::start_of(following.unwrap_or(until.segment));
    }
    Ok(Step { ids, next })
}

/// What could not be read is told; damage between clicks keeps the segment for a person.
fn note_damage(from: Place, batch: &Batch, damaged: &mut bool) {
    let found = &batch.found;
    if found.bad == 0 {
        return;
    }
    let (segment, bytes) = (from.segment, found.bad);
    if batch.at_end && found.bad == found.bad_tail {
        tracing::warn!(
            segment,
            bytes,
            "a segment ends in a click that was never confirmed"
        );
    } else {
        tracing::error!(
            segment,
            bytes,
            "a segment is damaged; what can be read of it was"
        );
        *damaged = true;
    }
}

/// A segment that is in Postgres goes; a damaged one is set aside.
fn leave(folder: &Path, number: u64, damaged: bool) -> io::Result<()> {
    let left = if damaged {
        files::set_segment_aside(folder, number)
    } else {
        std::fs::remove_file(segment::path(folder, number)).and_then(|()| segment::sync(folder))
    };
    match left {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        left => left,
    }
}

/// Stores clicks; those that Postgres refuses are set aside.
async fn store(folder: &Path, pool: &PgPool, clicks: &[Kept]) -> anyhow::Result<()> {
    let mut conn = pool.acquire().await?;
    let Err(error) = commit(&mut conn, clicks).await else {
        return Ok(());
    };
    if !is_refusal(&error) {
        return Err(error);
    }
    let mut refused = Vec::new();
    for kept in clicks {
        match commit(&mut conn, std::slice::from_ref(kept)).await {
            Ok(()) => {}
            Err(error) if is_refusal(&error) => {
                let click = kept.click.id;
                tracing::error!(%click, %error, "a click cannot be stored, and was set aside");
                refused.push((kept.clone(), format!("{error:#}")));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(files::set_aside(folder, &refused)?)
}

async fn commit(conn: &mut PgConnection, clicks: &[Kept]) -> anyhow::Result<()> {
    let (now, by) = (chance::now(), Actor::new("http:click"));
    let rows: Vec<Click> = clicks.iter().map(|kept| kept.click.clone()).collect();
    let requests: Vec<(&Click, &ClickRequest)> = clicks
        .iter()
        .map(|kept| (&kept.click, &kept.request))
        .collect();
    database::commit(conn, async |conn| -> anyhow::Result<()> {
        tracking::record(conn, now, &by, &rows).await?;
        tracking::record_requests(conn, now, &requests).await?;
        Ok(())
    })
    .await
}

/// Whether Postgres looked at the clicks and said no to what they are: a value that cannot be, a
/// constraint. Anything else may be different the next time.
fn is_refusal(error: &anyhow::Error) -> bool {
    let said = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<sqlx::Error>())
        .find_map(sqlx::Error::as_database_error);
    let code = said.and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
}

/// Copies all of a spool that no service uses; returns how many clicks it read.
///
/// # Errors
/// A service uses it, or Postgres does not answer.
pub(crate) async fn drain_whole(folder: &Path, pool: &PgPool) -> anyhow::Result<usize> {
    let _lock = files::lock(folder)?;
    let Some(last) = segment::list(folder)?.last().copied() else {
        return Ok(0);
    };
    let first = segment::list(folder)?.first().copied().unwrap_or(last);
    let mut from = files::drained(folder).max(Place::start_of(first));
    let until = Place::start_of(last + 1);
    let (mut copied, mut damaged) = (0, false);
    while from < until {
        let step = step(folder, pool, from, until, &mut damaged).await?;
        copied += step.ids.len();
        from = step.next;
        files::mark_drained(folder, from)?;
    }
    Ok(copied)
}
