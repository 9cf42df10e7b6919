//! How many entries a second `verify` proves, beside the time in which Postgres streams the same
//! rows to nobody. `VERIFY_ENTRIES=500000 cargo bench -p ledger --bench verify`; with
//! `VERIFY_URL=postgres://…` it measures an existing database instead of filling one.

use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDate, Utc};
use futures_util::TryStreamExt;
use ledger::{
    Account, AccountKind, Actor, Amount, BookId, Cause, Currency, IdempotencyKey, JournalEntry,
    Money, Posted, account, book, checkpoint, journal, verify,
};
use sqlx::{Connection, PgConnection};

const BATCH: usize = 1_000;
const BOOKS: usize = 100;
const PUBLISHERS: usize = 8;
const RUNS: usize = 3;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        if let Ok(url) = std::env::var("VERIFY_URL") {
            return measure(&mut PgConnection::connect(&url).await?).await;
        }
        let entries = std::env::var("VERIFY_ENTRIES").map_or(Ok(500_000), |n| n.parse())?;
        let db = migrations::testing::database().await;
        let mut conn = db.connection().await;
        fill(&mut conn, entries).await?;
        measure(&mut conn).await
    })
}

async fn measure(conn: &mut PgConnection) -> Result<(), Failure> {
    for _ in 0..RUNS {
        let begun = Instant::now();
        let statement = "copy (select * from ledger.entry order by book_id, number) to stdout
                         (format binary)";
        let mut bytes = 0_usize;
        let mut stream = conn.copy_out_raw(statement).await?;
        while let Some(chunk) = stream.try_next().await? {
            bytes += chunk.len();
        }
        drop(stream);
        let streamed = begun.elapsed();
        sqlx::query("begin isolation level repeatable read, read only")
            .execute(&mut *conn)
            .await?;
        let begun = Instant::now();
        let report = verify::verify(conn, None, |_| ()).await?;
        let proved = begun.elapsed();
        sqlx::query("rollback").execute(&mut *conn).await?;
        for finding in &report.findings {
            println!("{finding}");
        }
        println!(
            "verify {} entries, {} lines, {} account days in {proved:.2?}: {} entries/s; \
             reference, ledger.entry streamed and dropped ({} MB) in {streamed:.2?}: {} entries/s",
            report.entries,
            report.lines,
            report.account_days,
            per_second(report.entries, proved),
            bytes / 1_000_000,
            per_second(report.entries, streamed),
        );
    }
    Ok(())
}

fn per_second(count: u64, took: Duration) -> u128 {
    u128::from(count) * 1_000_000 / took.as_micros().max(1)
}

/// Sales of three legs over some books, in batches as the service posts them.
async fn fill(conn: &mut PgConnection, entries: usize) -> Result<(), Failure> {
    let now = DateTime::<Utc>::from_timestamp_nanos(1_294_000_000_000_000_000);
    let by = Actor::new("bench");
    let names: Vec<String> = (0..BOOKS).map(|i| format!("brand {i}")).collect();
    let ids: Vec<BookId> = names.iter().map(|name| BookId::of_name(name)).collect();
    let opened: Vec<&str> = names.iter().map(String::as_str).collect();
    book::open(conn, now, &by, &opened).await?;
    let accounts: Vec<Account> = ids.iter().flat_map(|&id| chart(id)).collect();
    account::open(conn, now, &by, &accounts).await?;
    let begun = Instant::now();
    for batch in (0..entries).step_by(BATCH) {
        let numbers = batch..entries.min(batch + BATCH);
        let batch = numbers
            .map(|i| sale(&ids, i))
            .collect::<Result<Vec<_>, Failure>>()?;
        let posted = journal::post(conn, now, &by, &batch).await?;
        assert!(
            posted.iter().all(|answer| matches!(answer, Posted::New(_))),
            "all are new"
        );
    }
    println!("posted {entries} entries in {:.2?}", begun.elapsed());
    checkpoint::take(
        conn,
        now,
        &by,
        "bench",
        &checkpoint::SigningKey::from_bytes(&[7; 32]),
    )
    .await?;
    sqlx::query("vacuum analyze").execute(conn).await?;
    Ok(())
}

fn chart(book: BookId) -> Vec<Account> {
    let publishers = (0..PUBLISHERS).map(|publisher| payable(book, publisher));
    [receivable(book), revenue(book)]
        .into_iter()
        .chain(publishers)
        .collect()
}

fn receivable(book: BookId) -> Account {
    Account::new(book, "1100", AccountKind::Asset, Currency::USD)
}

fn revenue(book: BookId) -> Account {
    Account::new(book, "4000", AccountKind::Revenue, Currency::USD)
}

fn payable(book: BookId, publisher: usize) -> Account {
    Account::new(book, "2000", AccountKind::Liability, Currency::USD).of("publisher", publisher)
}

fn sale(books: &[BookId], i: usize) -> Result<JournalEntry, Failure> {
    let book = books[i * 31 % books.len()];
    let day = NaiveDate::from_ymd_opt(2011, 1, 1).ok_or("a day")?;
    let day = day + chrono::Days::new(u64::try_from(i / 1_500)?);
    let amount = |minor: i64| -> Result<Amount, Failure> {
        Ok(Amount::new(Money::try_from_minor(minor, Currency::USD)?)?)
    };
    let commission = i64::try_from(1_000 + i % 900)?;
    let key = IdempotencyKey::of("conversion.approved", i);
    Ok(
        JournalEntry::draft(book, &key, day, format!("commission on order {i}"))
            .line(receivable(book).debit(amount(commission + 100)?)?)
            .line(payable(book, i % PUBLISHERS).credit(amount(commission)?)?)
            .line(revenue(book).credit(amount(100)?)?)
            .because(Cause::new("order", i))
            .because(Cause::new("conversion", i))
            .balance()?,
    )
}
