//! The server programs, and what is said when they are not there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use migrations::cluster::{Binaries, ClusterError};

use crate::support::Scratch;

/// Programs that only tell their version.
fn pretend(folder: &Path, version: &str) -> PathBuf {
    let bin = folder.join(version);
    fs::create_dir(&bin).unwrap();
    for name in ["postgres", "initdb", "pg_ctl"] {
        let path = bin.join(name);
        fs::write(
            &path,
            format!("#!/bin/sh\necho '{name} (PostgreSQL) {version} (us)'\n"),
        )
        .unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    bin
}

#[test]
fn the_newest_version_we_know_wins() {
    let scratch = Scratch::new();
    let folders =
        ["14.9", "16.2", "17beta1", "19devel"].map(|version| pretend(scratch.path(), version));
    assert_eq!(Binaries::find_among(&folders, None).unwrap().major, 17);
    assert_eq!(Binaries::find_among(&folders[..2], None).unwrap().major, 16);
}

#[test]
fn a_data_folder_decides_which_version_is_used() {
    let scratch = Scratch::new();
    let folders = ["16.2", "17.1"].map(|version| pretend(scratch.path(), version));
    let found = Binaries::find_among(&folders, Some(16)).unwrap();
    assert_eq!((found.major, found.folder), (16, folders[0].clone()));

    let missing = Binaries::find_among(&folders, Some(15)).unwrap_err();
    assert!(matches!(
        missing,
        ClusterError::MissingMajor { needed: 15, .. }
    ));
    let sentence = missing.to_string();
    assert!(
        sentence.contains("needs PostgreSQL 15, but only 16, 17 is installed"),
        "{sentence}"
    );
    assert!(sentence.contains("--data"), "{sentence}");
}

#[test]
fn without_programs_the_message_says_how_to_install_them() {
    let scratch = Scratch::new();
    let none = Binaries::find_among(&[scratch.path().to_owned()], None).unwrap_err();
    assert!(matches!(none, ClusterError::NotInstalled { .. }));
    let sentence = none.to_string();
    let command = [
        "apt-get install --yes postgresql",
        "dnf install -y",
        "brew install postgresql",
    ]
    .iter()
    .any(|command| sentence.contains(command));
    assert!(
        command || sentence.contains("package manager"),
        "{sentence}"
    );
    assert!(sentence.contains("--install-postgres"), "{sentence}");
    assert!(sentence.contains("DATABASE_URL"), "{sentence}");
}

#[test]
fn too_old_a_version_alone_counts_as_none() {
    let scratch = Scratch::new();
    let old = Binaries::find_among(&[pretend(scratch.path(), "14.9")], None).unwrap_err();
    assert!(matches!(old, ClusterError::NotInstalled { .. }), "{old}");
}
