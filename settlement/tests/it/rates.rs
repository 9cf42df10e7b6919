//! Orders in another currency than their program's: converted, waiting, refunded.

use ledger::{Currency, Money};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rust_decimal::Decimal;
use settlement::conversion::{
    Action, Changed, ConversionRef, Order, Recorded, Refund, Refunded, State, price_awaiting,
};
use settlement::rates::{self, NewRate, Stored};
use settlement::reconcile::differences;
use settlement::terms::Terms;
use sqlx::PgConnection;

use crate::fixture::*;

async fn rate(conn: &mut PgConnection, source: &str, rate: &str) -> Stored {
    let [base, quote, on, rate] = rate.split(' ').collect::<Vec<_>>()[..] else {
        panic!("base quote day rate")
    };
    let new = NewRate {
        base: base.parse().unwrap(),
        quote: quote.parse().unwrap(),
        day: day(on),
        rate: rate.parse().unwrap(),
    };
    rates::add(conn, at("2010-12-10 00:00"), &by(), source, &[new])
        .await
        .unwrap()
}

fn stored(new: u64, corrected: u64, unchanged: u64) -> Stored {
    Stored {
        new,
        corrected,
        unchanged,
    }
}

const SAR: &str = "USD SAR 2010-12-01 3.75";
const NONE: [&str; 0] = [];

/// What a conversion says of money: order and refunds here and there, then B, P and both fees.
async fn figures(conn: &mut PgConnection, order_ref: &str) -> String {
    sqlx::query_scalar(
        "select concat_ws(' ', state, order_amount, refunded, original_amount, original_refunded, \
         fx ->> 'rate', '|', brand_due, publisher_due, fee_brand, fee_publisher) \
         from settlement.conversion where order_ref = $1",
    )
    .bind(order_ref)
    .fetch_one(conn)
    .await
    .unwrap()
}

async fn priced(conn: &mut PgConnection) -> usize {
    begin(conn).await;
    let priced = price_awaiting(conn, at("2010-12-10 00:00"), &by(), 1000).await;
    commit(conn).await;
    priced.unwrap().len()
}

#[tokio::test]
async fn an_order_is_converted_at_the_rate_of_its_day_and_its_refunds_too() {
    let (_db, mut conn, program) = program(terms()).await;
    assert_eq!(rate(&mut conn, "by hand", SAR).await, stored(1, 0, 0));
    let it = recorded(
        &mut conn,
        order(program, "A1", "2010-12-01 08:26", "200.00 SAR"),
    )
    .await;
    // 200.00 / 3.75 = 53.33; ten percent are 5.33.
    let new = "pending 5333 0 20000 0 0.266666666667 | 640 426 107 107";
    assert_eq!(figures(&mut conn, "A1").await, new);
    // A later correction of the rate changes nothing that was converted.
    let corrected = rate(&mut conn, "by hand", "USD SAR 2010-12-01 3.80").await;
    assert_eq!(corrected, stored(0, 1, 0));
    let _ = decided(&mut conn, "2010-12-20 00:00", Action::Approve, &[it]).await;
    let part = a_refund("R1", "A1", "2010-12-21 10:00", "0.01 SAR");
    let rest = a_refund("R2", "A1", "2010-12-22 10:00", "199.99 SAR");
    let answers = refunds(&mut conn, "2010-12-22 12:00", &[part, rest.clone()]).await;
    let applied = |state| Refunded::Applied(it, state);
    assert_eq!(
        answers,
        [applied(State::Approved), applied(State::Reversed)]
    );
    let gone = "reversed 5333 5333 20000 20000 0.266666666667 | 0 0 0 0";
    assert_eq!(figures(&mut conn, "A1").await, gone);
    assert_eq!(balances(&mut conn).await, NONE);
    let again = refunds(&mut conn, "2010-12-23 12:00", &[rest]).await;
    assert_eq!(again, [Refunded::Duplicate(it)]);
    assert_eq!(differences(&mut conn).await.unwrap(), []);
}

