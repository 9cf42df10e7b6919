//! Pure: the bytes that identities, fingerprints and the hash chain are made of.
//!
//! The same bytes are made by `ledger.short_id`, `ledger.fingerprint` and `ledger.chain_step` in
//! Postgres; a test posts entries and holds the two against each other. Fixed-width parts come
//! first, then texts without control characters, the free text last, so that no two different
//! contents have the same bytes.

use chrono::{DateTime, NaiveDate, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// SHA-256, as stored in `bytea` columns.
pub(crate) type Hash = [u8; 32];

/// Separates texts (`chr(31)`); no text but the last may contain it.
pub(crate) const UNIT: char = '\u{1f}';
/// Separates causes (`chr(30)`).
pub(crate) const RECORD: char = '\u{1e}';

/// SHA-256 of some bytes.
pub(crate) fn sha256(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// The first 63 bits of SHA-256 over a name (`ledger.short_id`).
pub(crate) fn short_id(name: &str) -> i64 {
    let digest = sha256(name.as_bytes());
    let mut first = [0_u8; 8];
    first.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(first) & i64::MAX
}

/// The head of a book before its first entry.
pub(crate) fn first_head(book_name: &str) -> Hash {
    sha256(format!("book{UNIT}{book_name}").as_bytes())
}

/// What an entry says, apart from its place in the book and the moment it was recorded.
pub(crate) struct Content<'a> {
    pub book: i64,
    pub id: Uuid,
    pub memo: bool,
    pub effective: NaiveDate,
    pub accounts: &'a [i64],
    pub amounts: &'a [i64],
    pub kind: &'a str,
    pub currency: &'a str,
    pub reverses: Option<Uuid>,
    pub voucher: Option<Uuid>,
    /// Causes as stored, joined by [`RECORD`].
    pub causes: &'a str,
    pub description: &'a str,
}

impl Content<'_> {
    /// The fingerprint: SHA-256 of the content (`ledger.fingerprint`).
    pub(crate) fn fingerprint(&self, buffer: &mut Vec<u8>) -> Hash {
        buffer.clear();
        buffer.extend_from_slice(&self.book.to_be_bytes());
        buffer.extend_from_slice(self.id.as_bytes());
        buffer.push(u8::from(self.memo));
        buffer.extend_from_slice(&days_since_1970(self.effective).to_be_bytes());
        push_array(buffer, self.accounts);
        push_array(buffer, self.amounts);
        push_text(buffer, self.kind);
        push_text(buffer, self.currency);
        push_uuid(buffer, self.reverses);
        push_uuid(buffer, self.voucher);
        push_text(buffer, self.causes);
        buffer.extend_from_slice(self.description.as_bytes());
        sha256(buffer)
    }
}

/// The next hash of a book's chain: previous hash, number, time in microseconds, author,
/// fingerprint.
pub(crate) fn chain(
    previous: &Hash,
    number: i64,
    recorded_at: DateTime<Utc>,
    recorded_by: &str,
    fingerprint: &Hash,
) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(previous);
    hasher.update(number.to_be_bytes());
    hasher.update(recorded_at.timestamp_micros().to_be_bytes());
    hasher.update(recorded_by.as_bytes());
    hasher.update(fingerprint);
    hasher.finalize().into()
}

fn days_since_1970(day: NaiveDate) -> i32 {
    day.to_epoch_days()
}

/// The binary form of a one-dimensional `bigint[]` (`array_send`).
fn push_array(buffer: &mut Vec<u8>, values: &[i64]) {
    const BIGINT_OID: u32 = 20;
    let length = u32::try_from(values.len()).expect("an entry has fewer than 2^32 legs");
    for word in [1, 0, BIGINT_OID, length, 1] {
        buffer.extend_from_slice(&word.to_be_bytes());
    }
    for value in values {
        buffer.extend_from_slice(&8_u32.to_be_bytes());
        buffer.extend_from_slice(&value.to_be_bytes());
    }
}

fn push_text(buffer: &mut Vec<u8>, text: &str) {
    buffer.extend_from_slice(text.as_bytes());
    buffer.push(0x1f);
}

fn push_uuid(buffer: &mut Vec<u8>, id: Option<Uuid>) {
    if let Some(id) = id {
        let mut text = [0_u8; 36];
        buffer.extend_from_slice(id.hyphenated().encode_lower(&mut text).as_bytes());
    }
    buffer.push(0x1f);
}
