//! What a store is asked to do, good and bad, with the answer that each must get.

use ledger::journal::JournalError;
use ledger::verify::verify;
use ledger::{
    Account, AccountKind, BookId, Currency, IdempotencyKey, JournalEntry, Period, account, book,
    journal, period,
};
use migrations::testing::TestDatabase;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::verify::fixture::{
    available, by, chart, day, entry, memorandum, now, payable, receivable, sale, usd,
};

/// What gave a store away.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Answers that were not the right ones.
    pub(crate) answers: Vec<String>,
    /// What `verify` found afterwards.
    pub(crate) findings: Vec<String>,
}

/// An entry as `ledger.post` takes it, also one that the types of Rust would not build.
#[derive(Clone)]
struct Raw {
    book: &'static str,
    id: Uuid,
    memo: bool,
    currency: &'static str,
    effective: &'static str,
    reverses: Option<Uuid>,
    legs: Vec<(i64, i64)>,
}

/// Asks the store for everything that it must do and everything that it must refuse, then verifies.
pub(crate) async fn exercise(db: &TestDatabase) -> Seen {
    let mut conn = db.service().await;
    let mut seen = Seen::default();
    book::open(&mut conn, now(), &by(), &["house", "acme"])
        .await
        .unwrap();
    account::open(&mut conn, now(), &by(), &opened())
        .await
        .unwrap();
    post(&mut conn, &mut seen).await;
    refuse(&mut conn, &mut seen).await;
    reverse(&mut conn, &mut seen).await;
    close(&mut conn, &mut seen).await;
    sqlx::raw_sql("begin isolation level repeatable read, read only")
        .execute(&mut conn)
        .await
        .unwrap();
    let report = verify(&mut conn, None, |_| ()).await.unwrap();
    seen.findings = report.findings.iter().map(ToString::to_string).collect();
    seen
}

fn opened() -> Vec<Account> {
    let books = [BookId::of_name("house"), BookId::of_name("acme")];
    chart()
        .into_iter()
        .filter(|account| books.contains(&account.book()))
        .collect()
}

/// Posts entries in one database transaction and notes what was not answered as expected.
async fn asks(
    conn: &mut PgConnection,
    seen: &mut Seen,
    entries: &[JournalEntry],
    expected: &[&str],
) {
    let mut tx = conn.begin().await.unwrap();
    let answers = journal::post(&mut tx, now(), &by(), entries).await;
    let answers: Vec<String> = match answers {
        Ok(answers) => answers.iter().map(|answer| format!("{answer:?}")).collect(),
        Err(JournalError::Database(error)) => vec![refused(&error)],
        Err(error) => vec![format!("{error:?}")],
    };
    tx.commit().await.unwrap();
    compare(seen, &answers, expected);
}

/// What Postgres said. A function that does not even run is no broken store.
fn refused(error: &sqlx::Error) -> String {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .unwrap_or_default();
    assert!(!code.starts_with("42"), "the fault does not run: {error}");
    format!("Database {code}")
}

fn compare(seen: &mut Seen, answers: &[String], expected: &[&str]) {
    let fits = answers.len() == expected.len()
        && answers
            .iter()
            .zip(expected)
            .all(|(answer, start)| answer.starts_with(start));
    if !fits {
        seen.answers
            .push(format!("{answers:?} instead of {expected:?}"));
    }
}

async fn asks_raw(conn: &mut PgConnection, seen: &mut Seen, raw: &Raw, expected: &str) {
    let accounts: Vec<i64> = raw.legs.iter().map(|leg| leg.0).collect();
    let amounts: Vec<i64> = raw.legs.iter().map(|leg| leg.1).collect();
    let answer: Result<String, sqlx::Error> = sqlx::query_scalar(
        "select outcome from ledger.post($1, 'test', array[$2], array[$3], array['raw'], array[$4],
             array[$5], array[$6], array['by hand'], array['order:1'], array[$7], array[null::uuid],
             array[cardinality($8::bigint[])], $8, $9)",
    )
    .bind(now())
    .bind(BookId::of_name(raw.book).value())
    .bind(raw.id)
    .bind(raw.memo)
    .bind(raw.currency)
    .bind(day(raw.effective))
    .bind(raw.reverses)
    .bind(accounts)
    .bind(amounts)
    .fetch_one(conn)
    .await;
    compare(
        seen,
        &[answer.unwrap_or_else(|error| refused(&error))],
        &[expected],
    );
}

fn key(fact: &'static str, id: i64) -> IdempotencyKey {
    IdempotencyKey::of(fact, id)
}

