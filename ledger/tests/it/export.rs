//! The exports, read by the programs they are for. A program that is not installed is skipped,
//! loudly; continuous integration installs all three.

mod fixture;
mod programs;

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc;

use ledger::BookId;
use ledger::balance::{self, AsOf, Grouping};
use ledger::export::{ExportError, Exported, Format, Scope, export};
use migrations::testing::database;
use rust_decimal::Decimal;
use sqlx::{Connection, PgConnection};

use fixture::{day, everything, small};
use programs::PROGRAMS;

async fn told(conn: &mut PgConnection, format: Format, scope: &Scope) -> (Exported, String) {
    let mut out = Vec::new();
    let names = |code: &str| (code == "2000").then(|| "Payable, to; publishers".to_owned());
    let exported = export(conn, format, scope, &names, &mut out)
        .await
        .expect("an export");
    (exported, String::from_utf8(out).expect("UTF-8"))
}

fn with_memo() -> Scope {
    Scope {
        memo: true,
        ..Scope::default()
    }
}

#[tokio::test]
async fn every_program_accepts_hostile_names_and_texts() {
    let db = database().await;
    let mut conn = db.connection().await;
    everything(&mut conn).await;
    for program in PROGRAMS {
        for scope in [Scope::default(), with_memo()] {
            let (_, text) = told(&mut conn, program.format, &scope).await;
            program.accepts(&text);
        }
    }
}

#[tokio::test]
async fn every_program_refuses_a_file_with_a_wrong_balance() {
    let db = database().await;
    let mut conn = db.connection().await;
    everything(&mut conn).await;
    for program in PROGRAMS {
        let (_, text) = told(&mut conn, program.format, &Scope::default()).await;
        let asserts = |line: &str| match program.format {
            Format::Beancount => line.split(' ').nth(1) == Some("balance"),
            _ => line.starts_with("    ") && !line.starts_with("    ;") && line.contains(" = "),
        };
        let wrong: Vec<String> = text
            .lines()
            .enumerate()
            .filter(|(_, line)| asserts(line))
            .map(|(at, _)| at)
            .step_by(131)
            .map(|at| {
                let lines = text
                    .lines()
                    .enumerate()
                    .map(|(i, line)| match line.rsplit_once(' ') {
                        Some((figure, currency)) if i == at => format!("{figure}1 {currency}\n"),
                        _ => format!("{line}\n"),
                    });
                lines.collect()
            })
            .collect();
        assert!(wrong.len() > 1, "{:?} has assertions", program.format);
        for text in wrong {
            program.refuses(&text);
        }
    }
}

/// Debits less credits by code and currency.
type Totals = BTreeMap<(String, String), Decimal>;

async fn trial_balance(conn: &mut PgConnection, as_of: AsOf) -> Totals {
    let rows = balance::trial_balance(conn, None, Grouping::Consolidated, as_of).await;
    let mut totals = Totals::new();
    for row in rows.expect("a trial balance") {
        let net = row.sums.debits.amount() - row.sums.credits.amount();
        let key = (row.code, row.sums.debits.currency().code().to_owned());
        *totals.entry(key).or_default() += net;
    }
    totals.retain(|_, net| !net.is_zero());
    totals
}

/// The same from a program's balances by account; memorandum accounts left out.
fn by_code(balances: Vec<(String, String, Decimal)>) -> Totals {
    let mut totals = Totals::new();
    for (account, currency, net) in balances {
        let parts: Vec<&str> = account.split(':').collect();
        if parts[1] != "Memorandum" {
            let code = if parts[2] == "X-fx-x2e-pos-x5f-1" {
                "fx.pos_1"
            } else {
                parts[2]
            };
            *totals.entry((code.to_owned(), currency)).or_default() += net;
        }
    }
    totals.retain(|_, net| !net.is_zero());
    totals
}

