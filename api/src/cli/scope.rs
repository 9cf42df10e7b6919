//! What commands that look at the books have in common: naming days, accounts, books, publishers
//! and checkpoints, and a clear sentence when there is no such thing.

use std::collections::HashMap;

use chrono::NaiveDate;
use ledger::account::AccountKind;
use ledger::balance::AsOf;
use ledger::book::{self, Book};
use ledger::{BookId, Currency, Money};
use serde_json::Value;
use settlement::chart::Code;
use settlement::party;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::output::BadArgument;

/// How many names a sentence lists.
const NAMED: usize = 8;

/// The moment of a balance.
#[derive(Debug, clap::Args)]
pub(crate) struct When {
    /// Only what counts on or before this day, such as 2026-01-31.
    #[arg(long, value_name = "DAY", value_parser = day)]
    as_of: Option<NaiveDate>,
    /// Only what was known at this checkpoint.
    #[arg(long, value_name = "ID")]
    checkpoint: Option<Uuid>,
}

impl When {
    /// The moment, once it is sure that the checkpoint exists.
    pub(crate) async fn as_of(&self, conn: &mut PgConnection) -> anyhow::Result<AsOf> {
        if let Some(id) = self.checkpoint
            && ledger::checkpoint::find(conn, id).await?.is_none()
        {
            let way_out = "`counterfoil checkpoint --show` prints the latest";
            return Err(BadArgument(format!("there is no checkpoint {id}; {way_out}")).into());
        }
        Ok(AsOf {
            effective: self.as_of,
            checkpoint: self.checkpoint,
        })
    }

    /// The moment for people; nothing when it is now.
    pub(crate) fn words(&self) -> Option<String> {
        let day = self.as_of.map(|day| format!("as of {day}"));
        let known = self
            .checkpoint
            .map(|id| format!("as known at checkpoint {id}"));
        let words: Vec<String> = day.into_iter().chain(known).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }

    /// The moment for programs.
    pub(crate) fn json(&self) -> (Option<NaiveDate>, Option<Uuid>) {
        (self.as_of, self.checkpoint)
    }
}

/// Reads a day.
pub(crate) fn day(text: &str) -> Result<NaiveDate, String> {
    let day = (text.len() == 10).then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok());
    day.flatten()
        .ok_or_else(|| format!("'{text}' is not a day; write it as 2026-01-31"))
}

/// Reads an account of the chart by its number.
pub(crate) fn code(text: &str) -> Result<Code, String> {
    Code::numbered(text).ok_or_else(|| {
        let all: Vec<&str> = Code::ALL.into_iter().map(Code::number).collect();
        format!(
            "the chart has no account '{text}'; it has {}",
            all.join(", ")
        )
    })
}

/// Reads a reason, which must say something.
pub(crate) fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        Err("a reason must say something".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

/// The name of an account number, where the chart has it.
pub(crate) fn name_of(code: &str) -> &'static str {
    Code::numbered(code).map_or("", Code::name)
}

/// The book of a name.
pub(crate) async fn book(conn: &mut PgConnection, name: &str) -> anyhow::Result<Book> {
    let mut books = book::all(conn).await?;
    match books.iter().position(|book| book.name == name) {
        Some(at) => Ok(books.swap_remove(at)),
        None => Err(unknown("book", name, books.into_iter().map(|book| book.name)).into()),
    }
}

/// The books of some names; `None`, which means all, when none is named.
pub(crate) async fn books(
    conn: &mut PgConnection,
    names: &[String],
) -> anyhow::Result<Option<Vec<BookId>>> {
    if names.is_empty() {
        return Ok(None);
    }
    let mut ids = Vec::new();
    for name in names {
        ids.push(book(conn, name).await?.id);
    }
    Ok(Some(ids))
}

/// Publishers by name and by id.
pub(crate) struct Publishers {
    ids: HashMap<String, Uuid>,
    names: HashMap<Uuid, String>,
}

impl Publishers {
    pub(crate) async fn read(conn: &mut PgConnection) -> anyhow::Result<Publishers> {
        let ids = party::publishers_by_name(conn).await?;
        let names = ids.iter().map(|(name, id)| (*id, name.clone())).collect();
        Ok(Publishers { ids, names })
    }

    /// The dimensions that accounts of this publisher have.
    pub(crate) fn dimensions(&self, name: &str) -> Result<Value, BadArgument> {
        let id = self.ids.get(name);
        let id = id.ok_or_else(|| unknown("publisher", name, self.ids.keys().cloned()))?;
        Ok(serde_json::json!({ "publisher": id.to_string() }))
    }

