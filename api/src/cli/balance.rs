//! `counterfoil balance [CODE]`: what the accounts hold.

use std::process::ExitCode;

use ledger::balance::{self, AccountBalance, Filter};
use settlement::chart::Code;
use sqlx::PgConnection;

use super::Global;
use super::scope::{self, Publishers, Totals, When};
use crate::output::{self, Columns};

/// Show what the accounts hold, positive on their normal side; accounts at zero are left out.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this account of the chart, such as 2000; its balances are added up.
    #[arg(value_parser = scope::code)]
    code: Option<Code>,
    /// Only this book; may be given several times.
    #[arg(long, value_name = "NAME")]
    book: Vec<String>,
    /// Only the accounts of this publisher.
    #[arg(long, value_name = "NAME")]
    publisher: Option<String>,
    /// Also list accounts that stand at zero.
    #[arg(long)]
    zero: bool,
    #[command(flatten)]
    when: When,
}

pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let (balances, publishers) = global.read(async |conn| read(conn, &args).await).await?;
    let mut rows = Vec::new();
    for balance in &balances {
        let money = balance.sums.balance(balance.kind)?;
        if args.zero || !money.is_zero() {
            rows.push((balance, publishers.name(&balance.dimensions), money));
        }
    }
    rows.sort_by(|(a, whose, _), (b, theirs, _)| {
        (&a.book, &a.code, whose).cmp(&(&b.book, &b.code, theirs))
    });
    let mut totals = Totals::default();
    if args.code.is_some() {
        rows.iter()
            .try_for_each(|(_, _, money)| totals.add(*money))?;
    }
    if global.json {
        let (as_of, checkpoint) = args.when.json();
        let rows: Vec<_> = rows
            .iter()
            .map(|(balance, publisher, money)| {
                serde_json::json!({
                    "book": balance.book, "code": balance.code,
                    "name": scope::name_of(&balance.code), "kind": balance.kind,
                    "memo": balance.memo, "dimensions": balance.dimensions,
                    "publisher": publisher, "debits": balance.sums.debits,
                    "credits": balance.sums.credits, "balance": money,
                })
            })
            .collect();
        output::json(&serde_json::json!({
            "as_of": as_of, "checkpoint": checkpoint, "accounts": rows,
            "totals": totals.all().collect::<Vec<_>>(),
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(words) = args.when.words() {
        println!("{words}");
    }
    let mut table = Columns::new(&[
        "book",
        "code",
        "account",
        "publisher",
        "currency",
        ">balance",
    ]);
    for (balance, publisher, money) in rows {
        table.row([
            balance.book.clone(),
            balance.code.clone(),
            scope::name_of(&balance.code).to_owned(),
            publisher.unwrap_or_default(),
            money.currency().to_string(),
            output::grouped(money),
        ]);
    }
    if args.code.is_some() {
        table.rule();
    }
    for total in totals.all() {
        let currency = total.currency().to_string();
        let empty = String::new;
        table.row([
            empty(),
            empty(),
            "total".into(),
            empty(),
            currency,
            output::grouped(total),
        ]);
    }
    table.print();
    Ok(ExitCode::SUCCESS)
}

async fn read(
    conn: &mut PgConnection,
    args: &Args,
) -> anyhow::Result<(Vec<AccountBalance>, Publishers)> {
    let publishers = Publishers::read(conn).await?;
    let dimensions = args
        .publisher
        .as_deref()
        .map(|name| publishers.dimensions(name));
    let filter = Filter {
        books: scope::books(conn, &args.book).await?,
        code: args.code.map(|code| code.number().to_owned()),
        dimensions: dimensions.transpose()?,
    };
    let as_of = args.when.as_of(conn).await?;
    Ok((balance::accounts(conn, &filter, as_of).await?, publishers))
}
