//! Pure: the periods that people ask for, in days of the accounting zone.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use chrono_tz::Tz;

/// Which days count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Period {
    /// Today.
    Today,
    /// Today and the six days before.
    Week,
    /// Today and the 29 days before.
    Month,
    /// Everything.
    All,
}

/// The beginning of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since {
    /// Its first moment, UTC.
    pub at: DateTime<Utc>,
    /// Its first day in the accounting zone.
    pub day: NaiveDate,
}

impl Period {
    /// What may be asked for, in words.
    pub const NAMES: [&'static str; 4] = ["today", "7d", "30d", "all"];

    /// The period of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Period> {
        match name {
            "today" => Some(Period::Today),
            "7d" => Some(Period::Week),
            "30d" => Some(Period::Month),
            "all" => Some(Period::All),
            _ => None,
        }
    }

    /// Where it begins, as of a moment.
    #[must_use]
    pub fn since(self, now: DateTime<Utc>, zone: Tz) -> Since {
        let today = now.with_timezone(&zone).date_naive();
        let back = match self {
            Period::Today => 0,
            Period::Week => 6,
            Period::Month => 29,
            Period::All => {
                let at = DateTime::UNIX_EPOCH;
                let day = at.date_naive();
                return Since { at, day };
            }
        };
        let day = today.checked_sub_days(Days::new(back)).unwrap_or(today);
        // Where a clock is put forward at midnight, the day begins with its first moment.
        let first = (0..=3).find_map(|hour| {
            let time = NaiveTime::from_hms_opt(hour, 0, 0)?;
            day.and_time(time).and_local_timezone(zone).earliest()
        });
        let at = first.map_or(day.and_time(NaiveTime::MIN).and_utc(), |at| at.to_utc());
        Since { at, day }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn since(period: &str, now: &str, zone: Tz) -> (String, String) {
        let now: DateTime<Utc> = now.parse().unwrap();
        let since = Period::named(period).unwrap().since(now, zone);
        (since.at.to_rfc3339(), since.day.to_string())
    }

    #[test]
    fn a_day_begins_at_midnight_of_the_accounting_zone() {
        let of = |period| since(period, "2026-03-01T01:30:00Z", Tz::America__New_York);
        let starts = |at: &str, day: &str| (at.to_owned(), day.to_owned());
        assert_eq!(
            of("today"),
            starts("2026-02-28T05:00:00+00:00", "2026-02-28")
        );
        assert_eq!(of("7d"), starts("2026-02-22T05:00:00+00:00", "2026-02-22"));
        assert_eq!(of("30d"), starts("2026-01-30T05:00:00+00:00", "2026-01-30"));
        assert_eq!(of("all").1, "1970-01-01");
    }

    #[test]
    fn a_day_without_midnight_begins_an_hour_later() {
        // Chile puts its clocks forward at midnight.
        let day = since("today", "2026-09-06T12:00:00Z", Tz::America__Santiago);
        assert_eq!(day.0, "2026-09-06T04:00:00+00:00");
    }

    #[test]
    fn every_name_is_a_period() {
        assert!(
            Period::NAMES
                .iter()
                .all(|name| Period::named(name).is_some())
        );
        assert_eq!(Period::named("1y"), None);
    }
}
