//! Pure: journal entries. An unbalanced entry is a value one cannot hold.
//!
//! A [`Draft`] is being written and cannot be posted; [`Draft::balance`] is the only way on, and
//! there is no plug line. A [`JournalEntry`] has no other constructor, is not `Deserialize`, and
//! lies in one book and one currency. What spans books or currencies is several entries with one
//! voucher.

mod draft;

use std::fmt;

use chrono::NaiveDate;
use uuid::Uuid;

pub use self::draft::Draft;
use self::draft::prove_balance;
use crate::account::{Account, AccountId};
use crate::book::BookId;
use crate::cause::Cause;
use crate::idempotency::IdempotencyKey;
use crate::money::{Amount, Currency, Money, MoneyError};

/// The identity of an entry: a function of its book and its idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct EntryId(Uuid);

impl EntryId {
    /// As stored in Postgres.
    #[must_use]
    pub fn value(self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for EntryId {
    fn from(id: Uuid) -> EntryId {
        EntryId(id)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The side of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Left: more of an asset or an expense.
    Debit,
    /// Right: more of a liability, equity or revenue.
    Credit,
}

impl Direction {
    /// The other side.
    #[must_use]
    pub fn opposite(self) -> Direction {
        match self {
            Direction::Debit => Direction::Credit,
            Direction::Credit => Direction::Debit,
        }
    }
}

/// One leg of an entry: an account, a side, a positive amount. Only an account makes lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    book: BookId,
    account: AccountId,
    memo: bool,
    direction: Direction,
    amount: Amount,
}

impl Line {
    pub(crate) fn new(account: &Account, direction: Direction, amount: Amount) -> Line {
        Line {
            book: account.book(),
            account: account.id(),
            memo: account.is_memo(),
            direction,
            amount,
        }
    }

    /// The account it moves.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The side.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// How much; always positive.
    #[must_use]
    pub fn amount(&self) -> Amount {
        self.amount
    }

    /// The same amount on the other side of the same account.
    #[must_use]
    pub fn opposite(self) -> Line {
        Line {
            direction: self.direction.opposite(),
            ..self
        }
    }

    /// Debit positive, credit negative.
    fn signed(&self) -> i64 {
        let minor = self.amount.money().minor();
        match self.direction {
            Direction::Debit => minor,
            Direction::Credit => -minor,
        }
    }
}

/// Why a draft is not an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Debits and credits differ.
    #[error("entry does not balance: {} by {by}", exceed(*.heavier))]
    Unbalanced {
        /// The side that is too heavy.
        heavier: Direction,
        /// By how much.
        by: Money,
    },
    /// Fewer than two lines.
    #[error("entry has {}; it needs at least two", lines(*.0))]
    TooFewLines(usize),
    /// An account is debited and credited in the same entry.
    #[error("account {0} is both debited and credited; post the difference")]
    BothSides(AccountId),
    /// Lines in more than one book.
    #[error("entry has lines in books {0} and {1}; post one entry per book with one voucher")]
    TwoBooks(BookId, BookId),
    /// Lines in more than one currency.
    #[error("entry has lines in {0} and {1}; post one entry per currency with one voucher")]
    TwoCurrencies(Currency, Currency),
    /// Memorandum and real accounts together.
    #[error("entry mixes memorandum and real accounts; post two entries")]
    MixedMemo,
    /// A sum leaves the range of the ledger.
    #[error("entry is too large to sum")]
    TooLarge(#[from] MoneyError),
}

fn lines(count: usize) -> String {
    if count == 1 {
        "1 line".to_owned()
    } else {
        format!("{count} lines")
    }
}

fn exceed(heavier: Direction) -> &'static str {
    match heavier {
        Direction::Debit => "debits exceed credits",
        Direction::Credit => "credits exceed debits",
    }
}

/// A leg as stored: minor units, debit positive, credit negative, never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leg {
    /// The account it moves.
    pub account: AccountId,
    /// Minor units; debit positive, credit negative.
    pub minor: i64,
}

