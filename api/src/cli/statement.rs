//! `counterfoil statement BOOK CODE`: what an account did, line by line.

use std::io;
use std::process::ExitCode;

use chrono::NaiveDate;
use ledger::balance::{self, AccountBalance, AsOf, Filter, StatementLine};
use ledger::{AccountKind, Money};
use settlement::chart::Code;
use sqlx::PgConnection;

use super::Global;
use super::scope::{self, Publishers};
use crate::output::{self, BadArgument, Columns};
use crate::stdout;

/// Lines read at a time.
const PAGE: i64 = 5000;

/// List what an account did, line by line, with its balance after each, positive on the account's
/// normal side. `counterfoil trace` tells the story behind each reference.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The book.
    book: String,
    /// The account of the chart, such as 2000.
    #[arg(value_parser = scope::code)]
    code: Code,
    /// Whose account it is, where each publisher has one.
    #[arg(long, value_name = "NAME")]
    publisher: Option<String>,
    /// The first day.
    #[arg(long, value_name = "DAY", value_parser = scope::day)]
    from: Option<NaiveDate>,
    /// The last day.
    #[arg(long, value_name = "DAY", value_parser = scope::day)]
    to: Option<NaiveDate>,
    /// Print CSV.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

/// An account in one currency, with what stood there before the first day.
struct Opened {
    account: AccountBalance,
    publisher: Option<String>,
    before: Money,
}

pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from > to
    {
        return Err(BadArgument(format!("--from {from} lies after --to {to}")).into());
    }
    let statements = global.read(async |conn| {
        let opened = open(conn, &args).await?;
        if args.csv {
            csv(conn, &args, &opened).await?;
            return Ok(Vec::new());
        }
        let mut statements = Vec::new();
        for account in opened {
            let mut lines = Vec::new();
            pages(conn, &args, &account, |page| {
                lines.extend_from_slice(page);
                Ok(())
            })
            .await?;
            statements.push((account, lines));
        }
        Ok(statements)
    });
    let statements = statements.await?;
    if global.json {
        let stated: Vec<_> = statements
            .iter()
            .map(|(opened, lines)| as_json(opened, lines))
            .collect();
        output::json(&stated)?;
    } else {
        for (opened, lines) in &statements {
            print(opened, lines, &args);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The accounts asked for: one in each currency.
async fn open(conn: &mut PgConnection, args: &Args) -> anyhow::Result<Vec<Opened>> {
    let book = scope::book(conn, &args.book).await?;
    let publishers = Publishers::read(conn).await?;
    let dimensions = args
        .publisher
        .as_deref()
        .map(|name| publishers.dimensions(name));
    let filter = Filter {
        books: Some(vec![book.id]),
        code: Some(args.code.number().to_owned()),
        dimensions: dimensions.transpose()?,
    };
    // A far day in the past when nothing lies before.
    let eve = args
        .from
        .and_then(|from| from.pred_opt())
        .unwrap_or(NaiveDate::MIN);
    let before = balance::accounts(conn, &filter, AsOf::day(eve.max(EPOCH))).await?;
    let mut opened = Vec::new();
    for account in before {
        let net = account.sums.debits.checked_sub(account.sums.credits)?;
        let before = if args.from.is_some() {
            net
        } else {
            Money::zero(net.currency())
        };
        opened.push(Opened {
            publisher: publishers.name(&account.dimensions),
            before,
            account,
        });
    }
    let mut owners: Vec<String> = opened
        .iter()
        .filter_map(|one| one.publisher.clone())
        .collect();
    owners.sort_unstable();
    owners.dedup();
    if opened.is_empty() {
        let (number, name) = (args.code.number(), args.code.name());
        let whose = args
            .publisher
            .as_ref()
            .map(|name| format!(" for {name}"))
            .unwrap_or_default();
        let sentence = format!("book {} has no account {number} ({name}){whose}", book.name);
        return Err(BadArgument(sentence).into());
    }
    if args.publisher.is_none() && owners.len() > 1 {
        return Err(BadArgument(format!(
            "each publisher has an account {} in {}; name one with --publisher: {}",
            args.code.number(),
            book.name,
            scope::listed(&owners)
        ))
        .into());
    }
    Ok(opened)
}

/// Before this day there is nothing; Postgres knows no days as early as chrono's first.
const EPOCH: NaiveDate = NaiveDate::from_ymd_opt(1, 1, 1).expect("the first day of year one");

/// Hands over an account's lines page by page.
async fn pages(
    conn: &mut PgConnection,
    args: &Args,
    opened: &Opened,
    mut take: impl FnMut(&[StatementLine]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let id = opened.account.id;
    let mut after = None;
    loop {
        let page = balance::statement(conn, id, args.from, args.to, after, PAGE).await?;
        take(&page)?;
        match page.last() {
            Some(last) if !stdout::is_closed() => after = Some(last.place()),
            _ => return Ok(()),
        }
    }
}

fn reference(opened: &Opened, line: &StatementLine) -> String {
    format!("{}/{}", opened.account.book, line.number)
}

fn kind(opened: &Opened) -> AccountKind {
    opened.account.kind
}

fn print(opened: &Opened, lines: &[StatementLine], args: &Args) {
    let account = &opened.account;
    let currency = opened.before.currency();
    let whose = opened
        .publisher
        .as_ref()
        .map(|name| format!(", {name}"))
        .unwrap_or_default();
    let name = scope::name_of(&account.code);
    println!(
        "{}: {} {name}{whose}, in {currency}",
        account.book, account.code
    );
    let headings = [
        "day",
        "reference",
        "kind",
        "description",
        ">debit",
        ">credit",
        ">balance",
    ];
    let mut table = Columns::new(&headings);
    let stated = |what: &str, day: Option<NaiveDate>, money: Money| {
        let day = day.map(|day| day.to_string()).unwrap_or_default();
        let balance = output::grouped(scope::normal(kind(opened), money));
        let empty = String::new;
        [
            day,
            empty(),
            empty(),
            what.to_owned(),
            empty(),
            empty(),
            balance,
        ]
    };
    if args.from.is_some() {
        table.row(stated("brought forward", args.from, opened.before));
    }
    for line in lines {
        let (debit, credit) = scope::sides(line.amount);
        table.row([
            line.effective.to_string(),
            reference(opened, line),
            line.kind.clone(),
            line.description.clone(),
            scope::figure(debit),
            scope::figure(credit),
            output::grouped(scope::normal(kind(opened), line.running)),
        ]);
    }
    table.rule();
    let end = lines.last().map_or(opened.before, |line| line.running);
    table.row(stated("balance", args.to, end));
    table.print();
}

async fn csv(conn: &mut PgConnection, args: &Args, accounts: &[Opened]) -> anyhow::Result<()> {
    let mut csv = csv::Writer::from_writer(io::stdout().lock());
    stdout::note(
        csv.write_record([
            "day",
            "reference",
            "entry",
            "kind",
            "description",
            "currency",
            "debit",
            "credit",
            "balance",
        ])
        .map_err(stdout::of_csv),
    );
    for opened in accounts {
        pages(conn, args, opened, |page| {
            for line in page {
                let (debit, credit) = scope::sides(line.amount);
                let balance = scope::normal(kind(opened), line.running);
                let written = csv.write_record([
                    line.effective.to_string(),
                    reference(opened, line),
                    line.entry.to_string(),
                    line.kind.clone(),
                    line.description.clone(),
                    balance.currency().to_string(),
                    debit.amount().to_string(),
                    credit.amount().to_string(),
                    balance.amount().to_string(),
                ]);
                stdout::note(written.map_err(stdout::of_csv));
            }
            Ok(())
        })
        .await?;
    }
    stdout::note(csv.flush());
    Ok(())
}

fn as_json(opened: &Opened, lines: &[StatementLine]) -> serde_json::Value {
    let account = &opened.account;
    let normal = |money| scope::normal(account.kind, money);
    let end = lines.last().map_or(opened.before, |line| line.running);
    let lines: Vec<_> = lines
        .iter()
        .map(|line| {
            let (debit, credit) = scope::sides(line.amount);
            serde_json::json!({
                "day": line.effective, "reference": reference(opened, line), "entry": line.entry,
                "kind": line.kind, "description": line.description, "debit": debit,
                "credit": credit, "balance": normal(line.running),
            })
        })
        .collect();
    serde_json::json!({
        "book": account.book, "code": account.code, "name": scope::name_of(&account.code),
        "kind": account.kind, "dimensions": account.dimensions, "publisher": opened.publisher,
        "brought_forward": normal(opened.before), "lines": lines, "balance": normal(end),
    })
}