#[tokio::test]
async fn without_a_rate_an_order_waits_worth_nothing_and_is_priced_when_there_is_one() {
    let (_db, mut conn, program) = program(terms()).await;
    let one = order(program, "A1", "2010-12-01 08:26", "20.00 SAR");
    let it = recorded(&mut conn, one.clone()).await;
    assert_eq!(
        figures(&mut conn, "A1").await,
        "pending 0 0 2000 0 | 0 0 0 0"
    );
    assert_eq!(balances(&mut conn).await, NONE);
    let approve = decided(&mut conn, "2010-12-02 00:00", Action::Approve, &[it]).await;
    assert_eq!(
        approve,
        [Changed::Impossible(State::Pending)],
        "nobody knows how much"
    );
    let again = orders(&mut conn, "2010-12-02 00:00", &[one]).await;
    assert_eq!(again, [Recorded::Duplicate(it)]);
    let part = a_refund("R1", "A1", "2010-12-03 10:00", "5.00 SAR");
    let _ = refunds(&mut conn, "2010-12-03 10:00", &[part]).await;
    let _ = decided(&mut conn, "2010-12-03 12:00", Action::Hold, &[it]).await;
    assert_eq!(priced(&mut conn).await, 0);
    let _ = rate(&mut conn, "by hand", "EUR USD 2010-11-30 1.3").await;
    assert_eq!(priced(&mut conn).await, 0, "half of the way");
    let _ = rate(&mut conn, "by hand", "USD SAR 2010-11-30 3.75").await;
    assert_eq!(priced(&mut conn).await, 1);
    assert_eq!(priced(&mut conn).await, 0, "once");
    // 20.00 / 3.75 = 5.33; 1.33 of it were refunded: ten percent of 4.00.
    let figures = figures(&mut conn, "A1").await;
    assert_eq!(
        figures,
        "on_hold 533 133 2000 500 0.266666666667 | 48 32 8 8"
    );
    assert_eq!(
        balances(&mut conn).await,
        ["9100 0.48 USD", "9210 0.32 USD", "9300 0.16 USD"]
    );
    assert_eq!(differences(&mut conn).await.unwrap(), []);
    let wrong = a_refund("R2", "A1", "2010-12-04 10:00", "0.10 USD");
    let answer = refunds(&mut conn, "2010-12-04 10:00", &[wrong]).await;
    let differs = settlement::conversion::parked::Reason::CurrencyDiffers;
    assert_eq!(
        answer,
        [Refunded::Parked(differs)],
        "in the order's currency only"
    );
}

#[tokio::test]
async fn the_same_rates_again_change_nothing_and_a_correction_stands() {
    let (_db, mut conn, _) = program(terms()).await;
    let first = "EUR USD 2010-12-01 1.3";
    assert_eq!(rate(&mut conn, "ECB", first).await, stored(1, 0, 0));
    assert_eq!(rate(&mut conn, "ECB", first).await, stored(0, 0, 1));
    let by_hand = rate(&mut conn, "treasurer", "EUR USD 2010-12-01 1.31").await;
    assert_eq!(by_hand, stored(0, 1, 0));
    assert_eq!(rate(&mut conn, "ECB", first).await, stored(0, 0, 1));
    let listed = rates::list(&mut conn, Some(Currency::USD), 10)
        .await
        .unwrap();
    let [listed] = listed.as_slice() else {
        panic!("one counts: {listed:?}")
    };
    assert_eq!((listed.source.as_str(), listed.revision), ("treasurer", 2));
    let edited = sqlx::query("update settlement.fx_rate set rate = 1")
        .execute(&mut conn)
        .await;
    assert!(edited.is_err(), "rates are added, never edited");
    for (wrong, problem) in [
        ("EUR USD 2010-12-01 0", "not above zero"),
        ("EUR EUR 2010-12-01 1", "itself"),
        ("EUR USD 2010-12-01 1.3000000000001", "significant"),
    ] {
        let [base, quote, on, rate] = wrong.split(' ').collect::<Vec<_>>()[..] else {
            panic!("base quote day rate")
        };
        let new = NewRate {
            base: base.parse().unwrap(),
            quote: quote.parse().unwrap(),
            day: day(on),
            rate: rate.parse().unwrap(),
        };
        let refused = rates::add(&mut conn, at("2010-12-10 00:00"), &by(), "x", &[new]).await;
        assert!(
            refused.unwrap_err().to_string().contains(problem),
            "{wrong}"
        );
    }
}

const CURRENCIES: [Currency; 6] = [
    Currency::USD,
    Currency::JPY,
    Currency::KWD,
    Currency::USDT,
    Currency::SAR,
    Currency::EUR,
];

