//! What commands print: tables for people, JSON for programs.
//!
//! Tables go to standard output; progress and notices go to standard error, so that output can be
//! piped. An error is one sentence naming the thing and the way out, with its causes.

use std::process::ExitCode;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

/// What was asked for makes no sense or is not there: a sentence, and exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadArgument(pub(crate) String);

/// Prints a value as JSON.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// A table with headings; columns named in `right` are aligned to the right, as figures are.
pub(crate) struct Columns {
    table: Table,
    right: Vec<bool>,
    rules: Vec<usize>,
}

impl Columns {
    /// A table with these headings; a heading that starts with `>` is a column of figures.
    pub(crate) fn new(headings: &[&str]) -> Columns {
        let right: Vec<bool> = headings
            .iter()
            .map(|heading| heading.starts_with('>'))
            .collect();
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(headings.iter().zip(&right).map(|(heading, right)| {
            let cell = Cell::new(heading.trim_start_matches('>'));
            if *right {
                cell.set_alignment(CellAlignment::Right)
            } else {
                cell
            }
        }));
        Columns {
            table,
            right,
            rules: Vec::new(),
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter().zip(&self.right).map(|(text, right)| {
            // One row is one line, whatever a description holds.
            let cell = Cell::new(text.replace(char::is_control, " "));
            if *right {
                cell.set_alignment(CellAlignment::Right)
            } else {
                cell
            }
        });
        self.table.add_row(cells);
    }

    /// Draws a rule above the next row, as above a total.
    pub(crate) fn rule(&mut self) {
        self.rules.push(self.table.row_count());
    }

    /// Prints the table: headings, a rule, and one line for each row.
    pub(crate) fn print(&self) {
        for line in self.lines() {
            println!("{line}");
        }
    }

    fn lines(&self) -> Vec<String> {
        let text = self.table.to_string();
        let width = text
            .lines()
            .map(|line| line.trim_end().chars().count())
            .max();
        let rule = "─".repeat(width.unwrap_or(0));
        let mut lines = Vec::new();
        for (at, line) in text.lines().enumerate() {
            // The first line holds the headings, the second is row 0.
            if at == 1 || at > 1 && self.rules.contains(&(at - 1)) {
                lines.push(rule.clone());
            }
            lines.push(line.trim_end().to_owned());
        }
        lines
    }
}

/// An amount for people: thousands grouped, decimals as the currency has them.
pub(crate) fn grouped(money: ledger::Money) -> String {
    let text = money.amount().to_string();
    let (sign, digits) = text
        .strip_prefix('-')
        .map_or(("", text.as_str()), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once('.').map_or((digits, ""), |(w, f)| (w, f));
    let mut out = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if fraction.is_empty() {
        format!("{sign}{out}")
    } else {
        format!("{sign}{out}.{fraction}")
    }
}

/// Prints an error with its causes; gives exit code 2 for a [`BadArgument`], else 1.
pub(crate) fn fail(error: &anyhow::Error, as_json: bool) -> ExitCode {
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    if as_json {
        eprintln!(
            "{}",
            serde_json::json!({ "error": causes[0], "causes": causes[1..] })
        );
    } else {
        eprintln!("error: {}", causes[0]);
        for cause in &causes[1..] {
            eprintln!("  because: {cause}");
        }
    }
    if error.is::<BadArgument>() {
        ExitCode::from(2)
    } else {
        ExitCode::FAILURE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_line_for_each_row_and_a_rule_above_its_total() {
        let mut table = Columns::new(&["name", ">amount"]);
        table.row(["a\nb".to_owned(), "1.00".to_owned()]);
        table.row(["c".to_owned(), "100.00".to_owned()]);
        table.rule();
        table.row(["total".to_owned(), "101.00".to_owned()]);
        let rule = "─".repeat(14);
        let expected = [
            " name   amount",
            &rule,
            " a b      1.00",
            " c      100.00",
            &rule,
            " total  101.00",
        ];
        assert_eq!(table.lines(), expected);
    }

    #[test]
    fn amounts_are_grouped_by_thousands_and_keep_their_decimals() {
        for (written, shown) in [
            ("0.00 GBP", "0.00"),
            ("999.99 GBP", "999.99"),
            ("-1234567.80 GBP", "-1,234,567.80"),
            ("1000 JPY", "1,000"),
            ("123456 JPY", "123,456"),
        ] {
            assert_eq!(grouped(written.parse().unwrap()), shown);
        }
    }
}
