//! What a sender of a webhook is told.

use serde::Serialize;
use serde_json::value::RawValue;
use settlement::conversion::State;
use settlement::inbox::{Converted, Outcome, Received};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// The answer to a delivery that is genuine, whatever it says.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Answer {
    /// Whether it was taken in; `false` if its order can never be recorded.
    success: bool,
    /// What came of it, in words.
    #[schema(example = "Commission pending")]
    message: String,
    /// The commission as it is now, with the decimals of its currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    commission: Option<Digits>,
}

/// A JSON number, written from decimal text.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Digits(Box<RawValue>);

impl PartialSchema for Digits {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Number).into()
    }
}

impl ToSchema for Digits {}

impl Answer {
    /// What came of a delivery.
    pub(super) fn of(received: &Received) -> Answer {
        let message = match (&received.conversion, &received.outcome) {
            (Some(conversion), _) => format!("Commission {}", word(conversion.state)),
            (None, Outcome::Ignored { reason }) => format!("Ignored: {reason}"),
            (None, Outcome::Refused { reason }) => format!("Refused: {reason}"),
            (None, Outcome::NotReferred) => "No referral, no commission".to_owned(),
            (None, Outcome::Waiting | Outcome::Done { .. }) => {
                "The order is not known yet; kept until it is".to_owned()
            }
        };
        Answer {
            success: !matches!(received.outcome, Outcome::Refused { .. }),
            message,
            commission: received.conversion.as_ref().and_then(number),
        }
    }

    /// What a greeting is told.
    pub(super) fn greeting() -> Answer {
        Answer {
            success: true,
            message: "Hello".to_owned(),
            commission: None,
        }
    }
}

/// A state as senders are told it.
fn word(state: State) -> &'static str {
    match state {
        State::Unattributed => "unattributed",
        State::Pending => "pending",
        State::OnHold(_) => "on hold",
        State::Approved => "approved",
        State::Rejected | State::Reversed => "cancelled",
    }
}

/// The commission, as a number with the decimals of its currency.
fn number(conversion: &Converted) -> Option<Digits> {
    let digits = conversion.commission.amount().to_string();
    RawValue::from_string(digits).ok().map(Digits)
}
