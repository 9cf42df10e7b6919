//! Two ledgers: one with everything that could break a file, one small enough to read.

use chrono::{DateTime, Days, NaiveDate, Utc};
use ledger::{Account, AccountKind, Actor, Amount, BookId, Cause, Currency};
use ledger::{IdempotencyKey, JournalEntry, Money, account, book, journal};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use sqlx::PgConnection;

const BOOKS: [&str; 8] = [
    "Acme",
    "Channel Islands",
    "Channel-Islands",
    "7 متجر القاهرة",
    "b 中文店 🧾",
    "Memorandum",
    "3M, Inc; \"UK\" (Ltd) | type:A [2011]",
    "X-x20-\\",
];
const CURRENCIES: [Currency; 4] = [Currency::USD, Currency::JPY, Currency::KWD, Currency::USDT];
const HOSTILE: [&str; 18] = [
    "",
    " ",
    "*",
    "! (code) text",
    "(no code",
    "; comment",
    "a ; b  ; date:2012-01-01",
    "two  spaces",
    "payee | note | more",
    "\"quoted\" and \\ back\\\"",
    "= 12.00 USD",
    "[2012-01-01] [=2012-02-02] [9",
    ":tag: key:: (1/0)",
    "12.00 USD @ 3 EUR {4 EUR}",
    "نص عربي \u{202e}rtl\u{2028}line\u{a0}\u{3000}end",
    "🧾 #tag ^link %41",
    "include /etc/passwd",
    "~ monthly",
];

pub(super) fn day(nth: u64) -> NaiveDate {
    let first = NaiveDate::from_ymd_opt(2011, 1, 1).expect("a day");
    first + Days::new(nth - 1)
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_300_000_000, 123_456_000).expect("a moment")
}

fn amount(minor: i64, currency: Currency) -> Amount {
    Amount::new(Money::try_from_minor(minor, currency).expect("small")).expect("positive")
}

/// The accounts of a book in a currency.
struct Chart {
    cash: Account,
    payable: Account,
    payables: Vec<Account>,
    fees: Account,
    position: Account,
    expected: Account,
    promised: Account,
}

impl Chart {
    fn new(book: BookId, currency: Currency, publishers: &[&str]) -> Chart {
        let account = |code: &'static str, kind| Account::new(book, code, kind, currency);
        let payable = account("2000", AccountKind::Liability);
        Chart {
            cash: account("1000", AccountKind::Asset),
            payables: publishers
                .iter()
                .flat_map(|id| {
                    [
                        payable.clone().of("publisher", id),
                        payable.clone().of("pub_id", id),
                    ]
                })
                .collect(),
            payable,
            fees: account("4000", AccountKind::Revenue),
            position: account("fx.pos_1", AccountKind::Equity),
            expected: account("9100", AccountKind::Asset).memorandum(),
            promised: account("9200", AccountKind::Liability).memorandum(),
        }
    }

    fn all(&self) -> Vec<Account> {
        let single = [&self.cash, &self.payable, &self.fees, &self.position];
        let memo = [&self.expected, &self.promised];
        single
            .into_iter()
            .chain(memo)
            .chain(&self.payables)
            .cloned()
            .collect()
    }
}

async fn open(conn: &mut PgConnection, books: &[&str], charts: &[Chart]) {
    let by = Actor::new("test:fixture@ada, \"x\"; [1]");
    book::open(conn, now(), &by, books)
        .await
        .expect("books open");
    let accounts: Vec<Account> = charts.iter().flat_map(Chart::all).collect();
    account::open(conn, now(), &by, &accounts)
        .await
        .expect("accounts open");
}

async fn post(conn: &mut PgConnection, entries: &[JournalEntry]) {
    let by = Actor::new("test:fixture@ada, \"x\"; [1]");
    for posted in journal::post(conn, now(), &by, entries)
        .await
        .expect("posting")
    {
        posted.receipt().expect("the entry stands");
    }
}

/// Texts from the list and from chance, the same on each run.
fn texts(count: usize) -> Vec<String> {
    let mut runner = TestRunner::deterministic();
    let nasty = prop_oneof!["[ ;|,*!(\\[\\]:=\"\\\\%@#^~{}a1\t-]{0,14}", any::<String>()];
    let chance = (0..count.saturating_sub(HOSTILE.len())).map(|_| {
        // Postgres stores every character but this one.
        nasty
            .new_tree(&mut runner)
            .expect("a text")
            .current()
            .replace('\0', " ")
    });
    HOSTILE
        .iter()
        .map(|text| (*text).to_owned())
        .chain(chance)
        .take(count)
        .collect()
}

