//! Pure: what a document says, frozen when it is issued.
//!
//! A document is kept as JSON and never computed again: whoever renders it to a page or to XML
//! reads only what is here, so it says the same in ten years, under whatever name or address the
//! parties have by then. Amounts are in the document's one currency, days in the accounting zone.
//!
//! [`InvoiceDocument::check`], [`StatementDocument::check`] and [`RemittanceDocument::check`] say
//! whether a document adds up; one that does not must not be issued.
//!
//! What it never does: number a document, post, render, or read what has changed since.

mod invoice;
mod remittance;
mod statement;

use ledger::{Money, MoneyError};
use serde::{Deserialize, Serialize};

pub use invoice::{
    AnnexeRow, BankDetails, CreditNoteDocument, InvoiceDocument, InvoiceKind, InvoiceLine, Vat,
};
pub use remittance::{RemittanceDocument, RemittanceLine};
pub use statement::{StatementDocument, StatementLine};

/// A party as it was when the document was issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// Its legal name.
    pub name: String,
    /// Its address, line by line, without the country.
    pub address: Vec<String>,
    /// Its country: ISO 3166-1, two letters.
    pub country: String,
    /// Its VAT or tax number.
    pub tax_id: Option<String>,
    /// Where questions go.
    pub email: Option<String>,
}

/// Why a document does not add up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// A figure is not what the rest of the document makes it.
    #[error("{document}: {figure} says {says}, but comes to {comes_to}; it must not be issued")]
    Figure {
        /// The document's number, or whose it is.
        document: String,
        /// Which figure.
        figure: String,
        /// What is written there.
        says: Money,
        /// What the rest makes it.
        comes_to: Money,
    },
    /// A row of the annexe belongs to no line.
    #[error("{document}: the order {order} is of line {line}, which the document does not have")]
    NoLine {
        /// The document's number.
        document: String,
        /// The order.
        order: String,
        /// The line it names, counted from 1.
        line: usize,
    },
    /// Amounts of different currencies, or beyond all sums.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// A figure against what the rest of the document makes it.
fn agrees(
    document: &str,
    figure: impl Into<String>,
    says: Money,
    comes_to: Money,
) -> Result<(), DocumentError> {
    // Compared, so that another currency is an error and not merely a difference.
    if says.compare(comes_to)?.is_eq() {
        return Ok(());
    }
    Err(DocumentError::Figure {
        document: document.to_owned(),
        figure: figure.into(),
        says,
        comes_to,
    })
}

#[cfg(test)]
mod tests;
