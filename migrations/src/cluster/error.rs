//! What can go wrong with the private cluster: each message names the thing and the way out.

use std::io;
use std::path::{Path, PathBuf};

/// Why the private cluster is not there.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No usable server programs on this machine.
    #[error(
        "no PostgreSQL server (version 15 to 18) is installed: install one with {command}, or run \
         again with --install-postgres, or set DATABASE_URL to a server of yours"
    )]
    NotInstalled {
        /// The command that installs one here.
        command: String,
    },
    /// The folder was made by a version that is not installed.
    #[error(
        "this data folder needs PostgreSQL {needed}, but only {installed} is installed here: \
         install {needed} with {command}, or choose another folder with --data"
    )]
    MissingMajor {
        /// The version that made the folder.
        needed: u32,
        /// The versions found on this machine.
        installed: String,
        /// The command that installs the needed one.
        command: String,
    },
    /// The folder was made by a version this program does not know.
    #[error(
        "{} was made by PostgreSQL {found}, and counterfoil works with 15 to 18: dump it with \
         that version's pg_dumpall and load the dump into a new folder, or choose another folder \
         with --data", folder.display()
    )]
    OtherMajor {
        /// The folder with the database files.
        folder: PathBuf,
        /// What its version file says.
        found: String,
    },
    /// The folder holds files that are not a cluster of ours.
    #[error(
        "{} holds files but no PostgreSQL cluster: move them away or choose another folder with \
         --data", .0.display()
    )]
    NotACluster(PathBuf),
    /// PostgreSQL refuses to run as root and there is nobody else.
    #[error(
        "PostgreSQL does not run as root and there is no user `postgres` or `nobody` to run it \
         as: create one with `useradd --system postgres`, or run counterfoil as an ordinary user"
    )]
    NoUser,
    /// Somebody else's folder.
    #[error(
        "{} belongs to user {owner}: run counterfoil as that user or as root, or choose another \
         folder with --data", folder.display()
    )]
    NotOurs {
        /// The folder.
        folder: PathBuf,
        /// Its owner's name or number.
        owner: String,
    },
    /// The short folder for the socket is not safe to use.
    #[error(
        "{} is not a folder that only user {user} can enter: remove it and try again",
        folder.display()
    )]
    UnsafeSocketFolder {
        /// The folder.
        folder: PathBuf,
        /// Whose it must be.
        user: String,
    },
    /// A program of PostgreSQL failed.
    #[error("{program} failed: {message}")]
    Program {
        /// Which one.
        program: String,
        /// What it said.
        message: String,
    },
    /// The server did not come up.
    #[error("PostgreSQL did not start in {}: {message}", folder.display())]
    NotStarted {
        /// The folder with the database files.
        folder: PathBuf,
        /// The end of its log.
        message: String,
    },
    /// The server did not go down.
    #[error("PostgreSQL (process {pid}) did not stop in {seconds} seconds: stop it by hand")]
    NotStopped {
        /// Its process.
        pid: i32,
        /// How long was waited.
        seconds: u64,
    },
    /// Somebody still works with it.
    #[error("the private cluster is in use by {0} other process(es): stop them first, or force it")]
    InUse(usize),
    /// A file or folder could not be used.
    #[error("could not {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The server refused.
    #[error("the private cluster refused: {0}")]
    Database(#[from] sqlx::Error),
}

impl ClusterError {
    /// For `map_err`: what was tried, and on which path.
    pub(crate) fn io(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(io::Error) -> ClusterError + use<> {
        let path = path.to_owned();
        move |source| ClusterError::Io {
            action,
            path,
            source,
        }
    }
}
