//! Accounts: where money lies. One account holds one currency of one book.
//!
//! An account *is* what its id says: the id is a hash of book, code, kind, currency, floor and
//! dimensions, so an account can be named without asking the database, is the same on every
//! machine, and cannot be turned into another one afterwards ([`crate::verify`] recomputes it).
//!
//! Dimensions say whose it is (`publisher=…`); the ledger attaches no meaning to them.

mod describe;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

pub use self::describe::{Description, describe};
use crate::actor::Actor;
use crate::book::BookId;
use crate::canonical::{self, UNIT};
use crate::entry::{Direction, Line};
use crate::money::{Amount, Currency};

/// The identity of an account within its book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(i64);

impl AccountId {
    /// As stored in Postgres.
    #[must_use]
    pub fn value(self) -> i64 {
        self.0
    }

    /// From a stored value.
    #[must_use]
    pub fn from_value(value: i64) -> AccountId {
        AccountId(value)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The five kinds of account; they decide on which side a balance is normal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountKind {
    /// What we have or are owed; debit-normal.
    Asset,
    /// What we owe; credit-normal.
    Liability,
    /// What is left to the owners; credit-normal.
    Equity,
    /// What we earned; credit-normal.
    Revenue,
    /// What it cost; debit-normal.
    Expense,
}

impl AccountKind {
    /// All five, in the order of a balance sheet.
    pub const ALL: [AccountKind; 5] = [
        AccountKind::Asset,
        AccountKind::Liability,
        AccountKind::Equity,
        AccountKind::Revenue,
        AccountKind::Expense,
    ];

    /// The name in Postgres and in every listing.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            AccountKind::Asset => "asset",
            AccountKind::Liability => "liability",
            AccountKind::Equity => "equity",
            AccountKind::Revenue => "revenue",
            AccountKind::Expense => "expense",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<AccountKind> {
        AccountKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }

    /// The side on which a balance of this kind is positive.
    #[must_use]
    pub fn normal_balance(self) -> Direction {
        match self {
            AccountKind::Asset | AccountKind::Expense => Direction::Debit,
            AccountKind::Liability | AccountKind::Equity | AccountKind::Revenue => {
                Direction::Credit
            }
        }
    }
}

/// One account of one book, in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    book: BookId,
    id: AccountId,
    code: Cow<'static, str>,
    kind: AccountKind,
    memo: bool,
    currency: Currency,
    floored: bool,
    dimensions: BTreeMap<&'static str, String>,
}

/// A line was asked of an account in a currency that it does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "account {code} holds {holds}, not {asked}; post in its currency or open an account in {asked}"
)]
pub struct WrongCurrency {
    /// The account's code.
    pub code: String,
    /// The account's currency.
    pub holds: Currency,
    /// The amount's currency.
    pub asked: Currency,
}

impl Account {
    /// An account of a book. The code is one to 40 letters, digits, `.`, `_`, `-`; others are
    /// refused when the account is opened.
    #[must_use]
    pub fn new(
        book: BookId,
        code: impl Into<Cow<'static, str>>,
        kind: AccountKind,
        currency: Currency,
    ) -> Account {
        Account {
            book,
            id: AccountId(0),
            code: code.into(),
            kind,
            memo: false,
            currency,
            floored: false,
            dimensions: BTreeMap::new(),
        }
        .identified()
    }

    /// The same as a memorandum account: it balances among its own, outside the trial balance.
    #[must_use]
    pub fn memorandum(self) -> Account {
        Account { memo: true, ..self }.identified()
    }

    /// The same with a floor: its balance may not fall below zero on its normal side.
    #[must_use]
    pub fn with_floor(self) -> Account {
        Account {
            floored: true,
            ..self
        }
        .identified()
    }

    /// The same, belonging to somebody: `account.of("publisher", id)`.
    #[must_use]
    pub fn of(mut self, dimension: &'static str, value: impl fmt::Display) -> Account {
        self.dimensions.insert(dimension, value.to_string());
        self.identified()
    }

    /// A debit of this account.
    ///
    /// # Errors
    /// [`WrongCurrency`] when the amount is in another currency.
    pub fn debit(&self, amount: Amount) -> Result<Line, WrongCurrency> {
        self.line(Direction::Debit, amount)
    }

    /// A credit of this account.
    ///
    /// # Errors
    /// [`WrongCurrency`] when the amount is in another currency.
    pub fn credit(&self, amount: Amount) -> Result<Line, WrongCurrency> {
        self.line(Direction::Credit, amount)
    }

    fn line(&self, direction: Direction, amount: Amount) -> Result<Line, WrongCurrency> {
        if amount.currency() == self.currency {
            Ok(Line::new(self, direction, amount))
        } else {
            Err(WrongCurrency {
                code: self.code.to_string(),
                holds: self.currency,
                asked: amount.currency(),
            })
        }
    }

