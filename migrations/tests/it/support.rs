//! Folders, and waiting.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use migrations::cluster::{self, Cluster, Purpose, Stop};
use sqlx::{ConnectOptions, PgConnection};
use tempfile::TempDir;

/// A folder that everybody can enter, with a data folder's name in it; no server outlives it.
pub(crate) struct Scratch {
    dir: TempDir,
}

impl Scratch {
    pub(crate) fn new() -> Scratch {
        let dir = TempDir::with_prefix("counterfoil-it-").unwrap();
        open_to_all(dir.path());
        Scratch { dir }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(cluster::stop(&self.data(), Stop::Anyway));
    }
}

pub(crate) fn open_to_all(folder: &Path) {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A cluster without fsync, which is made sooner; nothing else about it differs.
pub(crate) fn open(data: &Path) -> Cluster {
    Cluster::open_for(data, Purpose::Tests, Duration::ZERO).unwrap()
}

pub(crate) async fn connect(cluster: &Cluster) -> PgConnection {
    cluster
        .options("postgres", cluster::SUPERUSER)
        .connect()
        .await
        .unwrap()
}

pub(crate) async fn setting(conn: &mut PgConnection, name: &str) -> String {
    let setting = sqlx::query_scalar("select current_setting($1)").bind(name);
    setting.fetch_one(conn).await.unwrap()
}

pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Waits until something holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "still not after 30 seconds: {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn runs(data: &Path) -> bool {
    cluster::status(data).unwrap().pid.is_some()
}
