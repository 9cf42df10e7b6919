//! Pure: what a statement of account says.

use chrono::NaiveDate;
use ledger::{Currency, Money};
use serde::{Deserialize, Serialize};

use super::{DocumentError, Party, agrees};

/// What stood, moved and stands: what a brand owes, or what a publisher is owed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatementDocument {
    /// The network.
    pub issuer: Party,
    /// Whose account it is.
    pub holder: Party,
    /// The first and the last day.
    pub period: (NaiveDate, NaiveDate),
    /// The currency of all its amounts.
    pub currency: Currency,
    /// What stood before the first day.
    pub opening: Money,
    /// What moved, in order.
    pub lines: Vec<StatementLine>,
    /// What stands after the last day.
    pub closing: Money,
}

/// One movement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatementLine {
    /// The day.
    pub on: NaiveDate,
    /// What it was: `Invoice`, `Payment received`.
    pub description: String,
    /// The document it comes from, if it has a number.
    pub document: Option<String>,
    /// By how much it raised the balance, or lowered it where negative.
    pub amount: Money,
    /// What stood after it.
    pub balance: Money,
}

impl StatementDocument {
    /// Whether each balance follows from the one before it.
    ///
    /// # Errors
    /// The first balance that does not.
    pub fn check(&self) -> Result<(), DocumentError> {
        let document = format!("statement of {}", self.holder.name);
        let mut balance = Money::zero(self.currency).checked_add(self.opening)?;
        for line in &self.lines {
            balance = balance.checked_add(line.amount)?;
            let figure = format!("balance after {:?} on {}", line.description, line.on);
            agrees(&document, figure, line.balance, balance)?;
        }
        agrees(&document, "closing balance", self.closing, balance)
    }
}
