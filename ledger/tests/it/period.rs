//! Closing and reopening months.

use chrono::Days;
use ledger::balance::{AsOf, Grouping, TrialBalanceRow, trial_balance};
use ledger::period::{PeriodError, close, closes, fence, reopen};
use ledger::{Period, Posted, Refusal, account, book, journal};
use migrations::testing::database;
use sqlx::PgConnection;
use tokio::task::JoinSet;

use crate::support::{
    Chart, assert_sound, at, by, day, key, new, open, open_one, post, post_new, post_one, refused,
};

fn month(text: &str) -> Period {
    text.parse().expect("a month")
}

async fn closed(conn: &mut PgConnection, text: &str) -> ledger::period::Close {
    close(conn, at(10), &by(), month(text))
        .await
        .expect("closes")
}

/// A stored trial balance: book, code, debits, credits.
async fn stated(
    conn: &mut PgConnection,
    month: Period,
    version: i32,
) -> Vec<(i64, String, i64, i64)> {
    sqlx::query_as(
        "select book_id, code, debits::bigint, credits::bigint from ledger.period_balance
         where month = $1 and version = $2 and not memo order by 1, 2",
    )
    .bind(month.first_day())
    .bind(version)
    .fetch_all(conn)
    .await
    .expect("a stored trial balance")
}

/// The same from the entries of today.
async fn actual(conn: &mut PgConnection, month: Period) -> Vec<(i64, String, i64, i64)> {
    let as_of = AsOf::day(month.last_day());
    let rows = trial_balance(conn, None, Grouping::PerBook, as_of)
        .await
        .expect("a trial balance");
    let mut rows: Vec<_> = rows
        .into_iter()
        .map(
            |TrialBalanceRow {
                 book, code, sums, ..
             }| {
                let book = ledger::BookId::of_name(&book.expect("per book")).value();
                (book, code, sums.debits.minor(), sums.credits.minor())
            },
        )
        .collect();
    rows.sort();
    rows
}

#[tokio::test]
async fn months_close_in_order() {
    let db = database().await;
    let mut conn = db.service().await;
    open_one(&mut conn, "acme").await;
    assert_eq!(fence(&mut conn).await.unwrap(), None);
    // The first may be any; then each in turn.
    assert_eq!(closed(&mut conn, "2025-11").await.version, 1);
    assert_eq!(fence(&mut conn).await.unwrap(), Some(day("2025-11-30")));
    for (wrong, told) in [
        (
            "2025-11",
            "period 2025-11 is closed already; the next to close is 2025-12",
        ),
        (
            "2025-01",
            "period 2025-01 is closed already; the next to close is 2025-12",
        ),
        (
            "2026-01",
            "period 2026-01 cannot be closed before 2025-12; close 2025-12 first",
        ),
    ] {
        let error = close(&mut conn, at(10), &by(), month(wrong))
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), told);
    }
    closed(&mut conn, "2025-12").await;
    closed(&mut conn, "2026-01").await;
    let books = book::all(&mut conn).await.unwrap();
    assert_eq!(books[0].closed_through, Some(day("2026-01-31")));
    let listed = closes(&mut conn).await.unwrap();
    let listed: Vec<String> = listed.iter().map(|c| c.period.to_string()).collect();
    assert_eq!(listed, ["2026-01", "2025-12", "2025-11"]);
    let raw = sqlx::query("select ledger.close_period(now(), 'x', '2026-02-02')");
    let error = raw.execute(&mut conn).await.unwrap_err().to_string();
    assert!(
        error.contains("a month is named by its first day, not 2026-02-02"),
        "{error}"
    );
}

#[tokio::test]
async fn posting_into_a_closed_month_is_refused_and_the_open_one_is_named() {
    let db = database().await;
    let mut conn = db.service().await;
    let chart = open_one(&mut conn, "acme").await;
    closed(&mut conn, "2026-01").await;
    closed(&mut conn, "2026-02").await;
    for (n, late) in ["2026-02-28", "2026-01-31", "2026-02-01", "1999-01-01"]
        .iter()
        .enumerate()
    {
        let refusal = refused(post_one(&mut conn, &chart.sale(n, day(late), 5)).await);
        let (period, next_open) = (Period::containing(day(late)), month("2026-03"));
        assert_eq!(refusal, Refusal::PeriodClosed { period, next_open });
    }
    // Whatever the session's way of writing days.
    sqlx::raw_sql("set datestyle = 'SQL, DMY'")
        .execute(&mut conn)
        .await
        .unwrap();
    let refusal = refused(post_one(&mut conn, &chart.sale("sql", day("2026-02-28"), 5)).await);
    assert!(
        refusal.to_string().contains("post to 2026-03 or later"),
        "{refusal}"
    );
    sqlx::raw_sql("set datestyle = 'ISO, MDY'")
        .execute(&mut conn)
        .await
        .unwrap();
    assert_eq!(
        new(post_one(&mut conn, &chart.sale("march", day("2026-03-01"), 5)).await).number,
        1
    );
}

