//! Pure: the posting manual. One file per business event that moves money.
//!
//! The listing of this folder *is* the accounting manual: what is not here cannot move money.
//! Each file turns the facts of one event into balanced entries, by the rows of the accounting
//! specification, section 3; `docs/POSTING.md` and `snapshots/posting/` are printed from them.
//!
//! What it never does: it asks no database, reads no clock, decides no state and rounds nothing.
//!
//! # Adding a posting
//!
//! 1. Copy the file that is nearest, name it after the event, state the row it implements.
//! 2. Take a [`Subject`] (a conversion) or an [`Occasion`] (an invoice, a payment, a payout) and
//!    amounts, return entries from its `entry`.
//! 3. Add it to the scenarios in `settlement/tests/it/posting.rs`; its snapshot appears in
//!    `snapshots/posting/`, and `docs/POSTING.md` is written from the same scenarios.

pub mod approved;
pub mod held;
mod occasion;
pub mod pending;
pub mod reattributed;
pub mod refunded;
pub mod reinstated;
pub mod rejected;
pub mod released;
pub mod reversed;

use chrono::NaiveDate;
use ledger::account::WrongCurrency;
use ledger::{
    Account, BookId, Cause, Currency, EntryError, IdempotencyKey, JournalEntry, Line, Money, Period,
};
use uuid::Uuid;

pub use occasion::Occasion;

use crate::chart::{Chart, Code};
use crate::fees::{Components, FeeError};
use crate::terms::{Presentation, RecognitionPoint};

/// Whose money moves: one conversion, seen by its book, terms and history.
///
/// Without a publisher the amounts owe nobody but the network
/// ([`Terms::fees_of`](crate::terms::Terms::fees_of)).
#[derive(Debug, Clone)]
pub struct Subject {
    /// The brand's book.
    pub book: BookId,
    /// The conversion.
    pub conversion: Uuid,
    /// The brand's own reference of the order.
    pub order_ref: String,
    /// The click that earned it.
    pub click: Option<Uuid>,
    /// Who earns it; `None` is the house.
    pub publisher: Option<Uuid>,
    /// Where several publishers share it: how much each has of the amount that is moved here, which
    /// they add up to. Empty where one has all.
    pub split: Vec<(Uuid, Money)>,
    /// The currency of all its amounts.
    pub currency: Currency,
    /// When it enters the books.
    pub recognition: RecognitionPoint,
    /// How revenue is presented.
    pub presentation: Presentation,
    /// The number of the change that posts; names the entries of that change.
    pub version: i32,
    /// The day on which it counts, in the accounting zone, in an open month.
    pub effective: NaiveDate,
    /// The closed month it belongs to by date, if it is posted late.
    pub origin: Option<Period>,
    /// Further causes, such as the refund.
    pub because: Vec<Cause>,
}

/// Entries of one event and the accounts they need.
#[derive(Debug, Clone, Default)]
pub struct Posting {
    /// Balanced entries, in posting order.
    pub entries: Vec<JournalEntry>,
    /// Accounts to be open before posting.
    pub accounts: Vec<Account>,
}

/// A posting could not be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostingError {
    /// The lines do not make an entry.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// An amount is in another currency than the conversion.
    #[error(transparent)]
    Currency(#[from] WrongCurrency),
    /// Amounts cannot be summed.
    #[error(transparent)]
    Fee(#[from] FeeError),
}

/// Where a publisher's share stands before approval or after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Open.
    Open,
    /// On hold.
    Held,
}

/// A line per amount that is not zero.
type Lines = Vec<Line>;

impl Subject {
    pub(crate) fn chart(&self) -> Chart {
        Chart::new(self.book, self.currency, self.publisher).shared(self.split.clone())
    }

    /// The key of a fact in this change of the conversion.
    fn key(&self, fact: &'static str) -> IdempotencyKey {
        IdempotencyKey::of(fact, format_args!("{}/{}", self.conversion, self.version))
    }

