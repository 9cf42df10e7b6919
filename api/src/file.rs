//! Files that are whole or not there: written under a temporary name, renamed when complete.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

/// A file in the making; unless it is finished, nothing of it remains.
pub(crate) struct Draft {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
}

impl Draft {
    /// Begins a file in a folder that is there.
    pub(crate) fn new(path: &Path) -> anyhow::Result<Draft> {
        let name = path
            .file_name()
            .with_context(|| format!("{} names no file", path.display()))?;
        let mut temporary = name.to_owned();
        temporary.push(format!(".{}.partial", std::process::id()));
        let temporary = path.with_file_name(temporary);
        let file = File::create(&temporary)
            .with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(Draft {
            file,
            temporary,
            path: path.to_owned(),
        })
    }

    /// Puts the complete file in its place, for a power cut too.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        let placed = self
            .file
            .sync_all()
            .and_then(|()| fs::rename(&self.temporary, &self.path));
        placed.with_context(|| format!("{} cannot be written", self.path.display()))
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Gone already when it was finished.
        drop(fs::remove_file(&self.temporary));
    }
}

/// Writes a whole file below the data folder or elsewhere.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut draft = Draft::new(path)?;
    draft
        .write_all(bytes)
        .with_context(|| format!("{} cannot be written", path.display()))?;
    draft.finish()
}

/// A folder in the data folder, made when it is missing.
pub(crate) fn folder(data: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let folder = data.join(name);
    fs::create_dir_all(&folder)
        .with_context(|| format!("the folder {} cannot be made", folder.display()))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_not_finished_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.csv");
        write(&path, b"whole").unwrap();
        let mut draft = Draft::new(&path).unwrap();
        draft.write_all(b"half").unwrap();
        drop(draft);
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        write(&path, b"anew").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"anew");
    }
}
