//! For beancount 3: `bean-check`, with no tolerance at all.
//!
//! The payee is the entry's kind, the narration its description. Links (`^je-…`, `^order-…`) join
//! entries that belong together: an entry and its reversal share `^entry-…`. A balance is asserted
//! at the start of the day after the last entry and includes the accounts below.

use std::collections::BTreeMap;
use std::io::{self, Write};

use chrono::NaiveDate;

use super::read::{Chart, Label, Posting, with_children};
use super::{Dialect, Told, hledger, jsonl, label, text};

pub(super) struct Beancount;

impl Dialect for Beancount {
    fn begin(&mut self, out: &mut Vec<u8>, told: &Told<'_>, first: NaiveDate) -> io::Result<()> {
        for line in told.about() {
            writeln!(out, "; {line}")?;
        }
        writeln!(out, "\noption \"title\" \"Counterfoil\"")?;
        writeln!(out, "option \"tolerance_multiplier\" \"0\"\n")?;
        for currency in told.chart.currencies() {
            writeln!(
                out,
                "{first} commodity {currency}\n  precision: {}",
                currency.scale()
            )?;
        }
        writeln!(out)?;
        for labels in told.chart.names() {
            let Label {
                name,
                code,
                book,
                dimensions,
                ..
            } = &labels[0];
            let held: Vec<&str> = labels.iter().map(|label| label.currency.code()).collect();
            writeln!(out, "{first} open {name} {}", held.join(","))?;
            writeln!(
                out,
                "  book: {}",
                text::quoted(&told.chart.books[*book].name)
            )?;
            writeln!(out, "  code: {}", text::quoted(code))?;
            if let Some(known) = (told.names)(code) {
                writeln!(out, "  name: {}", text::quoted(&known))?;
            }
            if *dimensions != serde_json::json!({}) {
                writeln!(
                    out,
                    "  dimensions: {}",
                    text::quoted(&dimensions.to_string())
                )?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, out: &mut Vec<u8>, posting: &Posting<'_>) -> io::Result<()> {
        let entry = posting.entry;
        let (payee, narration) = (text::quoted(&entry.kind), text::quoted(&entry.description));
        write!(out, "\n{} * {payee} {narration}", entry.effective_on)?;
        write!(
            out,
            " ^je-{}/{} ^entry-{}",
            posting.book.part, entry.number, entry.id
        )?;
        if let Some(reversed) = entry.reverses {
            write!(out, " ^entry-{reversed}")?;
        }
        if let Some(voucher) = entry.voucher_id {
            write!(out, " ^voucher-{voucher}")?;
        }
        for cause in &entry.causes {
            let (tag, id) = text::tag(cause);
            write!(out, " ^{tag}-{}", label::link(id))?;
        }
        writeln!(out)?;
        metadata(out, posting)?;
        hledger::legs(out, posting)
    }

    fn end(
        &mut self,
        out: &mut Vec<u8>,
        chart: &Chart,
        balances: &[i128],
        last: NaiveDate,
    ) -> io::Result<()> {
        let next = last.succ_opt().unwrap_or(last);
        writeln!(out)?;
        for (label, balance) in chart.labels.iter().zip(with_children(chart, balances)) {
            let held = text::decimal(balance, label.currency.scale());
            writeln!(
                out,
                "{next} balance {}  {held} {}",
                label.name, label.currency
            )?;
        }
        Ok(())
    }
}

/// As quoted texts. A key may stand once per entry: further causes of one kind are numbered.
fn metadata(out: &mut Vec<u8>, posting: &Posting<'_>) -> io::Result<()> {
    let entry = posting.entry;
    writeln!(out, "  je: \"{}/{}\"", posting.book.part, entry.number)?;
    writeln!(out, "  recorded: \"{}\"", jsonl::instant(entry.recorded_at))?;
    writeln!(out, "  by: {}", text::quoted(&entry.recorded_by))?;
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    for cause in &entry.causes {
        let (tag, id) = text::tag(cause);
        let times = seen.entry(tag).or_default();
        *times += 1;
        // No tag has a hyphen, so a numbered one meets no other.
        let key = if *times == 1 {
            tag.to_owned()
        } else {
            format!("{tag}-{times}")
        };
        writeln!(out, "  {key}: {}", text::quoted(id))?;
    }
    Ok(())
}
