//! Who earns an order: across devices, by claim and code, shared by several, decided again.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use ledger::Currency;
use proptest::prelude::*;
use settlement::attribution::AttributionTerms;
use settlement::conversion::reattribute::{self, Difference, Scope, recheck};
use settlement::conversion::{Action, Changed, ConversionRef, Order, Refund, State};
use settlement::coupon::{self, Code, Coupon};
use settlement::identity::{Claim, Identify, UserKey, claim, identify};
use settlement::party::{self, NewParty, ProgramRef};
use settlement::reconcile::differences;
use settlement::terms::{RecognitionPoint, Terms, Unattributed};
use settlement::tracking::Click;
use settlement::trail;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::fixture::*;

const A: Uuid = PUBLISHER;
const B: Uuid = Uuid::from_u128(0x51);
const C: Uuid = Uuid::from_u128(0x52);

fn modelled(model: &str) -> Terms {
    let model = model.parse().unwrap();
    Terms {
        attribution: AttributionTerms {
            model,
            ..AttributionTerms::default()
        },
        ..terms()
    }
}

async fn three(terms: Terms) -> (migrations::testing::TestDatabase, PgConnection, ProgramRef) {
    let (db, mut conn, program) = program(terms).await;
    let now = at("2010-01-01 00:00");
    let others = [(B, "Bo"), (C, "Cy")].map(|(id, name)| NewParty {
        id,
        name: name.to_owned(),
    });
    party::create_publishers(&mut conn, now, &by(), &others)
        .await
        .unwrap();
    party::enrol(&mut conn, now, &by(), &[(program, B), (program, C)])
        .await
        .unwrap();
    (db, conn, program)
}

fn of(program: ProgramRef, id: u128, publisher: Uuid, visitor: &str, when: &str) -> Click {
    Click {
        publisher,
        ..click(program, id, visitor, at(when))
    }
}

/// An order of a visitor who names nobody.
fn by_visitor(program: ProgramRef, reference: &str, visitor: &str, worth: &str) -> Order {
    Order {
        visitor: Some(visitor.to_owned()),
        ..Order::new(program, reference, at("2010-12-01 08:26"), amount(worth))
    }
}

/// What each publisher's account of a code holds, in minor units.
async fn held(conn: &mut PgConnection, code: &str) -> BTreeMap<Uuid, i64> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "select a.dimensions ->> 'publisher', sum(d.credits - d.debits)::bigint
         from ledger.account a
         join ledger.account_day d on d.book_id = a.book_id and d.account_id = a.id
         where a.code = $1 group by 1",
    )
    .bind(code)
    .fetch_all(conn)
    .await
    .unwrap();
    let rows = rows.into_iter().filter(|(_, minor)| *minor != 0);
    rows.map(|(publisher, minor)| (publisher.parse().unwrap(), minor))
        .collect()
}

fn minors(of: &[(Uuid, i64)]) -> BTreeMap<Uuid, i64> {
    of.iter().copied().collect()
}

async fn model_of(conn: &mut PgConnection, it: ConversionRef) -> (String, Option<String>) {
    let story = trail::trail(conn, it.book, it.id).await.unwrap().unwrap();
    (story.model, story.publisher)
}

async fn three_clicks(conn: &mut PgConnection, program: ProgramRef) {
    let all = [
        of(program, 1, A, "v", "2010-11-20 10:00"),
        of(program, 2, B, "v", "2010-11-21 10:00"),
        of(program, 3, C, "v", "2010-11-22 10:00"),
    ];
    clicks(conn, &all).await;
}

/// Nothing is wrong: books and conversions agree, and all follows from the raw facts.
async fn proven(conn: &mut PgConnection) {
    assert_eq!(differences(conn).await.unwrap(), []);
    let checked = recheck::check(conn, None, None, 10_000).await.unwrap();
    assert_eq!(checked.faults, []);
}

