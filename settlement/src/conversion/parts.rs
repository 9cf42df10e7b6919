//! Pure: how several publishers share what one conversion earns.
//!
//! First split by weight, largest remainder first. What a refund takes away later is split by the
//! parts as they stand, so that no part ever grows or falls below zero, and a refund of everything,
//! in however many pieces, leaves nothing of any of them.

use ledger::money::{MoneyError, allocate};
use ledger::{Currency, Money};
use uuid::Uuid;

use super::ConversionRef;
use super::stored::Stored;
use crate::attribution::decision::Credit;

/// The part of one credited touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub credit: Credit,
    pub due: Money,
}

/// Publisher, click, weight and amount of a part, as stored.
type Row = (Uuid, Option<Uuid>, u64, i64);

/// All parts of a conversion, in order of their touches; none where one publisher earns all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Parts(pub Vec<Part>);

impl Parts {
    /// The whole split by weight.
    pub(super) fn of(credits: &[Credit], whole: Money) -> Result<Parts, MoneyError> {
        if credits.is_empty() {
            return Ok(Parts::default());
        }
        let weights: Vec<u64> = credits.iter().map(|credit| credit.weight).collect();
        let dues = allocate(whole, &weights)?;
        let parts = credits.iter().zip(dues).map(|(credit, due)| Part {
            credit: *credit,
            due,
        });
        Ok(Parts(parts.collect()))
    }

    /// As stored: an array of publisher, click, weight and amount for each part.
    pub(super) fn read(stored: Option<serde_json::Value>, currency: Currency) -> Option<Parts> {
        let Some(stored) = stored else {
            return Some(Parts::default());
        };
        let rows: Vec<Row> = serde_json::from_value(stored).ok()?;
        let part = |(publisher, click, weight, due): Row| {
            let credit = Credit {
                publisher,
                click,
                weight,
            };
            let due = Money::try_from_minor(due, currency).ok()?;
            Some(Part { credit, due })
        };
        rows.into_iter().map(part).collect::<Option<_>>().map(Parts)
    }

    /// The parts when the whole becomes this: less is taken by the parts as they stand, more is
    /// given by weight.
    pub(super) fn to(&self, whole: Money) -> Result<Parts, MoneyError> {
        let stands = Money::sum(whole.currency(), self.0.iter().map(|part| part.due))?;
        let more = whole.checked_sub(stands)?;
        if self.0.is_empty() || more.is_zero() {
            return Ok(self.clone());
        }
        let weigh = |part: &Part| {
            if more.is_negative() {
                part.due.minor().unsigned_abs()
            } else {
                part.credit.weight
            }
        };
        let weights: Vec<u64> = self.0.iter().map(weigh).collect();
        let changes = allocate(more, &weights)?;
        let parts = self.0.iter().zip(changes).map(|(part, change)| {
            Ok(Part {
                due: part.due.checked_add(change)?,
                ..*part
            })
        });
        parts.collect::<Result<_, MoneyError>>().map(Parts)
    }

    /// How much each publisher has, each once.
    pub(super) fn split(&self) -> Result<Vec<(Uuid, Money)>, MoneyError> {
        let mut split: Vec<(Uuid, Money)> = Vec::new();
        for part in &self.0 {
            let publisher = part.credit.publisher;
            match split.iter_mut().find(|(whose, _)| *whose == publisher) {
                Some((_, due)) => *due = due.checked_add(part.due)?,
                None => split.push((publisher, part.due)),
            }
        }
        Ok(split)
    }

    /// The rows of these parts at a version.
    pub(super) fn rows(&self, reference: ConversionRef, version: i32) -> Vec<CreditRow> {
        (1..)
            .zip(&self.0)
            .map(|(position, part)| CreditRow {
                reference,
                version,
                position,
                part: *part,
            })
            .collect()
    }

    /// How much less each publisher has in `after`, which has the same publishers.
    pub(super) fn less(&self, after: &Parts) -> Result<Vec<(Uuid, Money)>, MoneyError> {
        let (before, after) = (self.split()?, after.split()?);
        let less = before
            .into_iter()
            .zip(after)
            .map(|((whose, had), (_, has))| Ok((whose, had.checked_sub(has)?)));
        less.collect()
    }
}

/// A part at a version of its conversion, to be written.
#[derive(Debug, Clone)]
pub(super) struct CreditRow {
    pub reference: ConversionRef,
    pub version: i32,
    pub position: i16,
    pub part: Part,
}

/// The rows of the parts of a conversion, if they are not what they were; it then names them.
pub(super) fn credits_of(after: &mut Stored, before: &Parts) -> Vec<CreditRow> {
    if after.parts == *before {
        return Vec::new();
    }
    after.credit_version = (!after.parts.0.is_empty()).then_some(after.version);
    after.parts.rows(after.reference, after.version)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn credits() -> impl Strategy<Value = Vec<Credit>> {
        let credit = (0..4_u128, 1..1_000_000_u64).prop_map(|(publisher, weight)| Credit {
            publisher: Uuid::from_u128(publisher),
            click: None,
            weight,
        });
        vec(credit, 2..8)
    }

    fn currency() -> impl Strategy<Value = Currency> {
        prop::sample::select(
            ["USD", "JPY", "KWD", "USDT"]
                .map(|code| code.parse().unwrap())
                .to_vec(),
        )
    }

    proptest! {
        #[test]
        fn the_parts_are_the_whole_and_any_split_of_a_full_refund_leaves_nothing_of_any(
            credits in credits(), currency in currency(), minor in 0..10_000_000_i64,
            left in vec(0..10_000_000_i64, 0..12),
        ) {
            let money = |minor| Money::try_from_minor(minor, currency).unwrap();
            let mut parts = Parts::of(&credits, money(minor)).unwrap();
            let mut stages: Vec<i64> = left.into_iter().filter(|left| *left < minor).collect();
            stages.sort_unstable();
            for stage in stages.into_iter().rev().chain([0]) {
                let next = parts.to(money(stage)).unwrap();
                let sum = Money::sum(currency, next.0.iter().map(|part| part.due)).unwrap();
                prop_assert_eq!(sum, money(stage));
                for (had, has) in parts.0.iter().zip(&next.0) {
                    prop_assert!(!has.due.is_negative() && has.due.minor() <= had.due.minor());
                }
                let less = parts.less(&next).unwrap();
                prop_assert!(less.iter().all(|(_, less)| !less.is_negative()));
                parts = next;
            }
            prop_assert!(parts.0.iter().all(|part| part.due.is_zero()));
            let again = parts.to(money(minor)).unwrap();
            prop_assert_eq!(again, Parts::of(&credits, money(minor)).unwrap());
        }
    }
}
