//! Rates of their own, caps, bonus, repeat orders, holds and approvals by the terms.

use std::sync::Arc;

use ledger::Currency;
use settlement::commission::{CommissionRule, Flat, FrozenRate, Percentage, Tier, Tiered, Volume};
use settlement::conversion::{
    self, Changed, ConversionRef, Details, Order, Recorded, State, auto, take,
};
use settlement::fraud::RiskSettings;
use settlement::party::{self, ProgramRef};
use settlement::reconcile::differences;
use settlement::rules::book::{NewRateRule, NewTier, RuleError, add_rate_rules, assign_tiers};
use settlement::rules::{
    AutoApprove, Cap, HoldRule, Kind, Limit, Overflow, Per, RateAt, Rules, Scope, Selector,
};
use settlement::terms::Terms;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::fixture::*;

fn ruled(rules: Rules) -> Terms {
    Terms { rules, ..terms() }
}

fn pays(text: &str) -> FrozenRate {
    let rate = text.parse().unwrap();
    FrozenRate::Percentage(Percentage { rate })
}

async fn add_rule(
    conn: &mut PgConnection,
    program: ProgramRef,
    n: u128,
    from: &str,
    selector: Selector,
    pays: Option<FrozenRate>,
) -> Result<(), RuleError> {
    let new = NewRateRule {
        id: Uuid::from_u128(n),
        program,
        selector,
        effective_from: at(from),
        pays,
        reason: "promised".to_owned(),
    };
    add_rate_rules(conn, at(from), &by(), &[new]).await
}

fn for_publisher() -> Selector {
    Selector {
        publisher: Some(PUBLISHER),
        ..Selector::default()
    }
}

/// Gross commission in minor units and why: `990 {"kind":"initial"}`.
async fn gross(conn: &mut PgConnection, order_ref: &str) -> String {
    sqlx::query_scalar(
        "select concat(gross, ' ', priced_by) from settlement.conversion where order_ref = $1",
    )
    .bind(order_ref)
    .fetch_one(conn)
    .await
    .unwrap()
}

async fn taken(conn: &mut PgConnection, now: &str, batch: &[Order]) -> Vec<State> {
    begin(conn).await;
    let off = RiskSettings {
        enabled: false,
        ..RiskSettings::default()
    };
    let answers = take(conn, at(now), &by(), &off, batch).await.unwrap();
    commit(conn).await;
    let state = |answer| match answer {
        Recorded::New(_, state) => state,
        other => panic!("not new: {other:?}"),
    };
    answers.into_iter().map(state).collect()
}

fn by_visitor(program: ProgramRef, reference: &str, when: &str, visitor: &str) -> Order {
    Order {
        visitor: Some(visitor.to_owned()),
        ..order(program, reference, when, "99.00 USD")
    }
}

