//! Postbacks over real HTTP: told once, told again when it failed, and never to a private address.

use chrono::TimeDelta;
use jobs::outside::Reach;
use jobs::postback::{self, Deliver, Event, Limits, Method, NewTarget, TargetError, log, target};
use jobs::queue::{self, Registry, State};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::fixture::{World, by, deliver, new_target};
use crate::publisher::{Mood, Publisher, Told};

const SECRET: &str = "a secret of the two";

async fn told_once(world: &mut World, publisher: &Publisher, new: NewTarget) -> String {
    world.add(&new).await;
    world.order("O-1").await;
    assert_eq!(world.deliver().await, 1);
    let told = publisher.told();
    assert_eq!(told.len(), 1);
    told[0].uri.clone()
}

#[tokio::test]
async fn a_publisher_is_told_by_a_url_with_macros() {
    let (mut world, publisher) = (World::new().await, Publisher::open().await);
    let url = publisher.url(
        "/p?t={transaction_id}&e={event_type}&s={status}&sum={payout}{currency}\
                             &of={order_sum}&o={order_id}&d={date}&n={nobody}&c={click_id}",
    );
    let uri = told_once(&mut world, &publisher, new_target(1, &url)).await;
    let told = &publisher.told()[0];
    let conversion = uri.split(['=', '&']).nth(1).unwrap();
    assert_eq!(
        uri.replace(conversion, "ID"),
        "/p?t=ID&e=conversion.pending&s=pending&sum=8.00USD&of=100.00&o=&d=2026-01-01&n={nobody}&c="
    );
    assert!(conversion.parse::<Uuid>().is_ok());
    assert_eq!((told.method.as_str(), told.body.as_str()), ("GET", ""));
    assert_eq!(told.header("counterfoil-event"), "conversion.pending");
}

#[tokio::test]
async fn the_order_s_reference_is_told_only_where_the_target_may_see_it() {
    let (mut world, publisher) = (World::new().await, Publisher::open().await);
    let hidden = new_target(1, &publisher.url("/hidden?o={order_id}"));
    let shown = NewTarget {
        expose_order_id: true,
        ..new_target(2, &publisher.url("/shown?o={order_id}"))
    };
    world.add(&hidden).await;
    world.add(&shown).await;
    world.order("O/1").await;
    world.deliver().await;
    let mut uris: Vec<String> = publisher.told().into_iter().map(|told| told.uri).collect();
    uris.sort();
    assert_eq!(uris, ["/hidden?o=", "/shown?o=O%2F1"]);
}

#[tokio::test]
async fn a_post_is_signed_over_time_and_body() {
    let (mut world, publisher) = (World::new().await, Publisher::open().await);
    let new = NewTarget {
        method: Method::Post {
            secret: SECRET.to_owned(),
        },
        ..new_target(1, &publisher.url("/hook"))
    };
    told_once(&mut world, &publisher, new).await;
    let told = &publisher.told()[0];
    let now = world.hand.now().timestamp();
    assert_eq!(
        told.header("counterfoil-signature"),
        postback::signature(SECRET, now, &told.body)
    );
    let body: serde_json::Value = serde_json::from_str(&told.body).unwrap();
    assert_eq!(body["type"], "conversion.pending");
    assert_eq!(body["id"], told.delivery());
    assert_eq!(body["data"]["payout"], "8.00");
    assert!(body["data"].get("order_id").is_none());
}

#[tokio::test]
async fn a_failed_postback_is_retried_by_its_backoff_with_the_same_id_until_it_is_dead() {
    let (mut world, publisher) = (World::new().await, Publisher::open().await);
    world.target(1, &publisher.url("/p")).await;
    publisher.is(Mood::Answers(500, "x".repeat(5000)));
    world.order("O-1").await;
    let worker = world.worker(Registry::new().with(Deliver {
        reach: Reach::Any,
        limits: Limits {
            failures: 100,
            ..Limits::default()
        },
    }));
    let minutes = [0, 1, 5, 30, 120, 360, 1440, 1440];
    for (told, wait) in minutes.into_iter().enumerate() {
        world
            .hand
            .turn(TimeDelta::minutes(wait) - TimeDelta::seconds(1));
        assert_eq!(worker.drain().await.unwrap(), 0, "too early: {wait}");
        world.hand.turn(TimeDelta::seconds(1));
        worker.drain().await.unwrap();
        assert_eq!(publisher.told().len(), told + 1, "{wait}");
    }
    let mut ids: Vec<String> = publisher.told().iter().map(Told::delivery).collect();
    ids.dedup();
    assert_eq!(ids.len(), 1);
    let dead = world.jobs(State::Dead).await;
    assert_eq!((dead.len(), dead[0].attempts), (1, 8));
    let log = log::latest(&mut world.conn, None, 100).await.unwrap();
    assert_eq!(
        log.iter().map(|a| a.number).collect::<Vec<_>>(),
        [8, 7, 6, 5, 4, 3, 2, 1]
    );
    assert_eq!((log[0].status, log[0].answer.len()), (Some(500), 1024));
    // A person lets it run once more, and the publisher is well again.
    publisher.is(Mood::Answers(200, "ok".to_owned()));
    let now = world.hand.now();
    queue::retry(&mut world.conn, now, &[dead[0].id])
        .await
        .unwrap();
    assert_eq!(worker.drain().await.unwrap(), 1);
    assert_eq!(publisher.told().last().unwrap().delivery(), ids[0]);
    assert_eq!(world.jobs(State::Done).await.len(), 1);
    let target = target::find(&mut world.conn, Uuid::from_u128(1))
        .await
        .unwrap();
    assert_eq!((target.failures, target.disabled), (0, None));
}

