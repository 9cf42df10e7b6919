//! Pure: what an invoice or a credit note says.

use chrono::NaiveDate;
use ledger::{Currency, Money, Rate, Rounding};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{DocumentError, Party, agrees};

/// An invoice or a credit note; a credit note's amounts are what is credited, so positive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvoiceDocument {
    /// Which of the two.
    pub kind: InvoiceKind,
    /// Its number in its series: `INV-2026-000001`, `CN-2026-000001`.
    pub number: String,
    /// The day it was issued.
    pub issued_on: NaiveDate,
    /// The first and the last day of what it bills.
    pub period: (NaiveDate, NaiveDate),
    /// The currency of all its amounts.
    pub currency: Currency,
    /// The network.
    pub seller: Party,
    /// The brand.
    pub buyer: Party,
    /// The buyer's own reference, if it gave one.
    pub purchase_order: Option<String>,
    /// What is billed, line by line.
    pub lines: Vec<InvoiceLine>,
    /// Gross commissions and whatever else is billed before the fee.
    pub gross: Money,
    /// The network fee charged to the buyer.
    pub fee: Money,
    /// `gross` and `fee`: the amount before tax.
    pub net: Money,
    /// How it is taxed.
    pub vat: Vat,
    /// The tax: of `net`, rounded once, half up.
    pub tax: Money,
    /// `net` and `tax`: what the buyer owes or is credited.
    pub total: Money,
    /// Where the money goes; none on a credit note.
    pub pay_to: Option<BankDetails>,
    /// The conversions behind the lines.
    pub annexe: Vec<AnnexeRow>,
}

/// A credit note: an [`InvoiceDocument`] of the kind [`InvoiceKind::CreditNote`].
pub type CreditNoteDocument = InvoiceDocument;

/// What kind of document it is, with what only that kind has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum InvoiceKind {
    /// The buyer owes the total.
    Invoice {
        /// The last day on which it is paid in time.
        due_on: NaiveDate,
    },
    /// The total is taken off an invoice.
    CreditNote {
        /// The number of that invoice.
        credits: String,
        /// The day that invoice was issued.
        credits_of: NaiveDate,
        /// Why.
        reason: String,
    },
}

/// One line: the conversions of a program, or a charge of its own.
///
/// Amounts may be negative: refunds of what was billed before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvoiceLine {
    /// What is billed: the program's name, `Late charge`.
    pub description: String,
    /// The month it belongs to where that is closed, as printed: `Prior period 2026-09`.
    pub prior_period: Option<String>,
    /// How many conversions it sums; 0 for a charge of its own, which the annexe does not list.
    pub conversions: u64,
    /// The gross commission, or the charge.
    pub gross: Money,
    /// The network fee on it.
    pub fee: Money,
    /// Both.
    pub net: Money,
}

/// How a document is taxed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "treatment", rename_all = "snake_case", deny_unknown_fields)]
pub enum Vat {
    /// At a rate; 0 is a zero rate.
    Rated {
        /// The rate.
        rate: Rate,
    },
    /// The buyer accounts for the tax.
    ReverseCharge {
        /// The sentence the law asks for.
        note: String,
    },
    /// No tax applies.
    OutOfScope,
}

impl Vat {
    /// The tax on an amount, rounded once, half up.
    #[must_use]
    pub fn of(&self, net: Money) -> Money {
        match self {
            Vat::Rated { rate } => rate.of(net, Rounding::HalfUp),
            Vat::ReverseCharge { .. } | Vat::OutOfScope => Money::zero(net.currency()),
        }
    }
}

/// Where an invoice is paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BankDetails {
    /// Whose account.
    pub holder: String,
    /// The account: an IBAN, or a number with its routing number as the bank writes it.
    pub account: String,
    /// The bank's BIC.
    pub bic: Option<String>,
    /// What the payer names, so that the payment is found.
    pub reference: String,
}

/// A conversion behind a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnnexeRow {
    /// The line it is part of, counted from 1.
    pub line: usize,
    /// The conversion.
    pub conversion: Uuid,
    /// The brand's own reference of the order.
    pub order_ref: String,
    /// The day of the order.
    pub ordered_on: NaiveDate,
    /// The gross commission; negative for what was taken back.
    pub gross: Money,
    /// The network fee on it.
    pub fee: Money,
}

impl InvoiceDocument {
    /// Whether it adds up: each line, the annexe to the lines, the lines to the totals, the tax.
    ///
    /// # Errors
    /// The first figure that is not what the rest makes it.
    pub fn check(&self) -> Result<(), DocumentError> {
        self.check_lines()?;
        let gross = Money::sum(self.currency, self.lines.iter().map(|line| line.gross))?;
        let fee = Money::sum(self.currency, self.lines.iter().map(|line| line.fee))?;
        agrees(&self.number, "gross", self.gross, gross)?;
        agrees(&self.number, "fee", self.fee, fee)?;
        agrees(&self.number, "net", self.net, gross.checked_add(fee)?)?;
        agrees(&self.number, "tax", self.tax, self.vat.of(self.net))?;
        let total = self.net.checked_add(self.tax)?;
        agrees(&self.number, "total", self.total, total)
    }

    fn check_lines(&self) -> Result<(), DocumentError> {
        let nothing = Money::zero(self.currency);
        let mut listed = vec![(nothing, nothing); self.lines.len()];
        for row in &self.annexe {
            let at = row.line.checked_sub(1).and_then(|at| listed.get_mut(at));
            let (gross, fee) = at.ok_or_else(|| DocumentError::NoLine {
                document: self.number.clone(),
                order: row.order_ref.clone(),
                line: row.line,
            })?;
            *gross = gross.checked_add(row.gross)?;
            *fee = fee.checked_add(row.fee)?;
        }
        for (line, (gross, fee)) in self.lines.iter().zip(listed) {
            let figure = |what: &str| format!("{what} of {:?}", line.description);
            let net = line.gross.checked_add(line.fee)?;
            agrees(&self.number, figure("net"), line.net, net)?;
            if line.conversions > 0 {
                agrees(&self.number, figure("gross"), line.gross, gross)?;
                agrees(&self.number, figure("fee"), line.fee, fee)?;
            }
        }
        Ok(())
    }
}
