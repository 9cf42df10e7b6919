//! The server's settings. They are written anew at each start, so that a newer program brings its
//! own; what an operator sets with `alter system` comes later and wins.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::ClusterError;
use super::folder::{Folder, PORT};

/// What a cluster is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Books of account: what is committed is on the disk.
    Books,
    /// Tests: quick, and worth nothing after a power cut.
    Tests,
}

const FILE: &str = "counterfoil.conf";

const COMMON: &[(&str, &str)] = &[
    ("listen_addresses", "''"),
    ("unix_socket_permissions", "0700"),
    ("timezone", "'UTC'"),
    ("log_timezone", "'UTC'"),
    // Compiling a query costs more than any of ours takes.
    ("jit", "off"),
];

const BOOKS: &[(&str, &str)] = &[
    ("fsync", "on"),
    ("full_page_writes", "on"),
    ("synchronous_commit", "on"),
    ("max_connections", "100"),
    ("shared_buffers", "'256MB'"),
    ("max_wal_size", "'2GB'"),
    ("checkpoint_timeout", "'15min'"),
];

const TESTS: &[(&str, &str)] = &[
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("synchronous_commit", "off"),
    ("max_connections", "300"),
    ("shared_buffers", "'128MB'"),
    ("max_wal_size", "'2GB'"),
    ("checkpoint_timeout", "'1h'"),
    // A worker that visits a template would make the next copy of it wait.
    ("autovacuum_naptime", "'10min'"),
];

/// Writes the settings file.
pub(crate) fn write(folder: &Folder, purpose: Purpose) -> Result<(), ClusterError> {
    let special = match purpose {
        Purpose::Books => BOOKS,
        Purpose::Tests => TESTS,
    };
    let mut text = String::from("# Written by counterfoil at each start. Use `alter system`.\n");
    for (name, value) in COMMON.iter().chain(special) {
        writeln!(text, "{name} = {value}").expect("writing to a string cannot fail");
    }
    let socket = folder.socket().display();
    writeln!(text, "port = {PORT}\nunix_socket_directories = '{socket}'")
        .expect("writing to a string cannot fail");
    replace(folder, &folder.data().join(FILE), &text)
}

/// Makes a fresh data directory read the settings file, and lets in only the unix socket, whose
/// folder only the cluster's user (and root) can enter.
pub(crate) fn include(folder: &Folder, data: &Path) -> Result<(), ClusterError> {
    let path = data.join("postgresql.conf");
    let before = fs::read_to_string(&path).map_err(ClusterError::io("read", &path))?;
    replace(
        folder,
        &path,
        &format!("{before}\ninclude_if_exists = '{FILE}'\n"),
    )?;
    replace(
        folder,
        &data.join("pg_hba.conf"),
        "local all all trust\nlocal replication all trust\n",
    )
}

/// Writes a file as a whole: whoever reads it sees the old one or the new one.
pub(super) fn replace(folder: &Folder, path: &Path, text: &str) -> Result<(), ClusterError> {
    let new = path.with_extension("new");
    fs::write(&new, text).map_err(ClusterError::io("write", &new))?;
    folder.user.give(&new)?;
    fs::rename(&new, path).map_err(ClusterError::io("write", path))
}
