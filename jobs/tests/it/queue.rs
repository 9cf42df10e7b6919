//! The queue alone: what is enqueued is done, once, by whoever lives.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use jobs::queue::{
    self, Context, Handler, Job, NewJob, Outcome, QueueError, Registry, State, Worker,
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::fixture::{World, begin, by, commit, rollback, settings};

/// Ends as its payload says, and counts.
#[derive(Clone, Default)]
struct Obedient {
    runs: Arc<Mutex<Vec<(String, i32)>>>,
}

impl Handler for Obedient {
    const KIND: &'static str = "test.obey";
    const BACKOFF: &'static [Duration] = &[Duration::from_mins(1), Duration::from_mins(5)];

    async fn run(&self, context: &Context, job: &Job) -> Outcome {
        self.runs
            .lock()
            .unwrap()
            .push((job.key.clone(), job.attempt));
        match job.payload["end"].as_str() {
            Some("wait") => Outcome::Wait(context.now() + TimeDelta::hours(1)),
            Some("retry") => Outcome::Retry("not today".to_owned()),
            Some("fail") => Outcome::Fail("never".to_owned()),
            Some("panic") => panic!("a handler with a mistake"),
            _ => Outcome::Done,
        }
    }
}

impl Obedient {
    fn runs(&self) -> Vec<(String, i32)> {
        self.runs.lock().unwrap().clone()
    }
}

fn job(key: &str, end: &str, run_at: DateTime<Utc>) -> NewJob {
    NewJob {
        kind: Obedient::KIND,
        key: key.to_owned(),
        payload: json!({ "end": end }),
        run_at,
    }
}

async fn enqueue(world: &mut World, jobs: &[NewJob]) -> u64 {
    let now = world.hand.now();
    queue::enqueue(&mut world.conn, now, jobs).await.unwrap()
}

#[tokio::test]
async fn a_job_exists_if_and_only_if_its_cause_was_committed() {
    let mut world = World::new().await;
    let (handler, now) = (Obedient::default(), world.hand.now());
    begin(&mut world.conn).await;
    assert_eq!(enqueue(&mut world, &[job("undone", "done", now)]).await, 1);
    rollback(&mut world.conn).await;
    begin(&mut world.conn).await;
    enqueue(&mut world, &[job("kept", "done", now)]).await;
    let worker = world.worker(Registry::new().with(handler.clone()));
    assert_eq!(worker.drain().await.unwrap(), 0, "not before the commit");
    commit(&mut world.conn).await;
    assert_eq!(worker.drain().await.unwrap(), 1);
    assert_eq!(handler.runs(), [("kept".to_owned(), 1)]);
}

#[tokio::test]
async fn the_same_key_is_enqueued_once_also_when_it_is_done() {
    let mut world = World::new().await;
    let (handler, now) = (Obedient::default(), world.hand.now());
    let worker = world.worker(Registry::new().with(handler.clone()));
    let twins = [
        job("a", "done", now),
        job("a", "done", now),
        job("b", "done", now),
    ];
    assert_eq!(enqueue(&mut world, &twins).await, 2);
    worker.drain().await.unwrap();
    assert_eq!(enqueue(&mut world, &twins).await, 0);
    assert_eq!(worker.drain().await.unwrap(), 0);
    let forgotten = queue::prune(&mut world.conn, now + TimeDelta::days(1), 10)
        .await
        .unwrap();
    assert_eq!((forgotten, enqueue(&mut world, &twins).await), (2, 2));
}

#[tokio::test]
async fn each_ending_does_what_it_says_under_a_clock_turned_by_hand() {
    let mut world = World::new().await;
    let (handler, now) = (Obedient::default(), world.hand.now());
    let worker = world.worker(Registry::new().with(handler.clone()));
    let jobs = ["done", "wait", "retry", "fail", "panic"].map(|end| job(end, end, now));
    enqueue(&mut world, &jobs).await;
    enqueue(
        &mut world,
        &[job("later", "done", now + TimeDelta::days(1))],
    )
    .await;
    let mut due = Vec::new();
    // 12:00, 12:01, 12:06, 13:00
    for minutes in [0, 1, 5, 54] {
        world.hand.turn(TimeDelta::minutes(minutes));
        let before = handler.runs().len();
        worker.drain().await.unwrap();
        let mut runs = handler.runs()[before..].to_vec();
        runs.sort();
        due.push(
            runs.iter()
                .map(|(key, attempt)| format!("{key} {attempt}"))
                .collect::<Vec<_>>(),
        );
    }
    assert_eq!(due[0], ["done 1", "fail 1", "panic 1", "retry 1", "wait 1"]);
    assert_eq!(due[1], ["panic 2", "retry 2"]);
    assert_eq!(due[2], ["panic 3", "retry 3"]);
    assert_eq!(due[3], ["wait 1"], "waiting costs no attempt");
    let dead = world.jobs(State::Dead).await;
    let told: Vec<_> = dead
        .iter()
        .map(|job| (job.key.as_str(), job.last_error.clone()))
        .collect();
    assert_eq!(told[0], ("fail", Some("never".to_owned())));
    assert_eq!(told[1], ("retry", Some("not today".to_owned())));
    assert!(told[2].1.as_ref().unwrap().contains("panic"), "{told:?}");
    assert_eq!(world.jobs(State::Done).await.len(), 1);
    assert_eq!(world.jobs(State::Waiting).await.len(), 2);
}

