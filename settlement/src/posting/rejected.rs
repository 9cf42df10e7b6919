//! Pure: a conversion is rejected before it was approved.
//!
//! What was expected, or recognised but not yet earned, is taken back; nothing was earned.

use super::{
    Posting, PostingError, Share, Subject, constrained_lines, expected_lines, opposite, posting,
};
use crate::fees::Components;
use crate::terms::RecognitionPoint;

/// The entries of a rejection; `was` says whether the share was on hold until now.
pub fn rejected(
    subject: &Subject,
    amounts: &Components,
    was: Share,
) -> Result<Posting, PostingError> {
    let mut chart = subject.chart();
    let lines = match subject.recognition {
        RecognitionPoint::Approval => expected_lines(&mut chart, amounts, was)?,
        RecognitionPoint::Conversion => constrained_lines(&mut chart, amounts, was)?,
    };
    let entry = subject.entry(
        "conversion.rejected",
        "Conversion rejected",
        opposite(lines),
    )?;
    Ok(posting(&chart, [entry]))
}
