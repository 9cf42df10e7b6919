//! Pure: how clicks lie in a segment, and how they are found again.
//!
//! A frame is a marker, the length of its payload, the CRC-32 of length and payload, and the
//! payload: one byte that says how it is written, then the click as JSON. A frame that does not
//! hold is passed over, and reading goes on at the next marker whose frame holds, so one bad sector
//! costs the clicks that lay in it and no others.

use serde::{Deserialize, Serialize};
use settlement::tracking::{Click, ClickRequest};

/// What every frame begins with; no UTF-8 text contains it.
const MARKER: [u8; 4] = [0xC1, 0xF5, 0x11, 0xCC];
/// Marker, length, checksum.
const HEAD: usize = 12;
/// No payload is longer.
pub(super) const LONGEST: usize = 256 * 1024;
/// How payloads are written today.
const JSON: u8 = 1;

/// A click with the request behind it, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// The click.
    pub(crate) click: Click,
    /// The request behind it.
    pub(crate) request: ClickRequest,
}

/// A click cannot be kept: it is larger than any request that the service takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a click of {0} bytes is too large to be kept")]
pub(crate) struct TooLarge(usize);

/// A frame that holds a click.
pub(super) fn frame(kept: &Kept) -> Result<Vec<u8>, TooLarge> {
    let mut bytes = vec![0; HEAD];
    bytes.push(JSON);
    // Writing to memory cannot fail, and neither type has a map with other keys than text.
    serde_json::to_writer(&mut bytes, kept).map_err(|_| TooLarge(0))?;
    let length = bytes.len() - HEAD;
    if length > LONGEST {
        return Err(TooLarge(length));
    }
    let length = u32::try_from(length).map_err(|_| TooLarge(length))?;
    let check = checksum(length, &bytes[HEAD..]);
    bytes[..4].copy_from_slice(&MARKER);
    bytes[4..8].copy_from_slice(&length.to_be_bytes());
    bytes[8..HEAD].copy_from_slice(&check.to_be_bytes());
    Ok(bytes)
}

fn checksum(length: u32, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_be_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// What was found in a stretch of a segment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The clicks, in order.
    pub(super) clicks: Vec<Kept>,
    /// How many bytes were read; what follows is an unfinished frame.
    pub(super) used: usize,
    /// How many of them lay in no frame that holds.
    pub(super) bad: usize,
    /// How many of the bad ones lie behind the last click.
    pub(super) bad_tail: usize,
}

/// One look at the bytes from a place on.
enum Look {
    /// A frame that holds, and its length.
    Holds(Box<Kept>, usize),
    /// A frame that goes on beyond the bytes.
    Unfinished,
    /// No frame.
    Bad,
}

/// Finds up to so many clicks. `whole`: nothing follows, so what is unfinished is bad.
pub(super) fn find(bytes: &[u8], limit: usize, whole: bool) -> Found {
    let mut found = Found::default();
    while found.used < bytes.len() && found.clicks.len() < limit {
        let rest = &bytes[found.used..];
        match look(rest) {
            Look::Holds(kept, length) => {
                found.clicks.push(*kept);
                found.used += length;
                found.bad_tail = 0;
            }
            Look::Unfinished if !whole => break,
            Look::Unfinished | Look::Bad => {
                let next = next_marker(rest);
                // The last bytes may be the beginning of a marker.
                let skipped = match next {
                    Some(at) => at,
                    None if whole => rest.len(),
                    None => rest.len().saturating_sub(MARKER.len() - 1).max(1),
                };
                found.used += skipped;
                found.bad += skipped;
                found.bad_tail += skipped;
                if next.is_none() && !whole {
                    break;
                }
            }
        }
    }
    found
}

fn look(bytes: &[u8]) -> Look {
    let known = bytes.len().min(MARKER.len());
    if bytes[..known] != MARKER[..known] {
        return Look::Bad;
    }
    let Some(head) = bytes.get(..HEAD) else {
        return Look::Unfinished;
    };
    let number = |at: usize| {
        let four = head.get(at..at + 4).and_then(|four| four.try_into().ok());
        u32::from_be_bytes(four.unwrap_or_default())
    };
    let (length, check) = (number(4), number(8));
    let size = usize::try_from(length).unwrap_or(usize::MAX);
    if size == 0 || size > LONGEST {
        return Look::Bad;
    }
    let Some(payload) = bytes.get(HEAD..HEAD + size) else {
        return Look::Unfinished;
    };
    if checksum(length, payload) != check {
        return Look::Bad;
    }
    let (written, text) = payload.split_at(1);
    let kept = (written == [JSON]).then(|| serde_json::from_slice(text).ok());
    match kept.flatten() {
        Some(kept) => Look::Holds(Box::new(kept), HEAD + size),
        None => Look::Bad,
    }
}

/// Where the next marker begins, after the first byte.
fn next_marker(bytes: &[u8]) -> Option<usize> {
    let rest = bytes.get(1..)?;
    let at = rest.windows(MARKER.len()).position(|four| four == MARKER)?;
    Some(at + 1)
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
