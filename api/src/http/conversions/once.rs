//! Requests that change something, once: `Idempotency-Key`.
//!
//! With the header, the answer is kept in the database transaction that did the work; the same
//! request again gets the same answer and `Idempotency-Replayed: true`, another body under the same
//! key is refused. Without it a request stands for itself. A refusal is not kept: its way out is to
//! try again.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ledger::BookId;
use serde::Serialize;
use settlement::access::Role;
use settlement::access::request::{self, Begun, Request};
use settlement::network;
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, Postgres, Transaction};

use super::programs::unavailable;
use crate::http::App;
use crate::http::auth::Principal;
use crate::http::problem::Problem;
use crate::{chance, database};

/// A request: new, or answered before.
pub(super) enum Once {
    /// The answer it had.
    Answered(Response),
    /// It is to be done.
    Open(Open),
}

/// A request being done.
pub(super) struct Open {
    transaction: Transaction<'static, Postgres>,
    name: Option<Name>,
    test: bool,
}

/// How a request names itself.
struct Name {
    book: BookId,
    role: Role,
    key: String,
    route: String,
    body_hash: [u8; 32],
}

impl Name {
    fn request(&self) -> Request<'_> {
        Request {
            book: self.book,
            role: self.role,
            key: &self.key,
            route: &self.route,
            body_hash: self.body_hash,
        }
    }
}

/// Begins a database transaction for a request.
pub(super) async fn begin(
    app: &App,
    principal: &Principal,
    headers: &HeaderMap,
    route: String,
    body: &[u8],
) -> Result<Once, Problem> {
    let mut transaction = app
        .pool
        .begin()
        .await
        .map_err(|error| unavailable(&error))?;
    let test = principal.is_test();
    let Some(key) = key(headers)? else {
        return Ok(Once::Open(Open {
            transaction,
            name: None,
            test,
        }));
    };
    let book = match principal.book()? {
        Some(book) => book,
        None => {
            network::find(&mut transaction)
                .await
                .map_err(anyhow::Error::from)?
                .house
        }
    };
    let name = Name {
        book,
        role: principal.role(),
        key,
        route,
        body_hash: Sha256::digest(body).into(),
    };
    let begun = request::begin(&mut transaction, chance::now(), &name.request()).await;
    match begun.map_err(anyhow::Error::from)? {
        Begun::New => Ok(Once::Open(Open {
            transaction,
            name: Some(name),
            test,
        })),
        Begun::Answered(status, response) => Ok(Once::Answered(replayed(status, response))),
        Begun::Reused => Err(Problem::unprocessable(
            "idempotency-key-reused",
            "this Idempotency-Key came with another request before; use a new one",
        )),
    }
}

impl Open {
    /// The connection to do it on.
    pub(super) fn conn(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }

    /// Keeps the answer, commits, and gives it; takes all back for a test key.
    pub(super) async fn answer(
        mut self,
        status: StatusCode,
        body: &impl Serialize,
    ) -> Result<Response, Problem> {
        let body = serde_json::to_string(body).map_err(anyhow::Error::from)?;
        if self.test {
            self.transaction
                .rollback()
                .await
                .map_err(anyhow::Error::from)?;
            return Ok(json(status, body));
        }
        if let Some(name) = &self.name {
            let request = name.request();
            let kept = request::answer(&mut self.transaction, &request, status.as_u16(), &body);
            kept.await.map_err(anyhow::Error::from)?;
        }
        database::finish(self.transaction).await?;
        Ok(json(status, body))
    }
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let key = value.to_str().unwrap_or_default().trim().trim_matches('"');
    if (1..=200).contains(&key.len()) {
        return Ok(Some(key.to_owned()));
    }
    let detail = "Idempotency-Key is not 1 to 200 plain characters";
    Err(Problem::bad_request("invalid-idempotency-key", detail))
}

fn json(status: StatusCode, body: String) -> Response {
    let mut response = (status, Body::from(body)).into_response();
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn replayed(status: i32, body: String) -> Response {
    let status = u16::try_from(status)
        .ok()
        .and_then(|code| StatusCode::from_u16(code).ok());
    let mut response = json(status.unwrap_or(StatusCode::OK), body);
    let replayed = HeaderValue::from_static("true");
    response
        .headers_mut()
        .insert("idempotency-replayed", replayed);
    response
}
