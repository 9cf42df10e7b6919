//! `counterfoil trace ID`: from any figure back to its order and click.

use std::collections::HashMap;
use std::process::ExitCode;

use ledger::account::{self, Description};
use ledger::journal::Recorded;
use ledger::{AccountId, BookId, Direction, Money};
use settlement::attribution::decision::Source;
use settlement::chart::Code;
use settlement::conversion::parked::{self, ParkedRefund};
use settlement::trail::{self, ClickStep, Touch, Trail};
use sqlx::PgConnection;

use super::Global;
use crate::{database, output};

/// Tell the story behind any id: entry, order, refund, conversion or click.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An entry (`United Kingdom/17` or its id), or the reference or id of an order, refund (also
    /// a parked one), conversion or click.
    id: String,
}

pub(crate) async fn run(global: &Global, args: Args) -> anyhow::Result<ExitCode> {
    let (database, mut conn) = global.connect().await?;
    let (stories, parked) = database::read(&mut conn, async |conn| -> anyhow::Result<_> {
        let stories = stories(conn, &args.id).await?;
        Ok((stories, parked::named(conn, &args.id).await?))
    })
    .await?;
    drop(conn);
    database.leave()?;
    if stories.is_empty() && parked.is_empty() {
        let sentence = format!(
            "nothing here is called '{}'; give an entry such as 'France/12', or the reference or \
             id of an order, refund, conversion or click",
            args.id
        );
        return Err(output::BadArgument(sentence).into());
    }
    if global.json {
        let parked = parked
            .iter()
            .map(|refund| serde_json::json!({ "parked_refund": refund }));
        let told: Vec<_> = stories.iter().map(as_json).chain(parked).collect();
        output::json(&told)?;
    } else {
        for (at, story) in stories.iter().enumerate() {
            if at > 0 {
                println!();
            }
            print(story);
        }
        for refund in &parked {
            print_parked(refund);
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
        Some(click) => print_click(click),
        None => println!("  click     none"),
    }
    print_order(trail);
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
    print_terms(trail);
    for step in &trail.commissions {
        println!(
            "  version {}  of {}: commission {}, brand owes {}, publisher earns {}",
            step.version, step.base, step.gross, step.brand_due, step.publisher_due,
        );
    }
    for seen in &trail.signals {
        println!(
            "  signal    {} ({} {}): {}, seen by {}",
            seen.signal, seen.severity, seen.score, seen.reason, seen.evidence,
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

/// The raw record of a click: one line, and one for each group of facts that was kept.
fn print_click(click: &ClickStep) {
    println!(
        "  click     {}  {}  visitor {}",
        click.clicked_at.format("%Y-%m-%d %H:%M:%S"),
        click.id,
        click.visitor.as_deref().unwrap_or("unknown"),
    );
    let text =
        |name: &str, value: &Option<String>| value.as_ref().map(|value| format!("{name} {value}"));
    let carried = click
        .expires_at
        .map(|at| format!("carried until {}", at.format("%Y-%m-%d")));
    let repeats = click.duplicate_of.map(|id| format!("repeats {id}"));
    let subs = (1..).zip(&click.subs);
    let subs = subs.map(|(n, sub)| text(&format!("sub{n}"), sub));
    let of_click = [
        text("link", &click.link),
        text("tracking id", &click.tracking_id),
        text("session", &click.session),
        carried,
        repeats,
        text("does not count:", &click.reason),
    ];
    detail(of_click.into_iter().chain(subs));
    let Some(request) = &click.request else {
        return;
    };
    let salted = request.ip_hash.as_ref().zip(request.salt_day);
    detail([
        Some(format!("{} {}", request.method, request.path)),
        text("country", &request.country),
        text("referrer", &request.referrer),
        text("asked for", &request.landing_url),
        salted.map(|(hash, day)| format!("address hash {hash} (salt of {day})")),
    ]);
    detail([
        text("browser", &request.user_agent),
        text("purpose", &request.purpose),
    ]);
    let utm = ["source", "medium", "campaign", "term", "content"]
        .iter()
        .zip(&request.utm);
    detail(utm.map(|(name, value)| text(&format!("utm_{name}"), value)));
    let fetch = ["site", "mode", "dest"].iter().zip(&request.fetch);
    detail(fetch.map(|(name, value)| text(&format!("sec-fetch-{name}"), value)));
}

/// A line of what is known of the line above; nothing, if nothing is.
fn detail(facts: impl IntoIterator<Item = Option<String>>) {
    let facts: Vec<String> = facts.into_iter().flatten().collect();
    if !facts.is_empty() {
        println!("            {}", facts.join(", "));
    }
}

/// The order, and what its sender said of it.
fn print_order(trail: &Trail) {
    println!(
        "  order     {}  {}  {}, brand {}",
        trail.occurred_at.format("%Y-%m-%d %H:%M:%S"),
        trail.order_ref,
        trail.order,
        trail.brand,
    );
    if let Some((amount, quote)) = &trail.converted {
        let at = match quote {
            Some(quote) => format!("at {} of {}, {}", quote.rate, quote.day, quote.source),
            None => "waits for a rate of exchange".to_owned(),
        };
        detail([Some(format!("placed as {amount}, {at}"))]);
    }
    let said = &trail.said;
    detail([Some(format!(
        "reported {} by {}",
        said.received_at.format("%Y-%m-%d %H:%M:%S"),
        said.recorded_by
    ))]);
    detail([
        said.click.map(|click| format!("names click {click}")),
        said.click_check
            .as_ref()
            .map(|check| format!("checked: {check}")),
        said.visitor
            .as_ref()
            .map(|visitor| format!("names visitor {visitor}")),
        said.publisher
            .as_ref()
            .map(|name| format!("names publisher {name}")),
        said.coupon
            .as_ref()
            .map(|code| format!("names coupon {code}")),
        said.user_known.then(|| "names its user".to_owned()),
    ]);
}

/// The terms that decided.
fn print_terms(trail: &Trail) {
    let terms = &trail.terms;
    println!(
        "  terms     program {}, version {}, rate frozen at {}",
        trail.program, terms.version, trail.frozen_rate,
    );
    detail([
        Some(format!(
            "in force from {}",
            terms.effective_from.format("%Y-%m-%d %H:%M")
        )),
        Some(format!(
            "fee {} ({} on the brand, {} off the publisher)",
            terms.fee_model.replace('_', " "),
            terms.fee_brand_rate.normalize(),
            terms.fee_publisher_rate.normalize(),
        )),
        Some(format!("clicks count for {} days", terms.lookback_days)),
    ]);
}

/// A refund that fits no order, or did not when it came.
fn print_parked(refund: &ParkedRefund) {
    let why = match &refund.resolution {
        Some(resolution) => format!("was parked ({}), then {resolution}", refund.reason),
        None => format!("is parked: {}", refund.reason),
    };
    println!(
        "refund  {}  {}  {} of order {} {}",
        refund.occurred_at.format("%Y-%m-%d %H:%M:%S"),
        refund.refund_ref,
        refund.amount,
        refund.order_ref.as_deref().unwrap_or("unknown"),
        why.replace('_', " "),
    );
    detail([Some(refund.note.clone()).filter(|note| !note.is_empty())]);
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
        "said": trail.said,
        "terms": trail.terms,
        "publisher": trail.publisher,
        "order": { "ref": trail.order_ref, "occurred_at": trail.occurred_at,
                   "amount": trail.order, "refunded": trail.refunded,
                   "converted": trail.converted },
        "attribution": { "model": trail.model, "click": trail.click,
                         "considered": trail.touches, "shares": trail.shares },
        "frozen_rate": trail.frozen_rate,
        "priced_by": trail.priced_by,
        "signals": trail.signals,
        "commissions": trail.commissions,
        "changes": trail.changes,
        "entries": entries,
    })
}