#[tokio::test]
async fn the_programs_own_balances_are_the_trial_balance() {
    let db = database().await;
    let mut conn = db.connection().await;
    everything(&mut conn).await;
    let ours = trial_balance(&mut conn, AsOf::default()).await;
    assert!(ours.len() > 12, "several codes in four currencies");
    for program in PROGRAMS {
        for scope in [Scope::default(), with_memo()] {
            let (_, text) = told(&mut conn, program.format, &scope).await;
            if let Some(balances) = program.balances(&text) {
                assert_eq!(by_code(balances), ours, "{:?} {scope:?}", program.format);
            }
        }
    }
}

#[tokio::test]
async fn memorandum_accounts_sum_to_zero_below_their_own_branch() {
    let db = database().await;
    let mut conn = db.connection().await;
    everything(&mut conn).await;
    let (without, text) = told(&mut conn, Format::Hledger, &Scope::default()).await;
    assert!(!text.contains("Equity:Memorandum"));
    let (with, text) = told(&mut conn, Format::Hledger, &with_memo()).await;
    assert!(with.entries > without.entries);
    let Some(balances) = PROGRAMS[0].balances(&text) else {
        return;
    };
    let mut sums: BTreeMap<String, Decimal> = BTreeMap::new();
    for (account, currency, net) in balances {
        if account.starts_with("Equity:Memorandum:") {
            assert!(!net.is_zero());
            *sums.entry(currency).or_default() += net;
        }
    }
    assert_eq!(sums.len(), 4, "memorandum entries in all four currencies");
    assert!(sums.values().all(Decimal::is_zero), "{sums:?}");
}

#[tokio::test]
async fn hledger_reads_back_each_date_number_note_and_tag() {
    let db = database().await;
    let mut conn = db.connection().await;
    everything(&mut conn).await;
    let (exported, text) = told(&mut conn, Format::Hledger, &Scope::default()).await;
    let Some(read) = programs::hledger_entries(&text) else {
        return;
    };
    assert_eq!(u64::try_from(read.len()), Ok(exported.entries));
    let (_, lines) = told(&mut conn, Format::Jsonl, &Scope::default()).await;
    for (line, read) in lines.lines().zip(read) {
        let stored: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let number = stored["number"].as_i64().expect("a number").to_string();
        assert_eq!(stored["effective_on"], read.date);
        assert!(read.code.ends_with(&format!("/{number}")), "{}", read.code);
        let tags = |name: &str| -> Vec<String> {
            let tags = read.tags.iter().filter(|(tag, _)| tag == name);
            tags.map(|(_, value)| programs::unescaped(value)).collect()
        };
        assert_eq!(tags("entry"), [stored["entry_id"].as_str().expect("an id")]);
        let orders: Vec<&str> = stored["causes"]
            .as_array()
            .expect("causes")
            .iter()
            .filter_map(|cause| cause.as_str()?.strip_prefix("order:"))
            .collect();
        assert_eq!(tags("order"), orders);
        let words = |text: &str| -> String {
            let text = text.replace(['|', '/', ';', ','], " ");
            text.split(|c: char| c.is_whitespace() || c.is_control())
                .collect()
        };
        let kind = stored["kind"].as_str().expect("a kind");
        let description = stored["description"].as_str().expect("a description");
        assert_eq!(
            words(&read.description),
            words(&format!("{kind} {description}"))
        );
    }
}

#[tokio::test]
async fn ledger_cli_reads_back_each_date_and_number() {
    let db = database().await;
    let mut conn = db.connection().await;
    everything(&mut conn).await;
    let (_, text) = told(&mut conn, Format::LedgerCli, &Scope::default()).await;
    let Some(read) = programs::ledger_cli_entries(&text) else {
        return;
    };
    let (_, lines) = told(&mut conn, Format::Jsonl, &Scope::default()).await;
    let stored = lines.lines().map(|line| {
        let stored: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let text = |name: &str| stored[name].as_str().expect("a text").to_owned();
        (
            text("entry_id"),
            (text("effective_on"), stored["number"].to_string()),
        )
    });
    assert_eq!(read, stored.collect());
}

