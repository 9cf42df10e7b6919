//! The only place that reads the clock or draws random bytes; everybody else takes them as
//! arguments.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Now, UTC.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the clock is read"
)]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}

/// A new id, made of this moment and chance.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where chance is drawn"
)]
pub(crate) fn id() -> Uuid {
    Uuid::now_v7()
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
