//! Pure: what does not hold, collected, bounded and put in order.

use std::collections::BTreeMap;
use std::fmt;

use uuid::Uuid;

/// How many findings are listed per table and book; a rewritten table would fill the memory.
const LISTED: u64 = 20;

/// One thing that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Finding {
    /// The name of the book; `None` for what belongs to no book.
    pub book: Option<String>,
    /// The number of the entry.
    pub number: Option<i64>,
    /// The id of the entry, where it can be read.
    pub entry: Option<Uuid>,
    /// The table whose content does not hold.
    pub table: &'static str,
    /// What is wrong, as a sentence without its full stop.
    pub problem: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.table)?;
        if let Some(book) = &self.book {
            write!(f, ", book {book}")?;
        }
        if let Some(number) = self.number {
            write!(f, ", entry {number}")?;
        }
        if let Some(entry) = self.entry {
            write!(f, " ({entry})")?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// Findings as they come up.
#[derive(Debug, Default)]
pub(super) struct Findings {
    list: Vec<Finding>,
    counted: BTreeMap<(&'static str, Option<String>), u64>,
    left_out: u64,
}

impl Findings {
    pub(super) fn push(&mut self, finding: Finding) {
        let key = (finding.table, finding.book.clone());
        let counted = self.counted.entry(key).or_default();
        *counted += 1;
        if *counted <= LISTED {
            self.list.push(finding);
        } else {
            self.left_out += 1;
        }
    }

    /// Something about a book or, without one, about a whole table.
    pub(super) fn about(
        &mut self,
        table: &'static str,
        book: Option<&str>,
        problem: impl Into<String>,
    ) {
        let (book, problem) = (book.map(str::to_owned), problem.into());
        self.push(Finding {
            book,
            number: None,
            entry: None,
            table,
            problem,
        });
    }

    /// Something about one entry.
    pub(super) fn entry(
        &mut self,
        table: &'static str,
        book: &str,
        (number, entry): (i64, Option<Uuid>),
        problem: impl Into<String>,
    ) {
        let (book, problem) = (Some(book.to_owned()), problem.into());
        self.push(Finding {
            book,
            number: Some(number),
            entry,
            table,
            problem,
        });
    }

    /// By book and number, what has none after the rest; and how many were left out.
    pub(super) fn sorted(mut self) -> (Vec<Finding>, u64) {
        self.list.sort_by(|a, b| {
            let place = |finding: &Finding| {
                (
                    finding.book.clone(),
                    finding.number.is_none(),
                    finding.number,
                    finding.table,
                )
            };
            place(a).cmp(&place(b))
        });
        (self.list, self.left_out)
    }
}
