//! Posting: what is answered to each entry, and what is written.

use chrono::NaiveDate;
use ledger::journal::find;
use ledger::testing::snapshots;
use ledger::{
    Account, AccountKind, Amount, Book, BookId, Cause, Currency, EntryId, IdempotencyKey,
    JournalEntry, Money, Posted, Receipt, Refusal, account, book, period,
};
use migrations::testing::database;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use uuid::Uuid;

use crate::support::{
    Chart, assert_sound, at, by, count, day, held, holds, key, new, numbers, open, open_one, post,
    post_new, post_one, refused, run, usd,
};

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
fn values(how_many: usize) -> Vec<String> {
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
        let account = if i % 2 == 0 { account.with_floor() } else { account };
        let account = if i % 3 == 0 { account.memorandum() } else { account };
        accounts.push(account.of("z", i).of("publisher", &value).of("aa", i % 4).of("q\"uo\\te", i));
    }
    let opened = account::open(&mut conn, at(0), &by(), &accounts).await.unwrap();
    assert_eq!(opened, 300);
    for account in &accounts {
        let found: Vec<(i64, bool, String)> = sqlx::query_as(
            "select id, id = ledger.account_id(book_id, code, kind, memo, currency, floored, dimensions),
                    dimensions::text from ledger.account where book_id = $1 and code = $2",
        )
        .bind(account.book().value())
        .bind(account.code())
        .fetch_all(&mut conn)
        .await
        .unwrap();
        assert_eq!(found.len(), 1, "{account:?}");
        assert_eq!((found[0].0, found[0].1), (account.id().value(), true), "{account:?} {found:?}");
    }
    let again = account::open(&mut conn, at(9), &by(), &accounts).await.unwrap();
    assert_eq!(again, 0, "what is open is not opened again");
}

#[tokio::test]
async fn a_book_has_the_same_id_in_rust_and_in_sql() {
    let db = database().await;
    let mut conn = db.service().await;
    let long = "x".repeat(200);
    let names = ["acme", "7 متجر القاهرة", "中文店 🧾", "متجر", "Ångström, \"Ltd\" 'x' \\", &long, "é"];
    assert_eq!(book::open(&mut conn, at(0), &by(), &names).await.unwrap(), names.len());
    assert_eq!(book::open(&mut conn, at(0), &by(), &names).await.unwrap(), 0);
    let books = book::all(&mut conn).await.unwrap();
    assert_eq!(books.len(), names.len());
    for Book { id, name, entries, closed_through, .. } in books {
        assert!(names.contains(&name.as_str()));
        assert_eq!((id, entries, closed_through), (BookId::of_name(&name), 0, None), "{name}");
    }
}

#[tokio::test]
async fn a_book_name_that_is_not_plain_is_refused_before_anything_is_written() {
    let db = database().await;
    let mut conn = db.service().await;
    let long = "x".repeat(201);
    for bad in ["", " acme", "-acme", "a\u{1f}b", "a\n", "a\u{85}", "\u{0}", &long] {
        let error = book::open(&mut conn, at(0), &by(), &["fine", bad]).await.unwrap_err();
        assert!(matches!(&error, book::BookError::Name(name) if name == bad), "{bad:?}: {error}");
        if !bad.contains('\0') {
            let raw = sqlx::query("select ledger.open_books(now(), 'raw', array['fine', $1])");
            let raw = raw.bind(bad).execute(&mut conn).await;
            assert!(raw.is_err(), "{bad:?} by raw SQL");
        }
    }
    assert_eq!(count(&mut conn, "select count(*) from ledger.book").await, 0);
}

#[tokio::test]
async fn postgres_and_rust_know_the_same_currencies() {
    let db = database().await;
    let mut conn = db.service().await;
    let mut stored: Vec<(String, i16)> =
        sqlx::query_as("select code, scale from ledger.currency").fetch_all(&mut conn).await.unwrap();
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
        (memo, "is liability; it cannot also be opened as memorandum liability"),
        (floored, "is open with another kind or floor"),
    ] {
        let error = account::open(&mut conn, at(0), &by(), &[wrong]).await.unwrap_err();
        assert!(error.to_string().contains(problem), "{error}");
    }
    let both = [AccountKind::Asset, AccountKind::Expense]
        .map(|kind| Account::new(chart.book, "77", kind, Currency::USD).of("k", kind.as_str()));
    assert!(account::open(&mut conn, at(0), &by(), &both).await.is_err(), "in one batch");
    let other = Account::new(chart.book, "2000", AccountKind::Liability, Currency::EUR).of("p", 3);
    assert_eq!(account::open(&mut conn, at(0), &by(), &[other]).await.unwrap(), 1);
}

