//! Checkpoints: one signed hash over the heads of all books, for somebody outside to keep.
//!
//! Whoever may do anything to the database could rewrite a whole book with valid hashes; a copy of
//! a checkpoint outside the database is what gives that away ([`crate::verify`]). A checkpoint
//! holds each book's latest number and hash, the Merkle root over them and an Ed25519 signature, so
//! its file proves itself without the database.
//!
//! It never makes, stores or reads a key: the signing key is an argument. A signature says *who*;
//! only a public key known from elsewhere says that it was us ([`Checkpoint::check`]).
//!
//! Adding a field: add it to [`Checkpoint`], to `message` (or it can be forged), and raise
//! [`FORMAT`], so that an older program refuses the file instead of misreading it.

mod hex;
mod merkle;
mod store;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use ed25519_dalek::{Signature, VerifyingKey};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::hex::{Hex, InvalidHex};
pub use self::store::{find, latest, take};
use crate::book::BookId;
use crate::canonical::Hash;
pub use ed25519_dalek::SigningKey;
pub(crate) use merkle::{leaf, root};

/// The first thing in a checkpoint file, and in what is signed.
pub const FORMAT: &str = "counterfoil checkpoint 1";

/// The namespace of checkpoint ids (UUID version 5).
const CHECKPOINTS: Uuid = Uuid::from_u128(0x3c1a_5d1e_7f60_5b0e_8a43_2f95_9be0_6d17);

/// The public half of a signing key.
pub type PublicKey = Hex<32>;

/// A signing key from its 32 secret bytes, written as hexadecimal digits.
///
/// # Errors
/// [`InvalidHex`]; the message does not repeat the secret.
pub fn signing_key(secret: &str) -> Result<SigningKey, CheckpointError> {
    let bytes: Hex<32> = secret.trim().parse().map_err(|_| CheckpointError::Secret)?;
    Ok(SigningKey::from_bytes(&bytes.0))
}

/// The public half of a key, as checkpoints state it.
#[must_use]
pub fn public_key(key: &SigningKey) -> PublicKey {
    Hex(key.verifying_key().to_bytes())
}

/// How far one book had come at a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BookHead {
    /// The book; its id follows from the name.
    pub name: String,
    /// The number of its latest entry, 0 when it had none.
    pub number: i64,
    /// The hash of its latest entry.
    pub head: Hex<32>,
}

/// All books at one moment, signed. Its JSON is the file that an auditor keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// [`FORMAT`].
    pub format: String,
    /// Follows from root and time.
    pub id: Uuid,
    /// When, UTC, in whole microseconds.
    pub taken_at: DateTime<Utc>,
    /// By whom.
    pub taken_by: String,
    /// Why.
    pub reason: String,
    /// The Merkle root over all books.
    pub root: Hex<32>,
    /// The key that signed.
    pub public_key: PublicKey,
    /// Over format, root, time, author and reason.
    pub signature: Hex<64>,
    /// Every book there was, in the order of their ids.
    pub books: Vec<BookHead>,
}

/// What a checkpoint can fail with.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The text is no checkpoint.
    #[error("the checkpoint file cannot be read: {0}; use the file as it was exported")]
    Unreadable(#[from] serde_json::Error),
    /// Another program or version wrote it.
    #[error("the checkpoint file says it is '{0}', this version reads '{FORMAT}'")]
    Format(String),
    /// The key is not 32 bytes of hexadecimal digits.
    #[error("the signing key is not 64 hexadecimal digits; give the 32 secret bytes of the key")]
    Secret,
    /// A book is listed twice, or below zero.
    #[error("the checkpoint lists book {0:?} twice or with a number below zero; it was edited")]
    Book(String),
    /// The books are not those that were signed.
    #[error(
        "the books listed give root {computed}, the checkpoint states {stated}; a book was \
         changed, added or left out"
    )]
    Root {
        /// What the checkpoint states.
        stated: Hex<32>,
        /// What its books give.
        computed: Hex<32>,
    },
    /// The id belongs to another root or time.
    #[error(
        "the checkpoint's id {0} does not follow from its root and time; one of them was changed"
    )]
    Id(Uuid),
    /// The signature does not fit.
    #[error(
        "the signature does not fit the checkpoint's root, time, author and reason; one of them \
         was changed, or another key signed"
    )]
    Signature,
    /// Somebody else's key.
    #[error(
        "the checkpoint is signed by key {found}, not by the expected {expected}; it is not ours"
    )]
    OtherKey {
        /// The key that should have signed.
        expected: PublicKey,
        /// The key that did.
        found: PublicKey,
    },
    /// What the database holds is no checkpoint or no book.
    #[error("inconsistency in {0}; run `counterfoil verify`")]
    Inconsistent(String),
    /// Postgres failed.
    #[error("the checkpoint could not be stored or read")]
    Database(#[from] sqlx::Error),
}

/// The place of one book under a root: what proves a single book's head to whoever has the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inclusion {
    /// The book and its head.
    pub book: BookHead,
    /// Its position among the leaves.
    pub index: usize,
    /// How many leaves there are.
    pub size: usize,
    /// The neighbours on the way up, lowest first.
    pub path: Vec<Hex<32>>,
}

