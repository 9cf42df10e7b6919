//! For ledger-cli: `ledger --pedantic --strict`, which must say nothing on stderr (its exit status
//! is the number of errors modulo 256, so 256 errors look like none).
//!
//! The payee is the entry's description; `--pedantic` wants tags declared before they are used.

use std::collections::BTreeSet;
use std::io::{self, Write};

use chrono::NaiveDate;

use super::hledger::{assertions, legs, tags};
use super::read::{Chart, Label, Posting};
use super::{Dialect, Told, text};

/// The tags declared so far.
#[derive(Default)]
pub(super) struct LedgerCli {
    tags: BTreeSet<String>,
}

impl Dialect for LedgerCli {
    fn begin(&mut self, out: &mut Vec<u8>, told: &Told<'_>, _first: NaiveDate) -> io::Result<()> {
        for line in told.about() {
            writeln!(out, "; {line}")?;
        }
        writeln!(out)?;
        for currency in told.chart.currencies() {
            let thousand = text::decimal(1000 * 10_i128.pow(currency.scale()), currency.scale());
            writeln!(
                out,
                "commodity {currency}\n    format {thousand} {currency}"
            )?;
        }
        writeln!(out)?;
        for labels in told.chart.names() {
            let Label {
                name, code, book, ..
            } = &labels[0];
            let known = (told.names)(code).unwrap_or_else(|| code.clone());
            let note = format!("{known}, {}", told.chart.books[*book].name);
            writeln!(out, "account {name}\n    note {}", text::description(&note))?;
        }
        Ok(())
    }

    fn entry(&mut self, out: &mut Vec<u8>, posting: &Posting<'_>) -> io::Result<()> {
        let tags = tags(posting);
        writeln!(out)?;
        for (tag, _) in &tags {
            if self.tags.insert((*tag).to_owned()) {
                writeln!(out, "tag {tag}")?;
            }
        }
        let entry = posting.entry;
        let (book, number) = (&posting.book.part, entry.number);
        let mut payee = text::description(&entry.description);
        if payee.is_empty() {
            payee = text::description(&entry.kind);
        }
        writeln!(out, "{} * ({book}/{number}) {payee}", entry.effective_on)?;
        for (tag, value) in &tags {
            writeln!(out, "    ; {tag}: {value}")?;
        }
        legs(out, posting)
    }

    fn end(
        &mut self,
        out: &mut Vec<u8>,
        chart: &Chart,
        balances: &[i128],
        last: NaiveDate,
    ) -> io::Result<()> {
        assertions(
            out,
            chart,
            balances,
            &format!("{last} * (balances) Balances of"),
        )
    }
}
