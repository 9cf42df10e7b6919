//! Pure: a conversion is recorded and waits for review.
//!
//! Recognised at approval: only the memorandum accounts move, nothing is earned yet.
//! Recognised at conversion: receivable against pending payable and constrained fee (scenario 22).

use ledger::IdempotencyKey;
use uuid::Uuid;

use super::{Posting, PostingError, Share, Subject, constrained_lines, expected_lines, posting};
use crate::fees::Components;
use crate::terms::RecognitionPoint;

/// The entries of a conversion that is pending: new, or again.
pub fn pending(subject: &Subject, amounts: &Components) -> Result<Posting, PostingError> {
    let mut chart = subject.chart();
    let lines = match subject.recognition {
        RecognitionPoint::Approval => expected_lines(&mut chart, amounts, Share::Open)?,
        RecognitionPoint::Conversion => constrained_lines(&mut chart, amounts, Share::Open)?,
    };
    let entry = subject.entry(FACT, "Conversion pending", lines)?;
    Ok(posting(&chart, [entry]))
}

const FACT: &str = "conversion.pending";

/// The key of the entry that recorded a conversion: its version is always 1.
#[must_use]
pub fn key(conversion: Uuid) -> IdempotencyKey {
    IdempotencyKey::of(FACT, format_args!("{conversion}/1"))
}
