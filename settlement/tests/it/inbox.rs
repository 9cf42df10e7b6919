//! What stores deliver, in whatever order it comes.

use chrono::{DateTime, Duration, Utc};
use ledger::BookId;
use ledger::balance::{self, AsOf, Filter};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use settlement::conversion::{Action, State};
use settlement::fraud::RiskSettings;
use settlement::inbox::connection::{self, ANY_STORE, Asked, Connection};
use settlement::inbox::fact::{About, Delivery, Fact, OrderSeen, Says, Status, What};
use settlement::inbox::{self, Outcome, Received};
use settlement::party::ProgramRef;
use settlement::posting::held::HeldFrom;
use settlement::terms::{RecognitionPoint, Terms};
use settlement::tracking::ClickRef;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::fixture::*;

const CLICK: u128 = 0xc11c;

/// A connection of a program, with a click that its orders name.
async fn connected(conn: &mut PgConnection, program: ProgramRef, store: &str) -> Connection {
    let connection = Connection {
        id: Uuid::new_v5(&Uuid::nil(), store.as_bytes()),
        source: "zid".to_owned(),
        store: store.to_owned(),
        program,
        order_prefix: String::new(),
        secrets: vec!["secret".to_owned()],
        header: None,
        mode: None,
        auto_approve_on_paid: true,
        record_all: false,
    };
    begin(conn).await;
    let added = connection::add(conn, at("2010-12-01 00:00"), &by(), &connection).await;
    assert!(added.unwrap());
    commit(conn).await;
    clicks(conn, &[click(program, CLICK, "v", at("2010-12-01 00:00"))]).await;
    connection
}

fn moment(minutes: i64) -> DateTime<Utc> {
    at("2010-12-01 08:00") + Duration::minutes(minutes)
}

fn delivery(key: &str, order: &str, facts: Vec<Fact>) -> Delivery {
    Delivery {
        key: key.to_owned(),
        topic: "order".to_owned(),
        body_hash: [1; 32],
        says: Says::About(About {
            order: order.to_owned(),
            aliases: Vec::new(),
            facts,
        }),
    }
}

fn seen(minutes: i64, amount: &str) -> Fact {
    Fact {
        at: moment(minutes),
        what: What::Order(OrderSeen {
            placed_at: moment(0),
            amount: amount.to_owned(),
            currency: "USD".to_owned(),
            clicks: vec![Uuid::from_u128(CLICK).to_string()],
            coupons: Vec::new(),
            customer: None,
            lines: Vec::new(),
        }),
    }
}

fn became(minutes: i64, status: Status) -> Fact {
    Fact {
        at: moment(minutes),
        what: What::Status {
            status,
            word: format!("{status:?}"),
        },
    }
}

fn refunded(minutes: i64, reference: &str, amount: &str) -> Fact {
    Fact {
        at: moment(minutes),
        what: What::Refund {
            reference: reference.to_owned(),
            amount: amount.to_owned(),
        },
    }
}

fn refunded_so_far(minutes: i64, refunded: &str, of: &str) -> Fact {
    Fact {
        at: moment(minutes),
        what: What::RefundedSoFar {
            refunded: refunded.to_owned(),
            of: of.to_owned(),
        },
    }
}

async fn receive(conn: &mut PgConnection, to: &Connection, delivery: &Delivery) -> Received {
    let read = |text: &str, _| {
        Some(ClickRef {
            id: text.parse().ok()?,
            claims: None,
        })
    };
    begin(conn).await;
    let received = inbox::receive(
        conn,
        moment(10_000),
        &by(),
        &RiskSettings::default(),
        to,
        delivery,
        &read,
    )
    .await;
    commit(conn).await;
    received.unwrap()
}

/// Delivers facts one by one; returns the state at the end.
async fn told(conn: &mut PgConnection, to: &Connection, facts: &[Fact]) -> Option<State> {
    let mut state = None;
    for (n, fact) in facts.iter().enumerate() {
        let delivery = delivery(&format!("{}/{n}", to.store), "A1", vec![fact.clone()]);
        state = receive(conn, to, &delivery).await.conversion;
    }
    state.map(|conversion| conversion.state)
}

