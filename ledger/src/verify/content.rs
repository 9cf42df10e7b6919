//! Pure: one entry in itself. What it says gives its fingerprint, balances, and is plain.

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use super::copy::{Fields, bigints, boolean, int4, int8, text, uuid};
use crate::canonical::{Content, Hash, RECORD};
use crate::money::Currency;

/// The columns that are read, in the order of [`Row::read`].
pub(super) const COLUMNS: usize = 17;
/// What no amount exceeds, so that sums of two cannot overflow (`ledger.legs_balance`).
const LIMIT: u64 = 4_000_000_000_000_000_000;
/// Days from 1970-01-01 to 2000-01-01, where Postgres begins to count.
const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
pub(super) const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// Used again for each entry.
#[derive(Default)]
pub(super) struct Scratch {
    pub accounts: Vec<i64>,
    pub amounts: Vec<i64>,
    bytes: Vec<u8>,
}

/// A row of `ledger.entry`; a column that cannot be read is `None` and a finding.
pub(super) struct Row<'a> {
    pub book: i64,
    pub number: i64,
    pub id: Option<Uuid>,
    pub recorded_at: Option<DateTime<Utc>>,
    effective: Option<NaiveDate>,
    pub day: i32,
    pub memo: Option<bool>,
    pub currency: Option<&'a str>,
    kind: Option<&'a str>,
    pub recorded_by: Option<&'a str>,
    description: Option<&'a str>,
    accounts: Option<&'a [u8]>,
    amounts: Option<&'a [u8]>,
    causes: Option<&'a str>,
    reverses: Option<Uuid>,
    voucher: Option<Uuid>,
    pub fingerprint: Option<Hash>,
    pub hash: Option<&'a [u8]>,
}

impl<'a> Row<'a> {
    /// `None` when not even book and number can be read.
    pub(super) fn read(fields: &Fields<'a, COLUMNS>) -> Option<Row<'a>> {
        let [
            book,
            number,
            at,
            effective,
            memo,
            id,
            currency,
            kind,
            by,
            description,
            ..,
        ] = *fields;
        let [
            ..,
            accounts,
            amounts,
            causes,
            reverses,
            voucher,
            fingerprint,
            hash,
        ] = *fields;
        Some(Row {
            book: int8(book)?,
            number: int8(number)?,
            id: uuid(id),
            recorded_at: int8(at).and_then(time),
            effective: int4(effective).and_then(day),
            day: int4(effective).unwrap_or_default(),
            memo: boolean(memo),
            currency: text(currency),
            kind: text(kind),
            recorded_by: text(by),
            description: text(description),
            accounts,
            amounts,
            causes: text(causes),
            reverses: uuid(reverses),
            voucher: uuid(voucher),
            fingerprint: fingerprint.and_then(|bytes| bytes.try_into().ok()),
            hash,
        })
    }
}

fn time(since_2000: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(since_2000.checked_add(EPOCH_MICROS)?)
}

fn day(since_2000: i32) -> Option<NaiveDate> {
    NaiveDate::from_epoch_days(since_2000.checked_add(EPOCH_DAYS)?)
}

impl Row<'_> {
    /// The entry in itself; leaves its legs in `scratch`.
    pub(super) fn content(&self, scratch: &mut Scratch) -> Result<(), String> {
        let Scratch {
            accounts,
            amounts,
            bytes,
        } = scratch;
        let shaped = bigints(self.accounts, accounts).and(bigints(self.amounts, amounts));
        if shaped.is_none() || accounts.len() != amounts.len() {
            accounts.clear();
            return Err("its legs are not two lists of the same length".to_owned());
        }
        balanced(accounts, amounts)?;
        let causes = self.causes()?;
        let (Some(id), Some(memo), Some(effective)) = (self.id, self.memo, self.effective) else {
            return Err("its id, memorandum mark or effective day cannot be read".to_owned());
        };
        let (Some(kind), Some(currency), Some(description)) =
            (self.kind, self.currency, self.description)
        else {
            return Err("its kind, currency or description cannot be read".to_owned());
        };
        let content = Content {
            book: self.book,
            id,
            memo,
            effective,
            accounts,
            amounts,
            kind,
            currency,
            reverses: self.reverses,
            voucher: self.voucher,
            causes,
            description,
        };
        if Some(content.fingerprint(bytes)) != self.fingerprint {
            return Err(
                "its content does not give its fingerprint; a column was changed after it \
                        was recorded"
                    .to_owned(),
            );
        }
        if currency.parse::<Currency>().is_err() {
            return Err(format!("its currency {currency:?} is none"));
        }
        if kind.is_empty() || kind.contains(char::is_control) {
            return Err("its kind is not plain text".to_owned());
        }
        Ok(())
    }

    /// The causes as they are hashed. Each is text that cannot be mistaken for two.
    fn causes(&self) -> Result<&str, String> {
        let plain = |cause: &str| !cause.is_empty() && !cause.contains(char::is_control);
        self.causes
            .filter(|causes| causes.is_empty() || causes.split(RECORD).all(plain))
            .ok_or_else(|| "its causes are not a list of plain texts".to_owned())
    }
}

/// At least two legs, none zero, accounts ascending, sum zero.
fn balanced(accounts: &[i64], amounts: &[i64]) -> Result<(), String> {
    if accounts.len() < 2 {
        return Err(format!(
            "it has {} legs, an entry has at least two",
            accounts.len()
        ));
    }
    if !accounts.is_sorted_by(|a, b| a < b) {
        return Err("its accounts are not in ascending order, each once".to_owned());
    }
    if amounts
        .iter()
        .any(|amount| *amount == 0 || amount.unsigned_abs() > LIMIT)
    {
        return Err("a leg is zero or larger than an amount can be".to_owned());
    }
    let sum: i128 = amounts.iter().copied().map(i128::from).sum();
    match sum {
        0 => Ok(()),
        _ => Err(format!(
            "it does not balance: debits less credits are {sum} minor units"
        )),
    }
}
