//! How fast balances, trial balances and the proof of everything are read from what was posted.

use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::TryStreamExt;
use ledger::balance::{self, AsOf, Filter, Grouping};
use ledger::verify;
use sqlx::PgConnection;

use super::report::{Figure, Row};
use super::workload::Workload;
use super::{Bench, median, per_second};
use crate::database;

/// The brand owes this account most of what there is: it has a line in each entry.
const RECEIVABLE: &str = "1110";

/// Reads what was posted, in all the ways that there are targets for.
pub(super) async fn measure(bench: &mut Bench) -> anyhow::Result<Vec<Row>> {
    bench.say("vacuum and analyze, as autovacuum would in time");
    let mut admin = bench.scratch.superuser("ledger").await?;
    sqlx::query("vacuum (analyze)").execute(&mut admin).await?;
    let mut conn = bench.ledger().await?;
    let mut rows = balances(bench, &mut conn).await?;
    rows.extend(trial_balances(bench, &mut conn).await?);
    rows.extend(proof(bench, &mut conn, &mut admin).await?);
    Ok(rows)
}

async fn balances(bench: &Bench, conn: &mut PgConnection) -> anyhow::Result<Vec<Row>> {
    bench.say("balances of the largest account");
    let filter = Filter {
        books: Some(vec![Workload::new().largest()]),
        code: Some(RECEIVABLE.to_owned()),
        dimensions: None,
    };
    let found = balance::accounts(conn, &filter, AsOf::default()).await?;
    let account = found.first().context("the largest account is not there")?;
    let (book, id) = (account.id.0.value(), account.id.1.value());
    let summed = "select count(*), sum(amount)::bigint, min(effective_on), max(effective_on)
                  from ledger.line where book_id = $1 and account_id = $2";
    let mut slow = Vec::new();
    let mut seen = None;
    for _ in 0..3 {
        let begun = Instant::now();
        let row: (i64, i64, chrono::NaiveDate, chrono::NaiveDate) = sqlx::query_as(summed)
            .bind(book)
            .bind(id)
            .fetch_one(&mut *conn)
            .await?;
        slow.push(begun.elapsed());
        seen = Some(row);
    }
    let (lines, sum, first, last) = seen.context("the largest account has no lines")?;
    let held = account.sums.debits.minor() - account.sums.credits.minor();
    anyhow::ensure!(
        held == sum,
        "the account holds {held}, its lines sum to {sum}"
    );
    let middle = first + (last - first) / 2;
    let mut rows = Vec::new();
    for (name, as_of) in [
        (
            format!("balance of an account with {lines} lines"),
            AsOf::default(),
        ),
        (format!("the same as of {middle}"), AsOf::day(middle)),
    ] {
        let mut quick = Vec::new();
        for _ in 0..51 {
            let begun = Instant::now();
            balance::accounts(conn, &filter, as_of).await?;
            quick.push(begun.elapsed());
        }
        let row = Row::new(name, millis(median(quick)));
        rows.push(
            row.beside("its lines summed", millis(median(slow.clone())))
                .at_most(5),
        );
    }
    Ok(rows)
}

async fn trial_balances(bench: &Bench, conn: &mut PgConnection) -> anyhow::Result<Vec<Row>> {
    bench.say("trial balances");
    let count =
        "select (select count(*) from ledger.line), (select count(*) from ledger.account_day),
                        (select count(*) from ledger.book)";
    let (lines, days, books): (i64, i64, i64) = sqlx::query_as(count).fetch_one(&mut *conn).await?;
    let summed = "select a.code, a.currency, sum(m.amount)::bigint
                  from (select book_id, account_id, sum(amount) as amount
                        from ledger.line group by book_id, account_id) m
                  join ledger.account a on a.book_id = m.book_id and a.id = m.account_id
                  group by a.code, a.currency";
    let mut slow = Vec::new();
    for _ in 0..3 {
        let begun = Instant::now();
        sqlx::query(summed).fetch_all(&mut *conn).await?;
        slow.push(begun.elapsed());
    }
    let mut rows = Vec::new();
    for (name, grouping) in [
        (
            format!("trial balance, {lines} lines, {books} books"),
            Grouping::Consolidated,
        ),
        (
            format!("the same per book ({days} account days)"),
            Grouping::PerBook,
        ),
    ] {
        let mut quick = Vec::new();
        for _ in 0..5 {
            let begun = Instant::now();
            balance::trial_balance(conn, None, grouping, AsOf::default()).await?;
            quick.push(begun.elapsed());
        }
        let row = Row::new(name, millis(median(quick)));
        rows.push(
            row.beside("all lines summed", millis(median(slow.clone())))
                .at_most(1_000),
        );
    }
    Ok(rows)
}

async fn proof(
    bench: &Bench,
    conn: &mut PgConnection,
    admin: &mut PgConnection,
) -> anyhow::Result<Vec<Row>> {
    bench.say("verify");
    let begun = Instant::now();
    let mut bytes = 0;
    let mut stream = admin
        .copy_out_raw("copy ledger.entry to stdout (format binary)")
        .await?;
    while let Some(chunk) = stream.try_next().await? {
        bytes += chunk.len();
    }
    drop(stream);
    let streamed = begun.elapsed();
    let begun = Instant::now();
    let report =
        database::read(conn, async |conn| verify::verify(conn, None, |_| ()).await).await?;
    let proved = begun.elapsed();
    anyhow::ensure!(report.holds(), "verify found {:?}", report.findings.first());
    let rate = |took| Some(Figure::of(per_second(report.entries, took), "entries/s"));
    let reference = format!("ledger.entry streamed ({} MB)", bytes / 1_000_000);
    let row = Row::new(
        format!("verify of {} entries", report.entries),
        rate(proved),
    );
    Ok(vec![
        row.beside(reference, rate(streamed)).at_least(200_000),
    ])
}

fn millis(took: Duration) -> Option<Figure> {
    Some(Figure::thousandths(
        u64::try_from(took.as_micros()).ok()?,
        "ms",
    ))
}
