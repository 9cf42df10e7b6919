//! Where everything of a private cluster lies.
//!
//! ```text
//! <data folder>/postgres/          0700, owned by the user that runs the server
//!     cluster/                     PostgreSQL's own data directory
//!     socket/                      the unix socket (in /tmp when this path is too long)
//!     users/                       one locked file for each process that uses the cluster
//!     lock                         held while somebody creates, starts or stops the server
//!     pinned                       present: the server stays when the last process leaves
//!     server.log
//! ```

use std::fs::{self, DirBuilder, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use sha2::{Digest, Sha256};

use super::ClusterError;
use super::user::{RunAs, owner_name};

/// Tells the drafts of folders apart that threads of one process make.
static DRAFTS: AtomicU32 = AtomicU32::new(0);

/// Used when the unprivileged user cannot reach the data folder.
const FALLBACK: &str = "/var/lib/counterfoil";

/// The kernel allows 104 to 108 bytes for a socket's path, depending on the system.
const LONGEST_SOCKET: usize = 100;

/// The port is only a part of the socket's name: the server does not listen on the network.
pub(crate) const PORT: u16 = 5432;

/// The places of one cluster, and the user they belong to.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    base: PathBuf,
    socket: PathBuf,
    pub(crate) user: RunAs,
    pub(crate) notice: Option<String>,
}

impl Folder {
    /// Decides where the cluster of a data folder lies and who runs it. Makes nothing.
    pub(crate) fn locate(data_folder: &Path) -> Result<Folder, ClusterError> {
        let absolute = absolute(data_folder)?;
        let base = absolute.join("postgres");
        let users = RunAs::candidates(&[&base, &absolute])?;
        let there = existing_ancestor(&absolute);
        let fallback = Path::new(FALLBACK)
            .join(short_hash(&absolute))
            .join("postgres");
        let moved = is_cluster(&fallback) && !is_cluster(&base);
        if !moved && let Some(user) = users.iter().find(|user| user.can_enter(&there)) {
            return Ok(Folder::at(base, user.clone(), None));
        }
        let user = users.into_iter().next().ok_or(ClusterError::NoUser)?;
        let notice = format!(
            "PostgreSQL runs as user {}, who cannot enter {}: the database is kept in {}",
            user.name(),
            there.display(),
            fallback.display()
        );
        Ok(Folder::at(fallback, user, Some(notice)))
    }

    fn at(base: PathBuf, user: RunAs, notice: Option<String>) -> Folder {
        let near = base.join("socket");
        let name = near.join(format!(".s.PGSQL.{PORT}"));
        let socket = if is_plain(&near) && name.as_os_str().len() <= LONGEST_SOCKET {
            near
        } else {
            PathBuf::from(format!(
                "/tmp/counterfoil-{}-{}",
                user.uid(),
                short_hash(&base)
            ))
        };
        Folder {
            base,
            socket,
            user,
            notice,
        }
    }

    /// Makes the folders that are missing.
    pub(crate) fn make(&self) -> Result<(), ClusterError> {
        if let Some(parent) = self.base.parent() {
            fs::create_dir_all(parent).map_err(ClusterError::io("create", parent))?;
        }
        self.make_private(&self.base)?;
        self.check_owner()?;
        self.make_private(&self.users())
    }

    /// Refuses a folder that belongs to another user. One that is not there is fine.
    pub(crate) fn check_owner(&self) -> Result<(), ClusterError> {
        match fs::metadata(&self.base) {
            Ok(metadata) if metadata.uid() != self.user.uid() => Err(ClusterError::NotOurs {
                folder: self.base.clone(),
                owner: owner_name(metadata.uid()),
            }),
            _ => Ok(()),
        }
    }