#[tokio::test]
async fn a_dead_job_is_retried_or_discarded_by_a_person() {
    let mut world = World::new().await;
    let (handler, now) = (Obedient::default(), world.hand.now());
    let worker = world.worker(Registry::new().with(handler.clone()));
    enqueue(&mut world, &[job("a", "fail", now), job("b", "fail", now)]).await;
    enqueue(&mut world, &[job("c", "wait", now)]).await;
    worker.drain().await.unwrap();
    let dead: Vec<i64> = world
        .jobs(State::Dead)
        .await
        .iter()
        .map(|job| job.id)
        .collect();
    queue::retry(&mut world.conn, now, &dead[..1])
        .await
        .unwrap();
    queue::discard(&mut world.conn, now, &by(), &dead[1..])
        .await
        .unwrap();
    let again = queue::discard(&mut world.conn, now, &by(), &dead[1..]).await;
    assert!(matches!(again, Err(QueueError::NotDead(id)) if id == dead[1]));
    let waiting = world.jobs(State::Waiting).await[0].id;
    let refused = queue::retry(&mut world.conn, now, &[waiting]).await;
    assert!(matches!(refused, Err(QueueError::NotDead(_))));
    assert_eq!(worker.drain().await.unwrap(), 1);
    assert_eq!(handler.runs().last(), Some(&("a".to_owned(), 1)));
    let discarded = world.jobs(State::Discarded).await;
    assert_eq!(discarded[0].closed_by.as_deref(), Some("test"));
}

#[tokio::test]
async fn many_workers_do_each_job_once() {
    let mut world = World::new().await;
    let (handler, now) = (Obedient::default(), world.hand.now());
    let jobs: Vec<NewJob> = (0..300).map(|n| job(&n.to_string(), "done", now)).collect();
    enqueue(&mut world, &jobs).await;
    let workers: Vec<Worker> = (0..4)
        .map(|n| world.worker_named(&n.to_string(), Registry::new().with(handler.clone())))
        .collect();
    let runs = futures_util::future::join_all(workers.iter().map(Worker::drain)).await;
    assert_eq!(runs.into_iter().map(Result::unwrap).sum::<usize>(), 300);
    let mut keys: Vec<String> = handler.runs().into_iter().map(|(key, _)| key).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 300);
    assert_eq!(world.jobs(State::Done).await.len(), 300);
}

/// Begins, and ends only when it is let go.
#[derive(Clone, Default)]
struct Slow {
    begun: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    go: CancellationToken,
}

impl Handler for Slow {
    const KIND: &'static str = "test.slow";
    const BACKOFF: &'static [Duration] = &[];

    async fn run(&self, _: &Context, _: &Job) -> Outcome {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.go.cancelled().await;
        self.ended.fetch_add(1, Ordering::SeqCst);
        Outcome::Done
    }
}

