//! The way out of the building for HTTP: to addresses that others chose.
//!
//! Somebody who may name a URL must not thereby reach the machines beside this one. So each host is
//! resolved here, every address it has is judged by [`guard`], the connection is made to the judged
//! addresses and to no other, no redirect is followed, and no proxy is asked.
//!
//! What it never does: send twice by itself, or read an answer longer than it keeps.

pub mod guard;

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// How long a request may take, from the first packet to the last.
pub const TIMEOUT: Duration = Duration::from_secs(5);
/// How much of an answer is kept.
pub const KEPT: usize = 1024;

/// Which addresses may be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// Only those on the public internet.
    #[default]
    Public,
    /// Any address. For tests on one machine, never for a service that others can reach.
    Any,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The first [`KEPT`] bytes of the body, as text.
    pub start: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum OutsideError {
    /// The URL cannot be used, whatever happens.
    #[error("{0}")]
    Refused(String),
    /// It may go better another time.
    #[error("{0}")]
    Failed(String),
}

/// Sends requests outside.
#[derive(Debug, Clone)]
pub struct Outside {
    client: reqwest::Client,
    reach: Reach,
}

impl Outside {
    /// A way out, with the certificates that this system trusts.
    pub fn new(reach: Reach) -> Result<Outside, OutsideError> {
        // The process may have one already; which came first does not matter, they are the same.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder()
            .user_agent(concat!("Counterfoil/", env!("CARGO_PKG_VERSION")))
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            // A kept connection would outlive the judgement of its address.
            .pool_max_idle_per_host(0)
            .dns_resolver(Guarded(reach))
            .build()
            .map_err(|error| OutsideError::Failed(causes(&error)))?;
        Ok(Outside { client, reach })
    }

    /// Asks for a URL.
    pub async fn get(
        &self,
        url: &Url,
        headers: &[(&'static str, String)],
    ) -> Result<Answer, OutsideError> {
        self.send(url, self.client.get(url.clone()), headers).await
    }

    /// Sends a JSON body to a URL.
    pub async fn post(
        &self,
        url: &Url,
        headers: &[(&'static str, String)],
        body: String,
    ) -> Result<Answer, OutsideError> {
        let request = self.client.post(url.clone()).body(body);
        let request = request.header("content-type", "application/json");
        self.send(url, request, headers).await
    }

    async fn send(
        &self,
        url: &Url,
        request: reqwest::RequestBuilder,
        headers: &[(&'static str, String)],
    ) -> Result<Answer, OutsideError> {
        check(url, self.reach).map_err(OutsideError::Refused)?;
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, value)
        });
        let mut response = request.send().await.map_err(|error| judged(&error))?;
        let status = response.status().as_u16();
        let mut start = Vec::new();
        while start.len() < KEPT {
            // The status decides; an answer that breaks off is kept as far as it came.
            let Ok(Some(chunk)) = response.chunk().await else {
                break;
            };
            start.extend_from_slice(&chunk);
        }
        start.truncate(KEPT);
        let start = String::from_utf8_lossy(&start).replace('\0', "\u{fffd}");
        Ok(Answer { status, start })
    }
}

/// Refuses a URL that could not be sent to, or whose host is an address out of reach. A name is
/// judged when it is resolved.
pub fn check(url: &Url, reach: Reach) -> Result<(), String> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("'{}' is neither http nor https", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL holds a name or password; leave it out".to_owned());
    }
    let address = match url.host() {
        None => return Err("the URL names no host".to_owned()),
        Some(Host::Domain(_)) => return Ok(()),
        Some(Host::Ipv4(address)) => address.into(),
        Some(Host::Ipv6(address)) => address.into(),
    };
    if reach == Reach::Any || guard::is_public(address) {
        Ok(())
    } else {
        Err(format!("{address} is no public address"))
    }
}

/// Resolves names and lets through only what may be reached.
#[derive(Debug, Clone, Copy)]
struct Guarded(Reach);

/// A name leads to an address that is out of reach.
#[derive(Debug, thiserror::Error)]
#[error("{host} leads to {address}, which is no public address")]
struct OutOfReach {
    host: String,
    address: std::net::IpAddr,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            // One bad address among good ones is how such a check is walked around.
            let bad = found.iter().find(|found| !guard::is_public(found.ip()));
            match bad {
                Some(bad) if reach == Reach::Public => {
                    let address = bad.ip();
                    Err(OutOfReach { host, address }.into())
                }
                _ => {
                    let found: Addrs = Box::new(found.into_iter());
                    Ok(found)
                }
            }
        })
    }
}

/// What a failed request means: an address out of reach stays so until somebody acts.
fn judged(error: &reqwest::Error) -> OutsideError {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(this) = cause {
        if let Some(refused) = this.downcast_ref::<OutOfReach>() {
            return OutsideError::Refused(refused.to_string());
        }
        cause = this.source();
    }
    if error.is_timeout() {
        return OutsideError::Failed(format!("no answer within {} s", TIMEOUT.as_secs()));
    }
    OutsideError::Failed(causes(error))
}

/// The whole chain of an error, without the URL, which may hold a secret.
fn causes(error: &reqwest::Error) -> String {
    let mut told = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(this) = cause {
        told.push(this.to_string());
        cause = this.source();
    }
    if told.is_empty() {
        "the request failed".to_owned()
    } else {
        told.join(": ")
    }
}
