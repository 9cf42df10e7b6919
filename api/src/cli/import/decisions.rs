//! Decisions about conversions from a file: approve, reject, hold, release, reverse, reinstate.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use jobs::effects;
use ledger::{Actor, BookId};
use settlement::conversion::{Action, Changed, ConversionRef, Decision, reason};
use settlement::party;
use settlement::reported::{self, Named};
use sqlx::PgConnection;

use super::columns::{self, MissingColumn};
use super::{Outcome, Report};

/// Where the columns are.
#[derive(Debug)]
pub(crate) struct Columns {
    width: usize,
    name: usize,
    action: usize,
    reason_code: usize,
    note: Option<usize>,
    brand: Option<usize>,
}

/// A row that could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    line: u64,
    /// The order's reference or the conversion's id.
    name: String,
    brand: Option<String>,
    decision: Decision,
}

impl Columns {
    pub(crate) fn find(header: &csv::StringRecord) -> Result<Columns, MissingColumn> {
        let names = ["order_ref", "conversion_id", "brand_order_ref", "order_id"];
        Ok(Columns {
            width: header.len(),
            name: columns::required(header, &names)?,
            action: columns::required(header, &["action", "decision"])?,
            reason_code: columns::required(header, &["reason_code", "reason"])?,
            note: columns::optional(header, &["note"]),
            brand: columns::optional(header, &["brand"]),
        })
    }

    /// The rows of a batch that can be read; the others are refused in the report.
    pub(crate) fn rows(&self, batch: &[(u64, csv::StringRecord)], report: &mut Report) -> Vec<Row> {
        columns::rows(batch, self.name, report, |line, record| {
            self.row(line, record)
        })
    }

    fn row(&self, line: u64, record: &csv::StringRecord) -> Result<Row, String> {
        columns::width(record, self.width)?;
        let action = columns::text(record, self.action, "action")?;
        let action = Action::named(action).ok_or_else(|| {
            format!(
                "action '{action}' is unknown; say approve, reject, hold, release, reverse or \
                 reinstate"
            )
        })?;
        let code = columns::text(record, self.reason_code, "reason_code")?;
        let note = columns::maybe(record, self.note).unwrap_or_default();
        Ok(Row {
            line,
            name: columns::text(record, self.name, "order_ref")?.to_owned(),
            brand: columns::maybe(record, self.brand),
            decision: Decision {
                action,
                reason: reason(code, &note).map_err(|invalid| invalid.to_string())?,
            },
        })
    }
}

/// Decides by a batch of rows and answers each. What a file says of one conversion several times is
/// done in the order of its rows.
pub(crate) async fn record(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    rows: &[Row],
) -> anyhow::Result<Vec<(u64, String, Outcome)>> {
    let brands = party::brands_by_name(conn).await?;
    let mut names: Vec<String> = rows.iter().map(|row| row.name.clone()).collect();
    names.sort_unstable();
    names.dedup();
    let found = reported::named(conn, None, &names).await?;
    let mut by_name: HashMap<&str, Vec<&Named>> = HashMap::new();
    for named in &found {
        by_name.entry(&named.name).or_default().push(named);
    }
    let mut answers: Vec<Option<Outcome>> = vec![None; rows.len()];
    let mut rounds: Vec<Vec<(usize, ConversionRef)>> = Vec::new();
    let mut seen: HashMap<ConversionRef, usize> = HashMap::new();
    for (at, row) in rows.iter().enumerate() {
        let book = row.brand.as_deref();
        let book = book.map(|brand| brands.get(brand).map(|(_, book)| *book).ok_or(brand));
        let meant = book
            .transpose()
            .map_err(|brand| format!("brand '{brand}' is unknown"))
            .and_then(|book| meant(&row.name, by_name.get(row.name.as_str()), book));
        match meant {
            Ok(conversion) => {
                let round = seen.entry(conversion).or_default();
                if rounds.len() == *round {
                    rounds.push(Vec::new());
                }
                rounds[*round].push((at, conversion));
                *round += 1;
            }
            Err(reason) => answers[at] = Some(Outcome::Refused(reason)),
        }
    }
    for round in rounds {
        let decisions: Vec<_> = round
            .iter()
            .map(|(at, conversion)| (*conversion, rows[*at].decision.clone()))
            .collect();
        let changed = effects::decide_each(conn, now, by, &decisions).await?;
        for ((at, _), changed) in round.into_iter().zip(changed) {
            answers[at] = Some(outcome(rows[at].decision.action, changed));
        }
    }
    let answered = rows.iter().zip(answers);
    Ok(answered
        .filter_map(|(row, outcome)| Some((row.line, row.name.clone(), outcome?)))
        .collect())
}

/// The conversion that a row means.
fn meant(
    name: &str,
    found: Option<&Vec<&Named>>,
    book: Option<BookId>,
) -> Result<ConversionRef, String> {
    let found = found.into_iter().flatten();
    let mut found = found.filter(|named| book.is_none_or(|book| book == named.conversion.book));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one.conversion),
        (None, _) => Err(format!("there is no conversion or order {name}")),
        (Some(_), Some(_)) => Err(format!(
            "several programs have an order {name}; name it by conversion id"
        )),
    }
}

fn outcome(action: Action, changed: Changed) -> Outcome {
    match changed {
        Changed::To(_) => Outcome::Accepted,
        Changed::Already(_) => Outcome::Duplicate,
        Changed::Impossible(state) => {
            let (state, _) = state.stored();
            Outcome::Conflict(format!(
                "it is {state} and cannot {} from there",
                action.as_str()
            ))
        }
        Changed::Unknown => Outcome::Refused("it is gone; try again".to_owned()),
    }
}