impl Slow {
    async fn begun(&self, times: usize) {
        let started = Instant::now();
        while self.begun.load(Ordering::SeqCst) < times {
            assert!(started.elapsed() < Duration::from_secs(20), "never begun");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn slow(now: DateTime<Utc>) -> NewJob {
    NewJob {
        kind: Slow::KIND,
        key: "slow".to_owned(),
        payload: json!({}),
        run_at: now,
    }
}

#[tokio::test]
async fn a_job_whose_worker_vanished_is_done_by_another_when_the_lease_has_run_out() {
    let mut world = World::new().await;
    let (handler, now) = (Slow::default(), world.hand.now());
    enqueue(&mut world, &[slow(now)]).await;
    let first = world.worker_named("first", Registry::new().with(handler.clone()));
    let running = tokio::spawn(async move { first.run(CancellationToken::new()).await });
    handler.begun(1).await;
    running.abort(); // as a killed process does: no ending is written
    assert!(running.await.unwrap_err().is_cancelled());
    assert_eq!(
        world.jobs(State::Waiting).await[0].claimed_by.as_deref(),
        Some("first")
    );
    handler.go.cancel();
    let second = world.worker_named("second", Registry::new().with(handler.clone()));
    assert_eq!(second.drain().await.unwrap(), 0, "the lease holds");
    world.hand.turn(TimeDelta::minutes(1));
    assert_eq!(second.drain().await.unwrap(), 1);
    let done = world.jobs(State::Done).await;
    assert_eq!(
        (done[0].closed_by.as_deref(), done[0].attempts),
        (Some("second"), 2)
    );
    assert_eq!(handler.ended.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_worker_that_comes_back_too_late_ends_nothing() {
    let mut world = World::new().await;
    let (sleeper, now) = (Slow::default(), world.hand.now());
    enqueue(&mut world, &[slow(now)]).await;
    // It has its hands full, or it would itself take the job again.
    let mut busy = settings("first");
    busy.at_once = 1;
    let registry = Registry::new().with(sleeper.clone());
    let first = Worker::new(world.db.service_pool(), world.hand.clock(), registry, busy);
    let stop = CancellationToken::new();
    let told = stop.clone();
    let running = tokio::spawn(async move { first.run(told).await });
    sleeper.begun(1).await;
    world.hand.turn(TimeDelta::minutes(2));
    let second = Slow::default();
    second.go.cancel();
    let other = world.worker_named("second", Registry::new().with(second.clone()));
    assert_eq!(other.drain().await.unwrap(), 1);
    sleeper.go.cancel();
    stop.cancel();
    running.await.unwrap();
    let done = world.jobs(State::Done).await;
    assert_eq!(done[0].closed_by.as_deref(), Some("second"));
}

#[tokio::test]
async fn a_worker_told_to_stop_finishes_what_is_under_way_and_takes_nothing_more() {
    let mut world = World::new().await;
    let (handler, now) = (Slow::default(), world.hand.now());
    enqueue(&mut world, &[slow(now)]).await;
    let worker = world.worker(Registry::new().with(handler.clone()));
    let stop = CancellationToken::new();
    let told = stop.clone();
    let running = tokio::spawn(async move { worker.run(told).await });
    handler.begun(1).await;
    stop.cancel();
    // It may have been asking for more at that moment.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let late = NewJob {
        key: "late".to_owned(),
        ..slow(now)
    };
    enqueue(&mut world, &[late]).await;
    handler.go.cancel();
    running.await.unwrap();
    assert_eq!(handler.ended.load(Ordering::SeqCst), 1);
    assert_eq!(world.jobs(State::Done).await.len(), 1);
    let left = world.jobs(State::Waiting).await;
    assert_eq!((left.len(), left[0].claimed_by.clone()), (1, None));
}

#[tokio::test]
async fn a_long_job_keeps_its_lease() {
    let mut world = World::new().await;
    let (handler, now) = (Slow::default(), world.hand.now());
    enqueue(&mut world, &[slow(now)]).await;
    let began = Instant::now();
    let clock: queue::Clock = Arc::new(move || now + TimeDelta::from_std(began.elapsed()).unwrap());
    let worker = |name: &str| {
        let registry = Registry::new().with(handler.clone());
        let mut settings = settings(name);
        settings.lease = Duration::from_millis(600);
        Worker::new(world.db.service_pool(), clock.clone(), registry, settings)
    };
    let (first, second) = (worker("first"), worker("second"));
    let stop = CancellationToken::new();
    let told = stop.clone();
    let running = tokio::spawn(async move { first.run(told).await });
    handler.begun(1).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(
        second.drain().await.unwrap(),
        0,
        "it is still the first one's"
    );
    handler.go.cancel();
    stop.cancel();
    running.await.unwrap();
    assert_eq!(handler.begun.load(Ordering::SeqCst), 1);
    assert_eq!(
        world.jobs(State::Done).await[0].closed_by.as_deref(),
        Some("first")
    );
}

#[tokio::test]
async fn a_kind_that_nobody_knows_waits_for_a_worker_that_does() {
    let mut world = World::new().await;
    let now = world.hand.now();
    enqueue(&mut world, &[slow(now)]).await;
    let worker = world.worker(Registry::new().with(Obedient::default()));
    assert_eq!(worker.drain().await.unwrap(), 0);
    assert_eq!(world.jobs(State::Waiting).await.len(), 1);
}
