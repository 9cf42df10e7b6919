//! What may be asked without a key, and how often: a few routes for whoever comes.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::LazyLock;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::problem::Problem;
use super::{App, peer};

/// Who comes without a key: an address.
#[derive(Debug)]
pub(crate) struct Guest(IpAddr);

/// Applications of publishers, by address.
static APPLICATIONS: LazyLock<DefaultKeyedRateLimiter<IpAddr>> = LazyLock::new(|| per_minute(10));
/// Codes tried out, by address: who guesses all of them takes years.
static CODES: LazyLock<DefaultKeyedRateLimiter<IpAddr>> = LazyLock::new(|| per_minute(60));

fn per_minute(times: u32) -> DefaultKeyedRateLimiter<IpAddr> {
    let times = NonZeroU32::new(times).unwrap_or(NonZeroU32::MIN);
    RateLimiter::keyed(Quota::per_minute(times))
}

impl Guest {
    /// Refuses who applies too often.
    pub(crate) fn may_apply(&self) -> Result<(), Problem> {
        self.may(&APPLICATIONS)
    }

    /// Refuses who tries too many codes.
    pub(crate) fn may_try_codes(&self) -> Result<(), Problem> {
        self.may(&CODES)
    }

    fn may(&self, limiter: &DefaultKeyedRateLimiter<IpAddr>) -> Result<(), Problem> {
        limiter.check_key(&self.0).map_err(|denied| {
            let wait = denied.wait_time_from(DefaultClock::default().now());
            let seconds = u32::try_from(wait.as_secs() + 1).unwrap_or(u32::MAX);
            let detail = format!("too many requests from your address; wait {seconds} s");
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", detail).after(seconds)
        })
    }
}

impl FromRequestParts<App> for Guest {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Guest, Problem> {
        Ok(Guest(peer::address(parts, app)?))
    }
}
