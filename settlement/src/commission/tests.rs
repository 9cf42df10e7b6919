use ledger::money::{Amount, Currency};
use ledger::testing::{amount_in, currency, rate, rounding, snapshots};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn flat(text: &str) -> FrozenRate {
    FrozenRate::Flat(Flat {
        amount: Amount::new(money(text)).unwrap(),
    })
}

fn percentage(text: &str) -> FrozenRate {
    FrozenRate::Percentage(Percentage {
        rate: text.parse().unwrap(),
    })
}

fn tier(name: &str, from: Option<Volume>, pays: FrozenRate) -> Tier {
    Tier {
        name: name.to_owned(),
        from,
        pays,
    }
}

fn by_orders() -> Vec<Tier> {
    vec![
        tier("bronze", Some(Volume::Orders(0)), percentage("5%")),
        tier("silver", Some(Volume::Orders(50)), percentage("7.5%")),
        tier("partner", None, percentage("12%")),
        tier("gold", Some(Volume::Orders(200)), percentage("10%")),
    ]
}

fn by_value() -> Vec<Tier> {
    vec![
        tier(
            "entry",
            Some(Volume::OrderValue(money("0.00 USD"))),
            flat("5.00 USD"),
        ),
        tier(
            "top",
            Some(Volume::OrderValue(money("5000.00 USD"))),
            flat("8.00 USD"),
        ),
    ]
}

/// One of each, as a program's terms would say them.
fn sample_rules() -> Vec<CommissionRule> {
    let tiered = |tiers| CommissionRule::Tiered(Tiered::new(tiers).unwrap());
    vec![
        CommissionRule::Flat(Flat {
            amount: Amount::new(money("5.00 USD")).unwrap(),
        }),
        CommissionRule::Percentage(Percentage {
            rate: "10%".parse().unwrap(),
        }),
        tiered(by_orders()),
        tiered(by_value()),
    ]
}

fn check_gross(pays: FrozenRate, order: &str, refunded: &str, expect: &str) {
    let basis = Basis::new(money(order), money(refunded)).unwrap();
    let gross = pays.gross(basis, Rounding::HalfUp);
    assert_eq!(
        gross,
        Ok(money(expect)),
        "{pays:?} of {order} less {refunded}"
    );
}

fn check_tier(tiers: Vec<Tier>, volume: Volume, expect: &str) {
    let rule = CommissionRule::Tiered(Tiered::new(tiers).unwrap());
    let standing = Standing {
        assigned: None,
        volume: Some(volume),
    };
    let frozen = rule.freeze(&standing).unwrap();
    assert_eq!(frozen.tier.as_deref(), Some(expect), "at {volume:?}");
}

proptest! {
    #[test]
    fn a_larger_refund_never_leaves_a_larger_commission(
        (order, less, more) in currency().prop_flat_map(|currency| {
            (amount_in(currency), amount_in(currency), amount_in(currency))
        }),
        rate in rate(), rounding in rounding(),
    ) {
        let twice = less.money().checked_add(more.money()).unwrap();
        for pays in [
            FrozenRate::Percentage(Percentage { rate }),
            FrozenRate::Flat(Flat { amount: order }),
            FrozenRate::Combined(Combined { rate, amount: order }),
        ] {
            let gross = |refunded| {
                pays.gross(Basis::new(order.money(), refunded).unwrap(), rounding).unwrap()
            };
            prop_assert!(gross(twice).compare(gross(less.money())).unwrap().is_le());
            prop_assert!(!gross(twice).is_negative());
            prop_assert!(gross(order.money()).is_zero());
        }
    }

    #[test]
    fn the_tier_is_the_highest_that_the_volume_reaches(
        mut steps in proptest::collection::btree_set(1_u64..1_000, 0..6), orders in 0_u64..1_200,
    ) {
        steps.insert(0);
        let tiers = steps.iter().map(|from| {
            tier(&from.to_string(), Some(Volume::Orders(*from)), percentage("5%"))
        });
        let highest = steps.iter().filter(|from| **from <= orders).max().unwrap();
        check_tier(tiers.collect(), Volume::Orders(orders), &highest.to_string());
    }
}

