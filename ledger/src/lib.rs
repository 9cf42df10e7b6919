//! The ledger: books, accounts, journal entries, periods, balances and proofs.
//!
//! A **book** is one brand's set of accounts. An **entry** lies in one book, balances by
//! construction, and is appended through one door, [`journal::post`]; there is no update and no
//! delete. Whatever a figure claims can be proved again from the entries alone ([`verify`]).
//!
//! What it never does: it does not know a brand, a click or a rate; it never reads the clock, never
//! begins or commits, and never talks to a network other than the connection it is handed.
//!
//! In the order in which a posting passes them:
//!
//! | module | answers |
//! |---|---|
//! | [`money`] | how much, in which currency, to which decimal |
//! | [`account`], [`book`] | where it can lie |
//! | [`entry`], [`idempotency`], [`cause`] | what moved, why, and that it is said once |
//! | [`journal`] | posting and reading |
//! | [`period`], [`balance`] | which months are closed; what stood where, when |
//! | [`checkpoint`], [`verify`] | proof |
//! | [`export`] | the same journal for hledger, ledger-cli, beancount, CSV, JSONL |

pub mod account;
pub mod actor;
pub mod balance;
pub mod book;
pub(crate) mod canonical;
pub mod cause;
pub mod checkpoint;
pub mod entry;
pub mod export;
pub mod idempotency;
pub mod journal;
pub mod money;
pub mod period;
#[cfg(feature = "testing")]
pub mod testing;
pub mod verify;

pub use account::{Account, AccountId, AccountKind};
pub use actor::Actor;
pub use book::{Book, BookId};
pub use cause::Cause;
pub use entry::{Direction, Draft, EntryError, EntryId, JournalEntry, Line};
pub use idempotency::IdempotencyKey;
pub use journal::{Posted, Receipt, Refusal};
pub use money::{Amount, Currency, Money, MoneyError, Rate, Rounding};
pub use period::Period;
