//! Figures are sums over the journal and the raw clicks, whatever happened before.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use ledger::{Currency, Money};
use proptest::test_runner::{Config, TestRunner};
use proptest::{collection, prelude::*};
use settlement::conversion::{Action, ConversionRef, Recorded};
use settlement::figures::period::Period;
use settlement::figures::publisher::{Figures, SubMark, by_sub, whole};
use settlement::figures::{Whose, click, owed, recent};
use settlement::tracking::{Click, Reason};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::fixture::*;

const PAT: Whose = Whose {
    publisher: PUBLISHER,
    book: None,
};

async fn all(conn: &mut PgConnection) -> Figures {
    let since = Period::All.since(at("2026-01-01 00:00"), chrono_tz::UTC);
    whole(conn, PAT, since).await.unwrap()
}

/// One order of a history: on which day, worth how many cents, which mark, and what became of it.
#[derive(Debug, Clone)]
struct Life {
    day: i64,
    cents: i64,
    mark: usize,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Decide(Action),
    Refund(i64),
}

fn life() -> impl Strategy<Value = Life> {
    let action = prop::sample::select(vec![
        Action::Approve,
        Action::Approve,
        Action::Hold,
        Action::Release,
        Action::Reject,
        Action::Reverse,
        Action::Reinstate,
    ]);
    let step = prop_oneof![
        3 => action.prop_map(Step::Decide),
        1 => (1..5_000_i64).prop_map(Step::Refund),
    ];
    let steps = collection::vec(step, 0..4);
    (0..40_i64, 100..50_000_i64, 0..3_usize, steps).prop_map(|(day, cents, mark, steps)| Life {
        day,
        cents,
        mark,
        steps,
    })
}

/// What the conversion rows say, told apart by mark: another way to the same figures.
async fn told(conn: &mut PgConnection, since: i64) -> BTreeMap<(String, String), (i64, i64)> {
    let rows: Vec<(String, String, i64, i64)> = sqlx::query_as(
        "select coalesce(k.sub1, ''), c.state, count(*), sum(c.publisher_due)::bigint
         from settlement.conversion c
         join settlement.click k on k.book_id = c.book_id and k.id = c.click_id
         where c.occurred_at >= '2010-12-01'::timestamptz + $1 * interval '1 day'
         group by 1, 2",
    )
    .bind(since)
    .fetch_all(conn)
    .await
    .unwrap();
    rows.into_iter()
        .map(|(mark, state, count, due)| ((mark, state), (count, due)))
        .collect()
}

async fn live(conn: &mut PgConnection, lives: &[Life], program: settlement::party::ProgramRef) {
    for (number, life) in (0_u128..).zip(lives) {
        let ordered = at("2010-12-01 10:00") + TimeDelta::days(life.day);
        let mut by_click = click(
            program,
            1_000 + number,
            "v",
            ordered - TimeDelta::minutes(5),
        );
        by_click.subs[0] = ["", "FB", "IG"]
            .get(life.mark)
            .filter(|m| !m.is_empty())
            .map(|m| (*m).to_owned());
        clicks(conn, &[by_click.clone()]).await;
        let worth = Money::try_from_minor(life.cents, Currency::USD).unwrap();
        let mut placed = order(
            program,
            &format!("O{number}"),
            "2010-12-01 10:00",
            &worth.to_string(),
        );
        placed.occurred_at = ordered;
        placed.publisher = None;
        placed.click = Some(by_click.id);
        let conversion = recorded(conn, placed).await;
        for (step_number, step) in life.steps.iter().enumerate() {
            match step {
                Step::Decide(action) => {
                    drop(decided(conn, "2011-01-20 00:00", *action, &[conversion]).await);
                }
                Step::Refund(cents) => {
                    let worth =
                        Money::try_from_minor((*cents).min(life.cents), Currency::USD).unwrap();
                    let reference = format!("R{number}-{step_number}");
                    let back = a_refund(
                        &reference,
                        &format!("O{number}"),
                        "2011-01-20 00:00",
                        &worth.to_string(),
                    );
                    refunds(conn, "2011-01-20 00:00", &[back]).await;
                }
            }
        }
    }
}

#[test]
fn figures_are_what_the_conversions_add_up_to_in_every_period_and_mark() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut runner = TestRunner::new(Config::with_cases(12));
    let lives = collection::vec(life(), 0..8);
    let outcome = runner.run(&lives, |lives| {
        runtime.block_on(async {
            let (_db, mut conn, program) = self::program(terms()).await;
            live(&mut conn, &lives, program).await;
            // Thirty days up to the fortieth, or all.
            for (period, first) in [(Period::Month, 11), (Period::All, -10_000)] {
                let since = period.since(at("2011-01-10 12:00"), chrono_tz::UTC);
                let figures = by_sub(&mut conn, PAT, since, SubMark::Numbered(1))
                    .await
                    .unwrap();
                let told = told(&mut conn, first).await;
                let none = Figures::default();
                for mark in ["", "FB", "IG"] {
                    let of = |states: &[&str]| {
                        let rows = states
                            .iter()
                            .filter_map(|s| told.get(&(mark.to_owned(), (*s).to_owned())));
                        rows.fold((0, 0), |sum, row| (sum.0 + row.0, sum.1 + row.1))
                    };
                    let figures = figures.get(mark).unwrap_or(&none);
                    let minor = |pick: fn(&settlement::figures::publisher::Earned) -> Money| {
                        figures
                            .earned
                            .first()
                            .map_or(0, |earned| pick(earned).minor())
                    };
                    prop_assert_eq!(figures.conversions.pending, of(&["pending"]).0);
                    prop_assert_eq!(
                        figures.conversions.in_force(),
                        of(&["pending", "on_hold", "approved"]).0
                    );
                    prop_assert_eq!(figures.conversions.rejected, of(&["rejected"]).0);
                    prop_assert_eq!(figures.conversions.reversed, of(&["reversed"]).0);
                    prop_assert_eq!(minor(|e| e.pending), of(&["pending"]).1);
                    prop_assert_eq!(minor(|e| e.on_hold), of(&["on_hold"]).1);
                    prop_assert_eq!(minor(|e| e.approved), of(&["approved"]).1);
                }
            }
            Ok(())
        })
    });
    outcome.unwrap();
}

