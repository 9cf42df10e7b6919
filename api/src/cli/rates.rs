//! `counterfoil rates`: rates of exchange, read from the ECB's file or set by hand.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use chrono::NaiveDate;
use ledger::{Actor, Currency};
use rust_decimal::Decimal;
use settlement::conversion;
use settlement::rates::{self, NewRate, Stored};
use sqlx::PgConnection;

use super::Global;
use crate::output::{self, Columns};
use crate::{chance, database};

/// Rates per database transaction, and conversions priced in one.
const BATCH: usize = 5000;
const PRICED: i64 = 1000;

/// Rates of exchange.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Read the European Central Bank's eurofxref-hist.csv, or any file of that form.
    Import(ImportArgs),
    /// Set one rate by hand.
    Set(SetArgs),
    /// List the rates that count, latest day first.
    List(ListArgs),
}

/// Read the European Central Bank's eurofxref-hist.csv. Reading it again changes nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// The CSV file: a column of dates, and one for each currency.
    file: PathBuf,
    /// What one unit in the file is; the ECB's is the euro.
    #[arg(long, default_value = "EUR")]
    base: Currency,
    /// Who published it.
    #[arg(long, default_value = "ECB")]
    source: String,
}

/// Set one rate by hand; what was set before stays visible and no longer counts.
#[derive(Debug, clap::Args)]
pub(crate) struct SetArgs {
    /// The currency of one unit.
    base: Currency,
    /// The currency it is expressed in.
    quote: Currency,
    /// The day it is of.
    day: NaiveDate,
    /// How much of the second currency one unit of the first was worth.
    rate: Decimal,
    /// Who published it, or who decided it.
    #[arg(long)]
    source: String,
}

/// List the rates that count, latest day first.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Only rates of this currency.
    #[arg(long)]
    currency: Option<Currency>,
    /// How many at most.
    #[arg(long, default_value_t = 50)]
    limit: i64,
}

pub(crate) async fn run(global: &Global, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Import(args) => import(global, &args).await,
        Command::Set(args) => set(global, args).await,
        Command::List(args) => list(global, &args).await,
    }
}

async fn import(global: &Global, args: &ImportArgs) -> anyhow::Result<ExitCode> {
    let mut file = File::open(args)?;
    let (database, mut conn) = global.connect().await?;
    let by = Global::actor("rates-import");
    let mut stored = Stored::default();
    loop {
        let batch = file.batch()?;
        if batch.is_empty() {
            break;
        }
        let now = chance::now();
        let more = database::commit(&mut conn, async |conn| {
            rates::add(conn, now, &by, &args.source, &batch).await
        })
        .await?;
        stored.new += more.new;
        stored.corrected += more.corrected;
        stored.unchanged += more.unchanged;
    }
    let skipped = file.skipped.join(", ");
    if !skipped.is_empty() && !global.json {
        eprintln!("skipped the columns {skipped}: no currency that amounts can be in");
    }
    report(global, &mut conn, &by, stored).await?;
    drop(conn);
    database.leave()?;
    Ok(ExitCode::SUCCESS)
}

async fn set(global: &Global, args: SetArgs) -> anyhow::Result<ExitCode> {
    let (database, mut conn) = global.connect().await?;
    let (now, by) = (chance::now(), Global::actor("rates-set"));
    let new = NewRate {
        base: args.base,
        quote: args.quote,
        day: args.day,
        rate: args.rate,
    };
    let stored = database::commit(&mut conn, async |conn| {
        rates::add(conn, now, &by, &args.source, &[new]).await
    })
    .await?;
    report(global, &mut conn, &by, stored).await?;
    drop(conn);
    database.leave()?;
    Ok(ExitCode::SUCCESS)
}

