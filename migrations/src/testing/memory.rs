//! Test databases in memory, where the machine has room: the private test cluster's own files stay
//! on the disk, the copies of the template go to a tablespace in `/dev/shm`.
//!
//! A copy is some three hundred small files. Some file systems take a millisecond for each (ext4
//! without a journal, after many were removed); in memory all of them take five.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, PgConnection};

use super::Failure;
use super::keeper::drop_database;
use super::template::{LOCK, UNLOCK};
use crate::cluster::Cluster;

/// The tablespace's name.
pub(super) const TABLESPACE: &str = "cft_memory";

/// Below this much free memory the disk is used.
const ROOM: u64 = 2 << 30;

const EXISTS: &str = "select exists (select from pg_catalog.pg_tablespace where spcname = $1)";

/// Makes the tablespace unless it is there; true when there is one to use.
pub(super) async fn ensure(
    conn: &mut PgConnection,
    cluster: Option<&Cluster>,
) -> Result<bool, Failure> {
    let Some(cluster) = cluster.filter(|_| has_room()) else {
        return Ok(false);
    };
    let folder = folder(cluster.socket());
    if is_whole(conn, &folder).await? {
        return Ok(true);
    }
    sqlx::query(LOCK)
        .bind(TABLESPACE)
        .execute(&mut *conn)
        .await?;
    let outcome = make(conn, cluster, &folder).await;
    sqlx::query(UNLOCK)
        .bind(TABLESPACE)
        .execute(&mut *conn)
        .await?;
    outcome.map(|()| true)
}

fn has_room() -> bool {
    nix::sys::statvfs::statvfs("/dev/shm")
        .is_ok_and(|shm| shm.blocks_available().saturating_mul(shm.fragment_size()) > ROOM)
}

/// One for each cluster, and so for each checkout and user.
fn folder(socket: &Path) -> PathBuf {
    let digest = hex::encode(Sha256::digest(socket.as_os_str().as_encoded_bytes()));
    let short: String = digest.chars().take(16).collect();
    PathBuf::from(format!("/dev/shm/counterfoil-tests-{short}"))
}

/// The folder is gone when the machine was restarted; the catalogue does not know.
async fn is_whole(conn: &mut PgConnection, folder: &Path) -> Result<bool, sqlx::Error> {
    let known: bool = sqlx::query_scalar(EXISTS)
        .bind(TABLESPACE)
        .fetch_one(conn)
        .await?;
    let filled = folder
        .read_dir()
        .is_ok_and(|mut entries| entries.next().is_some());
    Ok(known && filled)
}

async fn make(conn: &mut PgConnection, cluster: &Cluster, folder: &Path) -> Result<(), Failure> {
    if is_whole(conn, folder).await? {
        return Ok(());
    }
    let lost: Vec<String> = sqlx::query_scalar(
        "select datname from pg_catalog.pg_database as d
         join pg_catalog.pg_tablespace as t on t.oid = d.dattablespace where spcname = $1",
    )
    .bind(TABLESPACE)
    .fetch_all(&mut *conn)
    .await?;
    for name in lost {
        drop_database(conn, &name).await?;
    }
    let sql = format!("drop tablespace if exists {TABLESPACE}");
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut *conn)
        .await?;
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    cluster.make_private_folder(folder)?;
    let place = folder.display();
    let sql = format!("create tablespace {TABLESPACE} location '{place}'");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(conn).await?;
    Ok(())
}
