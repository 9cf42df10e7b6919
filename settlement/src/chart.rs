//! Pure: the chart of accounts, and which account each party has in a book.
//!
//! Numbers, names and kinds are those of the accounting specification, section 2. Every account
//! lies in one book (the brand) and one currency; accounts that belong to a publisher carry it as a
//! dimension. [`Code::AvailablePayable`] has a floor of zero: that is the gate, a publisher is paid
//! only from what brands have paid.
//!
//! # Adding an account
//!
//! Add a variant to [`Code`] and the arms the compiler asks for; `docs/POSTING.md` lists it once a
//! posting uses it.

mod code;

use std::collections::BTreeMap;

use ledger::account::WrongCurrency;
use ledger::{Account, Amount, BookId, Currency, Line, Money};
use uuid::Uuid;

pub use code::Code;

/// The accounts of one conversion or occasion: its book, its currency, its publisher if it has one,
/// and how several share it.
///
/// Keeps what it was asked for, so that the caller can open exactly those accounts.
#[derive(Debug)]
pub struct Chart {
    book: BookId,
    currency: Currency,
    publisher: Option<Uuid>,
    split: Vec<(Uuid, Money)>,
    used: BTreeMap<(Code, Option<Uuid>), Account>,
}

impl Chart {
    /// The chart of a book in a currency, as one publisher (or none) sees it.
    #[must_use]
    pub fn new(book: BookId, currency: Currency, publisher: Option<Uuid>) -> Chart {
        Chart {
            book,
            currency,
            publisher,
            split: Vec::new(),
            used: BTreeMap::new(),
        }
    }

    /// The same, where several publishers share what is moved: so much for each.
    #[must_use]
    pub fn shared(self, split: Vec<(Uuid, Money)>) -> Chart {
        Chart { split, ..self }
    }

    /// Whether nobody but the house earns: there is no publisher.
    #[must_use]
    pub fn is_house(&self) -> bool {
        self.publisher.is_none()
    }

    /// An account of this chart.
    pub fn account(&mut self, code: Code) -> &Account {
        self.account_of(code, self.publisher)
    }

    fn account_of(&mut self, code: Code, publisher: Option<Uuid>) -> &Account {
        let (book, currency) = (self.book, self.currency);
        let whose = publisher.filter(|_| code.is_per_publisher());
        self.used
            .entry((code, whose))
            .or_insert_with(|| account(book, code, currency, publisher))
    }

    /// A debit; nothing for an amount of zero, because a fee of nothing is no line. A negative
    /// amount is the credit of its opposite.
    pub fn debit(&mut self, code: Code, money: Money) -> Result<Option<Line>, WrongCurrency> {
        self.debit_of(code, self.publisher, money)
    }

    /// A debit of that publisher's account, where each has one; as [`Chart::debit`].
    pub fn debit_of(
        &mut self,
        code: Code,
        publisher: Option<Uuid>,
        money: Money,
    ) -> Result<Option<Line>, WrongCurrency> {
        if money.is_zero() {
            return Ok(None);
        }
        let account = self.account_of(code, publisher);
        let line = match Amount::new(money) {
            Ok(amount) => account.debit(amount),
            Err(_) => match Amount::new(money.negated()) {
                Ok(amount) => account.credit(amount),
                Err(_) => return Ok(None),
            },
        };
        line.map(Some)
    }

    /// A credit, as [`Chart::debit`].
    pub fn credit(&mut self, code: Code, money: Money) -> Result<Option<Line>, WrongCurrency> {
        self.debit(code, money.negated())
    }

    /// A credit of that publisher's account, where each has one; as [`Chart::debit`].
    pub fn credit_of(
        &mut self,
        code: Code,
        publisher: Option<Uuid>,
        money: Money,
    ) -> Result<Option<Line>, WrongCurrency> {
        self.debit_of(code, publisher, money.negated())
    }

    /// A credit of what publishers earn: to the one, or to each by its part of the split.
    pub fn credit_publishers(
        &mut self,
        code: Code,
        money: Money,
    ) -> Result<Vec<Option<Line>>, WrongCurrency> {
        if self.split.is_empty() {
            return Ok(vec![self.credit(code, money)?]);
        }
        let split = self.split.clone();
        split
            .into_iter()
            .map(|(publisher, part)| self.debit_of(code, Some(publisher), part.negated()))
            .collect()
    }

    /// The accounts asked for so far.
    pub fn used(&self) -> impl Iterator<Item = &Account> {
        self.used.values()
    }
}

/// One account of the chart. A publisher is a dimension of the accounts that belong to one.
#[must_use]
pub fn account(book: BookId, code: Code, currency: Currency, publisher: Option<Uuid>) -> Account {
    let mut account = Account::new(book, code.number(), code.kind(), currency);
    if code.is_memo() {
        account = account.memorandum();
    }
    if code.has_floor() {
        account = account.with_floor();
    }
    match publisher {
        Some(publisher) if code.is_per_publisher() => account.of("publisher", publisher),
        _ => account,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_account_is_found_by_its_number_and_numbers_rise() {
        assert!(Code::ALL.is_sorted_by_key(|code| code.number()));
        for code in Code::ALL {
            assert_eq!(Code::numbered(code.number()), Some(code));
        }
    }

    #[test]
    fn only_the_available_payable_has_a_floor() {
        let floored: Vec<_> = Code::ALL
            .into_iter()
            .filter(|code| code.has_floor())
            .collect();
        assert_eq!(floored, [Code::AvailablePayable]);
    }

    #[test]
    fn two_publishers_have_two_payables_and_one_fee_account() {
        let book = BookId::of_name("acme");
        let of = |code, n| account(book, code, Currency::USD, Some(Uuid::from_u128(n))).id();
        assert_ne!(of(Code::UnfundedPayable, 1), of(Code::UnfundedPayable, 2));
        assert_eq!(of(Code::PublisherFee, 1), of(Code::PublisherFee, 2));
    }
}
