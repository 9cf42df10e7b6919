//! From which address a request comes.
//!
//! Behind a proxy that address stands in `X-Forwarded-For`, where anybody can write anything, so it
//! is believed only from the proxies that the operator names: the rightmost hop that is none of
//! them counts.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use ipnet::IpNet;

use super::App;
use super::problem::Problem;

/// Proxies in front of the service.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// Proxies whose `X-Forwarded-For` is believed, such as 10.0.0.0/8; may be repeated.
    #[arg(
        long = "trusted-proxy",
        env = "COUNTERFOIL_TRUSTED_PROXIES",
        value_name = "CIDR",
        value_delimiter = ','
    )]
    trusted: Vec<IpNet>,
}

impl Args {
    /// Whether this is a proxy of ours.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|net| net.contains(&address))
    }

    /// The address that a request with these headers comes from, received from this peer.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let lines = headers.get_all("x-forwarded-for").iter().rev();
        let hops = lines.flat_map(|line| line.to_str().unwrap_or("?").rsplit(','));
        for hop in hops {
            if !self.trusts(client) {
                break;
            }
            let Some(hop) = hop_address(hop.trim()) else {
                break;
            };
            client = hop;
        }
        client
    }
}

/// An address as proxies write it, with or without a port.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let address = hop.parse::<IpAddr>().ok();
    let address = address.or_else(|| hop.parse::<SocketAddr>().ok().map(|hop| hop.ip()));
    address.map(|address| address.to_canonical())
}

/// The address a request comes from.
pub(crate) fn address(parts: &Parts, app: &App) -> Result<IpAddr, Problem> {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let ConnectInfo(peer) = peer.ok_or_else(|| anyhow::anyhow!("a connection has no address"))?;
    Ok(app.proxies.client(peer.ip(), &parts.headers))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_proxies_of_ours_say_who_comes() {
        let args = Args {
            trusted: vec!["10.0.0.0/8".parse().unwrap()],
        };
        for (peer, forwarded, client) in [
            ("192.0.2.1", None, "192.0.2.1"),
            ("192.0.2.1", Some("198.51.100.7"), "192.0.2.1"),
            ("10.0.0.1", None, "10.0.0.1"),
            ("10.0.0.1", Some("198.51.100.7"), "198.51.100.7"),
            ("::ffff:10.0.0.1", Some("198.51.100.7"), "198.51.100.7"),
            ("10.0.0.1", Some("198.51.100.7:4711"), "198.51.100.7"),
            (
                "10.0.0.1",
                Some("203.0.113.9, 198.51.100.7"),
                "198.51.100.7",
            ),
            ("10.0.0.1", Some("198.51.100.7, 10.1.1.1"), "198.51.100.7"),
            ("10.0.0.1", Some("198.51.100.7, garbage"), "10.0.0.1"),
            ("10.0.0.1", Some("10.0.0.2"), "10.0.0.2"),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(forwarded) = forwarded {
                headers.insert("x-forwarded-for", HeaderValue::from_static(forwarded));
            }
            let found = args.client(peer.parse().unwrap(), &headers);
            assert_eq!(
                found,
                client.parse::<IpAddr>().unwrap(),
                "{peer} {forwarded:?}"
            );
        }
    }
}
