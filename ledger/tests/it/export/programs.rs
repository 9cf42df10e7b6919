//! hledger, ledger-cli and beancount as judges, and just enough reading of what they answer.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use ledger::export::Format;
use rust_decimal::Decimal;

/// A program and how it is asked whether a file is right.
pub(super) struct Program {
    pub(super) format: Format,
    command: &'static str,
    check: &'static [&'static str],
}

pub(super) const PROGRAMS: [Program; 3] = [
    Program {
        format: Format::Hledger,
        command: "hledger",
        check: &["check", "--strict", "ordereddates", "payees", "-f"],
    },
    Program {
        format: Format::LedgerCli,
        command: "ledger",
        check: &["--args-only", "--pedantic", "--strict", "bal", "-f"],
    },
    Program {
        format: Format::Beancount,
        command: "bean-check",
        check: &["--no-cache"],
    },
];

/// A file that goes when the test has looked at it.
struct Held(PathBuf);

impl Held {
    fn new(text: &str) -> Held {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("export-{}-{next}.txt", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&path, text).expect("the target folder can be written");
        Held(path)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Program {
    /// `None` when the program is not installed.
    fn run(&self, args: &[&str], text: &str) -> Option<Output> {
        let file = Held::new(text);
        let mut command = Command::new(self.command);
        command.args(args).arg(&file.0).env("LC_ALL", "C.UTF-8");
        match command.output() {
            Ok(output) => Some(output),
            Err(error) => {
                eprintln!(
                    "SKIPPED: {} could not be run ({error}); install it",
                    self.command
                );
                None
            }
        }
    }

    /// Not a word of complaint.
    pub(super) fn accepts(&self, text: &str) {
        let Some(output) = self.run(self.check, text) else {
            return;
        };
        let complaint = String::from_utf8_lossy(&output.stderr);
        let silent =
            complaint.is_empty() && (self.command != "bean-check" || output.stdout.is_empty());
        let accepted = silent && output.status.success();
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(self.format.file_name());
        if !accepted {
            fs::write(&place, text).expect("the target folder can be written");
        }
        assert!(
            accepted,
            "{} refuses {}: {complaint}",
            self.command,
            place.display()
        );
    }

    /// Complains.
    pub(super) fn refuses(&self, text: &str) {
        if let Some(output) = self.run(self.check, text) {
            assert!(
                !output.stderr.is_empty(),
                "{} accepts a wrong balance",
                self.command
            );
        }
    }

    /// Account, currency and balance, each account without those below it.
    pub(super) fn balances(&self, text: &str) -> Option<Vec<(String, String, Decimal)>> {
        let output = match self.format {
            Format::Hledger => {
                let args = [
                    "bal",
                    "--flat",
                    "-N",
                    "-E",
                    "--layout=bare",
                    "-O",
                    "csv",
                    "-f",
                ];
                let table = String::from_utf8(self.run(&args, text)?.stdout).expect("UTF-8");
                csv_rows(&table).into_iter().skip(1).collect()
            }
            Format::LedgerCli => {
                let line = "%(account)|%(commodity(amount))|%(quantity(amount))\n";
                let args = ["--args-only", "reg", "--format", line, "-f"];
                let table = String::from_utf8(self.run(&args, text)?.stdout).expect("UTF-8");
                rows_by_pipe(&table)
            }
            Format::Beancount => rows_by_pipe(&self.realized(text)?),
            Format::Csv | Format::Jsonl => return None,
        };
        let balances = output.into_iter().map(|row: Vec<String>| {
            let net = row[2].parse().expect("a balance is a decimal");
            (row[0].clone(), row[1].clone(), net)
        });
        Some(balances.collect())
    }

    /// beancount's own sums, by its library: its command line has no balance report.
    fn realized(&self, text: &str) -> Option<String> {
        const SUMS: &str = "\
import sys
from beancount import loader
from beancount.core import realization
entries, errors, _ = loader.load_file(sys.argv[1])
assert not errors, errors
for account in realization.iter_children(realization.realize(entries)):
    for position in account.balance:
        print(account.account, position.units.currency, position.units.number, sep='|')
";
        let python = Program {
            format: self.format,
            command: "python3",
            check: &[],
        };
        let output = python.run(&["-c", SUMS], text)?;
        if output.status.success() {
            return Some(String::from_utf8(output.stdout).expect("UTF-8"));
        }
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(complaint.contains("ModuleNotFoundError"), "{complaint}");
        eprintln!("SKIPPED: python3 does not find beancount; install it");
        None
    }
}

fn rows_by_pipe(table: &str) -> Vec<Vec<String>> {
    table
        .lines()
        .map(|line| line.split('|').map(str::to_owned).collect())
        .collect()
}

/// An entry as hledger understood it.
pub(super) struct Understood {
    pub(super) date: String,
    pub(super) code: String,
    pub(super) description: String,
    pub(super) tags: Vec<(String, String)>,
}

/// What hledger reads, without the entries that only assert balances.
pub(super) fn hledger_entries(text: &str) -> Option<Vec<Understood>> {
    let output = PROGRAMS[0].run(&["print", "-O", "json", "-f"], text)?;
    let read: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let entries = read
        .as_array()
        .expect("entries")
        .iter()
        .map(|entry| Understood {
            date: text(&entry["tdate"]),
            code: text(&entry["tcode"]),
            description: text(&entry["tdescription"]),
            tags: entry["ttags"]
                .as_array()
                .expect("tags")
                .iter()
                .map(|tag| (text(&tag[0]), text(&tag[1])))
                .collect(),
        });
    Some(entries.filter(|entry| entry.code != "balances").collect())
}

/// Day and number of each entry by its id, as ledger-cli understood them.
pub(super) fn ledger_cli_entries(text: &str) -> Option<BTreeMap<String, (String, String)>> {
    let line = "%(tag(\"entry\"))|%(format_date(date, \"%Y-%m-%d\"))|%(code)\n";
    let output = PROGRAMS[1].run(&["--args-only", "reg", "--format", line, "-f"], text)?;
    let table = String::from_utf8(output.stdout).expect("UTF-8");
    let entries = rows_by_pipe(&table).into_iter().filter_map(|row| {
        let (_, number) = row[2].split_once('/')?;
        Some((row[0].clone(), (row[1].clone(), number.to_owned())))
    });
    Some(entries.collect())
}

/// Undoes the percent-encoding of tags.
pub(super) fn unescaped(value: &str) -> String {
    let mut text = Vec::new();
    let mut rest = value.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            text.extend(hex::decode(&after[..2]).expect("two hex digits"));
            rest = &after[2..];
        } else {
            text.push(*first);
            rest = after;
        }
    }
    String::from_utf8(text).expect("UTF-8")
}

/// A reader of RFC 4180, written from the other side.
pub(super) fn csv_rows(table: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut chars = table.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            c => cell.push(c),
        }
    }
    assert!(
        !quoted && row.is_empty() && cell.is_empty(),
        "the table ends with its last row"
    );
    rows
}
