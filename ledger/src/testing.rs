//! What tests share, here and in the crates to the right (feature `testing`): the place of the
//! snapshots, and strategies that make money of every kind.

use std::path::Path;

use insta::internals::SettingsBindDropGuard;
use proptest::prelude::*;

use crate::money::{Amount, Currency, Money, Rate, Rounding};

/// Sends the snapshots of this test to `snapshots/<topic>/` at the top of the workspace, under
/// their bare names: `let _to = snapshots("posting");`. Holds as long as the guard lives.
pub fn snapshots(topic: &str) -> SettingsBindDropGuard {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let workspace = workspace.expect("the crate lies in the workspace");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(workspace.join("snapshots").join(topic));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind_to_scope()
}

/// Currencies with 2, 0, 3 and 6 decimal places, dollars more often than others.
pub fn currency() -> impl Strategy<Value = Currency> + Clone {
    prop_oneof![
        3 => Just(Currency::USD),
        1 => Just(Currency::EUR),
        1 => Just(Currency::SAR),
        1 => Just(Currency::JPY),
        1 => Just(Currency::KWD),
        1 => Just(Currency::USDT),
    ]
}

/// Any money at all: of both signs, everyday sums more often than the ends of the range.
pub fn money() -> impl Strategy<Value = Money> + Clone {
    let minor = prop_oneof![
        4 => -100_000_i64..=100_000,
        2 => -1_000_000_000_000_i64..=1_000_000_000_000,
        1 => -i64::MAX..=i64::MAX,
    ];
    (minor, currency()).prop_map(|(minor, currency)| {
        Money::try_from_minor(minor, currency).expect("i64::MIN is not among them")
    })
}

/// A positive amount of up to a million million minor units: many of them can be added up.
pub fn amount() -> impl Strategy<Value = Amount> + Clone {
    currency().prop_flat_map(amount_in)
}

/// The same in one currency.
pub fn amount_in(currency: Currency) -> impl Strategy<Value = Amount> + Clone {
    let minor = prop_oneof![4 => 1_i64..=100_000, 1 => 1_i64..=1_000_000_000_000];
    minor.prop_map(move |minor| {
        let money = Money::try_from_minor(minor, currency).expect("i64::MIN is not among them");
        Amount::new(money).expect("starts at one")
    })
}

/// Any rate, the round ones and both ends more often than others.
pub fn rate() -> impl Strategy<Value = Rate> + Clone {
    let millionths = prop_oneof![
        1 => Just(0_i64),
        1 => Just(1_000_000_i64),
        4 => (0_i64..=100).prop_map(|percent| percent * 10_000),
        4 => 0_i64..=1_000_000,
    ];
    millionths.prop_map(|millionths| {
        Rate::fraction(rust_decimal::Decimal::new(millionths, 6)).expect("0 to 1 in millionths")
    })
}

/// Any way of rounding.
pub fn rounding() -> impl Strategy<Value = Rounding> + Clone {
    prop_oneof![
        Just(Rounding::HalfUp),
        Just(Rounding::HalfEven),
        Just(Rounding::Down)
    ]
}
