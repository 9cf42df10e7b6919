//! The workspace as a list of texts, and what a broken rule looks like.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// One text file, named by its path from the workspace root, with `/` between the parts.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// A file made up for a test.
    pub(crate) fn planted(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// The first folder: the crate that a file of the workspace belongs to.
    pub(crate) fn crate_name(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }

    fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|found| found == extension)
    }

    /// A fault in this file.
    pub(crate) fn fault(&self, line: usize, what: impl fmt::Display) -> Fault {
        Fault(format!("{}:{line}: {what}", self.path))
    }
}

/// One broken rule, with where and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault(pub(crate) String);

/// Fails with every fault on a line of its own.
pub(crate) fn assert_tidy(faults: &[Fault]) {
    let lines: Vec<&str> = faults.iter().map(|fault| fault.0.as_str()).collect();
    assert!(
        lines.is_empty(),
        "{} broken:\n{}",
        lines.len(),
        lines.join("\n")
    );
}

/// Fails unless the checker found exactly the faults that were planted, each by a word of it.
pub(crate) fn assert_found(faults: &[Fault], words: &[&str]) {
    assert_eq!(
        faults.len(),
        words.len(),
        "found {faults:#?}, planted {words:#?}"
    );
    for (fault, word) in faults.iter().zip(words) {
        assert!(fault.0.contains(word), "{fault:?} does not say {word:?}");
    }
}

/// The workspace root: the folder above this crate.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent()
        .expect("this crate is a folder of the workspace")
        .to_path_buf()
}

/// Every text file of the checkout. Build output, git's own files and data folders are not ours.
pub(crate) fn texts() -> Vec<Source> {
    let mut found = Vec::new();
    walk(&root(), &root(), &mut found);
    assert!(
        found.len() > 20,
        "the walk found only {} files",
        found.len()
    );
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Every Rust file of the checkout.
pub(crate) fn rust_files() -> Vec<Source> {
    texts()
        .into_iter()
        .filter(|source| source.has_extension("rs"))
        .collect()
}

/// Every migration, in order.
pub(crate) fn migrations() -> Vec<Source> {
    let is_migration =
        |source: &Source| source.crate_name() == "migrations" && source.has_extension("sql");
    texts().into_iter().filter(is_migration).collect()
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    let entries = fs::read_dir(folder).expect("a folder of the checkout can be listed");
    for entry in entries {
        let entry = entry.expect("a folder of the checkout can be listed");
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let path = entry.path();
        let kind = entry
            .file_type()
            .expect("a file of the checkout has a type");
        if kind.is_dir() {
            if !is_foreign(&name) {
                walk(root, &path, found);
            }
        } else if kind.is_file()
            && !is_leftover(&name)
            && let Ok(text) = fs::read_to_string(&path)
        {
            let path = path
                .strip_prefix(root)
                .expect("the walk stays below the root");
            found.push(Source {
                path: path.to_string_lossy().replace('\\', "/"),
                text,
            });
        }
    }
}

fn is_foreign(folder: &str) -> bool {
    matches!(folder, "target" | ".git" | "node_modules") || folder.starts_with("counterfoil-data")
}

/// What `.gitignore` names, what a checkout may hold for a moment, and where git keeps a second
/// checkout's place.
fn is_leftover(file: &str) -> bool {
    file == ".git" || file.ends_with(".snap.new") || file.ends_with(".pending-snap")
}

#[test]
fn the_walk_sees_the_rules_themselves_and_not_the_build() {
    let texts = texts();
    assert!(
        texts
            .iter()
            .any(|source| source.path == "snapshots/tidy/tree.rs")
    );
    assert!(
        !texts
            .iter()
            .any(|source| source.path.starts_with("target/"))
    );
    assert!(!texts.iter().any(|source| source.path.starts_with(".git/")));
}
