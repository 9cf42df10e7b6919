//! Refunds: by what is refunded now, by what is refunded in all, or all that is left.

use std::collections::HashMap;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use jobs::effects;
use ledger::{Actor, Amount, Currency, Money};
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
use super::target::{self, Reason};
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
    /// Why, by one of the codes of decisions; `refund`, if not given.
    #[serde(default)]
    #[schema(example = "cancellation")]
    reason_code: Option<String>,
    /// The same in words.
    #[serde(default)]
    note: String,
    /// The person, where several use one key; in the bulk form it stands beside `refunds`.
    #[serde(default)]
    actor: String,
}

/// Many refunds.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Refunds<'a> {
    /// Up to 1,000, each with its `order`.
    #[serde(borrow)]
    refunds: Vec<RefundBody<'a>>,
    /// The person who says so, where several use one key.
    #[serde(default)]
    actor: String,
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
    let actor = refund.actor.clone();
    let told = apply(open.conn(), &principal, &actor, &[refund])
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
    let Refunds { refunds, actor } = read(&body)?;
    if refunds.is_empty() || refunds.len() > MOST {
        let detail = format!("send 1 to {MOST} refunds at once");
        return Err(Problem::unprocessable("too-many-refunds", detail));
    }
    let route = "POST /v1/conversions/refund".to_owned();
    let mut open = match once::begin(&app, &principal, &headers, route, &body).await? {
        Once::Answered(response) => return Ok(response),
        Once::Open(open) => open,
    };
    let told = apply(open.conn(), &principal, &actor, &refunds).await?;
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

/// Applies refunds; answers each. What is said of one order several times is done one after the
/// other, because a total counts from what was refunded before it.
async fn apply(
    conn: &mut PgConnection,
    principal: &Principal,
    actor: &str,
    bodies: &[RefundBody<'_>],
) -> Result<Vec<Result<Refund200, Problem>>, Problem> {
    let names: Vec<String> = bodies
        .iter()
        .map(|b| b.order.clone().unwrap_or_default())
        .collect();
    let found = target::find(conn, principal, &names).await?;
    let by = target::author(principal, "refund", actor);
    let mut told = Vec::with_capacity(bodies.len());
    let mut rounds: Vec<Vec<(usize, Named)>> = Vec::new();
    let mut times: HashMap<ConversionRef, usize> = HashMap::new();
    for (at, named) in found.into_iter().enumerate() {
        told.push(match named {
            Ok(meant) => {
                let round = times.entry(meant.conversion).or_default();
                if rounds.len() == *round {
                    rounds.push(Vec::new());
                }
                rounds[*round].push((at, meant));
                *round += 1;
                None
            }
            Err(problem) => Some(Err(problem)),
        });
    }
    for round in rounds {
        for (at, answer) in apply_each(conn, &by, bodies, round).await? {
            told[at] = Some(answer);
        }
    }
    Ok(told.into_iter().flatten().collect())
}

/// Applies refunds of different orders; answers by their places.
async fn apply_each(
    conn: &mut PgConnection,
    by: &Actor,
    bodies: &[RefundBody<'_>],
    named: Vec<(usize, Named)>,
) -> Result<Vec<(usize, Result<Refund200, Problem>)>, Problem> {
    let known: Vec<ConversionRef> = named.iter().map(|(_, named)| named.conversion).collect();
    let locked = reported::lock(conn, &known).await;
    let locked = locked.map_err(anyhow::Error::from)?;
    let refunded: HashMap<ConversionRef, Money> = locked.into_iter().collect();
    let now = chance::now();
    let mut told = Vec::with_capacity(named.len());
    let mut meant = Vec::with_capacity(named.len());
    let mut refunds = Vec::with_capacity(named.len());
    for (at, named) in named {
        let before = refunded.get(&named.conversion).copied();
        match bodies[at].refund(&named, before.unwrap_or(named.refunded), now) {
            Ok(Some(refund)) => {
                refunds.push(refund);
                meant.push((at, named));
            }
            Ok(None) => told.push((at, Ok(told_before(&named)))),
            Err(problem) => told.push((at, Err(problem))),
        }
    }
    let done = effects::refund(conn, now, by, &refunds).await;
    let done = done.map_err(anyhow::Error::from)?;
    for (((at, named), refund), done) in meant.into_iter().zip(&refunds).zip(done) {
        told.push((at, self::told(&named, refund, done)));
    }
    Ok(told)
}

impl RefundBody<'_> {
    /// The refund it means, of an order of which this much was refunded before; nothing, if all
    /// that it says was refunded already.
    fn refund(
        &self,
        named: &Named,
        before: Money,
        now: DateTime<Utc>,
    ) -> Result<Option<Refund>, Problem> {
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
        let amount = match Amount::new(amount) {
            Ok(amount) => amount,
            Err(_) if reference.is_some() => return Ok(None),
            Err(error) => return Err(wrong(format!("amount: {error}"))),
        };
        let refund_ref = self.refund_ref.clone().or(reference).ok_or_else(|| {
            let detail = "refund_ref is missing; send your own reference, so that it counts once";
            Problem::unprocessable("field-missing", detail)
        })?;
        let why = Reason {
            reason_code: self
                .reason_code
                .clone()
                .unwrap_or_else(|| "refund".to_owned()),
            note: self.note.clone(),
            actor: String::new(),
        };
        let reason = (self.reason_code.is_some() || !self.note.is_empty()).then(|| why.text());
        Ok(Some(Refund {
            refund_ref,
            order_ref: Some(named.order_ref.clone()),
            book: Some(named.conversion.book),
            occurred_at: self.occurred_at.map_or(now, |at| at.min(now)),
            amount,
            reason: reason.transpose()?,
            note: self.note.chars().take(500).collect(),
        }))
    }
}

/// All that was said to be refunded was refunded before.
fn told_before(named: &Named) -> Refund200 {
    Refund200 {
        conversion_id: named.conversion.id,
        order_ref: named.order_ref.clone(),
        status: "duplicate",
        state: None,
        amount: Money::zero(named.order.currency()),
        reason: None,
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
