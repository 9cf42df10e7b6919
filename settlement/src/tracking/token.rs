//! Pure: the signed click token, `v1.<key id>.<payload>.<mac>`.
//!
//! It carries what attribution needs, so an order whose click is still on its way to the database
//! is attributed all the same, and nobody can credit a publisher by editing a link. The payload is
//! base64url of fixed fields; the mac is HMAC-SHA256 over everything before it. The newest key
//! signs, every key verifies: rotating is adding a key.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use ledger::BookId;
use sha2::Sha256;
use uuid::Uuid;

use super::Click;
use crate::party::ProgramRef;

/// What every token starts with.
const VERSION: &str = "v1";
/// Bytes of the payload before sub1.
const FIXED: usize = 8 + 16 + 16 + 16 + 8 + 8;
/// No token is longer.
const LONGEST: usize = 1024;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Where the click led.
    pub program: ProgramRef,
    /// Who sent the visitor.
    pub publisher: Uuid,
    /// The click.
    pub click: Uuid,
    /// When, UTC, to the microsecond.
    pub clicked_at: DateTime<Utc>,
    /// Until when it counts, inclusive.
    pub expires_at: DateTime<Utc>,
    /// The publisher's own mark.
    pub sub1: Option<String>,
}

impl Claims {
    /// The click's core row, for an order that overtakes its click.
    #[must_use]
    pub fn click(&self) -> Click {
        let mut click = Click::new(self.click, self.program, self.publisher, self.clicked_at);
        click.expires_at = Some(self.expires_at);
        click.subs[0].clone_from(&self.sub1);
        click
    }
}

/// Why a token says nothing. The visitor is told none of this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not shaped like a token.
    #[error("the click token is malformed")]
    Malformed,
    /// Signed with a key that is not known (any more).
    #[error("the click token names a key that is not known")]
    UnknownKey,
    /// The mac does not fit: somebody changed it.
    #[error("the click token was tampered with")]
    Forged,
    /// It counted once.
    #[error("the click token has expired")]
    Expired,
}

/// The keys that sign and verify, by key id.
#[derive(Clone, Default)]
pub struct TokenKeys {
    signing: Option<String>,
    keys: BTreeMap<String, Hmac<Sha256>>,
}

impl std::fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys.keys()).finish()
    }
}

impl TokenKeys {
    /// Keys by id, the newest last; the last one signs.
    #[must_use]
    pub fn new(keys: &[(String, [u8; 32])]) -> TokenKeys {
        let hmac = |secret: &[u8; 32]| Hmac::new_from_slice(secret).ok();
        TokenKeys {
            signing: keys.last().map(|(kid, _)| kid.clone()),
            keys: keys
                .iter()
                .filter_map(|(kid, secret)| Some((kid.clone(), hmac(secret)?)))
                .collect(),
        }
    }

    /// A token that says this; `None` without a key.
    #[must_use]
    pub fn sign(&self, claims: &Claims) -> Option<String> {
        let kid = self.signing.as_ref()?;
        let payload = URL_SAFE_NO_PAD.encode(pack(claims));
        let signed = format!("{VERSION}.{kid}.{payload}");
        let mut mac = self.keys.get(kid)?.clone();
        mac.update(signed.as_bytes());
        let mac = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
        Some(format!("{signed}.{mac}"))
    }

    /// What a token says, if its mac fits and it counts at that moment.
    pub fn verify(&self, token: &str, at: DateTime<Utc>) -> Result<Claims, TokenError> {
        let (signed, mac) = split(token)?;
        let mut parts = signed.split('.').skip(1);
        let (Some(kid), Some(payload)) = (parts.next(), parts.next()) else {
            return Err(TokenError::Malformed);
        };
        let mut hmac = self.keys.get(kid).ok_or(TokenError::UnknownKey)?.clone();
        let mac = URL_SAFE_NO_PAD
            .decode(mac)
            .map_err(|_| TokenError::Malformed)?;
        hmac.update(signed.as_bytes());
        hmac.verify_slice(&mac).map_err(|_| TokenError::Forged)?;
        let payload = URL_SAFE_NO_PAD.decode(payload);
        let claims = payload.ok().as_deref().and_then(unpack);
        let claims = claims.ok_or(TokenError::Malformed)?;
        if at > claims.expires_at {
            return Err(TokenError::Expired);
        }
        Ok(claims)
    }
}

/// Is this meant to be a token? What is, is never taken for anything else.
#[must_use]
pub fn is_token(text: &str) -> bool {
    split(text).is_ok()
}

/// The signed part and the mac of something shaped like a token.
fn split(token: &str) -> Result<(&str, &str), TokenError> {
    let shaped = token.len() <= LONGEST
        && token.split('.').next() == Some(VERSION)
        && token.split('.').count() == 4;
    let parts = token.rsplit_once('.').filter(|_| shaped);
    parts.ok_or(TokenError::Malformed)
}

