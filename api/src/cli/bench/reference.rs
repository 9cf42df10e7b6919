//! The reference for posting: PostgreSQL's own TPC-B-like benchmark at one client, before and
//! after.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use migrations::cluster::SUPERUSER;
use sqlx::PgConnection;
use tokio::process::Command;

use super::meter::Spent;
use super::{Bench, per_second};

/// `pgbench -s`: 100,000 accounts each.
const SCALE: i32 = 10;
const SECONDS: u64 = 10;

/// How many transactions a second there were, run by run.
pub(super) struct Reference {
    /// What was run.
    pub(super) name: &'static str,
    /// A connection of our own, where there is no pgbench.
    own: Option<PgConnection>,
    runs: Vec<(u64, Spent)>,
}

impl Reference {
    /// Fills the tables.
    pub(super) async fn prepare(bench: &mut Bench) -> anyhow::Result<Reference> {
        let mut conn = bench.scratch.superuser("reference").await?;
        if bench.scratch.program("pgbench")?.is_some() {
            bench.say("filling the tables of pgbench");
            pgbench(
                bench,
                &["--initialize", "--quiet", "--scale", &SCALE.to_string()],
            )
            .await?;
            return Ok(Reference {
                name: "pgbench, TPC-B-like, 1 client",
                own: None,
                runs: vec![],
            });
        }
        bench.say("there is no pgbench: filling the same tables ourselves");
        for statement in [
            "create table pgbench_branches (bid int primary key, bbalance int, filler char(88))",
            "create table pgbench_tellers (tid int primary key, bid int, tbalance int,
                                           filler char(84))",
            "create table pgbench_accounts (aid int primary key, bid int, abalance int,
                                            filler char(84))",
            "create table pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp,
                                           filler char(22))",
            "insert into pgbench_branches select i, 0, '' from generate_series(1, 10) i",
            "insert into pgbench_tellers select i, 1, 0, '' from generate_series(1, 100) i",
            "insert into pgbench_accounts select i, 1, 0, '' from generate_series(1, 1000000) i",
            "vacuum analyze",
        ] {
            sqlx::query(statement).execute(&mut conn).await?;
        }
        let name = "TPC-B-like, 1 client (own loop: no pgbench here)";
        Ok(Reference {
            name,
            own: Some(conn),
            runs: vec![],
        })
    }

    /// Runs it for some seconds.
    pub(super) async fn run(&mut self, bench: &mut Bench, when: &str) -> anyhow::Result<()> {
        bench.say(&format!("reference {when}: {}", self.name));
        let (transactions, spent) = if let Some(conn) = &mut self.own {
            let mark = bench.meter.mark(conn).await?;
            let done = own_loop(conn).await?;
            let mut spent = bench.meter.spent(mark).await?;
            spent.ended = spent.backend;
            (done, spent)
        } else {
            let mark = bench.meter.mark_of(None).await?;
            let seconds = SECONDS.to_string();
            let said = pgbench(bench, &["--no-vacuum", "--client=1", "--time", &seconds]).await?;
            let spent = bench.meter.spent(mark).await?;
            (
                processed(&said).context("pgbench said nothing of its transactions")?,
                spent,
            )
        };
        self.runs.push((transactions, spent));
        Ok(())
    }

    /// Transactions a second, run by run.
    pub(super) fn rates(&self) -> Vec<u64> {
        self.runs
            .iter()
            .map(|(done, spent)| per_second(*done, spent.time))
            .collect()
    }

    /// Transactions a second over all runs.
    pub(super) fn rate(&self) -> u64 {
        let time: Duration = self.runs.iter().map(|(_, spent)| spent.time).sum();
        per_second(self.transactions(), time)
    }

    /// Processor time of a transaction, in nanoseconds.
    pub(super) fn nanos(&self) -> Option<u64> {
        let cpu: Duration = self
            .runs
            .iter()
            .map(|(_, spent)| spent.ended)
            .sum::<Option<_>>()?;
        u64::try_from(cpu.as_nanos())
            .ok()?
            .checked_div(self.transactions())
    }

    /// Log of a transaction without full-page images, in bytes.
    pub(super) fn log(&self) -> Option<u64> {
        let logs = self
            .runs
            .iter()
            .map(|(_, spent)| spent.log.map(|log| log.records));
        logs.sum::<Option<u64>>()?.checked_div(self.transactions())
    }

    fn transactions(&self) -> u64 {
        self.runs.iter().map(|(done, _)| done).sum()
    }
}

async fn pgbench(bench: &Bench, options: &[&str]) -> anyhow::Result<String> {
    let cluster = bench.scratch.cluster()?;
    let program = bench
        .scratch
        .program("pgbench")?
        .context("pgbench is gone")?;
    let output = Command::new(program)
        .args(options)
        .arg("--host")
        .arg(cluster.socket())
        .args(["--port", "5432", "--username", SUPERUSER, "reference"])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("pgbench cannot be run")?;
    if !output.status.success() {
        anyhow::bail!(
            "pgbench failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// "number of transactions actually processed: 12345", or "12345/12345" with a fixed count.
fn processed(said: &str) -> Option<u64> {
    let (_, rest) = said.split_once("actually processed: ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// The seven statements of the benchmark, one at a time as pgbench sends them.
async fn own_loop(conn: &mut PgConnection) -> anyhow::Result<u64> {
    let begun = std::time::Instant::now();
    let mut done = 0_u64;
    while begun.elapsed() < Duration::from_secs(SECONDS) {
        let chance = i32::try_from(done.wrapping_mul(7_919) % 1_000_000)?;
        sqlx::query("begin").execute(&mut *conn).await?;
        for statement in [
            "update pgbench_accounts set abalance = abalance + 1 where aid = $1 + 1",
            "select abalance from pgbench_accounts where aid = $1 + 1",
            "update pgbench_tellers set tbalance = tbalance + 1 where tid = $1 % 100 + 1",
            "update pgbench_branches set bbalance = bbalance + 1 where bid = $1 % 10 + 1",
            "insert into pgbench_history (tid, bid, aid, delta, mtime)
             values ($1 % 100 + 1, $1 % 10 + 1, $1 + 1, 1, current_timestamp)",
        ] {
            sqlx::query(statement)
                .bind(chance)
                .execute(&mut *conn)
                .await?;
        }
        sqlx::query("commit").execute(&mut *conn).await?;
        done += 1;
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_that_pgbench_prints_is_read() {
        let said = "number of transactions actually processed: 5711\nnumber of failed: 0 (0.000%)";
        assert_eq!(processed(said), Some(5_711));
        assert_eq!(processed("nothing"), None);
    }
}
