//! `counterfoil trace ID`: from any figure back to its order and click.

use std::collections::HashMap;
use std::process::ExitCode;

use ledger::account::{self, Description};
use ledger::journal::Recorded;
use ledger::{AccountId, BookId, Direction, Money};
use settlement::attribution::decision::Source;
use settlement::chart::Code;
use settlement::trail::{self, Touch, Trail};
use sqlx::PgConnection;

use super::Global;
use crate::{database, output};

/// Tell the story behind any id: entry, order, refund, conversion or click.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An entry (`United Kingdom/17` or its id), or the reference or id of an order, refund,
    /// conversion or click.
    id: String,
}

pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let (database, mut conn) = global.connect().await?;
    let stories = database::read(&mut conn, async |conn| stories(conn, &args.id).await).await?;
    drop(conn);
    database.leave()?;
    if stories.is_empty() {
        let sentence = format!(
            "nothing here is called '{}'; give an entry such as 'France/12', or the reference or \
             id of an order, refund, conversion or click",
            args.id
        );
        return Err(output::BadArgument(sentence).into());
    }
    if global.json {
        output::json(&stories.iter().map(as_json).collect::<Vec<_>>())?;
    } else {
        for (at, story) in stories.iter().enumerate() {
            if at > 0 {
                println!();
            }
            print(story);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A trail, and what its accounts are.
pub(super) struct Story {
    pub(super) trail: Trail,
    accounts: HashMap<(BookId, AccountId), Description>,
}

pub(super) async fn stories(conn: &mut PgConnection, id: &str) -> anyhow::Result<Vec<Story>> {
    let mut stories = Vec::new();
    for (book, conversion) in trail::conversions_of(conn, id).await? {
        if let Some(trail) = trail::trail(conn, book, conversion).await? {
            let ids: Vec<_> = trail
                .entries
                .iter()
                .flat_map(|r| {
                    r.entry
                        .legs()
                        .iter()
                        .map(|leg| (r.entry.book(), leg.account))
                })
                .collect();
            let accounts = account::describe(conn, &ids).await?;
            stories.push(Story { trail, accounts });
        }
    }
    Ok(stories)
}

pub(super) fn print(story: &Story) {
    let trail = &story.trail;
    println!("conversion  {}  {}", trail.conversion, trail.state);
    match &trail.click {
        Some(click) => println!(
            "  click     {}  {}  visitor {}",
            click.clicked_at.format("%Y-%m-%d %H:%M:%S"),
            click.id,
            click.visitor.as_deref().unwrap_or("unknown"),
        ),
        None => println!("  click     none"),
    }
    println!(
        "  order     {}  {}  {}, brand {}",
        trail.occurred_at.format("%Y-%m-%d %H:%M:%S"),
        trail.order_ref,
        trail.order,
        trail.brand,
    );
    println!(
        "  credited  {}  by {}",
        trail.publisher.as_deref().unwrap_or("nobody"),
        trail.model.replace('_', " "),
    );
    for touch in &trail.touches {
        print_touch(touch);
    }
    for share in &trail.shares {
        println!(
            "  shared by {}: {}",
            share.publisher,
            output::grouped(share.due)
        );
    }
    println!(
        "  terms     program {}, version {}, rate frozen at {}",
        trail.program, trail.terms_version, trail.frozen_rate,
    );
    for step in &trail.commissions {
        println!(
            "  version {}  of {}: commission {}, brand owes {}, publisher earns {}",
            step.version, step.base, step.gross, step.brand_due, step.publisher_due,
        );
    }
    for step in &trail.changes {
        println!(
            "  {:<9} {}  {} to {}: {} (by {})",
            step.action,
            step.changed_at.format("%Y-%m-%d %H:%M:%S"),
            step.from_state,
            step.to_state,
            step.reason,
            step.changed_by,
        );
    }
    for recorded in &trail.entries {
        print_entry(recorded, &trail.brand, &story.accounts);
    }
}

/// Something that could have earned the conversion, and why it did or did not.
fn print_touch(touch: &Touch) {
    let considered = &touch.considered;
    let verdict = match &considered.why {
        Some(why) => format!("not chosen: {}", why.sentence()),
        None => format!("chosen, weight {}", considered.weight),
    };
    let source = match considered.source {
        Source::Claim => "claim",
        Source::Click => "click",
        Source::NamedClick => "named click",
        Source::Coupon => "coupon",
        Source::Declared => "declared",
    };
    let what = considered
        .click
        .map_or_else(|| source.to_owned(), |id| format!("{source} {id}"));
    let when = considered.at.format("%Y-%m-%d %H:%M:%S");
    println!("    {when}  {what}, {}: {verdict}", touch.name);
}

fn print_entry(
    recorded: &Recorded,
    book: &str,
    accounts: &HashMap<(BookId, AccountId), Description>,
) {
    let entry = &recorded.entry;
    let memo = if entry.is_memo() { " (memorandum)" } else { "" };
    println!(
        "\n  {}/{}  {}  {}{memo}",
        book,
        recorded.number,
        entry.effective(),
        entry.description(),
    );
    for (code, direction, money) in lines(recorded, accounts) {
        let name = Code::numbered(&code).map_or("", Code::name);
        let (debit, credit) = match direction {
            Direction::Debit => (output::grouped(money), String::new()),
            Direction::Credit => (String::new(), output::grouped(money)),
        };
        println!(
            "    {code} {name:<32} {debit:>12} {credit:>12}  {}",
            money.currency().code()
        );
    }
    println!("    hash {}", hex::encode(&recorded.hash));
}

/// The legs by code, debits first, in positive amounts.
fn lines(
    recorded: &Recorded,
    accounts: &HashMap<(BookId, AccountId), Description>,
) -> Vec<(String, Direction, Money)> {
    let entry = &recorded.entry;
    let mut lines: Vec<_> = entry
        .legs()
        .iter()
        .map(|leg| {
            let code = accounts
                .get(&(entry.book(), leg.account))
                .map_or_else(|| leg.account.to_string(), |account| account.code.clone());
            let money = Money::try_from_minor(leg.minor, entry.currency())
                .unwrap_or(Money::zero(entry.currency()));
            (code, leg.direction(), money.abs())
        })
        .collect();
    lines.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
    lines
}

fn as_json(story: &Story) -> serde_json::Value {
    let trail = &story.trail;
    let entries: Vec<_> = trail
        .entries
        .iter()
        .map(|recorded| {
            let lines: Vec<_> = lines(recorded, &story.accounts)
                .into_iter()
                .map(|(code, direction, money)| {
                    serde_json::json!({ "code": code, "direction": direction, "money": money })
                })
                .collect();
            serde_json::json!({
                "entry": format!("{}/{}", trail.brand, recorded.number),
                "id": recorded.entry.id(),
                "kind": recorded.entry.kind(),
                "memo": recorded.entry.is_memo(),
                "effective_on": recorded.entry.effective(),
                "recorded_at": recorded.recorded_at,
                "recorded_by": recorded.recorded_by,
                "description": recorded.entry.description(),
                "causes": recorded.entry.causes(),
                "reverses": recorded.entry.reverses(),
                "lines": lines,
                "hash": hex::encode(&recorded.hash),
            })
        })
        .collect();
    serde_json::json!({
        "conversion": trail.conversion,
        "state": trail.state,
        "brand": trail.brand,
        "program": trail.program,
        "terms_version": trail.terms_version,
        "publisher": trail.publisher,
        "order": { "ref": trail.order_ref, "occurred_at": trail.occurred_at,
                   "amount": trail.order, "refunded": trail.refunded },
        "attribution": { "model": trail.model, "click": trail.click,
                         "considered": trail.touches, "shares": trail.shares },
        "frozen_rate": trail.frozen_rate,
        "commissions": trail.commissions,
        "changes": trail.changes,
        "entries": entries,
    })
}
