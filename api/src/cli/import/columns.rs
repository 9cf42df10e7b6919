//! Where a file keeps what: columns by name, with the names that other systems use.

use chrono::{DateTime, NaiveDate, Utc};
use ledger::{Amount, Currency, Money};

use super::Report;

/// A file lacks a column.
#[derive(Debug, thiserror::Error)]
#[error("the header has no column {wanted}; it has: {header}")]
pub(crate) struct MissingColumn {
    wanted: String,
    header: String,
}

/// A CSV reader that leaves rows of a wrong width to the row's own answer.
pub(crate) fn reader<R: std::io::Read>(source: R) -> csv::Reader<R> {
    csv::ReaderBuilder::new()
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(source)
}

/// The position of the first of these names that the header has.
pub(super) fn optional(header: &csv::StringRecord, names: &[&str]) -> Option<usize> {
    let strip = |name: &str| name.trim_start_matches('\u{feff}').to_ascii_lowercase();
    names
        .iter()
        .find_map(|name| header.iter().position(|heading| strip(heading) == *name))
}

/// The same for a column that must be there.
pub(super) fn required(header: &csv::StringRecord, names: &[&str]) -> Result<usize, MissingColumn> {
    optional(header, names).ok_or_else(|| MissingColumn {
        wanted: names.join(" or "),
        header: header.iter().collect::<Vec<_>>().join(", "),
    })
}

/// Where amounts stand and what their currency is: `amount` with `currency`, or `amount_gbp`,
/// `amount_gbp_2dp`, `amount_gbp_exact`, of which the rounded one is preferred.
#[derive(Debug, Clone, Copy)]
pub(super) struct AmountColumn {
    at: usize,
    currency_at: Option<usize>,
    named: Option<Currency>,
}

impl AmountColumn {
    pub(super) fn find(header: &csv::StringRecord) -> Result<AmountColumn, MissingColumn> {
        let currency_at = optional(header, &["currency", "order_currency"]);
        if let Some(at) = optional(header, &["amount", "order_value"]) {
            return Ok(AmountColumn {
                at,
                currency_at,
                named: None,
            });
        }
        let in_heading = |suffix: &str| {
            header.iter().enumerate().find_map(|(at, heading)| {
                let code = heading.strip_prefix("amount_")?.strip_suffix(suffix)?;
                let named = code.to_ascii_uppercase().parse::<Currency>().ok()?;
                Some(AmountColumn {
                    at,
                    currency_at,
                    named: Some(named),
                })
            })
        };
        in_heading("_2dp")
            .or_else(|| in_heading(""))
            .or_else(|| in_heading("_exact"))
            .ok_or_else(|| MissingColumn {
                wanted: "amount (or amount_gbp)".to_owned(),
                header: header.iter().collect::<Vec<_>>().join(", "),
            })
    }

    /// The amount of a row: exact, positive, in a currency that row, heading or option names.
    pub(super) fn read(
        self,
        record: &csv::StringRecord,
        given: Option<Currency>,
    ) -> Result<Amount, String> {
        let text = record.get(self.at).unwrap_or_default();
        let in_row = self
            .currency_at
            .and_then(|at| record.get(at))
            .filter(|code| !code.is_empty());
        let currency = match in_row {
            Some(code) => Some(
                code.parse::<Currency>()
                    .map_err(|error| error.to_string())?,
            ),
            None => self.named.or(given),
        };
        let currency =
            currency.ok_or("no currency; add a column currency or say --currency GBP")?;
        let money = Money::parse(text, currency).map_err(|error| error.to_string())?;
        Amount::new(money).map_err(|error| error.to_string())
    }
}

/// A moment: RFC 3339, or `2011-01-31 18:05:00` (UTC), or a day (its first moment, UTC).
pub(super) fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Ok(moment.with_timezone(&Utc));
    }
    for format in ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"] {
        if let Ok(moment) = chrono::NaiveDateTime::parse_from_str(text, format) {
            return Ok(moment.and_utc());
        }
    }
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    day.and_then(|day| day.and_hms_opt(0, 0, 0))
        .map(|moment| moment.and_utc())
        .ok_or_else(|| format!("'{text}' is not a time; write it as 2011-01-31T18:05:00Z"))
}

/// A value that must be there.
pub(super) fn text<'a>(
    record: &'a csv::StringRecord,
    at: usize,
    name: &str,
) -> Result<&'a str, String> {
    match record.get(at) {
        Some(value) if !value.is_empty() => Ok(value),
        _ => Err(format!("{name} is missing")),
    }
}

/// A value that may be missing.
pub(super) fn maybe(record: &csv::StringRecord, at: Option<usize>) -> Option<String> {
    at.and_then(|at| record.get(at))
        .filter(|value| !value.is_empty())
        .map(str::to_owned)
}

/// Whether a row has as many fields as the header, all of them storable.
pub(super) fn width(record: &csv::StringRecord, expected: usize) -> Result<(), String> {
    if record.len() != expected {
        return Err(format!(
            "it has {} fields, the header has {expected}",
            record.len()
        ));
    }
    // Postgres text holds any character but this one.
    match record.iter().position(|field| field.contains('\0')) {
        Some(at) => Err(format!("its field {} holds a NUL character", at + 1)),
        None => Ok(()),
    }
}

/// The rows of a batch that can be read; the others are refused in the report, under the reference
/// in this column.
pub(super) fn rows<T>(
    batch: &[(u64, csv::StringRecord)],
    reference: usize,
    report: &mut Report,
    read: impl Fn(u64, &csv::StringRecord) -> Result<T, String>,
) -> Vec<T> {
    let mut rows = Vec::with_capacity(batch.len());
    for (line, record) in batch {
        match read(*line, record) {
            Ok(row) => rows.push(row),
            Err(reason) => {
                report.refuse(*line, record.get(reference).unwrap_or_default(), &reason);
            }
        }
    }
    rows
}

/// What is wrong with a row that is no CSV.
pub(super) fn readable(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8 text".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fields: &[&str]) -> csv::StringRecord {
        csv::StringRecord::from(fields.to_vec())
    }

    #[test]
    fn the_rounded_amount_is_preferred_and_its_heading_names_the_currency() {
        let header = record(&["amount_gbp_exact", "amount_gbp_2dp"]);
        let amount = AmountColumn::find(&header).unwrap();
        let read = amount.read(&record(&["1.005", "1.01"]), None).unwrap();
        assert_eq!(read.money().to_string(), "1.01 GBP");
    }

    #[test]
    fn an_amount_is_never_rounded_guessed_or_negative() {
        let header = record(&["amount", "currency"]);
        let amount = AmountColumn::find(&header).unwrap();
        for (value, currency) in [
            ("1.005", "GBP"),
            ("1.5", "JPY"),
            ("-1.00", "GBP"),
            ("0", "GBP"),
            ("1e3", "GBP"),
            ("1,00", "GBP"),
            ("", "GBP"),
            ("1.00", "gbp"),
            ("1.00", "XAU"),
            ("1.00", ""),
        ] {
            assert!(
                amount.read(&record(&[value, currency]), None).is_err(),
                "{value} {currency}"
            );
        }
    }

    #[test]
    fn a_time_without_a_zone_is_utc() {
        let expected = moment("2011-01-31T18:05:00Z").unwrap();
        assert_eq!(moment("2011-01-31 18:05:00").unwrap(), expected);
        assert_eq!(moment("2011-01-31T21:05:00+03:00").unwrap(), expected);
        assert!(moment("31/01/2011").is_err());
    }
}
