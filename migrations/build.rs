//! Recompiles the crate when a migration is added, changed or removed: the embedded migrator is
//! made by a macro, and cargo would otherwise not notice a new file.

use std::path::Path;

fn main() {
    // The folder itself, for added and removed files; then each file, for changed ones.
    println!("cargo:rerun-if-changed=.");
    let Ok(entries) = std::fs::read_dir(".") else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension() == Some("sql".as_ref()) {
            println!("cargo:rerun-if-changed={}", Path::new(&path).display());
        }
    }
}
