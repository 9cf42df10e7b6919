//! Pure: an approved conversion is reversed before it is invoiced.
//!
//! Where the approval still stands as it was posted, the reversal is its exact mirror, dated today
//! and linked to it. Where refunds or a hold came between, what is left is taken back.

use ledger::JournalEntry;

use super::{Posting, PostingError, Share, Subject, approved, earned_lines, opposite, posting};
use crate::chart::Chart;
use crate::fees::Components;
use crate::terms::RecognitionPoint;

/// The approval that a reversal mirrors: the same conversion as it was then.
#[derive(Debug, Clone)]
pub struct Approval {
    /// The subject as of the approval: its version and effective day.
    pub subject: Subject,
}

/// The entries of a reversal. `approval` is given only if nothing moved since it.
pub fn reversed(
    subject: &Subject,
    amounts: &Components,
    share: Share,
    approval: Option<&Approval>,
) -> Result<Posting, PostingError> {
    let mut chart = subject.chart();
    let entry = reversal_entry(&mut chart, subject, amounts, share, approval)?;
    Ok(posting(&chart, [entry]))
}

pub(super) fn reversal_entry(
    chart: &mut Chart,
    subject: &Subject,
    amounts: &Components,
    share: Share,
    approval: Option<&Approval>,
) -> Result<Option<JournalEntry>, PostingError> {
    let mirrored = match approval {
        Some(approval)
            if share == Share::Open && subject.recognition == RecognitionPoint::Approval =>
        {
            approved::earned(chart, &approval.subject, amounts)?
        }
        _ => None,
    };
    if let Some(original) = mirrored {
        let what = format!("{WHAT}: order {}", subject.order_ref);
        return Ok(Some(original.reversal(
            &subject.key(FACT),
            subject.effective,
            what,
        )));
    }
    let lines = earned_lines(chart, subject.presentation, amounts, share)?;
    subject.entry(FACT, WHAT, opposite(lines))
}

const FACT: &str = "conversion.reversed";
const WHAT: &str = "Conversion reversed";
