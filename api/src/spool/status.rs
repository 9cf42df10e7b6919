//! What a spool holds, read beside whoever uses it.

use std::io;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::files;
use super::segment::{self, Place};

/// How many clicks are read at once.
const AT_ONCE: usize = 2_000;

/// What a spool holds.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Status {
    /// The process that uses it.
    pub(crate) used_by: Option<String>,
    /// How many files of clicks there are.
    pub(crate) segments: usize,
    /// How many bytes they have.
    pub(crate) bytes: u64,
    /// How many clicks are not in Postgres yet, or have just come there.
    pub(crate) waiting: usize,
    /// The oldest of them, UTC.
    pub(crate) oldest: Option<DateTime<Utc>>,
    /// How many bytes lie in no click that can be read.
    pub(crate) unreadable: usize,
    /// How many clicks Postgres refused; they lie in `aside/refused.jsonl`.
    pub(crate) refused: usize,
    /// Damaged files that were set aside; what could be read of them is in Postgres.
    pub(crate) damaged: Vec<u64>,
    /// How many clicks could not be kept because the disk was full, since the spool was made.
    pub(crate) lost: u64,
}

/// Looks at a spool, which need not be there.
pub(crate) fn status(folder: &Path) -> io::Result<Status> {
    let mut status = Status {
        used_by: files::user(folder),
        refused: files::refused(folder),
        damaged: files::damaged(folder),
        lost: files::lost(folder),
        ..Status::default()
    };
    let segments = match segment::list(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        listed => listed?,
    };
    let drained = files::drained(folder);
    for number in segments {
        match look(folder, number, drained, &mut status) {
            // Drained and removed in the meantime.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            looked => looked?,
        }
    }
    Ok(status)
}

fn look(folder: &Path, number: u64, drained: Place, status: &mut Status) -> io::Result<()> {
    status.bytes += segment::path(folder, number).metadata()?.len();
    status.segments += 1;
    let mut from = Place::start_of(number).max(drained);
    while from.segment == number {
        let batch = segment::read(folder, from, None, AT_ONCE)?;
        status.waiting += batch.found.clicks.len();
        status.unreadable += batch.found.bad;
        let oldest = batch
            .found
            .clicks
            .iter()
            .map(|kept| kept.click.clicked_at)
            .min();
        status.oldest = [status.oldest, oldest].into_iter().flatten().min();
        if batch.at_end || batch.next == from {
            break;
        }
        from = batch.next;
    }
    Ok(())
}
