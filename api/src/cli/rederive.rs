//! `counterfoil rederive`: deciding again who earned what, or proving what was decided.

use std::collections::{BTreeMap, HashMap};
use std::process::ExitCode;

use ledger::{Currency, Money};
use settlement::attribution::Model;
use settlement::conversion::ConversionRef;
use settlement::conversion::reattribute::{self, Page, Scope, recheck};
use settlement::party::{self, ProgramRef};
use settlement::reconcile;
use sqlx::PgConnection;
use uuid::Uuid;

use super::Global;
use crate::{chance, database, output};

/// Decide again who earned what: shows the differences, and posts them only with --apply.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Decide by this model instead of each program's own.
    #[arg(long, conflicts_with = "check")]
    model: Option<Model>,
    /// Decide by a window of this many days instead of each program's own.
    #[arg(long, value_name = "DAYS", conflicts_with = "check",
          value_parser = clap::value_parser!(i32).range(1..=365))]
    window: Option<i32>,
    /// Only this program: its id, its name or its brand's, or brand/program.
    #[arg(long)]
    program: Option<String>,
    /// Post the differences, on today or the first open day.
    #[arg(long, requires = "reason", conflicts_with = "check")]
    apply: bool,
    /// Why; kept with every conversion that changes.
    #[arg(long)]
    reason: Option<String>,
    /// Compute every commission again from the raw facts and the terms, and compare it with the
    /// conversions and the ledger.
    #[arg(long)]
    check: bool,
}

/// Conversions decided at once: memory stays bounded, and other work gets between.
const PAGE: i64 = 5_000;

/// At most so many conversions are named one by one.
const NAMED: usize = 20;

pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let (database, mut conn) = global.connect().await?;
    let program = match &args.program {
        None => None,
        Some(key) => Some(program(&mut conn, key).await?),
    };
    let code = if args.check {
        check(global, &mut conn, program).await?
    } else {
        again(global, &mut conn, program, &args).await?
    };
    drop(conn);
    database.leave()?;
    Ok(code)
}

async fn program(conn: &mut PgConnection, key: &str) -> anyhow::Result<ProgramRef> {
    let found = party::find_program(conn, key).await?;
    Ok(found.reference)
}

/// What all pages came to.
#[derive(Default)]
struct Sum {
    decided: usize,
    changed: usize,
    publishers: BTreeMap<(Uuid, Currency), (Money, Money)>,
    named: Vec<reattribute::Difference>,
}

impl Sum {
    fn add(&mut self, page: Page) -> anyhow::Result<()> {
        self.decided += page.decided;
        self.changed += page.differences.len();
        for difference in page.differences {
            for (publisher, money) in &difference.before {
                let sums = self.of(*publisher, *money);
                sums.0 = sums.0.checked_add(*money)?;
            }
            for (publisher, money) in &difference.after {
                let sums = self.of(*publisher, *money);
                sums.1 = sums.1.checked_add(*money)?;
            }
            if self.named.len() < NAMED {
                self.named.push(difference);
            }
        }
        Ok(())
    }

    fn of(&mut self, publisher: Uuid, money: Money) -> &mut (Money, Money) {
        let zero = Money::zero(money.currency());
        self.publishers
            .entry((publisher, money.currency()))
            .or_insert((zero, zero))
    }
}

async fn again(
    global: &Global,
    conn: &mut PgConnection,
    program: Option<ProgramRef>,
    args: &Args,
) -> anyhow::Result<ExitCode> {
    let scope = Scope {
        model: args.model,
        lookback_days: args.window,
        program,
    };
    let (now, by) = (chance::now(), Global::actor("rederive"));
    let reason = args.reason.as_deref().unwrap_or_default();
    let mut sum = Sum::default();
    let mut after: Option<ConversionRef> = None;
    loop {
        let page = if args.apply {
            database::commit(conn, async |conn| {
                reattribute::apply(conn, now, &by, reason, scope, after, PAGE).await
            })
            .await?
        } else {
            database::read(conn, async |conn| {
                reattribute::look(conn, now, scope, after, PAGE).await
            })
            .await?
        };
        after = page.next;
        sum.add(page)?;
        if after.is_none() {
            break;
        }
    }
    let names: HashMap<Uuid, String> = party::publishers_by_name(conn)
        .await?
        .into_iter()
        .map(|(name, id)| (id, name))
        .collect();
    show(global, &sum, &names, args.apply)?;
    Ok(ExitCode::SUCCESS)
}

