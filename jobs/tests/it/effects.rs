//! What changes of conversions make leave the building: once each, and only when committed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::TimeDelta;
use jobs::effects::{self, Effect};
use jobs::postback::{Event, NewTarget};
use jobs::queue::State;
use settlement::conversion::{Action, ConversionRef, Order, Refund};
use settlement::coupon::Code;
use settlement::tracking::{self, Click};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::fixture::{
    PUBLISHER, World, add_program, begin, by, commit, new_target, order, rollback,
};
use crate::publisher::{Publisher, Told};

/// What the publisher was told, in order, with the part of the URL that says what.
async fn told(world: &World, publisher: &Publisher) -> Vec<String> {
    world.deliver().await;
    let mut told: Vec<String> = publisher
        .told()
        .into_iter()
        .map(|told| told.uri.trim_start_matches("/p?").to_owned())
        .collect();
    told.sort();
    told
}

#[tokio::test]
async fn each_change_is_told_once() {
    let (mut world, publisher) = (World::new().await, Publisher::open().await);
    world
        .target(1, &publisher.url("/p?{event_type}={payout}"))
        .await;
    let conversion = world.order("O-1").await;
    for action in [
        Action::Hold,
        Action::Release,
        Action::Approve,
        Action::Approve, // changes nothing
        Action::Reverse,
        Action::Reinstate,
    ] {
        world.decide(action, &[conversion]).await;
    }
    let expected = [
        "conversion.approved=8.00",
        "conversion.approved=8.00",
        "conversion.held=8.00",
        "conversion.pending=8.00",
        "conversion.released=8.00",
        "conversion.reversed=0.00",
    ];
    assert_eq!(told(&world, &publisher).await, expected);
    let ids: std::collections::BTreeSet<String> =
        publisher.told().iter().map(Told::delivery).collect();
    assert_eq!(ids.len(), expected.len());
    assert!(world.jobs(State::Waiting).await.is_empty());
}

#[tokio::test]
async fn the_same_order_twice_is_told_once_and_a_change_told_again_is_not() {
    let (mut world, publisher) = (World::new().await, Publisher::open().await);
    world.target(1, &publisher.url("/p?{status}")).await;
    let conversion = world.order("O-1").await;
    let twice = order(world.program, "O-1", world.hand.now());
    let now = world.hand.now();
    let answers = effects::record(&mut world.conn, now, &by(), &[twice])
        .await
        .unwrap();
    assert_eq!(answers.len(), 1);
    let effect = Effect {
        conversion,
        event: Event::Pending,
    };
    let enqueued = effects::enqueue(&mut world.conn, now, &[effect, effect])
        .await
        .unwrap();
    assert_eq!(enqueued, 0);
    assert_eq!(told(&world, &publisher).await, ["pending"]);
}

#[tokio::test]
async fn nothing_is_sent_when_the_change_is_rolled_back() {
    let (mut world, publisher) = (World::new().await, Publisher::open().await);
    world.target(1, &publisher.url("/p?{status}")).await;
    let (now, order) = (
        world.hand.now(),
        order(world.program, "O-1", world.hand.now()),
    );
    begin(&mut world.conn).await;
    let recorded = effects::record(&mut world.conn, now, &by(), std::slice::from_ref(&order)).await;
    assert_eq!(recorded.unwrap().len(), 1);
    rollback(&mut world.conn).await;
    assert_eq!(told(&world, &publisher).await, [""; 0]);
    assert!(world.jobs(State::Waiting).await.is_empty());
    begin(&mut world.conn).await;
    effects::record(&mut world.conn, now, &by(), &[order])
        .await
        .unwrap();
    commit(&mut world.conn).await;
    assert_eq!(told(&world, &publisher).await, ["pending"]);
}

#[tokio::test]
async fn a_refund_in_part_adjusts_and_in_full_reverses() {
    let (mut world, publisher) = (World::new().await, Publisher::open().await);
    world
        .target(1, &publisher.url("/p?{event_type}={payout}"))
        .await;
    let conversion = world.order("O-1").await;
    world.decide(Action::Approve, &[conversion]).await;
    for (reference, amount) in [
        ("R-1", "50.00 USD"),
        ("R-1", "50.00 USD"),
        ("R-2", "50.00 USD"),
    ] {
        let refund = Refund {
            refund_ref: reference.to_owned(),
            order_ref: Some("O-1".to_owned()),
            book: None,
            occurred_at: world.hand.now(),
            amount: ledger::Amount::new(amount.parse().unwrap()).unwrap(),
            reason: None,
            note: String::new(),
        };
        let now = world.hand.now();
        begin(&mut world.conn).await;
        effects::refund(&mut world.conn, now, &by(), &[refund])
            .await
            .unwrap();
        commit(&mut world.conn).await;
    }
    let expected = [
        "conversion.adjusted=4.00",
        "conversion.approved=8.00",
        "conversion.pending=8.00",
        "conversion.reversed=0.00",
    ];
    assert_eq!(told(&world, &publisher).await, expected);
}

