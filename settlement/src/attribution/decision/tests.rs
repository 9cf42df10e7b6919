//! What every decision promises, and the worked ones.

use chrono::NaiveDate;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn order() -> DateTime<Utc> {
    NaiveDate::from_ymd_opt(2026, 3, 1)
        .unwrap()
        .and_hms_opt(12, 0, 0)
        .unwrap()
        .and_utc()
}

fn click(id: u128, publisher: u128, before: TimeDelta) -> Candidate {
    Candidate {
        source: Source::Click,
        click: Some(Uuid::from_u128(id)),
        publisher: Uuid::from_u128(publisher),
        at: order() - before,
        until: order(),
        same_program: true,
        enrolled: true,
        disqualified: None,
        expired: false,
    }
}

fn other(source: Source, publisher: u128) -> Candidate {
    Candidate {
        source,
        click: None,
        ..click(0, publisher, TimeDelta::zero())
    }
}

fn days(days: i64) -> TimeDelta {
    TimeDelta::days(days)
}

fn modelled(model: &str) -> AttributionTerms {
    AttributionTerms {
        model: model.parse().unwrap(),
        ..AttributionTerms::default()
    }
}

/// Publisher and weight of each credit.
fn earned(decision: &Decision) -> Vec<(u128, u64)> {
    decision
        .credits()
        .map(|c| (c.publisher.as_u128(), c.weight))
        .collect()
}

fn whys(decision: &Decision) -> Vec<Why> {
    decision
        .considered
        .iter()
        .filter_map(|it| it.why.clone())
        .collect()
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let one = (
        0..5_u8,
        0..40_i64,
        1..5_u128,
        any::<[bool; 4]>(),
        any::<u64>(),
    );
    vec(one, 0..12).prop_map(|all| {
        let all = all.into_iter().map(|(source, age, publisher, flags, id)| {
            let source = [
                Source::Click,
                Source::NamedClick,
                Source::Coupon,
                Source::Declared,
                Source::Claim,
            ][usize::from(source)];
            let is_click = matches!(source, Source::Click | Source::NamedClick);
            let [same_program, enrolled, fine, expired] = flags;
            Candidate {
                source,
                click: is_click.then(|| Uuid::from_u128(u128::from(id))),
                same_program,
                enrolled,
                disqualified: (!fine).then(|| "bot".to_owned()),
                expired: is_click && expired,
                ..click(0, publisher, days(age - 2))
            }
        });
        all.collect()
    })
}

fn any_terms() -> impl Strategy<Value = AttributionTerms> {
    let models = prop::sample::select(Model::ALL.to_vec());
    let ways = Just(vec![Way::Click, Way::Coupon, Way::Declared]).prop_shuffle();
    (models, ways, 0..=3_usize, any::<bool>()).prop_map(|(model, mut ways, count, claim)| {
        ways.truncate(count);
        AttributionTerms {
            model,
            precedence: ways,
            claim_at_signup: claim,
        }
    })
}

proptest! {
    #[test]
    fn every_candidate_earns_or_is_told_why_and_the_order_they_come_in_changes_nothing(
        terms in any_terms(), candidates in candidates(), known in any::<bool>(),
        turn in 0..12_usize,
    ) {
        let decision = decide(&terms, 30, known, candidates.clone());
        prop_assert_eq!(decision.considered.len(), candidates.len());
        for it in &decision.considered {
            prop_assert_eq!(it.weight == 0, it.why.is_some());
        }
        prop_assert_eq!(decision.rule == "none", decision.leading().is_none());
        let mut turned = candidates.clone();
        if !turned.is_empty() {
            let by = turn % turned.len();
            turned.rotate_left(by);
        }
        let again = decide(&terms, 30, known, turned);
        prop_assert_eq!(again.rule, decision.rule);
        let ways = [Source::Click, Source::NamedClick];
        let distinct: std::collections::HashSet<_> =
            candidates.iter().map(|it| (it.click, it.source)).collect();
        // Two codes or two claims of one order cannot be; two clicks of one id neither.
        if distinct.len() == candidates.len()
            && candidates.iter().filter(|it| !ways.contains(&it.source)).count() <= 1
        {
            prop_assert_eq!(earned(&again), earned(&decision));
        }
    }

    #[test]
    fn who_earns_had_no_flaw(
        terms in any_terms(), candidates in candidates(), known in any::<bool>(),
    ) {
        let decision = decide(&terms, 30, known, candidates.clone());
        let fine = |publisher: Uuid| {
            candidates.iter().any(|it| {
                it.publisher == publisher && it.enrolled && it.same_program && !it.expired
                    && it.disqualified.is_none() && it.at <= order()
                    && it.at >= order() - days(30)
            })
        };
        prop_assert!(decision.credits().all(|credit| fine(credit.publisher)));
    }
}

