//! Many at once: one fact, one book, several books, one account with a floor.

use ledger::{Account, IdempotencyKey, JournalEntry, Posted, account, book, journal};
use migrations::testing::{TestDatabase, database};
use sqlx::{Connection, PgConnection};
use tokio::task::JoinSet;

use crate::support::{
    Chart, assert_sound, at, by, count, day, holds, new, numbers, open, open_one, post, post_one,
    usd,
};

/// Each task with a connection of its own, opened before any of them starts.
async fn together<T, F>(
    db: &TestDatabase,
    tasks: usize,
    task: impl Fn(usize, PgConnection) -> F,
) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut set = JoinSet::new();
    let start = std::sync::Arc::new(tokio::sync::Barrier::new(tasks));
    for i in 0..tasks {
        let start = std::sync::Arc::clone(&start);
        let work = task(i, db.service().await);
        set.spawn(async move {
            start.wait().await;
            work.await
        });
    }
    set.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_posters_of_one_key_make_one_entry() {
    let db = database().await;
    let mut conn = db.service().await;
    let chart = open_one(&mut conn, "acme").await;
    let entry = chart.sale("the one", day("2026-01-05"), 500);
    let answers = together(&db, 64, |_, mut conn| {
        let entry = entry.clone();
        async move { post_one(&mut conn, &entry).await }
    })
    .await;
    let fresh = answers
        .iter()
        .filter(|answer| matches!(answer, Posted::New(_)))
        .count();
    let replayed = answers
        .iter()
        .filter(|answer| matches!(answer, Posted::Replayed(_)))
        .count();
    assert_eq!((fresh, replayed), (1, 63));
    let receipts: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.receipt().unwrap())
        .collect();
    assert!(receipts.iter().all(|receipt| *receipt == receipts[0]));
    assert_eq!(numbers(&mut conn, chart.book).await, [1]);
    assert_sound(&mut db.connection().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_posters_on_one_book_leave_no_gap() {
    let db = database().await;
    let mut conn = db.service().await;
    let chart = open_one(&mut conn, "acme").await;
    let mut given = together(&db, 8, |i, mut conn| async move {
        let (chart, mut given) = (Chart::of("acme"), Vec::new());
        for round in 0..12 {
            let day = day("2026-01-05");
            let batch = (0..=i).map(|n| chart.sale(format!("{i}.{round}.{n}"), day, 5));
            // Some of them think better of it: a number that is not committed is not used up.
            let mut tx = conn.begin().await.unwrap();
            let posted = post(&mut tx, &batch.collect::<Vec<_>>()).await;
            if (round + i) % 3 == 0 {
                tx.rollback().await.unwrap();
            } else {
                tx.commit().await.unwrap();
                given.extend(posted.into_iter().map(|posted| new(posted).number));
            }
        }
        given
    })
    .await
    .concat();
    given.sort_unstable();
    assert_eq!(
        given,
        (1..=i64::try_from(given.len()).unwrap()).collect::<Vec<_>>()
    );
    assert_eq!(numbers(&mut conn, chart.book).await, given);
    assert_sound(&mut db.connection().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn batches_over_several_books_never_deadlock() {
    let db = database().await;
    let mut conn = db.service().await;
    let names = ["a", "b", "c", "d", "e", "f"];
    open(&mut conn, &names).await;
    let posted = together(&db, 8, |i, mut conn| async move {
        let charts = names.map(Chart::of);
        let mut posted = 0;
        for round in 0..25_usize {
            // Each batch passes the books in another order, forwards and backwards.
            let batch: Vec<JournalEntry> = (0..12)
                .map(|n| {
                    let book = if i % 2 == 0 {
                        n * 5 + round
                    } else {
                        600 + i - n - round
                    };
                    let id = format!("{i}.{round}.{n}");
                    charts[book % 6].sale(id, day("2026-01-05"), 1)
                })
                .collect();
            posted += post(&mut conn, &batch).await.into_iter().map(new).count();
        }
        posted
    })
    .await;
    assert_eq!(posted.iter().sum::<usize>(), 8 * 25 * 12);
    assert_sound(&mut db.connection().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn those_who_open_accounts_and_then_post_never_deadlock() {
    let db = database().await;
    let mut conn = db.service().await;
    open(&mut conn, &["a", "b"]).await;
    // Both hold a key share on the book whose account they opened, then post to both books.
    let opened = std::sync::Arc::new(tokio::sync::Barrier::new(2));
    let done = together(&db, 2, |i, mut conn| {
        let opened = std::sync::Arc::clone(&opened);
        async move {
            let charts = ["a", "b"].map(Chart::of);
            let mut tx = conn.begin().await.unwrap();
            let own: Account = charts[1 - i].payable.clone().of("publisher", i);
            account::open(&mut tx, at(0), &by(), std::slice::from_ref(&own))
                .await
                .unwrap();
            opened.wait().await;
            let on = day("2026-01-05");
            let batch = [
                charts[1 - i].entry(i, on, (&charts[1 - i].cash, &own), 1),
                charts[i].sale(i, on, 1),
            ];
            let posted = journal::post(&mut tx, at(1), &by(), &batch).await;
            let posted = posted.map(|posted| posted.into_iter().map(new).count());
            tx.commit().await.unwrap();
            posted
        }
    })
    .await;
    assert!(
        done.iter().all(|posted| matches!(posted, Ok(2))),
        "{done:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn those_who_open_the_same_books_and_accounts_wait_for_each_other() {
    let db = database().await;
    let mut conn = db.service().await;
    let opened = together(&db, 8, |i, mut conn| async move {
        let mut opened = (0, 0);
        for round in 0..6 {
            let mut names: Vec<String> = (0..10).map(|n| format!("book {round} {n}")).collect();
            names.rotate_left(i);
            if i % 2 == 0 {
                names.reverse();
            }
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            opened.0 += book::open(&mut conn, at(0), &by(), &names).await.unwrap();
            let accounts: Vec<Account> = names
                .iter()
                .flat_map(|name| Chart::of(name).accounts())
                .collect();
            opened.1 += account::open(&mut conn, at(0), &by(), &accounts)
                .await
                .unwrap();
        }
        opened
    })
    .await;
    assert_eq!(opened.iter().map(|opened| opened.0).sum::<usize>(), 60);
    assert_eq!(opened.iter().map(|opened| opened.1).sum::<i32>(), 360);
    assert_eq!(
        count(&mut conn, "select count(*) from ledger.account").await,
        360
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_who_draw_on_one_account_never_overdraw_it() {
    let db = database().await;
    let mut conn = db.service().await;
    let chart = open_one(&mut conn, "acme").await;
    let _ = new(post_one(&mut conn, &chart.fund("fund", day("2026-01-05"), 100)).await);
    let drawn = together(&db, 16, |i, mut conn| async move {
        let (chart, mut drawn) = (Chart::of("acme"), 0);
        for round in 0..10_usize {
            let minor = i64::try_from(1 + (i + round) % 5).unwrap();
            let day = day("2026-01-05") + chrono::Days::new(u64::try_from(round % 3).unwrap());
            let batch = [0, 1].map(|n| chart.draw(format!("{i}.{round}.{n}"), day, minor));
            for posted in post(&mut conn, &batch).await {
                drawn += if matches!(posted, Posted::New(_)) {
                    minor
                } else {
                    0
                };
            }
        }
        drawn
    })
    .await;
    let left = holds(&mut conn, &chart.available).await;
    assert_eq!(left, 100 - drawn.iter().sum::<i64>());
    assert_eq!(left, 0, "what was left was always enough for a draw of one");
    assert_sound(&mut db.connection().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_entry_is_reversed_once_whoever_is_first() {
    let db = database().await;
    let mut conn = db.service().await;
    let chart = open_one(&mut conn, "acme").await;
    let sale = chart.sale("sale", day("2026-01-05"), 500);
    let _ = new(post_one(&mut conn, &sale).await);
    let answers = together(&db, 16, |i, mut conn| {
        let key = IdempotencyKey::of("refund", i);
        let reversal = sale.reversal(&key, day("2026-01-06"), "returned");
        async move { post_one(&mut conn, &reversal).await }
    })
    .await;
    let fresh = answers
        .iter()
        .filter(|answer| matches!(answer, Posted::New(_)))
        .count();
    assert_eq!(fresh, 1, "{answers:?}");
    assert_eq!(numbers(&mut conn, chart.book).await, [1, 2]);
}

#[tokio::test]
async fn a_stale_snapshot_is_refused_rather_than_believed() {
    let db = database().await;
    let (mut stale, mut other) = (db.service().await, db.service().await);
    let chart = open_one(&mut other, "acme").await;
    let _ = new(post_one(&mut other, &chart.fund("fund", day("2026-01-05"), 10)).await);
    let mut tx = stale
        .begin_with("begin isolation level repeatable read")
        .await
        .unwrap();
    assert_eq!(numbers(&mut tx, chart.book).await, [1]);
    let _ = new(post_one(&mut other, &chart.draw("first", day("2026-01-05"), 10)).await);
    let draw = JournalEntry::draft(
        chart.book,
        &IdempotencyKey::of("x", 1),
        day("2026-01-05"),
        "",
    )
    .line(chart.available.debit(usd(10)).unwrap())
    .line(chart.cash.credit(usd(10)).unwrap())
    .balance()
    .unwrap();
    let error = journal::post(&mut tx, at(1), &by(), &[draw])
        .await
        .unwrap_err();
    assert!(
        format!("{error:?}").contains("could not serialize access"),
        "{error:?}"
    );
    drop(tx);
    assert_eq!(holds(&mut other, &chart.available).await, 0);
}
