//! Who may speak to the service: API keys.
//!
//! A key is 128 random bits, drawn by the caller and shown once; only its SHA-256 is stored, so
//! nobody who reads the database can use one. A key speaks for one party: the network, a brand or a
//! publisher. Rotating makes another key with the same rights and lets the old one live on for as
//! long as its holder needs to change over; revoking ends it. Neither takes the row away.
//!
//! # Adding a scope
//!
//! A variant of [`Scope`] with its name below, and its place in [`Role::scopes`].

pub mod request;
mod store;

use chrono::{DateTime, Utc};
use ledger::BookId;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::terms::stored_names;

pub use store::{create, find, list, revoke, rotate};

/// Whether what a key reports counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It does.
    Live,
    /// It is checked and answered, and nothing is recorded.
    Test,
}

stored_names!(Mode, Mode::Live => "live", Mode::Test => "test");

/// What a key may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Report orders, refunds, events, identities and claims.
    Report,
    /// Approve, reject, hold, release, reverse, reinstate.
    Decide,
    /// Read figures.
    Read,
    /// Change brands, publishers, programs, terms and links.
    Manage,
}

stored_names!(Scope, Scope::Report => "report", Scope::Decide => "decide",
    Scope::Read => "read", Scope::Manage => "manage");

impl Scope {
    /// All of them.
    pub const ALL: [Scope; 4] = [Scope::Report, Scope::Decide, Scope::Read, Scope::Manage];
}

/// For whom a key speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The network: every brand and publisher.
    Network,
    /// The brand with this book, and nobody else.
    Brand(BookId),
    /// This publisher, and nobody else.
    Publisher(Uuid),
}

impl Role {
    /// What a key of this role may be used for at most.
    #[must_use]
    pub fn scopes(self) -> &'static [Scope] {
        match self {
            Role::Network => &Scope::ALL,
            Role::Brand(_) => &[Scope::Report, Scope::Decide, Scope::Read],
            Role::Publisher(_) => &[Scope::Read],
        }
    }

    /// The name in Postgres.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Network => "network",
            Role::Brand(_) => "brand",
            Role::Publisher(_) => "publisher",
        }
    }

    /// Whose requests these are, whatever key they were sent with.
    #[must_use]
    pub fn caller(self) -> String {
        match self {
            Role::Network | Role::Brand(_) => self.as_str().to_owned(),
            Role::Publisher(id) => format!("publisher:{id}"),
        }
    }
}

/// A key as it is sent: `pc_live_` or `pc_test_` and 32 hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The key made of these random bits.
    #[must_use]
    pub fn new(mode: Mode, bits: [u8; 16]) -> Secret {
        Secret(format!(
            "pc_{}_{:032x}",
            mode.as_str(),
            u128::from_be_bytes(bits)
        ))
    }

    /// Reads a key that somebody sent; none if it has another shape.
    #[must_use]
    pub fn parse(text: &str) -> Option<Secret> {
        let rest = text.strip_prefix("pc_")?;
        let (mode, digits) = rest.split_once('_')?;
        let hex = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
        (Mode::named(mode).is_some() && digits.len() == 32 && digits.bytes().all(hex))
            .then(|| Secret(text.to_owned()))
    }

    /// The key itself, to be shown once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored of it.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }

    /// How it begins and ends.
    #[must_use]
    pub fn hint(&self) -> String {
        let (start, end) = (&self.0[..8], &self.0[self.0.len() - 4..]);
        format!("{start}…{end}")
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.hint())
    }
}

/// A key to be made.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Chosen by the caller.
    pub id: Uuid,
    /// Drawn by the caller.
    pub secret: Secret,
    /// What people call it.
    pub name: String,
    /// Whether what it reports counts.
    pub mode: Mode,
    /// For whom it speaks.
    pub role: Role,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// From which addresses, as CIDR ranges; none given means from anywhere.
    pub networks: Vec<String>,
}

/// A key as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its id, which may be shown.
    pub id: Uuid,
    /// What people call it.
    pub name: String,
    /// How it begins and ends.
    pub hint: String,
    /// Whether what it reports counts.
    pub mode: Mode,
    /// For whom it speaks.
    pub role: Role,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// From which addresses, as CIDR ranges; none means from anywhere.
    pub networks: Vec<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// By whom.
    pub created_by: String,
    /// From which key it was rotated.
    pub replaces: Option<Uuid>,
    /// From when it is refused, and who said so.
    pub revoked: Option<(DateTime<Utc>, String)>,
}

impl Key {
    /// Whether it may be used at a moment.
    #[must_use]
    pub fn works_at(&self, now: DateTime<Utc>) -> bool {
        self.revoked.as_ref().is_none_or(|(from, _)| now < *from)
    }
}

/// What can be wrong with a key.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// There is no such key.
    #[error("there is no API key {0}; `counterfoil keys list` shows all")]
    Unknown(Uuid),
    /// It was revoked before.
    #[error("API key {0} was revoked at {1}; make another with `counterfoil keys create`")]
    Revoked(Uuid, DateTime<Utc>),
    /// It would be allowed more than its role.
    #[error("a {role} key cannot have scope {scope:?}", scope = .scope.as_str())]
    Scope {
        /// For whom it would speak.
        role: &'static str,
        /// What it cannot do.
        scope: Scope,
    },
    /// A name cannot be stored or shown.
    #[error("{0:?} cannot be a name; give 1 to 200 characters without control characters")]
    Name(String),
    /// A stored key cannot be read.
    #[error("inconsistency in settlement.api_key {key}: {problem}")]
    Inconsistent {
        /// Which one.
        key: Uuid,
        /// What cannot be read.
        problem: &'static str,
    },
    /// Postgres failed.
    #[error("API keys could not be read or written")]
    Database(#[from] sqlx::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_shape_and_hides_itself() {
        let secret = Secret::new(Mode::Live, [0xab; 16]);
        let text = format!("pc_live_{}", "ab".repeat(16));
        assert_eq!(secret.reveal(), text);
        assert_eq!(Secret::parse(&text), Some(secret.clone()));
        assert_eq!(format!("{secret:?}"), "pc_live_…abab");
        assert!(!format!("{secret:?}").contains(&text[8..]));
        for other in [
            "",
            "pc_live_",
            "pc_prod_abababababababababababababababab",
            &text[1..],
            &text.to_uppercase(),
            &format!("{text}0"),
            &text.replace("ab", "xy"),
        ] {
            assert_eq!(Secret::parse(other), None, "{other}");
        }
    }

    #[test]
    fn small_bits_keep_their_zeros() {
        let secret = Secret::new(Mode::Test, [0; 16]);
        assert_eq!(secret.reveal(), format!("pc_test_{}", "0".repeat(32)));
    }
}