    /// Follows from everything else.
    #[must_use]
    pub fn id(&self) -> AccountId {
        self.id
    }

    /// The book it lies in.
    #[must_use]
    pub fn book(&self) -> BookId {
        self.book
    }

    /// Its number in the chart of accounts.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> AccountKind {
        self.kind
    }

    /// The one currency it holds.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// Whether it is a memorandum account.
    #[must_use]
    pub fn is_memo(&self) -> bool {
        self.memo
    }

    /// Whose it is, as Postgres prints the `jsonb`: shorter names first, then by bytes.
    fn dimensions_text(&self) -> String {
        let mut pairs: Vec<_> = self.dimensions.iter().collect();
        pairs.sort_by_key(|(name, _)| (name.len(), **name));
        let body: Vec<String> = pairs
            .iter()
            .map(|(name, value)| {
                format!("{}: {}", serde_json::json!(name), serde_json::json!(value))
            })
            .collect();
        format!("{{{}}}", body.join(", "))
    }

    fn identified(mut self) -> Account {
        self.id = AccountId(stored_id(&StoredAccount {
            book: self.book.value(),
            code: &self.code,
            kind: self.kind.as_str(),
            memo: self.memo,
            currency: self.currency.code(),
            floored: self.floored,
            dimensions: &self.dimensions_text(),
        }));
        self
    }
}

/// An account's columns as stored, for recomputing its id.
pub(crate) struct StoredAccount<'a> {
    pub book: i64,
    pub code: &'a str,
    pub kind: &'a str,
    pub memo: bool,
    pub currency: &'a str,
    pub floored: bool,
    pub dimensions: &'a str,
}

/// The id that an account with these columns must have (`ledger.account_id`).
pub(crate) fn stored_id(account: &StoredAccount<'_>) -> i64 {
    let StoredAccount {
        book,
        code,
        kind,
        memo,
        currency,
        floored,
        dimensions,
    } = account;
    canonical::short_id(&format!(
        "account{UNIT}{book}{UNIT}{code}{UNIT}{kind}{UNIT}{memo}{UNIT}{currency}{UNIT}{floored}\
         {UNIT}{dimensions}"
    ))
}

/// Opens the accounts that are not open yet; returns how many were new.
///
/// # Errors
/// Postgres refuses a code that is not plain, an unknown book, and a second account with the same
/// code, currency and dimensions but another kind or floor (`account_once`).
pub async fn open(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    accounts: &[Account],
) -> Result<i32, sqlx::Error> {
    let accounts = not_open(conn, accounts).await?;
    if accounts.is_empty() {
        return Ok(0);
    }
    let books: Vec<i64> = accounts.iter().map(|a| a.book.value()).collect();
    let codes: Vec<String> = accounts.iter().map(|a| a.code.to_string()).collect();
    let kinds: Vec<String> = accounts
        .iter()
        .map(|a| a.kind.as_str().to_owned())
        .collect();
    let memos: Vec<bool> = accounts.iter().map(|a| a.memo).collect();
    let currencies: Vec<String> = accounts
        .iter()
        .map(|a| a.currency.code().to_owned())
        .collect();
    let floored: Vec<bool> = accounts.iter().map(|a| a.floored).collect();
    let dimensions: Vec<serde_json::Value> = accounts
        .iter()
        .map(|a| serde_json::json!(a.dimensions))
        .collect();
    sqlx::query_scalar!(
        r#"select ledger.open_accounts($1, $2, $3, $4, $5, $6, $7, $8, $9) as "opened!""#,
        now,
        by.as_str(),
        &books,
        &codes,
        &kinds,
        &memos,
        &currencies,
        &floored,
        &dimensions,
    )
    .fetch_one(conn)
    .await
}

/// Which of these are not open. An id says all that an account is, and Postgres takes much longer
/// to compute it than to find it.
async fn not_open<'a>(
    conn: &mut PgConnection,
    accounts: &'a [Account],
) -> Result<Vec<&'a Account>, sqlx::Error> {
    let books: Vec<i64> = accounts.iter().map(|a| a.book.value()).collect();
    let ids: Vec<i64> = accounts.iter().map(|a| a.id.0).collect();
    let missing = sqlx::query_scalar!(
        r#"
        select u.n as "n!"
        from unnest($1::bigint[], $2::bigint[]) with ordinality as u (book_id, id, n)
        where (select a.id from ledger.account a
               where a.book_id = u.book_id and a.id = u.id) is null
        order by u.n
        "#,
        &books,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    let found = |n: &i64| accounts.get(usize::try_from(n - 1).ok()?);
    Ok(missing.iter().filter_map(found).collect())
}