#[tokio::test]
async fn three_publishers_share_a_conversion_through_its_whole_life() {
    for recognition_point in [RecognitionPoint::Approval, RecognitionPoint::Conversion] {
        let terms = Terms {
            recognition_point,
            ..modelled("linear")
        };
        let (_db, mut conn, program) = three(terms).await;
        three_clicks(&mut conn, program).await;
        let (open, on_hold) = match recognition_point {
            RecognitionPoint::Approval => ("9200", "9210"),
            RecognitionPoint::Conversion => ("2005", "2030"),
        };
        // 10.00 commission, 8.00 for publishers: 2.67, 2.67 and 2.66.
        let it = recorded(&mut conn, by_visitor(program, "A1", "v", "100.00 USD")).await;
        let thirds = minors(&[(A, 267), (B, 267), (C, 266)]);
        assert_eq!(held(&mut conn, open).await, thirds);
        let steps = [
            (Action::Hold, on_hold),
            (Action::Release, open),
            (Action::Approve, "2000"),
            (Action::Hold, "2030"),
            (Action::Release, "2000"),
        ];
        for (action, code) in steps {
            let _ = decided(&mut conn, "2010-12-02 00:00", action, &[it]).await;
            assert_eq!(held(&mut conn, code).await, thirds, "{action:?}");
            proven(&mut conn).await;
        }
        for _ in 0..2 {
            let _ = decided(&mut conn, "2010-12-03 00:00", Action::Reverse, &[it]).await;
            assert_eq!(held(&mut conn, "2000").await, minors(&[]));
            proven(&mut conn).await;
            let _ = decided(&mut conn, "2010-12-04 00:00", Action::Reinstate, &[it]).await;
            assert_eq!(held(&mut conn, "2000").await, thirds);
        }
        let part = a_refund("R1", "A1", "2010-12-05 00:00", "25.00 USD");
        let _ = refunds(&mut conn, "2010-12-05 00:00", &[part]).await;
        assert_eq!(
            held(&mut conn, "2000").await,
            minors(&[(A, 200), (B, 200), (C, 200)])
        );
        proven(&mut conn).await;
        let rest = a_refund("R2", "A1", "2010-12-06 00:00", "75.00 USD");
        let _ = refunds(&mut conn, "2010-12-06 00:00", &[rest]).await;
        assert!(balances(&mut conn).await.is_empty());
        proven(&mut conn).await;
    }
}

#[tokio::test]
async fn the_telephones_click_earns_the_laptops_order_once_the_user_is_known() {
    let (_db, mut conn, program) = three(terms()).await;
    let all = [
        of(program, 1, A, "laptop", "2010-11-20 10:00"),
        of(program, 2, B, "telephone", "2010-11-21 10:00"),
    ];
    clicks(&mut conn, &all).await;
    let before = recorded(&mut conn, by_visitor(program, "A1", "laptop", "99.00 USD")).await;
    assert_eq!(model_of(&mut conn, before).await.1.as_deref(), Some("Pat"));
    let user = UserKey::read(&mut conn)
        .await
        .unwrap()
        .hash(program.book, "u1");
    let at_click = |id| Identify {
        book: program.book,
        user,
        click: Uuid::from_u128(id),
    };
    let now = at("2010-12-01 12:00");
    identify(&mut conn, now, &by(), &[at_click(1), at_click(2)])
        .await
        .unwrap();
    // By the visitor, by the click it names, by the user it names.
    let visitor = by_visitor(program, "A2", "laptop", "99.00 USD");
    let named = Order {
        click: Some(Uuid::from_u128(1)),
        ..Order::new(program, "A3", at("2010-12-01 08:26"), amount("99.00 USD"))
    };
    let known = Order {
        user: Some(user),
        ..Order::new(program, "A4", at("2010-12-01 08:26"), amount("99.00 USD"))
    };
    for order in [visitor, named, known] {
        let order = Order {
            occurred_at: at("2010-12-02 08:26"),
            ..order
        };
        let it = recorded(&mut conn, order).await;
        let credited = model_of(&mut conn, it).await;
        assert_eq!(credited, ("last_click".to_owned(), Some("Bo".to_owned())));
    }
    // What was decided before the user was known was right then.
    proven(&mut conn).await;
    let page = reattribute::look(&mut conn, now, Scope::default(), None, 100)
        .await
        .unwrap();
    assert_eq!(page.differences.len(), 1);
    assert_eq!(page.differences[0].conversion, before);
}

