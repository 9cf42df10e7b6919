use proptest::prelude::*;

use super::*;

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn time(text: &str) -> NaiveTime {
    text.parse().unwrap()
}

fn listed(holidays: Holidays, year: i32) -> Vec<String> {
    NaiveDate::from_ymd_opt(year, 1, 1)
        .unwrap()
        .iter_days()
        .take_while(|day| day.year() == year)
        .filter(|day| !holidays.is_business_day(*day) && Holidays::Weekends.is_business_day(*day))
        .map(|day| day.format("%m-%d").to_string())
        .collect()
}

#[test]
fn the_federal_reserve_rests_on_the_days_it_publishes() {
    let in_2026 = [
        "01-01", "01-19", "02-16", "05-25", "06-19", "09-07", "10-12", "11-11", "11-26", "12-25",
    ];
    // Independence Day 2026 is a Saturday: not moved.
    assert_eq!(listed(Holidays::FederalReserve, 2026), in_2026);
    let in_2027 = [
        "01-01", "01-18", "02-15", "05-31", "07-05", "09-06", "10-11", "11-11", "11-25",
    ];
    // Juneteenth and Christmas 2027 are Saturdays; the Fourth of July is a Sunday.
    assert_eq!(listed(Holidays::FederalReserve, 2027), in_2027);
}

#[test]
fn target_closes_on_the_days_it_publishes() {
    assert_eq!(
        listed(Holidays::Target, 2026),
        ["01-01", "04-03", "04-06", "05-01", "12-25"]
    );
    assert_eq!(
        listed(Holidays::Target, 2024),
        ["01-01", "03-29", "04-01", "05-01", "12-25", "12-26"]
    );
}

#[test]
fn a_payout_day_without_payments_moves_to_the_next_one_with() {
    let fed = Holidays::FederalReserve;
    assert_eq!(fed.next_business_day(day("2026-02-15")), day("2026-02-17"));
    assert_eq!(fed.next_business_day(day("2026-01-15")), day("2026-01-15"));
    assert_eq!(
        fed.business_days_after(day("2026-11-25"), 1),
        day("2026-11-27")
    );
    assert_eq!(
        fed.business_days_after(day("2026-11-25"), 0),
        day("2026-11-25")
    );
    assert_eq!(
        Holidays::Target.next_business_day(day("2026-04-03")),
        day("2026-04-07")
    );
}

fn due(every: Every, zone: Tz, after: &str, until: &str) -> Vec<String> {
    Schedule { every, zone }
        .due(at(after), at(until))
        .into_iter()
        .map(|slot| format!("{} {}", slot.day, slot.at.format("%Y-%m-%dT%H:%MZ")))
        .collect()
}

#[test]
fn a_day_that_skips_or_repeats_an_hour_has_one_slot() {
    let half_past_two = Every::Day(time("02:30:00"));
    let berlin = Tz::Europe__Berlin;
    assert_eq!(
        due(
            half_past_two,
            berlin,
            "2026-03-28T12:00:00Z",
            "2026-03-30T12:00:00Z"
        ),
        [
            "2026-03-29 2026-03-29T01:00Z",
            "2026-03-30 2026-03-30T00:30Z"
        ]
    );
    assert_eq!(
        due(
            half_past_two,
            berlin,
            "2026-10-24T12:00:00Z",
            "2026-10-26T12:00:00Z"
        ),
        [
            "2026-10-25 2026-10-25T00:30Z",
            "2026-10-26 2026-10-26T01:30Z"
        ]
    );
    // Samoa crossed the date line: 30 December 2011 never was.
    assert_eq!(
        due(
            Every::Day(time("06:00:00")),
            Tz::Pacific__Apia,
            "2011-12-29T17:00:00Z",
            "2011-12-31T17:00:00Z"
        )
        .len(),
        3
    );
}

#[test]
fn months_are_short_and_leap_years_come() {
    let close = Every::Month(31, time("00:05:00"));
    assert_eq!(
        due(
            close,
            Tz::UTC,
            "2028-01-31T00:05:00Z",
            "2028-04-01T00:00:00Z"
        ),
        [
            "2028-02-29 2028-02-29T00:05Z",
            "2028-03-31 2028-03-31T00:05Z"
        ]
    );
    let first = Every::Month(1, time("00:05:00"));
    assert_eq!(
        due(
            first,
            Tz::Asia__Riyadh,
            "2026-01-31T21:04:00Z",
            "2026-01-31T21:05:00Z"
        ),
        ["2026-02-01 2026-01-31T21:05Z"]
    );
    let fifteenth = Every::BusinessMonth(15, time("09:00:00"), Holidays::FederalReserve);
    assert_eq!(
        due(
            fifteenth,
            Tz::America__New_York,
            "2026-02-01T00:00:00Z",
            "2026-03-31T00:00:00Z"
        ),
        [
            "2026-02-17 2026-02-17T14:00Z",
            "2026-03-16 2026-03-16T13:00Z"
        ]
    );
    let yearly = Every::Year(1, 10, time("06:00:00"));
    assert_eq!(
        due(
            yearly,
            Tz::UTC,
            "2025-06-01T00:00:00Z",
            "2027-06-01T00:00:00Z"
        ),
        [
            "2026-01-10 2026-01-10T06:00Z",
            "2027-01-10 2027-01-10T06:00Z"
        ]
    );
}

proptest! {
    #[test]
    fn slots_are_in_order_and_no_split_of_the_time_loses_or_doubles_one(
        start in 0..1_900_000_000_i64,
        lengths in proptest::collection::vec(0..4_000_000_i64, 1..6),
        which in 0..5_usize,
        zone in prop_oneof![
            Just(Tz::UTC), Just(Tz::America__New_York), Just(Tz::Asia__Riyadh),
            Just(Tz::Australia__Lord_Howe), Just(Tz::Pacific__Apia)
        ],
        minutes in 0..1_440_u32,
    ) {
        let wall = NaiveTime::from_num_seconds_from_midnight_opt(minutes * 60, 0).unwrap();
        let every = [
            Every::Hour,
            Every::Day(wall),
            Every::Month(31, wall),
            Every::BusinessMonth(15, wall, Holidays::Target),
            Every::Year(2, 29, wall),
        ][which];
        let schedule = Schedule { every, zone };
        let moment = |seconds: i64| DateTime::from_timestamp(seconds, 0).unwrap();
        let end = start + lengths.iter().sum::<i64>();
        let whole = schedule.due(moment(start), moment(end));
        prop_assert!(whole.is_sorted_by_key(|slot| slot.at));
        let mut parts = Vec::new();
        let mut from = start;
        for length in lengths {
            parts.extend(schedule.due(moment(from), moment(from + length)));
            from += length;
        }
        prop_assert_eq!(parts, whole);
    }
}
