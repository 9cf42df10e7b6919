//! `counterfoil balance [CODE]`: what the accounts hold.

use std::process::ExitCode;

use ledger::Money;
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
    for account in &balances {
        let money = account.sums.balance(account.kind)?;
        if args.zero || !money.is_zero() {
            let publisher = publishers.name(&account.dimensions);
            rows.push(Row {
                account,
                publisher,
                money,
            });
        }
    }
    rows.sort_by(|a, b| a.place().cmp(&b.place()));
    let mut totals = Totals::default();
    if args.code.is_some() {
        rows.iter().try_for_each(|row| totals.add(row.money))?;
    }
    if global.json {
        let (as_of, checkpoint) = args.when.json();
        output::json(&serde_json::json!({
            "as_of": as_of, "checkpoint": checkpoint,
            "accounts": rows.iter().map(Row::as_json).collect::<Vec<_>>(),
            "totals": totals.all().collect::<Vec<_>>(),
        }))?;
    } else {
        if let Some(words) = args.when.words() {
            println!("{words}");
        }
        print(rows, &totals);
    }
    Ok(ExitCode::SUCCESS)
}

/// An account with its balance on the normal side.
struct Row<'a> {
    account: &'a AccountBalance,
    publisher: Option<String>,
    money: Money,
}

impl Row<'_> {
    /// By book, code and publisher's name.
    fn place(&self) -> (&str, &str, Option<&str>) {
        let AccountBalance { book, code, .. } = self.account;
        (book, code, self.publisher.as_deref())
    }

    fn as_json(&self) -> serde_json::Value {
        let account = self.account;
        serde_json::json!({
            "book": account.book, "code": account.code, "name": scope::name_of(&account.code),
            "kind": account.kind, "memo": account.memo, "dimensions": account.dimensions,
            "publisher": self.publisher, "debits": account.sums.debits,
            "credits": account.sums.credits, "balance": self.money,
        })
    }
}

fn print(rows: Vec<Row<'_>>, totals: &Totals) {
    let mut table = Columns::new(&[
        "book",
        "code",
        "account",
        "publisher",
        "currency",
        ">balance",
    ]);
    for row in rows {
        table.row([
            row.account.book.clone(),
            row.account.code.clone(),
            scope::name_of(&row.account.code).to_owned(),
            row.publisher.unwrap_or_default(),
            row.money.currency().to_string(),
            output::grouped(row.money),
        ]);
    }
    for (at, total) in totals.all().enumerate() {
        if at == 0 {
            table.rule();
        }
        table.row([
            String::new(),
            String::new(),
            "total".to_owned(),
            String::new(),
            total.currency().to_string(),
            output::grouped(total),
        ]);
    }
    table.print();
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