impl Leg {
    /// The side it stands on.
    #[must_use]
    pub fn direction(&self) -> Direction {
        if self.minor > 0 {
            Direction::Debit
        } else {
            Direction::Credit
        }
    }
}

/// A journal entry: balanced by existence.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "an entry counts once it is posted"]
pub struct JournalEntry {
    book: BookId,
    id: EntryId,
    kind: String,
    memo: bool,
    currency: Currency,
    effective: NaiveDate,
    description: String,
    legs: Vec<Leg>,
    causes: Vec<Cause>,
    reverses: Option<EntryId>,
    voucher: Option<Uuid>,
}

/// An entry's columns as stored, to be proved again on reading.
pub(crate) struct Stored {
    pub book: BookId,
    pub id: EntryId,
    pub kind: String,
    pub memo: bool,
    pub currency: Currency,
    pub effective: NaiveDate,
    pub description: String,
    pub legs: Vec<Leg>,
    pub causes: Vec<Cause>,
    pub reverses: Option<EntryId>,
    pub voucher: Option<Uuid>,
}

impl JournalEntry {
    /// Starts an entry in a book. The key's fact becomes its kind; `effective` is the day on which
    /// it counts, in the network's accounting zone.
    pub fn draft(
        book: BookId,
        key: &IdempotencyKey,
        effective: NaiveDate,
        description: impl Into<String>,
    ) -> Draft {
        let description: String = description.into();
        Draft {
            book,
            id: key.entry_id(book),
            kind: key.fact(),
            effective,
            description: description.replace(char::is_control, " "),
            lines: Vec::new(),
            causes: Vec::new(),
            voucher: None,
        }
    }

    /// The exact mirror of this entry, linked to it. It cannot fail: what balances, balances
    /// mirrored.
    pub fn reversal(
        &self,
        key: &IdempotencyKey,
        effective: NaiveDate,
        reason: impl Into<String>,
    ) -> JournalEntry {
        let reason: String = reason.into();
        JournalEntry {
            id: key.entry_id(self.book),
            kind: key.fact().to_owned(),
            effective,
            description: reason.replace(char::is_control, " "),
            legs: self
                .legs
                .iter()
                .map(|leg| Leg {
                    minor: -leg.minor,
                    ..*leg
                })
                .collect(),
            reverses: Some(self.id),
            ..self.clone()
        }
    }

    /// An entry read back, its balance proved again.
    pub(crate) fn read(stored: Stored) -> Result<JournalEntry, EntryError> {
        if stored.legs.len() < 2 {
            return Err(EntryError::TooFewLines(stored.legs.len()));
        }
        prove_balance(&stored.legs, stored.currency)?;
        let Stored {
            book,
            id,
            kind,
            memo,
            currency,
            effective,
            description,
            legs,
            ..
        } = stored;
        let Stored {
            causes,
            reverses,
            voucher,
            ..
        } = stored;
        Ok(JournalEntry {
            book,
            id,
            kind,
            memo,
            currency,
            effective,
            description,
            legs,
            causes,
            reverses,
            voucher,
        })
    }

    /// The book it lies in.
    #[must_use]
    pub fn book(&self) -> BookId {
        self.book
    }

    /// Its identity.
    #[must_use]
    pub fn id(&self) -> EntryId {
        self.id
    }

    /// The fact it states, such as `conversion.approved`.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Whether it lies outside the trial balance.
    #[must_use]
    pub fn is_memo(&self) -> bool {
        self.memo
    }

    /// Its one currency.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// The day on which it counts, in the accounting zone.
    #[must_use]
    pub fn effective(&self) -> NaiveDate {
        self.effective
    }

    /// For people.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Its legs by ascending account, each account once.
    #[must_use]
    pub fn legs(&self) -> &[Leg] {
        &self.legs
    }

    /// What it is because of.
    #[must_use]
    pub fn causes(&self) -> &[Cause] {
        &self.causes
    }

    /// The entry that it takes back.
    #[must_use]
    pub fn reverses(&self) -> Option<EntryId> {
        self.reverses
    }

    /// What it shares with entries of other books or currencies.
    #[must_use]
    pub fn voucher(&self) -> Option<Uuid> {
        self.voucher
    }
}
