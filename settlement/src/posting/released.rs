//! Pure: a share on hold is released to where it stood before (scenario 3).

use ledger::Money;

use super::held::{HeldFrom, hold_lines};
use super::{Posting, PostingError, Subject, opposite, posting};

/// The entry of a release.
pub fn released(subject: &Subject, share: Money, from: HeldFrom) -> Result<Posting, PostingError> {
    let mut chart = subject.chart();
    let lines = opposite(hold_lines(&mut chart, subject, share, from)?);
    let entry = subject.entry("conversion.released", "Conversion released", lines)?;
    Ok(posting(&chart, [entry]))
}