#[tokio::test]
async fn what_is_posted_is_read_back_as_it_was() {
    let db = database().await;
    let mut conn = db.service().await;
    let chart = open_one(&mut conn, "acme").await;
    let mut entries = Vec::new();
    for (i, text) in values(60).iter().enumerate() {
        let minor = i64::try_from(i).unwrap() + 2;
        let day = day("1999-12-31") + chrono::Days::new(u64::try_from(i).unwrap() * 500);
        let draft = JournalEntry::draft(chart.book, &key(i), day, text.clone())
            .line(chart.cash.debit(usd(minor)).unwrap())
            .line(chart.cash.debit(usd(5)).unwrap())
            .line(chart.fees.credit(usd(4)).unwrap())
            .line(chart.payable.credit(usd(minor + 1)).unwrap())
            .because_of((0..i % 4).map(|n| Cause::new("order", format!("{n}:{text}"))));
        let draft = if i % 2 == 0 { draft.voucher(Uuid::from_u128(i.try_into().unwrap())) } else { draft };
        entries.push(draft.balance().unwrap());
    }
    let receipts = post_new(&mut conn, &entries).await;
    let asked: Vec<(BookId, EntryId)> = entries.iter().map(|e| (e.book(), e.id())).collect();
    let read = find(&mut conn, &asked).await.unwrap();
    assert_eq!(read.len(), entries.len());
    for ((entry, receipt), read) in entries.iter().zip(receipts).zip(read) {
        assert_eq!((&read.entry, read.number), (entry, receipt.number));
        assert_eq!((read.recorded_at, read.recorded_by), (at(1), by().to_string()));
        assert_eq!(receipt, Receipt { id: entry.id(), book: entry.book(), ..receipt.clone() });
    }
    assert_sound(&mut db.connection().await).await;
}

#[tokio::test]
async fn a_fact_posted_again_gets_its_first_receipt() {
    let db = database().await;
    let mut conn = db.service().await;
    let chart = open_one(&mut conn, "acme").await;
    let entry = chart.sale(1, day("2026-01-05"), 500);
    let first = new(post_one(&mut conn, &entry).await);
    assert_eq!((first.number, first.recorded_at, first.id), (1, at(1), entry.id()));
    let again = ledger::journal::post(&mut conn, at(99), &by(), std::slice::from_ref(&entry)).await;
    assert_eq!(again.unwrap(), [Posted::Replayed(first.clone())]);
    // Also when its month is closed by then.
    period::close(&mut conn, at(100), &by(), "2026-01".parse().unwrap()).await.unwrap();
    assert_eq!(post_one(&mut conn, &entry).await, Posted::Replayed(first));
    assert_eq!(numbers(&mut conn, chart.book).await, [1]);
    assert_eq!(held(&mut conn, &chart.cash).await, 500);
}

#[tokio::test]
async fn the_same_fact_with_another_content_is_a_conflict() {
    let db = database().await;
    let mut conn = db.service().await;
    let chart = open_one(&mut conn, "acme").await;
    let (on, later) = (day("2026-01-05"), day("2026-01-06"));
    let first = new(post_one(&mut conn, &chart.sale(1, on, 500)).await);
    let draft = |text: &str, causes: &[&str]| {
        JournalEntry::draft(chart.book, &key(1), on, text)
            .line(chart.cash.debit(usd(500)).unwrap())
            .line(chart.payable.credit(usd(500)).unwrap())
            .because_of(causes.iter().map(|cause| Cause::new("order", cause)))
    };
    let same = draft("entry 1", &["1"]).balance().unwrap();
    assert_eq!(post_one(&mut conn, &same).await, Posted::Replayed(first.clone()));
    let others = [
        chart.sale(1, on, 501),
        chart.sale(1, later, 500),
        chart.entry(1, on, (&chart.payable, &chart.cash), 500),
        chart.entry(1, on, (&chart.cash, &chart.fees), 500),
        chart.entry(1, on, (&chart.expected, &chart.promised), 500),
        draft("entry 1 ", &["1"]).balance().unwrap(),
        draft("entry 1", &[]).balance().unwrap(),
        draft("entry 1", &["1", "1"]).balance().unwrap(),
        draft("entry 1", &["1"]).voucher(Uuid::nil()).balance().unwrap(),
    ];
    for other in &others {
        let answer = post_one(&mut conn, other).await;
        assert_eq!(answer, Posted::Conflict(first.clone()), "{other:?}");
    }
    let refusal = Posted::Conflict(first).receipt().unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "the same fact stands as number 1 with another content; nothing was posted"
    );
    assert_eq!(numbers(&mut conn, chart.book).await, [1]);
    // The same key in another book is another fact.
    let zoe = open_one(&mut conn, "zoe").await;
    assert_eq!(new(post_one(&mut conn, &zoe.sale(1, on, 7)).await).number, 1);
}