#[tokio::test]
async fn a_closed_month_does_not_change() {
    let db = database().await;
    let mut conn = db.service().await;
    let charts = open(&mut conn, &["acme", "zoe"]).await;
    let mut batch = Vec::new();
    for i in 0..40_u64 {
        let (chart, on) = (
            &charts[usize::from(i % 3 == 0)],
            day("2026-01-01") + Days::new(i),
        );
        batch.push(chart.sale(i, on, i64::try_from(i).unwrap() + 1));
        batch.push(chart.entry(format!("m{i}"), on, (&chart.expected, &chart.promised), 3));
    }
    post_new(&mut conn, &batch).await;
    let january = month("2026-01");
    let report = closed(&mut conn, "2026-01").await;
    assert_eq!(report.entries, 80);
    let then = stated(&mut conn, january, 1).await;
    assert_eq!(then.len(), 4);
    assert_eq!(then, actual(&mut conn, january).await);
    assert_eq!(then.iter().map(|row| row.2 - row.3).sum::<i64>(), 0);
    let later: Vec<_> = (0..10)
        .map(|i| charts[0].sale(format!("l{i}"), day("2026-02-20"), 9))
        .collect();
    post_new(&mut conn, &later).await;
    for entry in &batch[..4] {
        let refusal =
            refused(post_one(&mut conn, &entry.reversal(&key("r"), day("2026-01-31"), "")).await);
        assert!(matches!(refusal, Refusal::PeriodClosed { .. }));
    }
    closed(&mut conn, "2026-02").await;
    assert_eq!(then, actual(&mut conn, january).await);
    assert_eq!(then, stated(&mut conn, january, 1).await);
    assert_eq!(
        closes(&mut conn).await.unwrap()[1].trial_balance_hash,
        report.trial_balance_hash
    );
    assert_eq!(
        stated(&mut conn, month("2026-02"), 1).await,
        actual(&mut conn, month("2026-02")).await
    );
    assert_sound(&mut db.connection().await).await;
}

#[tokio::test]
async fn only_the_latest_month_is_reopened_and_only_with_a_reason() {
    let db = database().await;
    let mut conn = db.service().await;
    open_one(&mut conn, "acme").await;
    let error = reopen(&mut conn, at(20), &by(), month("2026-01"), "x")
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "period 2026-01 cannot be reopened; only the latest closed one can, and none is closed"
    );
    closed(&mut conn, "2026-01").await;
    closed(&mut conn, "2026-02").await;
    for wrong in ["2026-01", "2026-03"] {
        let error = reopen(&mut conn, at(20), &by(), month(wrong), "x")
            .await
            .unwrap_err();
        let told =
            format!("period {wrong} cannot be reopened; only the latest closed one can, 2026-02");
        assert_eq!(error.to_string(), told);
    }
    for blank in ["", " \t\n"] {
        let error = reopen(&mut conn, at(20), &by(), month("2026-02"), blank)
            .await
            .unwrap_err();
        assert!(matches!(error, PeriodError::NoReason(_)), "{error}");
    }
    let raw = sqlx::query("select ledger.reopen_period(now(), 'x', '2026-02-01', ' ')");
    let error = raw.execute(&mut conn).await.unwrap_err().to_string();
    assert!(error.contains("needs a reason"), "{error}");
    assert_eq!(
        fence(&mut conn).await.unwrap(),
        Some(day("2026-02-28")),
        "nothing has moved"
    );
}

#[tokio::test]
async fn what_a_reopened_month_stated_is_kept() {
    let db = database().await;
    let mut conn = db.service().await;
    let chart = open_one(&mut conn, "acme").await;
    post_new(&mut conn, &[chart.sale(1, day("2026-01-05"), 100)]).await;
    let january = month("2026-01");
    let first = closed(&mut conn, "2026-01").await;
    let then = stated(&mut conn, january, 1).await;
    reopen(&mut conn, at(20), &by(), january, "an invoice was late")
        .await
        .unwrap();
    assert_eq!(fence(&mut conn).await.unwrap(), None);
    post_new(&mut conn, &[chart.sale(2, day("2026-01-31"), 7)]).await;
    let second = closed(&mut conn, "2026-01").await;
    assert_eq!((first.version, second.version, second.entries), (1, 2, 2));
    assert_ne!(first.trial_balance_hash, second.trial_balance_hash);
    assert_eq!(stated(&mut conn, january, 1).await, then);
    assert_eq!(
        stated(&mut conn, january, 2).await,
        actual(&mut conn, january).await
    );
    let listed = closes(&mut conn).await.unwrap();
    assert_eq!(listed[0], second);
    let reopened = listed[1].reopened.clone().expect("stamped");
    assert_eq!((reopened.at, reopened.by), (at(20), by().to_string()));
    assert_eq!(reopened.because, "an invoice was late");
    assert_eq!(listed[1].trial_balance_hash, first.trial_balance_hash);
    assert_sound(&mut db.connection().await).await;
}

