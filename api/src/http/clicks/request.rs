//! A visitor's request, read: what is judged of it and what is kept of it.
//!
//! Everything from outside is cut to a length and freed of control signs before it is kept; what a
//! publisher writes into `sub1` to `sub5` and the `utm_` marks is kept as it decodes.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use anyhow::Context;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri, header};
use regex::RegexSet;
use serde::Deserialize;
use settlement::tracking::judge::{Door, Seen};
use settlement::tracking::{ClickRequest, bots};

use crate::http::App;
use crate::http::problem::Problem;

/// How long a mark of a publisher's may be.
const MARK: usize = 200;
/// How long a browser's name may be.
const BROWSER: usize = 512;
/// How long an address may be.
const ADDRESS: usize = 2_048;

/// A visitor's request.
pub(super) struct Visitor {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    /// Where the visitor is, as far as proxies are trusted.
    pub(super) address: IpAddr,
    /// Whether the request came through a proxy that is trusted.
    pub(super) proxied: bool,
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Visitor, Problem> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let ConnectInfo(peer) = peer.ok_or_else(|| anyhow::anyhow!("no address"))?;
        let peer = peer.ip().to_canonical();
        Ok(Visitor {
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            address: app.proxies.client(peer, &parts.headers),
            proxied: app.proxies.trusts(peer),
            headers: std::mem::take(&mut parts.headers),
        })
    }
}

/// What stands in the query.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    /// `?ref=`.
    pub(super) named: Option<String>,
    pub(super) subs: [Option<String>; 5],
    pub(super) utm: [Option<String>; 5],
}

/// The parameters that are marks, and which.
const UTM: [&str; 5] = [
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_term",
    "utm_content",
];

impl Query {
    pub(super) fn read(query: &str) -> Query {
        let mut read = Query::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let place = match name.as_ref() {
                "ref" => &mut read.named,
                "sub1" | "sub_id" | "subid" => &mut read.subs[0],
                "sub2" => &mut read.subs[1],
                "sub3" => &mut read.subs[2],
                "sub4" => &mut read.subs[3],
                "sub5" => &mut read.subs[4],
                name => match UTM.iter().position(|mark| *mark == name) {
                    Some(at) => &mut read.utm[at],
                    None => continue,
                },
            };
            // The first one counts, as browsers and shops read it.
            if place.is_none() {
                *place = kept(&value, MARK);
            }
        }
        read
    }
}

/// A text as it may be kept: no control signs, not empty, cut to a length.
pub(super) fn kept(text: &str, longest: usize) -> Option<String> {
    let text = text.trim();
    let plain: Cow<'_, str> = if text.contains(char::is_control) {
        Cow::Owned(text.chars().filter(|c| !c.is_control()).collect())
    } else {
        Cow::Borrowed(text)
    };
    let end = plain
        .char_indices()
        .nth(longest)
        .map_or(plain.len(), |(at, _)| at);
    let cut = plain.get(..end).unwrap_or_default();
    (!cut.is_empty()).then(|| cut.to_owned())
}

impl Visitor {
    /// A header as text; what is no UTF-8 is replaced, not refused.
    pub(super) fn text(&self, name: impl header::AsHeaderName) -> Option<Cow<'_, str>> {
        let value = self.headers.get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()))
    }

    /// The value of a cookie, the first of that name.
    pub(super) fn cookie(&self, name: &str) -> Option<&str> {
        let lines = self.headers.get_all(header::COOKIE).iter();
        let pairs = lines.filter_map(|line| line.to_str().ok());
        let mut pairs = pairs.flat_map(|line| line.split(';'));
        pairs.find_map(|pair| {
            let (found, value) = pair.split_once('=')?;
            (found.trim() == name).then(|| value.trim())
        })
    }

    /// What old and new browsers say when they fetch ahead.
    fn purpose(&self) -> Option<String> {
        let names = ["sec-purpose", "purpose", "x-purpose", "x-moz"];
        let said: Vec<Cow<'_, str>> = names.iter().filter_map(|name| self.text(*name)).collect();
        kept(&said.join(", "), MARK)
    }

    /// What is kept of it, but for the address.
    pub(super) fn request(&self, path: &str, query: &Query) -> ClickRequest {
        let header = |name: &str, longest| self.text(name).and_then(|text| kept(&text, longest));
        let landing = self.uri.path_and_query().map_or("", |asked| asked.as_str());
        ClickRequest {
            path: path.to_owned(),
            method: self.method.as_str().chars().take(16).collect(),
            address: None,
            user_agent: header("user-agent", BROWSER),
            country: None,
            referrer: header("referer", ADDRESS),
            landing_url: kept(landing, ADDRESS),
            utm: query.utm.clone(),
            fetch: ["sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest"]
                .map(|name| header(name, MARK)),
            purpose: self.purpose(),
        }
    }
}