/// One of each refusal, in the order of the enumeration.
async fn refusals(conn: &mut sqlx::PgConnection, chart: &Chart) -> Vec<JournalEntry> {
    let (old, on) = (day("2026-01-31"), day("2026-02-01"));
    let base = [chart.sale("base", on, 500), chart.fund("fund", on, 20)];
    let reversed = base[0].reversal(&key("reversal"), on, "wrong");
    post_new(conn, &base).await;
    post_new(conn, &[reversed]).await;
    period::close(conn, at(50), &by(), "2026-01".parse().unwrap()).await.unwrap();
    let stranger = Chart::of("never opened");
    let unopened = chart.payable.clone().of("publisher", "nobody");
    let euro = Account::new(chart.book, "1000", AccountKind::Asset, Currency::EUR);
    // An account that pretends to hold dollars cannot be made, so an entry in another currency is
    // told apart by its accounts' ids: those of the euro accounts, which are not open.
    let eur = Amount::new(Money::try_from_minor(5, Currency::EUR).unwrap()).unwrap();
    let in_euro = JournalEntry::draft(chart.book, &key("euro"), on, "")
        .line(euro.debit(eur).unwrap())
        .line(euro.clone().of("p", 1).credit(eur).unwrap())
        .balance()
        .unwrap();
    let never = chart.sale("never posted", on, 5);
    vec![
        chart.sale("late", old, 5),
        stranger.sale("stranger", on, 5),
        chart.entry("unopened", on, (&chart.cash, &unopened), 5),
        in_euro,
        chart.draw("draw", on, 21),
        never.reversal(&key("reverse nothing"), on, ""),
        base[0].reversal(&key("twice"), on, ""),
    ]
}

#[tokio::test]
async fn each_refusal_says_what_is_wrong_and_the_way_out() {
    let db = database().await;
    let mut conn = db.service().await;
    let chart = open_one(&mut conn, "acme").await;
    let wrong = refusals(&mut conn, &chart).await;
    let alone: Vec<Refusal> = {
        let mut alone = Vec::new();
        for entry in &wrong {
            alone.push(refused(post_one(&mut conn, entry).await));
        }
        alone
    };
    let mut told: Vec<String> = alone.iter().map(Refusal::to_string).collect();
    let id = wrong[0].id();
    told.push(Refusal::WrongAccount(Currency::USD).to_string());
    told.push(Refusal::NotAMirror(id).to_string());
    let _to = snapshots("ledger");
    insta::assert_snapshot!("refusals", told.join("\n"));
    // The same in one batch, among entries that are fine.
    let on = day("2026-02-02");
    let mut batch = Vec::new();
    for (i, entry) in wrong.iter().enumerate() {
        batch.push(chart.sale(format!("fine {i}"), on, 10));
        batch.push(entry.clone());
    }
    let mut answers = post(&mut conn, &batch).await.into_iter();
    for (i, refusal) in alone.into_iter().enumerate() {
        let number = i64::try_from(i).unwrap() + 4;
        assert_eq!(new(answers.next().unwrap()).number, number, "no number is lost");
        assert_eq!(refused(answers.next().unwrap()), refusal);
    }
    assert_sound(&mut db.connection().await).await;
}

