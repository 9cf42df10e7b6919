//! How money is written and read: as text, and in JSON.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{Currency, Money, MoneyError};

/// `1234.56 USD`: all places, no thousands separator. [`FromStr`] reads the same.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount(), self.currency())
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Money {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let (amount, code) = text
            .split_once(' ')
            .ok_or_else(|| MoneyError::NotMoney(text.to_owned()))?;
        Self::parse(amount, code.parse()?)
    }
}

/// Money as JSON has it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    amount: String,
    currency: Currency,
}

impl From<Money> for Written {
    fn from(money: Money) -> Self {
        Self {
            amount: money.amount().to_string(),
            currency: money.currency(),
        }
    }
}

impl TryFrom<Written> for Money {
    type Error = MoneyError;

    fn try_from(written: Written) -> Result<Self, MoneyError> {
        Self::parse(&written.amount, written.currency)
    }
}

/// A plain decimal: digits, at most one point, a leading minus. The decimal library would also take
/// `+1`, `1_000` and `.5`, which no sender of money means to write.
pub(super) fn plain_decimal(text: &str) -> Result<Decimal, MoneyError> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let plain = match digits.split_once('.') {
        Some((whole, places)) => all_digits(whole) && all_digits(places),
        None => all_digits(digits),
    };
    if !plain {
        return Err(MoneyError::NotANumber(text.to_owned()));
    }
    Decimal::from_str_exact(text).map_err(|_| MoneyError::NotANumber(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Amount;

    fn of(text: &str) -> Money {
        text.parse().unwrap()
    }

    #[test]
    fn money_is_written_with_all_its_places() {
        let written = "1234.50 USD|-0.05 EUR|0.00 USD|-7 JPY|1.200 KWD|0.000001 USDT";
        for text in written.split('|') {
            assert_eq!(of(text).to_string(), text);
        }
        let json = serde_json::to_string(&of("9.90 USD")).unwrap();
        assert_eq!(json, r#"{"amount":"9.90","currency":"USD"}"#);
        assert_eq!(of("9.9 USD"), of("9.90 USD"));
        assert_eq!(of("9.9000 USD"), of("9.90 USD"));
    }

    #[test]
    fn text_that_is_not_plainly_money_is_refused() {
        let refused = "9.90|USD|9.90USD|9.90  USD| 9.90 USD|9.90 USD |+1 USD|1_0 USD|.5 USD|5. USD\
                       |1e2 USD|1,000.00 USD|--1 USD|- USD|NaN USD|\
                       |99999999999999999999999999999999999999 USD";
        for text in refused.split('|') {
            assert!(text.parse::<Money>().is_err(), "{text:?}");
        }
        assert!(serde_json::from_str::<Money>(r#"{"amount":9.9,"currency":"USD"}"#).is_err());
        assert!(serde_json::from_str::<Money>(r#"{"amount":"9.905","currency":"USD"}"#).is_err());
        assert!(serde_json::from_str::<Money>(r#"{"amount":"9","currency":"USD","x":1}"#).is_err());
        assert!(serde_json::from_str::<Amount>(r#"{"amount":"0","currency":"USD"}"#).is_err());
    }
}