/// What is judged of a request.
pub(super) fn seen<'a>(
    door: Door,
    method: &Method,
    request: &'a ClickRequest,
    robots: &Robots,
) -> Seen<'a> {
    let user_agent = request.user_agent.as_deref();
    Seen {
        door,
        head: method == Method::HEAD,
        user_agent,
        robot: user_agent.is_some_and(|name| robots.know(name)),
        referrer: request.referrer.as_deref(),
        purpose: request.purpose.as_deref(),
        fetch_site: request.fetch[0].as_deref(),
        fetch_mode: request.fetch[1].as_deref(),
        fetch_dest: request.fetch[2].as_deref(),
    }
}

/// Robots: the product's own list, and patterns of the operator's.
pub(super) struct Robots(Option<RegexSet>);

#[derive(Deserialize)]
struct Listed {
    pattern: String,
}

impl Robots {
    pub(super) fn new(file: Option<&Path>) -> anyhow::Result<Robots> {
        let Some(file) = file else {
            return Ok(Robots(None));
        };
        let name = file.display();
        let text = std::fs::read(file).with_context(|| format!("{name} cannot be read"))?;
        let listed: Vec<Listed> = serde_json::from_slice(&text)
            .with_context(|| format!("{name} is no list of objects with a `pattern`"))?;
        let patterns = RegexSet::new(listed.iter().map(|it| it.pattern.as_str()));
        let patterns = patterns.with_context(|| format!("a pattern of {name} cannot be read"))?;
        Ok(Robots(Some(patterns)))
    }

    fn know(&self, user_agent: &str) -> bool {
        let listed = self.0.as_ref();
        bots::is_robot(user_agent) || listed.is_some_and(|list| list.is_match(user_agent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_kept_as_they_decode_the_first_of_each_name() {
        let query =
            Query::read("ref=P&sub1=F%C3%BCr+Dich&sub1=b&sub5=&utm_term=a%00b&x=1&sub2=%FF");
        let sub = |n: usize| query.subs[n].as_deref();
        assert_eq!(
            (query.named.as_deref(), sub(0), sub(4)),
            (Some("P"), Some("Für Dich"), None)
        );
        assert_eq!(query.utm[3].as_deref(), Some("ab"));
        assert_eq!(sub(1), Some("\u{fffd}"));
    }

    #[test]
    fn what_is_kept_has_a_length_and_no_control_signs() {
        assert_eq!(kept(&"ü".repeat(300), MARK).unwrap().chars().count(), MARK);
        assert_eq!(kept(" \u{0}\u{1b} ", MARK), None);
    }

    #[test]
    fn an_operators_list_adds_robots() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), r#"[{"pattern": "Foo\\/[0-9]", "url": "x"}]"#).unwrap();
        let robots = Robots::new(Some(file.path())).unwrap();
        assert!(robots.know("Mozilla/5.0 Foo/1") && robots.know("curl/8.5.0"));
        assert!(!robots.know("Mozilla/5.0 Foobar Chrome/120"));
        std::fs::write(file.path(), "{}").unwrap();
        assert!(Robots::new(Some(file.path())).is_err());
    }
}
