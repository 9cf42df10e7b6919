//! Books, accounts and currencies are the same in Rust and in SQL.

use ledger::{Account, AccountKind, Book, BookId, Currency, account, book};
use migrations::testing::database;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::support::{at, by, count, open_one};

const HOSTILE: [&str; 10] = [
    "",
    " ",
    "\"quoted\" \\ back\\\\slash\\\"",
    "line\nfeed\ttab\u{1}\u{1f}\u{8}\u{c}\r",
    "\u{7f}\u{80}\u{9f}\u{a0}",
    "متجر 中文 🧾 \u{202e}",
    "a: 1, \"b\": 2}",
    "'; drop table ledger.entry; --",
    "é \u{65}\u{301}",
    "\u{10ffff}\u{feff}\u{fffd}",
];

/// Values of many kinds, the same at each run.
pub(super) fn values(how_many: usize) -> Vec<String> {
    let text = prop_oneof![
        proptest::sample::select(&HOSTILE[..]).prop_map(str::to_owned),
        "[^\\x00]{0,12}"
    ];
    let mut runner = TestRunner::deterministic();
    let mut one = || text.new_tree(&mut runner).expect("a text").current();
    (0..how_many).map(|_| one()).collect()
}

#[tokio::test]
async fn an_account_has_the_same_id_in_rust_and_in_sql() {
    let db = database().await;
    let mut conn = db.service().await;
    let chart = open_one(&mut conn, "acme").await;
    let currencies: Vec<Currency> = Currency::all().collect();
    let mut accounts = Vec::new();
    for (i, value) in values(300).into_iter().enumerate() {
        let (kind, currency) = (AccountKind::ALL[i % 5], currencies[i % currencies.len()]);
        let account = Account::new(chart.book, format!("a.{}-{i}_", i % 7), kind, currency);
        let account = if i % 2 == 0 {
            account.with_floor()
        } else {
            account
        };
        let account = if i % 3 == 0 {
            account.memorandum()
        } else {
            account
        };
        accounts.push(
            account
                .of("z", i)
                .of("publisher", &value)
                .of("aa", i % 4)
                .of("q\"uo\\te", i),
        );
    }
    let opened = account::open(&mut conn, at(0), &by(), &accounts)
        .await
        .unwrap();
    assert_eq!(opened, 300);
    for account in &accounts {
        let found: Vec<(i64, bool, String)> = sqlx::query_as(
            "select id, id = ledger.account_id(book_id, code, kind, memo, currency, floored,
                                               dimensions),
                    dimensions::text from ledger.account where book_id = $1 and code = $2",
        )
        .bind(account.book().value())
        .bind(account.code())
        .fetch_all(&mut conn)
        .await
        .unwrap();
        assert_eq!(found.len(), 1, "{account:?}");
        assert_eq!(
            (found[0].0, found[0].1),
            (account.id().value(), true),
            "{account:?} {found:?}"
        );
    }
    let again = account::open(&mut conn, at(9), &by(), &accounts)
        .await
        .unwrap();
    assert_eq!(again, 0, "what is open is not opened again");
}

#[tokio::test]
async fn a_book_has_the_same_id_in_rust_and_in_sql() {
    let db = database().await;
    let mut conn = db.service().await;
    let long = "x".repeat(200);
    let names = [
        "acme",
        "7 متجر القاهرة",
        "中文店 🧾",
        "متجر",
        "Ångström, \"Ltd\" 'x' \\",
        &long,
        "é",
    ];
    assert_eq!(
        book::open(&mut conn, at(0), &by(), &names).await.unwrap(),
        names.len()
    );
    assert_eq!(
        book::open(&mut conn, at(0), &by(), &names).await.unwrap(),
        0
    );
    let books = book::all(&mut conn).await.unwrap();
    assert_eq!(books.len(), names.len());
    for Book {
        id,
        name,
        entries,
        closed_through,
        ..
    } in books
    {
        assert!(names.contains(&name.as_str()));
        assert_eq!(
            (id, entries, closed_through),
            (BookId::of_name(&name), 0, None),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_book_name_that_is_not_plain_is_refused_before_anything_is_written() {
    let db = database().await;
    let mut conn = db.service().await;
    let long = "x".repeat(201);
    for bad in [
        "", " acme", "-acme", "a\u{1f}b", "a\n", "a\u{85}", "\u{0}", &long,
    ] {
        let error = book::open(&mut conn, at(0), &by(), &["fine", bad])
            .await
            .unwrap_err();
        assert!(
            matches!(&error, book::BookError::Name(name) if name == bad),
            "{bad:?}: {error}"
        );
        if !bad.contains('\0') {
            let raw = sqlx::query("select ledger.open_books(now(), 'raw', array['fine', $1])");
            let raw = raw.bind(bad).execute(&mut conn).await;
            assert!(raw.is_err(), "{bad:?} by raw SQL");
        }
    }
    assert_eq!(
        count(&mut conn, "select count(*) from ledger.book").await,
        0
    );
}

#[tokio::test]
async fn postgres_and_rust_know_the_same_currencies() {
    let db = database().await;
    let mut conn = db.service().await;
    let mut stored: Vec<(String, i16)> = sqlx::query_as("select code, scale from ledger.currency")
        .fetch_all(&mut conn)
        .await
        .unwrap();
    let mut known: Vec<(String, i16)> = Currency::all()
        .map(|c| (c.code().to_owned(), i16::try_from(c.scale()).unwrap()))
        .collect();
    stored.sort();
    known.sort();
    assert_eq!(stored, known);
}

#[tokio::test]
async fn a_code_means_one_thing_in_a_book() {
    let db = database().await;
    let mut conn = db.service().await;
    let chart = open_one(&mut conn, "acme").await;
    let asset = Account::new(chart.book, "2000", AccountKind::Asset, Currency::USD).of("p", 1);
    let memo = chart.payable.clone().memorandum().of("p", 2);
    let floored = chart.payable.clone().with_floor();
    for (wrong, problem) in [
        (asset, "is liability; it cannot also be opened as asset"),
        (
            memo,
            "is liability; it cannot also be opened as memorandum liability",
        ),
        (floored, "is open with another kind or floor"),
    ] {
        let error = account::open(&mut conn, at(0), &by(), &[wrong])
            .await
            .unwrap_err();
        assert!(error.to_string().contains(problem), "{error}");
    }
    let both = [AccountKind::Asset, AccountKind::Expense]
        .map(|kind| Account::new(chart.book, "77", kind, Currency::USD).of("k", kind.as_str()));
    assert!(
        account::open(&mut conn, at(0), &by(), &both).await.is_err(),
        "in one batch"
    );
    let other = Account::new(chart.book, "2000", AccountKind::Liability, Currency::EUR).of("p", 3);
    assert_eq!(
        account::open(&mut conn, at(0), &by(), &[other])
            .await
            .unwrap(),
        1
    );
}
