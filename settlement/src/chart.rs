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

use std::collections::BTreeMap;

use ledger::account::WrongCurrency;
use ledger::{Account, AccountKind, Amount, BookId, Currency, Line, Money};
use uuid::Uuid;

/// An account of the chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// 1110: earned but not yet invoiced to the brand.
    UnbilledReceivable,
    /// 2000: owed to a publisher, the brand has not paid yet.
    UnfundedPayable,
    /// 2005: owed to a publisher once approved, when commissions are recognised at conversion.
    PendingPayable,
    /// 2010: owed to a publisher and funded by the brand; the only account payouts draw on.
    AvailablePayable,
    /// 2030: owed to a publisher, on hold.
    HeldPayable,
    /// 2300: fee not yet earned, when commissions are recognised at conversion.
    ConstrainedFee,
    /// 4000: network fee deducted from the publisher.
    PublisherFee,
    /// 4010: network fee added to the brand's invoice.
    BrandFee,
    /// 4020: commission of conversions that no publisher earned.
    HouseIncome,
    /// 4100: gross commission, when the network presents as principal.
    GrossCommission,
    /// 5000: publishers' share, when the network presents as principal.
    PublisherCost,
    /// 9100: what the brand would owe if the conversion were approved.
    ExpectedBrandDue,
    /// 9200: what the publisher would earn.
    ExpectedPublisherDue,
    /// 9210: what the publisher would earn, on hold.
    ExpectedHeld,
    /// 9300: what the network would earn.
    ExpectedFee,
}

impl Code {
    /// Every account, in order of its number.
    pub const ALL: [Code; 15] = [
        Code::UnbilledReceivable,
        Code::UnfundedPayable,
        Code::PendingPayable,
        Code::AvailablePayable,
        Code::HeldPayable,
        Code::ConstrainedFee,
        Code::PublisherFee,
        Code::BrandFee,
        Code::HouseIncome,
        Code::GrossCommission,
        Code::PublisherCost,
        Code::ExpectedBrandDue,
        Code::ExpectedPublisherDue,
        Code::ExpectedHeld,
        Code::ExpectedFee,
    ];

    /// The number, as stored.
    #[must_use]
    pub const fn number(self) -> &'static str {
        self.row().0
    }

    /// The name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().1
    }

    /// The kind of account.
    #[must_use]
    pub const fn kind(self) -> AccountKind {
        self.row().2
    }

    /// Whether each publisher has one of its own.
    #[must_use]
    pub const fn is_per_publisher(self) -> bool {
        matches!(
            self,
            Code::UnfundedPayable
                | Code::PendingPayable
                | Code::AvailablePayable
                | Code::HeldPayable
                | Code::ExpectedPublisherDue
                | Code::ExpectedHeld
        )
    }

    /// Whether it stands outside the trial balance.
    #[must_use]
    pub const fn is_memo(self) -> bool {
        matches!(
            self,
            Code::ExpectedBrandDue
                | Code::ExpectedPublisherDue
                | Code::ExpectedHeld
                | Code::ExpectedFee
        )
    }

    /// Whether its balance may not fall below zero.
    #[must_use]
    pub const fn has_floor(self) -> bool {
        matches!(self, Code::AvailablePayable)
    }

    /// The account of that number.
    #[must_use]
    pub fn numbered(number: &str) -> Option<Code> {
        Code::ALL.into_iter().find(|code| code.number() == number)
    }

    const fn row(self) -> (&'static str, &'static str, AccountKind) {
        use AccountKind::{Asset, Expense, Liability, Revenue};
        match self {
            Code::UnbilledReceivable => ("1110", "Receivable, unbilled", Asset),
            Code::UnfundedPayable => ("2000", "Publisher payable, unfunded", Liability),
            Code::PendingPayable => ("2005", "Publisher payable, pending", Liability),
            Code::AvailablePayable => ("2010", "Publisher payable, available", Liability),
            Code::HeldPayable => ("2030", "Publisher payable, on hold", Liability),
            Code::ConstrainedFee => ("2300", "Fee, not yet earned", Liability),
            Code::PublisherFee => ("4000", "Network fee, publisher side", Revenue),
            Code::BrandFee => ("4010", "Network fee, brand side", Revenue),
            Code::HouseIncome => ("4020", "House income", Revenue),
            Code::GrossCommission => ("4100", "Gross commission", Revenue),
            Code::PublisherCost => ("5000", "Publisher cost", Expense),
            Code::ExpectedBrandDue => ("9100", "Expected from brand", Asset),
            Code::ExpectedPublisherDue => ("9200", "Expected to publisher", Liability),
            Code::ExpectedHeld => ("9210", "Expected to publisher, on hold", Liability),
            Code::ExpectedFee => ("9300", "Expected fee", Liability),
        }
    }
}

/// The accounts of one conversion: its book, its currency, its publisher if it has one, and how
/// several share it.
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

    fn debit_of(
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
