//! Signs of fraud: seen, kept once, held.

use settlement::conversion::{
    Action, Changed, ConversionRef, Details, Order, Recorded, State, take,
};
use settlement::fraud::{self, MarkKind, RiskSettings, assess};
use settlement::party::ProgramRef;
use settlement::posting::held::HeldFrom;
use settlement::reconcile::differences;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::fixture::*;

async fn taken(conn: &mut PgConnection, risk: &RiskSettings, batch: &[Order]) -> Vec<State> {
    let now = batch.last().unwrap().occurred_at;
    begin(conn).await;
    let answers = take(conn, now, &by(), risk, batch).await.unwrap();
    commit(conn).await;
    let state = |answer| match answer {
        Recorded::New(_, state) => state,
        other => panic!("not new: {other:?}"),
    };
    answers.into_iter().map(state).collect()
}

fn of_click(program: ProgramRef, n: u32, when: &str) -> Order {
    Order {
        publisher: None,
        click: Some(Uuid::from_u128(7)),
        ..order(program, &format!("A{n}"), when, "99.00 USD")
    }
}

async fn state(conn: &mut PgConnection, order_ref: &str) -> String {
    sqlx::query_scalar("select state from settlement.conversion where order_ref = $1")
        .bind(order_ref)
        .fetch_one(conn)
        .await
        .unwrap()
}

const HELD: State = State::OnHold(HeldFrom::Pending);

#[tokio::test]
async fn the_third_order_of_a_click_within_ten_minutes_holds_all_three_also_the_approved_one() {
    let (_db, mut conn, program) = program(terms()).await;
    let risk = RiskSettings::default();
    let _ = clicks(&mut conn, &[click(program, 7, "v", at("2010-12-01 08:00"))]).await;
    let first = taken(
        &mut conn,
        &risk,
        &[of_click(program, 1, "2010-12-01 08:20")],
    )
    .await;
    assert_eq!(first, [State::Pending]);
    let it = ConversionRef::of_order(program, "A1");
    let _ = decided(&mut conn, "2010-12-01 08:21", Action::Approve, &[it]).await;
    let second = taken(
        &mut conn,
        &risk,
        &[of_click(program, 2, "2010-12-01 08:25")],
    )
    .await;
    assert_eq!(second, [State::Pending], "two are not too many");
    let third = taken(
        &mut conn,
        &risk,
        &[of_click(program, 3, "2010-12-01 08:30")],
    )
    .await;
    assert_eq!(third, [HELD]);
    for held in ["A1", "A2", "A3"] {
        assert_eq!(state(&mut conn, held).await, "on_hold");
    }
    // The approved share moved from 2000 to 2030, the expected ones from 9200 to 9210.
    assert_eq!(
        balances(&mut conn).await,
        [
            "1110 11.88 USD",
            "2030 7.92 USD",
            "4000 1.98 USD",
            "4010 1.98 USD",
            "9100 23.76 USD",
            "9210 15.84 USD",
            "9300 7.92 USD",
        ]
    );
    let reason: String = sqlx::query_scalar(
        "select reason from settlement.change where conversion_id = $1 and action = 'hold'",
    )
    .bind(it.id)
    .fetch_one(&mut conn)
    .await
    .unwrap();
    assert_eq!(
        reason,
        "risk score 70: HIGH_FREQUENCY_ORDERS (3 or more orders of one click within 10 minutes)"
    );
    // Somebody looked at the first one; neither asking again nor a fourth order holds it again.
    let _ = decided(&mut conn, "2010-12-01 08:31", Action::Release, &[it]).await;
    begin(&mut conn).await;
    let again = assess(&mut conn, at("2010-12-01 08:31"), &by(), &risk, &[it])
        .await
        .unwrap();
    commit(&mut conn).await;
    assert_eq!(again, []);
    let fourth = taken(
        &mut conn,
        &risk,
        &[of_click(program, 4, "2010-12-01 08:30")],
    )
    .await;
    assert_eq!(fourth, [HELD]);
    assert_eq!(state(&mut conn, "A1").await, "approved");
    let signals = fraud::signals_of(&mut conn, it).await.unwrap();
    assert_eq!(signals.len(), 1, "once");
    assert_eq!(
        signals[0].evidence["orders"],
        serde_json::json!(["A1", "A2", "A3"])
    );
    assert_eq!(differences(&mut conn).await.unwrap(), []);
}

