//! What work cost: time, processor time of PostgreSQL's processes, write-ahead log, memory.
//!
//! Processor time and memory are read from `/proc`, so they are known on Linux only. The log is
//! counted without full-page images by `pg_walinspect`, or by `pg_waldump` where that is not
//! installed; where neither is, it is not known.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};

use super::scratch::Scratch;

/// Linux counts the processor time of a process in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// Watches a scratch cluster.
pub(super) struct Meter {
    /// What the server says it is.
    pub(super) postgres: String,
    admin: PgConnection,
    inspect: bool,
    waldump: Option<PathBuf>,
    files: PathBuf,
    postmaster: Option<i32>,
    /// Checkpointer, background writer, log writer.
    helpers: Vec<i32>,
}

/// A moment, as the meter saw it.
pub(super) struct Mark {
    backend: Option<i32>,
    at: Instant,
    lsn: String,
    cpu: Option<Duration>,
    helpers: Option<Duration>,
    ended: Option<Duration>,
}

/// What was spent since a mark.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spent {
    /// On the clock.
    pub(super) time: Duration,
    /// Processor time of the watched backend.
    pub(super) backend: Option<Duration>,
    /// Processor time of checkpointer, background writer and log writer.
    pub(super) helpers: Option<Duration>,
    /// Processor time of backends and workers that ended meanwhile.
    pub(super) ended: Option<Duration>,
    /// The log written.
    pub(super) log: Option<Log>,
}

/// Write-ahead log, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Log {
    /// Records without full-page images.
    pub(super) records: u64,
    /// Full-page images.
    pub(super) images: u64,
}

impl Meter {
    /// A meter for this cluster.
    pub(super) async fn new(scratch: &Scratch) -> anyhow::Result<Meter> {
        let mut admin = scratch.superuser("meter").await?;
        // Log that is still to be counted must not be recycled by a checkpoint.
        sqlx::query("alter system set wal_keep_size = '256MB'")
            .execute(&mut admin)
            .await?;
        sqlx::query("select pg_reload_conf()")
            .execute(&mut admin)
            .await?;
        let inspect = sqlx::query("create extension if not exists pg_walinspect")
            .execute(&mut admin)
            .await
            .is_ok();
        let postgres: String = sqlx::query_scalar("select current_setting('server_version')")
            .fetch_one(&mut admin)
            .await?;
        let helpers = sqlx::query_scalar(
            "select pid from pg_stat_activity
             where backend_type in ('checkpointer', 'background writer', 'walwriter')",
        )
        .fetch_all(&mut admin)
        .await?;
        let cluster = scratch.cluster()?;
        Ok(Meter {
            postgres,
            admin,
            inspect,
            waldump: scratch.program("pg_waldump")?,
            files: scratch.files().to_owned(),
            postmaster: cluster.pid(),
            helpers,
        })
    }

    /// Begins to measure, on the backend of this connection.
    pub(super) async fn mark(&mut self, watched: &mut PgConnection) -> anyhow::Result<Mark> {
        let backend = sqlx::query_scalar("select pg_backend_pid()")
            .fetch_one(watched)
            .await?;
        self.mark_of(Some(backend)).await
    }

    /// Begins to measure; `backend` is the process to watch, if there is one yet.
    pub(super) async fn mark_of(&mut self, backend: Option<i32>) -> anyhow::Result<Mark> {
        if backend.is_none() {
            settle().await;
        }
        Ok(Mark {
            backend,
            lsn: self.flushed().await?,
            cpu: backend.and_then(processor_time),
            helpers: self.helpers(),
            ended: self.postmaster.and_then(processor_time_of_ended),
            at: Instant::now(),
        })
    }

    /// What was spent since the mark.
    pub(super) async fn spent(&mut self, mark: Mark) -> anyhow::Result<Spent> {
        let time = mark.at.elapsed();
        if mark.backend.is_none() {
            settle().await;
        }
        let backend = mark.backend.and_then(processor_time);
        let ended = self.postmaster.and_then(processor_time_of_ended);
        let helpers = self.helpers();
        let since = |now: Option<Duration>, then: Option<Duration>| {
            now.zip(then).map(|(now, then)| now.saturating_sub(then))
        };
        Ok(Spent {
            time,
            backend: since(backend, mark.cpu),
            helpers: since(helpers, mark.helpers),
            ended: since(ended, mark.ended),
            log: self.log(&mark.lsn).await?,
        })
    }