/// What is not zero in a book, account by account.
async fn stands(conn: &mut PgConnection, book: BookId) -> Vec<String> {
    let filter = Filter {
        books: Some(vec![book]),
        ..Filter::default()
    };
    let accounts = balance::accounts(conn, &filter, AsOf::default())
        .await
        .unwrap();
    let balances = accounts.into_iter().map(|account| {
        let balance = account.sums.balance(account.kind).unwrap();
        (!balance.is_zero()).then(|| format!("{} {balance}", account.code))
    });
    balances.flatten().collect()
}

async fn figures(conn: &mut PgConnection, program: ProgramRef) -> Option<(String, i64, i64)> {
    sqlx::query_as("select state, refunded, gross from settlement.conversion where book_id = $1")
        .bind(program.book.value())
        .fetch_optional(conn)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_delivery_that_comes_twice_counts_once() {
    let (_db, mut conn, program) = program(terms()).await;
    let to = connected(&mut conn, program, "1").await;
    let facts = vec![seen(0, "99.00"), became(1, Status::Paid)];
    let first = receive(&mut conn, &to, &delivery("k", "A1", facts.clone())).await;
    let books = (balances(&mut conn).await, heads(&mut conn).await);
    let second = receive(&mut conn, &to, &delivery("k", "A1", facts.clone())).await;
    assert!(!first.replayed && second.replayed);
    assert_eq!(
        (&first.outcome, first.conversion),
        (&second.outcome, second.conversion)
    );
    assert_eq!((balances(&mut conn).await, heads(&mut conn).await), books);
    // The same under another number says nothing new either.
    let third = receive(&mut conn, &to, &delivery("other", "A1", facts)).await;
    assert_eq!(
        third.outcome,
        Outcome::Done {
            steps: vec![],
            notes: vec![]
        }
    );
    assert_eq!((balances(&mut conn).await, heads(&mut conn).await), books);
}

#[tokio::test]
async fn what_comes_before_its_order_waits_and_counts_when_the_order_comes() {
    let (_db, mut conn, program) = program(terms()).await;
    let to = connected(&mut conn, program, "1").await;
    for (key, fact) in [
        ("r", refunded(5, "R1", "9.00")),
        ("p", became(1, Status::Paid)),
    ] {
        let early = receive(&mut conn, &to, &delivery(key, "A1", vec![fact])).await;
        assert_eq!((early.outcome, early.conversion), (Outcome::Waiting, None));
    }
    let order = receive(&mut conn, &to, &delivery("o", "A1", vec![seen(0, "99.00")])).await;
    let steps = ["recorded", "refunded 9.00 USD", "approve"].map(str::to_owned);
    let done = Outcome::Done {
        steps: steps.to_vec(),
        notes: vec![],
    };
    assert_eq!(order.outcome, done);
    let conversion = order.conversion.unwrap();
    assert_eq!(conversion.state, State::Approved);
    assert_eq!(conversion.commission, money("9.00 USD"));
}

#[tokio::test]
async fn an_order_that_names_no_click_is_not_recorded_unless_all_are() {
    let (_db, mut conn, program) = program(terms()).await;
    let mut to = connected(&mut conn, program, "1").await;
    let mut order = seen(0, "99.00");
    if let What::Order(seen) = &mut order.what {
        seen.clicks = vec!["no-click-of-ours".to_owned()];
    }
    let received = receive(&mut conn, &to, &delivery("1", "A1", vec![order.clone()])).await;
    assert_eq!(
        (received.outcome, received.conversion),
        (Outcome::NotReferred, None)
    );
    to.record_all = true;
    let received = receive(&mut conn, &to, &delivery("2", "A1", vec![order])).await;
    assert_eq!(received.conversion.unwrap().state, State::Unattributed);
}

#[tokio::test]
async fn an_alias_brings_what_waited_under_it_to_its_order() {
    let (_db, mut conn, program) = program(terms()).await;
    let to = connected(&mut conn, program, "1").await;
    let refund = delivery("1", "pi_1", vec![refunded_so_far(5, "2475", "9900")]);
    assert_eq!(
        receive(&mut conn, &to, &refund).await.outcome,
        Outcome::Waiting
    );
    let order = delivery("2", "in_1", vec![seen(0, "99.00")]);
    assert!(receive(&mut conn, &to, &order).await.conversion.is_some());
    let mut joined = delivery("3", "in_1", vec![]);
    if let Says::About(about) = &mut joined.says {
        about.aliases = vec!["pi_1".to_owned()];
    }
    let steps = vec!["refunded 24.75 USD".to_owned()];
    let outcome = receive(&mut conn, &to, &joined).await.outcome;
    assert_eq!(
        outcome,
        Outcome::Done {
            steps,
            notes: vec![]
        }
    );
    // And what comes later under the alias is about the order too.
    let later = delivery("4", "pi_1", vec![refunded_so_far(9, "9900", "9900")]);
    let state = receive(&mut conn, &to, &later)
        .await
        .conversion
        .unwrap()
        .state;
    assert_eq!(state, State::Reversed);
}

#[tokio::test]
async fn a_store_takes_back_no_hold_and_no_reversal_but_its_own() {
    let (_db, mut conn, program) = program(terms()).await;
    let to = connected(&mut conn, program, "1").await;
    let order = delivery("1", "A1", vec![seen(0, "99.00")]);
    let it = receive(&mut conn, &to, &order)
        .await
        .conversion
        .unwrap()
        .reference;
    let _ = decided(&mut conn, "2010-12-02 00:00", Action::Hold, &[it]).await;
    let paid = delivery(
        "2",
        "A1",
        vec![became(1, Status::Paid), became(2, Status::Reinstated)],
    );
    let state = receive(&mut conn, &to, &paid)
        .await
        .conversion
        .unwrap()
        .state;
    assert_eq!(
        state,
        State::OnHold(HeldFrom::Pending),
        "somebody suspects fraud"
    );
    let _ = decided(&mut conn, "2010-12-02 00:00", Action::Reverse, &[it]).await;
    let again = delivery("3", "A1", vec![became(5, Status::Reinstated)]);
    let state = receive(&mut conn, &to, &again)
        .await
        .conversion
        .unwrap()
        .state;
    assert_eq!(state, State::Reversed, "somebody took it back");
}

#[tokio::test]
async fn without_automatic_approval_paid_waits_for_review_and_approved_never_goes_back() {
    let (_db, mut conn, program) = program(terms()).await;
    let mut to = connected(&mut conn, program, "1").await;
    to.auto_approve_on_paid = false;
    let paid = delivery("1", "A1", vec![seen(0, "99.00"), became(1, Status::Paid)]);
    let it = receive(&mut conn, &to, &paid).await.conversion.unwrap();
    assert_eq!(it.state, State::Pending);
    let _ = decided(
        &mut conn,
        "2010-12-02 00:00",
        Action::Approve,
        &[it.reference],
    )
    .await;
    let pending = delivery("2", "A1", vec![became(9, Status::Open)]);
    let it = receive(&mut conn, &to, &pending).await.conversion.unwrap();
    assert_eq!(it.state, State::Approved);
}

#[tokio::test]
async fn the_service_can_neither_change_nor_remove_what_was_delivered() {
    let (db, mut conn, program) = program(terms()).await;
    let to = connected(&mut conn, program, "1").await;
    let _ = receive(&mut conn, &to, &delivery("1", "A1", vec![seen(0, "99.00")])).await;
    let mut owner = db.connection().await;
    for statement in [
        "update settlement.inbox set outcome = '{}'",
        "update settlement.inbox set facts = '[]'",
        "delete from settlement.inbox",
        "truncate settlement.inbox",
    ] {
        assert!(
            sqlx::query(statement).execute(&mut conn).await.is_err(),
            "{statement}"
        );
        assert!(
            sqlx::query(statement).execute(&mut owner).await.is_err(),
            "{statement}"
        );
    }
    let mut auditor = db.auditor().await;
    let secrets = sqlx::query("select secrets from settlement.store_connection");
    assert!(secrets.execute(&mut auditor).await.is_err());
    let rest = sqlx::query("select store from settlement.store_connection");
    assert!(rest.execute(&mut auditor).await.is_ok());
}

#[tokio::test]
async fn a_store_of_a_sender_has_one_connection_and_any_store_comes_last() {
    let (_db, mut conn, program) = program(terms()).await;
    let any = connected(&mut conn, program, ANY_STORE).await;
    let one = connected(&mut conn, program, "789").await;
    begin(&mut conn).await;
    let twice = Connection {
        id: Uuid::from_u128(9),
        ..one.clone()
    };
    let added = connection::add(&mut conn, moment(0), &by(), &twice).await;
    assert!(!added.unwrap());
    commit(&mut conn).await;
    let asked = Asked::Source("zid", Some("789"));
    let found = connection::find(&mut conn, asked).await.unwrap();
    assert_eq!(found, [one.clone(), any.clone()]);
    let asked = Asked::Source("zid", Some("790"));
    assert_eq!(connection::find(&mut conn, asked).await.unwrap(), [any]);
    connection::rotate(&mut conn, one.id, "new", false)
        .await
        .unwrap();
    let found = connection::find(&mut conn, Asked::Id(one.id))
        .await
        .unwrap();
    assert_eq!(found[0].secrets, ["new", "secret"]);
    connection::rotate(&mut conn, one.id, "newer", true)
        .await
        .unwrap();
    let found = connection::find(&mut conn, Asked::Id(one.id))
        .await
        .unwrap();
    assert_eq!(found[0].secrets, ["newer"]);
    let listed = connection::list(&mut conn).await.unwrap();
    assert_eq!(listed.len(), 2);
}

/// The life of an order as a store tells it, with the order in which it arrives.
#[derive(Debug, Clone)]
struct Life {
    facts: Vec<Fact>,
    arrival: Vec<usize>,
    recognition: RecognitionPoint,
    auto_approve: bool,
}

fn life() -> impl Strategy<Value = Life> {
    let fact = prop_oneof![
        4 => prop::sample::select(vec![
            Status::Open, Status::Paid, Status::Paid, Status::Disputed, Status::Failed,
            Status::Over, Status::Reinstated,
        ])
        .prop_map(What::of),
        2 => (1_u8..4, 1_u32..4000).prop_map(|(n, cents)| What::Refund {
            reference: format!("R{n}"),
            amount: format!("{}.{:02}", u32::from(n) * 7 + cents / 4000, n),
        }),
        1 => (1_u32..=9900).prop_map(|cents| What::RefundedSoFar {
            refunded: cents.to_string(),
            of: "9900".to_owned(),
        }),
    ];
    let facts = prop::collection::vec((fact, 0_i64..6), 1..7);
    (facts, any::<bool>(), any::<bool>())
        .prop_flat_map(|(later, at_conversion, auto_approve)| {
            let mut facts = vec![seen(0, "99.00")];
            for (what, gap) in later {
                let at = facts.last().unwrap().at + Duration::minutes(gap);
                facts.push(Fact { at, what });
            }
            let arrival: Vec<usize> = (0..facts.len()).collect();
            (
                Just(facts),
                Just(arrival).prop_shuffle(),
                Just((at_conversion, auto_approve)),
            )
        })
        .prop_map(|(facts, arrival, (at_conversion, auto_approve))| Life {
            facts,
            arrival,
            recognition: if at_conversion {
                RecognitionPoint::Conversion
            } else {
                RecognitionPoint::Approval
            },
            auto_approve,
        })
}

trait OfStatus {
    fn of(status: Status) -> What;
}

impl OfStatus for What {
    fn of(status: Status) -> What {
        let word = format!("{status:?}");
        What::Status { status, word }
    }
}

/// Property: however the deliveries of one order arrive, once or twice, state and books end alike.
#[test]
fn in_whatever_order_an_orders_life_arrives_the_books_end_the_same() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (db, _, _) = runtime.block_on(program(terms()));
    let round = std::cell::Cell::new(0);
    let config = Config {
        cases: 60,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let result = runner.run(&life(), |life| {
        round.set(round.get() + 1);
        let mut conn = runtime.block_on(db.service());
        runtime.block_on(compare(&mut conn, &life, round.get()));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

async fn compare(conn: &mut PgConnection, life: &Life, round: usize) {
    let mut ends = Vec::new();
    let straight: Vec<usize> = (0..life.facts.len()).collect();
    let twice: Vec<usize> = life.arrival.iter().flat_map(|n| [*n, *n]).collect();
    for (way, arrival) in [straight, life.arrival.clone(), twice]
        .into_iter()
        .enumerate()
    {
        let name = format!("Brand {round}.{way}");
        let terms = Terms {
            recognition_point: life.recognition,
            ..terms()
        };
        let program = add_program(conn, &name, terms).await;
        let mut to = connected(conn, program, &name).await;
        to.auto_approve_on_paid = life.auto_approve;
        let facts: Vec<Fact> = arrival.iter().map(|n| life.facts[*n].clone()).collect();
        told(conn, &to, &facts).await;
        ends.push((
            figures(conn, program).await,
            stands(conn, program.book).await,
        ));
    }
    assert_eq!(ends[0], ends[1], "shuffled");
    assert_eq!(ends[0], ends[2], "shuffled, each twice");
    assert!(ends[0].0.is_some());
}