#[tokio::test]
async fn after_all_months_are_reopened_none_is_left_out() {
    let db = database().await;
    let mut conn = db.service().await;
    open_one(&mut conn, "acme").await;
    closed(&mut conn, "2026-02").await;
    closed(&mut conn, "2026-03").await;
    for text in ["2026-03", "2026-02"] {
        reopen(&mut conn, at(20), &by(), month(text), "wrong month")
            .await
            .unwrap();
    }
    let error = close(&mut conn, at(30), &by(), month("2026-03"))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "period 2026-03 cannot be closed before 2026-02; close 2026-02 first"
    );
    // One may begin earlier than at first: a slip of the pen in the first close can be mended.
    assert_eq!(closed(&mut conn, "2026-01").await.version, 1);
    assert_eq!(closed(&mut conn, "2026-02").await.version, 2);
    assert_eq!(closed(&mut conn, "2026-03").await.version, 2);
}

#[tokio::test]
async fn a_book_opened_later_inherits_the_fence() {
    let db = database().await;
    let mut conn = db.service().await;
    open_one(&mut conn, "acme").await;
    closed(&mut conn, "2026-01").await;
    let late = open_one(&mut conn, "late").await;
    let refusal = refused(post_one(&mut conn, &late.sale(1, day("2026-01-31"), 5)).await);
    assert!(matches!(refusal, Refusal::PeriodClosed { .. }));
    let _ = new(post_one(&mut conn, &late.sale(1, day("2026-02-01"), 5)).await);
    reopen(&mut conn, at(20), &by(), month("2026-01"), "for late")
        .await
        .unwrap();
    let _ = new(post_one(&mut conn, &late.sale(2, day("2026-01-31"), 5)).await);
    assert_sound(&mut db.connection().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_posted_while_a_month_closes_is_in_its_report_or_refused() {
    let db = database().await;
    let mut conn = db.service().await;
    let names = ["a", "b", "c", "d"];
    open(&mut conn, &names).await;
    let mut posters = JoinSet::new();
    for i in 0..6_usize {
        let mut conn = db.service().await;
        posters.spawn(async move {
            let (charts, mut posted, mut late) = (names.map(Chart::of), 0, 0);
            for round in 0..400 {
                let on = day("2026-01-31");
                let batch = [0, 1].map(|n| {
                    charts[(i + round * (n + 1)) % 4].sale(format!("{i}.{round}.{n}"), on, 1)
                });
                for answer in post(&mut conn, &batch).await {
                    match answer {
                        Posted::New(_) => posted += 1,
                        Posted::Refused(Refusal::PeriodClosed { .. }) => late += 1,
                        other => panic!("{other:?}"),
                    }
                }
                if late > 20 {
                    break;
                }
            }
            (posted, late)
        });
    }
    tokio::time::sleep(std::time::Duration::from_millis(60)).await;
    let report = closed(&mut conn, "2026-01").await;
    let counts = posters.join_all().await;
    let posted: i64 = counts.iter().map(|count| count.0).sum();
    assert!(
        posted > 0 && counts.iter().all(|count| count.1 > 0),
        "{counts:?}: no race was run"
    );
    assert_eq!(report.entries, posted);
    let january = month("2026-01");
    let then = stated(&mut conn, january, 1).await;
    assert_eq!(then, actual(&mut conn, january).await);
    assert_eq!(then.iter().map(|row| row.2).sum::<i64>(), posted);
    assert_sound(&mut db.connection().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_book_opened_while_a_month_closes_has_its_fence() {
    let db = database().await;
    let mut conn = db.service().await;
    let mut openers = JoinSet::new();
    for i in 0..4 {
        let pool = db.service_pool();
        openers.spawn(async move {
            for round in 0..25 {
                let (name, mut tx) = (format!("{i} {round}"), pool.begin().await.unwrap());
                let chart = Chart::of(&name);
                book::open(&mut tx, at(0), &by(), &[&name]).await.unwrap();
                account::open(&mut tx, at(0), &by(), &chart.accounts())
                    .await
                    .unwrap();
                let sale = [chart.sale(1, day("2026-01-31"), 1)];
                let _ = journal::post(&mut tx, at(1), &by(), &sale).await.unwrap();
                tx.commit().await.unwrap();
            }
        });
    }
    tokio::time::sleep(std::time::Duration::from_millis(40)).await;
    closed(&mut conn, "2026-01").await;
    openers.join_all().await;
    let books = book::all(&mut conn).await.unwrap();
    assert_eq!(books.len(), 100);
    for book in &books {
        assert_eq!(
            book.closed_through,
            Some(day("2026-01-31")),
            "{}",
            book.name
        );
    }
    let (before, after): (Vec<_>, Vec<_>) = books.iter().partition(|book| book.entries > 0);
    assert!(!before.is_empty() && !after.is_empty(), "no race was run");
    let january = month("2026-01");
    assert_eq!(
        stated(&mut conn, january, 1).await,
        actual(&mut conn, january).await
    );
    assert_sound(&mut db.connection().await).await;
}
