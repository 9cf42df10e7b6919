//! Reading requests: bodies, queries and paths, each refused as a [`Problem`] that says why.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use serde::de::DeserializeOwned;

use super::App;
use super::problem::Problem;

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Body<T>, Problem> {
        parse(&json_bytes(request, app).await?).map(Body)
    }
}

/// The bytes of a body that says it is JSON.
pub(crate) async fn json_bytes(request: Request, app: &App) -> Result<Bytes, Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok());
    if !kind
        .unwrap_or("application/json")
        .starts_with("application/json")
    {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not-json",
            "send the body as application/json",
        ));
    }
    let bytes = Bytes::from_request(request, app).await;
    bytes.map_err(|refused| Problem::new(refused.status(), "body-unreadable", refused.body_text()))
}

/// A value from JSON.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => {
            Problem::unprocessable("body-does-not-fit", error.to_string())
        }
        _ => Problem::bad_request("no-json", format!("the body is no JSON: {error}")),
    })
}

/// The query, as a struct.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Asked<T>, Problem> {
        let query = Query::<T>::try_from_uri(&parts.uri);
        query
            .map(|Query(value)| Asked(value))
            .map_err(|refused| Problem::unprocessable("query-does-not-fit", refused.body_text()))
    }
}

/// What stands in the path.
pub(crate) struct At<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<At<T>, Problem> {
        let path = Path::<T>::from_request_parts(parts, app).await;
        path.map(|Path(value)| At(value))
            .map_err(|refused| Problem::bad_request("path-does-not-fit", refused.body_text()))
    }
}

/// Refuses a text that Postgres cannot hold: one with a zero byte.
pub(crate) fn storable(text: &str) -> Result<&str, Problem> {
    if text.contains('\0') {
        return Err(Problem::unprocessable(
            "no-text",
            "a zero byte is no text; leave it out",
        ));
    }
    Ok(text)
}