#[tokio::test]
async fn a_target_hears_only_what_it_asked_for_and_when() {
    let (mut world, publisher) = (World::new().await, Publisher::open().await);
    let other = add_program(&mut world.conn, "Umbrella").await;
    world
        .add(&NewTarget {
            program: Some(world.program),
            ..new_target(1, &publisher.url("/p?acme"))
        })
        .await;
    world
        .add(&NewTarget {
            program: Some(other),
            ..new_target(2, &publisher.url("/p?umbrella"))
        })
        .await;
    world
        .add(&NewTarget {
            events: vec![Event::Approved],
            ..new_target(3, &publisher.url("/p?approved"))
        })
        .await;
    world
        .add(&NewTarget {
            delay_ms: 60_000,
            ..new_target(4, &publisher.url("/p?later"))
        })
        .await;
    world.order("O-1").await;
    assert_eq!(told(&world, &publisher).await, ["acme"]);
    world.hand.turn(TimeDelta::minutes(1));
    assert_eq!(told(&world, &publisher).await, ["acme", "later"]);
}

#[tokio::test]
async fn an_order_that_nobody_earned_is_told_to_nobody() {
    let (mut world, publisher) = (World::new().await, Publisher::open().await);
    world.target(1, &publisher.url("/p")).await;
    let order = Order {
        publisher: None,
        ..order(world.program, "O-1", world.hand.now())
    };
    let now = world.hand.now();
    effects::record(&mut world.conn, now, &by(), &[order])
        .await
        .unwrap();
    assert_eq!(told(&world, &publisher).await, [""; 0]);
}

#[tokio::test]
async fn a_publisher_gets_its_click_back() {
    let (mut world, publisher) = (World::new().await, Publisher::open().await);
    world
        .target(
            1,
            &publisher.url("/p?{click_id}-{sub1}-{sub5}-{promo_code}"),
        )
        .await;
    let now = world.hand.now();
    let (id, clicked_at) = (Uuid::from_u128(77), now - TimeDelta::hours(1));
    let click = Click {
        visitor: Some("v".to_owned()),
        subs: [1, 2, 3, 4, 5].map(|n| Some(format!("s {n}"))),
        ..Click::new(id, world.program, PUBLISHER, clicked_at)
    };
    let order = Order {
        visitor: Some("v".to_owned()),
        coupon: Some(Code::new("PAT10").unwrap()),
        publisher: None,
        ..order(world.program, "O-1", now)
    };
    begin(&mut world.conn).await;
    tracking::record(&mut world.conn, now, &by(), &[click])
        .await
        .unwrap();
    effects::record(&mut world.conn, now, &by(), &[order])
        .await
        .unwrap();
    commit(&mut world.conn).await;
    let expected = format!("{id}-s%201-s%205-PAT10");
    assert_eq!(told(&world, &publisher).await, [expected]);
}

/// Counts what sqlx says it sends.
struct Statements(Arc<AtomicUsize>);

impl tracing::Subscriber for Statements {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// Comes back when statements are heard: another test may have asked just before anybody listened,
/// and the answer was kept.
async fn listen(conn: &mut PgConnection, sent: &AtomicUsize) {
    while sent.load(Ordering::Relaxed) == 0 {
        tracing::callsite::rebuild_interest_cache();
        sqlx::query("select 1").execute(&mut *conn).await.unwrap();
    }
    sent.store(0, Ordering::Relaxed);
}

#[tokio::test]
async fn telling_takes_two_statements_whatever_the_count() {
    let (mut world, publisher) = (World::new().await, Publisher::open().await);
    world.target(1, &publisher.url("/p")).await;
    let now = world.hand.now();
    let orders: Vec<Order> = (0..300)
        .map(|n| order(world.program, &n.to_string(), now))
        .collect();
    let recorded = settlement::conversion::record(&mut world.conn, now, &by(), &orders).await;
    assert_eq!(recorded.unwrap().len(), 300);
    let effects: Vec<Effect> = orders
        .iter()
        .map(|order| Effect {
            conversion: ConversionRef::of_order(order.program, &order.order_ref),
            event: Event::Pending,
        })
        .collect();
    let sent = Arc::new(AtomicUsize::new(0));
    let _listening = tracing::subscriber::set_default(Statements(sent.clone()));
    for part in [&effects[..1], &effects[1..]] {
        listen(&mut world.conn, &sent).await;
        let told = effects::enqueue(&mut world.conn, now, part).await.unwrap();
        assert_eq!(usize::try_from(told).unwrap(), part.len());
        assert_eq!(sent.load(Ordering::Relaxed), 2);
    }
}
