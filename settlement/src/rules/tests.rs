use std::fmt::Write as _;

use chrono::{NaiveDateTime, TimeZone};
use chrono_tz::Tz;
use ledger::testing::snapshots;
use ledger::{Money, Rate};

use super::caps::Used;
use super::kind::Customer;
use super::rate::{Asked, resolve};
use super::*;
use crate::commission::Percentage;

fn at(text: &str) -> DateTime<Utc> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M")
        .unwrap()
        .and_utc()
}

fn percent(percent: u32) -> FrozenRate {
    let rate: Rate = format!("{percent}%").parse().unwrap();
    FrozenRate::Percentage(Percentage { rate })
}

const PAT: Uuid = Uuid::from_u128(0x50);

/// A selector from the letters of what it names.
fn selector(about: &str) -> Selector {
    let named = |letter, value: &str| about.contains(letter).then(|| value.to_owned());
    Selector {
        publisher: about.contains('p').then_some(PAT),
        product: named('r', "shoes"),
        plan: named('l', "gold"),
        category: named('c', "sports"),
        kind: about.contains('k').then_some(Kind::Topup),
    }
}

fn rule(names: &str, from: &str, pays: Option<u32>) -> RateRule {
    RateRule {
        id: Uuid::new_v5(&Uuid::nil(), format!("{names} {from}").as_bytes()),
        selector: selector(names),
        effective_from: at(from),
        created_at: at(from),
        pays: pays.map(percent),
    }
}

fn order() -> Asked<'static> {
    Asked {
        publisher: Some(PAT),
        product: Some("shoes"),
        plan: Some("gold"),
        category: Some("sports"),
        kind: Kind::Topup,
        at: at("2026-01-05 12:00"),
    }
}

/// All 31 selectors that match one order, in the order in which they count.
#[test]
fn the_most_specific_rule_counts() {
    let letters = ["p", "r", "l", "c", "k"];
    let words = ["publisher", "product", "plan", "category", "kind"];
    let mut rules: Vec<RateRule> = (1_usize..32)
        .map(|set| {
            let named: String = (0..5)
                .filter(|bit| set >> bit & 1 == 1)
                .map(|n| letters[n])
                .collect();
            rule(&named, "2026-01-01 00:00", Some(5))
        })
        .collect();
    let mut table = String::new();
    while let Some((first, _)) = resolve(&rules, &order()) {
        let id = first.id;
        let selector = &first.selector;
        let named = [
            selector.publisher.is_some(),
            selector.product.is_some(),
            selector.plan.is_some(),
            selector.category.is_some(),
            selector.kind.is_some(),
        ];
        let named: Vec<&str> = words
            .iter()
            .zip(named)
            .filter(|(_, is)| *is)
            .map(|(w, _)| *w)
            .collect();
        writeln!(table, "{}", named.join(" + ")).unwrap();
        rules.retain(|rule| rule.id != id);
    }
    table.push_str("the program's own rule: its tiers, assigned or by volume\n");
    let _in = snapshots("rules");
    insta::assert_snapshot!("precedence", table);
}

#[test]
fn of_one_selector_the_latest_effective_rule_counts_and_one_without_a_rate_ends_it() {
    let rules = [
        rule("p", "2026-01-01 00:00", Some(5)),
        rule("p", "2026-01-05 12:00", Some(7)),
        rule("p", "2026-01-06 00:00", None),
        rule("c", "2026-01-01 00:00", Some(3)),
    ];
    let pays = |text| {
        let asked = Asked {
            at: at(text),
            ..order()
        };
        resolve(&rules, &asked).map(|(_, pays)| pays)
    };
    assert_eq!(pays("2025-12-31 23:59"), None);
    assert_eq!(pays("2026-01-05 11:59"), Some(percent(5)));
    assert_eq!(
        pays("2026-01-05 12:00"),
        Some(percent(7)),
        "from that moment on"
    );
    assert_eq!(
        pays("2026-01-06 00:00"),
        Some(percent(3)),
        "the next wider one again"
    );
}

#[test]
fn a_rule_about_something_else_does_not_count() {
    let rules = [rule("r", "2026-01-01 00:00", Some(5))];
    let other = Asked {
        product: Some("hats"),
        ..order()
    };
    assert!(resolve(&rules, &other).is_none());
    let unknown = Asked {
        product: None,
        ..order()
    };
    assert!(resolve(&rules, &unknown).is_none());
}

fn cap(limit: Limit) -> Cap {
    Cap {
        scope: Scope::Publisher,
        per: Per::Day,
        limit,
        overflow: Overflow::Pending,
    }
}

#[test]
fn exactly_up_to_a_cap_is_within_it() {
    let money = |text: &str| text.parse::<Money>().unwrap();
    let used = Used {
        orders: 3,
        commission: money("20.00 USD"),
    };
    assert!(
        cap(Limit::Commission(money("20.00 USD")))
            .holds(used)
            .unwrap()
    );
    assert!(
        !cap(Limit::Commission(money("19.99 USD")))
            .holds(used)
            .unwrap()
    );
    assert!(cap(Limit::Orders(3)).holds(used).unwrap());
    assert!(!cap(Limit::Orders(2)).holds(used).unwrap());
    let more = used.with(money("0.01 USD")).unwrap();
    assert_eq!((more.orders, more.commission), (4, money("20.01 USD")));
}

