//! What search engines may see: `robots.txt`, and a header on every page that is nobody else's.

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::App;

/// Pages of one publisher; `/affiliate/terms` is for everybody.
const ROBOTS: &str = "User-agent: *\n\
    Disallow: /affiliate/dashboard\n\
    Disallow: /affiliate/payouts\n\
    Disallow: /affiliate/conversions\n\
    Disallow: /api/\n\
    Disallow: /v1/\n";

/// What begins the addresses of private pages and answers.
const PRIVATE: [&str; 5] = [
    "/affiliate/dashboard",
    "/affiliate/payouts",
    "/affiliate/conversions",
    "/api/",
    "/v1/",
];

/// The routes of this area.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/robots.txt", get(robots))
}

async fn robots() -> Response {
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], ROBOTS).into_response()
}

/// Marks the answers of private pages, whatever they are: not to be indexed.
pub(crate) async fn keep_out(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let private = PRIVATE.iter().any(|start| path.starts_with(start));
    let mut response = next.run(request).await;
    if private {
        let name = HeaderName::from_static("x-robots-tag");
        let noindex = HeaderValue::from_static("noindex");
        response.headers_mut().insert(name, noindex);
    }
    response
}
