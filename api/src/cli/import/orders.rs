//! Orders from a file.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use jobs::effects;
use ledger::{Actor, Amount, Currency};
use settlement::conversion::{Order, Recorded};
use settlement::party::{self, ProgramRef};
use sqlx::PgConnection;
use uuid::Uuid;

use super::columns::{self, AmountColumn, MissingColumn};
use super::{Outcome, Report};

/// Where the columns are.
#[derive(Debug)]
pub(crate) struct Columns {
    width: usize,
    order_ref: usize,
    occurred_at: usize,
    brand: usize,
    program: Option<usize>,
    publisher: Option<usize>,
    customer: Option<usize>,
    click: Option<usize>,
    amount: AmountColumn,
}

/// A row that could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) line: u64,
    pub(crate) order_ref: String,
    pub(crate) occurred_at: DateTime<Utc>,
    pub(crate) brand: String,
    pub(crate) program: Option<String>,
    pub(crate) publisher: Option<String>,
    pub(crate) customer: Option<String>,
    pub(crate) click: Option<Uuid>,
    pub(crate) amount: Amount,
}

impl Columns {
    pub(crate) fn find(header: &csv::StringRecord) -> Result<Columns, MissingColumn> {
        Ok(Columns {
            width: header.len(),
            order_ref: columns::required(header, &["order_ref", "brand_order_ref", "order_id"])?,
            occurred_at: columns::required(header, &["occurred_at", "ts_utc", "created_at"])?,
            brand: columns::required(header, &["brand"])?,
            program: columns::optional(header, &["program"]),
            publisher: columns::optional(header, &["publisher"]),
            customer: columns::optional(header, &["customer", "visitor"]),
            click: columns::optional(header, &["click", "click_id"]),
            amount: AmountColumn::find(header)?,
        })
    }

    /// The rows of a batch that can be read; the others are refused in the report.
    pub(crate) fn rows(
        &self,
        batch: &[(u64, csv::StringRecord)],
        currency: Option<Currency>,
        report: &mut Report,
    ) -> Vec<Row> {
        columns::rows(batch, self.order_ref, report, |line, record| {
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
        let click = columns::maybe(record, self.click);
        let click = click.map(|id| id.parse().map_err(|_| format!("click '{id}' is no UUID")));
        Ok(Row {
            line,
            order_ref: columns::text(record, self.order_ref, "order_ref")?.to_owned(),
            occurred_at: columns::moment(columns::text(record, self.occurred_at, "the time")?)?,
            brand: columns::text(record, self.brand, "brand")?.to_owned(),
            program: columns::maybe(record, self.program),
            publisher: columns::maybe(record, self.publisher),
            customer: columns::maybe(record, self.customer),
            click: click.transpose()?,
            amount: self.amount.read(record, currency)?,
        })
    }
}

/// The row's program: the brand's only one, or the one that the row names.
pub(crate) fn program_of(
    row: &Row,
    programs: &HashMap<String, Vec<(String, ProgramRef, Currency)>>,
) -> Result<ProgramRef, String> {
    let Some(candidates) = programs.get(&row.brand) else {
        return Err(format!(
            "brand '{}' has no program; create one with `counterfoil program add`",
            row.brand
        ));
    };
    match (&row.program, candidates.as_slice()) {
        (None, [(_, program, _)]) => Ok(*program),
        (None, _) => Err(format!(
            "brand '{}' has several programs; add a column program",
            row.brand
        )),
        (Some(name), _) => candidates
            .iter()
            .find(|(candidate, ..)| candidate == name)
            .map(|(_, program, _)| *program)
            .ok_or_else(|| format!("brand '{}' has no program '{name}'", row.brand)),
    }
}

/// Records a batch of rows and answers each.
pub(crate) async fn record(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    rows: &[Row],
) -> anyhow::Result<Vec<(u64, String, Outcome)>> {
    let programs = party::programs_by_brand(conn).await?;
    let publishers = party::publishers_by_name(conn).await?;
    let mut answers = Vec::with_capacity(rows.len());
    let mut orders = Vec::with_capacity(rows.len());
    let mut recorded = Vec::with_capacity(rows.len());
    for row in rows {
        match order_of(row, &programs, &publishers) {
            Ok(order) => {
                recorded.push(row);
                orders.push(order);
            }
            Err(reason) => {
                answers.push((row.line, row.order_ref.clone(), Outcome::Refused(reason)));
            }
        }
    }
    let outcomes = effects::record(conn, now, by, &orders).await?;
    for (row, outcome) in recorded.into_iter().zip(outcomes) {
        let outcome = match outcome {
            Recorded::New(..) => Outcome::Accepted,
            Recorded::Duplicate(_) => Outcome::Duplicate,
            Recorded::Conflict(_, stands) => {
                Outcome::Conflict(format!("{stands} was recorded before and stands"))
            }
            Recorded::Refused(refusal) => Outcome::Refused(refusal.to_string()),
        };
        answers.push((row.line, row.order_ref.clone(), outcome));
    }
    Ok(answers)
}

fn order_of(
    row: &Row,
    programs: &HashMap<String, Vec<(String, ProgramRef, Currency)>>,
    publishers: &HashMap<String, Uuid>,
) -> Result<Order, String> {
    let publisher = match &row.publisher {
        None => None,
        Some(name) => Some(*publishers.get(name).ok_or_else(|| {
            format!("publisher '{name}' is unknown; create it with `counterfoil publisher add`")
        })?),
    };
    let program = program_of(row, programs)?;
    Ok(Order {
        visitor: row.customer.clone(),
        click: row.click,
        publisher,
        ..Order::new(program, &row.order_ref, row.occurred_at, row.amount)
    })
}