    async fn flushed(&mut self) -> Result<String, sqlx::Error> {
        sqlx::query_scalar("select pg_current_wal_flush_lsn()::text")
            .fetch_one(&mut self.admin)
            .await
    }

    fn helpers(&self) -> Option<Duration> {
        self.helpers.iter().map(|pid| processor_time(*pid)).sum()
    }

    /// The log since a position; not known when it was recycled meanwhile.
    async fn log(&mut self, from: &str) -> anyhow::Result<Option<Log>> {
        let to = self.flushed().await?;
        if !self.inspect {
            return Ok(self.dumped(from, &to));
        }
        let counted: Result<(i64, i64), sqlx::Error> = sqlx::query_as(
            "select coalesce(sum(record_size), 0)::bigint, coalesce(sum(fpi_size), 0)::bigint
             from pg_get_wal_stats($1::text::pg_lsn, $2::text::pg_lsn)",
        )
        .bind(from)
        .bind(&to)
        .fetch_one(&mut self.admin)
        .await;
        self.admin.ping().await?;
        Ok(counted.ok().and_then(|(records, images)| {
            Some(Log {
                records: records.try_into().ok()?,
                images: images.try_into().ok()?,
            })
        }))
    }

    fn dumped(&self, from: &str, to: &str) -> Option<Log> {
        let output = Command::new(self.waldump.as_ref()?)
            .arg("--stats")
            .args(["--start", from, "--end", to, "--path"])
            .arg(self.files.join("pg_wal"))
            .output()
            .ok()?;
        total(&String::from_utf8_lossy(&output.stdout))
    }
}

/// The sums in what `pg_waldump --stats` prints: count, record size, image size, each followed by
/// its share in brackets.
fn total(dump: &str) -> Option<Log> {
    let line = dump
        .lines()
        .find_map(|line| line.trim().strip_prefix("Total"))?;
    let mut sizes = line
        .split_whitespace()
        .filter(|word| !word.starts_with('['));
    let mut next = || sizes.next()?.parse().ok();
    let _count: u64 = next()?;
    Some(Log {
        records: next()?,
        images: next()?,
    })
}

/// The server hears of the end of a backend a little later than the backend's client.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(500)).await;
}

/// Processor time of a process.
pub(super) fn processor_time(pid: i32) -> Option<Duration> {
    times(pid).map(|[user, system, ..]| TICK * (user + system))
}

/// Processor time of the children of a process that have ended.
fn processor_time_of_ended(pid: i32) -> Option<Duration> {
    times(pid).map(|[_, _, user, system]| TICK * (user + system))
}

fn times(pid: i32) -> Option<[u32; 4]> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    ticks(&text)
}

/// The fields 14 to 17; the name before them may hold anything.
fn ticks(stat: &str) -> Option<[u32; 4]> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11).map(str::parse);
    let mut next = || fields.next()?.ok();
    Some([next()?, next()?, next()?, next()?])
}

/// A line of `/proc/<pid>/status`, in kB: `VmRSS` is what lies in memory now, `VmHWM` the most that
/// ever did, `RssAnon` what belongs to nobody else.
pub(super) fn memory(pid: u32, line: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = text
        .lines()
        .find_map(|l| l.strip_prefix(line)?.strip_prefix(':'))?;
    value.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_time_of_a_process_is_found_whatever_its_name() {
        let stat = "42 (a ) 1 2) S 1 42 42 0 -1 4194304 100 200 0 0 11 22 33 44 20 0 1 0 99";
        assert_eq!(ticks(stat), Some([11, 22, 33, 44]));
    }

    #[test]
    fn the_total_of_a_log_dump_is_found() {
        let dump = "Type   N      (%)   Record size      (%)   FPI size      (%)   Combined\n\
                    Heap   2 ( 50.00)           100 ( 50.00)          0 (  0.00)      100\n\
                    Total  4                    200 [10.00%]        300 [90.00%]      500 [100%]\n";
        let log = total(dump).unwrap();
        assert_eq!((log.records, log.images), (200, 300));
    }
}
