//! For hledger: `hledger check --strict ordereddates`.
//!
//! Amounts are always `1000.00 USD` with `decimal-mark .`, or three decimals would read as
//! thousands. The payee is the entry's kind, the note its description. Payees and tags are declared
//! where they are first used; hledger does not mind where.

use std::collections::BTreeSet;
use std::io::{self, Write};

use chrono::NaiveDate;

use super::read::{Chart, Label, Posting};
use super::{Dialect, Told, label, text};
use crate::account::AccountKind;

/// What has been declared so far.
#[derive(Default)]
pub(super) struct Hledger {
    payees: BTreeSet<String>,
    tags: BTreeSet<String>,
}

impl Dialect for Hledger {
    fn begin(&mut self, out: &mut Vec<u8>, told: &Told<'_>, _first: NaiveDate) -> io::Result<()> {
        for line in told.about() {
            writeln!(out, "; {line}")?;
        }
        writeln!(out, "\ndecimal-mark .")?;
        for currency in told.chart.currencies() {
            // The mark is required, also where no places follow.
            let zeros = "0".repeat(usize::try_from(currency.scale()).unwrap_or_default());
            writeln!(out, "commodity 1000.{zeros} {currency}")?;
        }
        writeln!(out)?;
        for kind in AccountKind::ALL {
            let letter = match kind {
                AccountKind::Asset => 'A',
                AccountKind::Liability => 'L',
                AccountKind::Equity => 'E',
                AccountKind::Revenue => 'R',
                AccountKind::Expense => 'X',
            };
            writeln!(out, "account {}  ; type:{letter}", label::root(kind))?;
        }
        for labels in told.chart.names() {
            let Label {
                name, code, book, ..
            } = &labels[0];
            let book = text::value(&told.chart.books[*book].name);
            write!(out, "account {name}  ; book:{book}, code:{code}")?;
            if let Some(known) = (told.names)(code) {
                write!(out, ", name:{}", text::value(&known))?;
            }
            writeln!(out)?;
        }
        Ok(())
    }

    fn entry(&mut self, out: &mut Vec<u8>, posting: &Posting<'_>) -> io::Result<()> {
        let tags = tags(posting);
        let payee = text::description(&posting.entry.kind);
        writeln!(out)?;
        for (tag, _) in &tags {
            if self.tags.insert((*tag).to_owned()) {
                writeln!(out, "tag {tag}")?;
            }
        }
        if !self.payees.contains(&payee) {
            writeln!(out, "payee {payee}")?;
            self.payees.insert(payee.clone());
        }
        let (book, number) = (&posting.book.part, posting.entry.number);
        let note = text::description(&posting.entry.description);
        writeln!(
            out,
            "{} * ({book}/{number}) {payee} | {note}",
            posting.entry.effective_on
        )?;
        for (tag, value) in &tags {
            writeln!(out, "    ; {tag}:{value}")?;
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
        if !balances.is_empty() {
            writeln!(out, "\npayee export")?;
        }
        assertions(
            out,
            chart,
            balances,
            &format!("{last} * (balances) export | Balances of"),
        )
    }
}

/// Everything about an entry that its legs and description do not say.
pub(super) fn tags<'a>(posting: &Posting<'a>) -> Vec<(&'a str, String)> {
    let entry = posting.entry;
    let mut tags = vec![
        ("je", format!("{}/{}", posting.book.part, entry.number)),
        ("entry", entry.id.to_string()),
        ("kind", text::value(&entry.kind)),
        ("recorded", super::jsonl::instant(entry.recorded_at)),
        ("by", text::value(&entry.recorded_by)),
    ];
    tags.extend(entry.reverses.map(|id| ("reverses", id.to_string())));
    tags.extend(entry.voucher_id.map(|id| ("voucher", id.to_string())));
    for cause in &entry.causes {
        let (tag, id) = text::tag(cause);
        tags.push((tag, text::value(id)));
    }
    tags
}

/// The legs, aligned for people.
pub(super) fn legs(out: &mut Vec<u8>, posting: &Posting<'_>) -> io::Result<()> {
    let scale = posting.currency.scale();
    let width = posting
        .legs
        .iter()
        .map(|(label, _)| label.name.len())
        .max()
        .unwrap_or_default();
    for (label, minor) in &posting.legs {
        let amount = text::decimal(i128::from(*minor), scale);
        writeln!(
            out,
            "    {:width$}  {amount:>14} {}",
            label.name, posting.currency
        )?;
    }
    Ok(())
}

/// One entry per book that moves nothing and asserts each of its balances.
pub(super) fn assertions(
    out: &mut Vec<u8>,
    chart: &Chart,
    balances: &[i128],
    heading: &str,
) -> io::Result<()> {
    let mut by_book: Vec<(&Label, i128)> =
        chart.labels.iter().zip(balances.iter().copied()).collect();
    by_book.sort_by_key(|(label, _)| label.book);
    for accounts in by_book.chunk_by(|(a, _), (b, _)| a.book == b.book) {
        let book = &chart.books[accounts[0].0.book];
        writeln!(out, "\n{heading} {}", text::description(&book.name))?;
        let width = accounts
            .iter()
            .map(|(label, _)| label.name.len())
            .max()
            .unwrap_or_default();
        for (label, balance) in accounts {
            let (currency, scale) = (label.currency, label.currency.scale());
            let (zero, held) = (text::decimal(0, scale), text::decimal(*balance, scale));
            writeln!(
                out,
                "    {:width$}  {zero} {currency} = {held} {currency}",
                label.name
            )?;
        }
    }
    Ok(())
}
