//! One cluster: how it is made, what it survives, what it refuses.

use std::fs;
use std::process::{Child, Command};

use migrations::cluster::{self, Cluster, ClusterError, Stop};
use migrations::testing;
use nix::unistd::{Pid, getpgid, getsid};
use sqlx::ConnectOptions;

use crate::support::{Scratch, connect, is_root, open, runs, setting};

#[tokio::test]
async fn a_committed_row_survives_the_servers_death() {
    let durable = testing::durable_cluster().await;
    let mut conn = durable.options(cluster::SUPERUSER).connect().await.unwrap();
    for (name, value) in [
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("synchronous_commit", "on"),
        ("data_checksums", "on"),
        ("server_encoding", "UTF8"),
        ("listen_addresses", ""),
    ] {
        assert_eq!(setting(&mut conn, name).await, value, "{name}");
    }
    let table = "create table public.kept as select 42 as answer";
    sqlx::raw_sql(table).execute(&mut conn).await.unwrap();
    let before = durable.cluster().pid().unwrap();

    durable.kill();
    assert_eq!(durable.cluster().pid(), None);
    durable.restart();

    assert_ne!(durable.cluster().pid().unwrap(), before);
    let mut conn = durable.options(cluster::SUPERUSER).connect().await.unwrap();
    let answer: i32 = sqlx::query_scalar("select answer from public.kept")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert_eq!(answer, 42);
}

