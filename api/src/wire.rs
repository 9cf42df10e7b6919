//! What both surfaces show of parties and figures: the same fields in JSON, CSV and tables.
//!
//! # Adding a list
//!
//! A struct with the fields as they are called outside, `From` what the crates to the left answer,
//! and [`Listed`] with the order of its columns.

mod figures;
mod link;
mod offer;
mod office;
mod party;

use serde::Serialize;
use serde_json::Value;

use crate::output::Columns;
use crate::stdout;

pub(crate) use figures::{FiguresView, RecentView, SubView, SummaryView};
pub(crate) use link::{KindOfLink, LinkView, TokenKeyView, Tracked, TrackingView};
pub(crate) use offer::{Offer, pays};
pub(crate) use office::{ClickView, CommissionView, OwedView, ReversalView};
pub(crate) use party::{
    BrandView, ChangeView, EnrolmentView, ProgramView, PublisherView, TermsView,
};

/// A row of a list.
pub(crate) trait Listed: Serialize {
    /// All fields, in the order of a CSV file's columns.
    const COLUMNS: &'static [&'static str];
    /// The fields that a table for people shows; figures are marked with `>`.
    const SHOWN: &'static [&'static str];
}

/// Rows as a CSV file with a heading.
pub(crate) fn csv<T: Listed>(rows: &[T]) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(T::COLUMNS)?;
    for row in rows {
        let row = serde_json::to_value(row)?;
        writer.write_record(T::COLUMNS.iter().map(|name| harmless(cell(&row[*name]))))?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// Prints rows as a table for people, as CSV or as JSON.
pub(crate) fn print<T: Listed>(rows: &[T], as_csv: bool, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return crate::output::json(&rows);
    }
    if as_csv {
        let text = csv(rows)?;
        stdout::line(format_args!("{}", text.trim_end()));
        return Ok(());
    }
    let headings: Vec<String> = T::SHOWN.iter().map(|name| name.replace('_', " ")).collect();
    let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
    let mut table = Columns::new(&headings);
    for row in rows {
        let row = serde_json::to_value(row)?;
        let cells = T::SHOWN
            .iter()
            .map(|name| cell(&row[name.trim_start_matches('>')]));
        table.row(cells);
    }
    table.print();
    Ok(())
}

/// A field as text: nothing for null, JSON for what has parts.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A text that a spreadsheet would take for a formula is marked as text: names and addresses come
/// from outside.
fn harmless(text: String) -> String {
    let starts_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if starts_formula && text.parse::<rust_decimal::Decimal>().is_err() {
        format!("'{text}")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Row {
        name: &'static str,
        amount: &'static str,
        gone: Option<&'static str>,
    }

    impl Listed for Row {
        const COLUMNS: &'static [&'static str] = &["name", "amount", "gone"];
        const SHOWN: &'static [&'static str] = &["name", ">amount"];
    }

    #[test]
    fn a_name_that_looks_like_a_formula_is_text_and_a_negative_amount_is_an_amount() {
        let rows = [
            Row {
                name: "=HYPERLINK(\"http://x\")",
                amount: "-1.00",
                gone: None,
            },
            Row {
                name: "a, b",
                amount: "2.00",
                gone: Some("-x"),
            },
        ];
        let expected = "name,amount,gone\n\"'=HYPERLINK(\"\"http://x\"\")\",-1.00,\n\
                        \"a, b\",2.00,'-x\n";
        assert_eq!(csv(&rows).unwrap(), expected);
    }
}
