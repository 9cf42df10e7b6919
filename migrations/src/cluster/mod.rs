//! The private cluster: a PostgreSQL server of our own, for those who have none to point
//! `DATABASE_URL` at.
//!
//! It uses the server programs installed on the machine, a data folder, and a unix socket that
//! only its user can reach; it never listens on the network. A process that opens it starts it
//! when it is not running, and the last one to leave stops it. What is committed is on the disk:
//! killing the server or its users loses nothing, the next one to come recovers.
//!
//! It never removes a data directory, never downloads anything, and never runs as root.
//!
//! These functions block, for up to a few seconds when a cluster is created or recovered; those
//! that speak to the server are async.

mod error;
pub mod find;
mod folder;
mod members;
mod server;
mod settings;
mod user;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

pub use error::ClusterError;
pub use find::{Binaries, MAJORS};
use folder::{Folder, PORT};
use members::Member;
use server::State;
pub use settings::Purpose;

/// The cluster's superuser, who owns its databases.
pub const SUPERUSER: &str = "counterfoil";

/// A running private cluster, and this process's place among its users.
#[derive(Debug)]
pub struct Cluster {
    folder: Folder,
    binaries: Binaries,
    purpose: Purpose,
    /// None after leaving.
    member: Option<Member>,
}

/// What [`status`] tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The server's process, when it runs.
    pub pid: Option<i32>,
    /// PostgreSQL's data directory.
    pub data: PathBuf,
    /// The folder of the unix socket.
    pub socket: PathBuf,
    /// The major version that made the data directory; none when there is none yet.
    pub major: Option<u32>,
    /// Whether the server stays when the last process leaves.
    pub pinned: bool,
    /// The processes that use it now.
    pub users: Vec<u32>,
    /// The server's log.
    pub log: PathBuf,
    /// Something the operator should know about where the files are.
    pub notice: Option<String>,
}

/// What [`stop`] does when other processes use the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Refuses.
    IfIdle,
    /// Ends their sessions.
    Anyway,
}

impl Cluster {
    /// The cluster of a data folder: created when there is none, started when it is not running.
    /// This process counts as one of its users until it leaves or ends.
    pub fn open(data_folder: &Path) -> Result<Cluster, ClusterError> {
        Cluster::open_for(data_folder, Purpose::Books, Duration::ZERO)
    }

    /// The same for another purpose. After the death of its last user the server stays for
    /// `linger`, in whole seconds: the next one may come soon.
    pub fn open_for(
        data_folder: &Path,
        purpose: Purpose,
        linger: Duration,
    ) -> Result<Cluster, ClusterError> {
        let folder = Folder::locate(data_folder)?;
        folder.check_owner()?;
        // Before anything is made: a machine without PostgreSQL keeps no trace of the attempt.
        let major = server::made_by(&folder)?;
        Binaries::find(major)?;
        folder.make()?;
        let lock = folder.lock()?;
        // Again, with the lock: another process may have created it meanwhile.
        let major = server::made_by(&folder)?;
        let binaries = Binaries::find(major)?;
        let member = Member::join(&folder, linger)?;
        let mut cluster = Cluster {
            folder,
            binaries,
            purpose,
            member: Some(member),
        };
        if let Err(error) = cluster.bring_up(major.is_none()) {
            cluster.leave_locked(lock)?;
            return Err(error);
        }
        Ok(cluster)
    }

    fn bring_up(&self, create: bool) -> Result<(), ClusterError> {
        if create {
            server::create(&self.folder, &self.binaries, self.purpose)?;
        }
        let started = server::start(&self.folder, &self.binaries, self.purpose);
        match (started, self.purpose) {
            // Without fsync a power cut may leave a ruin, and there is nothing in it to keep.
            (Err(ClusterError::NotStarted { .. }), Purpose::Tests) => {
                let data = self.folder.data();
                fs::remove_dir_all(&data).map_err(ClusterError::io("remove", &data))?;
                server::create(&self.folder, &self.binaries, self.purpose)?;
                server::start(&self.folder, &self.binaries, self.purpose)?;
                Ok(())
            }
            (started, _) => started.map(drop),
        }
    }

    /// Starts the server again when it has died under us; quick when it has not.
    pub fn ensure_running(&self) -> Result<(), ClusterError> {
        let _lock = self.folder.lock()?;
        server::start(&self.folder, &self.binaries, self.purpose)?;
        Ok(())
    }

    /// How to connect to one of its databases as one of its roles.
    #[must_use]
    pub fn options(&self, database: &str, role: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(self.folder.socket())
            .port(PORT)
            .username(role)
            .database(database)
            .ssl_mode(PgSslMode::Disable)
    }

    /// Creates a database unless it is there; true when it was made now.
    pub async fn ensure_database(&self, name: &str) -> Result<bool, ClusterError> {
        let mut conn = self.options("postgres", SUPERUSER).connect().await?;
        let made = create_database(&mut conn, name).await;
        conn.close().await?;
        Ok(made?)
    }

