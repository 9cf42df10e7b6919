//! Pure: holidays as rules, for every year.

use chrono::{Datelike, Days, NaiveDate, Weekday};

/// The Federal Reserve Banks' eleven holidays. One that falls on a Sunday is kept on the Monday
/// after; one on a Saturday is not moved, and the day before is an ordinary one.
/// Source: federalreserve.gov, "Holidays Observed - K.8".
pub(super) fn federal_reserve(day: NaiveDate) -> bool {
    let observed = |month: u32, date: u32| {
        let falls = |day: NaiveDate| (day.month(), day.day()) == (month, date);
        let sunday = day
            .pred_opt()
            .filter(|before| before.weekday() == Weekday::Sun);
        falls(day) || (day.weekday() == Weekday::Mon && sunday.is_some_and(falls))
    };
    let nth = |month: u32, weekday: Weekday, n: u32| {
        day.month() == month && day.weekday() == weekday && day.day().div_ceil(7) == n
    };
    let last_monday_of_may = day.month() == 5 && day.weekday() == Weekday::Mon && day.day() > 24;
    observed(1, 1)
        || nth(1, Weekday::Mon, 3)
        || nth(2, Weekday::Mon, 3)
        || last_monday_of_may
        || (observed(6, 19) && day.year() >= 2021)
        || observed(7, 4)
        || nth(9, Weekday::Mon, 1)
        || nth(10, Weekday::Mon, 2)
        || observed(11, 11)
        || nth(11, Weekday::Thu, 4)
        || observed(12, 25)
}

/// The closing days of TARGET: New Year, Good Friday, Easter Monday, 1 May, Christmas, 26 December.
/// Source: ecb.europa.eu, "TARGET calendar", long-term rule since 2002.
pub(super) fn target(day: NaiveDate) -> bool {
    let fixed = matches!((day.month(), day.day()), (1 | 5, 1) | (12, 25 | 26));
    fixed
        || easter(day.year()).is_some_and(|easter| {
            easter.checked_sub_days(Days::new(2)) == Some(day) || easter.succ_opt() == Some(day)
        })
}

/// Easter Sunday of the Gregorian calendar (Meeus, Jones and Butcher).
fn easter(year: i32) -> Option<NaiveDate> {
    let golden = year % 19;
    let (century, rest) = (year / 100, year % 100);
    let moon =
        (19 * golden + century - century / 4 - (century - (century + 8) / 25 + 1) / 3 + 15) % 30;
    let weekday = (32 + 2 * (century % 4) + 2 * (rest / 4) - moon - rest % 4) % 7;
    let correction = (golden + 11 * moon + 22 * weekday) / 451;
    let sum = moon + weekday - 7 * correction + 114;
    let month = u32::try_from(sum / 31).ok()?;
    let day = u32::try_from(sum % 31 + 1).ok()?;
    NaiveDate::from_ymd_opt(year, month, day)
}
