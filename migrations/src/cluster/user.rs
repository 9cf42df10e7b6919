//! Who the server runs as. PostgreSQL refuses to run as root, so a root process hands the files
//! and the server to an unprivileged user; everybody else runs it as themselves.

use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::{Uid, User, geteuid};

use super::ClusterError;

/// The user that owns the cluster's files and runs its processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunAs {
    uid: u32,
    gid: u32,
    name: String,
    /// Whether this process must change to that user first.
    change: bool,
}

impl RunAs {
    /// Everybody the server could run as, most wanted first.
    ///
    /// An ordinary user can only be themselves. Root takes the owner of what is already there,
    /// then `postgres`, then whoever called `sudo`, then `nobody`.
    pub(crate) fn candidates(existing: &[&Path]) -> Result<Vec<RunAs>, ClusterError> {
        let me = geteuid();
        if !me.is_root() {
            let name = User::from_uid(me)
                .ok()
                .flatten()
                .map_or_else(|| me.to_string(), |u| u.name);
            let gid = nix::unistd::getegid().as_raw();
            return Ok(vec![RunAs {
                uid: me.as_raw(),
                gid,
                name,
                change: false,
            }]);
        }
        let sudo = std::env::var("SUDO_UID")
            .ok()
            .and_then(|uid| uid.parse().ok());
        let mut users: Vec<User> = existing
            .iter()
            .filter_map(|path| path.metadata().ok())
            .filter_map(|metadata| by_uid(metadata.uid()))
            .collect();
        users.extend(User::from_name("postgres").ok().flatten());
        users.extend(sudo.and_then(by_uid));
        users.extend(User::from_name("nobody").ok().flatten());
        let found: Vec<RunAs> = users.into_iter().filter_map(RunAs::unprivileged).collect();
        if found.is_empty() {
            Err(ClusterError::NoUser)
        } else {
            Ok(found)
        }
    }

    fn unprivileged(user: User) -> Option<RunAs> {
        (!user.uid.is_root()).then(|| RunAs {
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            name: user.name,
            change: true,
        })
    }

    /// The user's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The user's number.
    pub(crate) fn uid(&self) -> u32 {
        self.uid
    }

    /// A command that runs as this user, away from our terminal, and without our `PG…` variables,
    /// which would talk PostgreSQL's programs out of what we tell them.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .current_dir("/")
            .stdin(Stdio::null())
            .process_group(0);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        if self.change {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Gives a file or folder that this process has just made to the user.
    pub(crate) fn give(&self, path: &Path) -> Result<(), ClusterError> {
        if !self.change {
            return Ok(());
        }
        chown(path, Some(self.uid), Some(self.gid))
            .map_err(ClusterError::io("change the owner of", path))
    }

    /// Whether the user can enter a folder: asked by doing it, since mode bits are not the whole
    /// story where access lists exist.
    pub(crate) fn can_enter(&self, folder: &Path) -> bool {
        let mut command = self.command("/bin/sh");
        command.args(["-c", r#"cd -- "$1""#, "sh"]).arg(folder);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        !self.change || command.status().is_ok_and(|status| status.success())
    }
}

fn by_uid(uid: u32) -> Option<User> {
    User::from_uid(Uid::from_raw(uid)).ok().flatten()
}

/// The name of a file's owner, for messages.
pub(crate) fn owner_name(uid: u32) -> String {
    by_uid(uid).map_or_else(|| uid.to_string(), |user| user.name)
}
