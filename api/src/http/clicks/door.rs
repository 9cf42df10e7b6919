//! The addresses that visitors follow.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use settlement::tracking::judge::Door;

use super::request::{Query, Visitor, kept};
use super::visit::{Asked, Visit, visit};
use crate::http::App;
use crate::http::problem::Problem;

/// Follow a link of a publisher who was approved for a program. Leads to the program's page with
/// the click's reference in a parameter and a cookie.
#[utoipa::path(get, path = "/go/{slug}", tag = "clicks",
    params(("slug" = String, Path, description = "The slug, exact to the letter.")),
    responses((status = 302, description = "Go on to the program's page."),
              (status = 404, description = "There is no such link."),
              (status = 410, description = "The link takes no visitors any more."),
              (status = 503, body = Problem)))]
pub(super) async fn go(
    state: State<App>,
    visitor: Visitor,
    Path(slug): Path<String>,
    query: RawQuery,
) -> Response {
    follow(state, &visitor, "/go", &slug, None, query).await
}

/// Follow a publisher's own code, to the program that it was enrolled in first.
#[utoipa::path(get, path = "/ref/{code}", tag = "clicks",
    params(("code" = String, Path, description = "The publisher's code, exact to the letter.")),
    responses((status = 302, description = "Go on to the program's page."),
              (status = 404, description = "There is no such link."),
              (status = 410, description = "The link takes no visitors any more."),
              (status = 503, body = Problem)))]
pub(super) async fn code(
    state: State<App>,
    visitor: Visitor,
    Path(code): Path<String>,
    query: RawQuery,
) -> Response {
    follow(state, &visitor, "/ref", &code, None, query).await
}

/// Follow a publisher's own code, with its mark for a campaign.
#[utoipa::path(get, path = "/ref/{code}/{sub_id}", tag = "clicks",
    params(("code" = String, Path, description = "The publisher's code, exact to the letter."),
           ("sub_id" = String, Path, description = "Its mark, kept as `sub1`.")),
    responses((status = 302, description = "Go on to the program's page."),
              (status = 404, description = "There is no such link."),
              (status = 410, description = "The link takes no visitors any more."),
              (status = 503, body = Problem)))]
pub(super) async fn code_and_sub(
    state: State<App>,
    visitor: Visitor,
    Path((code, sub)): Path<(String, String)>,
    query: RawQuery,
) -> Response {
    follow(state, &visitor, "/ref", &code, Some(&sub), query).await
}

/// Follow a key.
#[utoipa::path(get, path = "/r/{key}", tag = "clicks",
    params(("key" = String, Path, description = "The key, exact to the letter.")),
    responses((status = 302, description = "Go on to the program's page."),
              (status = 404, description = "There is no such link."),
              (status = 410, description = "The link takes no visitors any more."),
              (status = 503, body = Problem)))]
pub(super) async fn key(
    state: State<App>,
    visitor: Visitor,
    Path(key): Path<String>,
    query: RawQuery,
) -> Response {
    follow(state, &visitor, "/r", &key, None, query).await
}

/// Follow a publisher's code that stands in the query.
#[utoipa::path(get, path = "/ref", tag = "clicks",
    params(("ref" = String, Query, description = "The publisher's code, exact to the letter.")),
    responses((status = 302, description = "Go on to the program's page."),
              (status = 404, description = "There is no such link."),
              (status = 410, description = "The link takes no visitors any more."),
              (status = 503, body = Problem)))]
pub(super) async fn named(state: State<App>, visitor: Visitor, query: RawQuery) -> Response {
    by_query(state, &visitor, query).await
}

/// Land on the tracking domain itself with a publisher's code in the query.
#[utoipa::path(get, path = "/", tag = "clicks",
    params(("ref" = String, Query, description = "The publisher's code, exact to the letter.")),
    responses((status = 302, description = "Go on to the program's page."),
              (status = 404, description = "There is no such link."),
              (status = 410, description = "The link takes no visitors any more."),
              (status = 503, body = Problem)))]
pub(super) async fn landing(state: State<App>, visitor: Visitor, query: RawQuery) -> Response {
    by_query(state, &visitor, query).await
}

async fn by_query(state: State<App>, visitor: &Visitor, RawQuery(query): RawQuery) -> Response {
    let named = Query::read(query.as_deref().unwrap_or_default()).named;
    let word = named.unwrap_or_default();
    follow(state, visitor, "/ref", &word, None, RawQuery(query)).await
}

async fn follow(
    State(app): State<App>,
    visitor: &Visitor,
    path: &str,
    word: &str,
    sub: Option<&str>,
    RawQuery(query): RawQuery,
) -> Response {
    let map = Arc::clone(&app.clicks.links.now());
    let Some(target) = map.find(word) else {
        return page(StatusCode::NOT_FOUND, "This link leads nowhere.");
    };
    let query = Query::read(query.as_deref().unwrap_or_default());
    let asked = Asked {
        door: Door::Link,
        path,
        query: &query,
        sub: sub.and_then(|sub| kept(sub, 200)),
    };
    match visit(&app, visitor, target, &map.keys, asked).await {
        Ok(visit) => lead(&visitor.method, visit),
        Err(problem) => problem.into_response(),
    }
}

/// 302 by hand: other statuses change the method or are remembered.
fn lead(method: &Method, visit: Visit) -> Response {
    let Some(location) = visit.location else {
        return page(StatusCode::GONE, "This offer has ended.");
    };
    // A parsed address holds nothing that a header cannot.
    let Ok(location) = HeaderValue::try_from(location) else {
        return page(StatusCode::NOT_FOUND, "This link leads nowhere.");
    };
    let mut response = StatusCode::FOUND.into_response();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    for cookie in visit.cookies {
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            headers.append(header::SET_COOKIE, cookie);
        }
    }
    if method == Method::HEAD {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    keep_to_itself(&mut response);
    response
}

/// A visit happens anew each time, and tells the next site no more than this one's name.
fn keep_to_itself(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let policy = HeaderValue::from_static("strict-origin-when-cross-origin");
    headers.insert(header::REFERRER_POLICY, policy);
    let name = HeaderName::from_static("x-robots-tag");
    headers.insert(name, HeaderValue::from_static("noindex"));
}

/// A short page for the few who cannot be led on.
fn page(status: StatusCode, sentence: &'static str) -> Response {
    let text = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{sentence}</title>\
         <style>:root{{color-scheme:light dark}}body{{font:1.1rem/1.5 system-ui,sans-serif;\
         max-width:32rem;margin:20vh auto;padding:0 1.5rem}}</style><h1>{sentence}</h1>\
         <p>Whoever sent you here may know where it is now.</p></html>"
    );
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    let mut response = (status, [(header::CONTENT_TYPE, kind)], text).into_response();
    keep_to_itself(&mut response);
    response
}
