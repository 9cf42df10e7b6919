//! A small ledger with something of everything, and the hands of a superuser who breaks it.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use ledger::checkpoint::{self, Checkpoint, SigningKey};
use ledger::verify::{Report, VerifyError, verify};
use ledger::{
    Account, AccountKind, Actor, Amount, BookId, Cause, Currency, IdempotencyKey, JournalEntry,
    Money, Period, Posted, account, book, journal, period,
};
use migrations::testing::{TestDatabase, database};
use sqlx::PgConnection;
use uuid::Uuid;

pub(crate) const BOOKS: [&str; 4] = ["house", "acme", "zoé & sons", "empty"];

/// A ledger of three books with entries and one without.
pub(crate) struct Store {
    pub(crate) conn: PgConnection,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) db: TestDatabase,
}

pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(1_770_000_000_123_456).unwrap()
}

pub(crate) fn by() -> Actor {
    Actor::new("test:ledger")
}

pub(crate) fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

pub(crate) fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

pub(crate) fn amount(minor: i64, currency: Currency) -> Amount {
    Amount::new(Money::try_from_minor(minor, currency).unwrap()).unwrap()
}

pub(crate) fn usd(minor: i64) -> Amount {
    amount(minor, Currency::USD)
}

pub(crate) fn receivable(book: &str, currency: Currency) -> Account {
    Account::new(BookId::of_name(book), "1100", AccountKind::Asset, currency)
}

pub(crate) fn payable(book: &str, currency: Currency) -> Account {
    Account::new(
        BookId::of_name(book),
        "2000",
        AccountKind::Liability,
        currency,
    )
    .of("publisher", "søren \"the\" 7th")
}

pub(crate) fn available(book: &str) -> Account {
    Account::new(
        BookId::of_name(book),
        "2010",
        AccountKind::Liability,
        Currency::USD,
    )
    .of("publisher", 7)
    .of("id", 9)
    .with_floor()
}

pub(crate) fn memorandum(book: &str, code: &'static str) -> Account {
    Account::new(
        BookId::of_name(book),
        code,
        AccountKind::Asset,
        Currency::USD,
    )
    .memorandum()
}

pub(crate) fn chart() -> Vec<Account> {
    let of = |book| {
        [Currency::USD, Currency::KWD, Currency::JPY]
            .into_iter()
            .flat_map(move |currency| [receivable(book, currency), payable(book, currency)])
            .chain([
                available(book),
                memorandum(book, "9100"),
                memorandum(book, "9300"),
            ])
    };
    BOOKS.into_iter().flat_map(of).collect()
}

/// One debit, one credit.
pub(crate) fn entry(
    fact: &'static str,
    id: impl std::fmt::Display,
    on: &str,
    debit: &Account,
    credit: &Account,
    amount: Amount,
) -> JournalEntry {
    JournalEntry::draft(
        debit.book(),
        &IdempotencyKey::of(fact, &id),
        day(on),
        format!("N° {id}"),
    )
    .line(debit.debit(amount).unwrap())
    .line(credit.credit(amount).unwrap())
    .because(Cause::new("order", &id))
    .because(Cause::new("click", format!("{id}…")))
    .balance()
    .unwrap()
}

pub(crate) fn sale(book: &str, id: i64, on: &str) -> JournalEntry {
    let currency = Currency::USD;
    entry(
        "sale",
        id,
        on,
        &receivable(book, currency),
        &payable(book, currency),
        usd(1_000 + id),
    )
}

pub(crate) async fn posted(conn: &mut PgConnection, entries: &[JournalEntry]) {
    for answer in journal::post(conn, now(), &by(), entries).await.unwrap() {
        assert!(matches!(answer, Posted::New(_)), "{answer:?}");
    }
}

fn january(book: &str) -> Vec<JournalEntry> {
    let mut entries: Vec<JournalEntry> = (1..=4).map(|id| sale(book, id, "2026-01-31")).collect();
    let (kwd, jpy) = (Currency::KWD, Currency::JPY);
    let voucher = Uuid::from_u128(7);
    entries.push(entry(
        "sale",
        5,
        "2026-01-05",
        &receivable(book, kwd),
        &payable(book, kwd),
        amount(1, kwd),
    ));
    entries.push(entry(
        "sale",
        6,
        "2026-01-06",
        &receivable(book, jpy),
        &payable(book, jpy),
        amount(9, jpy),
    ));
    entries.push(entry(
        "expected",
        1,
        "2026-01-07",
        &memorandum(book, "9100"),
        &memorandum(book, "9300"),
        usd(5),
    ));
    // Three legs, a voucher, no cause.
    let (funded, available) = (payable(book, Currency::USD), available(book));
    let funding = JournalEntry::draft(
        BookId::of_name(book),
        &IdempotencyKey::of("funded", 1),
        day("2026-01-08"),
        "",
    )
    .line(funded.debit(usd(700)).unwrap())
    .line(available.credit(usd(600)).unwrap())
    .line(receivable(book, Currency::USD).credit(usd(100)).unwrap())
    .voucher(voucher);
    entries.push(funding.balance().unwrap());
    let refund = entries[1].reversal(&IdempotencyKey::of("refund", 2), day("2026-01-09"), "back");
    let again = refund.reversal(
        &IdempotencyKey::of("reinstate", 2),
        day("2026-01-10"),
        "after all",
    );
    entries.extend([refund, again]);
    entries.push(entry(
        "paid",
        1,
        "2026-01-11",
        &available,
        &receivable(book, Currency::USD),
        usd(600),
    ));
    entries
}