/// Orders of any currency, each with refunds that add up to all of it, cut anywhere.
fn chains() -> impl Strategy<Value = Vec<(Currency, i64, Vec<i64>)>> {
    let order = (
        prop::sample::select(CURRENCIES.to_vec()),
        prop_oneof![1_i64..50, 1_i64..5_000_000],
        prop::collection::vec(any::<prop::sample::Index>(), 0..5),
    );
    let order = order.prop_map(|(currency, minor, cuts)| {
        let units = usize::try_from(minor).unwrap();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(units)).collect();
        cuts.extend([0, units]);
        cuts.sort_unstable();
        cuts.dedup();
        let steps = cuts.windows(2).map(|w| i64::try_from(w[1] - w[0]).unwrap());
        (currency, minor, steps.collect())
    });
    prop::collection::vec(order, 30)
}

/// Whatever the currencies of order and program, and however a full refund is split.
#[test]
fn refunds_that_add_up_to_the_order_return_every_component_to_exactly_zero() {
    let mut runner = TestRunner::new(Config {
        cases: 6,
        failure_persistence: None,
        ..Config::default()
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let program = prop::sample::select(CURRENCIES[..4].to_vec());
    let plan = (program, chains(), 1_i64..99_999, any::<bool>());
    runner
        .run(&plan, |(currency, chains, rate, late)| {
            runtime.block_on(check_chains(currency, chains, Decimal::new(rate, 4), late));
            Ok(())
        })
        .unwrap();
}

async fn check_chains(
    currency: Currency,
    chains: Vec<(Currency, i64, Vec<i64>)>,
    rate: Decimal,
    late: bool,
) {
    let (_db, mut conn, program) = program(Terms {
        currency,
        ..terms()
    })
    .await;
    let others = CURRENCIES
        .into_iter()
        .filter(|other| *other != Currency::EUR);
    let table: Vec<NewRate> = others
        .zip(1_i64..)
        .map(|(quote, n)| NewRate {
            base: Currency::EUR,
            quote,
            day: day("2010-12-01"),
            rate: rate + Decimal::new(n, 3),
        })
        .collect();
    let import = async |conn: &mut PgConnection| {
        let now = at("2010-12-01 00:00");
        let _ = rates::add(conn, now, &by(), "ECB", &table).await.unwrap();
    };
    if !late {
        import(&mut conn).await;
    }
    let batch: Vec<Order> = chains
        .iter()
        .enumerate()
        .map(|(n, (currency, minor, _))| {
            let one = order(program, &format!("A{n}"), "2010-12-01 08:26", "1.00 USD");
            let money = Money::try_from_minor(*minor, *currency).unwrap();
            Order {
                amount: money,
                ..one
            }
        })
        .collect();
    let answers = orders(&mut conn, "2010-12-01 09:00", &batch).await;
    assert!(
        answers
            .iter()
            .all(|a| matches!(a, Recorded::New(_, State::Pending)))
    );
    if late {
        import(&mut conn).await;
        let _ = priced(&mut conn).await;
    }
    let of = |o: &Order| ConversionRef::of_order(o.program, &o.order_ref);
    let half: Vec<ConversionRef> = batch.iter().step_by(2).map(of).collect();
    let _ = decided(&mut conn, "2010-12-02 00:00", Action::Approve, &half).await;
    let chain = |(n, (currency, _, steps)): (usize, &(Currency, i64, Vec<i64>))| {
        let refund = |(step, minor): (usize, &i64)| Refund {
            amount: ledger::Amount::new(Money::try_from_minor(*minor, *currency).unwrap()).unwrap(),
            ..a_refund(
                &format!("R{n}/{step}"),
                &format!("A{n}"),
                "2010-12-03 10:00",
                "1.00 USD",
            )
        };
        steps.iter().enumerate().map(refund).collect::<Vec<_>>()
    };
    let all: Vec<Refund> = chains.iter().enumerate().flat_map(chain).collect();
    let answers = refunds(&mut conn, "2010-12-03 12:00", &all).await;
    assert!(
        answers.iter().all(|a| matches!(a, Refunded::Applied(..))),
        "{answers:?}"
    );
    assert_eq!(balances(&mut conn).await, NONE);
    let left: i64 = sqlx::query_scalar(
        "select count(*) from settlement.conversion where state <> 'reversed' \
         or gross <> 0 or brand_due <> 0 or publisher_due <> 0 or fee_brand <> 0 \
         or fee_publisher <> 0 or refunded <> order_amount",
    )
    .fetch_one(&mut conn)
    .await
    .unwrap();
    assert_eq!(left, 0);
    assert_eq!(differences(&mut conn).await.unwrap(), []);
}
