//! The same journal for hledger, ledger-cli, beancount, CSV and JSONL.
//!
//! The first three are complete files that these programs accept in their strictest mode, and each
//! ends with the balance of every account: the reader's own arithmetic proves ours, or objects.
//! CSV and JSONL carry every stored value as it is, the hashes too.
//!
//! Entries come by effective day, book (byte order of the name) and number; the same ledger gives
//! the same bytes on every machine. Memory grows with accounts and books, never with entries.
//!
//! What it never does: begin, commit or write; alter a figure; alter a text in CSV or JSONL (a cell
//! may thus begin with `=`; import such columns as text). Memorandum entries are left out unless
//! asked for; their accounts then lie below `Equity:Memorandum` (`label.rs`). With a first day
//! ([`Scope::from`]) the file holds movements only, without opening balances, and ends with the
//! movement per account.
//!
//! To add a format: a file here that implements `Dialect`, a variant of [`Format`], and the arms
//! the compiler asks for; then a snapshot and, where a program reads it, a run of that program in
//! `tests/it/export.rs`.

mod beancount;
mod csv;
mod hledger;
mod jsonl;
mod label;
mod ledger_cli;
mod read;
mod text;

use std::io;

use chrono::NaiveDate;
use futures_util::TryStreamExt;
use sqlx::PgConnection;

use crate::book::BookId;
use read::{Books, Chart, Posting};

/// Bytes that are gathered before they are written out.
const CHUNK: usize = 64 * 1024;

/// What to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// A journal for hledger (`hledger check --strict ordereddates`).
    Hledger,
    /// A journal for ledger-cli (`ledger --pedantic --strict`).
    LedgerCli,
    /// A ledger for beancount 3 (`bean-check`).
    Beancount,
    /// A table with one row per leg.
    Csv,
    /// One JSON object per line and entry.
    Jsonl,
}

impl Format {
    /// All formats.
    pub const ALL: [Format; 5] = [
        Format::Hledger,
        Format::LedgerCli,
        Format::Beancount,
        Format::Csv,
        Format::Jsonl,
    ];

    /// The name on a command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Hledger => "hledger",
            Format::LedgerCli => "ledger",
            Format::Beancount => "beancount",
            Format::Csv => "csv",
            Format::Jsonl => "jsonl",
        }
    }

    /// The format of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Format> {
        Format::ALL
            .into_iter()
            .find(|format| format.as_str() == name)
    }

    /// What a file of this format is usually called.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Format::Hledger => "journal.hledger",
            Format::LedgerCli => "journal.ledger",
            Format::Beancount => "journal.beancount",
            Format::Csv => "journal.csv",
            Format::Jsonl => "journal.jsonl",
        }
    }

    fn dialect(self) -> Box<dyn Dialect> {
        match self {
            Format::Hledger => Box::<hledger::Hledger>::default(),
            Format::LedgerCli => Box::<ledger_cli::LedgerCli>::default(),
            Format::Beancount => Box::new(beancount::Beancount),
            Format::Csv => Box::new(csv::Csv),
            Format::Jsonl => Box::new(jsonl::Jsonl),
        }
    }
}

/// Which entries; the default is all that are not memorandum entries.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Only these books.
    pub books: Option<Vec<BookId>>,
    /// Only what is effective on or after this day.
    pub from: Option<NaiveDate>,
    /// Only what is effective on or before this day.
    pub to: Option<NaiveDate>,
    /// Memorandum entries too.
    pub memo: bool,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Exported {
    /// Entries.
    pub entries: u64,
    /// Books of the scope, also those without an entry.
    pub books: usize,
}

