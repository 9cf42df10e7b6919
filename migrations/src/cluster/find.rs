//! Finds the PostgreSQL server programs on this machine, or says how to install them.
//!
//! It never downloads anything by itself: [`install`] runs the system's own package manager, and
//! only when asked to.
//!
//! # Adding a place to look
//!
//! One line in [`folders`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::ClusterError;

/// The major versions this program is tested with.
pub const MAJORS: std::ops::RangeInclusive<u32> = 15..=18;

/// A folder with the server programs of one major version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The folder that holds `postgres`, `initdb` and `pg_ctl`.
    pub folder: PathBuf,
    /// The major version, such as 17.
    pub major: u32,
}

impl Binaries {
    /// The path of one program.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The newest usable version, or the one that `needed` names.
    pub fn find(needed: Option<u32>) -> Result<Binaries, ClusterError> {
        Binaries::find_among(&folders(), needed)
    }

    /// The same, looking only into `folders`.
    pub fn find_among(folders: &[PathBuf], needed: Option<u32>) -> Result<Binaries, ClusterError> {
        let mut found = BTreeMap::new();
        for folder in folders {
            if let Some(major) = major_in(folder) {
                // The first folder of a version wins: it is the one on PATH.
                found.entry(major).or_insert_with(|| folder.clone());
            }
        }
        let wanted = match needed {
            Some(major) => found.remove_entry(&major),
            None => found
                .range(MAJORS)
                .next_back()
                .map(|(major, folder)| (*major, folder.clone())),
        };
        wanted
            .map(|(major, folder)| Binaries { folder, major })
            .ok_or_else(|| match (needed, found.is_empty()) {
                (Some(needed), false) => ClusterError::MissingMajor {
                    needed,
                    installed: list(found.keys().copied()),
                    command: install_command(Some(needed)),
                },
                _ => ClusterError::NotInstalled {
                    command: install_command(needed),
                },
            })
    }
}

fn list(majors: impl Iterator<Item = u32>) -> String {
    majors
        .map(|major| major.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

/// Every folder that may hold server programs, most wanted first.
#[must_use]
pub fn folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.extend(pg_config());
    for major in MAJORS.rev() {
        folders.extend([
            PathBuf::from(format!("/usr/lib/postgresql/{major}/bin")),
            PathBuf::from(format!("/usr/lib/postgresql{major}/bin")),
            PathBuf::from(format!("/usr/pgsql-{major}/bin")),
            PathBuf::from(format!("/opt/homebrew/opt/postgresql@{major}/bin")),
            PathBuf::from(format!("/usr/local/opt/postgresql@{major}/bin")),
            PathBuf::from(format!(
                "/home/linuxbrew/.linuxbrew/opt/postgresql@{major}/bin"
            )),
            PathBuf::from(format!(
                "/Applications/Postgres.app/Contents/Versions/{major}/bin"
            )),
        ]);
    }
    folders.extend(
        [
            "/opt/homebrew/bin",
            "/usr/local/bin",
            "/usr/local/pgsql/bin",
            "/usr/bin",
        ]
        .map(PathBuf::from),
    );
    folders
}

fn pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config")
        .arg("--bindir")
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(text.trim()))
}

/// The major version in a folder, when all three programs are there.
fn major_in(folder: &Path) -> Option<u32> {
    if !["postgres", "initdb", "pg_ctl"]
        .iter()
        .all(|name| folder.join(name).is_file())
    {
        return None;
    }
    let output = Command::new(folder.join("postgres"))
        .arg("--version")
        .stderr(Stdio::null())
        .output()
        .ok()?;
    // "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)", or "18beta1" in its place.
    let text = String::from_utf8(output.stdout).ok()?;
    let version = text.split_whitespace().nth(2)?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// The steps that install the server programs on this system; none when it is not a known one.
fn install_steps(major: Option<u32>) -> Vec<Vec<String>> {
    let has = |name: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
    };
    let sudo = !nix::unistd::geteuid().is_root() && has("sudo");
    let step = |words: &str| -> Vec<String> {
        let prefix = sudo.then_some("sudo");
        prefix
            .into_iter()
            .chain(words.split(' '))
            .map(str::to_owned)
            .collect()
    };
    let version = |before: &str, otherwise: &str| match major {
        Some(major) => format!("{before}{major}"),
        None => otherwise.to_owned(),
    };
    if cfg!(target_os = "macos") || (has("brew") && !has("apt-get") && !has("dnf")) {
        let name = version("postgresql@", "postgresql@17");
        return vec![
            format!("brew install {name}")
                .split(' ')
                .map(str::to_owned)
                .collect(),
        ];
    }
    if has("apt-get") {
        let name = version("postgresql-", "postgresql");
        return vec![
            step("apt-get update"),
            step(&format!("apt-get install --yes {name}")),
        ];
    }
    if has("dnf") {
        // PostgreSQL's own RPM repository has numbered names; the distribution's has one.
        let name = match major {
            Some(major) => format!("postgresql{major}-server"),
            None => "postgresql-server".to_owned(),
        };
        return vec![step(&format!("dnf install -y {name}"))];
    }
    Vec::new()
}

/// The exact command for this system, as one line to copy.
#[must_use]
pub fn install_command(major: Option<u32>) -> String {
    let steps = install_steps(major);
    if steps.is_empty() {
        return "your system's package manager".to_owned();
    }
    let lines: Vec<String> = steps.iter().map(|words| words.join(" ")).collect();
    format!("`{}`", lines.join(" && "))
}

/// Installs the server programs with the system's package manager, its output on this terminal.
pub fn install() -> Result<Binaries, ClusterError> {
    let steps = install_steps(None);
    if steps.is_empty() {
        return Err(ClusterError::NotInstalled {
            command: install_command(None),
        });
    }
    for words in steps {
        let line = words.join(" ");
        let mut words = words.iter();
        let program = words.next().map_or("", String::as_str);
        let status = Command::new(program)
            .args(words)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .status()
            .map_err(ClusterError::io("run", Path::new(program)))?;
        if !status.success() {
            return Err(ClusterError::Program {
                program: line,
                message: status.to_string(),
            });
        }
    }
    Binaries::find(None)
}