#[tokio::test]
async fn a_batch_without_floors_or_reversals_refuses_as_exactly() {
    let db = database().await;
    let mut conn = db.service().await;
    let chart = open_one(&mut conn, "acme").await;
    let on = day("2026-02-02");
    let unopened = chart.payable.clone().of("publisher", "nobody");
    let batch = [
        chart.sale(1, on, 10),
        Chart::of("stranger").sale(2, on, 10),
        chart.sale(3, on, 10),
        chart.entry(4, on, (&chart.cash, &unopened), 10),
        chart.sale(5, on, 10),
    ];
    let answers = post(&mut conn, &batch).await;
    let numbers: Vec<Option<i64>> =
        answers.iter().map(|a| a.clone().receipt().ok().map(|r| r.number)).collect();
    assert_eq!(numbers, [Some(1), None, Some(2), None, Some(3)]);
    assert_eq!(answers[1], Posted::Refused(Refusal::UnknownBook(BookId::of_name("stranger"))));
    assert_eq!(answers[3], Posted::Refused(Refusal::UnknownAccount(chart.book)));
    assert_eq!(post(&mut conn, &[]).await, []);
    assert_sound(&mut db.connection().await).await;
}

/// One call of `ledger.post` by hand, as no Rust can make it.
async fn by_hand(
    conn: &mut sqlx::PgConnection,
    chart: &Chart,
    id: u128,
    (currency, memo): (&str, bool),
    reverses: Option<EntryId>,
    legs: &[(&Account, i64)],
) -> String {
    let mut legs: Vec<(i64, i64)> = legs.iter().map(|(a, m)| (a.id().value(), *m)).collect();
    legs.sort_unstable();
    sqlx::query_scalar(
        "select outcome from ledger.post(now(), 'hand', array[$1], array[$2], array['k'],
             array[$3], array[$4], array['2026-02-02'::date], array['by hand'], array[''],
             array[$5], array[null::uuid], array[cardinality($6)], $6, $7)",
    )
    .bind(chart.book.value())
    .bind(Uuid::from_u128(id))
    .bind(memo)
    .bind(currency)
    .bind(reverses.map(EntryId::value))
    .bind(legs.iter().map(|leg| leg.0).collect::<Vec<_>>())
    .bind(legs.iter().map(|leg| leg.1).collect::<Vec<_>>())
    .fetch_one(conn)
    .await
    .unwrap_or_else(|error| error.to_string())
}

#[tokio::test]
async fn what_rust_cannot_build_is_refused_by_the_door() {
    let db = database().await;
    let mut conn = db.service().await;
    let chart = open_one(&mut conn, "acme").await;
    let Chart { cash, payable, expected, promised, fees, .. } = &chart;
    let sale = chart.sale("sale", day("2026-02-02"), 500);
    post_new(&mut conn, std::slice::from_ref(&sale)).await;
    let (usd, reverses) = (("USD", false), Some(sale.id()));
    let fine = &[(cash, 5), (payable, -5)][..];
    let refused = |why: &str| format!("refused:{why}");
    for (id, (what, memo), reverses, legs, answer) in [
        (1, usd, None, fine, "posted".to_owned()),
        (2, ("EUR", false), None, fine, refused("wrong_account")),
        (3, ("USD", true), None, fine, refused("wrong_account")),
        (4, usd, None, &[(cash, 5), (promised, -5)], refused("wrong_account")),
        (5, usd, None, &[(expected, 5), (promised, -5)], refused("wrong_account")),
        (6, ("USD", true), None, &[(expected, 5), (promised, -5)], "posted".to_owned()),
        (7, usd, None, &[(cash, 5), (cash, -5)], refused("unknown_account")),
        (8, usd, reverses, &[(cash, 500), (payable, -500)], refused("not_a_mirror")),
        (9, usd, reverses, &[(cash, -499), (payable, 499)], refused("not_a_mirror")),
        (10, usd, reverses, &[(cash, -500), (fees, 500)], refused("not_a_mirror")),
        (11, usd, reverses, &[(cash, -500), (fees, 1), (payable, 499)], refused("not_a_mirror")),
        (12, usd, reverses, &[(cash, -500), (payable, 500)], "posted".to_owned()),
    ] {
        let answered = by_hand(&mut conn, &chart, id, (what, memo), reverses, legs).await;
        assert_eq!(answered, answer, "{id}");
    }
    for (id, legs) in [
        (20, &[(cash, 5), (payable, -4)][..]),
        (21, &[(cash, 5)]),
        (22, &[]),
        (23, &[(cash, 0), (payable, 0)]),
        (24, &[(cash, 5), (payable, -5), (fees, 0)]),
        (25, &[(cash, 5_000_000_000_000_000_000), (payable, -5_000_000_000_000_000_000)]),
    ] {
        let answered = by_hand(&mut conn, &chart, id, usd, None, legs).await;
        assert!(answered.contains("entry_balances"), "{id}: {answered}");
    }
    assert_eq!(numbers(&mut conn, chart.book).await, [1, 2, 3, 4]);
    assert_sound(&mut db.connection().await).await;
}

