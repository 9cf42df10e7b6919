//! Refunds: by what is refunded now, by what is refunded in all, or all that is left.

use std::collections::HashMap;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use jobs::effects;
use ledger::{Amount, Currency, Money};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use settlement::access::Scope;
use settlement::conversion::{ConversionRef, Refund, Refunded, State as Stands};
use settlement::reported::{self, Named};
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use super::decide::read;
use super::once::{self, Once};
use super::reply::state_name;
use super::target;
use super::wanted::text;
use crate::chance;
use crate::http::App;
use crate::http::auth::Principal;
use crate::http::limits::Body;
use crate::http::problem::Problem;

/// The most refunds of one request.
const MOST: usize = 1000;

/// A refund as a brand reports it.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct RefundBody<'a> {
    /// The order or conversion, in the bulk form.
    #[serde(default)]
    order: Option<String>,
    /// The brand's own reference of this refund; it counts once.
    #[serde(default)]
    #[schema(example = "RMA-7")]
    refund_ref: Option<String>,
    /// What is refunded now.
    #[serde(borrow, default)]
    #[schema(value_type = Option<Object>, example = json!("25.00"))]
    amount: Option<&'a RawValue>,
    /// What is refunded in all, including earlier refunds; instead of `amount`.
    #[serde(borrow, default)]
    #[schema(value_type = Option<Object>)]
    total_refunded: Option<&'a RawValue>,
    /// The order's, if none is given.
    #[serde(default)]
    currency: Option<String>,
    /// When; now, if not given.
    #[serde(default)]
    occurred_at: Option<DateTime<Utc>>,
    /// Why, in words.
    #[serde(default)]
    note: String,
}

/// Many refunds.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Refunds<'a> {
    /// Up to 1,000, each with its `order`.
    #[serde(borrow)]
    refunds: Vec<RefundBody<'a>>,
}

/// What became of a refund.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Refund200 {
    /// The conversion.
    conversion_id: Uuid,
    /// Its order, as the brand calls it.
    order_ref: String,
    /// `applied`; `duplicate` if it was before; `parked` if it does not fit and finance decides.
    #[schema(example = "applied")]
    status: &'static str,
    /// The state of the conversion now.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    /// What was refunded by this.
    #[schema(value_type = Object, example = json!({"amount": "25.00", "currency": "USD"}))]
    amount: Money,
    /// Why it is parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// One refund of several.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Item {
    /// Its place in the request, from 0.
    index: usize,
    /// What it would have been answered alone.
    http_status: u16,
    /// What became of it.
    #[serde(flatten)]
    refund: Option<Refund200>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

