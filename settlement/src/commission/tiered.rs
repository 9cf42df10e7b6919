//! Better terms for publishers who sell more, or who were promised them.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use ledger::money::Money;
use serde::{Deserialize, Serialize};

use super::{CommissionError, FrozenRate, Standing};

/// A table of tiers, from the entry upwards. The tier is chosen when a conversion is recorded, by
/// what the publisher sold *before* that order, and stays: later sales change later conversions.
///
/// Only [`Tiered::new`] builds one (also from JSON), so a newcomer always has a tier, the steps
/// rise, and all of them count the same thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Table")]
pub struct Tiered {
    tiers: Vec<Tier>,
}

/// One tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// What it is called, here and in what the publisher sees.
    pub name: String,
    /// The volume from which on a publisher is in it. Without one, it is given by hand only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Volume>,
    /// What an order pays in it.
    pub pays: FrozenRate,
}

/// What was sold so far, in one of two measures: `{"orders":100}` or
/// `{"order_value":{"amount":"5000.00","currency":"USD"}}`. Over which time it is counted is a term
/// of the program; a refund or a reversal does not reopen what was decided by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Volume {
    /// How many orders.
    Orders(u64),
    /// What they were worth together.
    OrderValue(Money),
}

impl Volume {
    const fn measure(self) -> &'static str {
        match self {
            Self::Orders(_) => "orders",
            Self::OrderValue(_) => "order values",
        }
    }

    const fn is_zero(self) -> bool {
        match self {
            Self::Orders(count) => count == 0,
            Self::OrderValue(value) => value.is_zero(),
        }
    }

    fn compare(self, volume: Volume) -> Result<Ordering, CommissionError> {
        match (self, volume) {
            (Self::Orders(tier), Self::Orders(volume)) => Ok(tier.cmp(&volume)),
            (Self::OrderValue(tier), Self::OrderValue(volume)) => Ok(tier.compare(volume)?),
            (Self::Orders(_), Self::OrderValue(_)) | (Self::OrderValue(_), Self::Orders(_)) => {
                Err(CommissionError::OtherMeasure {
                    tiers: self.measure(),
                    volume: volume.measure(),
                })
            }
        }
    }
}

impl Tiered {
    /// Checks the table. Tiers with a `from` stand in rising order and begin at zero.
    pub fn new(tiers: Vec<Tier>) -> Result<Self, CommissionError> {
        let mut names = BTreeSet::new();
        let mut before: Option<Volume> = None;
        for tier in &tiers {
            if !names.insert(&tier.name) {
                return Err(CommissionError::RepeatedTier(tier.name.clone()));
            }
            let Some(from) = tier.from else { continue };
            match before {
                None if !from.is_zero() => return Err(CommissionError::NoEntryTier),
                Some(before) if before.compare(from)?.is_ge() => {
                    return Err(CommissionError::TiersOutOfOrder(tier.name.clone()));
                }
                None | Some(_) => before = Some(from),
            }
        }
        if before.is_none() {
            return Err(CommissionError::NoEntryTier);
        }
        Ok(Self { tiers })
    }

    /// All tiers, from the entry upwards.
    #[must_use]
    pub fn tiers(&self) -> &[Tier] {
        &self.tiers
    }

    /// A volume of zero, in the measure and currency in which this table counts.
    pub(super) fn entry(&self) -> Volume {
        let entry = self.tiers.iter().find_map(|tier| tier.from);
        entry.expect("a table without an entry tier is never built")
    }

    /// The tier given by hand, or the highest one that the volume reaches.
    pub fn tier_of(&self, standing: &Standing) -> Result<&Tier, CommissionError> {
        if let Some(name) = &standing.assigned {
            let given = self.tiers.iter().find(|tier| tier.name == *name);
            return given.ok_or_else(|| CommissionError::UnknownTier(name.clone()));
        }
        let volume = standing.volume.ok_or(CommissionError::NoVolume)?;
        let mut reached: Option<&Tier> = None;
        for tier in &self.tiers {
            let Some(from) = tier.from else { continue };
            // The entry holds whoever has less than nothing, too: refunds can outrun a month.
            if from.compare(volume)?.is_le() || reached.is_none() {
                reached = Some(tier);
            }
        }
        reached.ok_or(CommissionError::NoEntryTier)
    }
}

/// The table as JSON has it, unchecked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    tiers: Vec<Tier>,
}

impl TryFrom<Table> for Tiered {
    type Error = CommissionError;

    fn try_from(table: Table) -> Result<Self, CommissionError> {
        Self::new(table.tiers)
    }
}
