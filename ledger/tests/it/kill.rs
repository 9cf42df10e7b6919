//! Killed in mid-batch: nothing acknowledged is lost, nothing is half written.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ledger::{BookId, JournalEntry, Posted};
use migrations::testing::{SERVICE, database, durable_cluster};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

use crate::support::{Chart, assert_sound, day, new, numbers, open, post, run};

const URL: &str = "COUNTERFOIL_TEST_URL";
const POSTER: &str = "COUNTERFOIL_TEST_POSTER";
const NAMES: [&str; 3] = ["acme", "zoe", "house"];

/// One batch of a poster: five entries over three books.
fn batch(poster: &str, round: usize) -> Vec<JournalEntry> {
    let entry = |n: usize| {
        let chart = Chart::of(NAMES[(round + n) % 3]);
        let on = day("2026-01-05") + chrono::Days::new(u64::try_from(round % 20).unwrap());
        chart.sale(
            format!("{poster}.{round}.{n}"),
            on,
            i64::try_from(n).unwrap() + 1,
        )
    };
    (0..5).map(entry).collect()
}

/// Not a test: the other process of the tests below. Posts batch after batch and says what was
/// committed, a line each, until it is killed.
#[tokio::test]
#[ignore = "run by the tests below, in a process of its own"]
async fn poster() {
    let (Ok(url), Ok(poster)) = (std::env::var(URL), std::env::var(POSTER)) else {
        return;
    };
    let options: PgConnectOptions = url.parse().expect("an address");
    let mut conn = options
        .options([("role", SERVICE)])
        .connect()
        .await
        .expect("connects");
    for round in 0.. {
        let mut tx = conn.begin().await.expect("begins");
        let answers = post(&mut tx, &batch(&poster, round)).await;
        tx.commit().await.expect("commits");
        let mut out = std::io::stdout().lock();
        for answer in answers {
            let receipt = new(answer);
            writeln!(out, "ack {round} {} {}", receipt.book, receipt.number).expect("a reader");
        }
        out.flush().expect("a reader");
    }
}

fn start(url: &str, poster: &str) -> Child {
    Command::new(std::env::current_exe().expect("this test"))
        .args([
            "kill::poster",
            "--exact",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(URL, url)
        .env(POSTER, poster)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a second process")
}

/// An acknowledged entry: round, book and number.
type Ack = (usize, BookId, i64);

/// Reads acknowledgements until there are so many.
fn read(lines: &mut impl Iterator<Item = std::io::Result<String>>, most: usize) -> Vec<Ack> {
    let mut acks = Vec::new();
    for line in lines.by_ref().map_while(Result::ok) {
        // The test harness writes on the same line before the first one.
        let Some((_, ack)) = line.split_once("ack ") else {
            continue;
        };
        let fields: Vec<i64> = ack
            .split(' ')
            .filter_map(|field| field.parse().ok())
            .collect();
        let &[round, book, number] = fields.as_slice() else {
            continue;
        };
        acks.push((
            usize::try_from(round).unwrap(),
            BookId::from_value(book),
            number,
        ));
        if acks.len() >= most {
            break;
        }
    }
    acks
}

/// Everything acknowledged is there, numbers have no gap, and a rerun completes what was cut off.
async fn assert_kept(conn: &mut PgConnection, posters: &[(&str, Vec<Ack>)]) {
    let mut given = BTreeSet::new();
    for (poster, acks) in posters {
        assert!(
            acks.len() >= 20,
            "{poster} was killed before it had begun: {}",
            acks.len()
        );
        for ack in acks {
            assert!(
                given.insert((ack.1, ack.2)),
                "{poster}: number {ack:?} was given twice"
            );
        }
    }
    let mut stored = BTreeSet::new();
    for name in NAMES {
        let book = BookId::of_name(name);
        let there = numbers(conn, book).await;
        let wanted: Vec<i64> = (1..=i64::try_from(there.len()).unwrap()).collect();
        assert_eq!(there, wanted, "{name} has a gap");
        stored.extend(there.into_iter().map(|number| (book, number)));
    }
    assert!(
        given.is_subset(&stored),
        "lost: {:?}",
        given.difference(&stored).collect::<Vec<_>>()
    );
    for (poster, acks) in posters {
        let last = acks.iter().map(|ack| ack.0).max().expect("some");
        for round in 0..last {
            let again = post(conn, &batch(poster, round)).await;
            assert!(
                again
                    .iter()
                    .all(|again| matches!(again, Posted::Replayed(_))),
                "{again:?}"
            );
        }
        // The batch that was under way is there as a whole or not at all.
        for round in last..=last + 1 {
            let again = post(conn, &batch(poster, round)).await;
            let fresh = again
                .iter()
                .filter(|again| matches!(again, Posted::New(_)))
                .count();
            assert!(
                fresh == 0 || fresh == 5,
                "half of a batch was kept: {again:?}"
            );
        }
    }
    assert_sound(conn).await;
}

#[tokio::test]
async fn two_processes_on_the_same_books_leave_no_gap_when_they_are_killed() {
    let db = database().await;
    let mut conn = db.connection().await;
    open(&mut conn, &NAMES).await;
    let posters = ["one", "two"];
    let mut children = posters.map(|poster| start(&db.url(), poster));
    let mut lines = children
        .each_mut()
        .map(|child| BufReader::new(child.stdout.take().expect("piped")).lines());
    let mut acks: Vec<Vec<Ack>> = lines.iter_mut().map(|lines| read(lines, 300)).collect();
    for child in &mut children {
        child.kill().expect("killed");
        child.wait().expect("gone");
    }
    for (acks, lines) in acks.iter_mut().zip(&mut lines) {
        acks.extend(read(lines, usize::MAX));
    }
    // Their sessions end when Postgres notices; until then their locks stand.
    let kept: Vec<(&str, Vec<Ack>)> = posters.into_iter().zip(acks).collect();
    assert_kept(&mut conn, &kept).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_is_killed_loses_nothing_that_was_acknowledged() {
    let cluster = tokio::task::spawn_blocking(|| {
        tokio::runtime::Handle::current().block_on(durable_cluster())
    });
    let cluster = cluster.await.expect("a cluster");
    let role = migrations::cluster::SUPERUSER;
    let mut conn = cluster.options(role).connect().await.expect("connects");
    open(&mut conn, &NAMES).await;
    let mut kept = Vec::new();
    for poster in ["first", "second", "third"] {
        let mut child = start(&cluster.url(), poster);
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut acks = read(&mut lines, 100);
        cluster.kill();
        acks.extend(read(&mut lines, usize::MAX));
        child.kill().expect("killed");
        child.wait().expect("gone");
        kept.push((poster, acks));
        cluster.restart();
        conn = cluster
            .options(role)
            .connect()
            .await
            .expect("connects again");
    }
    assert_kept(&mut conn, &kept).await;
    run(&mut conn, "checkpoint").await.expect("a sound server");
    tokio::time::sleep(Duration::ZERO).await;
}
