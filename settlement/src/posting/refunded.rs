//! Pure: part of an order, or the rest of it, is refunded.
//!
//! Every amount is derived again from what is left of the order, at the frozen rate; the entry is
//! the difference to what is recognised. So a late or repeated refund is a no-op, and refunds that
//! add up to the order bring every amount back to exactly zero.

use super::{
    Posting, PostingError, Share, Subject, constrained_lines, earned_lines, expected_lines,
    opposite, posting,
};
use crate::fees::Components;
use crate::posting::held::HeldFrom;
use crate::terms::RecognitionPoint;

/// The entry of a refund. `less` is by how much each amount falls; `stage` is what the conversion
/// is: waiting for review or approved; `share` whether the publisher's share is on hold.
pub fn refunded(
    subject: &Subject,
    less: &Components,
    stage: HeldFrom,
    share: Share,
) -> Result<Posting, PostingError> {
    let mut chart = subject.chart();
    let lines = match (stage, subject.recognition) {
        (HeldFrom::Approved, _) => earned_lines(&mut chart, subject.presentation, less, share)?,
        (HeldFrom::Pending, RecognitionPoint::Approval) => expected_lines(&mut chart, less, share)?,
        (HeldFrom::Pending, RecognitionPoint::Conversion) => {
            constrained_lines(&mut chart, less, share)?
        }
    };
    let entry = subject.entry("conversion.refunded", "Order refunded", opposite(lines))?;
    Ok(posting(&chart, [entry]))
}