#[tokio::test]
async fn clicks_count_once_a_session_and_disqualified_ones_never() {
    let (_db, mut conn, program) = program(terms()).await;
    let made = |id: u128, session: &str| Click {
        session: Some(session.to_owned()),
        ..click(program, id, "v", at("2010-12-01 10:00"))
    };
    let clicks_of = [
        made(1, "a"),
        Click {
            duplicate_of: Some(Uuid::from_u128(1)),
            ..made(2, "a")
        },
        made(3, "b"),
        Click {
            reason: Some(Reason::BotUa),
            ..made(4, "c")
        },
        Click {
            session: None,
            ..made(5, "")
        },
    ];
    clicks(&mut conn, &clicks_of).await;
    let figures = all(&mut conn).await;
    assert_eq!(
        (figures.clicks, figures.unique_clicks, figures.disqualified),
        (3, 3, 1)
    );
    assert_eq!(figures.conversion_rate().unwrap().to_string(), "0.0000");
    assert_eq!(figures.earned, []);
}

#[tokio::test]
async fn a_publisher_sees_its_conversions_and_which_came_of_the_same_click() {
    let (_db, mut conn, program) = program(terms()).await;
    clicks(&mut conn, &[click(program, 1, "v", at("2010-12-01 10:00"))]).await;
    let mut placed = Vec::new();
    for (reference, when) in [("A", "2010-12-01 11:00"), ("B", "2010-12-02 11:00")] {
        let mut by_click = order(program, reference, when, "99.00 USD");
        by_click.publisher = None;
        by_click.click = Some(Uuid::from_u128(1));
        placed.push(by_click);
    }
    for answer in orders(&mut conn, "2010-12-02 12:00", &placed).await {
        assert!(matches!(answer, Recorded::New(..)));
    }
    let since = Period::All.since(at("2010-12-03 00:00"), chrono_tz::UTC);
    let first = recent::conversions(&mut conn, PAT, since, None, 1)
        .await
        .unwrap();
    let rest = recent::conversions(&mut conn, PAT, since, Some(first[0].place), 9)
        .await
        .unwrap();
    let shown = |rows: &[recent::RecentConversion]| -> Vec<(String, bool)> {
        rows.iter()
            .map(|row| (row.amount.to_string(), row.is_topup))
            .collect()
    };
    assert_eq!(shown(&first), [("7.92 USD".to_owned(), true)]);
    assert_eq!(shown(&rest), [("7.92 USD".to_owned(), false)]);
    let figures = all(&mut conn).await;
    let earned = &figures.earned[0];
    assert_eq!(earned.average_order().unwrap().to_string(), "99.00");
    assert_eq!(
        earned.per_click(figures.clicks).unwrap().to_string(),
        "15.8400"
    );
    let outcome = click::outcome(&mut conn, Uuid::from_u128(1))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(outcome.conversions[0].count, 2);
    assert_eq!(outcome.conversions[0].value, money("198.00 USD"));
    assert_eq!(outcome.converted_at, Some(at("2010-12-01 11:00")));
}

#[tokio::test]
async fn what_a_brand_owes_counts_what_is_pending_and_what_is_approved() {
    let (_db, mut conn, program) = program(terms()).await;
    let mut made: Vec<ConversionRef> = Vec::new();
    for reference in ["A", "B", "C"] {
        let placed = order(program, reference, "2010-12-01 11:00", "1000.00 USD");
        made.push(recorded(&mut conn, placed).await);
    }
    decided(&mut conn, "2010-12-02 00:00", Action::Approve, &made[..1]).await;
    decided(&mut conn, "2010-12-02 00:00", Action::Reject, &made[1..2]).await;
    let owed = owed::totals(&mut conn, None, 240.into()).await.unwrap();
    assert_eq!((owed[0].total, owed[0].orders), (money("240.00 USD"), 2));
    assert!(
        owed::totals(&mut conn, None, 241.into())
            .await
            .unwrap()
            .is_empty()
    );
    let which = owed::Which {
        at_least: 100.into(),
        ..owed::Which::default()
    };
    let large = owed::commissions(&mut conn, &which, 20).await.unwrap();
    assert_eq!(large.len(), 2, "what was rejected earns nothing");
}
