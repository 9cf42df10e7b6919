//! How fast `counterfoil import orders` is: the command itself, run as a child on a generated file.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use ledger::{Actor, Currency, Rate, Rounding};
use settlement::attribution::AttributionTerms;
use settlement::commission::{CommissionRule, Percentage};
use settlement::fees::FeeModel;
use settlement::party::{self, NewParty, NewProgram, ProgramRef};
use settlement::rules::Rules;
use settlement::terms::{Presentation, RecognitionPoint, Terms, Unattributed};
use settlement::tracking::{self, Click};
use sqlx::PgConnection;
use tokio::process::{Child, Command};

use super::meter::{memory, processor_time};
use super::report::{Figure, Row};
use super::workload::{self, id, mixed};
use super::{Bench, per_second};
use crate::database;

const BRANDS: u64 = 100;
const PUBLISHERS: u64 = 1_000;
/// Publishers enrolled in each brand's program.
const ENROLLED: u64 = 50;
/// Every other order comes from a click, the rest name their publisher.
const CLICKED: u64 = 2;

/// Imports a generated file with the command that users have, and copies the same file into a plain
/// table as its reference.
pub(super) async fn measure(bench: &mut Bench) -> anyhow::Result<Vec<Row>> {
    bench.say(&format!("a network, and a file of {} orders", bench.orders));
    let file = bench.scratch.folder().join("orders.csv");
    write(&file, bench.orders)?;
    let mut conn = bench.scratch.service(database::DATABASE).await?;
    prepare(&mut conn, bench.orders).await?;
    let copied = copy(bench, &file).await?;

    bench.say(&format!("importing {} orders", bench.orders));
    let mark = bench.meter.mark_of(None).await?;
    let program = std::env::current_exe().context("this program cannot be found")?;
    let child = Command::new(program)
        .arg("--data")
        .arg(bench.scratch.folder())
        .args(["--json", "import", "orders"])
        .arg(&file)
        .env_remove("DATABASE_URL")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("the import cannot be run")?;
    let watched = watch(child, &mut conn, bench.orders).await?;
    let spent = bench.meter.spent(mark).await?;
    let orders = bench.orders;
    let each = |time: Option<Duration>| {
        let nanos = u64::try_from(time?.as_nanos()).ok()?.checked_div(orders)?;
        Some(Figure::thousandths(nanos, "µs/order"))
    };
    let reference = "the same file copied into a plain table";
    let rate = |took| Some(Figure::of(per_second(orders, took), "orders/s"));
    let log = spent
        .log
        .map(|log| Figure::of(log.records / orders.max(1), "bytes/order"));
    let tenths = watched.tenths(orders);
    let first = tenths.first().map(|rate| Figure::of(*rate, "orders/s"));
    let last = tenths.last().map(|rate| Figure::of(*rate, "orders/s"));
    let said: Vec<String> = tenths.iter().map(u64::to_string).collect();
    let peak = watched.peak.map(|kb| Figure::thousandths(kb, "MB"));
    Ok(vec![
        Row::new(format!("import of {orders} orders"), rate(spent.time))
            .beside(reference, rate(copied))
            .at_least(5_000),
        Row::new("  the last tenth of them", last)
            .beside(format!("the first tenth (all: {})", said.join(", ")), first)
            .at_least_percent(80),
        Row::new(
            "  processor time of the importing process",
            each(watched.cpu),
        ),
        Row::new(
            "  processor time of PostgreSQL's backends",
            each(spent.ended),
        ),
        Row::new("  log written, without full-page images", log),
        Row::new("  most memory of the importing process", peak).at_most(200),
    ])
}

/// What was seen of the import while it ran.
struct Watched {
    /// How many orders were recorded when.
    seen: Vec<(Duration, u64)>,
    peak: Option<u64>,
    cpu: Option<Duration>,
}