#[tokio::test]
async fn twins_in_one_batch_are_posted_once() {
    let db = database().await;
    let mut conn = db.service().await;
    let chart = open_one(&mut conn, "acme").await;
    let on = day("2026-01-05");
    let batch = [
        chart.sale(1, on, 500),
        chart.sale(2, on, 5),
        chart.sale(1, on, 500),
        chart.sale(1, on, 501),
        chart.sale(2, on, 5),
    ];
    let answers = post(&mut conn, &batch).await;
    let receipt = |id: u8, number| Receipt {
        id: key(id).entry_id(chart.book),
        book: chart.book,
        number,
        recorded_at: at(1),
    };
    assert_eq!(
        answers,
        [
            Posted::New(receipt(1, 1)),
            Posted::New(receipt(2, 2)),
            Posted::Replayed(receipt(1, 1)),
            Posted::Conflict(receipt(1, 1)),
            Posted::Replayed(receipt(2, 2)),
        ]
    );
    assert_eq!(held(&mut conn, &chart.cash).await, 505);
    assert_sound(&mut db.connection().await).await;
}

#[tokio::test]
async fn a_batch_may_mix_books_days_and_memoranda() {
    let db = database().await;
    let mut conn = db.service().await;
    let charts = open(&mut conn, &["acme", "zoe", "house"]).await;
    let voucher = Uuid::from_u128(7);
    let mut batch = Vec::new();
    for i in 0..90_u8 {
        let chart = &charts[usize::from(i) % 3];
        let on = day("2026-01-05") + chrono::Days::new(u64::from(i % 4));
        let accounts =
            if i % 5 == 0 { (&chart.expected, &chart.promised) } else { (&chart.cash, &chart.fees) };
        let minor = i64::from(i) + 1;
        let draft = JournalEntry::draft(chart.book, &IdempotencyKey::of("span", i), on, "spans")
            .lines([accounts.0.debit(usd(minor)).unwrap(), accounts.1.credit(usd(minor)).unwrap()]);
        batch.push(draft.voucher(voucher).balance().unwrap());
    }
    let receipts = post_new(&mut conn, &batch).await;
    for (i, receipt) in receipts.iter().enumerate() {
        assert_eq!(receipt.number, i64::try_from(i / 3 + 1).unwrap());
        assert_eq!(receipt.book, charts[i % 3].book);
    }
    let related = ledger::journal::related(&mut conn, &[voucher]).await.unwrap();
    assert_eq!(related.len(), 90);
    let page = ledger::journal::page(&mut conn, charts[1].book, 29, 10).await.unwrap();
    assert_eq!(page.iter().map(|e| e.number).collect::<Vec<_>>(), [29, 30]);
    assert!(batch[0].is_memo() && !batch[1].is_memo());
    assert_sound(&mut db.connection().await).await;
}

