//! Proofs, checkpoints, months and exports: what an auditor asks for.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::{Answer, books, list};

#[test]
fn untouched_books_are_proved() {
    let proof = books().json(&["verify"]);
    assert_eq!(proof["holds"], true);
    assert!(proof["report"]["entries"].as_i64() > Some(1000), "{proof}");
    let said = books().run(&["verify"]).with(0).out;
    assert!(
        said.contains("the ledger holds: ") && said.contains("proved: "),
        "{said}"
    );
}

/// Somebody with all rights changes a text and leaves the door as they found it.
fn change(copy: &str, update: &str) {
    let sql = format!(
        "alter table ledger.entry disable trigger entry_is_append_only; {update}; \
         alter table ledger.entry enable always trigger entry_is_append_only"
    );
    books().tamper(copy, &sql);
}

#[test]
fn a_changed_entry_is_found_and_named() {
    change(
        "tampered",
        "update ledger.entry e set description = description || '.' from ledger.book b \
         where b.id = e.book_id and b.name = 'France' and e.number = 5",
    );
    let said = books().on("tampered", &["verify"]).with(1);
    assert!(
        said.out
            .contains("does not hold: ledger.entry, book France, entry 5"),
        "{said:#?}"
    );
    assert!(
        said.out.contains("first failing entry of its book"),
        "{said:#?}"
    );
    let json = books().on("tampered", &["verify", "--json"]).with(1);
    let proof: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(proof["holds"], false);
    assert_eq!(proof["report"]["findings"][0]["number"], 5, "{proof}");
}

#[test]
fn a_conversion_that_tells_another_story_than_the_books_is_found() {
    books().tamper(
        "disagreeing",
        "update settlement.conversion c set gross = gross + 1, brand_due = brand_due + 1, \
         publisher_due = publisher_due + 1 where (c.book_id, c.id) in (select c.book_id, c.id \
         from settlement.conversion c join ledger.book b on b.id = c.book_id \
         where b.name = 'France' and c.state = 'approved' and c.publisher_id is not null \
         order by c.id limit 1)",
    );
    let said = books().on("disagreeing", &["verify"]).with(1);
    assert!(
        said.out
            .contains("does not hold: book France, account 1110: holds"),
        "{said:#?}"
    );
    assert!(
        said.out.contains("book France, account 2000 (pub-"),
        "{said:#?}"
    );
    assert!(
        !said.out.contains("ledger.entry, book"),
        "the journal itself holds: {said:#?}"
    );
}

#[test]
fn books_rewritten_as_a_whole_are_found_with_a_checkpoint_from_outside() {
    let file = books().file("outside.json");
    let path = file.to_str().unwrap();
    let taken = books().on(
        "rewritten",
        &["checkpoint", "--out", path, "--reason", "for Ada"],
    );
    assert!(taken.with(0).out.contains("reason      for Ada"));
    books()
        .on("rewritten", &["verify", "--against", path])
        .with(0);
    let key = fs::read_to_string(books().file("checkpoint.pub")).unwrap();
    let ours = ["verify", "--against", path, "--public-key", key.trim()];
    books().on("rewritten", &ours).with(0);

    // The last entry of a book is gone, and so is every trace of it in the database.
    let gone = "from ledger.book b where b.id = x.book_id and b.name = 'France' \
                and x.number = b.next_number - 1";
    books().tamper(
        "rewritten",
        &format!(
            "alter table ledger.entry disable trigger user; \
             alter table ledger.line disable trigger user; \
             delete from ledger.entry x using ledger.book b {0}; \
             update ledger.book b set next_number = next_number - 1, head = (select hash \
                 from ledger.entry e where e.book_id = b.id and e.number = b.next_number - 2) \
             where b.name = 'France'",
            gone.trim_start_matches("from ledger.book b ")
        ),
    );
    let found = books()
        .on("rewritten", &["verify", "--against", path])
        .with(1);
    assert!(
        found.out.contains("France") && found.out.contains("checkpoint"),
        "{found:#?}"
    );
}

#[test]
fn a_checkpoint_that_was_edited_or_signed_by_another_is_refused() {
    let file = books().file("edited.json");
    let path = file.to_str().unwrap();
    books()
        .run(&["checkpoint", "--show", "--out", path])
        .with(0);
    let other = "ab".repeat(32);
    let refused = books()
        .run(&["verify", "--against", path, "--public-key", &other])
        .with(1);
    assert!(refused.err.contains("it is not ours"), "{refused:?}");

    let text = fs::read_to_string(&file).unwrap();
    let mut edited: Value = serde_json::from_str(&text).unwrap();
    let number = edited["books"][0]["number"].as_i64().unwrap();
    edited["books"][0]["number"] = (number - 1).into();
    fs::write(&file, edited.to_string()).unwrap();
    let refused = books().run(&["verify", "--against", path]).with(1);
    assert!(
        refused.err.contains("is not as it was signed"),
        "{refused:?}"
    );
}