impl Inclusion {
    /// The root that it proves the book under; `None` when it is not well formed.
    #[must_use]
    pub fn root(&self) -> Option<Hex<32>> {
        let path: Vec<Hash> = self.path.iter().map(|hash| hash.0).collect();
        merkle::root_along(leaf_of(&self.book), self.index, self.size, &path).map(Hex)
    }
}

/// What the signature of a checkpoint covers; it covers the books through the root.
pub(crate) struct Signed<'a> {
    pub root: &'a Hash,
    pub micros: i64,
    pub by: &'a str,
    pub reason: &'a str,
}

impl Signed<'_> {
    fn message(&self) -> Vec<u8> {
        let length = u64::try_from(self.by.len()).unwrap_or(u64::MAX);
        [
            FORMAT.as_bytes(),
            &[0],
            self.root,
            &self.micros.to_be_bytes(),
            &length.to_be_bytes(),
            self.by.as_bytes(),
            self.reason.as_bytes(),
        ]
        .concat()
    }

    /// The id that a checkpoint of this root and time has.
    pub(crate) fn id(&self) -> Uuid {
        let name = [self.root.as_slice(), &self.micros.to_be_bytes()].concat();
        Uuid::new_v5(&CHECKPOINTS, &name)
    }

    /// Whether the key signed this. Strict: no weak keys, no second form of a signature.
    pub(crate) fn is_signed(&self, key: &[u8; 32], signature: &[u8; 64]) -> bool {
        VerifyingKey::from_bytes(key).is_ok_and(|key| {
            key.verify_strict(&self.message(), &Signature::from_bytes(signature))
                .is_ok()
        })
    }
}

impl Checkpoint {
    /// The file that an auditor keeps: JSON, indented, complete in itself.
    ///
    /// # Errors
    /// None in practice; JSON has a form for everything in it.
    pub fn to_json(&self) -> Result<String, CheckpointError> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// A checkpoint from its file, proved in itself ([`Checkpoint::check`]).
    ///
    /// # Errors
    /// Says what does not fit.
    pub fn from_json(text: &str) -> Result<Checkpoint, CheckpointError> {
        let checkpoint: Checkpoint = serde_json::from_str(text)?;
        checkpoint.check(None)?;
        Ok(checkpoint)
    }

    /// Proves root, id and signature again, without a database. Give the public key you know to be
    /// ours; without one, anybody may have signed.
    ///
    /// # Errors
    /// Says what does not fit.
    pub fn check(&self, expected: Option<&PublicKey>) -> Result<(), CheckpointError> {
        if self.format != FORMAT {
            return Err(CheckpointError::Format(self.format.clone()));
        }
        let mut seen = BTreeSet::new();
        for book in &self.books {
            if book.number < 0 || !seen.insert(BookId::of_name(&book.name)) {
                return Err(CheckpointError::Book(book.name.clone()));
            }
        }
        let computed = Hex(root(&leaves(&self.books)));
        if computed != self.root {
            return Err(CheckpointError::Root {
                stated: self.root,
                computed,
            });
        }
        let signed = self.signed();
        if signed.id() != self.id || !self.taken_at.timestamp_subsec_nanos().is_multiple_of(1000) {
            return Err(CheckpointError::Id(self.id));
        }
        if !signed.is_signed(&self.public_key.0, &self.signature.0) {
            return Err(CheckpointError::Signature);
        }
        match expected {
            Some(&expected) if expected != self.public_key => Err(CheckpointError::OtherKey {
                expected,
                found: self.public_key,
            }),
            _ => Ok(()),
        }
    }

    /// The proof that one book stands under the root as listed; `None` for a book not listed.
    #[must_use]
    pub fn inclusion(&self, book: &str) -> Option<Inclusion> {
        let books = in_order(&self.books);
        let index = books.iter().position(|listed| listed.name == book)?;
        let leaves: Vec<Hash> = books.iter().map(|book| leaf_of(book)).collect();
        Some(Inclusion {
            book: books[index].clone(),
            index,
            size: leaves.len(),
            path: merkle::path(&leaves, index).into_iter().map(Hex).collect(),
        })
    }

    fn signed(&self) -> Signed<'_> {
        Signed {
            root: &self.root.0,
            micros: self.taken_at.timestamp_micros(),
            by: &self.taken_by,
            reason: &self.reason,
        }
    }
}

/// Books in the order of the leaves: by id.
fn in_order(books: &[BookHead]) -> Vec<&BookHead> {
    let mut books: Vec<&BookHead> = books.iter().collect();
    books.sort_by_key(|book| BookId::of_name(&book.name));
    books
}

fn leaves(books: &[BookHead]) -> Vec<Hash> {
    in_order(books).into_iter().map(leaf_of).collect()
}

fn leaf_of(book: &BookHead) -> Hash {
    leaf(
        BookId::of_name(&book.name).value(),
        book.number,
        &book.head.0,
    )
}
