//! Posting: what is answered to each entry, and what is written.

mod identity;
mod wrong;

use ledger::journal::find;
use ledger::{
    Account, AccountKind, BookId, Cause, Currency, EntryId, IdempotencyKey, JournalEntry, Posted,
    Receipt, Refusal, account, period,
};
use migrations::testing::database;
use uuid::Uuid;

use self::identity::values;
use crate::support::{
    assert_sound, at, by, day, held, holds, key, new, numbers, open, open_one, post, post_new,
    post_one, refused, usd,
};

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
        let draft = if i % 2 == 0 {
            draft.voucher(Uuid::from_u128(i.try_into().unwrap()))
        } else {
            draft
        };
        entries.push(draft.balance().unwrap());
    }
    let receipts = post_new(&mut conn, &entries).await;
    let asked: Vec<(BookId, EntryId)> = entries.iter().map(|e| (e.book(), e.id())).collect();
    let read = find(&mut conn, &asked).await.unwrap();
    assert_eq!(read.len(), entries.len());
    for ((entry, receipt), read) in entries.iter().zip(receipts).zip(read) {
        assert_eq!((&read.entry, read.number), (entry, receipt.number));
        assert_eq!(
            (read.recorded_at, read.recorded_by),
            (at(1), by().to_string())
        );
        assert_eq!(
            receipt,
            Receipt {
                id: entry.id(),
                book: entry.book(),
                ..receipt.clone()
            }
        );
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
    assert_eq!(
        (first.number, first.recorded_at, first.id),
        (1, at(1), entry.id())
    );
    let again = ledger::journal::post(&mut conn, at(99), &by(), std::slice::from_ref(&entry)).await;
    assert_eq!(again.unwrap(), [Posted::Replayed(first.clone())]);
    // Also when its month is closed by then.
    period::close(&mut conn, at(100), &by(), "2026-01".parse().unwrap())
        .await
        .unwrap();
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
    assert_eq!(
        post_one(&mut conn, &same).await,
        Posted::Replayed(first.clone())
    );
    let others = [
        chart.sale(1, on, 501),
        chart.sale(1, later, 500),
        chart.entry(1, on, (&chart.payable, &chart.cash), 500),
        chart.entry(1, on, (&chart.cash, &chart.fees), 500),
        chart.entry(1, on, (&chart.expected, &chart.promised), 500),
        draft("entry 1 ", &["1"]).balance().unwrap(),
        draft("entry 1", &[]).balance().unwrap(),
        draft("entry 1", &["1", "1"]).balance().unwrap(),
        draft("entry 1", &["1"])
            .voucher(Uuid::nil())
            .balance()
            .unwrap(),
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
    assert_eq!(
        new(post_one(&mut conn, &zoe.sale(1, on, 7)).await).number,
        1
    );
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
        let accounts = if i % 5 == 0 {
            (&chart.expected, &chart.promised)
        } else {
            (&chart.cash, &chart.fees)
        };
        let minor = i64::from(i) + 1;
        let draft = JournalEntry::draft(chart.book, &IdempotencyKey::of("span", i), on, "spans")
            .lines([
                accounts.0.debit(usd(minor)).unwrap(),
                accounts.1.credit(usd(minor)).unwrap(),
            ]);
        batch.push(draft.voucher(voucher).balance().unwrap());
    }
    let receipts = post_new(&mut conn, &batch).await;
    for (i, receipt) in receipts.iter().enumerate() {
        assert_eq!(receipt.number, i64::try_from(i / 3 + 1).unwrap());
        assert_eq!(receipt.book, charts[i % 3].book);
    }
    let related = ledger::journal::related(&mut conn, &[voucher])
        .await
        .unwrap();
    assert_eq!(related.len(), 90);
    let page = ledger::journal::page(&mut conn, charts[1].book, 29, 10)
        .await
        .unwrap();
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
    assert_eq!(
        (first.reverses(), first.description()),
        (Some(sale.id()), "returned ")
    );
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
    assert!(matches!(
        post_one(&mut conn, &first).await,
        Posted::Replayed(_)
    ));
    post_new(&mut conn, std::slice::from_ref(&undo)).await;
    let undone = post_one(&mut conn, &undo_again).await;
    assert_eq!(
        undone,
        Posted::Refused(Refusal::AlreadyReversed(first.id()))
    );
    // The sale is in force again: it may be reversed by either road, and by one only.
    post_new(&mut conn, std::slice::from_ref(&second)).await;
    assert_eq!(held(&mut conn, &chart.cash).await, 0);
    post_new(&mut conn, &[second.reversal(&key("undo second"), on, "")]).await;
    post_new(&mut conn, std::slice::from_ref(&redo)).await;
    assert_eq!(
        post_one(&mut conn, &sale.reversal(&key("third"), on, "")).await,
        gone()
    );
    assert_eq!(held(&mut conn, &chart.cash).await, 0);
    // In one batch.
    let other = chart.sale("other", on, 30);
    let back = other.reversal(&key("back"), on, "");
    let forth = back.reversal(&key("forth"), on, "");
    let again = other.reversal(&key("again"), on, "");
    let twice = other.reversal(&key("twice"), on, "");
    let answers = post(&mut conn, &[other.clone(), back, forth, again, twice]).await;
    let posted = answers
        .iter()
        .filter(|answer| matches!(answer, Posted::New(_)))
        .count();
    assert_eq!(posted, 4);
    assert_eq!(
        answers[4],
        Posted::Refused(Refusal::AlreadyReversed(other.id()))
    );
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
    assert_eq!(
        answers[0],
        Posted::Refused(Refusal::ReversesUnknown(sale.id()))
    );
    assert!(
        matches!((&answers[1], &answers[2]), (Posted::New(_), Posted::New(_))),
        "{answers:?}"
    );
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
    let numbers: Vec<Option<i64>> = answers
        .iter()
        .map(|a| a.clone().receipt().ok().map(|r| r.number))
        .collect();
    assert_eq!(numbers, [None, Some(1), Some(2), None, Some(3), None]);
    let held = |text: &str| {
        Posted::Refused(Refusal::Floor {
            held: text.to_owned(),
        })
    };
    assert_eq!(answers[3], held("2010 holds 0.40 USD"));
    assert_eq!(answers[5], held("2010 holds 0.00 USD"));
    assert_eq!(holds(&mut conn, &chart.available).await, 0);
    // A reversal is no way around it.
    let fund = chart.fund("fund", on, 100);
    let back = fund.reversal(&key("take back"), on, "");
    assert_eq!(
        post_one(&mut conn, &back).await,
        held("2010 holds 0.00 USD")
    );
    // An account of its own for each publisher is named with its dimensions.
    let own = chart.available.clone().of("publisher", "p\"1");
    account::open(&mut conn, at(2), &by(), std::slice::from_ref(&own))
        .await
        .unwrap();
    let refusal = refused(post_one(&mut conn, &chart.entry(9, on, (&own, &chart.cash), 1)).await);
    assert!(
        refusal
            .to_string()
            .contains(r#"2010 {"publisher": "p\"1"} holds 0.00 USD"#),
        "{refusal}"
    );
    assert_sound(&mut db.connection().await).await;
}

#[tokio::test]
async fn an_asset_with_a_floor_cannot_be_overdrawn_either() {
    let db = database().await;
    let mut conn = db.service().await;
    let chart = open_one(&mut conn, "acme").await;
    let bank = Account::new(chart.book, "1010", AccountKind::Asset, Currency::USD).with_floor();
    account::open(&mut conn, at(2), &by(), std::slice::from_ref(&bank))
        .await
        .unwrap();
    let on = day("2026-01-05");
    let entry = |id, accounts, minor| chart.entry(id, on, accounts, minor);
    post_new(&mut conn, &[entry(1, (&bank, &chart.fees), 10)]).await;
    let _ = refused(post_one(&mut conn, &entry(2, (&chart.cash, &bank), 11)).await);
    post_new(&mut conn, &[entry(3, (&chart.cash, &bank), 10)]).await;
    assert_eq!(held(&mut conn, &bank).await, 0);
}
