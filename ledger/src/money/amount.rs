//! [`Money`] and [`Amount`]: signed, and strictly positive.

use std::cmp::Ordering;
use std::fmt;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

use super::written::{Written, plain_decimal};
use super::{Currency, MoneyError, Rate, Rounding};

/// A signed quantity of one currency, always a whole number of that currency's minor units.
///
/// The range is symmetric (`i64::MIN` is left out), so every money has a negation. In JSON it is
/// `{"amount":"9.90","currency":"USD"}`, the amount a string with all its places: a JSON number
/// would pass through a float on the way.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub struct Money {
    minor: i64,
    currency: Currency,
}

impl Money {
    /// Exactly this amount. Never rounds: refuses what is finer than the currency.
    pub fn new(amount: Decimal, currency: Currency) -> Result<Self, MoneyError> {
        let exact = amount.normalize();
        let Some(missing) = currency.scale().checked_sub(exact.scale()) else {
            return Err(MoneyError::TooPrecise { amount, currency });
        };
        let minor = exact
            .mantissa()
            .checked_mul(10_i128.pow(missing))
            .and_then(|minor| i64::try_from(minor).ok())
            .ok_or(MoneyError::Overflow(currency))?;
        Self::try_from_minor(minor, currency)
    }

    /// This amount, rounded to the minor unit in the way named. With [`Rate::of`], the only door
    /// through which money is rounded.
    pub fn rounded(
        amount: Decimal,
        currency: Currency,
        rounding: Rounding,
    ) -> Result<Self, MoneyError> {
        let strategy = match rounding {
            Rounding::HalfUp => RoundingStrategy::MidpointAwayFromZero,
            Rounding::HalfEven => RoundingStrategy::MidpointNearestEven,
            Rounding::Down => RoundingStrategy::ToZero,
        };
        Self::new(
            amount.round_dp_with_strategy(currency.scale(), strategy),
            currency,
        )
    }

    /// The amount as people and files write it: `"9.90"`, `"-3"`. Exact, as [`Money::new`] is.
    pub fn parse(amount: &str, currency: Currency) -> Result<Self, MoneyError> {
        Self::new(plain_decimal(amount)?, currency)
    }

    /// Nothing, in this currency.
    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    /// So many minor units: what the database holds and what Stripe speaks.
    pub fn try_from_minor(minor: i64, currency: Currency) -> Result<Self, MoneyError> {
        match minor {
            i64::MIN => Err(MoneyError::Overflow(currency)),
            minor => Ok(Self { minor, currency }),
        }
    }

    /// For results that are no larger than money that already exists.
    pub(super) fn within_range(minor: i128, currency: Currency) -> Self {
        let minor = i64::try_from(minor).expect("no share is larger than the whole");
        Self { minor, currency }
    }

    /// The number of minor units.
    #[must_use]
    pub const fn minor(self) -> i64 {
        self.minor
    }

    /// The decimal amount, at exactly the currency's scale: `9.90`, never `9.9`.
    #[must_use]
    pub fn amount(self) -> Decimal {
        Decimal::new(self.minor, self.currency.scale())
    }

    /// What it is an amount of.
    #[must_use]
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// Neither owed nor owing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.minor == 0
    }

    /// Above zero.
    #[must_use]
    pub const fn is_positive(self) -> bool {
        self.minor > 0
    }

    /// Below zero.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.minor < 0
    }

    /// The same amount the other way.
    #[must_use]
    pub const fn negated(self) -> Self {
        Self {
            minor: -self.minor,
            currency: self.currency,
        }
    }

    /// The amount without its sign.
    #[must_use]
    pub const fn abs(self) -> Self {
        Self {
            minor: self.minor.abs(),
            currency: self.currency,
        }
    }

    /// The sum, if both are of one currency and it fits.
    pub fn checked_add(self, other: Money) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let sum = self
            .minor
            .checked_add(other.minor)
            .ok_or(MoneyError::Overflow(self.currency))?;
        Self::try_from_minor(sum, self.currency)
    }

    /// The difference, if both are of one currency and it fits.
    pub fn checked_sub(self, other: Money) -> Result<Self, MoneyError> {
        self.checked_add(other.negated())
    }

    /// Everything together; zero of `currency` if there is nothing.
    pub fn sum(
        currency: Currency,
        all: impl IntoIterator<Item = Money>,
    ) -> Result<Self, MoneyError> {
        all.into_iter()
            .try_fold(Self::zero(currency), Self::checked_add)
    }

    /// Which is larger, if both are of one currency. There is no `<` on money for that reason.
    pub fn compare(self, other: Money) -> Result<Ordering, MoneyError> {
        self.same_currency(other)?;
        Ok(self.minor.cmp(&other.minor))
    }

    /// The smaller one, if both are of one currency.
    pub fn lesser(self, other: Money) -> Result<Self, MoneyError> {
        Ok(if self.compare(other)?.is_le() {
            self
        } else {
            other
        })
    }

    fn same_currency(self, other: Money) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            return Ok(());
        }
        Err(MoneyError::CurrencyMismatch {
            left: self.currency,
            right: other.currency,
        })
    }
}

/// Strictly positive money: what a line moves. Its sign is the direction's business.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "Money", try_from = "Money")]
pub struct Amount(Money);

impl Amount {
    /// This money, if there is any.
    pub fn new(money: Money) -> Result<Self, MoneyError> {
        if money.is_positive() {
            Ok(Self(money))
        } else {
            Err(MoneyError::NotPositive(money))
        }
    }

