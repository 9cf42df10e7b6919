//! Pure: bytes of a fixed length, written as hexadecimal digits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `N` bytes that people and JSON see as hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hex<const N: usize>(pub [u8; N]);

/// The text is not `N` bytes in hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not {digits} hexadecimal digits")]
pub struct InvalidHex {
    text: String,
    digits: usize,
}

impl<const N: usize> Hex<N> {
    /// From stored bytes; `None` when they are more or fewer.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Hex<N>> {
        bytes.try_into().ok().map(Hex)
    }
}

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl<const N: usize> fmt::Debug for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const N: usize> FromStr for Hex<N> {
    type Err = InvalidHex;

    fn from_str(text: &str) -> Result<Hex<N>, InvalidHex> {
        let mut bytes = [0_u8; N];
        match hex::decode_to_slice(text, &mut bytes) {
            Ok(()) => Ok(Hex(bytes)),
            Err(_) => Err(InvalidHex {
                text: text.to_owned(),
                digits: 2 * N,
            }),
        }
    }
}

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Hex<N>, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