#[test]
fn a_percentage_is_rounded_once_to_the_minor_unit() {
    check_gross(percentage("10%"), "99.00 USD", "0.00 USD", "9.90 USD");
    check_gross(percentage("5%"), "500.00 SAR", "0.00 SAR", "25.00 SAR");
    check_gross(percentage("7.5%"), "999 JPY", "0 JPY", "75 JPY");
    check_gross(percentage("12.5%"), "1.234 KWD", "0.000 KWD", "0.154 KWD");
    check_gross(
        percentage("3.3333%"),
        "10.000000 USDT",
        "0.000000 USDT",
        "0.333330 USDT",
    );
    check_gross(percentage("10%"), "0.04 USD", "0.00 USD", "0.00 USD");
}

#[test]
fn a_percentage_is_of_what_is_left_of_the_order() {
    check_gross(percentage("10%"), "99.00 USD", "24.75 USD", "7.43 USD");
    check_gross(percentage("10%"), "99.00 USD", "99.00 USD", "0.00 USD");
    check_gross(percentage("10%"), "99.00 USD", "104.95 USD", "0.00 USD");
}

#[test]
fn a_flat_commission_stands_until_the_whole_order_is_refunded() {
    check_gross(flat("5.00 USD"), "99.00 USD", "0.00 USD", "5.00 USD");
    check_gross(flat("5.00 USD"), "99.00 USD", "98.99 USD", "5.00 USD");
    check_gross(flat("5.00 USD"), "99.00 USD", "99.00 USD", "0.00 USD");
    check_gross(flat("5.00 USD"), "99.00 USD", "104.95 USD", "0.00 USD");
    check_gross(flat("5.00 USD"), "0.00 USD", "0.00 USD", "5.00 USD");
}

#[test]
fn a_flat_commission_is_never_converted_in_silence() {
    let basis = Basis::of(money("99.00 EUR")).unwrap();
    let mismatch = MoneyError::CurrencyMismatch {
        left: Currency::USD,
        right: Currency::EUR,
    };
    assert_eq!(
        flat("5.00 USD").gross(basis, Rounding::HalfUp),
        Err(mismatch.clone().into())
    );
    assert_eq!(
        Basis::new(money("1.00 USD"), money("1.00 EUR")),
        Err(CommissionError::Money(MoneyError::CurrencyMismatch {
            left: Currency::EUR,
            right: Currency::USD,
        }))
    );
}

#[test]
fn orders_and_refunds_below_zero_are_refused() {
    let (negative, order) = (money("-0.01 USD"), money("1.00 USD"));
    assert_eq!(
        Basis::of(negative),
        Err(CommissionError::NegativeOrder(negative))
    );
    assert_eq!(
        Basis::new(order, negative),
        Err(CommissionError::NegativeRefund(negative))
    );
}

#[test]
fn a_publisher_climbs_by_orders_or_by_their_value() {
    for (orders, tier) in [(0, "bronze"), (49, "bronze"), (50, "silver"), (200, "gold")] {
        check_tier(by_orders(), Volume::Orders(orders), tier);
    }
    for (value, tier) in [
        ("-3.00 USD", "entry"),
        ("4999.99 USD", "entry"),
        ("5000.00 USD", "top"),
    ] {
        check_tier(by_value(), Volume::OrderValue(money(value)), tier);
    }
}

#[test]
fn a_tier_given_by_hand_outranks_the_volume() {
    let rule = CommissionRule::Tiered(Tiered::new(by_orders()).unwrap());
    let standing = |assigned: &str, volume| Standing {
        assigned: Some(assigned.into()),
        volume,
    };
    let frozen = rule
        .freeze(&standing("partner", Some(Volume::Orders(500))))
        .unwrap();
    assert_eq!(
        frozen,
        Frozen {
            pays: percentage("12%"),
            tier: Some("partner".to_owned())
        }
    );
    assert_eq!(rule.freeze(&standing("partner", None)), Ok(frozen));
    assert_eq!(
        rule.freeze(&standing("platinum", None)),
        Err(CommissionError::UnknownTier("platinum".to_owned()))
    );
}

#[test]
fn a_volume_must_be_counted_and_in_the_measure_of_the_tiers() {
    let rules = sample_rules();
    let counts: Vec<_> = rules.iter().map(CommissionRule::counts).collect();
    let nothing_sold = Volume::OrderValue(money("0.00 USD"));
    assert_eq!(
        counts,
        [None, None, Some(Volume::Orders(0)), Some(nothing_sold)]
    );

    assert!(rules[1].freeze(&Standing::default()).is_ok());
    assert_eq!(
        rules[2].freeze(&Standing::default()),
        Err(CommissionError::NoVolume)
    );
    let by_value = Standing {
        assigned: None,
        volume: Some(nothing_sold),
    };
    assert!(matches!(
        rules[2].freeze(&by_value),
        Err(CommissionError::OtherMeasure { .. })
    ));
    let euros = Volume::OrderValue(money("1.00 EUR"));
    let in_euros = Standing {
        assigned: None,
        volume: Some(euros),
    };
    assert!(matches!(
        rules[3].freeze(&in_euros),
        Err(CommissionError::Money(_))
    ));
}

