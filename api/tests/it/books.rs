//! What the books of the demo say, from every side the same.

use std::collections::BTreeSet;
use std::io::Read;
use std::process::Stdio;

use serde_json::Value;

use crate::support::{Answer, books, counterfoil, list, minor};

#[test]
fn the_demo_tells_its_story_and_can_be_told_again() {
    let demo = &books().demo;
    assert_eq!(demo.code, Some(0), "{demo:#?}");
    for words in ["Proof", "Exports", "1110 Receivable, unbilled", "hash "] {
        assert!(
            demo.out.contains(words),
            "{words} is missing in:\n{}",
            demo.out
        );
    }
    let migrated = books().run(&["migrate"]).with(0).out;
    assert!(
        migrated.starts_with("nothing to do: the schema is at version"),
        "{migrated}"
    );
}

fn sum(rows: &[Value], side: &str) -> i64 {
    rows.iter().map(|row| minor(&row[side])).sum()
}

#[test]
fn debits_equal_credits_in_every_trial_balance() {
    let whole = books().json(&["trial-balance"]);
    let rows = list(&whole["rows"]);
    assert!(rows.len() > 4, "{whole}");
    for arguments in [
        &["trial-balance"][..],
        &["trial-balance", "--per-book"],
        &["trial-balance", "--book", "France", "--book", "Germany"],
        &["trial-balance", "--as-of", "2010-12-31"],
        &["trial-balance", "--as-of", "2011-01-31", "--per-book"],
    ] {
        let answer = books().json(arguments);
        let rows = list(&answer["rows"]);
        let totals = list(&answer["totals"]);
        assert_eq!(totals.len(), 1, "{answer}");
        assert!(minor(&totals[0]["debit"]) > 0, "{answer}");
        assert_eq!(
            minor(&totals[0]["debit"]),
            minor(&totals[0]["credit"]),
            "{answer}"
        );
        assert_eq!(sum(rows, "debit"), minor(&totals[0]["debit"]), "{answer}");
        assert_eq!(sum(rows, "credit"), minor(&totals[0]["credit"]), "{answer}");
    }
    // Nothing was posted before.
    assert!(list(&books().json(&["trial-balance", "--as-of", "2009-12-31"])["rows"]).is_empty());
}

#[test]
fn the_books_add_up_to_the_whole() {
    let whole = books().json(&["trial-balance"]);
    let each = books().json(&["trial-balance", "--per-book"]);
    let net = |rows: &[Value], code: &Value| -> i64 {
        let of = |row: &&Value| row["code"] == *code;
        rows.iter()
            .filter(of)
            .map(|row| minor(&row["debit"]) - minor(&row["credit"]))
            .sum()
    };
    for row in list(&whole["rows"]) {
        let code = &row["code"];
        let expected = net(list(&whole["rows"]), code);
        assert_eq!(net(list(&each["rows"]), code), expected, "{code}");
        let balances = books().json(&["balance", code.as_str().unwrap()]);
        assert_eq!(
            minor(&list(&balances["totals"])[0]),
            expected.abs(),
            "{code}"
        );
    }
}

#[test]
fn a_trial_balance_in_csv_has_the_same_figures() {
    let csv = books()
        .run(&["trial-balance", "--csv", "--per-book"])
        .with(0)
        .out;
    let expected = books().json(&["trial-balance", "--per-book"]);
    let mut lines = csv.lines();
    assert_eq!(
        lines.next(),
        Some("book,code,account,kind,currency,debit,credit")
    );
    let rows = list(&expected["rows"]);
    assert_eq!(lines.clone().count(), rows.len());
    for (line, row) in lines.zip(rows) {
        let amounts = [&row["debit"], &row["credit"]].map(|side| side["amount"].as_str().unwrap());
        assert!(
            line.ends_with(&format!(",GBP,{}", amounts.join(","))),
            "{line} {row}"
        );
    }
}

#[test]
fn a_publisher_sees_the_same_from_every_side() {
    let all = books().json(&["balance", "2000", "--book", "France"]);
    let accounts = list(&all["accounts"]);
    let names: BTreeSet<&str> = accounts
        .iter()
        .map(|row| row["publisher"].as_str().unwrap())
        .collect();
    assert!(names.len() > 2 && names.len() == accounts.len(), "{all}");
    let first = &accounts[0];
    let publisher = first["publisher"].as_str().unwrap();
    let own = books().json(&["balance", "--publisher", publisher, "--book", "France"]);
    assert!(list(&own["accounts"]).contains(first), "{own}");
    assert!(
        list(&own["accounts"])
            .iter()
            .all(|row| row["publisher"] == publisher)
    );

    let statement = books().json(&["statement", "France", "2000", "--publisher", publisher]);
    assert_eq!(list(&statement)[0]["balance"], first["balance"]);
    let several = books().run(&["statement", "France", "2000"]).with(2);
    assert!(
        several.err.contains("name one with --publisher"),
        "{several:?}"
    );
}

