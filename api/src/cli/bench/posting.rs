//! How fast entries are posted, and what that costs PostgreSQL.

use std::ops::Range;
use std::time::Duration;

use ledger::{Actor, Posted, journal};
use sqlx::PgConnection;

use super::meter::{Spent, memory};
use super::reference::Reference;
use super::report::{Figure, Row};
use super::workload::{self, BOOKS, Fact, Workload};
use super::{Bench, per_second};
use crate::database;

/// Entries that are posted before anything is measured: plans are made, pages are there.
const WARM_UP: u64 = 2_000;

/// What was measured.
pub(super) struct Measured {
    phases: Vec<Phase>,
    ours: Memory,
    backends: Memory,
}

/// Entries of one sort, posted in batches of one size.
struct Phase {
    name: String,
    entries: u64,
    spent: Spent,
    /// Whether the targets are meant for it.
    aimed: bool,
}

/// Memory in kB after a tenth of the entries, and after all of them.
#[derive(Debug, Clone, Copy, Default)]
struct Memory {
    early: Option<u64>,
    late: Option<u64>,
}

/// Opens the books, and posts all entries of the bench.
pub(super) async fn measure(bench: &mut Bench) -> anyhow::Result<Measured> {
    let workload = Workload::new();
    let mut conn = bench.ledger().await?;
    bench.say(&format!("opening {BOOKS} books and their accounts"));
    open(&mut conn, &workload).await?;
    let each = (bench.entries / 5).min(100_000);
    let mut next = 0;
    let mut take = |count: u64| {
        next += count;
        next - count..next
    };
    post(
        &mut conn,
        &workload,
        Fact::Expected,
        take(WARM_UP),
        500,
        |_| (),
    )
    .await?;
    let mut phases = Vec::new();
    for (name, fact, batch) in [
        ("pending, 3 lines, batches of 1,000", Fact::Expected, 1_000),
        ("pending, 3 lines, batches of 100", Fact::Expected, 100),
        ("approval, 4 lines, batches of 1,000", Fact::Approved, 1_000),
    ] {
        bench.say(&format!("posting {each} entries: {name}"));
        let mark = bench.meter.mark(&mut conn).await?;
        post(&mut conn, &workload, fact, take(each), batch, |_| ()).await?;
        let spent = bench.meter.spent(mark).await?;
        let aimed = fact == Fact::Expected;
        phases.push(Phase {
            name: name.to_owned(),
            entries: each,
            spent,
            aimed,
        });
    }
    let rest = take(bench.entries.saturating_sub(3 * each + WARM_UP).max(1_000));
    let (phase, ours, backends) = fill(bench, &mut conn, &workload, rest).await?;
    phases.push(phase);
    Ok(Measured {
        phases,
        ours,
        backends,
    })
}

/// Posts the rest, and looks at the memory of both processes at a tenth of it and at its end.
async fn fill(
    bench: &mut Bench,
    conn: &mut PgConnection,
    workload: &Workload,
    rest: Range<u64>,
) -> anyhow::Result<(Phase, Memory, Memory)> {
    let count = rest.end - rest.start;
    bench.say(&format!(
        "posting {count} entries more, 3 lines each, for the measurements of reading"
    ));
    let backend: i32 = sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(&mut *conn)
        .await?;
    let backend = u32::try_from(backend)?;
    let (mut ours, mut backends) = (Memory::default(), Memory::default());
    let mark = bench.meter.mark(&mut *conn).await?;
    let tenth = rest.start + count / 10;
    let last = rest.end;
    post(conn, workload, Fact::Recognised, rest, 1_000, |done| {
        let now = (
            memory(std::process::id(), "VmRSS"),
            memory(backend, "RssAnon"),
        );
        if done >= tenth && ours.early.is_none() {
            (ours.early, backends.early) = now;
        }
        (ours.late, backends.late) = now;
    })
    .await?;
    let spent = bench.meter.spent(mark).await?;
    let name = format!("filling up to {last} entries, batches of 1,000");
    let phase = Phase {
        name,
        entries: count,
        spent,
        aimed: false,
    };
    Ok((phase, ours, backends))
}

