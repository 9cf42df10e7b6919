//! One conversion through its whole life, and what may cross its way.

use ledger::balance::AsOf;
use settlement::close::Closed;
use settlement::conversion::parked::Reason;
use settlement::conversion::{Action, Changed, ConversionRef, Recorded, Refunded, State};
use settlement::terms::{Terms, Unattributed};
use settlement::trail;

use crate::fixture::*;

const NONE: [String; 0] = [];

#[tokio::test]
async fn a_conversion_lives_from_pending_to_reinstated() {
    let (_db, mut conn, program) = program(terms()).await;
    let it = recorded(
        &mut conn,
        order(program, "A1", "2010-12-01 08:26", "99.00 USD"),
    )
    .await;
    assert_eq!(
        balances(&mut conn).await,
        ["9100 11.88 USD", "9200 7.92 USD", "9300 3.96 USD"]
    );

    let changed = decided(&mut conn, "2010-12-20 00:00", Action::Approve, &[it]).await;
    assert_eq!(changed, [Changed::To(State::Approved)]);
    let earned = [
        "1110 11.88 USD",
        "2000 7.92 USD",
        "4000 1.98 USD",
        "4010 1.98 USD",
    ];
    assert_eq!(balances(&mut conn).await, earned);

    let partly = a_refund("R1", "A1", "2010-12-21 10:00", "24.75 USD");
    let refunded = refunds(&mut conn, "2010-12-21 10:00", &[partly]).await;
    assert_eq!(refunded, [Refunded::Applied(it, State::Approved)]);
    let left = [
        "1110 8.92 USD",
        "2000 5.94 USD",
        "4000 1.49 USD",
        "4010 1.49 USD",
    ];
    assert_eq!(balances(&mut conn).await, left);

    decided(&mut conn, "2010-12-22 00:00", Action::Reverse, &[it]).await;
    assert_eq!(balances(&mut conn).await, NONE);
    decided(&mut conn, "2010-12-23 00:00", Action::Reinstate, &[it]).await;
    assert_eq!(balances(&mut conn).await, left);
    decided(&mut conn, "2010-12-24 00:00", Action::Hold, &[it]).await;
    let held = [
        "1110 8.92 USD",
        "2030 5.94 USD",
        "4000 1.49 USD",
        "4010 1.49 USD",
    ];
    assert_eq!(balances(&mut conn).await, held);

    let story = trail::trail(&mut conn, it.book, it.id)
        .await
        .unwrap()
        .unwrap();
    let actions: Vec<_> = story
        .changes
        .iter()
        .map(|change| change.action.as_str())
        .collect();
    assert_eq!(
        actions,
        ["approve", "refund", "reverse", "reinstate", "hold"]
    );
    assert_eq!(
        story.entries.len(),
        7,
        "pending, expectation met, approved, and one each"
    );
    for asked in ["A1", "R1", "Acme/1", "Acme/7", &it.id.to_string()] {
        let found = trail::conversions_of(&mut conn, asked).await.unwrap();
        assert_eq!(found, [(it.book, it.id)], "{asked}");
    }
}

#[tokio::test]
async fn a_reversal_mirrors_its_approval_and_can_be_taken_back_as_often_as_one_likes() {
    let (_db, mut conn, program) = program(terms()).await;
    let it = recorded(
        &mut conn,
        order(program, "A1", "2010-12-01 08:26", "99.00 USD"),
    )
    .await;
    decided(&mut conn, "2010-12-20 00:00", Action::Approve, &[it]).await;
    let earned = balances(&mut conn).await;
    for _ in 0..3 {
        let reversed = decided(&mut conn, "2010-12-21 00:00", Action::Reverse, &[it]).await;
        assert_eq!(reversed, [Changed::To(State::Reversed)]);
        assert_eq!(balances(&mut conn).await, NONE);
        let again = decided(&mut conn, "2010-12-22 00:00", Action::Reinstate, &[it]).await;
        assert_eq!(again, [Changed::To(State::Approved)]);
        assert_eq!(balances(&mut conn).await, earned);
    }
    let story = trail::trail(&mut conn, it.book, it.id)
        .await
        .unwrap()
        .unwrap();
    let linked = story
        .entries
        .iter()
        .filter(|e| e.entry.reverses().is_some())
        .count();
    assert_eq!(linked, 6);
}