#[tokio::test]
async fn the_same_ledger_gives_the_same_bytes() {
    let (one, two) = (database().await, database().await);
    let (mut one, mut two) = (one.connection().await, two.service().await);
    everything(&mut one).await;
    everything(&mut two).await;
    for format in Format::ALL {
        let first = told(&mut one, format, &with_memo()).await;
        assert_eq!(first, told(&mut two, format, &with_memo()).await);
    }
}

/// Reports its first write and then waits until it may go on.
struct Slow {
    begun: mpsc::Sender<()>,
    go_on: Option<mpsc::Receiver<()>>,
    text: Vec<u8>,
}

impl io::Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(go_on) = self.go_on.take() {
            self.begun.send(()).map_err(io::Error::other)?;
            go_on.recv().map_err(io::Error::other)?;
        }
        self.text.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_is_posted_meanwhile_is_not_in_the_export() {
    let db = database().await;
    let mut conn = db.connection().await;
    everything(&mut conn).await;
    let (_, before) = told(&mut conn, Format::Hledger, &Scope::default()).await;
    let ((begun, has_begun), (go_on, may_go_on)) = (mpsc::channel(), mpsc::channel());
    let options = db.options();
    // A thread of its own, because the export blocks while its writer waits.
    let export = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(async {
            let mut reader = PgConnection::connect_with(&options)
                .await
                .expect("a connection");
            let mut slow = Slow {
                begun,
                go_on: Some(may_go_on),
                text: Vec::new(),
            };
            let names = |code: &str| (code == "2000").then(|| "Payable, to; publishers".to_owned());
            let scope = Scope::default();
            let exported = export(&mut reader, Format::Hledger, &scope, &names, &mut slow).await;
            exported.map(|_| slow.text)
        })
    });
    has_begun.recv().expect("more than one chunk");
    fixture::one_more(&mut conn).await;
    go_on.send(()).expect("the export waits");
    let during = export.join().expect("no panic").expect("an export");
    assert!(
        String::from_utf8(during).expect("UTF-8") == before,
        "an export is of one moment"
    );
    let (_, after) = told(&mut conn, Format::Hledger, &Scope::default()).await;
    assert_ne!(after, before);
}

#[tokio::test]
async fn what_is_posted_before_the_first_row_is_not_in_the_export_either() {
    let db = database().await;
    let mut conn = db.connection().await;
    everything(&mut conn).await;
    let (_, before) = told(&mut conn, Format::Hledger, &Scope::default()).await;
    // Holds the export between its look at the books and its look at the accounts.
    let mut poster = conn.begin().await.expect("a transaction");
    sqlx::raw_sql("lock table ledger.account in access exclusive mode")
        .execute(&mut *poster)
        .await
        .expect("the lock");
    let (mut reader, mut watcher) = (db.connection().await, db.connection().await);
    let export = tokio::spawn(async move {
        told(&mut reader, Format::Hledger, &Scope::default())
            .await
            .1
    });
    let waits = "select exists (select from pg_locks where not granted
                                and relation = 'ledger.account'::regclass)";
    while !sqlx::query_scalar::<_, bool>(waits)
        .fetch_one(&mut watcher)
        .await
        .expect("an answer")
    {
        tokio::task::yield_now().await;
    }
    fixture::one_more(&mut poster).await;
    poster.commit().await.expect("posted");
    assert!(
        export.await.expect("no panic") == before,
        "an export is of one moment"
    );
}

