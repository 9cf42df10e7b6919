//! Conversions taken back before anybody approved them, and those of free orders.

use settlement::commission::{CommissionRule, Flat};
use settlement::conversion::parked::Reason;
use settlement::conversion::reattribute::recheck;
use settlement::conversion::{Action, Changed, Order, OrderRefusal, Recorded, Refunded, State};
use settlement::posting::held::HeldFrom;
use settlement::reconcile::differences;
use settlement::terms::{RecognitionPoint, Terms};
use sqlx::PgConnection;

use crate::fixture::*;

const ON_HOLD: State = State::OnHold(HeldFrom::Pending);

#[tokio::test]
async fn what_is_taken_back_before_approval_waits_again_when_reinstated() {
    for recognition_point in [RecognitionPoint::Approval, RecognitionPoint::Conversion] {
        let terms = Terms {
            recognition_point,
            ..terms()
        };
        let (_db, mut conn, program) = program(terms).await;
        let it = recorded(
            &mut conn,
            order(program, "A1", "2010-12-01 08:26", "99.00 USD"),
        )
        .await;
        let waiting = balances(&mut conn).await;
        let went = async |conn: &mut PgConnection, action| {
            decided(conn, "2010-12-02 00:00", action, &[it]).await[0]
        };
        assert_eq!(went(&mut conn, Action::Hold).await, Changed::To(ON_HOLD));
        let reversed = Changed::To(State::Reversed);
        assert_eq!(went(&mut conn, Action::Reverse).await, reversed);
        assert!(balances(&mut conn).await.is_empty());
        let pending = Changed::To(State::Pending);
        assert_eq!(went(&mut conn, Action::Reinstate).await, pending);
        assert_eq!(balances(&mut conn).await, waiting);
        assert_eq!(went(&mut conn, Action::Reverse).await, reversed);
        assert_eq!(went(&mut conn, Action::Reinstate).await, pending);
        let approved = Changed::To(State::Approved);
        assert_eq!(went(&mut conn, Action::Approve).await, approved);
        assert_eq!(went(&mut conn, Action::Reverse).await, reversed);
        assert_eq!(went(&mut conn, Action::Reinstate).await, approved);
    }
}

#[tokio::test]
async fn a_free_order_earns_a_flat_commission_until_it_is_taken_back() {
    let five = ledger::Amount::new(money("5.00 USD")).unwrap();
    let terms = Terms {
        rule: CommissionRule::Flat(Flat { amount: five }),
        ..terms()
    };
    let (_db, mut conn, program) = program(terms).await;
    let signup = Order {
        amount: money("0.00 USD"),
        ..order(program, "A1", "2010-12-01 08:26", "1.00 USD")
    };
    let it = recorded(&mut conn, signup.clone()).await;
    let _ = decided(&mut conn, "2010-12-02 00:00", Action::Approve, &[it]).await;
    let earned = [
        "1110 6.00 USD",
        "2000 4.00 USD",
        "4000 1.00 USD",
        "4010 1.00 USD",
    ];
    assert_eq!(balances(&mut conn).await, earned);
    let refund = a_refund("R1", "A1", "2010-12-03 00:00", "0.01 USD");
    let much = refunds(&mut conn, "2010-12-03 00:00", &[refund]).await;
    assert_eq!(much, [Refunded::Parked(Reason::ExceedsOrder)]);
    let again = orders(&mut conn, "2010-12-03 00:00", std::slice::from_ref(&signup)).await;
    assert_eq!(again, [Recorded::Duplicate(it)]);
    let _ = decided(&mut conn, "2010-12-04 00:00", Action::Reverse, &[it]).await;
    assert!(balances(&mut conn).await.is_empty());
    let _ = decided(&mut conn, "2010-12-05 00:00", Action::Reinstate, &[it]).await;
    assert_eq!(balances(&mut conn).await, earned);
    assert_eq!(differences(&mut conn).await.unwrap(), []);
    let checked = recheck::check(&mut conn, None, None, 10).await.unwrap();
    assert_eq!(checked.faults, []);
    let below = Order {
        order_ref: "A2".to_owned(),
        amount: money("-0.01 USD"),
        ..signup
    };
    let refused = orders(&mut conn, "2010-12-05 00:00", &[below]).await;
    let negative = OrderRefusal::Negative(money("-0.01 USD"));
    assert_eq!(refused, [Recorded::Refused(negative)]);
}
