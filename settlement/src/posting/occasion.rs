//! Pure: whose money moves when it is no conversion's: an invoice, a payment, a payout.

use chrono::NaiveDate;
use ledger::{BookId, Cause, Currency, IdempotencyKey, JournalEntry};
use uuid::Uuid;

use super::{Lines, Posting, PostingError};
use crate::chart::Chart;

/// One event in one book and currency, such as one invoice that is issued.
#[derive(Debug, Clone)]
pub struct Occasion {
    /// The book whose accounts move.
    pub book: BookId,
    /// The currency of all its amounts.
    pub currency: Currency,
    /// What names the event among those of its kind, such as an invoice's id. The same name and
    /// kind in one book is the same fact, posted once.
    pub id: String,
    /// What it is about, for people: `invoice ACME-2026-0001`.
    pub about: String,
    /// The day on which it counts, in the accounting zone, in an open month.
    pub effective: NaiveDate,
    /// What the entry is because of.
    pub causes: Vec<Cause>,
    /// What ties entries of several books together, if they are one event.
    pub voucher: Option<Uuid>,
}

impl Occasion {
    /// The accounts of this book and currency.
    #[must_use]
    pub fn chart(&self) -> Chart {
        Chart::new(self.book, self.currency, None)
    }

    /// The entry of this event; none when every amount is zero.
    pub fn entry(
        &self,
        fact: &'static str,
        what: &str,
        lines: Lines,
    ) -> Result<Option<JournalEntry>, PostingError> {
        if lines.is_empty() {
            return Ok(None);
        }
        let key = IdempotencyKey::of(fact, &self.id);
        let description = format!("{what}: {}", self.about);
        let mut draft = JournalEntry::draft(self.book, &key, self.effective, description)
            .lines(lines)
            .because_of(self.causes.clone());
        if let Some(voucher) = self.voucher {
            draft = draft.voucher(voucher);
        }
        Ok(Some(draft.balance()?))
    }

    /// One entry of debits and credits of the network's and the publishers' accounts.
    pub fn posting(
        &self,
        chart: &Chart,
        fact: &'static str,
        what: &str,
        lines: impl IntoIterator<Item = Option<ledger::Line>>,
    ) -> Result<Posting, PostingError> {
        let entry = self.entry(fact, what, lines.into_iter().flatten().collect())?;
        Ok(super::posting(chart, [entry]))
    }
}
