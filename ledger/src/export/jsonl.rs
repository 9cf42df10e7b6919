//! One JSON object per line and entry. Amounts are texts, so that no reader makes floats of them;
//! hashes are hex.

use std::io::{self, Write};

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::read::{Label, Posting};
use super::{Dialect, Told, text};
use crate::account::AccountKind;

pub(super) struct Jsonl;

#[derive(Serialize)]
struct EntryLine<'a> {
    book: &'a str,
    number: i64,
    entry_id: Uuid,
    effective_on: NaiveDate,
    recorded_at: String,
    recorded_by: &'a str,
    kind: &'a str,
    memo: bool,
    description: &'a str,
    currency: &'a str,
    legs: Vec<LegLine<'a>>,
    causes: &'a [String],
    reverses: Option<Uuid>,
    voucher_id: Option<Uuid>,
    fingerprint: String,
    hash: String,
}

#[derive(Serialize)]
struct LegLine<'a> {
    code: &'a str,
    kind: AccountKind,
    dimensions: &'a serde_json::Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    debit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credit: Option<String>,
}

impl Dialect for Jsonl {
    fn begin(&mut self, _: &mut Vec<u8>, _: &Told<'_>, _: NaiveDate) -> io::Result<()> {
        Ok(())
    }

    fn entry(&mut self, out: &mut Vec<u8>, posting: &Posting<'_>) -> io::Result<()> {
        let entry = posting.entry;
        let line = EntryLine {
            book: &posting.book.name,
            number: entry.number,
            entry_id: entry.id,
            effective_on: entry.effective_on,
            recorded_at: instant(entry.recorded_at),
            recorded_by: &entry.recorded_by,
            kind: &entry.kind,
            memo: entry.memo,
            description: &entry.description,
            currency: posting.currency.code(),
            legs: posting
                .legs
                .iter()
                .map(|(label, minor)| LegLine::of(label, *minor))
                .collect(),
            causes: &entry.causes,
            reverses: entry.reverses,
            voucher_id: entry.voucher_id,
            fingerprint: hex::encode(&entry.fingerprint),
            hash: hex::encode(&entry.hash),
        };
        serde_json::to_writer(&mut *out, &line)?;
        writeln!(out)
    }

    fn proves(&self) -> bool {
        false
    }
}

impl<'a> LegLine<'a> {
    fn of(label: &'a Label, minor: i64) -> LegLine<'a> {
        let amount = text::decimal(i128::from(minor.unsigned_abs()), label.currency.scale());
        let (debit, credit) = if minor > 0 {
            (Some(amount), None)
        } else {
            (None, Some(amount))
        };
        let Label {
            code,
            kind,
            dimensions,
            ..
        } = label;
        LegLine {
            code,
            kind: *kind,
            dimensions,
            debit,
            credit,
        }
    }
}

/// A moment, to the microsecond that is stored.
pub(super) fn instant(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Micros, true)
}