impl Watched {
    /// Orders a second in each tenth of the orders.
    fn tenths(&self, orders: u64) -> Vec<u64> {
        let reached = |wanted: u64| self.seen.iter().find(|(_, done)| *done >= wanted);
        (0..10)
            .filter_map(|tenth| {
                let from = reached(orders * tenth / 10)?;
                let to = reached(orders * (tenth + 1) / 10)?;
                Some(per_second(to.1 - from.1, to.0.saturating_sub(from.0)))
            })
            .collect()
    }
}

async fn watch(mut child: Child, conn: &mut PgConnection, orders: u64) -> anyhow::Result<Watched> {
    let begun = Instant::now();
    let pid = child.id().context("the import ended at once")?;
    let mut watched = Watched {
        seen: vec![(Duration::ZERO, 0)],
        peak: None,
        cpu: None,
    };
    loop {
        let pause = tokio::time::sleep(Duration::from_millis(100));
        let ended = tokio::select! {
            status = child.wait() => Some(status?),
            () = pause => None,
        };
        let done: i64 =
            sqlx::query_scalar("select coalesce(sum(next_number - 1), 0)::bigint from ledger.book")
                .fetch_one(&mut *conn)
                .await?;
        watched.seen.push((begun.elapsed(), u64::try_from(done)?));
        if let Some(status) = ended {
            anyhow::ensure!(status.success(), "the import failed: {status}");
            let done = u64::try_from(done)?;
            anyhow::ensure!(done == orders, "{done} of {orders} orders were recorded");
            return Ok(watched);
        }
        watched.peak = memory(pid, "VmHWM").max(watched.peak);
        watched.cpu = i32::try_from(pid)
            .ok()
            .and_then(processor_time)
            .max(watched.cpu);
    }
}

/// The time of an order; the clicks come an hour before.
fn occurred(number: u64) -> DateTime<Utc> {
    let seconds = i64::try_from(number % 2_592_000).unwrap_or(0);
    workload::now() - TimeDelta::days(30) + TimeDelta::seconds(seconds)
}

/// Brand and publisher of an order.
fn parties(number: u64) -> (u64, u64) {
    let chance = mixed(number);
    let brand = chance % BRANDS;
    (brand, publisher(brand, (chance >> 32) % ENROLLED))
}

fn publisher(brand: u64, place: u64) -> u64 {
    (brand * 7 + place) % PUBLISHERS
}

fn write(path: &Path, orders: u64) -> anyhow::Result<()> {
    let mut file = std::io::BufWriter::new(File::create(path)?);
    writeln!(
        file,
        "order_ref,occurred_at,brand,publisher,customer,amount_gbp"
    )?;
    for number in 0..orders {
        let (brand, publisher) = parties(number);
        let at = occurred(number).to_rfc3339_opts(SecondsFormat::Secs, true);
        let amount = 1_000 + mixed(number) % 20_000;
        let named = if number.is_multiple_of(CLICKED) {
            format!(",customer {number:08}")
        } else {
            format!("publisher {publisher:04},")
        };
        let (pounds, pence) = (amount / 100, amount % 100);
        writeln!(
            file,
            "S{:09},{at},{},{named},{pounds}.{pence:02}",
            100_000_000 + number,
            workload::name(brand),
        )?;
    }
    file.flush()?;
    Ok(())
}

