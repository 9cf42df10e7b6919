//! `Idempotency-Key`: a request that names itself is done once, and answered alike ever after.
//!
//! The name is taken in the database transaction that does the work, so it is taken exactly if the
//! work was done. A refused request takes no name: mended, it may be sent under the same one.

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use settlement::access::request::{self, Begun};
use settlement::network;
use sha2::{Digest, Sha256};
use sqlx::{Postgres, Transaction};

use super::App;
use super::auth::Principal;
use super::input;
use super::problem::Problem;
use crate::{chance, database};

/// A JSON body, and the name of the request that brought it.
pub(crate) struct Posted<T> {
    /// The body.
    pub(crate) value: T,
    /// The request itself.
    pub(crate) once: Once,
}

/// A request that may name itself.
#[derive(Debug)]
pub(crate) struct Once {
    key: Option<String>,
    route: String,
    body_hash: [u8; 32],
}

/// Whether a request is new.
pub(crate) enum Started {
    /// It is; the work is done in this database transaction.
    New(Transaction<'static, Postgres>),
    /// It was done before; this was the answer.
    Before(Response),
}

impl Once {
    /// Begins the request's database transaction.
    pub(crate) async fn begin(&self, app: &App, principal: &Principal) -> Result<Started, Problem> {
        let mut transaction = app.begin().await?;
        let Some(key) = &self.key else {
            return Ok(Started::New(transaction));
        };
        let house = network::find(&mut transaction).await;
        let asked = request::Request {
            book: house.map_err(anyhow::Error::from)?.house,
            role: principal.role(),
            key,
            route: &self.route,
            body_hash: self.body_hash,
        };
        let begun = request::begin(&mut transaction, chance::now(), &asked).await;
        match begun.map_err(anyhow::Error::from)? {
            Begun::New => Ok(Started::New(transaction)),
            Begun::Answered(status, text) => {
                let status = u16::try_from(status).ok();
                let status = status.and_then(|status| StatusCode::from_u16(status).ok());
                Ok(Started::Before(json(
                    status.unwrap_or(StatusCode::OK),
                    text,
                )))
            }
            Begun::Reused => Err(Problem::unprocessable(
                "idempotency-key-reused",
                "another request had this Idempotency-Key; give each request one of its own",
            )),
        }
    }

    /// Keeps the answer, commits, and answers.
    pub(crate) async fn finish(
        &self,
        mut transaction: Transaction<'static, Postgres>,
        principal: &Principal,
        status: StatusCode,
        answer: &(impl Serialize + Sync),
    ) -> Result<Response, Problem> {
        let text = serde_json::to_string(answer).map_err(anyhow::Error::from)?;
        if let Some(key) = &self.key {
            let house = network::find(&mut transaction).await;
            let asked = request::Request {
                book: house.map_err(anyhow::Error::from)?.house,
                role: principal.role(),
                key,
                route: &self.route,
                body_hash: self.body_hash,
            };
            let kept = request::answer(&mut transaction, &asked, status.as_u16(), &text).await;
            kept.map_err(anyhow::Error::from)?;
        }
        database::finish(transaction).await?;
        Ok(json(status, text))
    }
}

fn json(status: StatusCode, text: String) -> Response {
    let kind = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, kind)], text).into_response()
}

impl<T: DeserializeOwned> FromRequest<App> for Posted<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Posted<T>, Problem> {
        let key = request.headers().get("idempotency-key").map(|key| {
            let key = key.to_str().ok().map(|key| key.trim().trim_matches('"'));
            let key = key.filter(|key| (1..=255).contains(&key.len()));
            key.map(str::to_owned).ok_or_else(|| {
                Problem::bad_request(
                    "idempotency-key-unreadable",
                    "an Idempotency-Key has 1 to 255 visible ASCII characters",
                )
            })
        });
        let key = key.transpose()?;
        let route = format!("{} {}", request.method(), request.uri().path());
        let bytes = input::json_bytes(request, app).await?;
        Ok(Posted {
            value: input::parse(&bytes)?,
            once: Once {
                key,
                route,
                body_hash: Sha256::digest(&bytes).into(),
            },
        })
    }
}
