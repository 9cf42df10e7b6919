//! What came of the replay: counts, balances, one trace, the proof, and where the exports lie.

use std::collections::HashMap;
use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use ledger::balance::{self, AccountBalance, AsOf, Filter, Grouping, TrialBalanceRow};
use ledger::checkpoint::{self, Checkpoint};
use ledger::export::{self, Format};
use ledger::journal::{self, Count};
use ledger::verify::Report;
use ledger::{Actor, Money, MoneyError};
use settlement::chart::Code;
use settlement::party;
use sqlx::PgConnection;

use super::replay::Replayed;
use super::source::Source;
use crate::cli::trace::{self, Story};
use crate::cli::{Global, trial_balance};
use crate::{chance, database, key, output};

/// How many brands and publishers are shown.
const LARGEST: usize = 5;

/// Everything the demo shows.
pub(super) struct Summary {
    replayed: Replayed,
    counts: Vec<Count>,
    trial_balance: Vec<TrialBalanceRow>,
    brands: Vec<(String, Money)>,
    publishers: Vec<(String, Money)>,
    traced: Option<(String, Story)>,
    report: Report,
    checkpoint: Checkpoint,
    exports: Vec<PathBuf>,
}

/// Reads it from the database, proves the ledger, and writes exports and a checkpoint.
pub(super) async fn draw(
    conn: &mut PgConnection,
    global: &Global,
    source: &Source,
    replayed: Replayed,
) -> anyhow::Result<Summary> {
    let signing = key::of(&global.data)?;
    let (now, by) = (chance::now(), Actor::new("cli:demo"));
    let checkpoint = database::commit(conn, async |conn| {
        checkpoint::take(conn, now, &by, "end of the demo", &signing).await
    })
    .await?;
    let folder = global.data.join("exports");
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let kept = folder.join("checkpoint.json");
    fs::write(&kept, checkpoint.to_json()?)?;
    let mut summary = database::read(conn, async |conn| -> anyhow::Result<Summary> {
        let owed = accounts(conn, Code::UnbilledReceivable).await?;
        let earned = accounts(conn, Code::UnfundedPayable).await?;
        let names: HashMap<String, String> = party::publishers_by_name(conn)
            .await?
            .into_iter()
            .map(|(name, id)| (id.to_string(), name))
            .collect();
        let publisher = |account: &AccountBalance| {
            let id = account
                .dimensions
                .get("publisher")
                .and_then(|id| id.as_str());
            id.and_then(|id| names.get(id)).cloned().unwrap_or_default()
        };
        Ok(Summary {
            counts: journal::counts(conn).await?,
            trial_balance: balance::trial_balance(
                conn,
                None,
                Grouping::Consolidated,
                AsOf::default(),
            )
            .await?,
            brands: largest(&owed, |account| account.book.clone())?,
            publishers: largest(&earned, publisher)?,
            traced: a_refund(conn, source).await?,
            report: ledger::verify::verify(conn, Some(&checkpoint), |_| ()).await?,
            exports: exports(conn, &folder).await?,
            checkpoint: checkpoint.clone(),
            replayed,
        })
    })
    .await?;
    summary.exports.push(kept);
    Ok(summary)
}

async fn accounts(conn: &mut PgConnection, code: Code) -> anyhow::Result<Vec<AccountBalance>> {
    let filter = Filter {
        code: Some(code.number().to_owned()),
        ..Filter::default()
    };
    Ok(balance::accounts(conn, &filter, AsOf::default()).await?)
}

/// The largest sums by some name, in the currency that most of them have.
fn largest(
    accounts: &[AccountBalance],
    name: impl Fn(&AccountBalance) -> String,
) -> Result<Vec<(String, Money)>, MoneyError> {
    let mut sums: HashMap<(String, ledger::Currency), Money> = HashMap::new();
    for account in accounts {
        let money = account.sums.balance(account.kind)?;
        let sum = sums
            .entry((name(account), money.currency()))
            .or_insert(Money::zero(money.currency()));
        *sum = sum.checked_add(money)?;
    }
    let mut sums: Vec<(String, Money)> = sums
        .into_iter()
        .map(|((name, _), money)| (name, money))
        .collect();
    sums.sort_by(|a, b| b.1.amount().cmp(&a.1.amount()).then_with(|| a.0.cmp(&b.0)));
    sums.truncate(LARGEST);
    Ok(sums)
}