/// Eight books, four currencies, hostile names and texts, reversals, vouchers, memorandum entries.
pub(super) async fn everything(conn: &mut PgConnection) {
    let publishers = ["pub-021", "Pub-021", "x; y", "ناشر", "a:b", ""];
    let charts: Vec<Chart> = BOOKS
        .iter()
        .flat_map(|name| CURRENCIES.map(|c| Chart::new(BookId::of_name(name), c, &publishers)))
        .collect();
    open(conn, &BOOKS, &charts).await;
    let mut entries = Vec::new();
    for (at, text) in texts(320).iter().enumerate() {
        let chart = &charts[at % charts.len()];
        let nth = u64::try_from(at).expect("small");
        let minor = i64::try_from(at * at * 37 + 101).expect("small");
        entries.extend(event(chart, text, nth, minor));
    }
    post(conn, &entries).await;
}

/// An approval, and for some a reversal on a later day, a voucher or what was expected before.
fn event(chart: &Chart, text: &str, nth: u64, minor: i64) -> Vec<JournalEntry> {
    let (book, currency) = (chart.cash.book(), chart.cash.currency());
    // Later events may count earlier.
    let on = day(1 + nth * 11 % 28);
    let owed = usize::try_from(nth).expect("small") % (chart.payables.len() + 1);
    let owed = chart.payables.get(owed).unwrap_or(&chart.payable);
    let voucher = uuid::Uuid::from_u128(u128::from(nth / 2));
    let approved = JournalEntry::draft(
        book,
        &IdempotencyKey::of("conversion.approved", nth),
        on,
        text,
    )
    .line(
        chart
            .cash
            .debit(amount(minor, currency))
            .expect("its currency"),
    )
    .line(
        owed.credit(amount(minor - 100, currency))
            .expect("its currency"),
    )
    .line(
        chart
            .fees
            .credit(amount(60, currency))
            .expect("its currency"),
    )
    .line(
        chart
            .position
            .credit(amount(40, currency))
            .expect("its currency"),
    )
    .because(Cause::new("order", nth))
    .because(Cause::new("order", text))
    .because(Cause::new("click", format_args!("{text};{nth}")))
    .because(Cause::new("date", "2012-01-01"))
    .because(Cause::new("Odd kind, really", text))
    .voucher(voucher)
    .balance()
    .expect("balances");
    let mut entries = vec![approved.clone()];
    if nth.is_multiple_of(3) {
        let key = IdempotencyKey::of("odd; kind | \"of\" (fact)", nth);
        entries.push(approved.reversal(&key, on.succ_opt().expect("a day"), text));
    }
    if nth.is_multiple_of(5) {
        entries.push(expectation(chart, text, nth, on));
    }
    entries
}

fn expectation(chart: &Chart, text: &str, nth: u64, on: NaiveDate) -> JournalEntry {
    let money = amount(77, chart.cash.currency());
    let key = IdempotencyKey::of("conversion.pending", nth);
    JournalEntry::draft(chart.cash.book(), &key, on, text)
        .line(chart.expected.debit(money).expect("its currency"))
        .line(chart.promised.credit(money).expect("its currency"))
        .because(Cause::new("order", nth))
        .balance()
        .expect("balances")
}

/// One more entry in the middle of [`everything`].
pub(super) async fn one_more(conn: &mut PgConnection) {
    let chart = Chart::new(BookId::of_name("Acme"), Currency::USD, &["pub-021"]);
    post(conn, &event(&chart, "one more", 100_001, 500)).await;
}

/// An approval in dollars, one in dinars of a brand with an Arabic name, a reversal, a memorandum.
pub(super) async fn small(conn: &mut PgConnection) {
    let (acme, other) = (BookId::of_name("Acme"), BookId::of_name("Souk متجر"));
    let charts = [
        Chart::new(acme, Currency::USD, &["pub-021"]),
        Chart::new(other, Currency::KWD, &[]),
    ];
    open(conn, &["Acme", "Souk متجر"], &charts).await;
    let (dollars, dinars) = (&charts[0], &charts[1]);
    let mut entries = vec![expectation(dollars, "Order 536365 is expected", 1, day(3))];
    entries.extend(event(
        dollars,
        "Commission; \"approved\", order 536365",
        0,
        12_345,
    ));
    entries.extend(event(dinars, "عمولة | order 7", 1, 12_345));
    post(conn, &entries).await;
}