#[tokio::test]
async fn a_code_and_a_claim_earn_in_the_order_that_the_terms_say() {
    let attribution = AttributionTerms {
        claim_at_signup: true,
        ..AttributionTerms::default()
    };
    let (_db, mut conn, program) = three(Terms {
        attribution,
        ..terms()
    })
    .await;
    clicks(&mut conn, &[of(program, 1, A, "v", "2010-11-20 10:00")]).await;
    let code = Code::new(" save10 ").unwrap();
    let given = |publisher, from: &str| Coupon {
        program,
        code: Code::new("SAVE10").unwrap(),
        publisher,
        valid_from: at(from),
    };
    let now = at("2010-11-01 00:00");
    let both = [given(B, "2010-11-01 00:00"), given(C, "2010-12-01 08:26")];
    assert_eq!(coupon::add(&mut conn, now, &by(), &both).await.unwrap(), 2);
    let user = UserKey::read(&mut conn)
        .await
        .unwrap()
        .hash(program.book, "u1");
    let claimed = Claim {
        book: program.book,
        user,
        publisher: C,
        first_click_at: at("2010-11-02 00:00"),
    };
    let _ = claim(&mut conn, at("2010-11-03 00:00"), &by(), &[claimed])
        .await
        .unwrap();
    let with = |reference: &str, visitor: Option<&str>, when: &str| Order {
        coupon: Some(code.clone()),
        visitor: visitor.map(str::to_owned),
        ..Order::new(program, reference, at(when), amount("99.00 USD"))
    };
    let cases = [
        (
            with("A1", Some("v"), "2010-12-01 08:25"),
            "last_click",
            "Pat",
        ),
        (with("A2", None, "2010-12-01 08:25"), "coupon", "Bo"),
        (with("A3", None, "2010-12-01 08:26"), "coupon", "Cy"),
        (
            Order {
                user: Some(user),
                ..with("A4", Some("v"), "2011-06-01 00:00")
            },
            "claim",
            "Cy",
        ),
    ];
    for (order, model, publisher) in cases {
        let it = recorded(&mut conn, order).await;
        let credited = model_of(&mut conn, it).await;
        assert_eq!(credited, (model.to_owned(), Some(publisher.to_owned())));
    }
    assert!(
        coupon::end(&mut conn, at("2011-01-01 00:00"), program, &code)
            .await
            .unwrap()
    );
    let ended = recorded(&mut conn, with("A5", None, "2011-01-01 00:00")).await;
    assert_eq!(model_of(&mut conn, ended).await, ("none".to_owned(), None));
    proven(&mut conn).await;
}

async fn all_differences(conn: &mut PgConnection, scope: Scope) -> Vec<Difference> {
    let now = at("2011-01-10 00:00");
    reattribute::look(conn, now, scope, None, 1_000)
        .await
        .unwrap()
        .differences
}

async fn applied(conn: &mut PgConnection, scope: Scope) -> usize {
    let now = at("2011-01-10 00:00");
    begin(conn).await;
    let page = reattribute::apply(conn, now, &by(), "because", scope, None, 1_000)
        .await
        .unwrap();
    commit(conn).await;
    page.differences.len()
}

fn scope(model: &str, lookback_days: Option<i32>) -> Scope {
    Scope {
        model: Some(model.parse().unwrap()),
        lookback_days,
        program: None,
    }
}

