//! `counterfoil trial-balance`: debits and credits by account.

use std::io;
use std::process::ExitCode;

use ledger::balance::{self, Grouping, TrialBalanceRow};
use ledger::{Money, MoneyError};

use super::Global;
use super::scope::{self, Totals, When};
use crate::output::{self, Columns};
use crate::stdout;

/// Show debits and credits by account. They must be equal per currency; exit code 1 if they are
/// not. Memorandum accounts (9100 to 9300) stand outside it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this book; may be given several times.
    #[arg(long, value_name = "NAME", conflicts_with = "per_book")]
    book: Vec<String>,
    /// Each book by itself, instead of all books together.
    #[arg(long)]
    per_book: bool,
    /// Print CSV.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    #[command(flatten)]
    when: When,
}

/// A row with its balance in one of two columns.
struct Row<'a> {
    of: &'a TrialBalanceRow,
    debit: Money,
    credit: Money,
}

pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let grouping = if args.per_book {
        Grouping::PerBook
    } else {
        Grouping::Consolidated
    };
    let read = global.read(async |conn| {
        let books = scope::books(conn, &args.book).await?;
        let as_of = args.when.as_of(conn).await?;
        Ok(balance::trial_balance(conn, books.as_deref(), grouping, as_of).await?)
    });
    let read = read.await?;
    let (rows, totals) = totalled(&read)?;
    if global.json {
        print_json(&args, &rows, &totals)?;
    } else if args.csv {
        stdout::note(print_csv(&rows).map_err(stdout::of_csv));
    } else {
        if let Some(words) = args.when.words() {
            println!("{words}");
        }
        print_table(args.per_book, &rows, &totals);
    }
    let mut code = ExitCode::SUCCESS;
    for (debit, credit) in totals {
        if debit != credit {
            eprintln!("debits ({debit}) and credits ({credit}) differ; run `counterfoil verify`");
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

/// Prints a consolidated trial balance as the command does.
pub(super) fn show(rows: &[TrialBalanceRow]) -> Result<(), MoneyError> {
    let (rows, totals) = totalled(rows)?;
    print_table(false, &rows, &totals);
    Ok(())
}

type Totalled<'a> = (Vec<Row<'a>>, Vec<(Money, Money)>);

/// The rows with their balances, and the sums of both columns by currency.
fn totalled(read: &[TrialBalanceRow]) -> Result<Totalled<'_>, MoneyError> {
    let mut rows = Vec::new();
    let (mut debits, mut credits) = (Totals::default(), Totals::default());
    for of in read {
        let (debit, credit) = scope::sides(of.sums.debits.checked_sub(of.sums.credits)?);
        debits.add(debit)?;
        credits.add(credit)?;
        rows.push(Row { of, debit, credit });
    }
    let totals = debits
        .all()
        .map(|debit| (debit, credits.of(debit.currency())))
        .collect();
    Ok((rows, totals))
}

fn print_table(per_book: bool, rows: &[Row<'_>], totals: &[(Money, Money)]) {
    let mut headings = vec!["code", "account", "currency", ">debit", ">credit"];
    if per_book {
        headings.insert(0, "book");
    }
    let mut table = Columns::new(&headings);
    for row in rows {
        let book = row.of.book.clone();
        table.row(book.into_iter().chain([
            row.of.code.clone(),
            scope::name_of(&row.of.code).to_owned(),
            row.debit.currency().to_string(),
            scope::figure(row.debit),
            scope::figure(row.credit),
        ]));
    }
    table.rule();
    for (debit, credit) in totals {
        let book = per_book.then(String::new);
        table.row(book.into_iter().chain([
            String::new(),
            "total".to_owned(),
            debit.currency().to_string(),
            output::grouped(*debit),
            output::grouped(*credit),
        ]));
    }
    table.print();
}

fn print_csv(rows: &[Row<'_>]) -> csv::Result<()> {
    let mut csv = csv::Writer::from_writer(io::stdout().lock());
    csv.write_record([
        "book", "code", "account", "kind", "currency", "debit", "credit",
    ])?;
    for row in rows {
        csv.write_record([
            row.of.book.as_deref().unwrap_or_default(),
            &row.of.code,
            scope::name_of(&row.of.code),
            row.of.kind.as_str(),
            row.debit.currency().code(),
            &row.debit.amount().to_string(),
            &row.credit.amount().to_string(),
        ])?;
    }
    Ok(csv.flush()?)
}

fn print_json(args: &Args, rows: &[Row<'_>], totals: &[(Money, Money)]) -> anyhow::Result<()> {
    let (as_of, checkpoint) = args.when.json();
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            serde_json::json!({
                "book": row.of.book, "code": row.of.code, "name": scope::name_of(&row.of.code),
                "kind": row.of.kind, "debit": row.debit, "credit": row.credit,
            })
        })
        .collect();
    let totals: Vec<_> = totals
        .iter()
        .map(|(debit, credit)| serde_json::json!({ "debit": debit, "credit": credit }))
        .collect();
    output::json(&serde_json::json!({
        "as_of": as_of, "checkpoint": checkpoint, "rows": rows, "totals": totals,
    }))
}
