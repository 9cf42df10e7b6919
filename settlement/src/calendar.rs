//! Pure: days on which banks work, and the moments at which work is due.
//!
//! [`Holidays`] knows which days a payment system rests, [`Holidays::next_business_day`] where a
//! payout goes that falls on one. A [`Schedule`] is a wall-clock time in an accounting zone, and
//! [`Schedule::due`] lists its moments between two others, oldest first, so that what was missed
//! while nothing ran is done in order.
//!
//! What it never does: read a clock, or assume that a day has 24 hours. A wall-clock time that the
//! zone skips (spring) is the first moment after the gap; one that comes twice (autumn) is the
//! first of the two: every slot happens exactly once.
//!
//! # Adding a payment system
//!
//! A variant of [`Holidays`], a function in `holidays.rs` that lists a year, its published list as
//! a test.

mod holidays;

use chrono::{
    DateTime, Datelike, Days, LocalResult, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc,
};
use chrono_tz::Tz;

/// Whose holidays count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holidays {
    /// Saturdays and Sundays only.
    #[default]
    Weekends,
    /// The Federal Reserve's: no ACH moves on them.
    FederalReserve,
    /// The Eurosystem's (TARGET): no SEPA payment settles on them.
    Target,
}

impl Holidays {
    /// Whether payments move on this day.
    #[must_use]
    pub fn is_business_day(self, day: NaiveDate) -> bool {
        let weekend = day.weekday().number_from_monday() > 5;
        let holiday = match self {
            Self::Weekends => false,
            Self::FederalReserve => holidays::federal_reserve(day),
            Self::Target => holidays::target(day),
        };
        !weekend && !holiday
    }

    /// This day, or the first business day after it.
    #[must_use]
    pub fn next_business_day(self, day: NaiveDate) -> NaiveDate {
        // No payment system rests for more than a few days.
        day.iter_days()
            .find(|day| self.is_business_day(*day))
            .unwrap_or(day)
    }

    /// The business day that lies this many business days after a day.
    #[must_use]
    pub fn business_days_after(self, day: NaiveDate, count: usize) -> NaiveDate {
        let mut later = day.iter_days().skip(1).filter(|d| self.is_business_day(*d));
        match count.checked_sub(1) {
            None => self.next_business_day(day),
            Some(skipped) => later.nth(skipped).unwrap_or(day),
        }
    }
}

/// How often work is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    /// On the hour, by the clock of UTC.
    Hour,
    /// Each day at this wall-clock time.
    Day(NaiveTime),
    /// Each month on this day (the last one of a shorter month) at this wall-clock time.
    Month(u32, NaiveTime),
    /// As [`Every::Month`], but on the next business day where that day is none.
    BusinessMonth(u32, NaiveTime, Holidays),
    /// Each year on this month and day at this wall-clock time.
    Year(u32, u32, NaiveTime),
}

/// When work is due, in a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// How often.
    pub every: Every,
    /// In whose wall-clock time.
    pub zone: Tz,
}

/// One time that work is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    /// The moment, UTC.
    pub at: DateTime<Utc>,
    /// Its business date in the zone: what the work is about, whenever it is done.
    pub day: NaiveDate,
}

impl Schedule {
    /// The slots after a moment, up to and including another; oldest first.
    #[must_use]
    pub fn due(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Slot> {
        if until <= after {
            return Vec::new();
        }
        if self.every == Every::Hour {
            return self.hours(after, until);
        }
        // A slot may move: to the next business day, or out of a gap of the clock.
        let margin = Days::new(14);
        let local = |at: DateTime<Utc>| at.with_timezone(&self.zone).date_naive();
        let first = local(after)
            .checked_sub_days(margin)
            .unwrap_or(local(after));
        let last = local(until);
        self.days(first, last)
            .filter_map(|(day, time)| {
                Some(Slot {
                    at: self.moment(day, time)?,
                    day,
                })
            })
            .filter(|slot| slot.at > after && slot.at <= until)
            .collect()
    }

    fn hours(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Slot> {
        let past = TimeDelta::seconds(after.timestamp().rem_euclid(3600))
            + TimeDelta::nanoseconds(i64::from(after.timestamp_subsec_nanos()));
        std::iter::successors(Some(after - past + TimeDelta::hours(1)), |at| {
            Some(*at + TimeDelta::hours(1))
        })
        .take_while(|at| *at <= until)
        .map(|at| Slot {
            at,
            day: at.with_timezone(&self.zone).date_naive(),
        })
        .collect()
    }

    /// The days on which something is due, with the wall-clock time, in order.
    fn days(
        &self,
        first: NaiveDate,
        last: NaiveDate,
    ) -> Box<dyn Iterator<Item = (NaiveDate, NaiveTime)> + '_> {
        match self.every {
            // Hours are counted in UTC, above.
            Every::Hour => Box::new(std::iter::empty()),
            Every::Day(time) => Box::new(
                first
                    .iter_days()
                    .take_while(move |day| *day <= last)
                    .map(move |day| (day, time)),
            ),
            Every::Month(day, time) => {
                Box::new(months(first, last).map(move |month| (day_of(month, day), time)))
            }
            Every::BusinessMonth(day, time, holidays) => Box::new(
                months(first, last)
                    .map(move |month| (holidays.next_business_day(day_of(month, day)), time)),
            ),
            Every::Year(month, day, time) => Box::new(
                months(first, last)
                    .filter(move |first| first.month() == month)
                    .map(move |month| (day_of(month, day), time)),
            ),
        }
    }

    /// The moment of a wall-clock time in the zone.
    fn moment(&self, day: NaiveDate, time: NaiveTime) -> Option<DateTime<Utc>> {
        let wall = day.and_time(time);
        // No zone skips more than a day (Samoa skipped 30 December 2011 whole).
        (0..=24 * 4)
            .map(|quarter| wall + TimeDelta::minutes(15 * quarter))
            .find_map(|wall| match self.zone.from_local_datetime(&wall) {
                LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => Some(at.to_utc()),
                LocalResult::None => None,
            })
    }
}

/// The first days of the months that a span touches.
fn months(first: NaiveDate, last: NaiveDate) -> impl Iterator<Item = NaiveDate> {
    std::iter::successors(first.with_day(1), |month| {
        month.checked_add_months(Months::new(1))
    })
    .take_while(move |month| *month <= last)
}

/// A day of a month, or its last one.
fn day_of(month: NaiveDate, day: u32) -> NaiveDate {
    (1..=day)
        .rev()
        .find_map(|day| month.with_day(day))
        .unwrap_or(month)
}

#[cfg(test)]
mod tests;