#[tokio::test]
async fn another_model_is_shown_first_and_then_posts_only_the_differences_in_the_open_month() {
    let (_db, mut conn, program) = three(terms()).await;
    three_clicks(&mut conn, program).await;
    let batch: Vec<Order> = ["A1", "A2", "A3", "A4"]
        .iter()
        .map(|reference| by_visitor(program, reference, "v", "100.00 USD"))
        .collect();
    let _ = orders(&mut conn, "2010-12-01 09:00", &batch).await;
    let of = |reference: &str| ConversionRef::of_order(program, reference);
    let approved = [of("A1"), of("A2")];
    let _ = decided(&mut conn, "2010-12-02 00:00", Action::Approve, &approved).await;
    let _ = decided(&mut conn, "2010-12-02 00:00", Action::Hold, &[of("A2")]).await;
    let _ = decided(&mut conn, "2010-12-02 00:00", Action::Reject, &[of("A4")]).await;
    let _ = closed(&mut conn, "2011-01-05 00:00", "2010-12").await;
    let before = heads(&mut conn).await;

    let found = all_differences(&mut conn, scope("linear", None)).await;
    assert_eq!(heads(&mut conn).await, before, "only looked");
    assert_eq!(found.len(), 3, "what was rejected stays as it is");
    for it in &found {
        assert_eq!(it.before, [(C, money("8.00 USD"))]);
        let thirds = [
            (A, money("2.67 USD")),
            (B, money("2.67 USD")),
            (C, money("2.66 USD")),
        ];
        assert_eq!(it.after, thirds);
    }
    assert_eq!(applied(&mut conn, scope("linear", None)).await, 3);
    let thirds = minors(&[(A, 267), (B, 267), (C, 266)]);
    for code in ["2000", "2030", "9200"] {
        assert_eq!(held(&mut conn, code).await, thirds, "{code}");
    }
    proven(&mut conn).await;
    let story = trail::trail(&mut conn, program.book, of("A1").id)
        .await
        .unwrap()
        .unwrap();
    let latest = story.entries.last().unwrap();
    assert_eq!(latest.entry.effective(), day("2011-01-10"));
    assert_eq!(latest.entry.legs().len(), 3, "only the payables move");
    assert_eq!(
        applied(&mut conn, scope("linear", None)).await,
        0,
        "twice is once"
    );

    // A reversal takes back what stands now, and not what was approved once.
    let reversed = decided(&mut conn, "2011-01-11 00:00", Action::Reverse, &approved).await;
    assert_eq!(reversed, [Changed::To(State::Reversed); 2]);
    assert!(held(&mut conn, "2000").await.is_empty() && held(&mut conn, "2030").await.is_empty());
    let back = decided(&mut conn, "2011-01-12 00:00", Action::Reinstate, &approved).await;
    assert_eq!(back, [Changed::To(State::Approved); 2]);
    let twice = minors(&[(A, 534), (B, 534), (C, 532)]);
    assert_eq!(held(&mut conn, "2000").await, twice);
    proven(&mut conn).await;
    assert_eq!(
        applied(&mut conn, Scope::default()).await,
        3,
        "and back to the program's own"
    );
    assert_eq!(held(&mut conn, "2000").await, minors(&[(C, 1600)]));
    proven(&mut conn).await;
}

#[tokio::test]
async fn a_window_takes_and_gives_attribution_and_both_can_be_taken_back() {
    for unattributed in [Unattributed::RecordOnly, Unattributed::HouseIncome] {
        let (_db, mut conn, program) = three(Terms {
            unattributed,
            ..terms()
        })
        .await;
        three_clicks(&mut conn, program).await;
        let it = recorded(&mut conn, by_visitor(program, "A1", "v", "100.00 USD")).await;
        let _ = decided(&mut conn, "2010-12-02 00:00", Action::Approve, &[it]).await;
        let part = a_refund("R1", "A1", "2010-12-05 00:00", "25.00 USD");
        let _ = refunds(&mut conn, "2010-12-05 00:00", &[part]).await;
        let before = balances(&mut conn).await;
        let narrow = scope("last_click", Some(3));
        assert_eq!(all_differences(&mut conn, narrow).await[0].after, []);
        assert_eq!(applied(&mut conn, narrow).await, 1);
        let house = ["1110 9.00 USD", "4010 1.50 USD", "4020 7.50 USD"];
        let expected: &[&str] = if unattributed == Unattributed::HouseIncome {
            &house
        } else {
            &[]
        };
        assert_eq!(balances(&mut conn).await, expected);
        proven(&mut conn).await;
        assert_eq!(applied(&mut conn, Scope::default()).await, 1);
        if unattributed == Unattributed::RecordOnly {
            // It waits for review again.
            let _ = decided(&mut conn, "2011-01-12 00:00", Action::Approve, &[it]).await;
        }
        assert_eq!(balances(&mut conn).await, before);
        proven(&mut conn).await;
    }
}