#[tokio::test]
async fn opening_again_recovers_a_killed_server() {
    let scratch = Scratch::new();
    let first = Cluster::open(&scratch.data()).unwrap();
    let pid = first.pid().unwrap();
    nix::sys::signal::kill(Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    let second = Cluster::open(&scratch.data()).unwrap();
    assert_ne!(second.pid().unwrap(), pid);
    connect(&second).await;
    // Both are registered: the first to leave does not take the server from the second.
    first.leave().unwrap();
    connect(&second).await;
}

/// A process of the cluster's user that is no server.
fn stranger(data: &std::path::Path) -> Child {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::process::CommandExt;
    let owner = fs::metadata(data.join("postgres")).unwrap();
    let mut command = Command::new("sleep");
    command.arg("60");
    if is_root() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    command.spawn().unwrap()
}

#[test]
fn a_stale_pid_file_with_a_strangers_number_does_not_matter() {
    let scratch = Scratch::new();
    let data = scratch.data();
    // With real settings: a test cluster that does not start is made anew.
    let cluster = Cluster::open(&data).unwrap();
    let pid_file = data.join("postgres/cluster/postmaster.pid");
    let text = fs::read_to_string(&pid_file).unwrap();
    cluster.leave().unwrap();
    assert!(!runs(&data));

    let mut stranger = stranger(&data);
    let rest = text.split_once('\n').unwrap().1;
    fs::write(&pid_file, format!("{}\n{rest}", stranger.id())).unwrap();
    if let Ok(metadata) = fs::metadata(data.join("postgres")) {
        use std::os::unix::fs::MetadataExt;
        std::os::unix::fs::chown(&pid_file, Some(metadata.uid()), None).unwrap();
    }
    assert!(!runs(&data), "a stranger is not a server");
    // Stopping must not touch the stranger either.
    assert!(!cluster::stop(&data, Stop::Anyway).unwrap());
    assert!(stranger.try_wait().unwrap().is_none());

    let again = Cluster::open(&data).unwrap();
    assert_ne!(again.pid(), i32::try_from(stranger.id()).ok());
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn an_initdb_killed_half_way_leaves_nothing_in_the_way() {
    let scratch = Scratch::new();
    let ruin = scratch.data().join("postgres/cluster.new/base");
    fs::create_dir_all(&ruin).unwrap();
    if is_root() {
        let postgres = nix::unistd::User::from_name("postgres").unwrap().unwrap();
        let base = scratch.data().join("postgres");
        std::os::unix::fs::chown(base, Some(postgres.uid.as_raw()), None).unwrap();
    }
    open(&scratch.data()).leave().unwrap();
}

#[test]
fn an_interrupt_on_our_terminal_does_not_reach_the_server() {
    let scratch = Scratch::new();
    let cluster = open(&scratch.data());
    let server = Pid::from_raw(cluster.pid().unwrap());
    assert_ne!(getsid(Some(server)).unwrap(), getsid(None).unwrap());
    assert_ne!(getpgid(Some(server)).unwrap(), getpgid(None).unwrap());
}

#[test]
fn a_pinned_server_stays_until_it_is_stopped() {
    let scratch = Scratch::new();
    let data = scratch.data();
    assert_eq!(cluster::status(&data).unwrap().major, None);
    let cluster = open(&data);
    let pid = cluster.pid();
    cluster.pin().unwrap();
    cluster.leave().unwrap();

    let status = cluster::status(&data).unwrap();
    assert!(
        status.pinned && status.pid == pid && status.users.is_empty(),
        "{status:?}"
    );
    let user = open(&data);
    assert_eq!(user.pid(), pid);
    assert_eq!(cluster::status(&data).unwrap().users, [std::process::id()]);
    let refused = cluster::stop(&data, Stop::IfIdle).unwrap_err();
    assert!(matches!(refused, ClusterError::InUse(1)), "{refused}");
    user.leave().unwrap();
    assert!(runs(&data));

    assert!(cluster::stop(&data, Stop::IfIdle).unwrap());
    assert!(!runs(&data));
    assert!(
        !cluster::stop(&data, Stop::IfIdle).unwrap(),
        "it was not running"
    );
    open(&data).leave().unwrap();
    assert!(!runs(&data), "stopping takes the pin away");
}

#[test]
fn a_folder_of_another_major_version_is_refused() {
    let scratch = Scratch::new();
    let data = scratch.data();
    let inner = data.join("postgres/cluster");
    fs::create_dir_all(&inner).unwrap();
    fs::write(inner.join("PG_VERSION"), "14\n").unwrap();
    let refused = Cluster::open(&data).unwrap_err();
    if is_root() && matches!(refused, ClusterError::NotOurs { .. }) {
        // The folder was made by root: hand it over first.
        let postgres = nix::unistd::User::from_name("postgres").unwrap().unwrap();
        std::os::unix::fs::chown(data.join("postgres"), Some(postgres.uid.as_raw()), None).unwrap();
    }
    let refused = Cluster::open(&data).unwrap_err();
    assert!(
        matches!(refused, ClusterError::OtherMajor { .. }),
        "{refused}"
    );
    let sentence = refused.to_string();
    assert!(sentence.contains("made by PostgreSQL 14"), "{sentence}");
    assert!(sentence.contains("pg_dumpall"), "{sentence}");
    assert_eq!(
        fs::read_dir(data.join("postgres")).unwrap().count(),
        1,
        "nothing was made"
    );
}

#[test]
fn files_that_are_no_cluster_are_left_alone() {
    let scratch = Scratch::new();
    let data = scratch.data();
    let inner = data.join("postgres/cluster");
    fs::create_dir_all(&inner).unwrap();
    fs::write(inner.join("letter.txt"), "dear").unwrap();
    if is_root() {
        let postgres = nix::unistd::User::from_name("postgres").unwrap().unwrap();
        std::os::unix::fs::chown(data.join("postgres"), Some(postgres.uid.as_raw()), None).unwrap();
    }
    let refused = Cluster::open(&data).unwrap_err();
    assert!(matches!(refused, ClusterError::NotACluster(_)), "{refused}");
    assert_eq!(
        fs::read_to_string(inner.join("letter.txt")).unwrap(),
        "dear"
    );
}

#[tokio::test]
async fn a_database_is_made_once() {
    let scratch = Scratch::new();
    let cluster = open(&scratch.data());
    assert!(cluster.ensure_database("counter\"foil").await.unwrap());
    assert!(!cluster.ensure_database("counter\"foil").await.unwrap());
    let (one, two) = tokio::join!(
        cluster.ensure_database("at once"),
        cluster.ensure_database("at once")
    );
    assert_ne!(one.unwrap(), two.unwrap(), "one of two at once made it");
}
