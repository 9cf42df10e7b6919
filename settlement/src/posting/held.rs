//! Pure: a publisher's share is put on hold.
//!
//! Before approval the share moves from expected to expected on hold (or from pending payable to
//! payable on hold); after approval from unfunded payable to payable on hold. No payout touches
//! what is on hold. The brand owes as before.

use ledger::{Line, Money};

use super::{Posting, PostingError, Subject, opposite, posting};
use crate::chart::{Chart, Code};
use crate::terms::RecognitionPoint;

/// What the conversion was when its share was put on hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldFrom {
    /// Waiting for review.
    Pending,
    /// Approved.
    Approved,
}

/// The entry of a hold.
pub fn held(subject: &Subject, share: Money, from: HeldFrom) -> Result<Posting, PostingError> {
    let mut chart = subject.chart();
    let lines = hold_lines(&mut chart, subject, share, from)?;
    let entry = subject.entry("conversion.held", "Conversion on hold", lines)?;
    Ok(posting(&chart, [entry]))
}

pub(super) fn hold_lines(
    chart: &mut Chart,
    subject: &Subject,
    share: Money,
    from: HeldFrom,
) -> Result<Vec<Line>, PostingError> {
    let (open, on_hold) = match (from, subject.recognition) {
        (HeldFrom::Pending, RecognitionPoint::Approval) => {
            (Code::ExpectedPublisherDue, Code::ExpectedHeld)
        }
        (HeldFrom::Pending, RecognitionPoint::Conversion) => {
            (Code::PendingPayable, Code::HeldPayable)
        }
        (HeldFrom::Approved, _) => (Code::UnfundedPayable, Code::HeldPayable),
    };
    let taken = opposite(
        chart
            .credit_publishers(open, share)?
            .into_iter()
            .flatten()
            .collect(),
    );
    let kept = chart
        .credit_publishers(on_hold, share)?
        .into_iter()
        .flatten();
    Ok(taken.into_iter().chain(kept).collect())
}
