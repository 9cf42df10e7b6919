//! Pure: proofs that a delivery comes from who knows a secret, compared in constant time.
//!
//! What is compared is the written form: a signature that means the same but is written otherwise
//! is another signature.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Why a delivery is not believed. Never told in detail to the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unproven {
    /// There is no signature where one should be.
    #[error("the delivery carries no signature where one is expected")]
    Missing,
    /// The signature is not that of this body under this secret.
    #[error("the signature does not fit the body and the secret")]
    Wrong,
    /// The signature is too old, or from the future.
    #[error("the signature is more than {0} seconds old or ahead")]
    Stale(i64),
}

/// How a delivery is signed, where that can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// The secret itself.
    Plain,
    /// SHA-256 of the secret and the body, in hex.
    Sha256,
    /// HMAC-SHA256 of the body, in hex.
    HmacSha256,
    /// Not at all: whoever knows the address is believed.
    None,
}

impl Mode {
    /// The name in Postgres and on the command line.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Mode::Plain => "plain",
            Mode::Sha256 => "sha256",
            Mode::HmacSha256 => "hmac-sha256",
            Mode::None => "none",
        }
    }

    /// The mode of that name.
    pub(crate) fn named(name: &str) -> Option<Mode> {
        [Mode::Plain, Mode::Sha256, Mode::HmacSha256, Mode::None]
            .into_iter()
            .find(|mode| mode.as_str() == name)
    }
}

/// HMAC-SHA256 of these parts, one after the other.
pub(super) fn hmac(secret: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Whether two texts are the same, found out in a time that tells nothing of where they differ.
pub(super) fn same(given: &str, expected: &str) -> Result<(), Unproven> {
    let (given, wanted) = (Sha256::digest(given), Sha256::digest(expected));
    let equal: bool = given.ct_eq(&wanted).into();
    // An empty secret proves nothing.
    if equal && !expected.is_empty() {
        Ok(())
    } else {
        Err(Unproven::Wrong)
    }
}

/// A signature in base64, as Shopify and WooCommerce write it.
pub(super) fn base64_hmac(secret: &str, body: &[u8], given: Option<&str>) -> Result<(), Unproven> {
    let given = given.ok_or(Unproven::Missing)?;
    refuse_empty(secret)?;
    same(given, &STANDARD.encode(hmac(secret, &[body])))
}

/// A signature in one of the modes; `sha256=` may stand before it.
pub(super) fn in_mode(
    mode: Mode,
    secret: &str,
    body: &[u8],
    given: Option<&str>,
) -> Result<(), Unproven> {
    if mode == Mode::None {
        return Ok(());
    }
    let given = given.ok_or(Unproven::Missing)?;
    refuse_empty(secret)?;
    let digest: [u8; 32] = match mode {
        Mode::Plain | Mode::None => return same(given, secret),
        Mode::Sha256 => {
            let hash = Sha256::new().chain_update(secret).chain_update(body);
            hash.finalize().into()
        }
        Mode::HmacSha256 => hmac(secret, &[body]),
    };
    let given = given.strip_prefix("sha256=").unwrap_or(given);
    same(given, &hex::encode(digest))
}

/// An empty secret signs like any other, and everybody knows it.
pub(super) fn refuse_empty(secret: &str) -> Result<(), Unproven> {
    if secret.is_empty() {
        return Err(Unproven::Wrong);
    }
    Ok(())
}