#[tokio::test]
async fn the_check_finds_a_wrong_amount_publisher_and_part() {
    let (db, mut conn, program) = three(modelled("linear")).await;
    three_clicks(&mut conn, program).await;
    let it = recorded(&mut conn, by_visitor(program, "A1", "v", "100.00 USD")).await;
    proven(&mut conn).await;
    let mut owner = db.connection().await;
    for (planted, found) in [
        (
            "update settlement.conversion set gross = gross + 1, brand_due = brand_due + 1, \
             publisher_due = publisher_due + 1",
            "follows as",
        ),
        (
            "update settlement.conversion set order_amount = order_amount + 100",
            "raw facts",
        ),
        (
            "update settlement.conversion set publisher_id = null, publisher_due = 0, \
             fee_publisher = fee_publisher + publisher_due, credit_version = null",
            "the clicks say",
        ),
        (
            "update settlement.conversion set frozen_rate = \
             '{\"rule\":\"percentage\",\"rate\":\"0.2\"}'",
            "frozen rate",
        ),
    ] {
        sqlx::query("begin").execute(&mut owner).await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(planted))
            .execute(&mut owner)
            .await
            .unwrap();
        let checked = recheck::check(&mut owner, None, None, 10).await.unwrap();
        sqlx::query("rollback").execute(&mut owner).await.unwrap();
        let all: Vec<_> = checked
            .faults
            .iter()
            .map(|fault| fault.problem.as_str())
            .collect();
        assert!(
            all.iter().any(|problem| problem.contains(found)),
            "{planted}: {all:?}"
        );
        assert!(checked.faults.iter().all(|fault| fault.conversion == it));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn any_split_of_a_full_refund_returns_every_publisher_to_exactly_zero(
        currency in prop::sample::select(vec!["USD", "JPY", "KWD", "USDT"]),
        model in prop::sample::select(vec!["linear", "position", "time_decay:36h"]),
        fee_model in prop::sample::select(vec![
            r#"{"model":"deducted","rate":"0.2"}"#, r#"{"model":"on_top","rate":"0.2"}"#,
            r#"{"model":"two_sided","rate":"0.2"}"#, r#"{"model":"house"}"#,
        ]),
        worth in 1_000..100_000_i64,
        cuts in proptest::collection::vec(1..1_000_i64, 0..5),
        approve in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let currency: Currency = currency.parse().unwrap();
        let mut at_cuts: Vec<i64> = cuts
            .iter()
            .map(|cut| cut * worth / 1_000)
            .chain([0, worth])
            .collect();
        at_cuts.sort_unstable();
        at_cuts.dedup();
        runtime.block_on(async {
            let fee_model = serde_json::from_str(fee_model).unwrap();
            let terms = Terms { currency, fee_model, ..modelled(model) };
            let (_db, mut conn, program) = three(terms).await;
            three_clicks(&mut conn, program).await;
            let in_minor = |minor| {
                let money = ledger::Money::try_from_minor(minor, currency).unwrap();
                ledger::Amount::new(money).unwrap()
            };
            let order = Order {
                visitor: Some("v".to_owned()),
                ..Order::new(program, "A1", at("2010-12-01 08:26"), in_minor(worth))
            };
            let it = recorded(&mut conn, order).await;
            if approve {
                let _ = decided(&mut conn, "2010-12-02 00:00", Action::Approve, &[it]).await;
            }
            for (n, pair) in at_cuts.windows(2).enumerate() {
                let when: DateTime<Utc> = at("2010-12-03 00:00") + TimeDelta::hours(1);
                let refund = Refund {
                    amount: in_minor(pair[1] - pair[0]),
                    occurred_at: when,
                    ..a_refund(&format!("R{n}"), "A1", "2010-12-03 00:00", "1.00 USD")
                };
                let _ = refunds(&mut conn, "2010-12-03 02:00", &[refund]).await;
                proven(&mut conn).await;
            }
            assert!(balances(&mut conn).await.is_empty());
            for code in ["2000", "9200"] {
                assert!(held(&mut conn, code).await.is_empty(), "{code}");
            }
        });
    }
}