#[tokio::test]
async fn an_entry_is_reversed_once_unless_its_reversal_is_reversed() {
    let db = database().await;
    let mut conn = db.service().await;
    let chart = open_one(&mut conn, "acme").await;
    let on = day("2026-01-05");
    let sale = chart.sale("sale", on, 500);
    let first = sale.reversal(&key("first"), on, "returned\n");
    assert_eq!((first.reverses(), first.description()), (Some(sale.id()), "returned "));
    let second = sale.reversal(&key("second"), on, "returned twice");
    let undo = first.reversal(&key("undo"), on, "not returned after all");
    let undo_again = first.reversal(&key("undo again"), on, "");
    let redo = undo.reversal(&key("redo"), on, "returned again");
    let gone = || Posted::Refused(Refusal::AlreadyReversed(sale.id()));
    // Across batches.
    post_new(&mut conn, std::slice::from_ref(&sale)).await;
    assert_eq!(new(post_one(&mut conn, &first).await).number, 2);
    assert_eq!(held(&mut conn, &chart.cash).await, 0);
    assert_eq!(post_one(&mut conn, &second).await, gone());
    assert!(matches!(post_one(&mut conn, &first).await, Posted::Replayed(_)));
    post_new(&mut conn, std::slice::from_ref(&undo)).await;
    let undone = post_one(&mut conn, &undo_again).await;
    assert_eq!(undone, Posted::Refused(Refusal::AlreadyReversed(first.id())));
    // The sale is in force again: it may be reversed by either road, and by one only.
    post_new(&mut conn, std::slice::from_ref(&second)).await;
    assert_eq!(held(&mut conn, &chart.cash).await, 0);
    post_new(&mut conn, &[second.reversal(&key("undo second"), on, "")]).await;
    post_new(&mut conn, std::slice::from_ref(&redo)).await;
    assert_eq!(post_one(&mut conn, &sale.reversal(&key("third"), on, "")).await, gone());
    assert_eq!(held(&mut conn, &chart.cash).await, 0);
    // In one batch.
    let other = chart.sale("other", on, 30);
    let back = other.reversal(&key("back"), on, "");
    let forth = back.reversal(&key("forth"), on, "");
    let again = other.reversal(&key("again"), on, "");
    let twice = other.reversal(&key("twice"), on, "");
    let answers = post(&mut conn, &[other.clone(), back, forth, again, twice]).await;
    let posted = answers.iter().filter(|answer| matches!(answer, Posted::New(_))).count();
    assert_eq!(posted, 4);
    assert_eq!(answers[4], Posted::Refused(Refusal::AlreadyReversed(other.id())));
    assert_sound(&mut db.connection().await).await;
}

#[tokio::test]
async fn a_reversal_before_its_entry_in_a_batch_is_refused() {
    let db = database().await;
    let mut conn = db.service().await;
    let chart = open_one(&mut conn, "acme").await;
    let on = day("2026-01-05");
    let sale = chart.sale("sale", on, 500);
    let back = sale.reversal(&key("back"), on, "");
    let answers = post(&mut conn, &[back.clone(), sale.clone(), back]).await;
    assert_eq!(answers[0], Posted::Refused(Refusal::ReversesUnknown(sale.id())));
    assert!(matches!((&answers[1], &answers[2]), (Posted::New(_), Posted::New(_))), "{answers:?}");
}