async fn post(conn: &mut PgConnection, seen: &mut Seen) {
    let batch = [
        sale("acme", 1, "2026-01-30"),
        sale("house", 1, "2026-01-30"),
        sale("acme", 2, "2026-01-31"),
        sale("acme", 3, "2026-01-31"),
        sale("house", 2, "2026-01-31"),
    ];
    asks(conn, seen, &batch, &["New"; 5]).await;
    asks(conn, seen, &batch, &["Replayed"; 5]).await;
    asks(conn, seen, &[sale("acme", 4, "2026-01-31")], &["New"]).await;
    let usd_of = Currency::USD;
    let (debit, credit) = (receivable("acme", usd_of), payable("acme", usd_of));
    let other = entry("sale", 4, "2026-01-31", &debit, &credit, usd(5));
    asks(conn, seen, &[other], &["Conflict"]).await;
    let twins = [sale("acme", 5, "2026-01-31"), sale("acme", 5, "2026-01-31")];
    asks(conn, seen, &twins, &["New", "Replayed"]).await;
    let memo = entry(
        "expected",
        1,
        "2026-01-31",
        &memorandum("acme", "9100"),
        &memorandum("acme", "9300"),
        usd(70),
    );
    asks(conn, seen, &[memo], &["New"]).await;
    let funded = entry(
        "funded",
        1,
        "2026-01-31",
        &credit,
        &available("acme"),
        usd(100),
    );
    asks(conn, seen, &[funded], &["New"]).await;
    let pay = |id, minor| {
        entry(
            "paid",
            id,
            "2026-01-31",
            &available("acme"),
            &debit,
            usd(minor),
        )
    };
    asks(conn, seen, &[pay(1, 101)], &["Refused(Floor"]).await;
    asks(
        conn,
        seen,
        &[pay(2, 60), pay(3, 60)],
        &["New", "Refused(Floor"],
    )
    .await;
}

async fn refuse(conn: &mut PgConnection, seen: &mut Seen) {
    let usd = Currency::USD;
    let mut legs = vec![
        (receivable("acme", usd).id().value(), 7),
        (payable("acme", usd).id().value(), -7),
    ];
    legs.sort_unstable();
    let raw = Raw {
        book: "acme",
        id: Uuid::from_u128(1),
        memo: false,
        currency: "USD",
        effective: "2026-01-31",
        reverses: None,
        legs,
    };
    let id = Uuid::from_u128;
    let unbalanced = vec![(raw.legs[0].0, 7), (raw.legs[1].0, -8)];
    let stranger = vec![(raw.legs[0].0.min(5), 7), (raw.legs[1].0, -7)];
    let wrong = [
        (
            Raw {
                book: "nobody",
                ..raw.clone()
            },
            "refused:unknown_book",
        ),
        (
            Raw {
                id: id(2),
                legs: stranger,
                ..raw.clone()
            },
            "refused:unknown_account",
        ),
        (
            Raw {
                id: id(3),
                currency: "EUR",
                ..raw.clone()
            },
            "refused:wrong_account",
        ),
        (
            Raw {
                id: id(4),
                memo: true,
                ..raw.clone()
            },
            "refused:wrong_account",
        ),
        (
            Raw {
                id: id(5),
                legs: unbalanced,
                ..raw.clone()
            },
            "Database 23514",
        ),
        (
            Raw {
                id: id(6),
                reverses: Some(id(99)),
                ..raw.clone()
            },
            "refused:reverses_unknown",
        ),
        (raw, "posted"),
    ];
    for (raw, expected) in wrong {
        asks_raw(conn, seen, &raw, expected).await;
    }
}

async fn reverse(conn: &mut PgConnection, seen: &mut Seen) {
    let target = sale("acme", 2, "2026-01-31");
    let on = day("2026-02-01");
    let reversal = target.reversal(&key("refund", 1), on, "back");
    let again = target.reversal(&key("refund", 2), on, "back again");
    asks(conn, seen, std::slice::from_ref(&reversal), &["New"]).await;
    asks(
        conn,
        seen,
        std::slice::from_ref(&again),
        &["Refused(AlreadyReversed"],
    )
    .await;
    let reinstated = reversal.reversal(&key("reinstate", 1), on, "after all");
    asks(conn, seen, &[reinstated], &["New"]).await;
    let legs = sale("acme", 3, "2026-01-31");
    let legs: Vec<(i64, i64)> = legs
        .legs()
        .iter()
        .map(|leg| (leg.account.value(), -2 * leg.minor))
        .collect();
    let raw = Raw {
        book: "acme",
        id: Uuid::from_u128(7),
        memo: false,
        currency: "USD",
        effective: "2026-02-01",
        reverses: Some(sale("acme", 3, "2026-01-31").id().value()),
        legs,
    };
    asks_raw(conn, seen, &raw, "refused:not_a_mirror").await;
}

async fn close(conn: &mut PgConnection, seen: &mut Seen) {
    let january: Period = "2026-01".parse().unwrap();
    let closed = period::close(conn, now(), &by(), january).await;
    note(seen, "closing", closed.is_ok());
    let late = sale("acme", 7, "2026-01-31");
    asks(
        conn,
        seen,
        std::slice::from_ref(&late),
        &["Refused(PeriodClosed"],
    )
    .await;
    book::open(conn, now(), &by(), &["late"]).await.unwrap();
    let asset = Account::new(
        BookId::of_name("late"),
        "1100",
        AccountKind::Asset,
        Currency::USD,
    );
    let revenue = Account::new(
        BookId::of_name("late"),
        "4000",
        AccountKind::Revenue,
        Currency::USD,
    );
    account::open(conn, now(), &by(), &[asset.clone(), revenue.clone()])
        .await
        .unwrap();
    let early = entry("sale", 1, "2026-01-31", &asset, &revenue, usd(1));
    asks(conn, seen, &[early], &["Refused(PeriodClosed"]).await;
    let february = january.next();
    note(
        seen,
        "closing",
        period::close(conn, now(), &by(), february).await.is_ok(),
    );
    let reopened = period::reopen(conn, now(), &by(), february, "a late refund").await;
    note(seen, "reopening", reopened.is_ok());
    asks(conn, seen, &[sale("acme", 8, "2026-02-28")], &["New"]).await;
}

fn note(seen: &mut Seen, what: &str, done: bool) {
    if !done {
        seen.answers.push(format!("{what} failed"));
    }
}
