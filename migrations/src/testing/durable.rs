//! A private cluster with the settings that real books get, for tests that kill it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

use super::{fail, place};
use crate::cluster::{self, Cluster, Purpose, SUPERUSER, Stop};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A cluster of one test's own, with a migrated database. Costs some seconds to make.
#[derive(Debug)]
pub struct DurableCluster {
    folder: PathBuf,
    cluster: Option<Cluster>,
}

/// Makes a cluster that keeps what was committed, whatever is killed.
pub async fn durable_cluster() -> DurableCluster {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = place::near(&format!("durable-{}-{number}", std::process::id()));
    let durable = DurableCluster {
        folder,
        cluster: None,
    };
    let cluster = Cluster::open_for(&durable.folder, Purpose::Books, Duration::ZERO);
    let cluster = cluster.unwrap_or_else(|error| fail(error));
    let durable = durable.with(cluster);
    let made = durable.cluster().ensure_database(SUPERUSER).await;
    made.unwrap_or_else(|error| fail(error));
    let conn = durable.options(SUPERUSER).connect().await;
    let mut conn = conn.unwrap_or_else(|error| fail(error));
    let migrated = crate::migrate(&mut conn).await;
    let _ = migrated.unwrap_or_else(|error| fail(error));
    durable
}

impl DurableCluster {
    fn with(mut self, cluster: Cluster) -> DurableCluster {
        self.cluster = Some(cluster);
        self
    }

    /// The cluster itself.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        self.cluster.as_ref().expect("set when it was made")
    }

    /// Its data folder, as `counterfoil --data` takes it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How to connect to the migrated database as a role.
    #[must_use]
    pub fn options(&self, role: &str) -> PgConnectOptions {
        self.cluster().options(SUPERUSER, role)
    }

    /// The address of the migrated database, as `DATABASE_URL` takes it.
    #[must_use]
    pub fn url(&self) -> String {
        place::url(&self.options(SUPERUSER))
    }

    /// Kills the server as a power cut would (as far as a process can tell), and waits until it
    /// is gone.
    pub fn kill(&self) {
        let Some(pid) = self.cluster().pid() else {
            return;
        };
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        let begun = Instant::now();
        while self.cluster().pid().is_some() && begun.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Starts the server again; it recovers.
    pub fn restart(&self) {
        self.cluster()
            .ensure_running()
            .unwrap_or_else(|error| fail(error));
    }
}

impl Drop for DurableCluster {
    fn drop(&mut self) {
        drop(cluster::stop(&self.folder, Stop::Anyway));
        drop(self.cluster.take());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}