#[test]
fn days_and_months_are_those_of_the_accounting_zone() {
    let riyadh: Tz = "Asia/Riyadh".parse().unwrap();
    let late = at("2026-01-31 21:30"); // half past midnight on 1 February there
    let (from, to) = Per::Day.window(late, riyadh);
    assert_eq!((from, to), (at("2026-01-31 21:00"), at("2026-02-01 21:00")));
    let (from, to) = Per::Month.window(late, riyadh);
    assert_eq!((from, to), (at("2026-01-31 21:00"), at("2026-02-28 21:00")));
    let (from, to) = Per::Total.window(late, riyadh);
    assert!(from < late && late < to);
}

/// In Cairo the clocks went from 23:59 to 01:00 on 28 April 2023.
#[test]
fn a_day_without_a_midnight_begins_when_it_begins() {
    let cairo: Tz = "Africa/Cairo".parse().unwrap();
    let noon = cairo.with_ymd_and_hms(2023, 4, 28, 12, 0, 0).unwrap();
    let (from, to) = Per::Day.window(noon.with_timezone(&Utc), cairo);
    assert_eq!((from, to), (at("2023-04-27 22:00"), at("2023-04-28 21:00")));
}

#[test]
fn the_senders_word_on_a_customer_counts_before_what_is_recorded() {
    let now = at("2026-01-05 12:00");
    let seen = Customer {
        is_known: true,
        first_order: Some(at("2025-01-05 12:00")),
        ..Customer::default()
    };
    assert_eq!(seen.kind(now), Kind::Topup);
    assert_eq!(
        Customer {
            said_new: Some(true),
            ..seen
        }
        .kind(now),
        Kind::Initial
    );
    assert_eq!(
        Customer {
            said_number: Some(1),
            ..seen
        }
        .kind(now),
        Kind::Initial
    );
    let nobody = Customer::default();
    assert_eq!(nobody.kind(now), Kind::Initial);
    assert_eq!(
        Customer {
            said_new: Some(false),
            ..nobody
        }
        .kind(now),
        Kind::Topup
    );
    assert_eq!(
        Customer {
            said_number: Some(2),
            ..nobody
        }
        .kind(now),
        Kind::Topup
    );
    let later = Customer {
        first_order: Some(at("2026-02-01 00:00")),
        ..seen
    };
    assert_eq!(
        later.kind(now),
        Kind::Initial,
        "the first order arrived late"
    );
}

#[test]
fn a_bonus_is_for_customers_known_to_be_new() {
    let rules = Rules {
        first_order_bonus: Some(percent(5)),
        ..Rules::default()
    };
    let known = Customer {
        is_known: true,
        ..Customer::default()
    };
    assert_eq!(known.bonus(&rules), Some(percent(5)));
    assert_eq!(known.bonus(&Rules::default()), None);
    assert_eq!(Customer::default().bonus(&rules), None, "nobody knows");
    let said = Customer {
        said_new: Some(true),
        ..Customer::default()
    };
    assert_eq!(said.bonus(&rules), Some(percent(5)));
    let seen = Customer {
        first_order: Some(at("2026-02-01 00:00")),
        ..known
    };
    assert_eq!(
        seen.bonus(&rules),
        None,
        "paid with the order that came first"
    );
}

#[test]
fn repeat_orders_pay_for_so_many_months() {
    let rules = Rules {
        repeat_months: Some(12),
        ..Rules::default()
    };
    let seen = Customer {
        is_known: true,
        first_order: Some(at("2025-01-31 12:00")),
        ..Customer::default()
    };
    assert_eq!(seen.beyond(&rules, at("2026-01-31 11:59")), None);
    assert_eq!(seen.beyond(&rules, at("2026-01-31 12:00")), Some(12));
    assert_eq!(seen.beyond(&Rules::default(), at("2030-01-01 00:00")), None);
    let number = |number| Customer {
        said_number: Some(number),
        ..seen
    };
    assert_eq!(
        number(12).beyond(&rules, at("2026-02-28 12:00")),
        None,
        "by its number"
    );
    assert_eq!(number(13).beyond(&rules, at("2026-01-01 12:00")), Some(12));
}

#[test]
fn rules_in_json() {
    let money = |text: &str| text.parse::<Money>().unwrap();
    let rules = Rules {
        rate_at: RateAt::Click,
        first_order_bonus: Some(percent(5)),
        repeat_months: Some(12),
        caps: vec![
            cap(Limit::Orders(100)),
            cap(Limit::Commission(money("500.00 USD"))),
        ],
        auto_approve: AutoApprove::AfterDays(14),
        holds: vec![
            HoldRule::OrderFrom(money("1000.00 USD")),
            HoldRule::FirstOrders(3),
            HoldRule::WithoutClick,
        ],
    };
    let json = serde_json::to_string_pretty(&rules).unwrap();
    assert_eq!(serde_json::from_str::<Rules>(&json).unwrap(), rules);
    assert_eq!(
        serde_json::from_str::<Rules>("{}").unwrap(),
        Rules::default()
    );
    assert!(
        serde_json::from_str::<Rules>(r#"{"cap":[]}"#).is_err(),
        "no silent typo"
    );
    let _in = snapshots("rules");
    insta::assert_snapshot!("rules", json);
    assert_eq!(rules.flaw(ledger::Currency::USD), None);
    assert!(rules.flaw(ledger::Currency::EUR).is_some());
}
