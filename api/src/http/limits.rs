//! How much may be asked: so many requests a second for each key and each address, and so many
//! bytes a request.
//!
//! Every answer says what is left in the `RateLimit` and `RateLimit-Policy` headers of the IETF's
//! draft-ietf-httpapi-ratelimit-headers; beyond it the answer is 429 with `Retry-After`. Redirects
//! and store webhooks are not limited: a visitor is never lost, and stores do not come back.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, FromRequest, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};

use super::App;
use super::problem::Problem;

/// How much may be asked.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// Requests a second for each API key, with twice as many at once; 0 for no limit.
    #[arg(long, env = "COUNTERFOIL_RATE_PER_KEY", default_value_t = 1000)]
    rate_per_key: u32,
    /// Requests a second for each address, with twice as many at once; 0 for no limit.
    #[arg(long, env = "COUNTERFOIL_RATE_PER_ADDRESS", default_value_t = 1000)]
    rate_per_address: u32,
    /// The most bytes of a request's body.
    #[arg(long, env = "COUNTERFOIL_MAX_BODY", default_value_t = 2_097_152)]
    max_body: usize,
}

type Limiter<K> =
    RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// The limits of a running service.
pub(crate) struct Limits {
    by_key: Option<(Limiter<u64>, HeaderValue)>,
    by_address: Option<(Limiter<IpAddr>, HeaderValue)>,
    hasher: RandomState,
    pub(crate) max_body: usize,
}

impl Limits {
    pub(crate) fn new(args: &Args) -> Limits {
        Limits {
            by_key: limiter(args.rate_per_key, "key"),
            by_address: limiter(args.rate_per_address, "address"),
            hasher: RandomState::new(),
            max_body: args.max_body,
        }
    }

    /// Forgets whom nobody has heard of lately; called now and then.
    pub(crate) fn forget(&self) {
        if let Some((limiter, _)) = &self.by_key {
            limiter.retain_recent();
        }
        if let Some((limiter, _)) = &self.by_address {
            limiter.retain_recent();
        }
    }

    /// What is left for this caller, or the refusal.
    fn check(&self, address: IpAddr, key: Option<&HeaderValue>) -> Result<Option<Left>, Problem> {
        let address = match &self.by_address {
            Some(limiter) => Some(ask(limiter, &address)?),
            None => None,
        };
        let key = match (&self.by_key, key) {
            (Some(limiter), Some(key)) => {
                Some(ask(limiter, &self.hasher.hash_one(key.as_bytes()))?)
            }
            _ => None,
        };
        Ok(key.or(address))
    }
}

/// What is left, as headers.
struct Left {
    policy: HeaderValue,
    left: String,
}

fn limiter<K: std::hash::Hash + Eq + Clone>(
    rate: u32,
    name: &str,
) -> Option<(Limiter<K>, HeaderValue)> {
    let rate = NonZeroU32::new(rate)?;
    let burst = rate.saturating_add(rate.get());
    let quota = Quota::per_second(rate).allow_burst(burst);
    let policy = HeaderValue::from_str(&format!("\"{name}\";q={rate};w=1")).ok()?;
    Some((RateLimiter::keyed(quota).with_middleware(), policy))
}

fn ask<K: std::hash::Hash + Eq + Clone>(
    (limiter, policy): &(Limiter<K>, HeaderValue),
    who: &K,
) -> Result<Left, Problem> {
    let name = policy
        .to_str()
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    match limiter.check_key(who) {
        Ok(left) => Ok(Left {
            policy: policy.clone(),
            left: format!("{name};r={};t=1", left.remaining_burst_capacity()),
        }),
        Err(until) => {
            let wait = until
                .wait_time_from(limiter.clock().now())
                .as_secs()
                .saturating_add(1);
            let detail = format!(
                "too many requests from this {}; wait as long as Retry-After says",
                name.trim_matches('"')
            );
            Err(
                Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited", detail)
                    .after(u32::try_from(wait).unwrap_or(u32::MAX)),
            )
        }
    }
}

/// Lets a request pass, or refuses it.
pub(crate) async fn limit(State(app): State<App>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let Some(ConnectInfo(peer)) = peer else {
        return Problem::internal(&anyhow::anyhow!("a connection has no address")).into_response();
    };
    let address = app.proxies.client(peer.ip(), request.headers());
    let key = request.headers().get(header::AUTHORIZATION);
    let left = match app.limits.check(address, key) {
        Ok(left) => left,
        Err(problem) => return problem.into_response(),
    };
    let mut response = next.run(request).await;
    if let Some(Left { policy, left }) = left
        && let Ok(left) = HeaderValue::try_from(left)
    {
        let headers = response.headers_mut();
        headers.insert("ratelimit-policy", policy);
        headers.insert("ratelimit", left);
    }
    response
}

/// The bytes of a body, unless there are too many.
pub(crate) struct Body(pub(crate) Bytes);

impl FromRequest<App> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Body, Problem> {
        let read = Bytes::from_request(request, app).await;
        read.map(Body).map_err(|rejection: BytesRejection| {
            let status = rejection.into_response().status();
            if status == StatusCode::PAYLOAD_TOO_LARGE {
                let most = app.limits.max_body;
                let detail = format!("the body is larger than {most} bytes; send it in parts");
                return Problem::new(status, "body-too-large", detail);
            }
            Problem::bad_request("body-unreadable", "the body ended early; send it again")
        })
    }
}
