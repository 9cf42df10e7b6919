//! Pure: a reversed conversion is reinstated at its frozen amounts.
//!
//! It is the reversal of the reversal, linked to it, so the approval is in force again and can be
//! reversed another time. A share that was on hold when it was reversed comes back open, and a
//! refund in between leaves less to come back: then the two are no mirrors, and a plain entry is
//! posted.

use super::reversed::{Approval, reversal_entry};
use super::{Posting, PostingError, Share, Subject, earned_lines, posting};
use crate::fees::Components;

/// The reversal that is taken back: the conversion as it was then.
#[derive(Debug, Clone)]
pub struct Reversal {
    /// The subject as of the reversal: its version and effective day.
    pub subject: Subject,
    /// The approval that it mirrored, if it did.
    pub approval: Option<Approval>,
}

/// The entry of a reinstatement: what the reversal took back is owed again. `reversal` is given
/// only if it took back just that.
pub fn reinstated(
    subject: &Subject,
    amounts: &Components,
    reversal: Option<&Reversal>,
) -> Result<Posting, PostingError> {
    let mut chart = subject.chart();
    let taken_back = match reversal {
        Some(Reversal { subject, approval }) => {
            reversal_entry(&mut chart, subject, amounts, Share::Open, approval.as_ref())?
        }
        None => None,
    };
    let entry = if let Some(taken_back) = taken_back {
        let what = format!("{WHAT}: order {}", subject.order_ref);
        Some(taken_back.reversal(&subject.key(FACT), subject.effective, what))
    } else {
        let lines = earned_lines(&mut chart, subject.presentation, amounts, Share::Open)?;
        subject.entry(FACT, WHAT, lines)?
    };
    Ok(posting(&chart, [entry]))
}

const FACT: &str = "conversion.reinstated";
const WHAT: &str = "Conversion reinstated";
