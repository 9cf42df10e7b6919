//! A visitor's country: what a trusted proxy says, else what a database of the operator's does.

use std::net::IpAddr;
use std::path::Path;

use anyhow::Context;
use axum::http::{HeaderMap, HeaderName};
use maxminddb::Reader;

/// Where countries come from.
pub(super) struct Countries {
    header: HeaderName,
    database: Option<Reader<Vec<u8>>>,
}

impl Countries {
    pub(super) fn new(header: &str, database: Option<&Path>) -> anyhow::Result<Countries> {
        let header = header
            .parse()
            .with_context(|| format!("{header:?} is not the name of a header"))?;
        let open = |path: &Path| {
            Reader::open_readfile(path)
                .with_context(|| format!("{} is not a MaxMind database", path.display()))
        };
        Ok(Countries {
            header,
            database: database.map(open).transpose()?,
        })
    }

    /// Two letters of ISO 3166; the header counts only from a proxy that is trusted.
    pub(super) fn of(&self, address: IpAddr, headers: &HeaderMap, trusted: bool) -> Option<String> {
        let said = trusted.then(|| headers.get(&self.header)).flatten();
        let said = said.and_then(|value| letters(value.to_str().ok()?));
        said.or_else(|| self.look_up(address))
    }

    fn look_up(&self, address: IpAddr) -> Option<String> {
        let found = self.database.as_ref()?.lookup(address).ok()?;
        let country: maxminddb::geoip2::Country<'_> = found.decode().ok()??;
        letters(country.country.iso_code?)
    }
}

/// Two letters, as they are stored; `XX` and `T1` are proxies' words for «unknown».
fn letters(text: &str) -> Option<String> {
    let two = text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic());
    let country = text.to_ascii_uppercase();
    (two && country != "XX").then_some(country)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_country_is_believed_from_trusted_proxies_and_only_if_it_is_one() {
        let countries = Countries::new("CF-IPCountry", None).unwrap();
        let address = IpAddr::from([192, 0, 2, 1]);
        for (said, trusted, country) in [
            ("de", true, Some("DE")),
            ("DE", false, None),
            ("XX", true, None),
            ("T1", true, None),
            ("Germany", true, None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("cf-ipcountry", HeaderValue::from_static(said));
            let found = countries.of(address, &headers, trusted);
            assert_eq!(found.as_deref(), country, "{said} {trusted}");
        }
    }
}
