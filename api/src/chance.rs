//! The only place that reads the clock or draws random bytes; everybody else takes them as
//! arguments.
//!
//! A program that replays history (`counterfoil demo`) sets the clock instead, and then ids follow
//! from the moment and how many were drawn before, so that the same requests give the same books on
//! every machine. Keys and salts are drawn by chance even then: they stand in no book.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

/// The moment that a replay has come to, microseconds since 1970; [`UNSET`]: the clock's.
static REPLAYED: AtomicI64 = AtomicI64::new(UNSET);
/// No moment.
const UNSET: i64 = i64::MIN;
/// How many ids a replay has drawn since it set the clock.
static DRAWN: AtomicU64 = AtomicU64::new(0);

/// From now on, in this process, it is this moment. Only for programs that replay history.
pub(crate) fn replay(at: DateTime<Utc>) {
    REPLAYED.store(at.timestamp_micros(), Ordering::SeqCst);
    DRAWN.store(0, Ordering::SeqCst);
}

/// The replay is over: the clock is the system's again.
pub(crate) fn end_replay() {
    REPLAYED.store(UNSET, Ordering::SeqCst);
}

/// The moment that a replay has come to.
fn replayed() -> Option<DateTime<Utc>> {
    match REPLAYED.load(Ordering::SeqCst) {
        UNSET => None,
        micros => DateTime::from_timestamp_micros(micros),
    }
}

/// Now, UTC.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the clock is read"
)]
pub(crate) fn now() -> DateTime<Utc> {
    replayed().unwrap_or_else(Utc::now)
}

/// A new id, made of this moment and chance; of a replay's moment and how many came before.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where chance is drawn"
)]
pub(crate) fn id() -> Uuid {
    let Some(at) = replayed() else {
        return Uuid::now_v7();
    };
    let drawn = DRAWN.fetch_add(1, Ordering::SeqCst);
    let mut hash = Sha256::new();
    hash.update(at.timestamp_micros().to_be_bytes());
    hash.update(drawn.to_be_bytes());
    let mut bytes = [0; 10];
    bytes.copy_from_slice(&hash.finalize()[..10]);
    let millis = u64::try_from(at.timestamp_millis()).unwrap_or_default();
    Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
}

/// Random bytes from the operating system, for a signing key.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where chance is drawn"
)]
pub(crate) fn bytes() -> Result<[u8; 32], getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// Random bytes from the operating system, half as many, for an API key.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where chance is drawn"
)]
pub(crate) fn half() -> Result<[u8; 16], getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
