use std::fmt::Write;

use ledger::testing::{amount_in, currency, rate, rounding, snapshots};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::commission::{Basis, Combined, Flat, FrozenRate, Percentage};

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn percent(text: &str) -> Rate {
    text.parse().unwrap()
}

fn model() -> impl Strategy<Value = FeeModel> + Clone {
    prop_oneof![
        rate().prop_map(|rate| FeeModel::Deducted { rate }),
        rate().prop_map(|rate| FeeModel::OnTop { rate }),
        rate().prop_map(|rate| FeeModel::TwoSided { rate }),
        Just(FeeModel::House),
        (rate(), rate()).prop_map(|(brand_rate, publisher_rate)| {
            FeeModel::Custom(Fees {
                brand_rate,
                publisher_rate,
            })
        }),
    ]
}

/// An order, what it pays, and refunds that add up to all of it, cut anywhere.
fn refunded_order() -> impl Strategy<Value = (Money, FrozenRate, Vec<Money>)> {
    let order = currency().prop_flat_map(amount_in);
    (order, rate(), 0..3, vec(any::<prop::sample::Index>(), 0..8)).prop_map(
        |(order, rate, kind, cuts)| {
            let pays = match kind {
                0 => FrozenRate::Flat(Flat { amount: order }),
                1 => FrozenRate::Combined(Combined {
                    rate,
                    amount: order,
                }),
                _ => FrozenRate::Percentage(Percentage { rate }),
            };
            let units = usize::try_from(order.minor()).unwrap();
            let mut refunded: Vec<usize> = cuts.iter().map(|cut| cut.index(units)).collect();
            refunded.push(units);
            refunded.sort_unstable();
            let so_far = refunded.into_iter().map(|units| {
                Money::try_from_minor(i64::try_from(units).unwrap(), order.currency()).unwrap()
            });
            (order.money(), pays, so_far.collect())
        },
    )
}

fn holds(components: Components) -> bool {
    let fee = components.fee().unwrap();
    components.publisher_due().checked_add(fee) == Ok(components.brand_due())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_the_brand_owes_is_what_the_publisher_earns_and_the_fee(
        gross in currency().prop_flat_map(amount_in), model in model(), rounding in rounding(),
    ) {
        let components = Components::of(gross.money(), model.fees(), rounding).unwrap();
        prop_assert!(holds(components));
        prop_assert_eq!(components.gross(), gross.money());
        prop_assert!(!components.publisher_due().is_negative());
        prop_assert!(!components.fee_brand().is_negative());
        prop_assert!(!components.fee_publisher().is_negative());
    }

    /// ACCOUNTING: the fee holds at every event, no component ever moves the wrong way, and all of
    /// them return to exactly zero.
    #[test]
    fn refunds_of_the_whole_order_return_every_component_to_zero(
        (order, pays, refunds) in refunded_order(), model in model(), rounding in rounding(),
    ) {
        let components = |refunded: Money| {
            let gross = pays.gross(Basis::new(order, refunded).unwrap(), rounding).unwrap();
            Components::of(gross, model.fees(), rounding).unwrap()
        };
        let earned = components(Money::zero(order.currency()));
        let mut recognised = earned;
        let mut taken_back = Components::zero(order.currency());
        for refunded in refunds {
            let change = components(refunded).minus(recognised).unwrap();
            prop_assert!(holds(change));
            prop_assert!(!change.gross().is_positive());
            prop_assert!(!change.brand_due().is_positive());
            prop_assert!(!change.publisher_due().is_positive());
            prop_assert!(!change.fee_brand().is_positive());
            prop_assert!(!change.fee_publisher().is_positive());
            recognised = recognised.plus(change).unwrap();
            taken_back = taken_back.plus(change).unwrap();

            let again = components(refunded).minus(recognised).unwrap();
            prop_assert!(again.is_zero(), "a refund that comes twice changes nothing");
        }
        prop_assert_eq!(recognised, Components::zero(order.currency()));
        prop_assert_eq!(taken_back, earned.negated());
    }

    #[test]
    fn a_model_that_is_stored_is_read_again(model in model()) {
        prop_assert_eq!(FeeModel::from_stored(model.name(), model.fees()), Ok(model));
        let json = serde_json::to_string(&model).unwrap();
        prop_assert_eq!(serde_json::from_str::<FeeModel>(&json).unwrap(), model);
    }
}

/// One cent after the other, which is where rounding goes wrong if it can.
#[test]
fn no_component_moves_the_wrong_way_on_a_refund_of_one_unit() {
    let order = money("400.00 USD");
    let one = money("0.01 USD");
    for rounding in [Rounding::HalfUp, Rounding::HalfEven, Rounding::Down] {
        for (commission, fee) in [("10%", "20%"), ("7.5%", "33.3333%"), ("50%", "50%")] {
            let pays = FrozenRate::Percentage(Percentage {
                rate: percent(commission),
            });
            let fees = FeeModel::TwoSided { rate: percent(fee) }.fees();
            let mut before: Option<Components> = None;
            let mut refunded = Money::zero(order.currency());
            while refunded.compare(order).unwrap().is_le() {
                let gross = pays
                    .gross(Basis::new(order, refunded).unwrap(), rounding)
                    .unwrap();
                let now = Components::of(gross, fees, rounding).unwrap();
                if let Some(before) = before {
                    let change = now.minus(before).unwrap();
                    assert!(
                        !change.publisher_due().is_positive(),
                        "{before:?} -> {now:?}"
                    );
                    assert!(!change.fee_brand().is_positive(), "{before:?} -> {now:?}");
                    assert!(
                        !change.fee_publisher().is_positive(),
                        "{before:?} -> {now:?}"
                    );
                }
                before = Some(now);
                refunded = refunded.checked_add(one).unwrap();
            }
            assert!(before.unwrap().is_zero());
        }
    }
}

