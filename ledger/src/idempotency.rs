//! Pure: one fact, one entry.
//!
//! A key names a fact and the thing it is about, so the same fact always yields the same entry id
//! in its book. Posting it again is a replay; posting something else under it is a conflict. Keys
//! never expire.

use std::fmt;

use uuid::Uuid;

use crate::book::BookId;
use crate::entry::EntryId;

/// The namespace of entry ids (UUID version 5 of "counterfoil:entry" in the URL namespace).
const ENTRIES: Uuid = Uuid::from_u128(0x7be1_35b0_0d1f_5c3e_9f0a_64d2_5a2c_71c4);

/// Names the fact, so that the same fact always yields the same key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey {
    fact: &'static str,
    id: String,
}

impl IdempotencyKey {
    /// The key of a fact about a thing: `IdempotencyKey::of("conversion.approved", conversion_id)`.
    pub fn of(fact: &'static str, id: impl fmt::Display) -> IdempotencyKey {
        IdempotencyKey {
            fact,
            id: id.to_string(),
        }
    }

    /// The fact alone; it becomes the entry's kind.
    #[must_use]
    pub fn fact(&self) -> &'static str {
        self.fact
    }

    /// The entry that this fact has in a book, whether it is posted or not.
    #[must_use]
    pub fn entry_id(&self, book: BookId) -> EntryId {
        let name = format!("{}\u{1f}{}\u{1f}{}", book.value(), self.fact, self.id);
        EntryId::from(Uuid::new_v5(&ENTRIES, name.as_bytes()))
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.fact, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_fact_has_one_entry_per_book() {
        let key = IdempotencyKey::of("conversion.approved", 7);
        let (acme, zoe) = (BookId::of_name("acme"), BookId::of_name("zoe"));
        assert_eq!(
            key.entry_id(acme),
            IdempotencyKey::of("conversion.approved", 7).entry_id(acme)
        );
        assert_ne!(key.entry_id(acme), key.entry_id(zoe));
        assert_ne!(
            key.entry_id(acme),
            IdempotencyKey::of("conversion.approved", 8).entry_id(acme)
        );
    }
}
