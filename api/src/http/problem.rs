//! Refusals as `application/problem+json` (RFC 9457).
//!
//! The `type` of a problem is stable and for programs, its `detail` is one sentence for people that
//! names the thing and the way out. What went wrong inside is logged, not told.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// One refusal.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// A stable name, such as `/problems/unknown-program`.
    #[serde(rename = "type")]
    kind: String,
    /// The name in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What was wrong with this request, and the way out.
    detail: String,
    /// After how many seconds trying again makes sense.
    #[serde(skip)]
    retry_after: Option<u32>,
}

impl Problem {
    /// A refusal with a stable name such as `unknown-program`.
    pub(crate) fn new(status: StatusCode, name: &str, detail: impl Into<String>) -> Problem {
        Problem {
            kind: format!("/problems/{name}"),
            title: name.replace('-', " "),
            status: status.as_u16(),
            detail: detail.into(),
            retry_after: None,
        }
    }

    /// The request makes no sense as it stands: 400.
    pub(crate) fn bad_request(name: &str, detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, name, detail)
    }

    /// A value of the request cannot be: 422.
    pub(crate) fn unprocessable(name: &str, detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, name, detail)
    }

    /// The service cannot do it now: 503 with `Retry-After`.
    pub(crate) fn unavailable(detail: impl Into<String>, retry_after: u32) -> Problem {
        Problem {
            retry_after: Some(retry_after),
            ..Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
        }
    }

    /// The same, with `Retry-After`.
    pub(crate) fn after(self, seconds: u32) -> Problem {
        Problem {
            retry_after: Some(seconds),
            ..self
        }
    }

    /// Its HTTP status.
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// Its sentence for people.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// Something went wrong inside: logged with its causes, told as 500 without them.
    pub(crate) fn internal(error: &anyhow::Error) -> Problem {
        let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
        tracing::error!(causes = ?causes, "a request failed");
        Problem::internal_logged()
    }

    /// Something went wrong inside and was logged already: 500.
    pub(crate) fn internal_logged() -> Problem {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the service failed; nothing was changed, try again with the same reference or key",
        )
    }
}

impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Problem {
        Problem::internal(&error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry = self.retry_after.map(HeaderValue::from);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(retry) = retry {
            headers.insert(header::RETRY_AFTER, retry);
        }
        response
    }
}

/// What is not there.
pub(crate) async fn no_such_route() -> Problem {
    let detail = "there is no such address here; /openapi.json lists those there are";
    Problem::new(StatusCode::NOT_FOUND, "no-such-route", detail)
}

/// What cannot be done with what is there.
pub(crate) async fn no_such_method() -> Problem {
    let detail = "this address takes other methods; /openapi.json lists them";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "no-such-method", detail)
}