#[test]
fn a_statement_goes_on_where_the_one_before_ended() {
    let stated = |arguments: &[&str]| {
        let all = books().json(&[&["statement", "France", "1110"][..], arguments].concat());
        list(&all)[0].clone()
    };
    let (whole, first, second) = (
        stated(&[]),
        stated(&["--to", "2011-01-15"]),
        stated(&["--from", "2011-01-16"]),
    );
    assert_eq!(first["balance"], second["brought_forward"]);
    assert_eq!(whole["balance"], second["balance"]);
    assert_eq!(minor(&whole["brought_forward"]), 0);
    let lines = [list(&first["lines"]), list(&second["lines"])].concat();
    assert_eq!(&lines, list(&whole["lines"]));
    assert!(lines.len() > 20);
    let mut balance = 0;
    for line in &lines {
        balance += minor(&line["debit"]) - minor(&line["credit"]);
        assert_eq!(balance, minor(&line["balance"]), "{line}");
    }
    let csv = books()
        .run(&["statement", "France", "1110", "--csv"])
        .with(0)
        .out;
    assert_eq!(csv.lines().count(), lines.len() + 1);
}

#[test]
fn every_reference_of_a_statement_leads_to_its_story() {
    let statement = books().json(&["statement", "France", "1110", "--to", "2011-01-10"]);
    let line = list(&list(&statement)[0]["lines"]).last().unwrap();
    let reference = line["reference"].as_str().unwrap();
    let story = books().json(&["trace", reference]).to_string();
    assert!(
        story.contains(line["entry"].as_str().unwrap()),
        "{reference}: {story}"
    );
}

#[test]
fn what_is_not_in_the_books_is_a_bad_argument() {
    let id = "00000000-0000-0000-0000-000000000007";
    for (arguments, sentence) in [
        (
            &["balance", "--book", "france"][..],
            "no book \"france\"; did you mean France?",
        ),
        (
            &["trial-balance", "--book", "Mars"],
            "no book \"Mars\"; there are Australia",
        ),
        (&["statement", "Mars", "1110"], "no book \"Mars\""),
        (&["export", "csv", "--book", "Mars"], "no book \"Mars\""),
        (
            &["balance", "--publisher", "nobody"],
            "no publisher \"nobody\"",
        ),
        (&["balance", "--checkpoint", id], "there is no checkpoint"),
        (&["checkpoint", "--show", id], "there is no checkpoint"),
        (
            &["statement", "France", "1110", "--publisher", "pub-000"],
            "has no account 1110",
        ),
    ] {
        let answer = books().run(arguments).with(2);
        assert!(
            answer.err.contains(sentence),
            "{arguments:?}: {}",
            answer.err
        );
        assert_eq!(answer.out, "", "{arguments:?}");
    }
}

#[test]
fn parked_refunds_add_up() {
    let parked = books().json(&["refunds", "parked"]);
    let refunds = list(&parked["refunds"]);
    assert!(refunds.len() > 10);
    let sum: i64 = refunds.iter().map(|refund| minor(&refund["amount"])).sum();
    assert_eq!(sum, minor(&list(&parked["totals"])[0]));
    let shown = books().run(&["refunds", "parked"]).with(0).out;
    assert!(
        shown.contains(&format!("{} refunds", refunds.len())),
        "{shown}"
    );
}

#[test]
fn a_reader_who_goes_away_is_no_mistake() {
    for arguments in [
        &["statement", "United Kingdom", "1110", "--csv"][..],
        &["statement", "United Kingdom", "1110", "--json"],
        &["statement", "United Kingdom", "1110"],
        &["export", "jsonl", "--out", "-"],
    ] {
        let mut command = counterfoil(&books().data);
        command
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut some = [0; 10];
        child.stdout.take().unwrap().read_exact(&mut some).unwrap();
        let answer = Answer::of(child.wait_with_output().unwrap()).with(0);
        assert_eq!(answer.err, "", "{arguments:?}");
    }
}
