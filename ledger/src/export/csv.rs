//! A table: one row per leg, as RFC 4180 has it (CRLF, quotes doubled).
//!
//! Every text is the stored text. A spreadsheet that opens the file directly may take a description
//! that begins with `=`, `+`, `-` or `@` for a formula: import the columns as text. Dimensions and
//! causes are JSON; the entry's columns are repeated on each of its rows.

use std::io::{self, Write};

use chrono::NaiveDate;

use super::read::Posting;
use super::{Dialect, Told, jsonl, text};

const HEADER: &str = "book,number,entry_id,effective_on,recorded_at,recorded_by,kind,memo,\
    description,code,dimensions,currency,debit,credit,causes,reverses,voucher_id,fingerprint,hash";

pub(super) struct Csv;

impl Dialect for Csv {
    fn begin(&mut self, out: &mut Vec<u8>, _told: &Told<'_>, _first: NaiveDate) -> io::Result<()> {
        write!(out, "{HEADER}\r\n")
    }

    fn entry(&mut self, out: &mut Vec<u8>, posting: &Posting<'_>) -> io::Result<()> {
        let entry = posting.entry;
        let mut before = Vec::new();
        write!(
            before,
            "{},{},{},",
            cell(&posting.book.name),
            entry.number,
            entry.id
        )?;
        write!(
            before,
            "{},{},",
            entry.effective_on,
            jsonl::instant(entry.recorded_at)
        )?;
        write!(
            before,
            "{},{},",
            cell(&entry.recorded_by),
            cell(&entry.kind)
        )?;
        write!(before, "{},{},", entry.memo, cell(&entry.description))?;
        let causes = serde_json::Value::from(entry.causes.as_slice()).to_string();
        let mut after = Vec::new();
        write!(after, "{},", cell(&causes))?;
        write!(
            after,
            "{},",
            entry.reverses.map(|id| id.to_string()).unwrap_or_default()
        )?;
        write!(
            after,
            "{},",
            entry
                .voucher_id
                .map(|id| id.to_string())
                .unwrap_or_default()
        )?;
        write!(
            after,
            "{},{}\r\n",
            hex::encode(&entry.fingerprint),
            hex::encode(&entry.hash)
        )?;
        for (label, minor) in &posting.legs {
            out.extend_from_slice(&before);
            let amount = text::decimal(i128::from(minor.unsigned_abs()), label.currency.scale());
            let (debit, credit) = if *minor > 0 {
                (&*amount, "")
            } else {
                ("", &*amount)
            };
            let (code, dimensions) = (cell(&label.code), cell(&label.dimensions.to_string()));
            write!(
                out,
                "{code},{dimensions},{},{debit},{credit},",
                label.currency
            )?;
            out.extend_from_slice(&after);
        }
        Ok(())
    }

    fn proves(&self) -> bool {
        false
    }
}

fn cell(text: &str) -> String {
    let edged = text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace);
    if edged || text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