#[tokio::test]
async fn three_orders_in_one_batch_are_held_and_eleven_minutes_are_too_far_apart() {
    let (_db, mut conn, program) = program(terms()).await;
    let _ = clicks(&mut conn, &[click(program, 7, "v", at("2010-12-01 08:00"))]).await;
    let far = ["08:20", "08:25", "08:31"].map(|time| format!("2010-12-01 {time}"));
    let far: Vec<Order> = far
        .iter()
        .zip(1..)
        .map(|(when, n)| of_click(program, n, when))
        .collect();
    let states = taken(&mut conn, &RiskSettings::default(), &far).await;
    assert_eq!(states, [State::Pending; 3]);
    let near: Vec<Order> = (4..7)
        .map(|n| of_click(program, n, "2010-12-02 08:20"))
        .collect();
    let states = taken(&mut conn, &RiskSettings::default(), &near).await;
    assert_eq!(states, [HELD; 3]);
}

#[tokio::test]
async fn settings_decide_whether_and_from_when_on_orders_are_held() {
    let (_db, mut conn, program) = program(terms()).await;
    let _ = clicks(&mut conn, &[click(program, 7, "v", at("2010-12-01 08:00"))]).await;
    let batch = |from: u32, when: &str| -> Vec<Order> {
        (from..from + 3)
            .map(|n| of_click(program, n, when))
            .collect()
    };
    let off = RiskSettings {
        enabled: false,
        ..RiskSettings::default()
    };
    let states = taken(&mut conn, &off, &batch(1, "2010-12-01 08:20")).await;
    assert_eq!(states, [State::Pending; 3]);
    let high = RiskSettings {
        score_threshold: 71,
        ..RiskSettings::default()
    };
    let states = taken(&mut conn, &high, &batch(4, "2010-12-02 08:20")).await;
    assert_eq!(states, [State::Pending; 3], "seen, and not held");
    let it = ConversionRef::of_order(program, "A4");
    assert_eq!(fraud::signals_of(&mut conn, it).await.unwrap().len(), 1);
    let four = RiskSettings {
        order_threshold: 4,
        ..RiskSettings::default()
    };
    let states = taken(&mut conn, &four, &batch(7, "2010-12-03 08:20")).await;
    assert_eq!(states, [State::Pending; 3]);
}

#[tokio::test]
async fn orders_alike_add_up_to_a_hold() {
    let (_db, mut conn, program) = program(terms()).await;
    let alike = |n: u32, ip: &str| Order {
        details: Details {
            ip_hash: Some(ip.to_owned()),
            user_agent: Some("Mozilla/5.0".to_owned()),
            ..Details::default()
        },
        ..order(program, &format!("A{n}"), "2010-12-01 08:20", "99.00 USD")
    };
    let batch: Vec<Order> = (1..4).map(|n| alike(n, "aa")).collect();
    let risk = RiskSettings {
        score_threshold: 60,
        ..RiskSettings::default()
    };
    let states = taken(&mut conn, &risk, &batch).await;
    assert_eq!(
        states, [HELD; 3],
        "40 for the address and 20 for the browser"
    );
    let own = (PUBLISHER, MarkKind::IpHash, "bb".to_owned());
    let now = at("2010-12-02 00:00");
    fraud::mark_publishers(&mut conn, now, &by(), &[own])
        .await
        .unwrap();
    let mut late = alike(4, "bb");
    late.occurred_at = at("2010-12-02 08:20");
    let states = taken(&mut conn, &risk, &[late]).await;
    assert_eq!(states, [HELD]);
    let it = ConversionRef::of_order(program, "A4");
    let signals = fraud::signals_of(&mut conn, it).await.unwrap();
    assert_eq!(signals[0].signal.as_str(), "SELF_PURCHASE_SUSPECTED");
    let edited = sqlx::query("delete from settlement.fraud_signal")
        .execute(&mut conn)
        .await;
    assert!(edited.is_err(), "signals stay");
}

