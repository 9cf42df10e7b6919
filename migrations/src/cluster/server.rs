//! The server process: created, started, looked at and stopped. Callers hold the folder's lock.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::folder::Folder;
use super::{Binaries, ClusterError, MAJORS, Purpose, settings};

/// How long the start may take: a crash may leave much to recover.
const START_SECONDS: u64 = 600;
const STOP_SECONDS: u64 = 120;

/// A process number that no system gives out.
const NOBODY: &str = "99999999";

/// What the data directory's own pid file says, checked against the process itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Stopped,
    /// Starting or stopping.
    Changing(i32),
    Ready(i32),
}

/// The major version that made the data directory; none when there is none yet.
pub(crate) fn made_by(folder: &Folder) -> Result<Option<u32>, ClusterError> {
    let data = folder.data();
    let path = data.join("PG_VERSION");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let empty = fs::read_dir(&data).map_or(true, |mut entries| entries.next().is_none());
            return if empty {
                Ok(None)
            } else {
                Err(ClusterError::NotACluster(data))
            };
        }
        Err(error) => return Err(ClusterError::io("read", &path)(error)),
    };
    match text.trim().parse() {
        Ok(major) if MAJORS.contains(&major) => Ok(Some(major)),
        _ => Err(ClusterError::OtherMajor {
            folder: data,
            found: text.trim().to_owned(),
        }),
    }
}

/// Creates the data directory beside its place and moves it there when it is whole, so that a
/// process killed half way leaves nothing that looks like a cluster.
pub(crate) fn create(
    folder: &Folder,
    binaries: &Binaries,
    purpose: Purpose,
) -> Result<(), ClusterError> {
    let new = folder.base().join("cluster.new");
    if new.exists() {
        fs::remove_dir_all(&new).map_err(ClusterError::io("remove", &new))?;
    }
    let mut command = folder.user.command(binaries.program("initdb"));
    command
        .args([
            "--data-checksums",
            "--encoding=UTF8",
            "--locale=C",
            "--username=counterfoil",
        ])
        .args(["--auth-local=trust", "--auth-host=reject"])
        .arg("--pgdata")
        .arg(&new);
    if purpose == Purpose::Tests {
        command.arg("--no-sync");
    }
    run("initdb", &mut command)?;
    settings::include(folder, &new)?;
    let data = folder.data();
    fs::rename(&new, &data).map_err(ClusterError::io("create", &data))
}

/// Whether the server runs.
pub(crate) fn state(folder: &Folder) -> State {
    let data = folder.data();
    let Ok(text) = fs::read_to_string(data.join("postmaster.pid")) else {
        return State::Stopped;
    };
    let mut lines = text.lines();
    let pid = lines.next().and_then(|line| line.trim().parse().ok());
    let Some(pid) = pid.filter(|&pid| is_server(pid, &data)) else {
        return State::Stopped;
    };
    match lines.nth(6).map(str::trim) {
        Some("ready") => State::Ready(pid),
        _ => State::Changing(pid),
    }
}

/// Whether a process is alive, whoever it belongs to.
pub(crate) fn is_alive(pid: i32) -> bool {
    kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH)
}

/// Whether a process is the server of this data directory, and not a stranger that got the number
/// of one that died.
fn is_server(pid: i32, data: &Path) -> bool {
    if pid <= 0 || !is_alive(pid) {
        return false;
    }
    let process = Path::new("/proc").join(pid.to_string());
    if process.exists() {
        // A server lives in its data directory. A process we may not look at is not ours.
        return fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == data);
    }
    let output = Command::new("ps")
        .args(["-o", "command=", "-p", &pid.to_string()])
        .output();
    output.is_ok_and(|output| {
        let line = String::from_utf8_lossy(&output.stdout).into_owned();
        let data = data.to_string_lossy();
        line.contains("postgres") && (line.contains(&*data) || line.contains("-D cluster"))
    })
}

/// Starts the server unless it runs, and waits until it takes connections.
pub(crate) fn start(
    folder: &Folder,
    binaries: &Binaries,
    purpose: Purpose,
) -> Result<i32, ClusterError> {
    let begun = Instant::now();
    loop {
        match state(folder) {
            State::Ready(pid) => return Ok(pid),
            State::Changing(_) => {}
            State::Stopped => {
                prepare(folder, purpose)?;
                if let Err(error) = pg_ctl_start(folder, binaries)
                    && !orphans_remain(&error, begun.elapsed())
                {
                    return Err(error);
                }
            }
        }
        if begun.elapsed() > Duration::from_secs(START_SECONDS) {
            return Err(not_started(
                folder,
                "it is still busy with recovery; try again later",
            ));
        }
        sleep(Duration::from_millis(20));
    }
}

