//! A network with a brand, a program and a publisher, and the few words tests are written in.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use ledger::{Actor, Amount, Currency, Money, Rate, Rounding};
use migrations::testing::TestDatabase;
use settlement::attribution::AttributionTerms;
use settlement::commission::{CommissionRule, Percentage};
use settlement::conversion::{
    self, Action, Changed, ConversionRef, Decision, Order, Recorded, Refund, Refunded, decide,
    record, refund,
};
use settlement::fees::FeeModel;
use settlement::party::{self, NewParty, NewProgram, ProgramRef};
use settlement::rules::Rules;
use settlement::terms::{Presentation, RecognitionPoint, Terms, Unattributed};
use settlement::tracking::{self, Click};
use settlement::{close, network};
use sqlx::PgConnection;
use uuid::Uuid;

pub(crate) const BRAND: &str = "Acme";
pub(crate) const PUBLISHER: Uuid = Uuid::from_u128(0x50);

pub(crate) fn by() -> Actor {
    Actor::new("test")
}

/// A moment, UTC: `at("2010-12-01 08:26")`.
pub(crate) fn at(text: &str) -> DateTime<Utc> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M")
        .unwrap()
        .and_utc()
}

pub(crate) fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

pub(crate) fn money(text: &str) -> Money {
    text.parse().unwrap()
}

pub(crate) fn amount(text: &str) -> Amount {
    Amount::new(money(text)).unwrap()
}

pub(crate) fn percent(text: &str) -> CommissionRule {
    let rate = text.parse::<Rate>().unwrap();
    CommissionRule::Percentage(Percentage { rate })
}

/// Ten percent, two-sided fee of twenty, US dollars, from 2010 on.
pub(crate) fn terms() -> Terms {
    Terms {
        effective_from: at("2010-01-01 00:00"),
        currency: Currency::USD,
        rule: percent("10%"),
        fee_model: FeeModel::TwoSided {
            rate: "20%".parse().unwrap(),
        },
        rounding: Rounding::HalfUp,
        recognition_point: RecognitionPoint::Approval,
        presentation: Presentation::Agent,
        unattributed: Unattributed::RecordOnly,
        lookback_days: 30,
        attribution: AttributionTerms::default(),
        rules: Rules::default(),
    }
}

/// A database with the network `Spider` (UTC) in it.
pub(crate) async fn network() -> TestDatabase {
    let db = migrations::testing::database().await;
    let mut conn = db.service().await;
    begin(&mut conn).await;
    network::create(
        &mut conn,
        at("2010-01-01 00:00"),
        &by(),
        "Spider",
        chrono_tz::UTC,
    )
    .await
    .unwrap();
    commit(&mut conn).await;
    db
}

/// The network with [`BRAND`], its program on these terms, and [`PUBLISHER`] enrolled in it.
pub(crate) async fn program(terms: Terms) -> (TestDatabase, PgConnection, ProgramRef) {
    let db = network().await;
    let mut conn = db.service().await;
    let program = add_program(&mut conn, BRAND, terms).await;
    (db, conn, program)
}

/// A brand with one program on these terms; [`PUBLISHER`] is enrolled in it.
pub(crate) async fn add_program(conn: &mut PgConnection, brand: &str, terms: Terms) -> ProgramRef {
    let now = at("2010-01-01 00:00");
    let party = |name: &str| NewParty {
        id: Uuid::new_v5(&Uuid::nil(), name.as_bytes()),
        name: name.to_owned(),
    };
    let id = party(&format!("{brand} program")).id;
    let publisher = NewParty {
        id: PUBLISHER,
        name: "Pat".to_owned(),
    };
    begin(conn).await;
    party::create_brands(conn, now, &by(), &[party(brand)])
        .await
        .unwrap();
    party::create_publishers(conn, now, &by(), &[publisher])
        .await
        .unwrap();
    let new = NewProgram {
        id,
        brand: brand.to_owned(),
        name: "Main".to_owned(),
        terms,
    };
    party::create_programs(conn, now, &by(), &[new])
        .await
        .unwrap();
    let book = party::brands_by_name(conn).await.unwrap()[brand].1;
    let program = ProgramRef { book, id };
    party::enrol(conn, now, &by(), &[(program, PUBLISHER)])
        .await
        .unwrap();
    commit(conn).await;
    program
}

