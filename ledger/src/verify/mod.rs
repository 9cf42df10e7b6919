//! Proof: everything that the ledger claims, proved again from `ledger.entry` alone.
//!
//! [`verify`] reads the journal once, in number order, and everything derived from it once, and
//! answers with a [`Report`]: what was proved, and a [`Finding`] for each thing that does not hold,
//! in sentences for an auditor. It never repairs, never writes, never trusts a database function,
//! and is never stopped by what a table holds: whatever makes no sense is a finding.
//!
//! What the database alone cannot show is that it was not rewritten as a whole: for that, hold it
//! against a checkpoint kept elsewhere. Not proved at all, because no hash covers them: who opened
//! books and accounts and when, and who closed and reopened months, when and why.
//!
//! | file | proves |
//! |---|---|
//! | `accounts` | currencies, books and accounts are what their ids say |
//! | `content` | each entry in itself: contents, fingerprint, legs |
//! | `entries` | numbers, hashes, accounts, floors, and the book rows |
//! | `reversals` | one entry per fact; reversals mirror what was in force |
//! | `derived` | `ledger.line` and `ledger.account_day` |
//! | `periods` | closed months and what they stated |
//! | `checkpoints` | stored checkpoints, and the one given |
//!
//! Adding a proof: a file with one async function that takes the connection and `Findings`; call
//! it in [`verify`]; break it in `tests/it/verify.rs`.

mod accounts;
mod checkpoints;
mod content;
mod copy;
mod derived;
mod digest;
mod entries;
mod findings;
mod periods;
mod reversals;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::checkpoint::{Checkpoint, CheckpointError};
pub use findings::Finding;
use findings::Findings;

/// Why a proof could not be made; what it finds is no error but a [`Finding`].
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Entries posted meanwhile would look like faults.
    #[error(
        "the connection has no snapshot; begin with isolation level repeatable read, read only"
    )]
    NoSnapshot,
    /// The checkpoint to hold the ledger against does not hold itself.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Postgres sent something else than was asked for.
    #[error("postgres broke the copy format: {0}")]
    Copy(&'static str),
    /// Postgres failed.
    #[error("the ledger could not be read")]
    Database(#[from] sqlx::Error),
}

/// What was proved, and what does not hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// Books read.
    pub books: u64,
    /// Accounts read.
    pub accounts: u64,
    /// Entries read.
    pub entries: u64,
    /// Legs of those entries.
    pub lines: u64,
    /// Rows of `ledger.account_day` read.
    pub account_days: u64,
    /// Closings of months read, reopened ones included.
    pub closes: u64,
    /// Stored checkpoints read.
    pub checkpoints: u64,
    /// The checkpoint that the ledger was held against.
    pub against: Option<Uuid>,
    /// What does not hold, by book and number.
    pub findings: Vec<Finding>,
    /// How many more findings were left out, where one book or table has very many.
    pub left_out: u64,
}

impl Report {
    /// Whether everything holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.findings.is_empty()
    }

    /// The first failing entry of each book.
    #[must_use]
    pub fn first_failing(&self) -> Vec<&Finding> {
        let mut first: Vec<&Finding> = Vec::new();
        for finding in &self.findings {
            if finding.table == "ledger.entry"
                && finding.number.is_some()
                && first.last().is_none_or(|last| last.book != finding.book)
            {
                first.push(finding);
            }
        }
        first
    }

    /// What was looked at, in sentences; it holds where no finding says otherwise.
    #[must_use]
    pub fn looked_at(&self) -> Vec<String> {
        let Report {
            books,
            accounts,
            entries,
            lines,
            account_days,
            closes,
            checkpoints,
            ..
        } = self;
        let mut said = vec![
            format!(
                "{entries} entries in {books} books: numbers without gaps, contents, hash chains"
            ),
            format!("{lines} legs: balanced per entry, in {accounts} accounts of their currency"),
            "floors kept, one entry per fact, reversals mirror what was in force".to_owned(),
            format!("ledger.line repeats the legs, {account_days} account days are their sums"),
            format!("{closes} closings of months state what the entries give"),
            format!("{checkpoints} stored checkpoints are signed and lie on the chains"),
        ];
        if let Some(id) = self.against {
            said.push(format!("every book continues from checkpoint {id}"));
        }
        said
    }
}

/// Proves the whole ledger, held against a checkpoint from outside when one is given; `progress` is
/// called now and then with the number of entries read so far.
///
/// Begin a database transaction with `isolation level repeatable read, read only` before: entries
/// may be posted meanwhile, and all is read from one snapshot. Reading rights are enough (the
/// auditor's role). Growth: linear in entries; memory holds books, accounts and reversals, never
/// entries.
///
/// # Errors
/// [`VerifyError::Checkpoint`] when the given checkpoint itself was changed.
pub async fn verify(
    conn: &mut PgConnection,
    against: Option<&Checkpoint>,
    mut progress: impl FnMut(u64),
) -> Result<Report, VerifyError> {
    if let Some(checkpoint) = against {
        checkpoint.check(None)?;
    }
    let isolation =
        sqlx::query_scalar!(r#"select current_setting('transaction_isolation') as "is!""#)
            .fetch_one(&mut *conn)
            .await?;
    if isolation != "repeatable read" && isolation != "serializable" {
        return Err(VerifyError::NoSnapshot);
    }
    let mut report = Report {
        against: against.map(|checkpoint| checkpoint.id),
        ..Report::default()
    };
    let mut findings = Findings::default();

    accounts::currencies(conn, &mut findings).await?;
    let books = accounts::books(conn, &mut findings).await?;
    let accounts = accounts::accounts(conn, &books, &mut findings).await?;
    report.books = books.count();
    report.accounts = accounts.count();

    let mut walk = entries::Walk::new(&books, accounts, &mut findings);
    walk.all(conn, &mut progress).await?;
    (report.entries, report.lines) = walk.counted();
    let digests = walk.finish();

    reversals::once(conn, &books, &mut findings).await?;
    reversals::reversals(conn, &books, &mut findings).await?;
    let (days, unsound) = derived::derived(conn, &books, digests, &mut findings).await?;
    report.account_days = days;
    report.closes = periods::closes(conn, report.entries, &mut findings).await?;
    periods::balances(conn, &books, &unsound, &mut findings).await?;
    report.checkpoints = checkpoints::stored(conn, &books, &mut findings).await?;
    if let Some(checkpoint) = against {
        checkpoints::given(conn, checkpoint, &mut findings).await?;
    }
    (report.findings, report.left_out) = findings.sorted();
    Ok(report)
}
