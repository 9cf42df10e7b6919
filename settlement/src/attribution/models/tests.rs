//! What every model promises, and the worked shares.

use chrono::{DateTime, TimeDelta, Utc};
use ledger::money::allocate;
use ledger::{Currency, Money};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn models() -> impl Strategy<Value = Model> {
    prop_oneof![
        Just(Model::LastClick),
        Just(Model::FirstClick),
        Just(Model::Linear),
        (1..=50_u8, 1..=50_u8)
            .prop_filter_map("ends", |(a, b)| Ends::new(a, b).map(Model::Position)),
        (1..2000_u32).prop_map(|hours| Model::TimeDecay {
            half_life: NonZeroU32::new(hours).unwrap()
        }),
    ]
}

/// Touches within ninety days, oldest first.
fn touches(count: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = Moments> {
    vec(0..90 * 86_400_000_000_i64, count).prop_map(|mut micros| {
        micros.sort_unstable();
        micros.into_iter().map(at).collect()
    })
}

type Moments = Vec<DateTime<Utc>>;

fn at(micros: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::microseconds(micros)
}

fn hours(hours: &[i64]) -> Moments {
    hours.iter().map(|hour| at(hour * 3_600_000_000)).collect()
}

proptest! {
    #[test]
    fn whatever_the_model_the_parts_are_the_whole(
        model in models(), touches in touches(1..30), minor in 0..1_000_000_000_i64,
    ) {
        let weights = model.weights(&touches);
        prop_assert_eq!(weights.len(), touches.len());
        for currency in [Currency::USD, Currency::JPY, "KWD".parse().unwrap()] {
            let whole = Money::try_from_minor(minor, currency).unwrap();
            let parts = allocate(whole, &weights).unwrap();
            prop_assert!(parts.iter().all(|part| !part.is_negative()));
            prop_assert_eq!(Money::sum(currency, parts), Ok(whole));
        }
    }

    #[test]
    fn moving_all_touches_by_the_same_time_changes_no_share(
        model in models(), touches in touches(1..20), by in 0..100_000_000_000_i64,
    ) {
        let later: Moments =
            touches.iter().map(|touch| *touch + TimeDelta::microseconds(by)).collect();
        prop_assert_eq!(model.weights(&touches), model.weights(&later));
    }

    #[test]
    fn under_time_decay_a_younger_touch_never_counts_less(
        hours in 1..2000_u32, touches in touches(1..20),
    ) {
        let half_life = NonZeroU32::new(hours).unwrap();
        let weights = Model::TimeDecay { half_life }.weights(&touches);
        prop_assert!(weights.is_sorted());
        prop_assert_eq!(weights.last(), Some(&YOUNGEST));
    }

    #[test]
    fn touches_of_one_moment_count_the_same_under_time_decay_and_linear(
        moments in touches(1..6), hours in 1..2000_u32,
    ) {
        let twice: Moments = moments.iter().flat_map(|touch| [*touch, *touch]).collect();
        let half_life = NonZeroU32::new(hours).unwrap();
        for model in [Model::Linear, Model::TimeDecay { half_life }] {
            for pair in model.weights(&twice).chunks(2) {
                prop_assert_eq!(pair[0], pair[1]);
            }
        }
    }

    /// The exact weight lies between two neighbours of the computed one: within 2 of 2^32.
    #[test]
    fn twice_half_the_age_is_the_whole_age(age in 0..10_000_000_000_u64, hours in 1..2000_u64) {
        let half_life = hours * 3_600_000_000;
        let (half, whole) = (half_to_the(age, half_life), half_to_the(2 * age, half_life));
        let squared = (u128::from(half) * u128::from(half)) >> 32;
        let off = u64::try_from(squared).unwrap().abs_diff(whole);
        prop_assert!(off <= 3, "{squared} {whole}");
    }

    #[test]
    fn a_model_reads_what_it_writes(model in models()) {
        prop_assert_eq!(model.to_string().parse::<Model>(), Ok(model));
    }
}

#[test]
fn the_worked_shares() {
    let of = |text: &str, touches: &[i64]| text.parse::<Model>().unwrap().weights(&hours(touches));
    assert_eq!(of("last_click", &[1, 2, 3]), [0, 0, 1]);
    assert_eq!(of("first_click", &[1, 2, 3]), [1, 0, 0]);
    assert_eq!(of("linear", &[1, 2, 3]), [1, 1, 1]);
    assert_eq!(of("position", &[1]), [40], "one touch has all");
    assert_eq!(of("position", &[1, 2]), [40, 40], "two share by halves");
    assert_eq!(of("position", &[1, 2, 3]), [40, 20, 40]);
    assert_eq!(of("position", &[1, 2, 3, 4]), [80, 20, 20, 80]);
    assert_eq!(
        of("position:30/40/30", &[1, 2, 3, 4, 5, 6]),
        [120, 40, 40, 40, 40, 120]
    );
    let one = 1_u64 << 32;
    assert_eq!(of("time_decay:24h", &[0, 24, 48]), [one / 4, one / 2, one]);
    assert_eq!(
        of("time_decay:1d", &[0, 24 * 40]),
        [0, one],
        "after 32 half-lives nothing is left"
    );
    // 2^32 / sqrt(2), rounded down.
    assert_eq!(of("time_decay:2h", &[0, 1]), [3_037_000_499, one]);
    for model in Model::ALL {
        assert!(model.weights(&[]).is_empty());
    }
}

#[test]
fn what_is_no_model_is_refused_with_the_way_out() {
    for text in [
        "",
        "last",
        "linear:2",
        "position:40/40",
        "position:40/10/40",
        "position:0/60/40",
        "time_decay:0h",
        "time_decay:7",
        "time_decay:-1d",
        "time_decay:99999999h",
    ] {
        let error = text.parse::<Model>().unwrap_err().to_string();
        assert!(error.contains("time_decay:7d"), "{error}");
    }
}
