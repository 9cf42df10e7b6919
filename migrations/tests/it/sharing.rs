//! Several processes, one cluster.

use std::time::Duration;

use migrations::cluster;

use crate::child::Other;
use crate::support::{Scratch, connect, eventually, open, runs};

#[test]
fn processes_started_at_once_share_one_cluster_and_the_last_one_stops_it() {
    let scratch = Scratch::new();
    let data = scratch.data();
    let mut others: Vec<Other> = (0..3).map(|_| Other::opening(&data)).collect();
    let pids: Vec<String> = others.iter_mut().map(Other::said).collect();
    assert_eq!(pids[0], pids[1]);
    assert_eq!(pids[0], pids[2]);
    assert_eq!(cluster::status(&data).unwrap().users.len(), 3);

    while let Some(other) = others.pop() {
        assert!(runs(&data), "somebody is still there");
        other.leave();
    }
    assert!(!runs(&data), "the last one has left");
    let left = std::fs::read_dir(data.join("postgres/users"))
        .unwrap()
        .count();
    assert_eq!(left, 0, "nobody is registered");
}

#[test]
fn a_killed_user_does_not_keep_the_server() {
    let scratch = Scratch::new();
    let data = scratch.data();
    let mut other = Other::opening(&data);
    other.said();
    assert!(runs(&data));
    other.kill();
    assert!(
        cluster::status(&data).unwrap().users.is_empty(),
        "the dead do not count"
    );
    eventually("the watchdog stopped the server", || !runs(&data));
}

#[tokio::test]
async fn a_killed_user_does_not_take_the_server_from_the_living() {
    let scratch = Scratch::new();
    let data = scratch.data();
    let mine = open(&data);
    let pid = mine.pid();
    let mut other = Other::opening(&data);
    other.said();
    other.kill();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(mine.pid(), pid);
    connect(&mine).await;
    mine.leave().unwrap();
    assert!(!runs(&data), "a killed process is not waited for");
}

#[test]
fn the_mark_of_a_watchdog_at_work_is_waited_for_and_a_dead_ones_is_not() {
    let scratch = Scratch::new();
    let data = scratch.data();
    open(&data).leave().unwrap();
    let mark = data.join("postgres/stopping");
    std::os::unix::fs::symlink("99999999", &mark).unwrap();
    open(&data).leave().unwrap();
    assert!(mark.symlink_metadata().is_err(), "a leftover is taken away");

    let work = format!("ln -s $$ {0}; sleep 1; rm {0}", mark.display());
    let mut watchdog = std::process::Command::new("sh")
        .args(["-c", &work])
        .spawn()
        .unwrap();
    eventually("the mark is there", || mark.symlink_metadata().is_ok());
    let mine = open(&data);
    assert!(mark.symlink_metadata().is_err(), "it was waited for");
    assert!(
        watchdog.wait().unwrap().success(),
        "and taken away by its owner"
    );
    mine.leave().unwrap();
}

#[test]
fn one_who_comes_while_a_watchdog_stops_the_server_gets_a_server() {
    let scratch = Scratch::new();
    let data = scratch.data();
    for _ in 0..3 {
        let mut other = Other::opening(&data);
        other.said();
        other.kill();
        // Now, or in the middle of the stop, or after it.
        let begun = std::time::Instant::now();
        let mine = open(&data);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        while begun.elapsed() < Duration::from_millis(700) {
            runtime.block_on(async { connect(&mine).await });
        }
        mine.leave().unwrap();
    }
}