#[tokio::test]
async fn a_scope_of_books_and_days_is_a_file_of_its_own() {
    let db = database().await;
    let mut conn = db.connection().await;
    everything(&mut conn).await;
    let book = BookId::of_name("Channel Islands");
    let scope = Scope {
        books: Some(vec![book]),
        from: Some(day(5)),
        to: Some(day(20)),
        ..Scope::default()
    };
    let (exported, text) = told(&mut conn, Format::Jsonl, &scope).await;
    let (_, all) = told(&mut conn, Format::Jsonl, &Scope::default()).await;
    let within = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let on = line["effective_on"].as_str().expect("a day");
        line["book"] == "Channel Islands" && ("2011-01-05"..="2011-01-20").contains(&on)
    };
    let expected: Vec<&str> = all.lines().filter(|line| within(line)).collect();
    assert!(expected.len() > 10 && text.lines().eq(expected.iter().copied()));
    let entries = expected.len().try_into().expect("few");
    assert_eq!(exported, Exported { entries, books: 1 });
    for program in PROGRAMS {
        let (same, text) = told(&mut conn, program.format, &scope).await;
        assert_eq!(same, exported);
        program.accepts(&text);
    }
}

#[tokio::test]
async fn a_scope_without_entries_exports_to_valid_files() {
    let db = database().await;
    let mut conn = db.connection().await;
    for program in PROGRAMS {
        let (exported, text) = told(&mut conn, program.format, &Scope::default()).await;
        assert_eq!(
            exported,
            Exported {
                entries: 0,
                books: 0
            }
        );
        program.accepts(&text);
    }
    small(&mut conn).await;
    let later = Scope {
        from: day(100).into(),
        ..Scope::default()
    };
    for program in PROGRAMS {
        let (exported, text) = told(&mut conn, program.format, &later).await;
        assert_eq!(
            exported,
            Exported {
                entries: 0,
                books: 2
            }
        );
        program.accepts(&text);
    }
}

#[tokio::test]
async fn a_book_that_is_not_open_is_refused_before_anything_is_written() {
    let db = database().await;
    let mut conn = db.connection().await;
    let books = Some(vec![BookId::of_name("nobody")]);
    let mut out = Vec::new();
    let scope = Scope {
        books,
        ..Scope::default()
    };
    let refused = export(&mut conn, Format::Csv, &scope, &|_| None, &mut out).await;
    assert!(
        matches!(refused, Err(ExportError::UnknownBook(book)) if book == BookId::of_name("nobody"))
    );
    assert!(out.is_empty());
}

#[tokio::test]
async fn csv_has_one_row_per_leg_and_every_text_as_stored() {
    let db = database().await;
    let mut conn = db.connection().await;
    everything(&mut conn).await;
    let (_, table) = told(&mut conn, Format::Csv, &with_memo()).await;
    let (_, lines) = told(&mut conn, Format::Jsonl, &with_memo()).await;
    let mut rows = programs::csv_rows(&table).into_iter();
    assert_eq!(rows.next().expect("a header").len(), 19);
    for line in lines.lines() {
        let entry: serde_json::Value = serde_json::from_str(line).expect("JSON");
        for leg in entry["legs"].as_array().expect("legs") {
            let row = rows.next().expect("a row per leg");
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            assert_eq!(row[0], text(&entry["book"]));
            assert_eq!(row[8], text(&entry["description"]));
            assert_eq!(row[9], text(&leg["code"]));
            assert_eq!(
                (&row[12], &row[13]),
                (&text(&leg["debit"]), &text(&leg["credit"]))
            );
            assert_eq!(row[14], entry["causes"].to_string());
            assert_eq!(row[18], text(&entry["hash"]));
        }
    }
    assert!(rows.next().is_none());
}

#[tokio::test]
async fn each_format_reads_like_this() {
    let db = database().await;
    let mut conn = db.connection().await;
    small(&mut conn).await;
    let _to = ledger::testing::snapshots("export");
    for format in Format::ALL {
        let (_, text) = told(&mut conn, format, &with_memo()).await;
        insta::assert_snapshot!(format!("small.{}", format.as_str()), text);
    }
}

#[test]
fn every_format_is_found_by_its_name() {
    for format in Format::ALL {
        assert_eq!(Format::named(format.as_str()), Some(format));
    }
    assert_eq!(Format::named("xls"), None);
}
