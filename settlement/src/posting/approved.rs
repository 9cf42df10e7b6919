//! Pure: a conversion is approved.
//!
//! Recognised at approval: what was expected leaves the memorandum accounts, and receivable,
//! payable and fees enter the books: two entries. Recognised at conversion: pending payable and
//! constrained fee become payable and earned fee.

use ledger::JournalEntry;

use super::{
    Posting, PostingError, Share, Subject, constrained_lines, earned_lines, expected_lines,
    opposite, posting, revenue_lines,
};
use crate::chart::{Chart, Code};
use crate::fees::Components;
use crate::terms::RecognitionPoint;

/// The entries of an approval; `was` says whether the share was on hold until now.
pub fn approved(
    subject: &Subject,
    amounts: &Components,
    was: Share,
) -> Result<Posting, PostingError> {
    let mut chart = subject.chart();
    let (memo, earned) = match subject.recognition {
        RecognitionPoint::Approval => {
            let lines = opposite(expected_lines(&mut chart, amounts, was)?);
            let memo = subject.entry("conversion.expectation_met", "Expectation met", lines)?;
            (memo, earned(&mut chart, subject, amounts)?)
        }
        RecognitionPoint::Conversion => {
            let mut lines = opposite(constrained_lines(&mut chart, amounts, was)?);
            // The receivable stands since the conversion: only the other side changes.
            let receivable = chart.account(Code::UnbilledReceivable).id();
            lines.retain(|line| line.account() != receivable);
            let revenue = revenue_lines(&mut chart, subject.presentation, amounts, Share::Open)?;
            lines.extend(revenue.into_iter().flatten());
            (None, subject.entry(FACT, WHAT, lines)?)
        }
    };
    Ok(posting(&chart, [memo, earned]))
}

const FACT: &str = "conversion.approved";
const WHAT: &str = "Conversion approved";

/// The earning entry of an approval recognised at approval: the one that a reversal mirrors.
pub(super) fn earned(
    chart: &mut Chart,
    subject: &Subject,
    amounts: &Components,
) -> Result<Option<JournalEntry>, PostingError> {
    let lines = earned_lines(chart, subject.presentation, amounts, Share::Open)?;
    subject.entry(FACT, WHAT, lines)
}