/// The network, its brands with their programs, its publishers, and the clicks.
async fn prepare(conn: &mut PgConnection, orders: u64) -> anyhow::Result<()> {
    let (now, by) = (
        workload::now() - TimeDelta::days(60),
        Actor::new("cli:bench"),
    );
    let party = |kind: &str, number: u64, name: String| NewParty {
        id: id(kind, number),
        name,
    };
    let brands: Vec<NewParty> = (0..BRANDS)
        .map(|n| party("brand", n, workload::name(n)))
        .collect();
    let publishers: Vec<NewParty> = (0..PUBLISHERS)
        .map(|n| party("publisher", n, format!("publisher {n:04}")))
        .collect();
    let terms = terms(now)?;
    let programs: Vec<NewProgram> = (0..BRANDS)
        .map(|n| NewProgram {
            id: id("program", n),
            brand: workload::name(n),
            name: "shop".to_owned(),
            terms: terms.clone(),
        })
        .collect();
    let known = database::commit(conn, async |conn| -> anyhow::Result<_> {
        settlement::network::create(conn, now, &by, "Bench Network", chrono_tz::Tz::UTC).await?;
        party::create_brands(conn, now, &by, &brands).await?;
        party::create_publishers(conn, now, &by, &publishers).await?;
        party::create_programs(conn, now, &by, &programs).await?;
        Ok(party::programs_by_brand(conn).await?)
    })
    .await?;
    let programs: Vec<ProgramRef> = (0..BRANDS)
        .filter_map(|n| Some(known.get(&workload::name(n))?.first()?.1))
        .collect();
    let enrolled: Vec<_> = (0..BRANDS)
        .zip(&programs)
        .flat_map(|(n, program)| {
            (0..ENROLLED).map(move |place| (*program, id("publisher", publisher(n, place))))
        })
        .collect();
    database::commit(conn, async |conn| {
        party::enrol(conn, now, &by, &enrolled).await
    })
    .await?;
    click(conn, &programs, orders).await
}

fn terms(effective_from: DateTime<Utc>) -> anyhow::Result<Terms> {
    Ok(Terms {
        effective_from,
        currency: Currency::GBP,
        rule: CommissionRule::Percentage(Percentage {
            rate: Rate::percent(8.into())?,
        }),
        fee_model: FeeModel::TwoSided {
            rate: Rate::percent(10.into())?,
        },
        rounding: Rounding::HalfUp,
        recognition_point: RecognitionPoint::Approval,
        presentation: Presentation::Agent,
        unattributed: Unattributed::RecordOnly,
        lookback_days: 30,
        attribution: AttributionTerms::default(),
        rules: Rules::default(),
    })
}

/// A click before some of the orders.
async fn click(
    conn: &mut PgConnection,
    programs: &[ProgramRef],
    orders: u64,
) -> anyhow::Result<()> {
    let (now, by) = (
        workload::now() - TimeDelta::days(60),
        Actor::new("cli:bench"),
    );
    let clicked: Vec<u64> = (0..orders).filter(|n| n.is_multiple_of(CLICKED)).collect();
    for some in clicked.chunks(5_000) {
        let mut clicks = Vec::with_capacity(some.len());
        for number in some {
            let (brand, publisher) = parties(*number);
            let clicked_at = occurred(*number) - TimeDelta::hours(1);
            let program = programs[usize::try_from(brand)?];
            clicks.push(Click {
                visitor: Some(format!("customer {number:08}")),
                ..Click::new(
                    id("click", *number),
                    program,
                    id("publisher", publisher),
                    clicked_at,
                )
            });
        }
        database::commit(conn, async |conn| {
            tracking::record(conn, now, &by, &clicks).await
        })
        .await?;
    }
    Ok(())
}

/// How long the server takes to copy the file into a plain table.
async fn copy(bench: &Bench, path: &Path) -> anyhow::Result<Duration> {
    let mut conn = bench.scratch.superuser("plain").await?;
    sqlx::query(
        "create table plain (order_ref text, occurred_at timestamptz, brand text, publisher text,
                             customer text, amount numeric)",
    )
    .execute(&mut conn)
    .await?;
    let begun = Instant::now();
    let mut reader = BufReader::with_capacity(1 << 16, File::open(path)?);
    let mut copy = conn
        .copy_in_raw("copy plain from stdin (format csv, header)")
        .await?;
    loop {
        let chunk = reader.fill_buf()?;
        if chunk.is_empty() {
            break;
        }
        let read = chunk.len();
        copy.send(chunk).await?;
        reader.consume(read);
    }
    copy.finish().await?;
    Ok(begun.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_of_each_tenth_follows_from_what_was_seen() {
        let second = Duration::from_secs(1);
        let seen = (0..=10).map(|n| (second * n, u64::from(n) * 100)).collect();
        let watched = Watched {
            seen,
            peak: None,
            cpu: None,
        };
        assert_eq!(watched.tenths(1_000), vec![100; 10]);
    }
}