/// The first refund of something that was approved before, and its entry.
async fn a_refund(
    conn: &mut PgConnection,
    source: &Source,
) -> anyhow::Result<Option<(String, Story)>> {
    for refund in source
        .refunds
        .iter()
        .filter(|row| row.order_ref.is_some())
        .take(200)
    {
        for story in trace::stories(conn, &refund.refund_ref).await? {
            let place = story
                .trail
                .entries
                .iter()
                .find(|r| r.entry.kind() == "conversion.refunded" && !r.entry.is_memo())
                .map(|r| format!("{}/{}", story.trail.brand, r.number));
            if let Some(place) = place.filter(|_| story.trail.click.is_some()) {
                return Ok(Some((place, story)));
            }
        }
    }
    Ok(None)
}

async fn exports(conn: &mut PgConnection, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    for format in [
        Format::Hledger,
        Format::LedgerCli,
        Format::Beancount,
        Format::Csv,
        Format::Jsonl,
    ] {
        let path = folder.join(format.file_name());
        let file = fs::File::create(&path)
            .with_context(|| format!("{} cannot be written", path.display()))?;
        let mut out = BufWriter::new(file);
        let names = |number: &str| Code::numbered(number).map(|code| code.name().to_owned());
        export::export(conn, format, &export::Scope::default(), &names, &mut out).await?;
        out.flush()?;
        written.push(path);
    }
    Ok(written)
}

impl Summary {
    /// Whether the ledger proves itself.
    pub(super) fn is_proved(&self) -> bool {
        self.report.holds()
    }

    pub(super) fn as_json(&self) -> serde_json::Value {
        let closed: Vec<_> = self
            .replayed
            .closed
            .iter()
            .map(|(period, hash)| serde_json::json!({ "period": period, "trial_balance": hash }))
            .collect();
        serde_json::json!({
            "clicks": self.replayed.clicks,
            "orders": self.replayed.orders,
            "refunds": self.replayed.refunds,
            "parked": self.replayed.parked,
            "approved": self.replayed.approved,
            "seen_before": self.replayed.seen_before,
            "closed": closed,
            "entries": self.counts,
            "trial_balance": self.trial_balance,
            "brands": self.brands,
            "publishers": self.publishers,
            "traced": self.traced.as_ref().map(|(place, _)| place),
            "root": self.checkpoint.root,
            "proved": self.is_proved(),
            "exports": self.exports,
        })
    }

    pub(super) fn print(&self, data: &Path, took: Duration) -> anyhow::Result<()> {
        let Replayed {
            clicks,
            orders,
            refunds,
            parked,
            approved,
            seen_before,
            closed,
        } = &self.replayed;
        println!(
            "Replayed on their own dates, real orders of a UK online shop (UCI Online Retail):"
        );
        println!(
            "  {clicks} clicks, {orders} orders, {refunds} refunds ({parked} more fit no order and \
             are parked), {approved} approvals"
        );
        if *seen_before > 0 {
            println!("  {seen_before} rows were there already; nothing changed for them");
        }
        for (period, hash) in closed {
            println!("  closed {period}, trial balance {hash}");
        }
        println!("\nEntries posted");
        let mut table = output::Columns::new(&["kind", "book", ">entries"]);
        for count in &self.counts {
            let book = if count.memo { "memorandum" } else { "" };
            table.row([
                count.kind.clone(),
                book.to_owned(),
                count.entries.to_string(),
            ]);
        }
        table.print();
        println!("\nTrial balance, all books, as of today");
        trial_balance::show(&self.trial_balance)?;
        print_largest("Largest brands, by what they owe", &self.brands);
        print_largest(
            "Largest publishers, by what they have earned",
            &self.publishers,
        );
        if let Some((place, story)) = &self.traced {
            println!("\nFrom the entry of a refund back to its click: counterfoil trace '{place}'");
            trace::print(story);
        }
        self.print_proof(data, took);
        Ok(())
    }

    fn print_proof(&self, data: &Path, took: Duration) {
        println!("\nProof");
        for line in self.report.looked_at() {
            println!("  {line}");
        }
        for finding in self.report.first_failing() {
            println!("  FAILS: {finding}");
        }
        println!("  root of all books {}", self.checkpoint.root);
        println!("\nExports");
        for path in &self.exports {
            println!("  {}", path.display());
        }
        println!(
            "\nDone in {:.1} s. The books lie in {}; try:",
            took.as_secs_f64(),
            data.display()
        );
        println!("  counterfoil trial-balance --as-of 2011-01-31");
        println!(
            "  counterfoil verify --against {}",
            data.join("exports/checkpoint.json").display()
        );
    }
}

fn print_largest(title: &str, sums: &[(String, Money)]) {
    println!("\n{title}");
    let mut table = output::Columns::new(&["name", ">amount", "currency"]);
    for (name, money) in sums {
        table.row([
            name.clone(),
            output::grouped(*money),
            money.currency().code().to_owned(),
        ]);
    }
    table.print();
}