    /// One entry of this change; none when every amount is zero.
    fn entry(
        &self,
        fact: &'static str,
        what: &str,
        lines: Lines,
    ) -> Result<Option<JournalEntry>, PostingError> {
        if lines.is_empty() {
            return Ok(None);
        }
        let description = format!("{what}: order {}", self.order_ref);
        let draft = JournalEntry::draft(self.book, &self.key(fact), self.effective, description);
        Ok(Some(
            draft.lines(lines).because_of(self.causes()).balance()?,
        ))
    }

    fn causes(&self) -> Vec<Cause> {
        let mut causes = vec![
            Cause::new("conversion", self.conversion),
            Cause::new("order", &self.order_ref),
        ];
        causes.extend(self.click.map(|click| Cause::new("click", click)));
        causes.extend(self.because.iter().cloned());
        causes.extend(self.origin.map(|period| Cause::new("period", period)));
        causes
    }
}

/// What a conversion is expected to bring: 9100 against 9200 (or 9210, held) and 9300.
fn expected_lines(
    chart: &mut Chart,
    amounts: &Components,
    share: Share,
) -> Result<Lines, PostingError> {
    let held = match share {
        Share::Open => Code::ExpectedPublisherDue,
        Share::Held => Code::ExpectedHeld,
    };
    let mut lines = vec![chart.debit(Code::ExpectedBrandDue, amounts.brand_due())?];
    lines.extend(chart.credit_publishers(held, amounts.publisher_due())?);
    lines.push(chart.credit(Code::ExpectedFee, amounts.fee()?)?);
    Ok(lines.into_iter().flatten().collect())
}

/// What is recognised at conversion but not yet earned: 1110 against 2005 (or 2030) and 2300.
fn constrained_lines(
    chart: &mut Chart,
    amounts: &Components,
    share: Share,
) -> Result<Lines, PostingError> {
    let payable = match share {
        Share::Open => Code::PendingPayable,
        Share::Held => Code::HeldPayable,
    };
    let mut lines = vec![chart.debit(Code::UnbilledReceivable, amounts.brand_due())?];
    lines.extend(chart.credit_publishers(payable, amounts.publisher_due())?);
    lines.push(chart.credit(Code::ConstrainedFee, amounts.fee()?)?);
    Ok(lines.into_iter().flatten().collect())
}

/// What is earned: 1110 against the payable and the fees, or gross as a principal.
fn earned_lines(
    chart: &mut Chart,
    presentation: Presentation,
    amounts: &Components,
    share: Share,
) -> Result<Lines, PostingError> {
    let mut lines = vec![chart.debit(Code::UnbilledReceivable, amounts.brand_due())?];
    lines.extend(revenue_lines(chart, presentation, amounts, share)?);
    Ok(lines.into_iter().flatten().collect())
}

/// The credit side of what is earned.
fn revenue_lines(
    chart: &mut Chart,
    presentation: Presentation,
    amounts: &Components,
    share: Share,
) -> Result<Vec<Option<Line>>, PostingError> {
    let payable = match share {
        Share::Open => Code::UnfundedPayable,
        Share::Held => Code::HeldPayable,
    };
    if chart.is_house() {
        return Ok(vec![
            chart.credit(Code::BrandFee, amounts.fee_brand())?,
            chart.credit(Code::HouseIncome, amounts.gross())?,
        ]);
    }
    let mut lines = chart.credit_publishers(payable, amounts.publisher_due())?;
    match presentation {
        Presentation::Agent => lines.extend([
            chart.credit(Code::BrandFee, amounts.fee_brand())?,
            chart.credit(Code::PublisherFee, amounts.fee_publisher())?,
        ]),
        Presentation::Principal => {
            let before = [
                chart.debit(Code::PublisherCost, amounts.publisher_due())?,
                chart.credit(Code::GrossCommission, amounts.brand_due())?,
            ];
            lines.splice(0..0, before);
        }
    }
    Ok(lines)
}

fn opposite(lines: Lines) -> Lines {
    lines.into_iter().map(Line::opposite).collect()
}

fn posting(chart: &Chart, entries: impl IntoIterator<Item = Option<JournalEntry>>) -> Posting {
    Posting {
        entries: entries.into_iter().flatten().collect(),
        accounts: chart.used().cloned().collect(),
    }
}