/// Fourteen entries in `house`, `acme` and `zoé & sons` each, two of them after a checkpoint;
/// January closed, reopened and closed again, February closed.
pub(crate) async fn store() -> Store {
    let db = database().await;
    let mut conn = db.connection().await;
    let conn = &mut conn;
    book::open(conn, now(), &by(), &BOOKS).await.unwrap();
    account::open(conn, now(), &by(), &chart()).await.unwrap();
    let (january_, february): (Period, Period) =
        ("2026-01".parse().unwrap(), "2026-02".parse().unwrap());
    for book in &BOOKS[..3] {
        posted(conn, &january(book)).await;
    }
    checkpoint::take(conn, now(), &by(), "daily", &key())
        .await
        .unwrap();
    let _ = period::close(conn, now(), &by(), january_).await.unwrap();
    period::reopen(conn, now(), &by(), january_, "a late refund")
        .await
        .unwrap();
    for book in &BOOKS[..3] {
        posted(conn, &[sale(book, 20, "2026-01-31")]).await;
    }
    let _ = period::close(conn, now(), &by(), january_).await.unwrap();
    let _ = period::close(conn, now(), &by(), february).await.unwrap();
    let later = now() + TimeDelta::days(1);
    let checkpoint = checkpoint::take(conn, later, &by(), "close", &key())
        .await
        .unwrap();
    for book in &BOOKS[..3] {
        posted(
            conn,
            &[sale(book, 21, "2026-03-01"), sale(book, 22, "2026-03-02")],
        )
        .await;
    }
    let conn = db.connection().await;
    Store {
        conn,
        checkpoint,
        db,
    }
}

/// Verifies in a database transaction of its own, after what a superuser does in it; then all is as
/// before. Nothing that protects the tables is left for the superuser.
pub(crate) async fn broken(
    conn: &mut PgConnection,
    against: Option<&Checkpoint>,
    deeds: &[&str],
) -> Result<Report, VerifyError> {
    run(conn, "begin isolation level repeatable read").await;
    if !deeds.is_empty() {
        run(conn, UNPROTECTED).await;
    }
    for deed in deeds {
        run(conn, deed).await;
    }
    let report = verify(conn, against, |_| ()).await;
    run(conn, "rollback").await;
    report
}

pub(crate) async fn run(conn: &mut PgConnection, sql: &str) {
    let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(conn).await;
    assert!(done.is_ok(), "{sql}: {done:?}");
}

/// Every trigger, constraint and `not null` of the schema is gone.
const UNPROTECTED: &str = "
do $$
declare
    c record;
begin
    for c in select conrelid::regclass as held, conname from pg_constraint
             where connamespace = 'ledger'::regnamespace and contype <> 'n'
             order by contype = 'p', contype = 'u'
    loop
        execute format('alter table %s drop constraint if exists %I cascade', c.held, c.conname);
    end loop;
    for c in select attrelid::regclass as held, attname from pg_attribute
             join pg_class on pg_class.oid = attrelid
             where relnamespace = 'ledger'::regnamespace and relkind = 'r'
               and attnotnull and attnum > 0
    loop
        execute format('alter table %s alter %I drop not null', c.held, c.attname);
    end loop;
    for c in select oid::regclass as held from pg_class
             where relnamespace = 'ledger'::regnamespace and relkind = 'r'
    loop
        execute format('alter table %s disable trigger all', c.held);
    end loop;
    execute 'drop index ledger.period_close_once_open';
end $$";

/// What a careful forger does last: the derived tables fit the entries again.
pub(crate) const REBUILD: &str = "
delete from ledger.line;
insert into ledger.line (book_id, account_id, number, amount, effective_on)
select e.book_id, g.a, e.number, g.m, e.effective_on
from ledger.entry e cross join lateral unnest(e.accounts, e.amounts) g (a, m);
delete from ledger.account_day;
insert into ledger.account_day (book_id, account_id, debits, credits, day, lines)
select book_id, account_id, coalesce(sum(amount) filter (where amount > 0), 0),
       coalesce(-sum(amount) filter (where amount < 0), 0), effective_on, count(*)
from ledger.line group by book_id, account_id, effective_on";

/// And gives every entry a valid fingerprint, number and hash, and every book its head.
pub(crate) const REHASH: &str = "
do $$
declare
    b record;
    e record;
    n bigint;
    f bytea;
    h bytea;
begin
    for b in select * from ledger.book loop
        n := 0;
        h := sha256(convert_to('book' || chr(31) || b.name, 'UTF8'));
        for e in select *, ctid as place from ledger.entry where book_id = b.id order by number loop
            n := n + 1;
            f := ledger.fingerprint(e.book_id, e.id, e.memo, e.effective_on, e.accounts, e.amounts,
                e.kind, e.currency, e.reverses, e.voucher_id, e.causes, e.description);
            h := sha256(h || int8send(n)
                || int8send((extract(epoch from e.recorded_at) * 1000000)::bigint)
                || convert_to(e.recorded_by, 'UTF8') || f);
            update ledger.entry set number = n, fingerprint = f, hash = h where ctid = e.place;
        end loop;
        update ledger.book set next_number = n + 1, head = h where id = b.id;
    end loop;
end $$";

/// And leaves no checkpoint in the database.
pub(crate) const FORGET: &str = "delete from ledger.checkpoint; delete from ledger.checkpoint_book";
