//! `counterfoil export FORMAT`: the journal for other programs.

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use chrono::NaiveDate;
use ledger::export::{self, ExportError, Exported, Format, Scope};
use settlement::chart::Code;

use super::{Global, scope};
use crate::file;
use crate::output::{self, BadArgument};

/// Write the journal for hledger, ledger-cli or beancount, or as CSV or JSONL. The file appears
/// when it is complete.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The format.
    #[arg(value_parser = format, value_name = "hledger|ledger|beancount|csv|jsonl")]
    format: Format,
    /// Where to write it; `-` is standard output. Default: exports/ in the data folder.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Only this book; may be given several times.
    #[arg(long, value_name = "NAME")]
    book: Vec<String>,
    /// The first day; without it, everything from the beginning.
    #[arg(long, value_name = "DAY", value_parser = scope::day)]
    from: Option<NaiveDate>,
    /// The last day.
    #[arg(long, value_name = "DAY", value_parser = scope::day)]
    to: Option<NaiveDate>,
    /// Memorandum entries too (what is expected but not yet earned).
    #[arg(long)]
    memo: bool,
}

fn format(name: &str) -> Result<Format, String> {
    Format::named(name).ok_or_else(|| {
        let all: Vec<&str> = Format::ALL.into_iter().map(Format::as_str).collect();
        format!("there is no format '{name}'; there are {}", all.join(", "))
    })
}

pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from > to
    {
        return Err(BadArgument(format!("--from {from} lies after --to {to}")).into());
    }
    if args.out.as_ref().is_some_and(|out| out.as_os_str() == "-") {
        let written = write(global, &args, &mut io::stdout()).await;
        return match written {
            Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
            written => written.map(|exported| {
                eprintln!("{} entries of {} books", exported.entries, exported.books);
                ExitCode::SUCCESS
            }),
        };
    }
    let path = match &args.out {
        Some(path) => path.clone(),
        None => file::folder(&global.data, "exports")?.join(args.format.file_name()),
    };
    let mut draft = file::Draft::new(&path)?;
    let exported = write(global, &args, &mut draft).await?;
    draft.finish()?;
    if global.json {
        output::json(&serde_json::json!({
            "file": path, "format": args.format.as_str(), "entries": exported.entries,
            "books": exported.books,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let Exported { entries, books } = exported;
    println!("{entries} entries of {books} books in {}", path.display());
    if let Some(program) = check(args.format) {
        println!("to have it checked: {program} {}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

async fn write(
    global: &Global,
    args: &Args,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<Exported> {
    let names = |code: &str| Code::numbered(code).map(|code| code.name().to_owned());
    let exported = global.read(async |conn| {
        let scope = Scope {
            books: scope::books(conn, &args.book).await?,
            from: args.from,
            to: args.to,
            memo: args.memo,
        };
        Ok(export::export(conn, args.format, &scope, &names, out).await?)
    });
    exported.await
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    match error.downcast_ref() {
        Some(ExportError::Write(error)) => error.kind() == ErrorKind::BrokenPipe,
        _ => false,
    }
}

/// The strictest check that the format's own program has.
fn check(format: Format) -> Option<&'static str> {
    match format {
        Format::Hledger => Some("hledger check --strict ordereddates --file"),
        Format::LedgerCli => Some("ledger --pedantic --strict balance --file"),
        Format::Beancount => Some("bean-check"),
        Format::Csv | Format::Jsonl => None,
    }
}
