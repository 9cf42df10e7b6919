//! Properties of whole histories: random programs, decisions and refunds, against the ledger.

use ledger::{Amount, Currency, Money};
use proptest::prelude::*;
use settlement::commission::{CommissionRule, Flat, Percentage};
use settlement::conversion::{Action, ConversionRef, Order, Recorded, Refund, Refunded};
use settlement::fees::{FeeModel, Fees};
use settlement::party::ProgramRef;
use settlement::reconcile::differences;
use settlement::terms::{Presentation, RecognitionPoint, Terms, Unattributed};
use sqlx::PgConnection;

use crate::fixture::*;

const CURRENCIES: [Currency; 4] = [Currency::USD, Currency::JPY, Currency::KWD, Currency::USDT];
const ACTIONS: [Action; 6] = [
    Action::Approve,
    Action::Reject,
    Action::Hold,
    Action::Release,
    Action::Reverse,
    Action::Reinstate,
];

fn in_minor(minor: i64, currency: Currency) -> Amount {
    Amount::new(Money::try_from_minor(minor, currency).unwrap()).unwrap()
}

fn fee_model() -> impl Strategy<Value = FeeModel> {
    let rate = ledger::testing::rate;
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

fn any_terms() -> impl Strategy<Value = Terms> {
    let rule = prop_oneof![
        3 => ledger::testing::rate().prop_map(|rate| (rate, None)),
        1 => (1_i64..5000).prop_map(|minor| ("0".parse().unwrap(), Some(minor))),
    ];
    let choices = (any::<bool>(), any::<bool>(), any::<bool>());
    let currency = prop::sample::select(CURRENCIES.to_vec());
    (
        rule,
        fee_model(),
        ledger::testing::rounding(),
        choices,
        currency,
    )
        .prop_map(
            |((rate, flat), fee_model, rounding, (late, gross, house), currency)| Terms {
                currency,
                rule: match flat {
                    None => CommissionRule::Percentage(Percentage { rate }),
                    Some(minor) => CommissionRule::Flat(Flat {
                        amount: in_minor(minor, currency),
                    }),
                },
                fee_model,
                rounding,
                recognition_point: [RecognitionPoint::Conversion, RecognitionPoint::Approval]
                    [usize::from(late)],
                presentation: [Presentation::Agent, Presentation::Principal][usize::from(gross)],
                unattributed: [Unattributed::RecordOnly, Unattributed::HouseIncome]
                    [usize::from(house)],
                ..terms()
            },
        )
}

/// What is done to each conversion in a round: an action, or a refund of so many percent.
#[derive(Debug, Clone, Copy)]
enum Move {
    Decide(usize),
    Refund(i64),
}

#[derive(Debug, Clone)]
struct Plan {
    terms: Vec<Terms>,
    /// Program, value in minor units, whether a publisher earned it, moves.
    orders: Vec<(usize, i64, bool, Vec<Move>)>,
}

fn plan() -> impl Strategy<Value = Plan> {
    const PROGRAMS: usize = 10;
    let step = prop_oneof![
        3 => (0..ACTIONS.len()).prop_map(Move::Decide),
        1 => Just(Move::Decide(0)),
        2 => (1_i64..=100).prop_map(Move::Refund),
    ];
    let order = (
        0..PROGRAMS,
        prop_oneof![1_i64..200, 1_i64..5_000_000],
        prop::bool::weighted(0.8),
        prop::collection::vec(step, 6),
    );
    (
        prop::collection::vec(any_terms(), PROGRAMS),
        prop::collection::vec(order, 40),
    )
        .prop_map(|(terms, orders)| Plan { terms, orders })
}

fn block<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

async fn programs(conn: &mut PgConnection, terms: &[Terms]) -> Vec<ProgramRef> {
    let mut programs = Vec::new();
    for (n, terms) in terms.iter().enumerate() {
        programs.push(add_program(conn, &format!("Brand {n}"), terms.clone()).await);
    }
    programs
}

/// Records the orders of a plan; returns their conversions.
async fn place(conn: &mut PgConnection, plan: &Plan) -> Vec<ConversionRef> {
    let programs = programs(conn, &plan.terms).await;
    let placed: Vec<Order> = plan
        .orders
        .iter()
        .enumerate()
        .map(|(n, (program, minor, earned, _))| {
            let reference = format!("O{n}");
            let mut order = order(
                programs[*program],
                &reference,
                "2010-12-01 08:26",
                "1.00 USD",
            );
            order.amount = in_minor(*minor, plan.terms[*program].currency).money();
            order.publisher = order.publisher.filter(|_| *earned);
            order
        })
        .collect();
    let answers = orders(conn, "2010-12-01 09:00", &placed).await;
    answers
        .into_iter()
        .map(|answer| match answer {
            Recorded::New(reference, _) => reference,
            other => panic!("not recorded: {other:?}"),
        })
        .collect()
}

fn part(plan: &Plan, nth: usize, round: usize, percent: i64) -> Refund {
    let (program, minor, ..) = &plan.orders[nth];
    let mut refund = a_refund(
        &format!("R{nth}.{round}"),
        &format!("O{nth}"),
        "2010-12-02 10:00",
        "1.00 USD",
    );
    refund.amount = in_minor(
        (minor * percent / 100).max(1),
        plan.terms[*program].currency,
    );
    refund
}

async fn play(plan: &Plan) {
    let db = network().await;
    let mut conn = db.service().await;
    let conversions = place(&mut conn, plan).await;
    assert_eq!(differences(&mut conn).await.unwrap(), []);
    let rounds = plan.orders[0].3.len();
    for round in 0..rounds {
        let now = format!("2010-12-{:02} 00:00", 10 + round);
        for (n, action) in ACTIONS.iter().enumerate() {
            let chosen: Vec<ConversionRef> = conversions
                .iter()
                .zip(&plan.orders)
                .filter(|(_, (.., moves))| matches!(moves[round], Move::Decide(a) if a == n))
                .map(|(conversion, _)| *conversion)
                .collect();
            let _ = decided(&mut conn, &now, *action, &chosen).await;
            assert_eq!(
                differences(&mut conn).await.unwrap(),
                [],
                "round {round} {action:?}"
            );
        }
        let parts: Vec<Refund> = (0..plan.orders.len())
            .filter_map(|nth| match plan.orders[nth].3[round] {
                Move::Refund(percent) => Some(part(plan, nth, round, percent)),
                Move::Decide(_) => None,
            })
            .collect();
        let _ = refunds(&mut conn, &now, &parts).await;
        assert_eq!(
            differences(&mut conn).await.unwrap(),
            [],
            "round {round} refunds"
        );
    }
    every_version_adds_up(&mut conn).await;
}

/// B = P + F in each version, as the brand, publisher and fee columns say it, and sides equal.
async fn every_version_adds_up(conn: &mut PgConnection) {
    let (versions, wrong): (i64, i64) = sqlx::query_as(
        r"select count(*), count(*) filter (where brand_due <> publisher_due + fee_brand
              + fee_publisher or publisher_due > gross or brand_due < gross)
          from settlement.commission",
    )
    .fetch_one(&mut *conn)
    .await
    .unwrap();
    assert!(versions > 0);
    assert_eq!(wrong, 0);
    let uneven: i64 =
        sqlx::query_scalar("select coalesce(sum(amount), 0)::bigint from ledger.line")
            .fetch_one(conn)
            .await
            .unwrap();
    assert_eq!(uneven, 0);
}