#[test]
fn the_window_includes_both_its_edges_to_the_microsecond() {
    let micro = TimeDelta::microseconds(1);
    let terms = modelled("linear");
    let all = vec![
        click(1, 1, days(30) + micro),
        click(2, 2, days(30)),
        click(3, 3, TimeDelta::zero()),
        click(4, 4, -micro),
    ];
    let decision = decide(&terms, 30, false, all);
    assert_eq!(earned(&decision), [(2, 1), (3, 1)]);
    assert_eq!(whys(&decision), [Why::TooOld, Why::AfterOrder]);
}

#[test]
fn of_what_the_browser_keeps_and_what_the_terms_look_back_the_shorter_binds() {
    let expired = Candidate {
        expired: true,
        ..click(2, 2, days(8))
    };
    let decision = decide(
        &modelled("last_click"),
        30,
        false,
        vec![click(1, 1, days(20)), expired],
    );
    assert_eq!(earned(&decision), [(1, 1)]);
    assert_eq!(whys(&decision), [Why::Expired]);
}

#[test]
fn a_named_click_speaks_for_its_browser_and_not_for_a_known_user() {
    let named = Candidate {
        source: Source::NamedClick,
        ..click(1, 1, days(5))
    };
    let all = vec![named, click(2, 2, days(1))];
    let unknown = decide(&modelled("last_click"), 30, false, all.clone());
    assert_eq!(
        (unknown.rule, earned(&unknown)),
        ("named_click", vec![(1, 1)])
    );
    assert_eq!(whys(&unknown), [Why::AnotherNamed]);
    let known = decide(&modelled("last_click"), 30, true, all.clone());
    assert_eq!((known.rule, earned(&known)), ("last_click", vec![(2, 1)]));
    let first = decide(&modelled("first_click"), 30, false, all);
    assert_eq!((first.rule, earned(&first)), ("first_click", vec![(1, 1)]));
}

#[test]
fn the_order_of_ways_is_the_programs_and_a_claim_stands_before_all() {
    let all = vec![
        click(1, 1, days(1)),
        other(Source::Coupon, 2),
        other(Source::Declared, 3),
        Candidate {
            at: order() - days(20),
            ..other(Source::Claim, 4)
        },
    ];
    let with = |precedence: &[Way], claim_at_signup| {
        let terms = AttributionTerms {
            precedence: precedence.to_vec(),
            claim_at_signup,
            ..AttributionTerms::default()
        };
        let decision = decide(&terms, 30, true, all.clone());
        (decision.rule, earned(&decision)[0].0)
    };
    assert_eq!(
        with(&[Way::Click, Way::Coupon, Way::Declared], false),
        ("last_click", 1)
    );
    assert_eq!(with(&[Way::Coupon, Way::Click], false), ("coupon", 2));
    assert_eq!(with(&[Way::Declared], false), ("declared", 3));
    assert_eq!(with(&[Way::Click], true), ("claim", 4));
}

#[test]
fn a_claim_is_measured_from_the_signup_and_not_from_the_order() {
    let terms = AttributionTerms {
        claim_at_signup: true,
        ..AttributionTerms::default()
    };
    let signed_up = order() - days(300);
    let claim = |before| Candidate {
        at: signed_up - before,
        until: signed_up,
        ..other(Source::Claim, 4)
    };
    assert_eq!(
        decide(&terms, 30, true, vec![claim(days(30))]).rule,
        "claim"
    );
    let late = decide(&terms, 30, true, vec![claim(days(31))]);
    assert_eq!((late.rule, whys(&late)), ("none", vec![Why::TooOld]));
}

#[test]
fn what_one_publisher_earns_by_several_clicks_is_not_shared() {
    let all = vec![click(1, 1, days(3)), click(2, 1, days(2))];
    let decision = decide(&modelled("linear"), 30, false, all);
    assert!(decision.shared().is_empty());
    assert_eq!(
        decision.leading().unwrap().click,
        Some(Uuid::from_u128(2)),
        "of equals the last"
    );
    assert_eq!(decision.kept().len(), 2);
    assert!(
        decide(&modelled("linear"), 30, false, vec![click(1, 1, days(3))])
            .kept()
            .is_empty()
    );
}
