//! Pure: URLs with macros, `https://tracker.example/postback?cid={click_id}&sum={payout}`.
//!
//! A value is percent-encoded as it is put in, so it can never become a part of the URL's
//! structure: no value adds a parameter, a path segment or a host. A macro in the host is refused
//! when the target is made.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// Every macro that is known.
pub const MACROS: &[&str] = &[
    "click_id",
    "transaction_id",
    "order_id",
    "partner_id",
    "publisher_id",
    "offer_id",
    "program_id",
    "commission_id",
    "event_id",
    "event_type",
    "status",
    "sum",
    "amount",
    "payout",
    "currency",
    "order_sum",
    "order_currency",
    "sub1",
    "sub2",
    "sub3",
    "sub4",
    "sub5",
    "promo_code",
    "campaign_id",
    "geo",
    "timestamp",
    "date",
    "payout_id",
];

/// What becomes of `{something_else}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unknown {
    /// It stays as it stands.
    #[default]
    Literal,
    /// Nothing stands there.
    Empty,
}

impl Unknown {
    /// As it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Unknown::Literal => "literal",
            Unknown::Empty => "empty",
        }
    }

    /// Reads what is stored.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Unknown> {
        match text {
            "literal" => Some(Unknown::Literal),
            "empty" => Some(Unknown::Empty),
            _ => None,
        }
    }
}

/// The values of macros by name; a known one that is missing is empty.
pub type Values = BTreeMap<String, String>;

/// Puts values in the place of macros.
#[must_use]
pub fn render(template: &str, values: &Values, unknown: Unknown) -> String {
    let mut out = String::with_capacity(template.len() + 64);
    for part in parts(template) {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Macro { name, .. } if MACROS.contains(&name) => {
                out.push_str(&encoded(values.get(name).map_or("", String::as_str)));
            }
            Part::Macro { whole, .. } if unknown == Unknown::Literal => out.push_str(whole),
            Part::Macro { .. } => {}
        }
    }
    out
}

/// The macros of a template that nobody knows: most likely typing mistakes.
#[must_use]
pub fn unknown_macros(template: &str) -> Vec<&str> {
    parts(template)
        .filter_map(|part| match part {
            Part::Macro { name, .. } if !MACROS.contains(&name) => Some(name),
            Part::Macro { .. } | Part::Text(_) => None,
        })
        .collect()
}

/// Bytes that need no encoding in any place of a URL (RFC 3986, unreserved).
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn encoded(value: &str) -> Cow<'_, str> {
    if value.bytes().all(is_unreserved) {
        return Cow::Borrowed(value);
    }
    let mut out = String::with_capacity(value.len() * 3);
    for byte in value.bytes() {
        if is_unreserved(byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&hex::encode_upper([byte]));
        }
    }
    Cow::Owned(out)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part<'a> {
    Text(&'a str),
    Macro { whole: &'a str, name: &'a str },
}

/// A template in pieces. A brace that opens no name is text.
fn parts(template: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = template;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some(end) = macro_end(rest) {
            let (whole, after) = rest.split_at(end);
            rest = after;
            let name = &whole[1..end - 1];
            return Some(Part::Macro { whole, name });
        }
        let next = rest
            .char_indices()
            .skip(1)
            .find(|(at, _)| macro_end(&rest[*at..]).is_some());
        let (text, after) = rest.split_at(next.map_or(rest.len(), |(at, _)| at));
        rest = after;
        Some(Part::Text(text))
    })
}

/// Where the macro ends that the text starts with, if it starts with one.
fn macro_end(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('{')?;
    let length = inside
        .bytes()
        .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        .count();
    (length > 0 && inside.as_bytes().get(length) == Some(&b'}')).then_some(length + 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(of: &[(&str, &str)]) -> Values {
        of.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn macros_are_filled_and_unknown_ones_are_left_or_emptied() {
        let values = values(&[("click_id", "a b"), ("payout", "1.50")]);
        let template = "https://t.example/p?c={click_id}&s={payout}&x={nope}&g={geo}&b={}{a-b}{";
        assert_eq!(
            render(template, &values, Unknown::Literal),
            "https://t.example/p?c=a%20b&s=1.50&x={nope}&g=&b={}{a-b}{"
        );
        assert_eq!(
            render(template, &values, Unknown::Empty),
            "https://t.example/p?c=a%20b&s=1.50&x=&g=&b={}{a-b}{"
        );
        assert_eq!(unknown_macros(template), ["nope"]);
    }

    proptest! {
        #[test]
        fn any_value_arrives_whole_and_alone(value in any::<String>()) {
            let values = values(&[("sub1", &value)]);
            let template = "https://t.example/p?a=1&v={sub1}&b=2";
            let rendered = render(template, &values, Unknown::Literal);
            let url = url::Url::parse(&rendered).unwrap();
            prop_assert_eq!(url.host_str(), Some("t.example"));
            let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
            let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            prop_assert_eq!(pairs, [pair("a", "1"), pair("v", &value), pair("b", "2")]);
        }

        #[test]
        fn a_value_in_the_path_stays_one_segment(value in "[^.]{1,40}") {
            let values = values(&[("click_id", &value)]);
            let rendered = render("https://t.example/a/{click_id}/b", &values, Unknown::Literal);
            let url = url::Url::parse(&rendered).unwrap();
            prop_assert_eq!(url.path_segments().map(Iterator::count), Some(3));
            prop_assert!(url.query().is_none() && url.fragment().is_none());
        }

        #[test]
        fn a_text_without_macros_is_left_alone(text in any::<String>()) {
            prop_assume!(unknown_macros(&text).is_empty());
            prop_assume!(!MACROS.iter().any(|name| text.contains(&format!("{{{name}}}"))));
            prop_assert_eq!(render(&text, &Values::new(), Unknown::Empty), text);
        }

        #[test]
        fn a_value_is_never_read_as_a_template(name in prop::sample::select(MACROS)) {
            let values = values(&[("sub1", &format!("{{{name}}}")), (name, "secret")]);
            prop_assume!(name != "sub1");
            let rendered = render("{sub1}", &values, Unknown::Literal);
            prop_assert_eq!(rendered, format!("%7B{name}%7D"));
        }
    }
}
