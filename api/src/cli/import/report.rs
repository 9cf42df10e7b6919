//! What became of each row of an import.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

use crate::output;

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Recorded now.
    Accepted,
    /// Recorded before.
    Duplicate,
    /// Recorded before with something else, which stands.
    Conflict(String),
    /// Kept, but it fits nothing yet.
    Unmatched(String),
    /// Not recorded.
    Refused(String),
}

/// How many rows are listed on the screen; all of them are in the report file.
const SHOWN: usize = 20;
/// How many rows a report keeps, so that memory stays flat; beyond it, rows are only counted.
const KEPT: usize = 100_000;

/// Counts of all rows, and those that somebody should look at.
#[derive(Debug)]
pub(crate) struct Report {
    what: &'static str,
    accepted: u64,
    duplicate: u64,
    conflict: u64,
    unmatched: u64,
    refused: u64,
    listed: Vec<(u64, String, &'static str, String)>,
}

impl Report {
    pub(crate) fn new(what: &'static str) -> Report {
        Report {
            what,
            accepted: 0,
            duplicate: 0,
            conflict: 0,
            unmatched: 0,
            refused: 0,
            listed: Vec::new(),
        }
    }

    /// A row that could not be read.
    pub(crate) fn refuse(&mut self, line: u64, reference: &str, reason: &str) {
        self.refused += 1;
        self.list(line, reference, "refused", reason);
    }

    /// The answers to rows, by line and reference.
    pub(crate) fn add(&mut self, answers: &[(u64, String, Outcome)]) {
        for (line, reference, outcome) in answers {
            match outcome {
                Outcome::Accepted => self.accepted += 1,
                Outcome::Duplicate => self.duplicate += 1,
                Outcome::Conflict(reason) => {
                    self.conflict += 1;
                    self.list(*line, reference, "conflict", reason);
                }
                Outcome::Unmatched(reason) => {
                    self.unmatched += 1;
                    self.list(*line, reference, "unmatched", reason);
                }
                Outcome::Refused(reason) => self.refuse(*line, reference, reason),
            }
        }
    }

    fn list(&mut self, line: u64, reference: &str, outcome: &'static str, reason: &str) {
        if self.listed.len() < KEPT {
            self.listed
                .push((line, reference.to_owned(), outcome, reason.to_owned()));
        }
    }

    /// An error naming the first row that could not be read, if there is one.
    pub(crate) fn all_well(&self, name: &str) -> anyhow::Result<()> {
        match self.listed.first() {
            Some((line, _, _, reason)) => anyhow::bail!("{name}, line {line}: {reason}"),
            None => Ok(()),
        }
    }

    /// 0 when every row is recorded or parked, 1 when one was refused or in conflict.
    pub(crate) fn exit_code(&self) -> ExitCode {
        if self.refused + self.conflict == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    /// Writes the listed rows as CSV.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let shown = || format!("the report {} cannot be written", path.display());
        let mut writer = csv::Writer::from_path(path).with_context(shown)?;
        writer.write_record(["line", "reference", "outcome", "reason"])?;
        for (line, reference, outcome, reason) in &self.listed {
            writer.write_record([&line.to_string(), reference, *outcome, reason])?;
        }
        writer.flush().with_context(shown)
    }

    /// Prints the counts and the first of the listed rows.
    pub(crate) fn print(&self, file: &str, rows: u64, dry: bool, json: bool) -> anyhow::Result<()> {
        if json {
            let listed: Vec<_> = self
                .listed
                .iter()
                .map(|(line, reference, outcome, reason)| {
                    serde_json::json!({ "line": line, "reference": reference,
                                        "outcome": outcome, "reason": reason })
                })
                .collect();
            return output::json(&serde_json::json!({
                "file": file, "rows": rows, "dry_run": dry, "accepted": self.accepted,
                "duplicate": self.duplicate, "conflict": self.conflict,
                "unmatched": self.unmatched, "refused": self.refused, "listed": listed,
            }));
        }
        let done = if dry { "would be" } else { "were" };
        println!(
            "{file}: {rows} {}; {} {done} accepted",
            self.what, self.accepted
        );
        for (count, label) in [
            (
                self.duplicate,
                "duplicate: recorded before, nothing changed",
            ),
            (
                self.conflict,
                "in conflict with what was recorded before, which stands",
            ),
            (
                self.unmatched,
                "unmatched: parked, see `counterfoil refunds parked`",
            ),
            (self.refused, "refused: not recorded"),
        ] {
            if count > 0 {
                println!("  {count} {label}");
            }
        }
        for (line, reference, outcome, reason) in self.listed.iter().take(SHOWN) {
            println!("  line {line} {reference}: {outcome}, {reason}");
        }
        if self.listed.len() > SHOWN {
            println!(
                "  … {} more; write them all with --report FILE",
                self.listed.len() - SHOWN
            );
        }
        Ok(())
    }
}