async fn open(conn: &mut PgConnection, workload: &Workload) -> anyhow::Result<()> {
    let (now, by) = (workload::now(), Actor::new("cli:bench"));
    let names: Vec<String> = (0..BOOKS).map(workload::name).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    database::commit(conn, async |conn| {
        ledger::book::open(conn, now, &by, &names).await
    })
    .await?;
    let books: Vec<usize> = (0..names.len()).collect();
    for some in books.chunks(50) {
        let mut accounts = Vec::new();
        for book in some {
            accounts.extend(workload.accounts(*book)?);
        }
        database::commit(conn, async |conn| {
            ledger::account::open(conn, now, &by, &accounts).await
        })
        .await?;
    }
    Ok(())
}

/// Posts entries in batches, each committed before the next; tells after each how far it is.
async fn post(
    conn: &mut PgConnection,
    workload: &Workload,
    fact: Fact,
    numbers: Range<u64>,
    batch: usize,
    mut progress: impl FnMut(u64),
) -> anyhow::Result<()> {
    let (now, by) = (workload::now(), Actor::new("cli:bench"));
    for first in numbers.clone().step_by(batch) {
        let end = numbers.end.min(first + u64::try_from(batch)?);
        let entries: Vec<_> = (first..end)
            .map(|n| workload.entry(fact, n))
            .collect::<Result<_, _>>()?;
        let answers = database::commit(conn, async |conn| {
            journal::post(conn, now, &by, &entries).await
        })
        .await?;
        if let Some(other) = answers
            .iter()
            .find(|answer| !matches!(answer, Posted::New(_)))
        {
            anyhow::bail!("an entry of the bench was not posted: {other:?}");
        }
        progress(end);
    }
    Ok(())
}

/// The rows of the table.
pub(super) fn rows(measured: &Measured, reference: &Reference) -> Vec<Row> {
    let runs: Vec<String> = reference.rates().iter().map(u64::to_string).collect();
    let transactions = Some(Figure::of(reference.rate(), "transactions/s"));
    let whole = format!("{} (runs: {})", reference.name, runs.join(", "));
    let mut rows = Vec::new();
    for phase in &measured.phases {
        let Phase {
            name,
            entries,
            spent,
            aimed,
        } = phase;
        let rate = Figure::of(per_second(*entries, spent.time), "entries/s");
        let row = Row::new(name, Some(rate)).beside(&whole, transactions);
        rows.push(if *aimed { row.at_least_times(10) } else { row });

        let each = |time: Option<Duration>| {
            let nanos = u64::try_from(time?.as_nanos())
                .ok()?
                .checked_div(*entries)?;
            Some(Figure::thousandths(nanos, "µs/entry"))
        };
        let other = reference
            .nanos()
            .map(|nanos| Figure::thousandths(nanos, "µs/transaction"));
        let row = Row::new(
            "  processor time of its PostgreSQL backend",
            each(spent.backend),
        )
        .beside(reference.name, other);
        rows.push(if *aimed { row.at_most(80) } else { row });
        rows.push(Row::new(
            "  and of the server's helper processes",
            each(spent.helpers),
        ));

        let bytes = |sum: fn(&super::meter::Log) -> u64| {
            Some(Figure::of(
                sum(&spent.log?).checked_div(*entries)?,
                "bytes/entry",
            ))
        };
        let other = reference
            .log()
            .map(|bytes| Figure::of(bytes, "bytes/transaction"));
        let row = Row::new(
            "  log written, without full-page images",
            bytes(|log| log.records),
        )
        .beside(reference.name, other);
        rows.push(if *aimed { row.at_most(1_600) } else { row });
        rows.push(Row::new("  full-page images", bytes(|log| log.images)));
    }
    let tenth = "after a tenth of the entries";
    let megabytes = |kb: Option<u64>| kb.map(|kb| Figure::thousandths(kb, "MB"));
    for (name, memory) in [
        ("memory of this process after the last entry", measured.ours),
        (
            "memory of the PostgreSQL backend, not shared",
            measured.backends,
        ),
    ] {
        let row = Row::new(name, megabytes(memory.late)).beside(tenth, megabytes(memory.early));
        rows.push(row.at_most_percent(120));
    }
    rows
}
