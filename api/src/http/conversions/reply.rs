//! What a reported order is answered.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ledger::{BookId, Money};
use serde::Serialize;
use settlement::conversion::State;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::http::problem::Problem;
use crate::intake::orders::{Answer, Outcome, Standing};

/// An order that stands in the books.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Reply {
    /// `recorded`; `duplicate` if it was there before; `conflict` if another amount stands.
    #[schema(example = "recorded")]
    pub status: &'static str,
    /// The conversion; the same for a duplicate.
    pub conversion_id: Uuid,
    /// The order, as the brand calls it.
    #[schema(example = "ORDER-2026-0001")]
    pub brand_order_ref: String,
    /// `unattributed`, `pending`, `on_hold`, `approved`, `rejected` or `reversed`.
    #[schema(example = "pending")]
    pub state: &'static str,
    /// Who is credited.
    pub publisher_id: Option<Uuid>,
    /// What the order pays, before fees.
    #[schema(value_type = Object, example = json!({"amount": "9.90", "currency": "USD"}))]
    pub commission: Money,
    /// What the network keeps of it or adds to it.
    #[schema(value_type = Object, example = json!({"amount": "1.98", "currency": "USD"}))]
    pub network_fee: Money,
    /// What the publisher gets.
    #[schema(value_type = Object, example = json!({"amount": "7.92", "currency": "USD"}))]
    pub publisher_payout: Money,
    /// The amount that stands, if another was reported now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub stands: Option<Money>,
    /// What was odd about the report: `late`, `commission_differs`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<&'static str>,
    /// True for a test key: nothing was recorded.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
    /// The book it lies in, for what is done next.
    #[serde(skip)]
    pub book: BookId,
}

/// One order of several.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Item {
    /// Its place in the request, from 0.
    pub index: usize,
    /// What it would have been answered alone.
    pub http_status: u16,
    /// The order as it stands.
    #[serde(flatten)]
    pub reply: Option<Reply>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// What one order is answered.
pub(super) type Told = Result<Reply, Problem>;

/// Puts an answer of the intake into words.
pub(super) fn told(order_ref: String, answer: Answer, strict: bool, test: bool) -> Told {
    let standing = match answer {
        Answer::Stands(standing) => standing,
        Answer::Refused(refusal) => {
            return Err(Problem::unprocessable("order-refused", refusal.to_string()));
        }
    };
    if let Outcome::Conflict(stands) = standing.outcome
        && strict
    {
        let detail = format!(
            "order {order_ref} was recorded before with {stands}, which stands; report a refund, \
             or use another reference"
        );
        return Err(Problem::new(StatusCode::CONFLICT, "conflict", detail));
    }
    Ok(reply(order_ref, &standing, test))
}

fn reply(brand_order_ref: String, standing: &Standing, test: bool) -> Reply {
    let figures = &standing.figures;
    let (status, stands) = match standing.outcome {
        Outcome::Recorded => ("recorded", None),
        Outcome::Duplicate => ("duplicate", None),
        Outcome::Conflict(stands) => ("conflict", Some(stands)),
    };
    let warnings = [
        standing.late.then_some("late"),
        standing.commission_differs.then_some("commission_differs"),
    ];
    Reply {
        status,
        conversion_id: standing.conversion.id,
        brand_order_ref,
        state: state_name(figures.state),
        publisher_id: figures.publisher,
        commission: figures.commission,
        network_fee: figures.network_fee,
        publisher_payout: figures.publisher_payout,
        stands,
        warnings: warnings.into_iter().flatten().collect(),
        test,
        book: standing.conversion.book,
    }
}

/// The name of a state.
pub(super) fn state_name(state: State) -> &'static str {
    state.stored().0
}

/// The answer to an order that came alone.
pub(super) fn single(told: Told) -> Response {
    match told {
        Ok(reply) => Json(reply).into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// The answer to orders that came together: 207, each with its own outcome.
pub(super) fn several(told: Vec<Told>) -> Response {
    let items: Vec<Item> = told
        .into_iter()
        .enumerate()
        .map(|(index, told)| match told {
            Ok(reply) => Item {
                index,
                http_status: 200,
                reply: Some(reply),
                problem: None,
            },
            Err(problem) => Item {
                index,
                http_status: problem.status(),
                reply: None,
                problem: Some(problem),
            },
        })
        .collect();
    (StatusCode::MULTI_STATUS, Json(items)).into_response()
}