#[tokio::test]
async fn a_target_that_keeps_failing_is_disabled_and_somebody_is_told() {
    let (mut world, publisher) = (World::new().await, Publisher::open().await);
    let id = world.target(1, &publisher.url("/p")).await;
    publisher.is(Mood::Answers(404, "gone".to_owned()));
    for order in ["O-1", "O-2", "O-3"] {
        world.order(order).await;
    }
    world.deliver().await;
    let target = target::find(&mut world.conn, id).await.unwrap();
    assert_eq!(
        (target.failures, target.disabled),
        (3, None),
        "not in a short outage"
    );
    for minutes in [1, 5] {
        world.hand.turn(TimeDelta::minutes(minutes));
        world.deliver().await;
    }
    let told = publisher.told().len();
    let (_, reason) = target::find(&mut world.conn, id)
        .await
        .unwrap()
        .disabled
        .unwrap();
    assert!(
        reason.contains("attempts in a row failed") && reason.contains("404"),
        "{reason}"
    );
    let mails = queue::list(
        &mut world.conn,
        State::Waiting,
        Some(postback::DISABLED_MAIL),
        10,
    );
    let mails = mails.await.unwrap();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].payload["target"], id.to_string());
    // Nothing more is enqueued for it, and what waits dies and can be retried.
    world.order("O-4").await;
    world.hand.turn(TimeDelta::days(1));
    world.deliver().await;
    assert_eq!(publisher.told().len(), told);
    let dead = world.jobs(State::Dead).await;
    assert_eq!(dead.len(), 3);
    assert!(dead[0].last_error.as_ref().unwrap().contains("disabled"));
    let now = world.hand.now();
    target::enable(&mut world.conn, now, &by(), id)
        .await
        .unwrap();
    publisher.is(Mood::Answers(204, String::new()));
    queue::retry(&mut world.conn, now, &[dead[0].id])
        .await
        .unwrap();
    assert_eq!(world.deliver().await, 1);
    assert_eq!(publisher.told().len(), told + 1);
}

#[tokio::test]
async fn a_private_address_is_refused_however_it_is_written() {
    let (mut world, publisher) = (World::new().await, Publisher::open().await);
    let port = publisher.address.port();
    // Made when anything was allowed; delivered by a worker that allows the public alone.
    let hosts = [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "2130706433",
        "0x7f.1",
        "0",
        "169.254.169.254",
        "[fd00:ec2::254]",
    ];
    for (number, host) in (1_u128..).zip(hosts) {
        world
            .target(number, &format!("http://{host}:{port}/p"))
            .await;
    }
    world.order("O-1").await;
    let worker = world.worker(Registry::new().with(Deliver::default()));
    assert_eq!(worker.drain().await.unwrap(), hosts.len());
    assert_eq!(publisher.told().len(), 0);
    let dead = world.jobs(State::Dead).await;
    assert_eq!(dead.len(), hosts.len(), "it is no use to try again");
    for job in dead {
        let error = job.last_error.unwrap();
        assert!(error.ends_with("is no public address"), "{error}");
    }
    let log = log::latest(&mut world.conn, None, 100).await.unwrap();
    assert!(log.iter().all(|attempt| attempt.status.is_none()));
    // The same worker's sender does reach it when it may: it is the address that was refused.
    world.target(100, &publisher.url("/p")).await;
    world.order("O-2").await;
    world.deliver().await;
    assert!(!publisher.told().is_empty());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (mut world, publisher) = (World::new().await, Publisher::open().await);
    let elsewhere = Publisher::open().await;
    world.target(1, &publisher.url("/p")).await;
    publisher.is(Mood::Redirects(elsewhere.url("/inside")));
    world.order("O-1").await;
    world.deliver().await;
    assert_eq!((publisher.told().len(), elsewhere.told().len()), (1, 0));
    let log = log::latest(&mut world.conn, None, 10).await.unwrap();
    assert_eq!(log[0].status, Some(302));
    assert!(
        log[0]
            .error
            .as_ref()
            .unwrap()
            .contains("redirects are not followed")
    );
    assert_eq!(world.jobs(State::Waiting).await.len(), 1);
}