/// The export broke off; what was written so far is not a complete file.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A book that was asked for is not there.
    #[error("book {0} is not open; `counterfoil balance` lists those that are")]
    UnknownBook(BookId),
    /// A stored account is not what an account is.
    #[error(
        "inconsistency in ledger.account, book {book} id {account}: {problem}; \
         run `counterfoil verify`"
    )]
    Account {
        /// The book.
        book: BookId,
        /// The account's id.
        account: i64,
        /// What is wrong with it.
        problem: String,
    },
    /// A stored entry is not what an entry is.
    #[error(
        "inconsistency in ledger.entry, book {book} number {number}: {problem}; \
         run `counterfoil verify`"
    )]
    Entry {
        /// The book.
        book: BookId,
        /// The entry's number.
        number: i64,
        /// What is wrong with it.
        problem: String,
    },
    /// Postgres failed.
    #[error("the journal could not be read")]
    Database(#[from] sqlx::Error),
    /// The output failed.
    #[error("the export could not be written")]
    Write(#[from] io::Error),
}

/// What an account code is called for people, where known; the ledger does not know.
pub type Names<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// How one program wants to be told. Writes go to memory.
trait Dialect: Send {
    /// Declarations; `first` is the day of the first entry.
    fn begin(&mut self, out: &mut Vec<u8>, told: &Told<'_>, first: NaiveDate) -> io::Result<()>;

    /// One entry.
    fn entry(&mut self, out: &mut Vec<u8>, posting: &Posting<'_>) -> io::Result<()>;

    /// Whether [`Dialect::end`] has a use for balances.
    fn proves(&self) -> bool {
        true
    }

    /// The balances of the chart's accounts, in its order; `last` is the day of the last entry.
    fn end(
        &mut self,
        _out: &mut Vec<u8>,
        _chart: &Chart,
        _balances: &[i128],
        _last: NaiveDate,
    ) -> io::Result<()> {
        Ok(())
    }
}

/// What a file says about itself at its top.
struct Told<'a> {
    chart: &'a Chart,
    scope: &'a Scope,
    names: Names<'a>,
}

impl Told<'_> {
    /// What the file holds, in words, a line each.
    fn about(&self) -> Vec<String> {
        let mut about = vec!["Written by counterfoil.".to_owned()];
        if let Some(from) = self.scope.from {
            about.push(format!(
                "Movements from {from}; opening balances are not among them."
            ));
        }
        if let Some(to) = self.scope.to {
            about.push(format!("Entries effective up to {to}."));
        }
        if self.scope.memo {
            about.push(
                "Memorandum accounts lie below Equity:Memorandum and sum to zero.".to_owned(),
            );
        }
        about
    }
}

/// Writes the entries of the scope to `out` as they stand when it is called.
///
/// Writing blocks; hand in a file or a channel, not a slow socket. Growth: linear in the entries
/// (Postgres sorts them), memory linear in the accounts; four statements, whatever the count.
///
/// # Errors
/// See [`ExportError`]. After one, the connection still has to read the rest of the stream before
/// its next statement.
pub async fn export(
    conn: &mut PgConnection,
    format: Format,
    scope: &Scope,
    names: Names<'_>,
    out: &mut (dyn io::Write + Send),
) -> Result<Exported, ExportError> {
    let books = Books::load(conn, scope).await?;
    let chart = Chart::load(conn, &books, scope.memo).await?;
    let told = Told {
        chart: &chart,
        scope,
        names,
    };
    let mut dialect = format.dialect();
    let mut buffer = Vec::with_capacity(2 * CHUNK);
    let mut last = None;
    let mut entries = 0;

    let mut rows = read::entries(conn, &books, scope);
    while let Some(entry) = rows.try_next().await? {
        if last.is_none() {
            dialect.begin(&mut buffer, &told, entry.effective_on)?;
        }
        dialect.entry(&mut buffer, &chart.posting(&entry)?)?;
        last = Some(entry.effective_on);
        entries += 1;
        if buffer.len() >= CHUNK {
            out.write_all(&buffer)?;
            buffer.clear();
        }
    }
    drop(rows);

    let no_day = scope.from.or(scope.to).unwrap_or_default();
    if last.is_none() {
        dialect.begin(&mut buffer, &told, no_day)?;
    }
    if dialect.proves() {
        let balances = read::balances(conn, &books, &chart, scope).await?;
        dialect.end(&mut buffer, &chart, &balances, last.unwrap_or(no_day))?;
    }
    out.write_all(&buffer)?;
    out.flush()?;
    Ok(Exported {
        entries,
        books: books.len(),
    })
}
