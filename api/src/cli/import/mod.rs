//! `counterfoil import orders|refunds|decisions FILE.csv`: streams a file into the database.
//!
//! A file is refused before anything is written if its header lacks a column or it is not text. A
//! malformed row stops nothing but itself and is listed with line and reason. Rows are committed in
//! batches; running the same file again changes nothing, so an import cut off anywhere is finished
//! by running it once more.
//!
//! # Adding a kind of file
//!
//! Copy `refunds.rs`: the columns it reads, a row, and how a batch of rows is recorded.

pub(super) mod columns;
mod decisions;
pub(super) mod orders;
pub(super) mod refunds;
mod report;

use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use ledger::Currency;
use sqlx::{Connection, PgConnection};

use super::Global;
use crate::{chance, database};
pub(super) use report::{Outcome, Report};

/// Rows per database transaction: enough to share its cost, few enough to answer quickly.
const BATCH: usize = 1000;

/// Read orders, refunds or decisions from a CSV file.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Orders: `order_ref`, `occurred_at`, brand, amount; optional publisher, customer, click,
    /// program.
    Orders(Args),
    /// Refunds: `refund_ref`, `occurred_at`, amount; optional `order_ref`, brand.
    Refunds(Args),
    /// Decisions: `order_ref` (or `conversion_id`), action, `reason_code`; optional note, brand.
    Decisions(Args),
}

/// Options of every import.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The CSV file, UTF-8, with a header.
    file: PathBuf,
    /// The currency of the amounts, where neither a column nor its heading names one.
    #[arg(long)]
    currency: Option<Currency>,
    /// Do everything, report it, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Write every row that was not accepted to this CSV file: line, reference, outcome, reason.
    #[arg(long)]
    report: Option<PathBuf>,
}

pub(crate) async fn run(global: &Global, command: Command) -> anyhow::Result<ExitCode> {
    let (args, what) = match &command {
        Command::Orders(args) => (args, "orders"),
        Command::Refunds(args) => (args, "refunds"),
        Command::Decisions(args) => (args, "decisions"),
    };
    let shown = args.file.display().to_string();
    let file = File::open(&args.file).with_context(|| format!("{shown} cannot be read"))?;
    let bytes = file.metadata()?.len();
    let bar = progress(bytes, !global.json);
    let mut reader = columns::reader(bar.wrap_read(file));
    // The header is judged before a database is opened: a malformed file changes nothing.
    let header = reader
        .headers()
        .with_context(|| format!("{shown} is no UTF-8 text"))?
        .clone();
    let kind = match command {
        Command::Orders(_) => orders::Columns::find(&header).map(Kind::Orders),
        Command::Refunds(_) => refunds::Columns::find(&header).map(Kind::Refunds),
        Command::Decisions(_) => decisions::Columns::find(&header).map(Kind::Decisions),
    };
    let kind = kind.with_context(|| format!("{shown} was refused; nothing was written"))?;
    let (database, mut conn) = global.connect().await?;
    let mut import = Import {
        report: Report::new(what),
        args,
        kind,
        rows: 0,
    };
    if args.dry_run {
        let mut transaction = conn.begin().await?;
        import.stream(&mut reader, &mut transaction, true).await?;
        transaction.rollback().await?;
    } else {
        import.stream(&mut reader, &mut conn, false).await?;
    }
    bar.finish_and_clear();
    drop(conn);
    database.leave()?;
    let Import { report, rows, .. } = import;
    if let Some(path) = &args.report {
        report.write(path)?;
    }
    report.print(&shown, rows, args.dry_run, global.json)?;
    Ok(report.exit_code())
}

/// What sort of rows a file has, and where its columns are.
enum Kind {
    Orders(orders::Columns),
    Refunds(refunds::Columns),
    Decisions(decisions::Columns),
}

/// An import on its way.
struct Import<'a> {
    report: Report,
    args: &'a Args,
    kind: Kind,
    rows: u64,
}

impl Import<'_> {
    /// Reads all rows in batches; each is committed before the next is read, unless `dry`: then the
    /// caller's one database transaction holds them all.
    async fn stream<R: std::io::Read>(
        &mut self,
        reader: &mut csv::Reader<R>,
        conn: &mut PgConnection,
        dry: bool,
    ) -> anyhow::Result<()> {
        let mut batch = Vec::with_capacity(BATCH);
        let mut record = csv::StringRecord::new();
        loop {
            let more = match reader.read_record(&mut record) {
                Ok(more) => more,
                Err(error) => {
                    let line = error.position().map_or(0, csv::Position::line);
                    self.rows += 1;
                    self.report.refuse(line, "", &columns::readable(&error));
                    if error.is_io_error() {
                        return Err(error.into());
                    }
                    continue;
                }
            };
            if more {
                batch.push((
                    record.position().map_or(0, csv::Position::line),
                    record.clone(),
                ));
            }
            if batch.len() == BATCH || (!more && !batch.is_empty()) {
                self.rows += u64::try_from(batch.len()).unwrap_or(0);
                self.record(conn, &batch, dry).await?;
                batch.clear();
            }
            if !more {
                return Ok(());
            }
        }
    }

    async fn record(
        &mut self,
        conn: &mut PgConnection,
        batch: &[(u64, csv::StringRecord)],
        dry: bool,
    ) -> anyhow::Result<()> {
        let by = Global::actor("import");
        let (now, currency) = (chance::now(), self.args.currency);
        let report = &mut self.report;
        let answers = match &self.kind {
            Kind::Orders(columns) => {
                let rows = columns.rows(batch, currency, report);
                done(conn, dry, async |conn| {
                    orders::record(conn, now, &by, &rows).await
                })
                .await
            }
            Kind::Refunds(columns) => {
                let rows = columns.rows(batch, currency, report);
                done(conn, dry, async |conn| {
                    refunds::record(conn, now, &by, &rows).await
                })
                .await
            }
            Kind::Decisions(columns) => {
                let rows = columns.rows(batch, report);
                done(conn, dry, async |conn| {
                    decisions::record(conn, now, &by, &rows).await
                })
                .await
            }
        };
        report.add(&answers?);
        Ok(())
    }
}

/// Does some work in a database transaction of its own, or within the caller's if `dry`.
async fn done<T>(
    conn: &mut PgConnection,
    dry: bool,
    work: impl AsyncFnOnce(&mut PgConnection) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    if dry {
        work(conn).await
    } else {
        database::commit(conn, work).await
    }
}

fn progress(bytes: u64, shown: bool) -> ProgressBar {
    if !shown {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(
        "{bar:30} {percent:>3} %  {bytes} of {total_bytes}, {eta} left",
    );
    let bar = ProgressBar::new(bytes);
    bar.enable_steady_tick(Duration::from_millis(200));
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
