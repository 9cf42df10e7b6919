//! Segments: the files of a spool, numbered, appended to, and removed when they are drained.
//!
//! A segment begins with a line that says what it is. It is written by one thread; when its size is
//! reached, the next one is begun. After a write that failed the file is cut back to what was
//! confirmed before, so a disk that was full leaves no half a click behind.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::record::{self, Found};

/// What a segment begins with.
const FIRST: &[u8] = b"counterfoil clicks 1\n";
/// How a segment is called.
const ENDING: &str = ".clicks";
/// How much is read at once; more than the largest frame.
const WINDOW: u64 = 4 << 20;

/// A place in a spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Place {
    /// The segment's number.
    pub(super) segment: u64,
    /// Bytes from its beginning.
    pub(super) offset: u64,
}

impl Place {
    /// Before the first click of a segment.
    pub(super) fn start_of(segment: u64) -> Place {
        let offset = u64::try_from(FIRST.len()).unwrap_or(u64::MAX);
        Place { segment, offset }
    }
}

/// The file of a segment.
pub(super) fn path(folder: &Path, segment: u64) -> PathBuf {
    folder.join(format!("{segment:012}{ENDING}"))
}

/// The numbers of the segments there are, in order.
pub(super) fn list(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for file in fs::read_dir(folder)? {
        let name = file?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(ENDING));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Makes additions to and removals from a folder last.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The end of the newest segment.
pub(super) struct Appender {
    folder: PathBuf,
    /// A segment is followed by the next one from this size on.
    size: u64,
    file: Option<File>,
    end: Place,
}

impl Appender {
    /// Appends to a segment of its own, with this number; made with the first write.
    pub(super) fn new(folder: &Path, segment: u64, size: u64) -> Appender {
        Appender {
            folder: folder.to_owned(),
            size,
            file: None,
            end: Place::start_of(segment),
        }
    }

    /// Appends frames; when this answers, they lie on the disk. Returns where they end.
    ///
    /// # Errors
    /// None of them counts then; the next call tries anew.
    pub(super) fn append(&mut self, frames: &[u8]) -> io::Result<Place> {
        if self.file.is_none() || self.end.offset >= self.size {
            self.begin()?;
        }
        let Some(file) = &self.file else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let written = file
            .write_all_at(frames, self.end.offset)
            .and_then(|()| file.sync_data());
        if let Err(error) = written {
            // What a failed sync left on the disk is unknown: go on in a new file, never in this.
            let cut = file.set_len(self.end.offset);
            self.file = None;
            self.end = Place::start_of(self.end.segment + 1);
            return Err(cut.err().unwrap_or(error));
        }
        self.end.offset += u64::try_from(frames.len()).unwrap_or_default();
        Ok(self.end)
    }

    fn begin(&mut self) -> io::Result<()> {
        let segment = match &self.file {
            Some(_) => self.end.segment + 1,
            None => self.end.segment,
        };
        let path = path(&self.folder, segment);
        // A file that was begun and could not be finished holds nothing yet.
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)?;
        file.write_all(FIRST)?;
        file.sync_all()?;
        sync(&self.folder)?;
        self.file = Some(file);
        self.end = Place::start_of(segment);
        Ok(())
    }
}

/// What was read, and where to go on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// The clicks, and the damage among them.
    pub(super) found: Found,
    /// Where the next batch begins.
    pub(super) next: Place,
    /// Whether the segment ends here.
    pub(super) at_end: bool,
}

/// Reads up to so many clicks from a place on, as far as `until` in the same segment, or to its
/// end.
pub(super) fn read(
    folder: &Path,
    from: Place,
    until: Option<u64>,
    limit: usize,
) -> io::Result<Batch> {
    let mut file = File::open(path(folder, from.segment))?;
    let end = until.unwrap_or(file.metadata()?.len());
    let length = end.saturating_sub(from.offset).min(WINDOW);
    file.seek(SeekFrom::Start(from.offset))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    let read = u64::try_from(bytes.len()).unwrap_or_default();
    let whole = from.offset + read >= end || read < length;
    let found = record::find(&bytes, limit, whole);
    let used = u64::try_from(found.used).unwrap_or_default();
    let next = Place {
        segment: from.segment,
        offset: from.offset + used,
    };
    Ok(Batch {
        at_end: whole && used == read,
        found,
        next,
    })
}
