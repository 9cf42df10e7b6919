//! Pure: a publisher's public code, which stands in its addresses.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Digits and letters that nobody takes for one another (Crockford's base 32).
const SIGNS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A publisher's public code: unique, case-exact, one to 64 of `A-Z a-z 0-9 _ -`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PublisherCode(String);

/// A code that cannot stand in an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("code {0:?} cannot stand in an address; use 1 to 64 of A-Z, a-z, 0-9, _ and -")]
pub struct CodeError(String);

impl PublisherCode {
    /// The code of a publisher that chose none: eight signs that follow from its id and tell
    /// nothing of it.
    #[must_use]
    pub fn of(publisher: Uuid) -> PublisherCode {
        let digest = Sha256::digest(publisher.as_bytes());
        let code = digest.iter().take(8).map(|byte| {
            let sign = SIGNS[usize::from(byte % 32)];
            char::from(sign)
        });
        PublisherCode(code.collect())
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PublisherCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PublisherCode {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<PublisherCode, CodeError> {
        let fits = (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        if fits {
            Ok(PublisherCode(text.to_owned()))
        } else {
            Err(CodeError(text.chars().take(80).collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_that_nobody_chose_is_itself_a_code_and_differs_by_publisher() {
        let of = |n| PublisherCode::of(Uuid::from_u128(n));
        assert_eq!(of(1).as_str().parse(), Ok(of(1)));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn a_code_holds_nothing_that_an_address_would_have_to_escape() {
        for bad in ["", "a/b", "a b", "ä", "a.b", "a%20", &"x".repeat(65)] {
            assert!(bad.parse::<PublisherCode>().is_err(), "{bad}");
        }
        for good in ["PARTNER", "zoe_1-x", &"x".repeat(64)] {
            assert!(good.parse::<PublisherCode>().is_ok(), "{good}");
        }
    }
}
