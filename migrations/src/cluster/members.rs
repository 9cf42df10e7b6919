//! Who uses the cluster. Each process keeps one locked file; the kernel ends the lock with the
//! process, so a killed one does not count for ever.
//!
//! A small watchdog (a shell that waits on a pipe from its process) stands behind each one: when
//! the process ends without leaving in order, the watchdog takes its file away and stops the
//! server if nobody else is there.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::ClusterError;
use super::folder::Folder;
use super::server::is_alive;
use super::settings;

/// How long a watchdog's stop may take before its mark is taken for a leftover.
const STOPPING_SECONDS: u64 = 150;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// This process's place among the users of a cluster.
#[derive(Debug)]
pub(crate) struct Member {
    path: PathBuf,
    /// Open and locked for as long as the member lives.
    file: Option<File>,
    watchdog: Option<Child>,
}

impl Member {
    /// Registers this process and sets its watchdog. The caller holds the folder's lock.
    pub(crate) fn join(folder: &Folder, linger: Duration) -> Result<Member, ClusterError> {
        let pid = std::process::id();
        let name = format!("{pid}.{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let path = folder.users().join(&name);
        let mut file = File::create(&path).map_err(ClusterError::io("create", &path))?;
        folder.user.give(&path)?;
        file.lock().map_err(ClusterError::io("lock", &path))?;
        writeln!(file, "{pid}").map_err(ClusterError::io("write", &path))?;
        let mut member = Member {
            path,
            file: Some(file),
            watchdog: None,
        };
        member.watchdog = Some(watchdog(folder, &name, linger)?);
        member.wait_for_watchdogs(folder);
        Ok(member)
    }

    /// A watchdog that found nobody here a moment ago may be stopping the server; it looked after
    /// setting its mark, and we registered before looking for the mark, so one of us sees the
    /// other.
    fn wait_for_watchdogs(&self, folder: &Folder) {
        let mark = folder.stopping();
        let begun = Instant::now();
        while let Ok(target) = fs::read_link(&mark) {
            let pid = target
                .to_str()
                .and_then(|pid| pid.parse().ok())
                .unwrap_or(0);
            let hopeless = begun.elapsed() > Duration::from_secs(STOPPING_SECONDS);
            if pid <= 0 || !is_alive(pid) || hopeless {
                drop(fs::remove_file(&mark));
            }
            sleep(Duration::from_millis(10));
        }
        debug_assert!(self.file.is_some(), "registered before waiting");
    }

    /// Takes this process off the list. The caller holds the folder's lock.
    pub(crate) fn leave(&mut self) {
        if let Some(mut watchdog) = self.watchdog.take() {
            if let Some(mut pipe) = watchdog.stdin.take() {
                drop(pipe.write_all(b"bye\n"));
            }
            drop(watchdog.wait());
        }
        drop(fs::remove_file(&self.path));
        self.file = None;
    }
}

/// The processes that use the cluster. Files of dead ones are removed. The caller holds the
/// folder's lock, without which a file may be seen before its owner has locked it.
pub(crate) fn living(folder: &Folder) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(folder.users()) else {
        return Vec::new();
    };
    let mut pids = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        let Ok(mut file) = File::open(&path) else {
            continue;
        };
        if file.try_lock().is_ok() {
            drop(fs::remove_file(&path));
            continue;
        }
        let mut text = String::new();
        drop(file.read_to_string(&mut text));
        pids.extend(text.trim().parse::<u32>());
    }
    pids
}

/// The shell behind one process. `bye` ends it at once; the pipe's end without it means that the
/// process was killed, or is a test binary, which has no end of its own.
const WATCHDOG: &str = include_str!("watchdog.sh");

fn watchdog(folder: &Folder, name: &str, linger: Duration) -> Result<Child, ClusterError> {
    // A file, so that a list of processes shows whose watchdog it is and not the whole script.
    let script = folder.base().join("watchdog.sh");
    settings::replace(folder, &script, WATCHDOG)?;
    let mut command = folder.user.command("/bin/sh");
    command
        .arg(&script)
        .arg(folder.base())
        .arg(folder.socket())
        .arg(name)
        .arg(linger.as_secs().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
        .spawn()
        .map_err(ClusterError::io("run", "/bin/sh".as_ref()))
}