#[test]
fn the_fee_models_give_the_figures_of_the_manual() {
    let rate = percent("20%");
    let custom = Fees {
        brand_rate: percent("5%"),
        publisher_rate: percent("12.5%"),
    };
    let order = Basis::of(money("99.00 USD")).unwrap();
    let pays = FrozenRate::Percentage(Percentage {
        rate: percent("10%"),
    });
    let gross = pays.gross(order, Rounding::HalfUp).unwrap();

    let mut table = format!(
        "order 99.00 USD, commission 10%, C = {gross}\n\n\
         model      |     m |     d |     B |    P |    F\n"
    );
    for model in [
        FeeModel::Deducted { rate },
        FeeModel::OnTop { rate },
        FeeModel::TwoSided { rate },
        FeeModel::House,
        FeeModel::Custom(custom),
    ] {
        let fees = model.fees();
        let components = Components::of(gross, fees, Rounding::HalfUp).unwrap();
        writeln!(
            table,
            "{:<10} | {:>5} | {:>5} | {:>5} | {:>4} | {:>4}",
            model.name(),
            fees.brand_rate.to_string(),
            fees.publisher_rate.to_string(),
            components.brand_due().amount(),
            components.publisher_due().amount(),
            components.fee().unwrap().amount(),
        )
        .unwrap();
    }
    let _to = snapshots("commission");
    insta::assert_snapshot!("fee_models", table);
}

/// The worked example of a partial refund: 24.75 of 99.00.
#[test]
fn a_partial_refund_takes_back_the_difference() {
    let fees = FeeModel::TwoSided {
        rate: percent("20%"),
    }
    .fees();
    let components = |gross| Components::of(money(gross), fees, Rounding::HalfUp).unwrap();
    let change = components("7.43 USD")
        .minus(components("9.90 USD"))
        .unwrap();
    assert_eq!(change.brand_due(), money("-2.96 USD"));
    assert_eq!(change.publisher_due(), money("-1.98 USD"));
    assert_eq!(change.fee_brand(), money("-0.49 USD"));
    assert_eq!(change.fee_publisher(), money("-0.49 USD"));
}

#[test]
fn stored_terms_that_contradict_themselves_are_refused() {
    let fees = Fees {
        brand_rate: percent("20%"),
        publisher_rate: percent("10%"),
    };
    for name in ["deducted", "on_top", "two_sided", "house"] {
        assert!(matches!(
            FeeModel::from_stored(name, fees),
            Err(FeeError::OtherRates { .. })
        ));
    }
    assert_eq!(
        FeeModel::from_stored("custom", fees),
        Ok(FeeModel::Custom(fees))
    );
    assert_eq!(
        FeeModel::from_stored("20%", fees),
        Err(FeeError::UnknownModel("20%".to_owned()))
    );
    for json in [
        r#"{"model":"two_sided"}"#,
        r#"{"model":"two_sided","rate":0.2}"#,
        r#"{"model":"two_sided","rate":"20"}"#,
        r#"{"model":"two_sided","rate":"0.2","publisher_rate":"0.1"}"#,
        r#"{"rate":"0.2"}"#,
    ] {
        assert!(serde_json::from_str::<FeeModel>(json).is_err(), "{json}");
    }
}

#[test]
fn a_commission_below_zero_and_amounts_of_two_currencies_are_refused() {
    let fees = FeeModel::House.fees();
    let negative = money("-0.01 USD");
    assert_eq!(
        Components::of(negative, fees, Rounding::HalfUp),
        Err(FeeError::NegativeCommission(negative))
    );
    let dollars = Components::of(money("1.00 USD"), fees, Rounding::HalfUp).unwrap();
    assert!(matches!(
        dollars.minus(Components::zero(Currency::EUR)),
        Err(FeeError::Money(MoneyError::CurrencyMismatch { .. }))
    ));
}

#[test]
fn components_are_zero_only_if_all_of_them_are() {
    assert!(Components::zero(Currency::USD).is_zero());
    let cent = money("0.01 USD");
    let nothing = Money::zero(Currency::USD);
    for (fee_brand, fee_publisher) in [(cent, nothing), (nothing, cent)] {
        let fee_only = Components::from_parts(nothing, fee_brand, fee_publisher).unwrap();
        assert!(!fee_only.is_zero());
    }
    assert!(
        !Components::from_parts(cent, nothing, nothing)
            .unwrap()
            .is_zero()
    );
}