fn pack(claims: &Claims) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FIXED + 16);
    bytes.extend(claims.program.book.value().to_be_bytes());
    bytes.extend(claims.program.id.as_bytes());
    bytes.extend(claims.publisher.as_bytes());
    bytes.extend(claims.click.as_bytes());
    bytes.extend(claims.clicked_at.timestamp_micros().to_be_bytes());
    bytes.extend(claims.expires_at.timestamp_micros().to_be_bytes());
    bytes.extend(claims.sub1.as_deref().unwrap_or_default().as_bytes());
    bytes
}

fn unpack(bytes: &[u8]) -> Option<Claims> {
    let (fixed, sub1) = bytes.split_at_checked(FIXED)?;
    let number = |at: usize| Some(i64::from_be_bytes(fixed.get(at..at + 8)?.try_into().ok()?));
    let uuid = |at: usize| Uuid::from_slice(fixed.get(at..at + 16)?).ok();
    let sub1 = std::str::from_utf8(sub1).ok()?;
    Some(Claims {
        program: ProgramRef {
            book: BookId::from_value(number(0)?),
            id: uuid(8)?,
        },
        publisher: uuid(24)?,
        click: uuid(40)?,
        clicked_at: DateTime::from_timestamp_micros(number(56)?)?,
        expires_at: DateTime::from_timestamp_micros(number(64)?)?,
        sub1: (!sub1.is_empty()).then(|| sub1.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claims(seed: u128, at: i64, sub1: Option<String>) -> Claims {
        Claims {
            program: ProgramRef {
                book: BookId::from_value(i64::MAX - at),
                id: Uuid::from_u128(seed),
            },
            publisher: Uuid::from_u128(!seed),
            click: Uuid::from_u128(seed.rotate_left(7)),
            clicked_at: DateTime::from_timestamp_micros(at).unwrap(),
            expires_at: DateTime::from_timestamp_micros(at + 1_000_000).unwrap(),
            sub1,
        }
    }

    fn keys(ids: &[(&str, u8)]) -> TokenKeys {
        let keys: Vec<_> = ids
            .iter()
            .map(|(kid, b)| ((*kid).to_owned(), [*b; 32]))
            .collect();
        TokenKeys::new(&keys)
    }

    proptest! {
        #[test]
        fn what_was_signed_is_read_back(seed: u128, at in 0..4_000_000_000_000_000_i64,
                                        sub1 in proptest::option::of("[a-z é]{1,40}")) {
            let keys = keys(&[("k1", 1)]);
            let claims = claims(seed, at, sub1);
            let token = keys.sign(&claims).unwrap();
            prop_assert_eq!(keys.verify(&token, claims.expires_at), Ok(claims.clone()));
            let late = claims.expires_at + chrono::TimeDelta::microseconds(1);
            prop_assert_eq!(keys.verify(&token, late), Err(TokenError::Expired));
        }

        #[test]
        fn a_token_with_any_byte_changed_is_refused(seed: u128, place: prop::sample::Index,
                                                    byte in 0x21_u8..0x7f) {
            let keys = keys(&[("k1", 1), ("k2", 2)]);
            let claims = claims(seed, 1_700_000_000_000_000, Some("fb".to_owned()));
            let mut bytes = keys.sign(&claims).unwrap().into_bytes();
            let place = place.index(bytes.len());
            prop_assume!(bytes[place] != byte);
            bytes[place] = byte;
            let changed = String::from_utf8(bytes).unwrap();
            prop_assert!(keys.verify(&changed, claims.clicked_at).is_err());
        }

        #[test]
        fn no_text_makes_verifying_fail_in_another_way(text in "(v1\\.)?.{0,60}") {
            prop_assert!(keys(&[("k1", 1)]).verify(&text, DateTime::UNIX_EPOCH).is_err());
        }
    }

    #[test]
    fn a_new_key_signs_and_an_old_one_still_verifies_until_it_is_gone() {
        let claims = claims(1, 1_700_000_000_000_000, None);
        let token = keys(&[("k1", 1)]).sign(&claims).unwrap();
        let both = keys(&[("k1", 1), ("k2", 2)]);
        assert_eq!(both.verify(&token, claims.clicked_at), Ok(claims.clone()));
        assert!(both.sign(&claims).unwrap().starts_with("v1.k2."));
        let new = keys(&[("k2", 2)]);
        assert_eq!(
            new.verify(&token, claims.clicked_at),
            Err(TokenError::UnknownKey)
        );
        let other = keys(&[("k1", 3)]);
        assert_eq!(
            other.verify(&token, claims.clicked_at),
            Err(TokenError::Forged)
        );
        assert_eq!(TokenKeys::default().sign(&claims), None);
    }
}
