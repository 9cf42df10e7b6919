//! Pure: free text and figures, made harmless for line-based files.
//!
//! CSV and JSONL carry every text as it is. The three accounting programs know no escape in a
//! description or a tag, so there a description loses what would end it ([`description`]), and the
//! value of a tag is percent-encoded where it must be ([`value`]), which can be undone.

use std::fmt::Write;

/// What tags say about the entry itself, and what the programs give a meaning of their own.
const TAKEN: [&str; 19] = [
    "je",
    "entry",
    "kind",
    "by",
    "recorded",
    "reverses",
    "voucher",
    "cause",
    "book",
    "code",
    "name",
    "dimensions",
    "date",
    "date2",
    "type",
    "payee",
    "value",
    "filename",
    "lineno",
];

/// Minor units as a decimal with all places of its currency.
pub(super) fn decimal(minor: i128, scale: u32) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let digits = minor.unsigned_abs().to_string();
    let places = usize::try_from(scale).expect("a scale is small");
    if places == 0 {
        return format!("{sign}{digits}");
    }
    let padded = format!("{digits:0>width$}", width = places + 1);
    let (whole, fraction) = padded.split_at(padded.len() - places);
    format!("{sign}{whole}.{fraction}")
}

/// A description on one line: `;` (starts a comment) becomes a comma, `|` (ends a payee) a slash,
/// and white space of any kind and length one space.
pub(super) fn description(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().map(|c| match c {
            ';' => ',',
            '|' => '/',
            other => other,
        }));
    }
    line
}

/// The value of a tag: letters and digits of any script, a few signs and single spaces between
/// them; everything else percent-encoded as in a URL (a comma would end the value, a bracket would
/// start a date).
pub(super) fn value(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let inner_space = c == ' '
            && !value.is_empty()
            && !value.ends_with(' ')
            && chars.peek().is_some_and(|&next| next != ' ');
        if inner_space || c.is_alphanumeric() || "-._/:@+&'#".contains(c) {
            value.push(c);
        } else {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                write!(value, "%{byte:02X}").expect("a String takes all that is written");
            }
        }
    }
    value
}

/// A cause as tag and value: `order:1` is tagged `order`; a kind that is no plain word, or is
/// taken, is tagged `cause`, with the whole cause as its value.
pub(super) fn tag(cause: &str) -> (&str, &str) {
    match cause.split_once(':') {
        Some((kind, id)) if is_plain(kind) => (kind, id),
        _ => ("cause", cause),
    }
}

fn is_plain(kind: &str) -> bool {
    kind.len() > 1
        && kind.starts_with(|c: char| c.is_ascii_lowercase())
        && kind
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !TAKEN.contains(&kind)
}

/// A text in quotes, for beancount.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push(' '),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unvalued(value: &str) -> String {
        let mut text = Vec::new();
        let mut rest = value.as_bytes();
        while let [first, after @ ..] = rest {
            if *first == b'%' {
                text.extend(hex::decode(&after[..2]).expect("two hex digits"));
                rest = &after[2..];
            } else {
                text.push(*first);
                rest = after;
            }
        }
        String::from_utf8(text).expect("what was UTF-8 is again")
    }

    proptest! {
        #[test]
        fn a_figure_is_its_minor_units_with_a_point(minor in any::<i64>(), scale in 0_u32..=12) {
            let text = decimal(i128::from(minor), scale);
            let read: rust_decimal::Decimal = text.parse().expect("a decimal");
            prop_assert_eq!(read, rust_decimal::Decimal::new(minor, scale));
            prop_assert_eq!(read.scale(), scale);
        }

        #[test]
        fn a_value_can_be_read_back(text in prop_oneof!["[ ,;%a:\\[\\]]{0,9}", any::<String>()]) {
            let value = value(&text);
            prop_assert!(!value.contains([',', ';', '[', ']', '\n', '\t', '"', '\\']));
            prop_assert!(!value.contains("  ") && value.trim() == value);
            prop_assert_eq!(unvalued(&value), text);
        }

        #[test]
        fn a_description_ends_only_at_the_end_of_its_line(text in any::<String>()) {
            let line = description(&text);
            prop_assert!(!line.contains([';', '|']) && !line.contains("  "));
            let odd = |c: char| c.is_control() || (c != ' ' && c.is_whitespace());
            prop_assert!(!line.contains(odd));
            prop_assert_eq!(line.trim(), &line);
        }
    }

    #[test]
    fn a_cause_is_tagged_by_its_kind_unless_that_is_taken() {
        assert_eq!(tag("order:a:b"), ("order", "a:b"));
        for odd in [
            "date:2011-01-01",
            "je:1",
            "x:1",
            "Order:1",
            "two words:1",
            "none",
            ":1",
        ] {
            assert_eq!(tag(odd), ("cause", odd));
        }
    }

    #[test]
    fn every_currency_is_a_commodity_without_quotes() {
        for currency in crate::money::Currency::all() {
            let code = currency.code();
            assert!(
                code.len() > 2 && code.bytes().all(|b| b.is_ascii_uppercase()),
                "{code}"
            );
        }
    }
}