#[tokio::test]
async fn a_refund_after_a_reversal_leaves_less_to_reinstate() {
    let (_db, mut conn, program) = program(terms()).await;
    let it = recorded(
        &mut conn,
        order(program, "A1", "2010-12-01 08:26", "99.00 USD"),
    )
    .await;
    decided(&mut conn, "2010-12-20 00:00", Action::Approve, &[it]).await;
    decided(&mut conn, "2010-12-21 00:00", Action::Reverse, &[it]).await;
    let refund = a_refund("R1", "A1", "2010-12-22 10:00", "24.75 USD");
    let answer = refunds(&mut conn, "2010-12-22 10:00", &[refund]).await;
    assert_eq!(answer, [Refunded::Applied(it, State::Reversed)]);
    assert_eq!(balances(&mut conn).await, NONE);
    decided(&mut conn, "2010-12-23 00:00", Action::Reinstate, &[it]).await;
    let left = [
        "1110 8.92 USD",
        "2000 5.94 USD",
        "4000 1.49 USD",
        "4010 1.49 USD",
    ];
    assert_eq!(balances(&mut conn).await, left);
}

#[tokio::test]
async fn what_is_refunded_in_full_cannot_be_reinstated() {
    let (_db, mut conn, program) = program(terms()).await;
    let it = recorded(
        &mut conn,
        order(program, "A1", "2010-12-01 08:26", "99.00 USD"),
    )
    .await;
    let whole = a_refund("R1", "A1", "2010-12-02 10:00", "99.00 USD");
    let answer = refunds(&mut conn, "2010-12-22 10:00", &[whole]).await;
    assert_eq!(answer, [Refunded::Applied(it, State::Reversed)]);
    assert_eq!(balances(&mut conn).await, NONE);
    let twice = decided(&mut conn, "2010-12-23 00:00", Action::Reinstate, &[it, it]).await;
    assert_eq!(twice, [Changed::Impossible(State::Reversed); 2]);
}

#[tokio::test]
async fn the_same_order_again_is_a_duplicate_and_another_amount_a_conflict() {
    let (_db, mut conn, program) = program(terms()).await;
    let first = order(program, "A1", "2010-12-01 08:26", "99.00 USD");
    let other = order(program, "A1", "2010-12-01 08:26", "98.00 USD");
    let it = ConversionRef::of_order(program, "A1");
    let batch = [first.clone(), first.clone(), other.clone()];
    let conflict = Recorded::Conflict(it, money("99.00 USD"));
    let answers = orders(&mut conn, "2010-12-01 09:00", &batch).await;
    let new = Recorded::New(it, State::Pending);
    assert_eq!(answers, [new, Recorded::Duplicate(it), conflict.clone()]);
    let stands = heads(&mut conn).await;
    let answers = orders(&mut conn, "2011-01-01 09:00", &[other, first]).await;
    assert_eq!(answers, [conflict, Recorded::Duplicate(it)]);
    assert_eq!(heads(&mut conn).await, stands);
}

#[tokio::test]
async fn what_is_wrong_with_one_order_is_its_own_answer() {
    let (_db, mut conn, program) = program(terms()).await;
    let good = order(program, "A1", "2010-12-01 08:26", "99.00 USD");
    let mut bad = [(); 6].map(|()| good.clone());
    bad[0].order_ref = "with a nul \0".to_owned();
    bad[1].order_ref = String::new();
    bad[2].visitor = Some("\0".to_owned());
    bad[3].details.product = Some("\0".to_owned());
    bad[4].occurred_at = at("2009-12-31 23:59");
    bad[5].amount = money("92233720368547758.07 USD");
    let mut batch = bad.to_vec();
    batch.push(good);
    let answers = orders(&mut conn, "2010-12-01 09:00", &batch).await;
    let refused = answers
        .iter()
        .filter(|answer| matches!(answer, Recorded::Refused(_)))
        .count();
    assert_eq!(refused, 6, "{answers:?}");
    assert!(matches!(answers[6], Recorded::New(_, State::Pending)));
}

#[tokio::test]
async fn an_order_that_nobody_earned_is_recorded_and_owes_nothing() {
    let (_db, mut conn, program) = program(terms()).await;
    let mut nobody = order(program, "A1", "2010-12-01 08:26", "99.00 USD");
    nobody.publisher = None;
    let answers = orders(&mut conn, "2010-12-01 09:00", &[nobody]).await;
    let it = ConversionRef::of_order(program, "A1");
    assert_eq!(answers, [Recorded::New(it, State::Unattributed)]);
    assert_eq!(balances(&mut conn).await, NONE);
    let partly = a_refund("R1", "A1", "2010-12-02 10:00", "24.75 USD");
    let answer = refunds(&mut conn, "2010-12-02 10:00", &[partly]).await;
    assert_eq!(answer, [Refunded::Applied(it, State::Unattributed)]);
    let impossible = decided(&mut conn, "2010-12-20 00:00", Action::Approve, &[it]).await;
    assert_eq!(impossible, [Changed::Impossible(State::Unattributed)]);
}

