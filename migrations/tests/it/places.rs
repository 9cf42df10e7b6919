//! Where a cluster may lie, and who runs it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use migrations::cluster::{self, Cluster, ClusterError, Stop};

use crate::child::Other;
use crate::support::{Scratch, connect, is_root, open, open_to_all, runs};

async fn works_from_tmp(data: &Path) {
    let cluster = open(data);
    connect(&cluster).await;
    let socket = cluster.socket().to_owned();
    assert!(socket.starts_with("/tmp"), "{}", socket.display());
    assert!(socket.as_os_str().len() < 80, "{}", socket.display());
    assert_eq!(socket.metadata().unwrap().mode() & 0o777, 0o700);
    cluster.leave().unwrap();
    assert!(!runs(data));
    assert!(!socket.exists(), "nothing is left in /tmp");
}

#[tokio::test]
async fn a_long_path_works() {
    let scratch = Scratch::new();
    works_from_tmp(&scratch.path().join("long".repeat(40)).join("x".repeat(120))).await;
}

#[tokio::test]
async fn an_odd_path_works() {
    let scratch = Scratch::new();
    works_from_tmp(&scratch.path().join("it's an, \"odd\" $(path)")).await;
}

#[test]
fn a_socket_folder_that_somebody_else_prepared_is_refused() {
    let scratch = Scratch::new();
    let data = scratch.path().join("y".repeat(120));
    let socket = cluster::status(&data).unwrap().socket;
    fs::create_dir(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o777)).unwrap();
    let refused = Cluster::open(&data).unwrap_err();
    fs::remove_dir(&socket).unwrap();
    assert!(
        matches!(refused, ClusterError::UnsafeSocketFolder { .. }),
        "{refused}"
    );
    assert!(refused.to_string().contains("remove it and try again"));
}

#[tokio::test]
async fn root_hands_the_server_to_somebody_else() {
    if !is_root() {
        eprintln!("not root: nothing to hand over");
        return;
    }
    let scratch = Scratch::new();
    let cluster = open(&scratch.data());
    let process = PathBuf::from(format!("/proc/{}", cluster.pid().unwrap()));
    if process.exists() {
        assert_ne!(process.metadata().unwrap().uid(), 0);
    }
    let base = scratch.data().join("postgres").metadata().unwrap();
    assert_ne!(base.uid(), 0);
    assert_eq!(base.mode() & 0o777, 0o700);
}

#[tokio::test]
async fn a_folder_that_the_servers_user_cannot_enter_is_kept_elsewhere() {
    if !is_root() {
        eprintln!("not root: the user can enter what is theirs");
        return;
    }
    let scratch = Scratch::new();
    let private = scratch.path().join("private");
    fs::create_dir(&private).unwrap();
    fs::set_permissions(&private, fs::Permissions::from_mode(0o700)).unwrap();
    let data = private.join("data");
    let cluster = open(&data);
    let notice = cluster.notice().expect("it says so").to_owned();
    assert!(notice.contains("cannot enter"), "{notice}");
    connect(&cluster).await;
    cluster.leave().unwrap();

    let status = cluster::status(&data).unwrap();
    assert!(
        status.data.starts_with("/var/lib/counterfoil"),
        "{}",
        status.data.display()
    );
    // Should the folder open up later, the books stay where they are.
    open_to_all(&private);
    assert_eq!(cluster::status(&data).unwrap().data, status.data);
    cluster::stop(&data, Stop::Anyway).unwrap();
    fs::remove_dir_all(status.data.parent().unwrap().parent().unwrap()).unwrap();
}

#[tokio::test]
async fn an_ordinary_user_runs_their_own_and_root_joins_it() {
    if !is_root() {
        let scratch = Scratch::new();
        let cluster = open(&scratch.data());
        let base = scratch.data().join("postgres").metadata().unwrap();
        assert_eq!(base.uid(), nix::unistd::geteuid().as_raw());
        connect(&cluster).await;
        return;
    }
    let scratch = Scratch::new();
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    let group = nobody.gid.to_string();
    std::os::unix::fs::chown(scratch.path(), Some(nobody.uid.as_raw()), None).unwrap();
    // The other user may not be able to enter the folder this binary lies in.
    let exe = scratch.path().join("it");
    fs::copy(std::env::current_exe().unwrap(), &exe).unwrap();
    let mut other = Other::opening_as("nobody", &group, &scratch.data(), &exe);
    let pid = other.said();
    assert_eq!(
        scratch.data().join("postgres").metadata().unwrap().uid(),
        nobody.uid.as_raw(),
        "an ordinary user keeps what is theirs"
    );

    let mine = open(&scratch.data());
    assert_eq!(
        mine.pid().unwrap().to_string(),
        pid,
        "root joins the same server"
    );
    connect(&mine).await;
    other.leave();
    connect(&mine).await;
    mine.leave().unwrap();
    assert!(!runs(&scratch.data()));
    // And the other way round: what root left behind, the user can use.
    let mut other = Other::opening_as("nobody", &group, &scratch.data(), &exe);
    other.said();
    other.leave();
    assert!(!runs(&scratch.data()));
}