pub(crate) async fn begin(conn: &mut PgConnection) {
    sqlx::query("begin").execute(conn).await.unwrap();
}

pub(crate) async fn commit(conn: &mut PgConnection) {
    sqlx::query("commit").execute(conn).await.unwrap();
}

/// An order that names [`PUBLISHER`] itself.
pub(crate) fn order(program: ProgramRef, reference: &str, when: &str, worth: &str) -> Order {
    Order {
        publisher: Some(PUBLISHER),
        ..Order::new(program, reference, at(when), amount(worth))
    }
}

pub(crate) fn click(program: ProgramRef, id: u128, visitor: &str, when: DateTime<Utc>) -> Click {
    Click {
        visitor: Some(visitor.to_owned()),
        ..Click::new(Uuid::from_u128(id), program, PUBLISHER, when)
    }
}

pub(crate) fn a_refund(reference: &str, order: &str, when: &str, worth: &str) -> Refund {
    Refund {
        refund_ref: reference.to_owned(),
        order_ref: Some(order.to_owned()),
        book: None,
        occurred_at: at(when),
        amount: amount(worth),
        reason: None,
        note: String::new(),
    }
}

pub(crate) async fn clicks(conn: &mut PgConnection, clicks: &[Click]) -> u64 {
    begin(conn).await;
    let new = tracking::record(conn, at("2010-12-01 00:00"), &by(), clicks)
        .await
        .unwrap();
    commit(conn).await;
    new
}

/// Records orders in one database transaction.
pub(crate) async fn orders(conn: &mut PgConnection, now: &str, orders: &[Order]) -> Vec<Recorded> {
    begin(conn).await;
    let answers = record(conn, at(now), &by(), orders).await.unwrap();
    commit(conn).await;
    answers
}

/// Records one order and returns its conversion.
pub(crate) async fn recorded(conn: &mut PgConnection, order: Order) -> ConversionRef {
    let now = order.occurred_at;
    begin(conn).await;
    let answers = record(conn, now, &by(), &[order]).await.unwrap();
    commit(conn).await;
    match answers.as_slice() {
        [Recorded::New(reference, _)] => *reference,
        other => panic!("not recorded: {other:?}"),
    }
}

pub(crate) async fn refunds(
    conn: &mut PgConnection,
    now: &str,
    refunds: &[Refund],
) -> Vec<Refunded> {
    begin(conn).await;
    let answers = refund(conn, at(now), &by(), refunds).await.unwrap();
    commit(conn).await;
    answers
}

/// Decides in one database transaction.
pub(crate) async fn decided(
    conn: &mut PgConnection,
    now: &str,
    action: Action,
    conversions: &[ConversionRef],
) -> Vec<Changed> {
    let decision = Decision {
        action,
        reason: "because".to_owned(),
    };
    begin(conn).await;
    let answers = decide(conn, at(now), &by(), &decision, conversions)
        .await
        .unwrap();
    commit(conn).await;
    answers
}

pub(crate) async fn closed(conn: &mut PgConnection, now: &str, month: &str) -> close::Closed {
    begin(conn).await;
    let closed = close::close(conn, at(now), &by(), month.parse().unwrap())
        .await
        .unwrap();
    commit(conn).await;
    closed
}

pub(crate) async fn parked(conn: &mut PgConnection) -> Vec<conversion::parked::ParkedRefund> {
    conversion::parked::waiting(conn, 100).await.unwrap()
}

/// Balances that are not zero, on their normal side: `2000 7.92 USD`.
pub(crate) async fn balances(conn: &mut PgConnection) -> Vec<String> {
    let filter = ledger::balance::Filter::default();
    let accounts = ledger::balance::accounts(conn, &filter, ledger::balance::AsOf::default());
    accounts
        .await
        .unwrap()
        .into_iter()
        .map(|account| (account.sums.balance(account.kind).unwrap(), account.code))
        .filter(|(balance, _)| !balance.is_zero())
        .map(|(balance, code)| format!("{code} {balance}"))
        .collect()
}

/// Every book's name, number of entries and hash of the latest.
pub(crate) async fn heads(conn: &mut PgConnection) -> Vec<(String, i64, Vec<u8>)> {
    let books = ledger::book::all(conn).await.unwrap();
    books
        .into_iter()
        .map(|book| (book.name, book.entries, book.head))
        .collect()
}