#[tokio::test]
async fn house_income_is_the_networks_alone_also_on_hold() {
    let house = Terms {
        unattributed: Unattributed::HouseIncome,
        ..terms()
    };
    let (_db, mut conn, program) = program(house).await;
    let mut nobody = order(program, "A1", "2010-12-01 08:26", "99.00 USD");
    nobody.publisher = None;
    let it = recorded(&mut conn, nobody).await;
    decided(&mut conn, "2010-12-02 00:00", Action::Hold, &[it]).await;
    assert_eq!(
        balances(&mut conn).await,
        ["9100 11.88 USD", "9300 11.88 USD"]
    );
    decided(&mut conn, "2010-12-20 00:00", Action::Approve, &[it]).await;
    let income = ["1110 11.88 USD", "4010 1.98 USD", "4020 9.90 USD"];
    assert_eq!(balances(&mut conn).await, income);
    decided(&mut conn, "2010-12-21 00:00", Action::Reverse, &[it]).await;
    assert_eq!(balances(&mut conn).await, NONE);
}

#[tokio::test]
async fn an_order_of_a_closed_month_counts_on_the_first_open_day_and_names_its_month() {
    let (_db, mut conn, program) = program(terms()).await;
    recorded(
        &mut conn,
        order(program, "A1", "2010-12-01 08:26", "99.00 USD"),
    )
    .await;
    assert!(matches!(
        closed(&mut conn, "2011-01-03 00:00", "2010-12").await,
        Closed::Now(..)
    ));
    assert!(matches!(
        closed(&mut conn, "2011-01-03 00:00", "2010-12").await,
        Closed::Already(_)
    ));
    let late = recorded(
        &mut conn,
        order(program, "A2", "2010-12-31 23:59", "99.00 USD"),
    )
    .await;
    let story = trail::trail(&mut conn, late.book, late.id)
        .await
        .unwrap()
        .unwrap();
    let entry = &story.entries[0].entry;
    assert_eq!(entry.effective(), day("2011-01-01"));
    let causes: Vec<String> = entry.causes().iter().map(ToString::to_string).collect();
    assert!(causes.contains(&"period:2010-12".to_owned()), "{causes:?}");
    let december = AsOf::day(day("2010-12-31"));
    let filter = ledger::balance::Filter {
        code: Some("9100".to_owned()),
        ..Default::default()
    };
    let then = ledger::balance::accounts(&mut conn, &filter, december)
        .await
        .unwrap();
    assert_eq!(
        then[0].sums.debits,
        money("11.88 USD"),
        "the closed month did not change"
    );
}