    /// Something the operator should know about where the files are.
    #[must_use]
    pub fn notice(&self) -> Option<&str> {
        self.folder.notice.as_deref()
    }

    /// The folder of the unix socket, as `psql --host` takes it.
    #[must_use]
    pub fn socket(&self) -> &Path {
        self.folder.socket()
    }

    /// The server's programs.
    #[must_use]
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// Makes a folder elsewhere that only the server's user can enter.
    #[cfg(feature = "testing")]
    pub(crate) fn make_private_folder(&self, path: &Path) -> Result<(), ClusterError> {
        self.folder.make_private(path)
    }

    /// The server's process, when it runs.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        pid(server::state(&self.folder))
    }

    /// Lets the server stay when the last process leaves, until [`stop`] or [`Cluster::unpin`].
    pub fn pin(&self) -> Result<(), ClusterError> {
        let path = self.folder.pinned();
        File::create(&path).map_err(ClusterError::io("create", &path))?;
        self.folder.user.give(&path)
    }

    /// Lets the server stop again when the last process leaves.
    pub fn unpin(&self) -> Result<(), ClusterError> {
        unpin(&self.folder)
    }

    /// Leaves; the last one to leave stops the server. Dropping does the same, in silence.
    pub fn leave(mut self) -> Result<(), ClusterError> {
        let lock = self.folder.lock()?;
        self.leave_locked(lock)
    }

    fn leave_locked(&mut self, lock: File) -> Result<(), ClusterError> {
        let Some(mut member) = self.member.take() else {
            return Ok(());
        };
        member.leave();
        let idle = members::living(&self.folder).is_empty() && !self.folder.pinned().exists();
        let outcome = if idle {
            server::stop(&self.folder)
        } else {
            Ok(())
        };
        drop(lock);
        outcome
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.member.is_some()
            && let Ok(lock) = self.folder.lock()
        {
            // There is nobody to tell; the watchdog of the next user tries again.
            drop(self.leave_locked(lock));
        }
    }
}

/// What there is in a data folder. Starts nothing and makes nothing.
pub fn status(data_folder: &Path) -> Result<Status, ClusterError> {
    let folder = Folder::locate(data_folder)?;
    folder.check_owner()?;
    let lock = if folder.exists() {
        Some(folder.lock()?)
    } else {
        None
    };
    let status = Status {
        pid: pid(server::state(&folder)),
        data: folder.data(),
        socket: folder.socket().to_owned(),
        major: server::made_by(&folder)?,
        pinned: folder.pinned().exists(),
        users: members::living(&folder),
        log: folder.log(),
        notice: folder.notice,
    };
    drop(lock);
    Ok(status)
}

/// Stops the server and takes the pin away; true when it was running.
pub fn stop(data_folder: &Path, how: Stop) -> Result<bool, ClusterError> {
    let folder = Folder::locate(data_folder)?;
    folder.check_owner()?;
    if !folder.exists() {
        return Ok(false);
    }
    let _lock = folder.lock()?;
    let users = members::living(&folder).len();
    if how == Stop::IfIdle && users > 0 {
        return Err(ClusterError::InUse(users));
    }
    unpin(&folder)?;
    let running = server::state(&folder) != State::Stopped;
    server::stop(&folder)?;
    Ok(running)
}

fn pid(state: State) -> Option<i32> {
    match state {
        State::Ready(pid) | State::Changing(pid) => Some(pid),
        State::Stopped => None,
    }
}

fn unpin(folder: &Folder) -> Result<(), ClusterError> {
    let path = folder.pinned();
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(ClusterError::io("remove", &path)(error))
        }
        _ => Ok(()),
    }
}

/// `create database` knows no `if not exists`, and two processes may come at once.
async fn create_database(conn: &mut sqlx::PgConnection, name: &str) -> Result<bool, sqlx::Error> {
    let exists = "select exists (select from pg_catalog.pg_database where datname = $1)";
    if sqlx::query_scalar(exists)
        .bind(name)
        .fetch_one(&mut *conn)
        .await?
    {
        return Ok(false);
    }
    let quoted = name.replace('"', "\"\"");
    let create = AssertSqlSafe(format!("create database \"{quoted}\""));
    match sqlx::raw_sql(create).execute(&mut *conn).await {
        Ok(_) => Ok(true),
        Err(error)
            if sqlx::query_scalar(exists)
                .bind(name)
                .fetch_one(conn)
                .await? =>
        {
            drop(error);
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Whether the cluster of this data folder can lie in it, rather than in the folder that is used
/// when the server's user cannot get there.
#[must_use]
pub fn can_lie_in(data_folder: &Path) -> bool {
    Folder::locate(data_folder).is_ok_and(|folder| folder.notice.is_none())
}
