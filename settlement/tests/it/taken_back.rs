//! Conversions taken back before anybody approved them.

use settlement::conversion::{Action, Changed, State};
use settlement::posting::held::HeldFrom;
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
