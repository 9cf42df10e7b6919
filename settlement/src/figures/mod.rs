//! Figures: what publishers, brands and the network read of clicks, orders and earnings.
//!
//! Money is summed from the journal's lines, never from counters: what a publisher earned is what
//! stands on its accounts for the conversions of a period. Clicks are counted from the raw clicks,
//! and one that was disqualified or repeats another is kept there and not counted here.
//!
//! | module | answers |
//! |---|---|
//! | [`period`] | which days count |
//! | [`publisher`] | clicks, conversions and earnings of one publisher, whole or by its marks |
//! | [`recent`] | its conversions one by one, without anything that names an order |
//! | [`owed`] | what brands owe, large commissions, and where each came from |
//! | [`click`] | what one click led to |
//!
//! What it never does: change anything, or show a publisher whose order it was.
//!
//! # Adding a figure
//!
//! A function in the module of whom it is about, in a fixed number of statements; then a row in
//! `api/src/http/figures/` and in `api/src/cli/figures.rs`.

pub mod click;
pub mod owed;
pub mod period;
pub mod publisher;
pub mod recent;

use ledger::{BookId, Currency, Money};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::network::NetworkError;

/// Figures could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FiguresError {
    /// There is no network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A stored value is not money.
    #[error("inconsistency in the figures of {whose}: {problem}; run `counterfoil verify`")]
    Inconsistent {
        /// Whose.
        whose: String,
        /// What cannot be read.
        problem: String,
    },
    /// Postgres failed.
    #[error("figures could not be read")]
    Database(#[from] sqlx::Error),
}

/// Whose figures, and how much of them the reader may see.
#[derive(Debug, Clone, Copy)]
pub struct Whose {
    /// The publisher.
    pub publisher: Uuid,
    /// Only what it earned with this brand; `None`: with all.
    pub book: Option<BookId>,
}

/// Money out of minor units as they are stored.
fn money(whose: &impl ToString, minor: i64, currency: &str) -> Result<Money, FiguresError> {
    let wrong = |problem: ledger::MoneyError| FiguresError::Inconsistent {
        whose: whose.to_string(),
        problem: problem.to_string(),
    };
    let currency: Currency = currency.parse().map_err(wrong)?;
    Money::try_from_minor(minor, currency).map_err(wrong)
}

/// The books that a publisher can have accounts in, each with the currencies of its programs.
async fn books(
    conn: &mut PgConnection,
    whose: Whose,
) -> Result<Vec<(BookId, Currency)>, FiguresError> {
    let rows = sqlx::query!(
        r#"
        select distinct e.book_id, t.currency
        from settlement.enrolment e
        join settlement.program_terms t on t.book_id = e.book_id and t.program_id = e.program_id
        where e.publisher_id = $1 and ($2::bigint is null or e.book_id = $2)
        "#,
        whose.publisher,
        whose.book.map(BookId::value),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let currency = money(&whose.publisher, 0, &row.currency)?.currency();
            Ok((BookId::from_value(row.book_id), currency))
        })
        .collect()
}
