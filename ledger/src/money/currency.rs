//! Which units may be booked, and how fine each of them is.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use iso_currency::{Currency as Iso, IntoEnumIterator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::MoneyError;

/// A currency with a minor unit: every ISO 4217 code that has an exponent, and the private `Extra`
/// table for what ISO does not list. Gold, testing codes and "no currency" have no minor unit and
/// are refused. Codes are case-sensitive; a sender of "usd" is translated at the edge.
///
/// # Adding a currency
///
/// 1. Add a variant to `Extra` in this file, its row in `Extra::row`, and list it in `Extra::ALL`.
/// 2. Add the row to the table `ledger.currency` in a new migration; a test holds the two equal.
///
/// A scale is for ever: stored amounts are whole numbers of the minor unit, so no row is ever
/// changed. A finer unit of a known currency (clicks at 0.0025 USD) is therefore a currency of its
/// own, say `("USD4", 4)`: it is collected in accounts of that code, and what has come together is
/// moved to USD by two entries under one voucher, through the FX position accounts, once a month.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency(Unit);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Unit {
    /// Has an exponent: only `Currency::from_iso` and the constants make one.
    Iso(Iso),
    Extra(Extra),
}

/// Units that ISO 4217 does not list.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Extra {
    Usdc,
    Usdt,
}

impl Extra {
    const ALL: [Extra; 2] = [Extra::Usdc, Extra::Usdt];

    /// The code, and the decimal places of the smallest unit that can be transferred.
    const fn row(self) -> (&'static str, u32) {
        match self {
            Extra::Usdc => ("USDC", 6),
            Extra::Usdt => ("USDT", 6),
        }
    }
}

impl Currency {
    /// United States dollar, 2 decimal places.
    pub const USD: Self = Self(Unit::Iso(Iso::USD));
    /// Euro, 2 decimal places.
    pub const EUR: Self = Self(Unit::Iso(Iso::EUR));
    /// Pound sterling, 2 decimal places.
    pub const GBP: Self = Self(Unit::Iso(Iso::GBP));
    /// Yen: no decimal places.
    pub const JPY: Self = Self(Unit::Iso(Iso::JPY));
    /// Kuwaiti dinar: 3 decimal places.
    pub const KWD: Self = Self(Unit::Iso(Iso::KWD));
    /// Saudi riyal, 2 decimal places.
    pub const SAR: Self = Self(Unit::Iso(Iso::SAR));
    /// Tether: 6 decimal places on chain.
    pub const USDT: Self = Self(Unit::Extra(Extra::Usdt));

    /// The code, as ISO 4217 or our own table writes it.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self.0 {
            Unit::Iso(iso) => iso.code(),
            Unit::Extra(extra) => extra.row().0,
        }
    }

    /// Decimal places of the minor unit: 2 for USD, 0 for JPY, 3 for KWD, 6 for USDT.
    #[must_use]
    pub fn scale(self) -> u32 {
        match self.0 {
            Unit::Iso(iso) => iso
                .exponent()
                .expect("a currency without an exponent is never built")
                .into(),
            Unit::Extra(extra) => extra.row().1,
        }
    }

    /// Every currency there is: what the table `ledger.currency` must hold, in no set order.
    pub fn all() -> impl Iterator<Item = Currency> {
        let iso = Iso::iter().filter_map(|iso| Self::from_iso(iso).ok());
        iso.chain(Extra::ALL.map(|extra| Self(Unit::Extra(extra))))
    }

    fn from_iso(iso: Iso) -> Result<Self, MoneyError> {
        match iso.exponent() {
            Some(_) => Ok(Self(Unit::Iso(iso))),
            None => Err(MoneyError::NoMinorUnit(iso.code())),
        }
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(code: &str) -> Result<Self, MoneyError> {
        if let Some(iso) = Iso::from_code(code) {
            return Self::from_iso(iso);
        }
        Extra::ALL
            .into_iter()
            .find(|extra| extra.row().0 == code)
            .map(|extra| Self(Unit::Extra(extra)))
            .ok_or_else(|| MoneyError::UnknownCurrency(code.to_owned()))
    }
}

/// Alphabetical by code, so that reports and snapshots have one order.
impl Ord for Currency {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.code().cmp(other.code())
    }
}

impl PartialOrd for Currency {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = Cow::<'_, str>::deserialize(deserializer)?;
        code.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_scale_is_the_minor_unit_of_the_currency() {
        let scales = [
            (Currency::USD, 2),
            (Currency::EUR, 2),
            (Currency::GBP, 2),
            (Currency::SAR, 2),
            (Currency::JPY, 0),
            (Currency::KWD, 3),
            (Currency::USDT, 6),
        ];
        for (currency, scale) in scales {
            assert_eq!(currency.scale(), scale, "{currency}");
        }
    }

    #[test]
    fn every_currency_is_found_by_its_code_and_no_code_is_taken_twice() {
        let mut codes = BTreeSet::new();
        for currency in Currency::all() {
            assert_eq!(currency.code().parse(), Ok(currency));
            assert!(currency.scale() <= 6, "{currency}");
            assert!(codes.insert(currency.code()), "{currency} is there twice");
        }
        assert!(codes.len() > 150 && codes.contains("USDC"));
    }

    #[test]
    fn what_cannot_be_paid_is_no_currency() {
        for code in ["XXX", "XAU", "XTS"] {
            assert!(
                matches!(code.parse::<Currency>(), Err(MoneyError::NoMinorUnit(c)) if c == code)
            );
        }
        for code in ["", "usd", "US", "USD ", "ABC", "usdt"] {
            assert_eq!(
                code.parse::<Currency>(),
                Err(MoneyError::UnknownCurrency(code.to_owned()))
            );
        }
    }

    #[test]
    fn a_currency_is_written_as_its_code() {
        let json = serde_json::to_string(&[Currency::USDT, Currency::KWD]).unwrap();
        assert_eq!(json, r#"["USDT","KWD"]"#);
        let read: [Currency; 2] = serde_json::from_str(&json).unwrap();
        assert_eq!(read, [Currency::USDT, Currency::KWD]);
        assert!(serde_json::from_str::<Currency>(r#""XAU""#).is_err());
    }
}