/// The children of a killed server need a moment to notice; until then the shared memory is taken.
fn orphans_remain(error: &ClusterError, waited: Duration) -> bool {
    waited < Duration::from_secs(30)
        && matches!(error, ClusterError::NotStarted { message, .. }
            if message.contains("shared memory block"))
}

/// Clears away what a server that did not stop in order has left. Nobody serves this folder now:
/// the caller holds the lock and has looked.
fn prepare(folder: &Folder, purpose: Purpose) -> Result<(), ClusterError> {
    folder.make_socket_folder()?;
    settings::write(folder, purpose)?;
    for name in [".s.PGSQL.5432", ".s.PGSQL.5432.lock"] {
        drop(fs::remove_file(folder.socket().join(name)));
    }
    let log = folder.log();
    if log
        .metadata()
        .is_ok_and(|metadata| metadata.len() > 10_000_000)
    {
        drop(fs::rename(&log, log.with_extension("log.old")));
    }
    // A stranger may have the number in a stale pid file, and PostgreSQL would then not start.
    // The file stays, with a number nobody has: it also names the shared memory, and PostgreSQL
    // checks by it that no child of the old server is still writing.
    let path = folder.data().join("postmaster.pid");
    if let Ok(text) = fs::read_to_string(&path) {
        let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
        fs::write(&path, format!("{NOBODY}\n{rest}")).map_err(ClusterError::io("write", &path))?;
    }
    Ok(())
}

fn pg_ctl_start(folder: &Folder, binaries: &Binaries) -> Result<(), ClusterError> {
    let before = folder.log().metadata().map_or(0, |metadata| metadata.len());
    let mut command = folder.user.command(binaries.program("pg_ctl"));
    // pg_ctl hands paths to a shell, hence the relative ones where a path has odd letters. It gives
    // the server a session of its own: Ctrl-C on our terminal does not reach it.
    command
        .args([
            "start",
            "--silent",
            "--wait",
            "--timeout",
            &START_SECONDS.to_string(),
        ])
        .current_dir(folder.base())
        .arg("--pgdata")
        .arg(if folder.is_plain() {
            folder.data()
        } else {
            PathBuf::from("cluster")
        })
        .args(["--log", "server.log"]);
    run("pg_ctl", &mut command).map_err(|error| match error {
        ClusterError::Program { message, .. } => {
            not_started(folder, &log_since(folder, before).unwrap_or(message))
        }
        other => other,
    })
}

fn not_started(folder: &Folder, message: &str) -> ClusterError {
    ClusterError::NotStarted {
        folder: folder.data(),
        message: message.to_owned(),
    }
}

/// The telling lines of what the server logged after a point, if there are any.
fn log_since(folder: &Folder, from: u64) -> Option<String> {
    let text = fs::read(folder.log()).unwrap_or_default();
    let from = usize::try_from(from).unwrap_or(0);
    let text = String::from_utf8_lossy(text.get(from..).unwrap_or_default()).into_owned();
    let telling: Vec<&str> = text
        .lines()
        .filter(|line| {
            ["FATAL", "PANIC", "HINT", "ERROR"]
                .iter()
                .any(|mark| line.contains(mark))
        })
        .collect();
    (!telling.is_empty()).then(|| telling.join("; "))
}

/// Stops the server: sessions are ended, everything is written down.
pub(crate) fn stop(folder: &Folder) -> Result<(), ClusterError> {
    let (State::Ready(pid) | State::Changing(pid)) = state(folder) else {
        return Ok(());
    };
    // ESRCH: it has just gone by itself.
    let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
    let begun = Instant::now();
    while state(folder) != State::Stopped {
        if begun.elapsed() > Duration::from_secs(STOP_SECONDS) {
            return Err(ClusterError::NotStopped {
                pid,
                seconds: STOP_SECONDS,
            });
        }
        sleep(Duration::from_millis(10));
    }
    // Worth doing when it had to be in /tmp; the next start makes it again.
    drop(fs::remove_dir(folder.socket()));
    Ok(())
}

fn run(program: &str, command: &mut Command) -> Result<(), ClusterError> {
    let output = command
        .stdout(Stdio::null())
        .output()
        .map_err(ClusterError::io("run", Path::new(program)))?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr);
    let message = message
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    Err(ClusterError::Program {
        program: program.to_owned(),
        message: message.collect::<Vec<_>>().join("; "),
    })
}