/// Prices what waited for these rates, and says what happened.
async fn report(
    global: &Global,
    conn: &mut PgConnection,
    by: &Actor,
    stored: Stored,
) -> anyhow::Result<()> {
    let mut priced = 0;
    loop {
        let now = chance::now();
        let more = database::commit(conn, async |conn| {
            conversion::price_awaiting(conn, now, by, PRICED).await
        })
        .await?;
        if more.is_empty() {
            break;
        }
        priced += more.len();
    }
    let waiting = conversion::awaiting::awaited(conn).await?;
    if global.json {
        return output::json(&serde_json::json!({
            "rates": stored, "conversions_priced": priced, "conversions_waiting": waiting,
        }));
    }
    println!(
        "{} rates new, {} corrected, {} unchanged; {priced} conversions priced that waited for one",
        stored.new, stored.corrected, stored.unchanged
    );
    for (currency, orders) in waiting {
        println!("{orders} orders in {currency} still wait for a rate of their day");
    }
    Ok(())
}

async fn list(global: &Global, args: &ListArgs) -> anyhow::Result<ExitCode> {
    let (of, limit) = (args.currency, args.limit);
    let listed = global
        .read(async |conn| Ok(rates::list(conn, of, limit).await?))
        .await?;
    if global.json {
        output::json(&listed)?;
        return Ok(ExitCode::SUCCESS);
    }
    if listed.is_empty() {
        println!("no rates are stored; read the ECB's file with `counterfoil rates import`");
        return Ok(ExitCode::SUCCESS);
    }
    let headings = [
        "day",
        "one",
        "is",
        ">rate",
        ">revision",
        "source",
        "stored",
        "by",
    ];
    let mut table = Columns::new(&headings);
    for rate in listed {
        table.row([
            rate.day.to_string(),
            rate.base,
            rate.quote,
            rate.rate.normalize().to_string(),
            rate.revision.to_string(),
            rate.source,
            rate.recorded_at.format("%Y-%m-%d %H:%M").to_string(),
            rate.recorded_by,
        ]);
    }
    table.print();
    Ok(ExitCode::SUCCESS)
}

/// A file of rates, read row by row.
struct File {
    rows: csv::StringRecordsIntoIter<std::fs::File>,
    base: Currency,
    /// The currency of each column after the first, where it is one.
    columns: Vec<Option<Currency>>,
    skipped: Vec<String>,
}

impl File {
    fn open(args: &ImportArgs) -> anyhow::Result<File> {
        let name = args.file.display();
        let file =
            std::fs::File::open(&args.file).with_context(|| format!("{name} cannot be opened"))?;
        // The ECB ends every line, the heading too, with a comma.
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(file);
        let heading = reader
            .headers()
            .with_context(|| format!("{name} is no CSV"))?;
        anyhow::ensure!(
            heading.get(0) == Some("Date"),
            "{name} does not begin with a column Date, as eurofxref-hist.csv does"
        );
        let codes: Vec<String> = heading.iter().skip(1).map(str::to_owned).collect();
        let columns: Vec<Option<Currency>> = codes.iter().map(|code| code.parse().ok()).collect();
        let unknown = codes.iter().zip(&columns);
        let unknown = unknown.filter(|(code, known)| known.is_none() && !code.is_empty());
        Ok(File {
            skipped: unknown.map(|(code, _)| code.clone()).collect(),
            rows: reader.into_records(),
            base: args.base,
            columns,
        })
    }

    /// The next rates, some thousands of them; none at the end.
    fn batch(&mut self) -> anyhow::Result<Vec<NewRate>> {
        let mut batch = Vec::with_capacity(BATCH);
        for row in self.rows.by_ref() {
            let row = row?;
            let line = row.position().map_or(0, csv::Position::line);
            let day = row.get(0).unwrap_or_default();
            let day: NaiveDate = day
                .parse()
                .with_context(|| format!("line {line}: {day:?} is no day such as 2026-01-05"))?;
            for (cell, column) in row.iter().skip(1).zip(&self.columns) {
                let Some(quote) = *column else { continue };
                if cell.is_empty() || cell == "N/A" || quote == self.base {
                    continue;
                }
                let rate = cell
                    .parse()
                    .with_context(|| format!("line {line}: {cell:?} is no rate of {quote}"))?;
                batch.push(NewRate {
                    base: self.base,
                    quote,
                    day,
                    rate,
                });
            }
            if batch.len() >= BATCH {
                break;
            }
        }
        Ok(batch)
    }
}