#[tokio::test]
async fn a_book_opened_after_a_close_inherits_its_fence() {
    let (_db, mut conn, program) = program(terms()).await;
    recorded(
        &mut conn,
        order(program, "A1", "2010-12-01 08:26", "99.00 USD"),
    )
    .await;
    let _ = closed(&mut conn, "2011-01-03 00:00", "2010-12").await;
    let newcomer = add_program(&mut conn, "Zoe", terms()).await;
    let books = ledger::book::all(&mut conn).await.unwrap();
    let zoe = books.iter().find(|book| book.name == "Zoe").unwrap();
    assert_eq!(zoe.closed_through, Some(day("2010-12-31")));
    let late = recorded(
        &mut conn,
        order(newcomer, "Z1", "2010-12-31 12:00", "10.00 USD"),
    )
    .await;
    let story = trail::trail(&mut conn, late.book, late.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(story.entries[0].entry.effective(), day("2011-01-01"));
}

#[tokio::test]
async fn a_month_is_not_closed_before_it_is_over() {
    let (_db, mut conn, _) = program(terms()).await;
    let early = closed(&mut conn, "2010-12-31 23:59", "2010-12").await;
    assert!(matches!(early, Closed::Blocked(_)), "{early:?}");
}

#[tokio::test]
async fn a_refund_before_its_order_waits_in_the_car_park_until_the_order_arrives() {
    let (_db, mut conn, program) = program(terms()).await;
    let early = a_refund("R1", "A1", "2010-12-02 10:00", "99.00 USD");
    let answer = refunds(
        &mut conn,
        "2010-12-02 10:00",
        &[early.clone(), early.clone()],
    )
    .await;
    assert_eq!(answer, vec![Refunded::Parked(Reason::OrderUnknown); 2]);
    assert_eq!(parked(&mut conn).await.len(), 1);
    let it = recorded(
        &mut conn,
        order(program, "A1", "2010-12-01 08:26", "99.00 USD"),
    )
    .await;
    assert_eq!(parked(&mut conn).await, []);
    assert_eq!(
        balances(&mut conn).await,
        NONE,
        "recorded and refunded at once"
    );
    let again = refunds(&mut conn, "2010-12-03 10:00", &[early]).await;
    assert_eq!(again, [Refunded::Duplicate(it)]);
}

#[tokio::test]
async fn refunds_that_fit_no_order_are_parked_each_with_its_reason() {
    let (_db, mut conn, program) = program(terms()).await;
    let zoe = add_program(&mut conn, "Zoe", terms()).await;
    let it = recorded(
        &mut conn,
        order(program, "A1", "2010-12-01 08:26", "99.00 USD"),
    )
    .await;
    recorded(&mut conn, order(zoe, "B1", "2010-12-01 08:26", "99.00 USD")).await;
    recorded(
        &mut conn,
        order(program, "B1", "2010-12-01 08:26", "99.00 USD"),
    )
    .await;
    let when = "2010-12-02 10:00";
    let mut in_book = a_refund("R5", "B1", when, "1.00 USD");
    in_book.book = Some(zoe.book);
    let mut without = a_refund("R6", "", when, "1.00 USD");
    without.order_ref = None;
    let mut elsewhere = a_refund("R1", "A9", when, "1.00 USD");
    elsewhere.book = Some(zoe.book);
    let batch = [
        a_refund("R1", "A9", when, "1.00 USD"),
        a_refund("R2", "A1", when, "99.01 USD"),
        a_refund("R3", "B1", when, "1.00 USD"),
        a_refund("R4", "A1", when, "1 JPY"),
        in_book,
        without,
        elsewhere,
        a_refund("R\0", "A1", when, "1.00 USD"),
        a_refund("R7", "A1", when, "60.00 USD"),
        a_refund("R8", "A1", when, "60.00 USD"),
        a_refund("R7", "A1", when, "61.00 USD"),
    ];
    let answers = refunds(&mut conn, when, &batch).await;
    assert_eq!(answers[0], Refunded::Parked(Reason::OrderUnknown));
    assert_eq!(answers[1], Refunded::Parked(Reason::ExceedsOrder));
    assert_eq!(answers[2], Refunded::Parked(Reason::OrderAmbiguous));
    assert_eq!(answers[3], Refunded::Parked(Reason::CurrencyDiffers));
    assert!(matches!(answers[4], Refunded::Applied(..)));
    assert_eq!(answers[5], Refunded::Parked(Reason::OrderUnknown));
    assert_eq!(answers[6], Refunded::Parked(Reason::OrderUnknown));
    assert!(matches!(answers[7], Refunded::Refused(_)));
    assert_eq!(answers[8], Refunded::Applied(it, State::Pending));
    assert_eq!(answers[9], Refunded::Parked(Reason::ExceedsOrder));
    assert_eq!(answers[10], Refunded::Conflict(it, money("60.00 USD")));
    let waiting = parked(&mut conn).await;
    let waiting: Vec<_> = waiting
        .iter()
        .map(|refund| refund.refund_ref.as_str())
        .collect();
    assert_eq!(
        waiting,
        ["R1", "R1", "R2", "R3", "R4", "R6", "R8"],
        "two brands' R1 are two"
    );
}

#[tokio::test]
async fn a_late_refund_counts_no_earlier_than_the_approval_it_takes_back() {
    let (_db, mut conn, program) = program(terms()).await;
    let it = recorded(
        &mut conn,
        order(program, "A1", "2010-12-01 08:26", "99.00 USD"),
    )
    .await;
    decided(&mut conn, "2010-12-20 00:00", Action::Approve, &[it]).await;
    let early = a_refund("R1", "A1", "2010-12-05 10:00", "24.75 USD");
    let _ = refunds(&mut conn, "2010-12-28 10:00", &[early]).await;
    let story = trail::trail(&mut conn, it.book, it.id)
        .await
        .unwrap()
        .unwrap();
    let last = &story.entries.last().unwrap().entry;
    assert_eq!(
        (last.kind(), last.effective()),
        ("conversion.refunded", day("2010-12-20"))
    );
}
