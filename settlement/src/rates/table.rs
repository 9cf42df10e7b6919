//! Pure: which stored rates make the rate between two currencies on a day.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Days, NaiveDate, Utc};
use ledger::Currency;
use rust_decimal::{Decimal, RoundingStrategy};

use super::{DIGITS, MAX_AGE_DAYS, Quote};

/// A stored rate: one `base` was worth `rate` of `quote`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRow {
    /// The currency of one unit.
    pub base: Currency,
    /// The currency it is expressed in.
    pub quote: Currency,
    /// Its day.
    pub day: NaiveDate,
    /// How much of `quote`.
    pub rate: Decimal,
    /// Who published it.
    pub source: String,
    /// When it was stored.
    pub recorded_at: DateTime<Utc>,
}

/// Stored rates, by pair and day; the latest revision of each.
#[derive(Debug, Clone, Default)]
pub struct Table {
    pairs: HashMap<(Currency, Currency), BTreeMap<NaiveDate, TableRow>>,
}

impl FromIterator<TableRow> for Table {
    /// Of several rows for one pair and day the last one counts.
    fn from_iter<I: IntoIterator<Item = TableRow>>(rows: I) -> Table {
        let mut table = Table::default();
        for row in rows {
            let days = table.pairs.entry((row.base, row.quote)).or_default();
            days.insert(row.day, row);
        }
        table
    }
}

/// A rate in the making: what it is worth, and the stored rates it is made of.
struct Leg<'t> {
    /// `rate` as a fraction, so that nothing is divided twice.
    over: Decimal,
    under: Decimal,
    rows: Vec<&'t TableRow>,
}

impl Table {
    /// The rate from one currency to another for an order of that day; none if nothing is stored
    /// that is recent enough.
    #[must_use]
    pub fn resolve(&self, from: Currency, into: Currency, day: NaiveDate) -> Option<Quote> {
        let direct = self
            .days(from, into, day)
            .find_map(|on| self.leg(from, into, on));
        let leg = match direct {
            Some(leg) => leg,
            None => self.over_euro(from, into, day)?,
        };
        let first = leg.rows.first()?;
        let rate = if leg.under == Decimal::ONE {
            leg.over
        } else {
            let exact = leg.over.checked_div(leg.under)?;
            exact.round_sf_with_strategy(DIGITS, RoundingStrategy::MidpointNearestEven)?
        };
        let mut sources: Vec<&str> = leg.rows.iter().map(|row| row.source.as_str()).collect();
        sources.dedup();
        let of = |row: &&TableRow| format!("{}/{} {}", row.base, row.quote, row.rate);
        Some(Quote {
            rate: rate.normalize(),
            day: first.day,
            source: sources.join(", "),
            recorded_at: leg.rows.iter().map(|row| row.recorded_at).max()?,
            legs: leg.rows.iter().map(of).collect(),
        })
    }

    /// The latest day on which both legs over the euro are stored.
    fn over_euro(&self, from: Currency, into: Currency, day: NaiveDate) -> Option<Leg<'_>> {
        if from == Currency::EUR || into == Currency::EUR {
            return None;
        }
        self.days(from, Currency::EUR, day).find_map(|on| {
            let one = self.leg(from, Currency::EUR, on)?;
            let other = self.leg(Currency::EUR, into, on)?;
            Some(Leg {
                over: one.over.checked_mul(other.over)?,
                under: one.under.checked_mul(other.under)?,
                rows: one.rows.into_iter().chain(other.rows).collect(),
            })
        })
    }

    /// The days on which a pair is stored either way round, latest first, from the order's back to
    /// the oldest that still counts.
    fn days(
        &self,
        from: Currency,
        into: Currency,
        day: NaiveDate,
    ) -> impl Iterator<Item = NaiveDate> {
        (0..=MAX_AGE_DAYS)
            .filter_map(move |back| day.checked_sub_days(Days::new(back)))
            .filter(move |on| self.leg(from, into, *on).is_some())
    }

    fn leg(&self, from: Currency, into: Currency, on: NaiveDate) -> Option<Leg<'_>> {
        let row = |base, quote| self.pairs.get(&(base, quote))?.get(&on);
        if let Some(row) = row(from, into) {
            return Some(Leg {
                over: row.rate,
                under: Decimal::ONE,
                rows: vec![row],
            });
        }
        row(into, from).map(|row| Leg {
            over: Decimal::ONE,
            under: row.rate,
            rows: vec![row],
        })
    }
}