    /// The money it is.
    #[must_use]
    pub const fn money(self) -> Money {
        self.0
    }

    /// What it is an amount of.
    #[must_use]
    pub const fn currency(self) -> Currency {
        self.0.currency
    }

    /// The number of minor units, at least one.
    #[must_use]
    pub const fn minor(self) -> i64 {
        self.0.minor
    }

    /// `(share, rest)`: the share is rounded, the rest is what remains, and together they are
    /// exactly the whole. Either may be zero.
    #[must_use]
    pub fn share(self, rate: Rate, rounding: Rounding) -> (Money, Money) {
        let share = rate.of(self.0, rounding);
        (
            share,
            Money {
                minor: self.0.minor - share.minor,
                currency: self.0.currency,
            },
        )
    }
}

impl From<Amount> for Money {
    fn from(amount: Amount) -> Money {
        amount.0
    }
}

impl TryFrom<Money> for Amount {
    type Error = MoneyError;

    fn try_from(money: Money) -> Result<Self, MoneyError> {
        Self::new(money)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{amount, money, rate, rounding};

    fn of(text: &str) -> Money {
        text.parse().unwrap()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(money in money()) {
            prop_assert_eq!(money.to_string().parse(), Ok(money));
            let json = serde_json::to_string(&money).unwrap();
            prop_assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), money);
            prop_assert_eq!(Money::new(money.amount(), money.currency()), Ok(money));
            prop_assert_eq!(Money::try_from_minor(money.minor(), money.currency()), Ok(money));
            prop_assert_eq!(money.amount().scale(), money.currency().scale());
        }

        #[test]
        fn nothing_is_rounded_in_silence(money in money(), extra in 1_u32..8) {
            let finer = Decimal::new(1, money.currency().scale() + extra);
            let amount = money.amount() + finer;
            prop_assert_eq!(
                Money::new(amount, money.currency()),
                Err(MoneyError::TooPrecise { amount, currency: money.currency() })
            );
            prop_assert!(Money::rounded(amount, money.currency(), Rounding::HalfUp).is_ok());
        }

        #[test]
        fn a_share_and_its_rest_are_the_whole(
            whole in amount(), rate in rate(), rounding in rounding()
        ) {
            let (share, rest) = whole.share(rate, rounding);
            prop_assert_eq!(share.checked_add(rest), Ok(whole.money()));
            prop_assert!(!share.is_negative() && !rest.is_negative());
        }

        #[test]
        fn to_take_away_what_was_added_changes_nothing(a in money(), minor in any::<i64>()) {
            if let Ok(b) = Money::try_from_minor(minor, a.currency())
                && let Ok(sum) = a.checked_add(b)
            {
                prop_assert_eq!(sum.checked_sub(b), Ok(a));
                prop_assert_eq!(a.checked_add(a.negated()), Ok(Money::zero(a.currency())));
            }
        }
    }

    #[test]
    fn halves_go_away_from_zero_to_the_even_digit_or_nowhere() {
        use Rounding::{Down, HalfEven, HalfUp};
        for (amount, rounding, expected) in [
            ("2.5", HalfUp, 3),
            ("-2.5", HalfUp, -3),
            ("2.4", HalfUp, 2),
            ("-2.6", HalfUp, -3),
            ("2.5", HalfEven, 2),
            ("3.5", HalfEven, 4),
            ("-2.5", HalfEven, -2),
            ("2.9", Down, 2),
            ("-2.9", Down, -2),
        ] {
            let rounded = Money::rounded(plain_decimal(amount).unwrap(), Currency::JPY, rounding);
            assert_eq!(rounded.unwrap().minor(), expected, "{amount} {rounding:?}");
        }
    }

    #[test]
    fn currencies_do_not_mix() {
        let (left, right) = (of("1.00 USD"), of("1.00 EUR"));
        let mismatch = MoneyError::CurrencyMismatch {
            left: Currency::USD,
            right: Currency::EUR,
        };
        assert_eq!(left.checked_add(right), Err(mismatch.clone()));
        assert_eq!(left.checked_sub(right), Err(mismatch.clone()));
        assert_eq!(left.lesser(right), Err(mismatch.clone()));
        assert_eq!(Money::sum(Currency::USD, [left, right]), Err(mismatch));
    }

    #[test]
    fn the_range_is_symmetric_and_its_end_is_an_error() {
        let most = Money::try_from_minor(i64::MAX, Currency::USD).unwrap();
        let one = of("0.01 USD");
        assert_eq!(most.to_string(), "92233720368547758.07 USD");
        assert_eq!(most.negated().negated(), most);
        let too_large = Err(MoneyError::Overflow(Currency::USD));
        assert_eq!(most.checked_add(one), too_large);
        assert_eq!(most.negated().checked_sub(one), too_large);
        assert_eq!(Money::try_from_minor(i64::MIN, Currency::USD), too_large);
        assert_eq!(
            Money::parse("92233720368547758.08", Currency::USD),
            too_large
        );
        assert_eq!(Money::new(Decimal::MAX, Currency::USD), too_large);
    }

    #[test]
    fn only_more_than_nothing_is_an_amount() {
        assert!(Amount::new(of("0.01 USD")).is_ok());
        for none in [of("0.00 USD"), of("-0.01 USD")] {
            assert_eq!(Amount::new(none), Err(MoneyError::NotPositive(none)));
        }
    }
}