fn show(
    global: &Global,
    sum: &Sum,
    names: &HashMap<Uuid, String>,
    applied: bool,
) -> anyhow::Result<()> {
    let name = |id: &Uuid| names.get(id).cloned().unwrap_or_else(|| id.to_string());
    let mut rows = Vec::new();
    for ((publisher, _), (before, after)) in &sum.publishers {
        rows.push((
            name(publisher),
            *before,
            *after,
            after.checked_sub(*before)?,
        ));
    }
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    if global.json {
        let rows: Vec<_> = rows
            .iter()
            .map(|(name, before, after, change)| {
                serde_json::json!({ "publisher": name, "before": before, "after": after,
                                    "change": change })
            })
            .collect();
        return output::json(&serde_json::json!({
            "applied": applied, "decided": sum.decided, "changed": sum.changed,
            "publishers": rows,
        }));
    }
    if sum.changed == 0 {
        println!(
            "{} conversions decided again, none comes out otherwise",
            sum.decided
        );
        return Ok(());
    }
    let mut table = output::Columns::new(&["publisher", "currency", ">now", ">then", ">change"]);
    for (name, before, after, change) in rows {
        let currency = before.currency().to_string();
        let grouped = [before, after, change].map(output::grouped);
        let [before, after, change] = grouped;
        table.row([name, currency, before, after, change]);
    }
    table.print();
    println!();
    show_each(sum, names);
    println!();
    let what = if applied {
        "posted"
    } else {
        "nothing was posted; --apply --reason … posts it"
    };
    println!(
        "{} conversions decided again, {} come out otherwise: {what}",
        sum.decided, sum.changed,
    );
    Ok(())
}

/// The first of the conversions that come out otherwise, one by one.
fn show_each(sum: &Sum, names: &HashMap<Uuid, String>) {
    let name = |id: &Uuid| names.get(id).cloned().unwrap_or_else(|| id.to_string());
    let each = |split: &[(Uuid, Money)]| {
        let parts: Vec<String> = split
            .iter()
            .map(|(who, due)| format!("{} {due}", name(who)))
            .collect();
        if parts.is_empty() {
            "nobody".to_owned()
        } else {
            parts.join(", ")
        }
    };
    for it in &sum.named {
        let (before, after) = (each(&it.before), each(&it.after));
        println!(
            "  order {}: {before}  ->  {after} by {}",
            it.order_ref,
            it.rule.replace('_', " ")
        );
    }
    if sum.changed > sum.named.len() {
        println!("  and {} more", sum.changed - sum.named.len());
    }
}

async fn check(
    global: &Global,
    conn: &mut PgConnection,
    program: Option<ProgramRef>,
) -> anyhow::Result<ExitCode> {
    let mut conversions = 0;
    let mut faults = Vec::new();
    let mut after = None;
    loop {
        let page = database::read(conn, async |conn| {
            recheck::check(conn, program, after, PAGE).await
        })
        .await?;
        conversions += page.conversions;
        faults.extend(page.faults);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let accounts = database::read(conn, async |conn| reconcile::differences(conn).await).await?;
    let good = faults.is_empty() && accounts.is_empty();
    if global.json {
        let faults: Vec<_> = faults
            .iter()
            .map(|fault| {
                serde_json::json!({ "conversion": fault.conversion.id, "order": fault.order_ref,
                                    "problem": fault.problem })
            })
            .collect();
        output::json(&serde_json::json!({
            "conversions": conversions, "faults": faults, "accounts": accounts,
        }))?;
    } else {
        for fault in faults.iter().take(NAMED) {
            println!(
                "order {} ({}): {}",
                fault.order_ref, fault.conversion.id, fault.problem
            );
        }
        for it in &accounts {
            println!(
                "{} {}: {} expected, {} found",
                it.book, it.code, it.expected, it.found
            );
        }
        println!(
            "{conversions} conversions computed again from the raw facts: {} differences, and \
             {} in the ledger",
            faults.len(),
            accounts.len(),
        );
    }
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
