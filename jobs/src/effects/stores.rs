//! What publishers hear when a store delivers.

use chrono::{DateTime, Utc};
use ledger::Actor;
use settlement::conversion::State;
use settlement::fraud::RiskSettings;
use settlement::inbox::connection::Connection;
use settlement::inbox::fact::Delivery;
use settlement::inbox::{self, Outcome, ReadClick, Received};
use sqlx::PgConnection;

use super::{Effect, EffectError, enqueue, event_of};
use crate::postback::Event;

/// Takes in a delivery of a store and tells the publisher where its order stands now, if that
/// changed; see [`inbox::receive`].
pub async fn receive(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    risk: &RiskSettings,
    (connection, delivery): (&Connection, &Delivery),
    read_click: ReadClick<'_>,
) -> Result<Received, EffectError> {
    let received =
        inbox::receive(&mut *conn, now, by, risk, connection, delivery, read_click).await?;
    let step = match &received.outcome {
        Outcome::Done { steps, .. } if !received.replayed => steps.last(),
        Outcome::Done { .. }
        | Outcome::Ignored { .. }
        | Outcome::Waiting
        | Outcome::NotReferred
        | Outcome::Refused { .. } => None,
    };
    let effect = step.zip(received.conversion).and_then(|(step, it)| {
        let event = match (step.as_str(), it.state) {
            ("release", _) => Event::Released,
            (refunded, State::Pending | State::Approved | State::OnHold(_))
                if refunded.starts_with("refunded") =>
            {
                Event::Adjusted
            }
            (_, state) => event_of(state)?,
        };
        let conversion = it.reference;
        Some(Effect { conversion, event })
    });
    enqueue(conn, now, effect.as_slice()).await?;
    Ok(received)
}
