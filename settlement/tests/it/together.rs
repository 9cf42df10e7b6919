//! Many at once, the same twice, and how many statements it takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use settlement::commission::{CommissionRule, FrozenRate, Percentage, Tier, Tiered, Volume};
use settlement::conversion::{Action, ConversionRef, Decision, Order, Recorded, decide, record};
use settlement::party::{self, NewParty};
use settlement::reconcile::differences;
use settlement::terms::Terms;
use uuid::Uuid;

use crate::fixture::*;

fn batch(program: settlement::party::ProgramRef, count: usize) -> Vec<Order> {
    (0..count)
        .map(|n| order(program, &format!("A{n}"), "2010-12-01 08:26", "99.00 USD"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_concurrent_recorders_of_one_order_make_one_conversion_and_one_entry() {
    let (db, mut conn, program) = program(terms()).await;
    let pool = db.service_pool();
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let mut tx = pool.begin().await.unwrap();
                let one = order(program, "A1", "2010-12-01 08:26", "99.00 USD");
                let answers = record(&mut tx, at("2010-12-01 09:00"), &by(), &[one])
                    .await
                    .unwrap();
                tx.commit().await.unwrap();
                answers[0].clone()
            })
        })
        .collect();
    let mut new = 0;
    for task in tasks {
        match task.await.unwrap() {
            Recorded::New(..) => new += 1,
            Recorded::Duplicate(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(new, 1);
    let acme = heads(&mut conn)
        .await
        .into_iter()
        .find(|(name, ..)| name == BRAND)
        .unwrap();
    assert_eq!(acme.1, 1, "one entry");
    assert_eq!(
        balances(&mut conn).await,
        ["9100 11.88 USD", "9200 7.92 USD", "9300 3.96 USD"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_batches_with_the_same_items_in_opposite_order_both_complete() {
    let (db, mut conn, program) = program(terms()).await;
    let pool = db.service_pool();
    for round in 0..5 {
        let start = Arc::new(tokio::sync::Barrier::new(2));
        let there: Vec<Order> = batch(program, 600)
            .into_iter()
            .map(|mut order| {
                order.order_ref = format!("{round}/{}", order.order_ref);
                order
            })
            .collect();
        let back: Vec<Order> = there.iter().rev().cloned().collect();
        let run = |orders: Vec<Order>| {
            let pool = pool.clone();
            let start = start.clone();
            tokio::spawn(async move {
                let now = at("2010-12-01 09:00");
                let decision = Decision {
                    action: Action::Approve,
                    reason: "both".to_owned(),
                };
                let of = |o: &Order| ConversionRef::of_order(o.program, &o.order_ref);
                let references: Vec<_> = orders.iter().map(of).collect();
                let mut tx = pool.begin().await.unwrap();
                start.wait().await;
                let _ = record(&mut tx, now, &by(), &orders).await.unwrap();
                tx.commit().await.unwrap();
                let mut tx = pool.begin().await.unwrap();
                let _ = decide(&mut tx, now, &by(), &decision, &references)
                    .await
                    .unwrap();
                tx.commit().await.unwrap();
            })
        };
        let (one, other) = (run(there), run(back));
        one.await.unwrap();
        other.await.unwrap();
    }
    let acme = heads(&mut conn)
        .await
        .into_iter()
        .find(|(name, ..)| name == BRAND)
        .unwrap();
    assert_eq!(
        acme.1,
        5 * 600 * 3,
        "pending, expectation met, approved: once each"
    );
    assert_eq!(differences(&mut conn).await.unwrap(), []);
}

/// Each batch opens accounts of its own in the same book, then posts there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_first_orders_of_many_publishers_in_one_book_all_complete() {
    let (db, mut conn, program) = program(terms()).await;
    let publishers: Vec<Uuid> = (1000..1040).map(Uuid::from_u128).collect();
    let parties: Vec<NewParty> = publishers
        .iter()
        .map(|id| NewParty {
            id: *id,
            name: id.to_string(),
        })
        .collect();
    let enrolments: Vec<_> = publishers.iter().map(|id| (program, *id)).collect();
    let now = at("2010-12-01 00:00");
    party::create_publishers(&mut conn, now, &by(), &parties)
        .await
        .unwrap();
    party::enrol(&mut conn, now, &by(), &enrolments)
        .await
        .unwrap();
    let pool = db.service_pool();
    let tasks: Vec<_> = publishers
        .into_iter()
        .map(|publisher| {
            let pool = pool.clone();
            let reference = format!("A{publisher}");
            let mut one = order(program, &reference, "2010-12-01 08:26", "99.00 USD");
            one.publisher = Some(publisher);
            tokio::spawn(async move {
                let mut tx = pool.begin().await.unwrap();
                let answer = record(&mut tx, now, &by(), &[one]).await;
                let _ = answer.unwrap();
                tx.commit().await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(differences(&mut conn).await.unwrap(), []);
}

#[tokio::test]
async fn the_same_batches_twice_change_no_book() {
    let (_db, mut conn, program) = program(terms()).await;
    let batch = batch(program, 50);
    let parts: Vec<_> = (0..60)
        .map(|n| {
            a_refund(
                &format!("R{n}"),
                &format!("A{n}"),
                "2010-12-03 10:00",
                "9.99 USD",
            )
        })
        .collect();
    let of = |o: &Order| ConversionRef::of_order(o.program, &o.order_ref);
    let references: Vec<ConversionRef> = batch.iter().map(of).collect();
    let mut stands = None;
    for _ in 0..2 {
        let _ = orders(&mut conn, "2010-12-01 09:00", &batch).await;
        let _ = decided(&mut conn, "2010-12-02 00:00", Action::Approve, &references).await;
        let _ = refunds(&mut conn, "2010-12-03 12:00", &parts).await;
        let heads = heads(&mut conn).await;
        assert_eq!(*stands.get_or_insert(heads.clone()), heads);
        assert_eq!(parked(&mut conn).await.len(), 10);
    }
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

#[tokio::test]
async fn a_batch_takes_the_same_number_of_statements_whatever_its_size() {
    let (_db, mut conn, program) = program(terms()).await;
    let sent = Arc::new(AtomicUsize::new(0));
    let _listening = tracing::subscriber::set_default(Statements(sent.clone()));
    let mut seen = Vec::new();
    for (round, count) in [1, 1, 300].into_iter().enumerate() {
        // Another test may have asked just before anybody listened, and the answer was kept.
        tracing::callsite::rebuild_interest_cache();
        let named = |n: usize| format!("{round}/{n}");
        let batch: Vec<Order> = (0..count)
            .map(|n| order(program, &named(n), "2010-12-01 08:26", "99.00 USD"))
            .collect();
        let of = |o: &Order| ConversionRef::of_order(o.program, &o.order_ref);
        let references: Vec<ConversionRef> = batch.iter().map(of).collect();
        let parts: Vec<_> = (0..count)
            .map(|n| a_refund(&named(n), &named(n), "2010-12-03 10:00", "9.99 USD"))
            .collect();
        let mut counts = Vec::new();
        let mut count = || counts.push(sent.swap(0, Ordering::Relaxed));
        count();
        let _ = orders(&mut conn, "2010-12-01 09:00", &batch).await;
        count();
        let _ = decided(&mut conn, "2010-12-02 00:00", Action::Approve, &references).await;
        count();
        let _ = refunds(&mut conn, "2010-12-03 12:00", &parts).await;
        count();
        seen.push(counts[1..].to_vec());
    }
    // The first round also opens the accounts.
    assert_eq!(seen[1], seen[2]);
    assert!(
        seen[1].iter().all(|count| (5..=16).contains(count)),
        "{seen:?}"
    );
}

/// Twenty-one orders by three sessions at once: ten at the first tier, the others at the second,
/// whoever comes first. Without the program's lock two sessions count the same orders.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn sessions_at_once_count_each_others_orders_for_the_tiers() {
    let tier = |name: &str, from, rate: &str| Tier {
        name: name.to_owned(),
        from: Some(Volume::Orders(from)),
        pays: FrozenRate::Percentage(Percentage {
            rate: rate.parse().unwrap(),
        }),
    };
    let tiers = vec![tier("bronze", 0, "5%"), tier("silver", 10, "10%")];
    let (db, mut conn, program) = program(Terms {
        rule: CommissionRule::Tiered(Tiered::new(tiers).unwrap()),
        ..terms()
    })
    .await;
    let pool = db.service_pool();
    let start = Arc::new(tokio::sync::Barrier::new(3));
    let run = |side: u32| {
        let (pool, start) = (pool.clone(), start.clone());
        tokio::spawn(async move {
            for n in 0..7 {
                let reference = format!("{side}.{n}");
                let one = order(program, &reference, "2010-12-01 08:26", "99.00 USD");
                let mut tx = pool.begin().await.unwrap();
                start.wait().await;
                let now = at("2010-12-01 09:00");
                let answers = record(&mut tx, now, &by(), &[one]).await.unwrap();
                assert!(matches!(answers[0], Recorded::New(..)));
                tx.commit().await.unwrap();
            }
        })
    };
    for task in [run(0), run(1), run(2)] {
        task.await.unwrap();
    }
    let by_tier: Vec<(String, i64)> = sqlx::query_as(
        "select priced_by ->> 'tier', count(*) from settlement.conversion group by 1 order by 1",
    )
    .fetch_all(&mut conn)
    .await
    .unwrap();
    let expected = [("bronze".to_owned(), 10), ("silver".to_owned(), 11)];
    assert_eq!(by_tier, expected);
}
