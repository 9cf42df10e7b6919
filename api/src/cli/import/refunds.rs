//! Refunds from a file.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use jobs::effects;
use ledger::{Actor, Amount, BookId, Currency};
use settlement::conversion::{Refund, Refunded};
use settlement::party;
use sqlx::PgConnection;

use super::columns::{self, AmountColumn, MissingColumn};
use super::{Outcome, Report};

/// Where the columns are. What is in no known column goes into the note, for whoever has to find
/// the order of a parked refund.
#[derive(Debug)]
pub(crate) struct Columns {
    width: usize,
    refund_ref: usize,
    occurred_at: usize,
    order_ref: Option<usize>,
    brand: Option<usize>,
    amount: AmountColumn,
    notes: Vec<(usize, String)>,
}

/// A row that could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) line: u64,
    pub(crate) refund_ref: String,
    pub(crate) occurred_at: DateTime<Utc>,
    pub(crate) order_ref: Option<String>,
    pub(crate) brand: Option<String>,
    pub(crate) amount: Amount,
    pub(crate) note: String,
}

impl Columns {
    pub(crate) fn find(header: &csv::StringRecord) -> Result<Columns, MissingColumn> {
        let refund_ref = columns::required(header, &["refund_ref", "refund_id"])?;
        let occurred_at = columns::required(header, &["occurred_at", "ts_utc", "created_at"])?;
        let order_ref = columns::optional(header, &["order_ref", "brand_order_ref", "order_id"]);
        let brand = columns::optional(header, &["brand"]);
        let amount = AmountColumn::find(header)?;
        let taken = [Some(refund_ref), Some(occurred_at), order_ref, brand];
        let notes = header
            .iter()
            .enumerate()
            .filter(|(at, heading)| {
                !taken.contains(&Some(*at))
                    && !heading.starts_with("amount")
                    && !heading.ends_with("currency")
            })
            .map(|(at, heading)| (at, heading.to_owned()))
            .collect();
        let width = header.len();
        Ok(Columns {
            width,
            refund_ref,
            occurred_at,
            order_ref,
            brand,
            amount,
            notes,
        })
    }

    /// The rows of a batch that can be read; the others are refused in the report.
    pub(crate) fn rows(
        &self,
        batch: &[(u64, csv::StringRecord)],
        currency: Option<Currency>,
        report: &mut Report,
    ) -> Vec<Row> {
        columns::rows(batch, self.refund_ref, report, |line, record| {
            self.row(line, record, currency)
        })
    }

    fn row(
        &self,
        line: u64,
        record: &csv::StringRecord,
        currency: Option<Currency>,
    ) -> Result<Row, String> {
        columns::width(record, self.width)?;
        let notes: Vec<String> = self
            .notes
            .iter()
            .filter_map(|(at, heading)| Some(format!("{heading} {}", record.get(*at)?)))
            .collect();
        let refund_ref = columns::text(record, self.refund_ref, "refund_ref")?;
        if refund_ref.chars().count() > 200 || refund_ref.contains(char::is_control) {
            return Err(
                "refund_ref is longer than 200 characters or has control characters".into(),
            );
        }
        Ok(Row {
            line,
            refund_ref: refund_ref.to_owned(),
            occurred_at: columns::moment(columns::text(record, self.occurred_at, "the time")?)?,
            order_ref: columns::maybe(record, self.order_ref),
            brand: columns::maybe(record, self.brand),
            amount: self.amount.read(record, currency)?,
            note: notes.join(", ").replace(char::is_control, " "),
        })
    }
}

/// Records a batch of rows and answers each.
pub(crate) async fn record(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    rows: &[Row],
) -> anyhow::Result<Vec<(u64, String, Outcome)>> {
    let brands = party::brands_by_name(conn).await?;
    let books: HashMap<&str, BookId> = brands
        .iter()
        .map(|(name, (_, book))| (name.as_str(), *book))
        .collect();
    let mut answers = Vec::with_capacity(rows.len());
    let mut refunds = Vec::with_capacity(rows.len());
    let mut recorded = Vec::with_capacity(rows.len());
    for row in rows {
        let book = row
            .brand
            .as_deref()
            .map(|brand| books.get(brand).copied().ok_or(brand));
        let book = match book.transpose() {
            Ok(book) => book,
            Err(brand) => {
                let reason = format!("brand '{brand}' is unknown");
                answers.push((row.line, row.refund_ref.clone(), Outcome::Refused(reason)));
                continue;
            }
        };
        recorded.push(row);
        refunds.push(Refund {
            refund_ref: row.refund_ref.clone(),
            order_ref: row.order_ref.clone(),
            book,
            occurred_at: row.occurred_at,
            amount: row.amount,
            reason: None,
            note: row.note.clone(),
        });
    }
    let outcomes = effects::refund(conn, now, by, &refunds).await?;
    for (row, outcome) in recorded.into_iter().zip(outcomes) {
        let outcome = match outcome {
            Refunded::Applied(..) => Outcome::Accepted,
            Refunded::Duplicate(_) => Outcome::Duplicate,
            Refunded::Conflict(_, stands) => {
                Outcome::Conflict(format!("{stands} was recorded before and stands"))
            }
            Refunded::Refused(refusal) => Outcome::Refused(refusal.to_string()),
            Refunded::Parked(reason) => Outcome::Unmatched(reason.as_str().replace('_', " ")),
        };
        answers.push((row.line, row.refund_ref.clone(), outcome));
    }
    Ok(answers)
}