#[test]
fn a_table_of_tiers_begins_at_zero_and_rises() {
    let pays = percentage("5%");
    let at = |name: &str, from| tier(name, Some(Volume::Orders(from)), pays);
    let by_hand = || tier("partner", None, pays);
    let value = tier("v", Some(Volume::OrderValue(money("1.00 USD"))), pays);

    assert!(Tiered::new(vec![by_hand(), at("a", 0), at("b", 1)]).is_ok());
    for none in [vec![], vec![by_hand()], vec![at("a", 1)]] {
        assert_eq!(Tiered::new(none), Err(CommissionError::NoEntryTier));
    }
    for (steps, b) in [((0, 0), "b"), ((0, 5), "c")] {
        let tiers = vec![at("a", steps.0), at("b", steps.1), at("c", 3)];
        assert_eq!(
            Tiered::new(tiers),
            Err(CommissionError::TiersOutOfOrder(b.to_owned()))
        );
    }
    assert_eq!(
        Tiered::new(vec![at("a", 0), by_hand(), by_hand()]),
        Err(CommissionError::RepeatedTier("partner".to_owned()))
    );
    assert!(matches!(
        Tiered::new(vec![at("a", 0), value]),
        Err(CommissionError::OtherMeasure { .. })
    ));
}

#[test]
fn rules_are_stored_as_tagged_json() {
    let rules = sample_rules();
    let _to = snapshots("commission");
    insta::assert_json_snapshot!("rules", rules);

    let stored = serde_json::to_value(&rules).unwrap();
    assert_eq!(
        serde_json::from_value::<Vec<CommissionRule>>(stored).unwrap(),
        rules
    );
    // A frozen rate is written as the rule that it is.
    let frozen = serde_json::to_value(percentage("10%")).unwrap();
    assert_eq!(frozen, json!({"rule": "percentage", "rate": "0.1"}));
    assert_eq!(
        serde_json::from_value::<FrozenRate>(frozen).unwrap(),
        percentage("10%")
    );
}

#[test]
fn json_that_is_no_rule_is_refused() {
    for wrong in [
        json!({"rule": "percentage"}),
        json!({"rule": "percentage", "rate": 0.1}),
        json!({"rule": "percentage", "rate": "10"}),
        json!({"rule": "percentage", "rate": "0.1", "cap": "5"}),
        json!({"rule": "flat", "amount": {"amount": "0.00", "currency": "USD"}}),
        json!({"rule": "flat", "amount": {"amount": "5.001", "currency": "USD"}}),
        json!({"rule": "tiered", "tiers": []}),
        json!({"rule": "guesswork"}),
        json!({"rate": "0.1"}),
    ] {
        assert!(
            serde_json::from_value::<CommissionRule>(wrong.clone()).is_err(),
            "{wrong}"
        );
    }
}

#[test]
fn a_rate_and_a_bonus_are_one_rate() {
    let both = percentage("10%").plus(flat("5.00 USD")).unwrap();
    check_gross(both, "99.00 USD", "0.00 USD", "14.90 USD");
    check_gross(both, "99.00 USD", "24.75 USD", "12.43 USD");
    check_gross(both, "99.00 USD", "99.00 USD", "0.00 USD");
    assert_eq!(flat("5.00 USD").plus(percentage("10%")), Ok(both));
    assert_eq!(
        flat("5.00 USD").plus(flat("1.50 USD")),
        Ok(flat("6.50 USD"))
    );
    assert_eq!(
        percentage("10%").plus(percentage("5%")),
        Ok(percentage("15%"))
    );
    let whole = percentage("95%").plus(percentage("10%"));
    assert_eq!(whole, Ok(percentage("100%")), "never more than the order");
    assert!(flat("5.00 USD").plus(flat("5.00 EUR")).is_err());
}

#[test]
fn five_percent_of_five_hundred_riyal_are_twenty_five() {
    check_gross(percentage("5.00%"), "500.00 SAR", "0.00 SAR", "25.00 SAR");
}
