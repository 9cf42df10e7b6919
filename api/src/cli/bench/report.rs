//! The table of a bench: what was measured, beside its reference and its target.

use rust_decimal::Decimal;
use serde::Serialize;

use crate::output::{self, Columns};

/// A measured number in its unit.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Figure {
    number: Decimal,
    unit: &'static str,
}

/// One measured thing.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    measured: String,
    /// None where this system does not tell.
    value: Option<Figure>,
    reference: Option<String>,
    reference_value: Option<Figure>,
    ratio: Option<Decimal>,
    target: Option<String>,
    met: Option<bool>,
}

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    version: &'static str,
    optimised: bool,
    postgres: String,
    processors: usize,
    /// How long the whole bench took.
    pub(super) seconds: u64,
    rows: Vec<Row>,
}

impl Figure {
    /// A whole number of something.
    pub(super) fn of(number: u64, unit: &'static str) -> Figure {
        Figure {
            number: number.into(),
            unit,
        }
    }

    /// A number given in thousandths of its unit.
    pub(super) fn thousandths(number: u64, unit: &'static str) -> Figure {
        Figure {
            number: Decimal::from(number) / Decimal::ONE_THOUSAND,
            unit,
        }
    }

    fn text(&self) -> String {
        let places = u32::from(self.number < Decimal::ONE_HUNDRED);
        let text = self.number.round_dp(places).normalize().to_string();
        let (whole, fraction) = text
            .split_once('.')
            .map_or((text.as_str(), ""), |split| split);
        let mut grouped = String::new();
        for (at, digit) in whole.chars().enumerate() {
            if at > 0 && (whole.len() - at).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{grouped}{point}{fraction} {}", self.unit)
    }
}

impl Row {
    /// A measured thing.
    pub(super) fn new(measured: impl Into<String>, value: Option<Figure>) -> Row {
        Row {
            measured: measured.into(),
            value,
            reference: None,
            reference_value: None,
            ratio: None,
            target: None,
            met: None,
        }
    }

    /// What it is held against.
    pub(super) fn beside(mut self, what: impl Into<String>, value: Option<Figure>) -> Row {
        let numbers = self
            .value
            .zip(value)
            .map(|(own, other)| (own.number, other.number));
        self.ratio = numbers.and_then(|(own, other)| own.checked_div(other));
        self.ratio = self
            .ratio
            .map(|ratio| ratio.round_sf(3).unwrap_or(ratio).normalize());
        self.reference = Some(what.into());
        self.reference_value = value;
        self
    }

    /// Should be at least so much.
    pub(super) fn at_least(self, least: u64) -> Row {
        let met = self.value.map(|value| value.number >= least.into());
        let unit = self.value.map_or("", |value| value.unit);
        self.aim(
            format!("at least {} {unit}", Figure::of(least, "").text().trim()),
            met,
        )
    }

    /// Should be at most so much.
    pub(super) fn at_most(self, most: u64) -> Row {
        let met = self.value.map(|value| value.number <= most.into());
        let unit = self.value.map_or("", |value| value.unit);
        self.aim(
            format!("at most {} {unit}", Figure::of(most, "").text().trim()),
            met,
        )
    }

    /// Should be at least so many times the reference.
    pub(super) fn at_least_times(self, times: u64) -> Row {
        let met = self.ratio.map(|ratio| ratio >= times.into());
        self.aim(format!("at least {times} times the reference"), met)
    }

    /// Should be at most so many percent of the reference.
    pub(super) fn at_most_percent(self, percent: u64) -> Row {
        let met = self
            .ratio
            .map(|ratio| ratio * Decimal::ONE_HUNDRED <= percent.into());
        self.aim(format!("at most {percent} % of the reference"), met)
    }

    /// Should be at least so many percent of the reference.
    pub(super) fn at_least_percent(self, percent: u64) -> Row {
        let met = self
            .ratio
            .map(|ratio| ratio * Decimal::ONE_HUNDRED >= percent.into());
        self.aim(format!("at least {percent} % of the reference"), met)
    }

    fn aim(mut self, target: String, met: Option<bool>) -> Row {
        self.target = Some(target);
        self.met = met;
        self
    }

    fn cells(&self) -> [String; 7] {
        let figure = |figure: Option<Figure>, none: &str| {
            figure.map_or_else(|| none.to_owned(), |figure| figure.text())
        };
        [
            self.measured.clone(),
            figure(self.value, "not known here"),
            self.reference.clone().unwrap_or_default(),
            figure(self.reference_value, ""),
            self.ratio
                .map(|ratio| ratio.to_string())
                .unwrap_or_default(),
            self.target.clone().unwrap_or_default(),
            match (self.met, &self.target) {
                (Some(true), _) => "met".to_owned(),
                (Some(false), _) => "missed".to_owned(),
                (None, Some(_)) => "not known".to_owned(),
                (None, None) => String::new(),
            },
        ]
    }
}

impl Report {
    /// Nothing measured yet.
    pub(super) fn new(postgres: &str) -> Report {
        Report {
            version: env!("CARGO_PKG_VERSION"),
            optimised: !cfg!(debug_assertions),
            postgres: postgres.to_owned(),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            seconds: 0,
            rows: Vec::new(),
        }
    }

    /// Adds rows.
    pub(super) fn add(&mut self, rows: Vec<Row>) {
        self.rows.extend(rows);
    }

    /// Prints it.
    pub(super) fn print(&self, json: bool) -> anyhow::Result<()> {
        if json {
            return output::json(self);
        }
        let headings = [
            "measured",
            ">value",
            "reference, same run",
            ">its value",
            ">ratio",
            "target",
            "",
        ];
        let mut table = Columns::new(&headings);
        for row in &self.rows {
            table.row(row.cells());
        }
        table.print();
        let missed = self
            .rows
            .iter()
            .filter(|row| row.met == Some(false))
            .count();
        let aimed = self.rows.iter().filter(|row| row.met.is_some()).count();
        println!(
            "{} of {aimed} targets met; counterfoil {} ({}), PostgreSQL {}, {} processors, {} s",
            aimed - missed,
            self.version,
            if self.optimised {
                "optimised"
            } else {
                "not optimised: built for development"
            },
            self.postgres,
            self.processors,
            self.seconds,
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_grouped_and_keep_one_decimal_while_small() {
        assert_eq!(
            Figure::of(1_234_567, "entries/s").text(),
            "1,234,567 entries/s"
        );
        assert_eq!(Figure::thousandths(45_678, "µs").text(), "45.7 µs");
        assert_eq!(Figure::thousandths(123_456, "µs").text(), "123 µs");
    }

    #[test]
    fn a_target_is_met_or_missed_or_not_known() {
        let row = |value| Row::new("it", value).beside("that", Some(Figure::of(10, "n/s")));
        let hundred = Some(Figure::of(100, "n/s"));
        assert_eq!(row(hundred).at_least_times(10).met, Some(true));
        assert_eq!(row(hundred).at_least_times(11).met, Some(false));
        assert_eq!(row(hundred).at_most(99).met, Some(false));
        assert_eq!(row(hundred).at_least(100).met, Some(true));
        assert_eq!(row(hundred).at_most_percent(1_000).met, Some(true));
        assert_eq!(row(None).at_most(99).met, None);
    }
}
