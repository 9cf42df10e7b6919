//! Which clicks came a moment ago, for telling that another repeats them. Affects counts only, so
//! it lies in this process's memory, is bounded, and may forget.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

/// How many visitors are remembered in each half; the older half is forgotten when one is full.
const HALF: usize = 200_000;

/// A click that others may repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Earlier {
    /// Its id.
    pub(super) click: Uuid,
    /// When, UTC.
    pub(super) at: DateTime<Utc>,
    /// What its visitor carries.
    pub(super) carried: String,
}

/// The latest counted click of each visitor.
#[derive(Default)]
pub(super) struct Recent {
    hasher: RandomState,
    halves: Mutex<(HashMap<u64, Earlier>, HashMap<u64, Earlier>)>,
}

impl Recent {
    /// The click that one of this visitor repeats, if one came within the window, edge included;
    /// otherwise this one is remembered, and others may repeat it.
    pub(super) fn repeats(
        &self,
        visitor: impl Hash,
        window: TimeDelta,
        this: &Earlier,
    ) -> Option<Earlier> {
        let visitor = self.hasher.hash_one(visitor);
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        let (new, old) = &mut *halves;
        let known = new.get(&visitor).or_else(|| old.get(&visitor));
        if let Some(earlier) = known
            && this.at - earlier.at <= window
        {
            return Some(earlier.clone());
        }
        if new.len() >= HALF {
            std::mem::swap(new, old);
            new.clear();
        }
        new.insert(visitor, this.clone());
        None
    }

    /// A number for a visitor, as limits count by.
    pub(super) fn number(&self, visitor: impl Hash) -> u64 {
        self.hasher.hash_one(visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_click_repeats_the_first_one_up_to_the_edge_of_the_window_and_no_longer() {
        let recent = Recent::default();
        let window = TimeDelta::seconds(15);
        let at = |micros: i64| Earlier {
            click: Uuid::from_u128(u128::try_from(micros).unwrap()),
            at: DateTime::from_timestamp_micros(micros).unwrap(),
            carried: String::new(),
        };
        assert_eq!(recent.repeats("a", window, &at(0)), None);
        assert_eq!(recent.repeats("a", window, &at(15_000_000)), Some(at(0)));
        assert_eq!(recent.repeats("b", window, &at(15_000_000)), None);
        assert_eq!(recent.repeats("a", window, &at(15_000_001)), None);
        // A window counts from the click that counted, not from those that repeated it.
        assert_eq!(
            recent.repeats("a", window, &at(30_000_001)),
            Some(at(15_000_001))
        );
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let recent = Recent::default();
        let this = Earlier {
            click: Uuid::nil(),
            at: DateTime::UNIX_EPOCH,
            carried: String::new(),
        };
        for visitor in 0..3 * HALF {
            recent.repeats(visitor, TimeDelta::zero(), &this);
        }
        let halves = recent.halves.lock().unwrap();
        assert!(halves.0.len() <= HALF && halves.1.len() <= HALF);
    }
}