    /// The name of the publisher in an account's dimensions; its id when it has no name.
    pub(crate) fn name(&self, dimensions: &Value) -> Option<String> {
        let text = dimensions.get("publisher")?.as_str()?;
        Some(
            text.parse()
                .map_or_else(|_| text.to_owned(), |id| self.name_of(id)),
        )
    }

    /// The name of a publisher; the id when there is none.
    pub(crate) fn name_of(&self, id: Uuid) -> String {
        self.names
            .get(&id)
            .cloned()
            .unwrap_or_else(|| id.to_string())
    }
}

/// There is no such thing; names those that are alike, or some of those that there are.
fn unknown(what: &str, name: &str, there: impl Iterator<Item = String>) -> BadArgument {
    let mut there: Vec<String> = there.collect();
    there.sort_unstable();
    let asked = name.to_lowercase();
    let alike = |other: &&String| {
        let other = other.to_lowercase();
        !asked.is_empty() && (other.contains(&asked) || asked.contains(&other))
    };
    let near: Vec<String> = there.iter().filter(alike).cloned().collect();
    BadArgument(if there.is_empty() {
        format!("there is no {what} {name:?}; there is none at all")
    } else if near.is_empty() {
        format!("there is no {what} {name:?}; there are {}", listed(&there))
    } else {
        format!(
            "there is no {what} {name:?}; did you mean {}?",
            listed(&near)
        )
    })
}

/// Names for a sentence, the first few of them.
pub(crate) fn listed(names: &[String]) -> String {
    let first = names
        .iter()
        .take(NAMED)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// Sums by currency, for the last lines of a table.
#[derive(Default)]
pub(crate) struct Totals(std::collections::BTreeMap<Currency, Money>);

impl Totals {
    pub(crate) fn add(&mut self, money: Money) -> Result<(), ledger::MoneyError> {
        let total = self
            .0
            .entry(money.currency())
            .or_insert(Money::zero(money.currency()));
        *total = total.checked_add(money)?;
        Ok(())
    }

    /// One sum for each currency, by its code.
    pub(crate) fn all(&self) -> impl Iterator<Item = Money> {
        self.0.values().copied()
    }

    /// The sum in one currency.
    pub(crate) fn of(&self, currency: Currency) -> Money {
        self.0
            .get(&currency)
            .copied()
            .unwrap_or(Money::zero(currency))
    }
}

/// Debits less credits as money in the debit column and money in the credit column, one of which
/// is zero.
pub(crate) fn sides(net: Money) -> (Money, Money) {
    let zero = Money::zero(net.currency());
    if net.is_negative() {
        (zero, net.negated())
    } else {
        (net, zero)
    }
}

/// A figure that is debit positive, as positive on the normal side of its kind.
pub(crate) fn normal(kind: AccountKind, net: Money) -> Money {
    match kind.normal_balance() {
        ledger::Direction::Debit => net,
        ledger::Direction::Credit => net.negated(),
    }
}

/// A figure for a column; nothing for zero.
pub(crate) fn figure(money: Money) -> String {
    if money.is_zero() {
        String::new()
    } else {
        crate::output::grouped(money)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_day_is_a_day() {
        assert_eq!(day("2011-01-31").unwrap().to_string(), "2011-01-31");
        for bad in [
            "",
            "2011-01",
            "2011-02-29",
            "2011-1-31",
            "31.01.2011",
            "2011-01-31T00:00",
        ] {
            assert!(
                day(bad).unwrap_err().contains("write it as 2026-01-31"),
                "{bad}"
            );
        }
    }

    #[test]
    fn what_is_not_there_is_answered_with_what_is() {
        let names = || ["Norway", "United Kingdom"].map(str::to_owned).into_iter();
        let said = |name: &str| unknown("book", name, names()).to_string();
        assert!(said("united kingdom").ends_with("did you mean United Kingdom?"));
        assert!(said("Mars").ends_with("there are Norway, United Kingdom"));
        assert!(
            unknown("book", "x", std::iter::empty())
                .to_string()
                .ends_with("none at all")
        );
    }

    #[test]
    fn a_balance_stands_in_one_column() {
        let money = |text: &str| text.parse::<Money>().unwrap();
        assert_eq!(
            sides(money("3.00 GBP")),
            (money("3.00 GBP"), money("0.00 GBP"))
        );
        assert_eq!(
            sides(money("-3.00 GBP")),
            (money("0.00 GBP"), money("3.00 GBP"))
        );
        assert_eq!(
            normal(AccountKind::Liability, money("-3.00 GBP")),
            money("3.00 GBP")
        );
    }
}