#[tokio::test]
async fn a_rate_of_its_own_counts_from_its_moment_on_and_never_reaches_back() {
    let (_db, mut conn, program) = program(terms()).await;
    let one = |n: &str, when: &str| order(program, n, when, "100.00 USD");
    let _ = orders(
        &mut conn,
        "2010-12-01 09:00",
        &[one("A1", "2010-12-01 08:00")],
    )
    .await;
    add_rule(
        &mut conn,
        program,
        1,
        "2010-12-02 00:00",
        for_publisher(),
        Some(pays("15%")),
    )
    .await
    .unwrap();
    let shoes = Details {
        product: Some("shoes".to_owned()),
        ..Details::default()
    };
    let both = Selector {
        product: shoes.product.clone(),
        ..for_publisher()
    };
    let flat = FrozenRate::Flat(Flat {
        amount: amount("20.00 USD"),
    });
    add_rule(&mut conn, program, 2, "2010-12-02 00:00", both, Some(flat))
        .await
        .unwrap();
    add_rule(
        &mut conn,
        program,
        3,
        "2010-12-04 00:00",
        for_publisher(),
        None,
    )
    .await
    .unwrap();
    let batch = [
        one("A2", "2010-12-01 23:59"),
        one("A3", "2010-12-02 00:00"),
        Order {
            details: shoes.clone(),
            ..one("A4", "2010-12-02 00:00")
        },
        one("A5", "2010-12-04 00:00"),
        Order {
            details: shoes,
            ..one("A6", "2010-12-04 00:00")
        },
    ];
    let _ = orders(&mut conn, "2010-12-05 09:00", &batch).await;
    let rule = |n: u128| format!(r#"{{"kind": "initial", "rule": "{}"}}"#, Uuid::from_u128(n));
    assert_eq!(gross(&mut conn, "A1").await, r#"1000 {"kind": "initial"}"#);
    assert_eq!(gross(&mut conn, "A2").await, r#"1000 {"kind": "initial"}"#);
    assert_eq!(gross(&mut conn, "A3").await, format!("1500 {}", rule(1)));
    assert_eq!(gross(&mut conn, "A4").await, format!("2000 {}", rule(2)));
    assert_eq!(
        gross(&mut conn, "A5").await,
        r#"1000 {"kind": "initial"}"#,
        "ended"
    );
    assert_eq!(gross(&mut conn, "A6").await, format!("2000 {}", rule(2)));
}

#[tokio::test]
async fn a_rate_rule_is_narrower_than_its_program_in_its_currency_and_never_edited() {
    let (_db, mut conn, program) = program(terms()).await;
    let edited = sqlx::query("update settlement.rate_rule set pays = null").execute(&mut conn);
    assert!(edited.await.is_err(), "rules are added, never edited");
    let everything = add_rule(
        &mut conn,
        program,
        4,
        "2010-12-04 00:00",
        Selector::default(),
        None,
    );
    assert!(matches!(everything.await, Err(RuleError::NotNarrower)));
    let euros = FrozenRate::Flat(Flat {
        amount: amount("20.00 EUR"),
    });
    let other = add_rule(
        &mut conn,
        program,
        5,
        "2010-12-04 00:00",
        for_publisher(),
        Some(euros),
    );
    assert!(matches!(
        other.await,
        Err(RuleError::Currency(Currency::EUR))
    ));
}

#[tokio::test]
async fn a_rate_at_the_click_is_the_one_that_was_promised_then() {
    let (_db, mut conn, program) = program(ruled(Rules {
        rate_at: RateAt::Click,
        ..Rules::default()
    }))
    .await;
    let clicked = "2010-12-01 08:00";
    let _ = clicks(&mut conn, &[click(program, 7, "v7", at(clicked))]).await;
    let later = Terms {
        effective_from: at("2010-12-02 00:00"),
        rule: percent("20%"),
        ..ruled(Rules {
            rate_at: RateAt::Click,
            ..Rules::default()
        })
    };
    party::add_terms(&mut conn, at("2010-12-02 00:00"), &by(), program, &later)
        .await
        .unwrap();
    add_rule(
        &mut conn,
        program,
        1,
        "2010-12-03 00:00",
        for_publisher(),
        Some(pays("30%")),
    )
    .await
    .unwrap();
    let with_click = Order {
        publisher: None,
        click: Some(Uuid::from_u128(7)),
        ..order(program, "A1", "2010-12-04 08:00", "100.00 USD")
    };
    let without = order(program, "A2", "2010-12-04 08:00", "100.00 USD");
    let _ = orders(&mut conn, "2010-12-05 09:00", &[with_click, without]).await;
    assert!(
        gross(&mut conn, "A1").await.starts_with("1000 "),
        "as clicked"
    );
    assert!(
        gross(&mut conn, "A1")
            .await
            .contains("2010-12-01T08:00:00Z")
    );
    assert!(
        gross(&mut conn, "A2").await.starts_with("3000 "),
        "no click: as ordered"
    );
}

#[tokio::test]
async fn a_tier_given_by_hand_outranks_the_volume_until_it_is_taken_back() {
    let tier = |name: &str, from: u64, text: &str| Tier {
        name: name.to_owned(),
        from: Some(Volume::Orders(from)),
        pays: pays(text),
    };
    let tiers = vec![tier("bronze", 0, "5%"), tier("gold", 100, "20%")];
    let (_db, mut conn, program) = program(Terms {
        rule: CommissionRule::Tiered(Tiered::new(tiers).unwrap()),
        ..terms()
    })
    .await;
    let give = |n: u128, from: &str, tier: Option<&str>| NewTier {
        id: Uuid::from_u128(n),
        program,
        publisher: PUBLISHER,
        effective_from: at(from),
        tier: tier.map(str::to_owned),
    };
    let now = at("2010-12-01 00:00");
    let given = [
        give(1, "2010-12-02 00:00", Some("gold")),
        give(2, "2010-12-04 00:00", None),
    ];
    assign_tiers(&mut conn, now, &by(), &given).await.unwrap();
    let unknown = [give(3, "2010-12-02 00:00", Some("lead"))];
    let wrong = assign_tiers(&mut conn, now, &by(), &unknown).await;
    assert!(matches!(wrong, Err(RuleError::UnknownTier(_))));
    let one = |n: &str, when: &str| order(program, n, when, "100.00 USD");
    let batch = [
        one("A1", "2010-12-01 23:59"),
        one("A2", "2010-12-02 00:00"),
        one("A3", "2010-12-04 00:00"),
    ];
    let _ = orders(&mut conn, "2010-12-05 09:00", &batch).await;
    assert_eq!(
        gross(&mut conn, "A1").await,
        r#"500 {"kind": "initial", "tier": "bronze"}"#
    );
    assert_eq!(
        gross(&mut conn, "A2").await,
        r#"2000 {"kind": "initial", "tier": "gold"}"#
    );
    assert_eq!(
        gross(&mut conn, "A3").await,
        r#"500 {"kind": "initial", "tier": "bronze"}"#
    );
}

fn capped(limit: Limit, overflow: Overflow) -> Rules {
    Rules {
        caps: vec![Cap {
            scope: Scope::Publisher,
            per: Per::Day,
            limit,
            overflow,
        }],
        auto_approve: AutoApprove::OnPaid,
        ..Rules::default()
    }
}

fn paid_order(program: ProgramRef, reference: &str, when: &str) -> Order {
    Order {
        details: Details {
            paid: true,
            ..Details::default()
        },
        ..order(program, reference, when, "99.00 USD")
    }
}

#[tokio::test]
async fn what_exceeds_a_cap_waits_with_its_reason_and_is_not_approved_by_itself() {
    let limit = Limit::Commission(money("19.80 USD"));
    let (_db, mut conn, program) = program(ruled(capped(limit, Overflow::Pending))).await;
    let batch = [
        paid_order(program, "A1", "2010-12-01 08:00"),
        paid_order(program, "A2", "2010-12-01 23:59"),
        paid_order(program, "A3", "2010-12-01 12:00"),
        paid_order(program, "A4", "2010-12-02 00:00"),
    ];
    let states = taken(&mut conn, "2010-12-02 09:00", &batch).await;
    let [approved, pending] = [State::Approved, State::Pending];
    assert_eq!(
        states,
        [approved, approved, pending, approved],
        "19.80 is within, 29.70 is not"
    );
    assert!(
        gross(&mut conn, "A3")
            .await
            .starts_with(r#"990 {"kind": "initial", "over": {"#)
    );
    begin(&mut conn).await;
    let due = auto::approve_due(&mut conn, at("2011-12-02 09:00"), &by(), 100)
        .await
        .unwrap();
    commit(&mut conn).await;
    assert_eq!(due, []);
    // What is taken back makes room again; what was over the cap does not come in by itself.
    let first = ConversionRef::of_order(program, "A1");
    let _ = decided(
        &mut conn,
        "2010-12-03 00:00",
        conversion::Action::Reverse,
        &[first],
    )
    .await;
    let more = [
        paid_order(program, "A5", "2010-12-01 13:00"),
        paid_order(program, "A6", "2010-12-01 14:00"),
    ];
    let states = taken(&mut conn, "2010-12-03 09:00", &more).await;
    assert_eq!(states, [approved, pending]);
    assert_eq!(differences(&mut conn).await.unwrap(), []);
}

#[tokio::test]
async fn what_exceeds_a_cap_that_rejects_earns_nothing_and_says_why() {
    let (_db, mut conn, program) =
        program(ruled(capped(Limit::Orders(1), Overflow::Rejected))).await;
    let batch = [
        order(program, "A1", "2010-12-01 08:00", "99.00 USD"),
        order(program, "A2", "2010-12-01 09:00", "99.00 USD"),
    ];
    let states = taken(&mut conn, "2010-12-02 09:00", &batch).await;
    assert_eq!(states, [State::Pending, State::Rejected]);
    let reason: String = sqlx::query_scalar(
        "select h.reason from settlement.change h join settlement.conversion c \
         on c.id = h.conversion_id where c.order_ref = 'A2'",
    )
    .fetch_one(&mut conn)
    .await
    .unwrap();
    assert_eq!(reason, "over the cap of 1 orders a day for each publisher");
    assert_eq!(
        balances(&mut conn).await,
        ["9100 11.88 USD", "9200 7.92 USD", "9300 3.96 USD"]
    );
}

/// Twenty at a time, in two processes' stead, each in its own database transaction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_at_once_never_share_what_is_left_of_a_cap() {
    let rules = Rules {
        caps: vec![Cap {
            scope: Scope::Program,
            per: Per::Total,
            limit: Limit::Orders(7),
            overflow: Overflow::Rejected,
        }],
        first_order_bonus: Some(pays("5%")),
        ..Rules::default()
    };
    let (db, mut conn, program) = program(ruled(rules)).await;
    let pool = db.service_pool();
    let start = Arc::new(tokio::sync::Barrier::new(2));
    let run = |side: &'static str| {
        let (pool, start) = (pool.clone(), start.clone());
        tokio::spawn(async move {
            for n in 0..10 {
                let reference = format!("{side}{n}");
                let one = by_visitor(program, &reference, "2010-12-01 08:26", "the same");
                let mut tx = pool.begin().await.unwrap();
                start.wait().await;
                let now = at("2010-12-01 09:00");
                let _ = conversion::record(&mut tx, now, &by(), &[one])
                    .await
                    .unwrap();
                tx.commit().await.unwrap();
            }
        })
    };
    let (one, other) = (run("A"), run("B"));
    one.await.unwrap();
    other.await.unwrap();
    let count = |what: &'static str| sqlx::query_scalar::<_, i64>(what);
    let within = count("select count(*) from settlement.conversion where state = 'pending'");
    assert_eq!(within.fetch_one(&mut conn).await.unwrap(), 7);
    let all = count("select count(*) from settlement.conversion");
    assert_eq!(all.fetch_one(&mut conn).await.unwrap(), 20);
    let new = count("select count(*) from settlement.conversion where priced_by ? 'bonus'");
    assert_eq!(
        new.fetch_one(&mut conn).await.unwrap(),
        1,
        "one first order"
    );
    assert_eq!(differences(&mut conn).await.unwrap(), []);
}

#[tokio::test]
async fn a_first_order_earns_its_bonus_and_repeat_orders_pay_for_a_year() {
    let (_db, mut conn, program) = program(ruled(Rules {
        first_order_bonus: Some(FrozenRate::Flat(Flat {
            amount: amount("5.00 USD"),
        })),
        repeat_months: Some(12),
        ..Rules::default()
    }))
    .await;
    let topup = Selector {
        kind: Some(Kind::Topup),
        ..Selector::default()
    };
    add_rule(
        &mut conn,
        program,
        1,
        "2010-01-01 00:00",
        topup,
        Some(pays("3%")),
    )
    .await
    .unwrap();
    let batch = [
        by_visitor(program, "A1", "2010-12-01 08:00", "ada"),
        by_visitor(program, "A2", "2011-01-01 08:00", "ada"),
        by_visitor(program, "A3", "2011-12-01 08:00", "ada"),
        by_visitor(program, "A4", "2011-12-01 08:00", "bob"),
    ];
    let states = taken(&mut conn, "2011-12-02 09:00", &batch[..1]).await;
    assert_eq!(states, [State::Pending]);
    let states = taken(&mut conn, "2011-12-02 09:00", &batch[1..]).await;
    assert_eq!(states, [State::Pending, State::Rejected, State::Pending]);
    assert!(
        gross(&mut conn, "A1").await.starts_with("1490 "),
        "9.90 and 5.00"
    );
    assert!(
        gross(&mut conn, "A2").await.starts_with("297 "),
        "three percent"
    );
    assert!(gross(&mut conn, "A2").await.contains(r#""kind": "topup""#));
    assert!(
        gross(&mut conn, "A3").await.starts_with("0 "),
        "the thirteenth month"
    );
    assert!(gross(&mut conn, "A4").await.starts_with("1490 "));
    let part = a_refund("R1", "A1", "2011-12-02 10:00", "49.50 USD");
    let _ = refunds(&mut conn, "2011-12-02 10:00", &[part]).await;
    assert!(
        gross(&mut conn, "A1").await.starts_with("995 "),
        "4.95 and the bonus whole"
    );
    let rest = a_refund("R2", "A1", "2011-12-02 11:00", "49.50 USD");
    let _ = refunds(&mut conn, "2011-12-02 11:00", &[rest]).await;
    assert!(gross(&mut conn, "A1").await.starts_with("0 "));
    assert_eq!(differences(&mut conn).await.unwrap(), []);
}

#[tokio::test]
async fn paid_orders_are_approved_by_terms_that_say_so_and_by_no_others() {
    let (_db, mut conn, program) = program(ruled(Rules {
        auto_approve: AutoApprove::OnPaid,
        ..Rules::default()
    }))
    .await;
    let waits = add_program(&mut conn, "Other", terms()).await;
    let batch = [
        paid_order(program, "A1", "2010-12-01 08:00"),
        order(program, "A2", "2010-12-01 08:00", "99.00 USD"),
        paid_order(waits, "A3", "2010-12-01 08:00"),
    ];
    let states = taken(&mut conn, "2010-12-01 09:00", &batch).await;
    assert_eq!(states, [State::Approved, State::Pending, State::Pending]);
    let all =
        ["A2", "A3"].map(|n| ConversionRef::of_order([program, waits][usize::from(n == "A3")], n));
    for expect in [vec![(all[0], Changed::To(State::Approved))], Vec::new()] {
        begin(&mut conn).await;
        let paid = auto::paid(&mut conn, at("2010-12-02 09:00"), &by(), &all)
            .await
            .unwrap();
        commit(&mut conn).await;
        assert_eq!(paid, expect);
    }
    assert_eq!(differences(&mut conn).await.unwrap(), []);
}

#[tokio::test]
async fn after_its_days_a_conversion_is_approved_unless_it_is_held() {
    let (_db, mut conn, program) = program(ruled(Rules {
        auto_approve: AutoApprove::AfterDays(14),
        holds: vec![HoldRule::OrderFrom(money("500.00 USD"))],
        ..Rules::default()
    }))
    .await;
    let batch = [
        order(program, "A1", "2010-12-01 08:00", "499.99 USD"),
        order(program, "A2", "2010-12-01 08:00", "500.00 USD"),
    ];
    let states = taken(&mut conn, "2010-12-01 09:00", &batch).await;
    let held = State::OnHold(settlement::posting::held::HeldFrom::Pending);
    assert_eq!(states, [State::Pending, held]);
    let it = ConversionRef::of_order(program, "A1");
    for (now, expect) in [
        ("2010-12-15 07:59", vec![]),
        ("2010-12-15 08:00", vec![(it, Changed::To(State::Approved))]),
        ("2010-12-16 08:00", vec![]),
    ] {
        begin(&mut conn).await;
        let due = auto::approve_due(&mut conn, at(now), &by(), 100)
            .await
            .unwrap();
        commit(&mut conn).await;
        assert_eq!(due, expect, "{now}");
    }
    assert_eq!(differences(&mut conn).await.unwrap(), []);
}