async fn refund_all(plan: &Plan, approve: bool) {
    let db = network().await;
    let mut conn = db.service().await;
    let conversions = place(&mut conn, plan).await;
    if approve {
        let _ = decided(&mut conn, "2010-12-02 00:00", Action::Approve, &conversions).await;
    }
    let mut parts = Vec::new();
    for nth in 0..plan.orders.len() {
        let mut left = plan.orders[nth].1;
        for (round, step) in plan.orders[nth].3.iter().enumerate() {
            let percent = if let Move::Refund(percent) = step {
                *percent
            } else {
                7
            };
            let mut refund = part(plan, nth, round, percent);
            let minor = refund.amount.minor().min(left);
            if minor > 0 {
                refund.amount = in_minor(minor, refund.amount.currency());
                left -= minor;
                parts.push(refund);
            }
        }
        if left > 0 {
            let mut rest = part(plan, nth, 99, 1);
            rest.amount = in_minor(left, rest.amount.currency());
            parts.push(rest);
        }
    }
    let answers = refunds(&mut conn, "2010-12-20 00:00", &parts).await;
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Refunded::Applied(..)))
    );
    assert_eq!(balances(&mut conn).await, [(); 0].map(|()| String::new()));
    assert_eq!(differences(&mut conn).await.unwrap(), []);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4, max_shrink_iters: 40, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn after_any_decisions_and_refunds_the_books_hold_what_the_conversions_say(plan in plan()) {
        block(play(&plan));
    }

    #[test]
    fn any_split_of_a_full_refund_returns_every_account_to_exactly_zero(
        plan in plan(), approve in any::<bool>(),
    ) {
        block(refund_all(&plan, approve));
    }
}

#[tokio::test]
async fn an_account_that_does_not_hold_what_its_conversions_say_is_named() {
    let (db, mut conn, program) = program(terms()).await;
    let it = recorded(
        &mut conn,
        order(program, "A1", "2010-12-01 08:26", "99.00 USD"),
    )
    .await;
    let mut owner = db.connection().await;
    sqlx::query(
        "update settlement.conversion set publisher_due = 791, fee_publisher = 199 where id = $1",
    )
    .bind(it.id)
    .execute(&mut owner)
    .await
    .unwrap();
    let found: Vec<String> = differences(&mut conn)
        .await
        .unwrap()
        .iter()
        .map(|d| format!("{} {} {} {}", d.book, d.code, d.expected, d.found))
        .collect();
    assert_eq!(
        found,
        ["Acme 9200 7.91 USD 7.92 USD", "Acme 9300 3.97 USD 3.96 USD"]
    );
    let close = closed(&mut conn, "2011-01-03 00:00", "2010-12").await;
    assert!(
        matches!(close, settlement::close::Closed::Blocked(_)),
        "{close:?}"
    );
}
