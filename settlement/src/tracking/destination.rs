//! Pure: the address a visitor is sent to.
//!
//! It is the program's, byte for byte, with the click's parameter added: query and fragment stay
//! as they are, a parameter of the same name gives way. Nothing in a request can choose it.

use url::Url;
use url::form_urlencoded::{byte_serialize, parse};

/// An address that clicks are added to, taken apart once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Scheme, host and path.
    base: String,
    /// The pairs of the query as they are written, with their decoded names.
    pairs: Vec<(String, String)>,
    /// With its `#`, or empty.
    fragment: String,
    host: String,
    path: String,
}

/// Why an address leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// Not an address.
    #[error("destination {0:?} is not a web address; write it as https://shop.example/page")]
    NotWeb(String),
    /// A name or password before the host.
    #[error("destination {0:?} carries a login; leave it out")]
    CarriesLogin(String),
}

impl Destination {
    /// Takes an address apart; only http and https lead anywhere.
    pub fn parse(text: &str) -> Result<Destination, DestinationError> {
        let not_web = || DestinationError::NotWeb(text.to_owned());
        let url = Url::parse(text).map_err(|_| not_web())?;
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(not_web)?.to_owned();
        if !matches!(url.scheme(), "http" | "https") {
            return Err(not_web());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(DestinationError::CarriesLogin(text.to_owned()));
        }
        let mut base = url.clone();
        base.set_query(None);
        base.set_fragment(None);
        let written = url.query().unwrap_or_default();
        let pairs = written.split('&').filter(|pair| !pair.is_empty());
        Ok(Destination {
            base: base.into(),
            pairs: pairs.map(|pair| (name(pair), pair.to_owned())).collect(),
            fragment: url.fragment().map(|f| format!("#{f}")).unwrap_or_default(),
            host,
            path: url.path().to_owned(),
        })
    }

    /// The address with these parameters set.
    #[must_use]
    pub fn with(&self, parameters: &[(&str, &str)]) -> String {
        let kept = self
            .pairs
            .iter()
            .filter(|(name, _)| parameters.iter().all(|(set, _)| set != name));
        let mut address = String::with_capacity(self.base.len() + 128);
        address.push_str(&self.base);
        let mut sign = '?';
        for (_, pair) in kept {
            address.push(sign);
            address.push_str(pair);
            sign = '&';
        }
        for (name, value) in parameters {
            address.push(sign);
            address.extend(byte_serialize(name.as_bytes()));
            address.push('=');
            address.extend(byte_serialize(value.as_bytes()));
            sign = '&';
        }
        address.push_str(&self.fragment);
        address
    }

    /// The address as it stands.
    #[must_use]
    pub fn plain(&self) -> String {
        self.with(&[])
    }

    /// Does it lie on one of these hosts (or below one), on one of these paths? Nothing named
    /// allows everything.
    #[must_use]
    pub fn is_within(&self, hosts: &[String], paths: &[String]) -> bool {
        let on_host = |host: &String| {
            let below = self.host.strip_suffix(host.as_str());
            below.is_some_and(|below| below.is_empty() || below.ends_with('.'))
        };
        let on_path = |path: &String| self.path.contains(path.as_str());
        (hosts.is_empty() || hosts.iter().any(on_host))
            && (paths.is_empty() || paths.iter().any(on_path))
    }

    /// The host, in lower case.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

/// The decoded name of a pair.
fn name(pair: &str) -> String {
    parse(pair.as_bytes())
        .next()
        .map(|(name, _)| name.into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(address: &str, parameters: &[(&str, &str)], expect: &str) {
        let destination = Destination::parse(address).unwrap();
        assert_eq!(destination.with(parameters), expect);
    }

    #[test]
    fn query_and_fragment_stay_and_a_parameter_of_the_same_name_gives_way() {
        let click = &[("pcps_click", "c1")];
        check(
            "https://a.example",
            click,
            "https://a.example/?pcps_click=c1",
        );
        check(
            "https://a.example/p?a=%20b+c&flag&=x#top?x=1",
            click,
            "https://a.example/p?a=%20b+c&flag&=x&pcps_click=c1#top?x=1",
        );
        check(
            "https://a.example/p?pcps_click=old&x=1&pcps%5Fclick=older",
            click,
            "https://a.example/p?x=1&pcps_click=c1",
        );
    }

    #[test]
    fn marketing_marks_are_set_and_never_doubled() {
        check(
            "https://store.zid.sa/products/123?utm_source=mail&size=4",
            &[
                ("ref", "raff_X4m9K2pL7nQw"),
                ("utm_source", "raff"),
                ("utm_medium", "affiliate"),
                ("utm_campaign", "product slug"),
            ],
            "https://store.zid.sa/products/123?size=4&ref=raff_X4m9K2pL7nQw&utm_source=raff\
             &utm_medium=affiliate&utm_campaign=product+slug",
        );
    }

    #[test]
    fn only_the_web_is_a_destination() {
        for text in [
            "javascript:alert(1)",
            "data:text/html,x",
            "//a.example",
            "shop",
            "https://",
        ] {
            assert!(Destination::parse(text).is_err(), "{text}");
        }
        let login = Destination::parse("https://a.example@evil.example/");
        assert!(matches!(login, Err(DestinationError::CarriesLogin(_))));
    }

    #[test]
    fn a_host_is_matched_whole_or_as_a_domain_above() {
        let hosts = ["zid.store".to_owned()];
        let within = |text: &str| Destination::parse(text).unwrap().is_within(&hosts, &[]);
        assert!(within("https://zid.store/x") && within("https://Shop.ZID.store/x"));
        assert!(!within("https://evilzid.store/x") && !within("https://zid.store.evil.example/"));
        let paths = ["/product/".to_owned(), "/products/".to_owned()];
        let page = Destination::parse("https://zid.store/products/1").unwrap();
        assert!(page.is_within(&[], &paths) && page.is_within(&hosts, &paths));
        let cart = Destination::parse("https://zid.store/cart").unwrap();
        assert!(!cart.is_within(&hosts, &paths));
    }

    proptest! {
        #[test]
        fn every_value_arrives_as_it_was_sent(value in ".{0,40}", old in "[a-z=&%#]{0,20}") {
            let address = format!("https://a.example/p?{old}");
            let built = Destination::parse(&address).unwrap().with(&[("click", &value)]);
            let url = Url::parse(&built).unwrap();
            let clicks: Vec<String> = url
                .query_pairs()
                .filter(|(name, _)| name == "click")
                .map(|(_, value)| value.into_owned())
                .collect();
            prop_assert_eq!(clicks, vec![value]);
            prop_assert_eq!(url.host_str(), Some("a.example"));
        }
    }
}