/// Refund an order, in part or whole.
#[utoipa::path(
    post, path = "/v1/conversions/{reference}/refund", tag = "conversions",
    params(("reference" = String, Path, description = "order reference or conversion id"),
           ("Idempotency-Key" = Option<String>, Header)),
    request_body = RefundBody,
    responses((status = 200, body = Refund200), (status = 404, body = Problem),
              (status = 409, body = Problem), (status = 422, body = Problem)),
)]
pub(super) async fn one(
    State(app): State<App>,
    principal: Principal,
    Path(reference): Path<String>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Problem> {
    principal.may(Scope::Report)?;
    let mut refund: RefundBody<'_> = read(&body)?;
    let route = format!("POST /v1/conversions/{reference}/refund");
    refund.order = Some(reference);
    let mut open = match once::begin(&app, &principal, &headers, route, &body).await? {
        Once::Answered(response) => return Ok(response),
        Once::Open(open) => open,
    };
    let told = apply(open.conn(), &principal, &[refund])
        .await?
        .into_iter()
        .next();
    let told = told.ok_or_else(|| anyhow::anyhow!("a refund has no answer"))??;
    open.answer(StatusCode::OK, &told).await
}

/// Refund many orders.
#[utoipa::path(
    post, path = "/v1/conversions/refund", tag = "conversions",
    params(("Idempotency-Key" = Option<String>, Header)), request_body = Refunds,
    responses((status = 207, body = [Item]), (status = 422, body = Problem)),
)]
pub(super) async fn many(
    State(app): State<App>,
    principal: Principal,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Problem> {
    principal.may(Scope::Report)?;
    let Refunds { refunds } = read(&body)?;
    if refunds.is_empty() || refunds.len() > MOST {
        let detail = format!("send 1 to {MOST} refunds at once");
        return Err(Problem::unprocessable("too-many-refunds", detail));
    }
    let route = "POST /v1/conversions/refund".to_owned();
    let mut open = match once::begin(&app, &principal, &headers, route, &body).await? {
        Once::Answered(response) => return Ok(response),
        Once::Open(open) => open,
    };
    let told = apply(open.conn(), &principal, &refunds).await?;
    let items: Vec<Item> = told
        .into_iter()
        .enumerate()
        .map(|(index, told)| Item {
            index,
            http_status: told.as_ref().map_or_else(Problem::status, |_| 200),
            problem: told.as_ref().err().cloned(),
            refund: told.ok(),
        })
        .collect();
    open.answer(StatusCode::MULTI_STATUS, &items).await
}

/// Applies refunds; answers each.
async fn apply(
    conn: &mut PgConnection,
    principal: &Principal,
    bodies: &[RefundBody<'_>],
) -> Result<Vec<Result<Refund200, Problem>>, Problem> {
    let names: Vec<String> = bodies
        .iter()
        .map(|b| b.order.clone().unwrap_or_default())
        .collect();
    let found = target::find(conn, principal, &names).await?;
    let known: Vec<ConversionRef> = found
        .iter()
        .flatten()
        .map(|named| named.conversion)
        .collect();
    let locked = reported::lock(conn, &known)
        .await
        .map_err(anyhow::Error::from)?;
    let mut refunded: HashMap<ConversionRef, Money> = locked.into_iter().collect();
    let now = chance::now();
    let read: Vec<Result<(Named, Refund), Problem>> = found
        .into_iter()
        .zip(bodies)
        .map(|(named, body)| {
            let meant = named?;
            let before = refunded
                .get(&meant.conversion)
                .copied()
                .unwrap_or(meant.refunded);
            let refund = body.refund(&meant, before, now)?;
            let after = before.checked_add(refund.amount.money()).unwrap_or(before);
            refunded.insert(meant.conversion, after);
            Ok((meant, refund))
        })
        .collect();
    let refunds: Vec<Refund> = read
        .iter()
        .flatten()
        .map(|(_, refund)| refund.clone())
        .collect();
    let by = principal.actor("refund");
    let done = effects::refund(conn, now, &by, &refunds).await;
    let mut done = done.map_err(anyhow::Error::from)?.into_iter();
    Ok(read
        .into_iter()
        .map(|read| {
            let (meant, refund) = read?;
            let done = done
                .next()
                .ok_or_else(|| anyhow::anyhow!("a refund has no answer"))?;
            told(&meant, &refund, done)
        })
        .collect())
}

impl RefundBody<'_> {
    /// The refund it means, of an order of which this much was refunded before.
    fn refund(&self, named: &Named, before: Money, now: DateTime<Utc>) -> Result<Refund, Problem> {
        let wrong = |detail: String| Problem::unprocessable("invalid-amount", detail);
        let currency = match self.currency.as_deref().filter(|code| !code.is_empty()) {
            Some(code) => code.to_ascii_uppercase().parse::<Currency>(),
            None => Ok(named.order.currency()),
        };
        let currency = currency.map_err(|error| wrong(format!("currency: {error}")))?;
        let money = |raw: &RawValue, name: &str| {
            let text = text(raw, name)?;
            Money::parse(&text, currency).map_err(|error| wrong(format!("{name}: {error}")))
        };
        let (amount, reference) = match (self.amount, self.total_refunded) {
            (Some(_), Some(_)) => {
                return Err(wrong("send amount or total_refunded, not both".to_owned()));
            }
            (Some(raw), None) => (money(raw, "amount")?, None),
            (None, Some(raw)) => {
                let total = money(raw, "total_refunded")?;
                let now = total.checked_sub(before);
                let now = now.map_err(|error| wrong(format!("total_refunded: {error}")))?;
                (now, Some(format!("total {total}")))
            }
            (None, None) => {
                let rest = named.order.checked_sub(before);
                let rest = rest.map_err(|error| wrong(error.to_string()))?;
                (rest, Some(format!("rest {rest}")))
            }
        };
        let amount = Amount::new(amount).map_err(|_| {
            let detail = format!("{before} is refunded already; there is nothing more to refund");
            Problem::new(StatusCode::CONFLICT, "nothing-to-refund", detail)
        })?;
        let refund_ref = self.refund_ref.clone().or(reference).ok_or_else(|| {
            let detail = "refund_ref is missing; send your own reference, so that it counts once";
            Problem::unprocessable("field-missing", detail)
        })?;
        Ok(Refund {
            refund_ref,
            order_ref: Some(named.order_ref.clone()),
            book: Some(named.conversion.book),
            occurred_at: self.occurred_at.map_or(now, |at| at.min(now)),
            amount,
            note: self.note.chars().take(500).collect(),
        })
    }
}

fn told(named: &Named, refund: &Refund, done: Refunded) -> Result<Refund200, Problem> {
    let answer = |status, state: Option<Stands>, reason| Refund200 {
        conversion_id: named.conversion.id,
        order_ref: named.order_ref.clone(),
        status,
        state: state.map(state_name),
        amount: refund.amount.money(),
        reason,
    };
    match done {
        Refunded::Applied(_, state) => Ok(answer("applied", Some(state), None)),
        Refunded::Duplicate(_) => Ok(answer("duplicate", None, None)),
        Refunded::Parked(reason) => {
            let reason = reason.as_str().replace('_', " ");
            Ok(answer("parked", None, Some(reason)))
        }
        Refunded::Conflict(_, stands) => Err(Problem::new(
            StatusCode::CONFLICT,
            "conflict",
            format!(
                "refund {} was recorded before with {stands}, which stands; use another refund_ref",
                refund.refund_ref
            ),
        )),
        Refunded::Refused(refusal) => Err(Problem::unprocessable(
            "refund-refused",
            refusal.to_string(),
        )),
    }
}