#[tokio::test]
async fn one_referrer_before_orders_at_three_brands_and_an_unusual_order_are_seen_with_evidence() {
    let (db, mut conn, acme) = program(terms()).await;
    let bolt = add_program(&mut conn, "Bolt", terms()).await;
    let cave = add_program(&mut conn, "Cave", terms()).await;
    let mut owner = db.connection().await;
    let risk = RiskSettings {
        score_threshold: 50,
        ..RiskSettings::default()
    };
    // Twenty usual orders of the publisher, days before.
    let usual: Vec<Order> = (0..20)
        .map(|n| order(cave, &format!("U{n}"), "2010-11-20 08:00", "10.00 USD"))
        .collect();
    let _ = orders(&mut conn, "2010-11-20 09:00", &usual).await;
    let mut seen = Vec::new();
    for (n, program, worth) in [
        (1, acme, "10.00 USD"),
        (2, bolt, "10.00 USD"),
        (3, cave, "50.01 USD"),
    ] {
        let clicked = click(program, n, "v", at("2010-12-01 08:00"));
        let _ = clicks(&mut conn, &[clicked]).await;
        sqlx::query(
            "insert into settlement.click_request (book_id, id, path, method, referrer, recorded_at)
             values ($1, $2, '/go', 'GET', 'https://farm.example/', now())",
        )
        .bind(program.book.value())
        .bind(Uuid::from_u128(n))
        .execute(&mut owner)
        .await
        .unwrap();
        let one = Order {
            publisher: None,
            click: Some(Uuid::from_u128(n)),
            ..order(program, "R1", "2010-12-01 08:20", worth)
        };
        seen.extend(taken(&mut conn, &risk, &[one]).await);
    }
    assert_eq!(
        seen,
        [State::Pending, State::Pending, HELD],
        "20 and 30 are 50"
    );
    let it = ConversionRef::of_order(cave, "R1");
    let signals = fraud::signals_of(&mut conn, it).await.unwrap();
    let shown: Vec<_> = signals
        .iter()
        .map(|found| (found.signal.as_str(), found.evidence.clone()))
        .collect();
    let referrer = serde_json::json!({"brands": 3, "minutes": 10});
    let unusual = serde_json::json!({"minor": 5001, "earlier": 20, "earlier_minor": 20_000});
    assert_eq!(
        shown,
        [
            ("REFERRER_REUSED_ACROSS_MERCHANTS", referrer),
            ("UNUSUAL_ORDER_VALUE", unusual),
        ]
    );
}

#[tokio::test]
async fn more_than_fifteen_percent_taken_back_in_thirty_days_is_a_finding() {
    let (_db, mut conn, program) = program(terms()).await;
    let batch: Vec<Order> = (0..20)
        .map(|n| order(program, &format!("A{n}"), "2010-12-01 08:26", "99.00 USD"))
        .collect();
    let _ = orders(&mut conn, "2010-12-01 09:00", &batch).await;
    let of = |o: &Order| ConversionRef::of_order(o.program, &o.order_ref);
    let all: Vec<ConversionRef> = batch.iter().map(of).collect();
    let _ = decided(&mut conn, "2010-12-10 00:00", Action::Approve, &all).await;
    let three = decided(&mut conn, "2010-12-20 00:00", Action::Reverse, &all[..3]).await;
    assert_eq!(three, [Changed::To(State::Reversed); 3]);
    let mut found = async |now: &str| fraud::reversal_rates(&mut conn, at(now), 10).await.unwrap();
    assert_eq!(
        found("2010-12-21 00:00").await,
        [],
        "exactly 15 % is not more"
    );
    let _ = decided(&mut conn, "2010-12-22 00:00", Action::Reverse, &all[3..4]).await;
    let rates = fraud::reversal_rates(&mut conn, at("2010-12-23 00:00"), 10)
        .await
        .unwrap();
    let [rate] = rates.as_slice() else {
        panic!("one finding: {rates:?}")
    };
    assert_eq!(
        (rate.publisher, rate.approved, rate.reversed),
        (PUBLISHER, 20, 4)
    );
    assert_eq!(rate.rate.to_string(), "0.2000");
    let few = fraud::reversal_rates(&mut conn, at("2010-12-23 00:00"), 21)
        .await
        .unwrap();
    assert_eq!(few, [], "too few to say");
    let later = fraud::reversal_rates(&mut conn, at("2011-02-01 00:00"), 1)
        .await
        .unwrap();
    assert_eq!(later, [], "nothing of the last thirty days");
}
