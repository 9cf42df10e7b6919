//! [`Rate`]: a share between nothing and everything, and how the share is rounded.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::written::plain_decimal;
use super::{Money, MoneyError};

/// What becomes of a fraction of the minor unit. Terms name it; there is no default here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// To the nearest unit, a half away from zero: 0.5 → 1, -0.5 → -1. So a refund mirrors its
    /// sale exactly.
    HalfUp,
    /// To the nearest unit, a half to the even neighbour: 0.5 → 0, 1.5 → 2 (banker's rounding).
    HalfEven,
    /// Towards zero: nobody gets more than their share.
    Down,
}

/// A share of 0 to 1 in steps of a millionth (`numeric(9,6)` in the database).
///
/// Text is a fraction, `0.2`, or a percentage, `20%`; JSON carries the fraction as a string.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate {
    millionths: u32,
}

const WHOLE: u32 = 1_000_000;
const PLACES: u32 = 6;

impl Rate {
    /// Nothing.
    pub const ZERO: Self = Self { millionths: 0 };
    /// Everything.
    pub const WHOLE: Self = Self { millionths: WHOLE };

    /// From a fraction: 0.2 is twenty percent.
    pub fn fraction(fraction: Decimal) -> Result<Self, MoneyError> {
        let exact = fraction.normalize();
        if exact > Decimal::ONE {
            return Err(MoneyError::RateOutOfRange(fraction));
        }
        let missing = PLACES
            .checked_sub(exact.scale())
            .ok_or(MoneyError::RateTooPrecise(fraction))?;
        let millionths = u32::try_from(exact.mantissa() * 10_i128.pow(missing))
            .map_err(|_| MoneyError::RateOutOfRange(fraction))?;
        Ok(Self { millionths })
    }

    /// From a percentage: 20 is twenty percent.
    pub fn percent(percent: Decimal) -> Result<Self, MoneyError> {
        let fraction = percent
            .checked_div(Decimal::ONE_HUNDRED)
            .filter(|fraction| fraction.checked_mul(Decimal::ONE_HUNDRED) == Some(percent))
            .ok_or(MoneyError::RateTooPrecise(percent))?;
        Self::fraction(fraction)
    }

    /// The share as a fraction, at the six places of the database column.
    #[must_use]
    pub fn as_fraction(self) -> Decimal {
        Decimal::new(self.millionths.into(), PLACES)
    }

    /// The share as a percentage, as short as it can be written: `20`, `7.5`.
    #[must_use]
    pub fn as_percent(self) -> Decimal {
        Decimal::new(self.millionths.into(), PLACES - 2).normalize()
    }

    /// This share of the money, of either sign, rounded once from the exact product. Never more
    /// than the whole, so it cannot fail.
    #[must_use]
    pub fn of(self, money: Money, rounding: Rounding) -> Money {
        let product = i128::from(money.minor()) * i128::from(self.millionths);
        let whole = i128::from(WHOLE);
        let (down, rest) = (product / whole, product % whole);
        let up = match (rounding, (rest.abs() * 2).cmp(&whole)) {
            (Rounding::Down, _) | (_, Ordering::Less) => false,
            (_, Ordering::Greater) | (Rounding::HalfUp, _) => true,
            (Rounding::HalfEven, _) => down % 2 != 0,
        };
        let rounded = if up { down + product.signum() } else { down };
        Money::within_range(rounded, money.currency())
    }
}

/// `20%`, `7.5%`.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.as_percent())
    }
}

impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Rate {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        match text.strip_suffix('%') {
            Some(percent) => Self::percent(plain_decimal(percent)?),
            None => Self::fraction(plain_decimal(text)?),
        }
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.as_fraction().normalize())
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::money::Currency;
    use crate::testing::{money, rate, rounding};

    proptest! {
        /// The integer arithmetic of `of`, against the decimal library's rounding.
        #[test]
        fn a_share_is_the_exact_product_rounded_once(
            minor in -1_000_000_000_000_i64..1_000_000_000_000, rate in rate(),
            rounding in rounding(), currency in crate::testing::currency(),
        ) {
            let money = Money::try_from_minor(minor, currency).unwrap();
            let product = money.amount() * rate.as_fraction();
            let rounded = Money::rounded(product, currency, rounding);
            prop_assert_eq!(Ok(rate.of(money, rounding)), rounded);
        }

        #[test]
        fn the_share_of_a_debt_mirrors_the_share_of_a_claim(
            money in money(), rate in rate(), rounding in rounding()
        ) {
            prop_assert_eq!(rate.of(money.negated(), rounding), rate.of(money, rounding).negated());
            prop_assert_eq!(Rate::WHOLE.of(money, rounding), money);
            prop_assert!(Rate::ZERO.of(money, rounding).is_zero());
        }

        #[test]
        fn more_money_never_has_a_smaller_share(
            minor in 0_i64..i64::MAX - 1000, more in 0_i64..1000, rate in rate(),
            rounding in rounding(),
        ) {
            let share = |minor| {
                rate.of(Money::try_from_minor(minor, Currency::USD).unwrap(), rounding).minor()
            };
            prop_assert!(share(minor) <= share(minor + more));
        }

        #[test]
        fn a_rate_that_is_written_is_read_again(rate in rate()) {
            prop_assert_eq!(rate.to_string().parse(), Ok(rate));
            prop_assert_eq!(Rate::fraction(rate.as_fraction()), Ok(rate));
            prop_assert_eq!(Rate::percent(rate.as_percent()), Ok(rate));
            let json = serde_json::to_string(&rate).unwrap();
            prop_assert_eq!(serde_json::from_str::<Rate>(&json).unwrap(), rate);
        }
    }

    #[test]
    fn twenty_percent_has_three_spellings() {
        let rate: Rate = "20%".parse().unwrap();
        assert_eq!(rate, "0.2".parse().unwrap());
        assert_eq!(rate, Rate::percent(Decimal::from(20)).unwrap());
        assert_eq!(serde_json::to_string(&rate).unwrap(), r#""0.2""#);
        assert!(
            serde_json::from_str::<Rate>("0.2").is_err(),
            "a JSON number may be a float"
        );
    }

    #[test]
    fn less_than_nothing_more_than_everything_and_finer_than_a_millionth_are_refused() {
        for text in ["-0.000001", "1.000001", "100.0001%", "-1%", "20"] {
            assert!(
                matches!(text.parse::<Rate>(), Err(MoneyError::RateOutOfRange(_))),
                "{text}"
            );
        }
        for text in ["0.0000001", "0.00001%", "0.0000000000000000000000000001%"] {
            assert!(
                matches!(text.parse::<Rate>(), Err(MoneyError::RateTooPrecise(_))),
                "{text}"
            );
        }
        for text in ["", "%", "x", "20 %"] {
            assert!(
                matches!(text.parse::<Rate>(), Err(MoneyError::NotANumber(_))),
                "{text}"
            );
        }
        assert_eq!(
            "0.0001%".parse::<Rate>().unwrap().as_fraction().to_string(),
            "0.000001"
        );
    }
}
