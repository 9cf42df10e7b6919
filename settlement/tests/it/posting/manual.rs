//! `docs/POSTING.md`, written from the manual itself. After a change: `COUNTERFOIL_BLESS=1`.

use std::fmt::Write as _;
use std::path::Path;

use settlement::chart::Code;

use super::{models, stories, unattributed};

/// Each event, with its file: what it does is said there.
const EVENTS: [(&str, &str); 9] = [
    ("Pending", include_str!("../../../src/posting/pending.rs")),
    ("Approved", include_str!("../../../src/posting/approved.rs")),
    ("Rejected", include_str!("../../../src/posting/rejected.rs")),
    ("Held", include_str!("../../../src/posting/held.rs")),
    ("Released", include_str!("../../../src/posting/released.rs")),
    ("Refunded", include_str!("../../../src/posting/refunded.rs")),
    ("Reversed", include_str!("../../../src/posting/reversed.rs")),
    (
        "Reinstated",
        include_str!("../../../src/posting/reinstated.rs"),
    ),
    (
        "Reattributed",
        include_str!("../../../src/posting/reattributed.rs"),
    ),
];

const INTRODUCTION: &str = "\
# Posting manual

Which event moves which accounts. This page is written by the program that posts \
(`settlement/src/posting/`, one file per event) and compared with it by a test; an event that is \
not here cannot move money.

Every entry lies in the book of one brand and in one currency, and its debits equal its credits. \
Entries are never changed: what turns out otherwise is posted as a further entry, dated in an open \
month. Every entry names its conversion, its order and, where there is one, the click.

The worked order is 99.00 USD at 10 %, so a gross commission of 9.90. The network fee is 20 %, \
and a program's terms say who bears it:

| fee model | brand owes | publisher earns | network fee |
|---|---|---|---|
";

const CHART: &str = "\
\nAt every moment the brand owes exactly what the publisher earns plus the network fee. After a \
refund each amount is computed again on what is left of the order, at the rate of the day the \
order was recorded, and the difference is posted.

## Chart of accounts

Accounts marked *each publisher* exist once per publisher; all exist once per brand and currency. \
Memorandum accounts balance among themselves and stand in no trial balance: they hold what is \
expected but not yet earned. Account 2010 cannot fall below zero: publishers are paid only from \
what brands have paid.

| account | name | kind | whose | |
|---|---|---|---|---|
";

fn written() -> String {
    let mut page = INTRODUCTION.to_owned();
    for model in models() {
        let amounts = super::Case::of(model).amounts;
        let cell = |money: ledger::Money| money.amount();
        let fee = amounts.fee().unwrap();
        let (brand, publisher) = (cell(amounts.brand_due()), cell(amounts.publisher_due()));
        writeln!(
            page,
            "| `{}` | {brand} | {publisher} | {} |",
            model.name(),
            cell(fee)
        )
        .unwrap();
    }
    page += CHART;
    for code in Code::ALL {
        let whose = if code.is_per_publisher() {
            "each publisher"
        } else {
            ""
        };
        let note = match (code.is_memo(), code.has_floor()) {
            (true, _) => "memorandum",
            (_, true) => "never below zero",
            _ => "",
        };
        let (number, name, kind) = (code.number(), code.name(), code.kind().as_str());
        writeln!(page, "| {number} | {name} | {kind} | {whose} | {note} |").unwrap();
    }
    page += "\n## Events\n";
    for (name, source) in EVENTS {
        write!(page, "\n### {name}\n\n{}\n", said(source)).unwrap();
    }
    page += "\n# Worked entries\n\nThe fee model stands in brackets.\n";
    for model in models() {
        for story in stories(model) {
            write!(page, "\n{}", story.print()).unwrap();
        }
    }
    write!(page, "\n{}", unattributed().print()).unwrap();
    page
}

/// What the head of a file says, as plain paragraphs.
fn said(source: &str) -> String {
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    let text: Vec<&str> = lines.map(str::trim).collect();
    text.join("\n")
        .replacen("Pure: a", "A", 1)
        .replacen("Pure: p", "P", 1)
}

#[test]
fn the_posting_manual_says_what_the_program_posts() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/POSTING.md");
    let written = written();
    if std::env::var_os("COUNTERFOIL_BLESS").is_some() {
        std::fs::write(&place, &written).unwrap();
    }
    let stands = std::fs::read_to_string(&place).unwrap_or_default();
    assert!(
        stands == written,
        "docs/POSTING.md is stale; run this test with COUNTERFOIL_BLESS=1"
    );
}