#[tokio::test]
async fn a_floored_account_is_judged_in_the_order_of_the_batch() {
    let db = database().await;
    let mut conn = db.service().await;
    let chart = open_one(&mut conn, "acme").await;
    let on = day("2026-01-05");
    let answers = post(
        &mut conn,
        &[
            chart.draw("too early", on, 1),
            chart.fund("fund", on, 100),
            chart.draw("some", on, 60),
            chart.draw("too much", on, 41),
            chart.draw("the rest", on, 40),
            chart.draw("nothing left", on, 1),
        ],
    )
    .await;
    let numbers: Vec<Option<i64>> =
        answers.iter().map(|a| a.clone().receipt().ok().map(|r| r.number)).collect();
    assert_eq!(numbers, [None, Some(1), Some(2), None, Some(3), None]);
    let held = |text: &str| Posted::Refused(Refusal::Floor { held: text.to_owned() });
    assert_eq!(answers[3], held("2010 holds 0.40 USD"));
    assert_eq!(answers[5], held("2010 holds 0.00 USD"));
    assert_eq!(holds(&mut conn, &chart.available).await, 0);
    // A reversal is no way around it.
    let fund = chart.fund("fund", on, 100);
    let back = fund.reversal(&key("take back"), on, "");
    assert_eq!(post_one(&mut conn, &back).await, held("2010 holds 0.00 USD"));
    // An account of its own for each publisher is named with its dimensions.
    let own = chart.available.clone().of("publisher", "p\"1");
    account::open(&mut conn, at(2), &by(), std::slice::from_ref(&own)).await.unwrap();
    let refusal = refused(post_one(&mut conn, &chart.entry(9, on, (&own, &chart.cash), 1)).await);
    assert!(refusal.to_string().contains(r#"2010 {"publisher": "p\"1"} holds 0.00 USD"#), "{refusal}");
    assert_sound(&mut db.connection().await).await;
}

#[tokio::test]
async fn an_asset_with_a_floor_cannot_be_overdrawn_either() {
    let db = database().await;
    let mut conn = db.service().await;
    let chart = open_one(&mut conn, "acme").await;
    let bank = Account::new(chart.book, "1010", AccountKind::Asset, Currency::USD).with_floor();
    account::open(&mut conn, at(2), &by(), std::slice::from_ref(&bank)).await.unwrap();
    let on = day("2026-01-05");
    let entry = |id, accounts, minor| chart.entry(id, on, accounts, minor);
    post_new(&mut conn, &[entry(1, (&bank, &chart.fees), 10)]).await;
    let _ = refused(post_one(&mut conn, &entry(2, (&chart.cash, &bank), 11)).await);
    post_new(&mut conn, &[entry(3, (&chart.cash, &bank), 10)]).await;
    assert_eq!(held(&mut conn, &bank).await, 0);
}

/// Raw rows for `ledger.entry`, as somebody with every right would write them.
async fn store(
    conn: &mut sqlx::PgConnection,
    accounts: &str,
    amounts: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into ledger.entry (book_id, number, id, kind, memo, currency, effective_on,
             recorded_at, recorded_by, description, accounts, amounts, causes, fingerprint, hash)
         select 1, 1, gen_random_uuid(), 'k', false, 'USD', '2026-01-01', now(), 'me', '',
                $1::text::bigint[], $2::text::bigint[], '{}', '', ''",
    )
    .bind(accounts)
    .bind(amounts)
    .execute(conn)
    .await
    .map(|_| ())
}

#[tokio::test]
async fn an_unbalanced_entry_cannot_be_stored_by_anybody() {
    let db = database().await;
    let mut conn = db.connection().await;
    let wrong = [
        ("{1,2}", "{5,-4}"),
        ("{1,2}", "{5,5}"),
        ("{}", "{}"),
        ("{1}", "{5}"),
        ("{1}", "{0}"),
        ("{1,2}", "{0,0}"),
        ("{1,2,3}", "{5,-5,0}"),
        ("{1,2,3}", "{5,-5}"),
        ("{1,2}", "{5,-5,0}"),
        ("{1,2,3}", "{5,-5,null}"),
        ("{1,null}", "{5,-5}"),
        ("{1,2}", "{null,null}"),
        ("{{1,2}}", "{{5,-5}}"),
        ("{{1},{2}}", "{{5},{-5}}"),
        ("{1,2}", "{{5,-5}}"),
        ("{2,1}", "{5,-5}"),
        ("{1,1}", "{5,-5}"),
        ("{1,2,2}", "{5,-2,-3}"),
        ("[0:1]={1,2}", "[0:1]={5,-5}"),
        ("[2:3]={1,2}", "[2:3]={5,-5}"),
        ("{1,2}", "{9223372036854775807,-9223372036854775807}"),
        ("{1,2}", "{-9223372036854775808,-9223372036854775808}"),
        ("{1,2,3}", "{4000000000000000000,4000000000000000000,-8000000000000000000}"),
        ("{1,2,3,4}", "{4000000000000000000,4000000000000000000,-4000000000000000000,-4000000000000000000}"),
    ];
    for role in ["counterfoil_owner", "none"] {
        run(&mut conn, &format!("set role {role}")).await.unwrap();
        for (accounts, amounts) in wrong {
            let error = store(&mut conn, accounts, amounts).await.expect_err(amounts);
            let named = error.as_database_error().and_then(|e| e.constraint()) == Some("entry_balances");
            let overflow = error.to_string().contains("bigint out of range");
            assert!(named || overflow, "{accounts} {amounts}: {error}");
        }
        assert_eq!(count(&mut conn, "select count(*) from ledger.entry").await, 0);
    }
    store(&mut conn, "{1,2,3}", "{4000000000000000000,-1,-3999999999999999999}").await.unwrap();
}

#[tokio::test]
async fn a_sum_beyond_the_range_of_a_day_stops_the_batch_and_writes_nothing() {
    let db = database().await;
    let mut conn = db.service().await;
    let chart = open_one(&mut conn, "acme").await;
    let most = 4_000_000_000_000_000_000;
    let on: NaiveDate = day("2026-01-05");
    post_new(&mut conn, &[chart.sale(1, on, most), chart.sale(2, on, most)]).await;
    let third = [chart.sale(3, on, most)];
    let error = ledger::journal::post(&mut conn, at(1), &by(), &third).await.unwrap_err();
    assert!(format!("{error:?}").contains("bigint out of range"), "{error:?}");
    assert_eq!(numbers(&mut conn, chart.book).await, [1, 2]);
    assert_eq!(new(post_one(&mut conn, &chart.sale(4, on, 1)).await).number, 3);
    assert_sound(&mut db.connection().await).await;
}