    /// Makes the socket's folder, and refuses one in /tmp that somebody else has prepared.
    pub(crate) fn make_socket_folder(&self) -> Result<(), ClusterError> {
        self.make_private(&self.socket)?;
        let metadata =
            fs::symlink_metadata(&self.socket).map_err(ClusterError::io("read", &self.socket))?;
        let private = metadata.is_dir()
            && metadata.uid() == self.user.uid()
            && metadata.mode().trailing_zeros() >= 6;
        if !private {
            return Err(ClusterError::UnsafeSocketFolder {
                folder: self.socket.clone(),
                user: self.user.name().to_owned(),
            });
        }
        Ok(())
    }

    pub(crate) fn make_private(&self, folder: &Path) -> Result<(), ClusterError> {
        if folder.symlink_metadata().is_ok() {
            return Ok(());
        }
        // It appears with its owner: who comes at the same moment never sees one that is not given
        // away yet, and takes it for somebody else's.
        let mut draft = folder.as_os_str().to_owned();
        let turn = DRAFTS.fetch_add(1, Ordering::Relaxed);
        draft.push(format!(".{}.{turn}", std::process::id()));
        let draft = PathBuf::from(draft);
        let made = DirBuilder::new().mode(0o700).create(&draft);
        made.map_err(ClusterError::io("create", &draft))?;
        self.user.give(&draft)?;
        match fs::rename(&draft, folder) {
            Ok(()) => Ok(()),
            Err(error) => {
                fs::remove_dir(&draft).map_err(ClusterError::io("remove", &draft))?;
                let lost = folder.symlink_metadata().is_ok();
                lost.then_some(())
                    .ok_or_else(|| ClusterError::io("create", folder)(error))
            }
        }
    }

    /// Waits until no other process creates, starts or stops this cluster. The lock ends with
    /// the file, and so with the process, however it ends.
    pub(crate) fn lock(&self) -> Result<File, ClusterError> {
        let path = self.base.join("lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(ClusterError::io("open", &path))?;
        self.user.give(&path)?;
        file.lock().map_err(ClusterError::io("lock", &path))?;
        Ok(file)
    }

    /// Whether the path survives a shell and a settings file unquoted.
    pub(crate) fn is_plain(&self) -> bool {
        is_plain(&self.base)
    }

    pub(crate) fn exists(&self) -> bool {
        self.base.is_dir()
    }

    pub(crate) fn base(&self) -> &Path {
        &self.base
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.base.join("cluster")
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(crate) fn users(&self) -> PathBuf {
        self.base.join("users")
    }

    pub(crate) fn pinned(&self) -> PathBuf {
        self.base.join("pinned")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.base.join("server.log")
    }

    /// A link that exists while a watchdog stops the server; it points at the watchdog's number.
    pub(crate) fn stopping(&self) -> PathBuf {
        self.base.join("stopping")
    }
}

/// PostgreSQL's settings file splits a list of folders at commas and trims spaces, and `pg_ctl`
/// builds a command line for a shell.
fn is_plain(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    bytes
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"/._-+@".contains(byte))
}

fn is_cluster(base: &Path) -> bool {
    base.join("cluster/PG_VERSION").is_file()
}

/// The path without links in the part that exists, so that one folder has one cluster.
fn absolute(path: &Path) -> Result<PathBuf, ClusterError> {
    let whole = std::path::absolute(path).map_err(ClusterError::io("find", path))?;
    let there = existing_ancestor(&whole);
    let real = there
        .canonicalize()
        .map_err(ClusterError::io("find", &there))?;
    let rest = whole.strip_prefix(&there).unwrap_or(Path::new(""));
    Ok(if rest.as_os_str().is_empty() {
        real
    } else {
        real.join(rest)
    })
}

fn existing_ancestor(path: &Path) -> PathBuf {
    let found = path.ancestors().find(|ancestor| ancestor.is_dir());
    found.unwrap_or(Path::new("/")).to_owned()
}

fn short_hash(path: &Path) -> String {
    let digest = Sha256::digest(path.as_os_str().as_bytes());
    hex::encode(digest).chars().take(16).collect()
}
