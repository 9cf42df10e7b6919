//! Where tests find their server.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::Duration;

use sha2::{Digest, Sha256};
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

use crate::cluster::{self, Binaries, Cluster, Purpose, SUPERUSER};

/// How long the server waits for the next test process.
const LINGER: Duration = Duration::from_secs(3);

/// Never dropped: a test binary has no end of its own. The cluster's watchdog sees to the rest.
static CLUSTER: OnceLock<Cluster> = OnceLock::new();

/// The private cluster, when that is what tests use.
pub(super) fn cluster() -> Option<&'static Cluster> {
    CLUSTER.get()
}

/// How to reach the server that tests use, at its maintenance database. Blocks while a private
/// one is created. Called once in each process.
pub(super) fn server() -> Result<PgConnectOptions, String> {
    if let Ok(url) = std::env::var("DATABASE_URL")
        && !url.is_empty()
    {
        let options = PgConnectOptions::from_str(&url);
        return options
            .map(|options| options.database("postgres"))
            .map_err(|error| format!("DATABASE_URL cannot be used: {error}"));
    }
    let folder = folder()?;
    let cluster = Cluster::open_for(&folder, Purpose::Tests, LINGER);
    let cluster = cluster.map_err(|error| error.to_string())?;
    let options = cluster.options("postgres", SUPERUSER);
    drop(CLUSTER.set(cluster));
    Ok(options)
}

/// A folder for this checkout, this user and this version of PostgreSQL.
fn folder() -> Result<PathBuf, String> {
    let binaries = Binaries::find(None).map_err(|error| error.to_string())?;
    let name = format!(
        "test-postgres-{}-{}",
        binaries.major,
        nix::unistd::geteuid()
    );
    Ok(near(&name))
}

/// A folder of that name below cargo's target folder, or below the system's temporary one when
/// the user that runs the server cannot enter the former.
pub(super) fn near(name: &str) -> PathBuf {
    let exe = std::env::current_exe().unwrap_or_default();
    let target = exe
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").is_file());
    if let Some(target) = target {
        let folder = target.join(name);
        if cluster::can_lie_in(&folder) {
            return folder;
        }
    }
    let key = target
        .unwrap_or(Path::new(""))
        .as_os_str()
        .as_encoded_bytes();
    let hash: String = hex::encode(Sha256::digest(key)).chars().take(12).collect();
    std::env::temp_dir().join(format!("counterfoil-{hash}-{name}"))
}

/// The address that leads where the options do.
pub(super) fn url(options: &PgConnectOptions) -> String {
    options.to_url_lossy().to_string()
}
