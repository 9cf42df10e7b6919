//! What the tests of the ledger share: a small chart of accounts, days, amounts, short ways to
//! post.

#![expect(clippy::panic, reason = "a test that cannot go on has failed")]

use chrono::{DateTime, Duration, NaiveDate, Utc};
use ledger::verify::verify;
use ledger::{
    Account, AccountKind, Actor, Amount, BookId, Cause, Currency, Direction, IdempotencyKey,
    JournalEntry, Money, Posted, Receipt, Refusal, account, book, journal,
};
use sqlx::PgConnection;

/// A day from `2026-01-31`.
pub(crate) fn day(text: &str) -> NaiveDate {
    text.parse().expect("a day")
}

/// A moment, so many seconds after the tests begin.
pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_770_000_000, 123_456_000).expect("a moment")
        + Duration::seconds(seconds)
}

pub(crate) fn by() -> Actor {
    Actor::new("test:ledger@ada")
}

pub(crate) fn money(minor: i64) -> Money {
    Money::try_from_minor(minor, Currency::USD).expect("in range")
}

pub(crate) fn usd(minor: i64) -> Amount {
    Amount::new(money(minor)).expect("positive")
}

pub(crate) fn key(id: impl std::fmt::Display) -> IdempotencyKey {
    IdempotencyKey::of("test.fact", id)
}

/// The accounts of one book.
pub(crate) struct Chart {
    pub(crate) book: BookId,
    pub(crate) cash: Account,
    pub(crate) payable: Account,
    /// It has a floor of zero.
    pub(crate) available: Account,
    pub(crate) fees: Account,
    pub(crate) expected: Account,
    pub(crate) promised: Account,
}

impl Chart {
    pub(crate) fn of(name: &str) -> Chart {
        let book = BookId::of_name(name);
        let account = |code: &'static str, kind| Account::new(book, code, kind, Currency::USD);
        Chart {
            book,
            cash: account("1000", AccountKind::Asset),
            payable: account("2000", AccountKind::Liability).of("publisher", "p1"),
            available: account("2010", AccountKind::Liability).with_floor(),
            fees: account("4000", AccountKind::Revenue),
            expected: account("9100", AccountKind::Asset).memorandum(),
            promised: account("9200", AccountKind::Liability).memorandum(),
        }
    }

    pub(crate) fn accounts(&self) -> [Account; 6] {
        [
            &self.cash,
            &self.payable,
            &self.available,
            &self.fees,
            &self.expected,
            &self.promised,
        ]
        .map(Clone::clone)
    }

    /// An entry of two lines.
    pub(crate) fn entry(
        &self,
        id: impl std::fmt::Display,
        day: NaiveDate,
        (debit, credit): (&Account, &Account),
        minor: i64,
    ) -> JournalEntry {
        JournalEntry::draft(self.book, &key(&id), day, format!("entry {id}"))
            .line(debit.debit(usd(minor)).expect("dollars"))
            .line(credit.credit(usd(minor)).expect("dollars"))
            .because(Cause::new("order", &id))
            .balance()
            .expect("balances")
    }

    /// Cash against payable.
    pub(crate) fn sale(
        &self,
        id: impl std::fmt::Display,
        day: NaiveDate,
        minor: i64,
    ) -> JournalEntry {
        self.entry(id, day, (&self.cash, &self.payable), minor)
    }

    /// Into the account with the floor.
    pub(crate) fn fund(
        &self,
        id: impl std::fmt::Display,
        day: NaiveDate,
        minor: i64,
    ) -> JournalEntry {
        self.entry(id, day, (&self.payable, &self.available), minor)
    }

    /// Out of the account with the floor.
    pub(crate) fn draw(
        &self,
        id: impl std::fmt::Display,
        day: NaiveDate,
        minor: i64,
    ) -> JournalEntry {
        self.entry(id, day, (&self.available, &self.cash), minor)
    }
}

/// Opens books with their charts.
pub(crate) async fn open(conn: &mut PgConnection, names: &[&str]) -> Vec<Chart> {
    book::open(conn, at(0), &by(), names)
        .await
        .expect("books open");
    let charts: Vec<Chart> = names.iter().map(|name| Chart::of(name)).collect();
    let accounts: Vec<Account> = charts.iter().flat_map(Chart::accounts).collect();
    account::open(conn, at(0), &by(), &accounts)
        .await
        .expect("accounts open");
    charts
}

/// Opens one book with its chart.
pub(crate) async fn open_one(conn: &mut PgConnection, name: &str) -> Chart {
    open(conn, &[name]).await.pop().expect("one")
}

pub(crate) async fn post(conn: &mut PgConnection, entries: &[JournalEntry]) -> Vec<Posted> {
    journal::post(conn, at(1), &by(), entries)
        .await
        .expect("postgres answers")
}

pub(crate) async fn post_one(conn: &mut PgConnection, entry: &JournalEntry) -> Posted {
    post(conn, std::slice::from_ref(entry))
        .await
        .pop()
        .expect("one answer")
}

/// The receipts of entries that are all new.
pub(crate) async fn post_new(conn: &mut PgConnection, entries: &[JournalEntry]) -> Vec<Receipt> {
    let posted = post(conn, entries).await;
    posted.into_iter().map(new).collect()
}

#[track_caller]
pub(crate) fn new(posted: Posted) -> Receipt {
    match posted {
        Posted::New(receipt) => receipt,
        other => panic!("not new: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn refused(posted: Posted) -> Refusal {
    match posted {
        Posted::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

/// The numbers of a book's entries, in order.
pub(crate) async fn numbers(conn: &mut PgConnection, book: BookId) -> Vec<i64> {
    sqlx::query_scalar("select number from ledger.entry where book_id = $1 order by number")
        .bind(book.value())
        .fetch_all(conn)
        .await
        .expect("numbers")
}

/// What an account holds, debits less credits in minor units, from its entries alone.
pub(crate) async fn held(conn: &mut PgConnection, account: &Account) -> i64 {
    sqlx::query_scalar(
        "select coalesce(sum(g.amount), 0)::bigint
         from ledger.entry e cross join lateral unnest(e.accounts, e.amounts) g (account, amount)
         where e.book_id = $1 and g.account = $2",
    )
    .bind(account.book().value())
    .bind(account.id().value())
    .fetch_one(conn)
    .await
    .expect("a sum")
}

/// The same on the account's normal side.
pub(crate) async fn holds(conn: &mut PgConnection, account: &Account) -> i64 {
    let side = if account.kind().normal_balance() == Direction::Debit {
        1
    } else {
        -1
    };
    side * held(conn, account).await
}

pub(crate) async fn count(conn: &mut PgConnection, query: &'static str) -> i64 {
    sqlx::query_scalar(query)
        .fetch_one(conn)
        .await
        .expect("a count")
}

/// Runs statements in their simple form; dynamic text comes from the tests alone.
pub(crate) async fn run(conn: &mut PgConnection, sql: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
        .execute(conn)
        .await
        .map(|_| ())
}

/// Everything that is posted holds: numbers, hashes, lines, day sums, floors, closes.
pub(crate) async fn assert_sound(conn: &mut PgConnection) {
    run(conn, "begin isolation level repeatable read, read only")
        .await
        .expect("begins");
    let report = verify(conn, None, |_| ()).await.expect("verify reads");
    run(conn, "commit").await.expect("ends");
    assert_eq!(report.findings, [], "the ledger does not hold");
}