#[tokio::test]
async fn a_publisher_that_does_not_answer_is_waited_for_five_seconds() {
    let (mut world, publisher) = (World::new().await, Publisher::open().await);
    world.target(1, &publisher.url("/p")).await;
    publisher.is(Mood::Hangs);
    world.order("O-1").await;
    world.deliver().await;
    let log = log::latest(&mut world.conn, None, 10).await.unwrap();
    assert_eq!(log[0].error.as_deref(), Some("no answer within 5 s"));
    assert!((5000..9000).contains(&log[0].took_ms), "{}", log[0].took_ms);
}

#[tokio::test]
async fn a_worker_killed_in_mid_delivery_leaves_it_to_the_next_with_the_same_id() {
    let (mut world, publisher) = (World::new().await, Publisher::open().await);
    world.target(1, &publisher.url("/p")).await;
    publisher.is(Mood::Hangs);
    world.order("O-1").await;
    let worker = world.worker(Registry::new().with(deliver()));
    let running = tokio::spawn(async move { worker.run(CancellationToken::new()).await });
    while publisher.told().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    publisher.is(Mood::Answers(200, "ok".to_owned()));
    assert_eq!(world.deliver().await, 0, "the lease holds");
    world.hand.turn(TimeDelta::minutes(1));
    assert_eq!(world.deliver().await, 1);
    let told = publisher.told();
    assert_eq!(told.len(), 2);
    assert_eq!(told[0].delivery(), told[1].delivery());
    assert_eq!(world.jobs(State::Done).await.len(), 1);
}

#[tokio::test]
async fn a_test_is_sent_at_once_and_counts_for_nothing() {
    let (mut world, publisher) = (World::new().await, Publisher::open().await);
    let id = world
        .target(1, &publisher.url("/p?sub={sub1}&s={payout}&o={order_id}"))
        .await;
    publisher.is(Mood::Answers(500, "no".to_owned()));
    let (pool, now) = (world.db.service_pool(), world.hand.now());
    let sent = postback::sample(&pool, now, Reach::Any, id, Uuid::from_u128(9))
        .await
        .unwrap();
    assert_eq!(
        (sent.status, sent.number, sent.answer.as_str()),
        (Some(500), 0, "no")
    );
    assert_eq!(publisher.told()[0].uri, "/p?sub=test&s=0.00&o=");
    let target = target::find(&mut world.conn, id).await.unwrap();
    assert_eq!(target.failures, 0);
}

#[tokio::test]
async fn a_target_that_cannot_be_meant_is_refused_when_it_is_made() {
    let mut world = World::new().await;
    let now = world.hand.now();
    for (url, why) in [
        ("http://127.0.0.1/p", "no public address"),
        ("http://[::ffff:10.0.0.1]/p", "no public address"),
        ("http://0x7f000001/p", "no public address"),
        ("ftp://t.example/p", "neither http nor https"),
        ("https://user:pass@t.example/p", "name or password"),
        ("https://{sub1}.t.example/p", "only after"),
        ("https://t.example:{sub1}/p", "only after"),
        ("https:t.example/p", "only after"),
        ("t.example/p", "relative URL"),
    ] {
        let new = new_target(1, url);
        let refused = target::add(&mut world.conn, now, &by(), &new, Reach::Public).await;
        let told = refused.unwrap_err().to_string();
        assert!(told.contains(why), "{url}: {told}");
    }
    let good = "https://t.example/p?c={click_id}";
    for new in [
        NewTarget {
            events: Vec::new(),
            ..new_target(1, good)
        },
        NewTarget {
            delay_ms: -1,
            ..new_target(1, good)
        },
        NewTarget {
            method: Method::Post {
                secret: "short".to_owned(),
            },
            ..new_target(1, good)
        },
    ] {
        assert!(
            target::add(&mut world.conn, now, &by(), &new, Reach::Public)
                .await
                .is_err()
        );
    }
    let new = new_target(1, good);
    target::add(&mut world.conn, now, &by(), &new, Reach::Public)
        .await
        .unwrap();
    let found = target::find(&mut world.conn, new.id).await.unwrap();
    assert_eq!(
        (found.url.as_str(), found.events.len()),
        (good, Event::ALL.len())
    );
    let missing = target::find(&mut world.conn, Uuid::nil()).await;
    assert!(matches!(missing, Err(TargetError::Missing(_))));
}

#[tokio::test]
async fn the_log_is_append_only_and_the_auditor_sees_no_secret() {
    let (mut world, publisher) = (World::new().await, Publisher::open().await);
    world.target(1, &publisher.url("/p")).await;
    world.order("O-1").await;
    world.deliver().await;
    let mut owner = world.db.connection().await;
    for statement in [
        "update jobs.delivery set status = 200",
        "delete from jobs.delivery",
    ] {
        let refused = sqlx::query(statement)
            .execute(&mut owner)
            .await
            .unwrap_err();
        assert!(refused.to_string().contains("is append-only"), "{refused}");
    }
    let mut auditor = world.db.auditor().await;
    sqlx::query("select id, url from jobs.postback_target")
        .execute(&mut auditor)
        .await
        .unwrap();
    let refused = sqlx::query("select secret from jobs.postback_target")
        .execute(&mut auditor)
        .await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("permission denied")
    );
}