#[test]
fn balances_as_known_at_a_checkpoint_stay_what_they_were() {
    let on = |arguments: &[&str]| books().on("later", arguments);
    let taken = on(&["--json", "checkpoint"]).json();
    let id = taken["id"].as_str().unwrap();
    let before = on(&["--json", "balance", "9100", "--book", "France"]).json();

    let file = books().file("later.csv");
    let order = "order_ref,occurred_at,brand,publisher,amount_gbp\n\
                 later-1,2011-03-10T12:00:00Z,France,pub-000,1000.00\n";
    fs::write(&file, order).unwrap();
    on(&["import", "orders", file.to_str().unwrap()]).with(0);
    let after = on(&["--json", "balance", "9100", "--book", "France"]).json();
    assert_ne!(after["totals"], before["totals"]);

    let known = [
        "--json",
        "balance",
        "9100",
        "--book",
        "France",
        "--checkpoint",
        id,
    ];
    let then = on(&known).json();
    assert_eq!(then["checkpoint"], id);
    assert_eq!(then["totals"], before["totals"]);
}

#[test]
fn months_close_in_order_and_reopen_from_the_end() {
    let on = |arguments: &[&str]| books().on("closing", arguments);
    let blocked = on(&["close", "2999-01"]).with(1);
    assert!(
        blocked.out.contains("blocks: period 2999-01 ends on"),
        "{blocked:?}"
    );
    let early = on(&["close", "2011-09"]).with(1);
    assert!(early.err.contains("close 2011-03 first"), "{early:?}");
    let not_latest = on(&["reopen", "2011-01", "--because", "late refund"]).with(1);
    assert!(
        not_latest
            .err
            .contains("only the latest closed one can, 2011-02"),
        "{not_latest:?}"
    );

    let already = on(&["--json", "close", "2011-02"]).json();
    assert_eq!(already["outcome"], "closed_already");
    on(&["reopen", "2011-02", "--because", "late refund"]).with(0);
    let closed = on(&["--json", "close", "2011-02"]).json();
    assert_eq!(closed["outcome"], "closed");
    assert_eq!(closed["close"]["version"], 2);

    let kept = closed["checkpoint"]["file"].as_str().unwrap();
    let reason = &closed["checkpoint"]["reason"];
    assert_eq!(reason, "close of 2011-02, version 2");
    on(&["verify", "--against", kept]).with(0);

    let periods = on(&["--json", "periods"]).json();
    let versions: Vec<_> = list(&periods)
        .iter()
        .filter(|close| close["period"] == "2011-02")
        .map(|close| {
            (
                close["version"].as_i64().unwrap(),
                close["reopened"]["because"].as_str(),
            )
        })
        .collect();
    assert_eq!(versions, [(2, None), (1, Some("late refund"))]);
    assert!(on(&["periods"]).with(0).out.contains("late refund"));
}

#[test]
fn exports_are_complete_files_that_other_programs_accept() {
    let check = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        match output {
            Ok(output) => {
                let answer = Answer::of(output).with(0);
                assert_eq!(answer.err, "", "{program}");
            }
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{program}"),
        }
    };
    let export = |format: &str| {
        let exported = books().json(&["export", format]);
        assert!(exported["entries"].as_i64() > Some(1000), "{exported}");
        exported["file"].as_str().unwrap().to_owned()
    };
    check(
        "hledger",
        &[
            "check",
            "--strict",
            "ordereddates",
            "--file",
            &export("hledger"),
        ],
    );
    check(
        "ledger",
        &[
            "--pedantic",
            "--strict",
            "balance",
            "--file",
            &export("ledger"),
        ],
    );
    check("bean-check", &[&export("beancount")]);

    let file = fs::read_to_string(export("jsonl")).unwrap();
    assert!(
        file.lines()
            .all(|line| serde_json::from_str::<Value>(line).is_ok())
    );
    assert_eq!(
        books().run(&["export", "jsonl", "--out", "-"]).with(0).out,
        file
    );

    let folder = books().file("exports");
    books()
        .run(&["export", "csv", "--out", "/nowhere/x.csv"])
        .with(1);
    let names = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    assert!(
        names.iter().all(|name| !name.contains("partial")),
        "{names:?}"
    );
}
