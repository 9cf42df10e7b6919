//! The small files beside the segments: who uses the spool, how far it was drained, what was lost,
//! and the folder of what was set aside.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::record::Kept;
use super::segment::{self, Place};

/// Takes a spool for this process; it is free again when the file is dropped.
pub(super) fn lock(folder: &Path) -> anyhow::Result<File> {
    fs::create_dir_all(aside(folder))
        .with_context(|| format!("the spool {} cannot be made", folder.display()))?;
    let path = folder.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .with_context(|| format!("{} cannot be opened", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut process = String::new();
            file.read_to_string(&mut process)?;
            anyhow::bail!(
                "process {} uses the spool {} already; stop it, or choose another with --spool",
                process.trim(),
                folder.display()
            );
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("{} cannot be locked", path.display()));
        }
    }
    file.set_len(0)?;
    file.write_all_at(format!("{}\n", std::process::id()).as_bytes(), 0)?;
    // On a full disk there is no room for a file that is not there yet.
    mark_lost(folder, lost(folder))?;
    mark_drained(folder, drained(folder))?;
    Ok(file)
}

/// The process that uses a spool, if one does.
pub(super) fn user(folder: &Path) -> Option<String> {
    let mut file = File::open(folder.join("lock")).ok()?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            let mut process = String::new();
            file.read_to_string(&mut process).ok()?;
            Some(process.trim().to_owned())
        }
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

/// The folder of what was set aside.
pub(super) fn aside(folder: &Path) -> PathBuf {
    folder.join("aside")
}

/// Notes how far the spool was drained. Only saves work: a click that is drained twice is one.
pub(super) fn mark_drained(folder: &Path, place: Place) -> io::Result<()> {
    let text = format!("{:020} {:020}\n", place.segment, place.offset);
    overwrite(&folder.join("drained"), &text)
}

/// How far the spool was drained; the beginning, if that cannot be read.
pub(super) fn drained(folder: &Path) -> Place {
    let read = || {
        let text = fs::read_to_string(folder.join("drained")).ok()?;
        let (segment, offset) = text.trim().split_once(' ')?;
        Some(Place {
            segment: segment.parse().ok()?,
            offset: offset.parse().ok()?,
        })
    };
    read().unwrap_or_default()
}

/// Notes how many clicks could not be kept since the spool was made.
pub(super) fn mark_lost(folder: &Path, count: u64) -> io::Result<()> {
    overwrite(&folder.join("lost"), &format!("{count:020}\n"))
}

/// How many clicks could not be kept since the spool was made.
pub(super) fn lost(folder: &Path) -> u64 {
    let text = fs::read_to_string(folder.join("lost")).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// In place and of the same length, which works on a full disk too.
fn overwrite(path: &Path, text: &str) -> io::Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    file.write_all_at(text.as_bytes(), 0)
}

/// Keeps clicks that Postgres refuses, each with why, where an operator finds them.
pub(super) fn set_aside(folder: &Path, refused: &[(Kept, String)]) -> io::Result<()> {
    let mut lines = Vec::new();
    for (kept, why) in refused {
        let line = serde_json::json!({ "why": why, "kept": kept });
        writeln!(lines, "{line}")?;
    }
    let path = aside(folder).join("refused.jsonl");
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(&lines)?;
    file.sync_all()
}

/// How many clicks Postgres refused.
pub(super) fn refused(folder: &Path) -> usize {
    let text = fs::read_to_string(aside(folder).join("refused.jsonl")).unwrap_or_default();
    text.lines().count()
}

/// Moves a damaged segment, whose readable clicks are in Postgres, out of the way.
pub(super) fn set_segment_aside(folder: &Path, number: u64) -> io::Result<()> {
    let from = segment::path(folder, number);
    let name = from.file_name().map(PathBuf::from).unwrap_or_default();
    fs::rename(&from, aside(folder).join(name))?;
    segment::sync(folder)
}

/// The numbers of damaged segments.
pub(super) fn damaged(folder: &Path) -> Vec<u64> {
    segment::list(&aside(folder)).unwrap_or_default()
}
