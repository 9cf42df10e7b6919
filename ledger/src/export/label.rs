//! Pure: what an account is called in other people's programs.
//!
//! `Liabilities:Channel-Islands:2000:Publisher-pub-021`: root by kind, book, code, one part per
//! dimension. A part holds only what all three programs take (ASCII letters, digits, `-`; a capital
//! or a digit first), and two different accounts never get one name:
//!
//! - A bare `-` stands for a space in a book's name, and for itself in a code or a dimension.
//! - Everything else that is not a letter or digit is written as `-x<hex of its UTF-8>-`, a whole
//!   run at once. So is what `-` would stand for when an `x` follows, or it would read as this.
//! - A part that would start with neither capital nor digit, or with `X-`, gets `X-` in front.
//! - Dimensions that are not plain names with texts become one part: `X-` and their JSON, escaped.
//!
//! Accounts that differ only in currency share a name; the programs keep currencies apart.
//! Memorandum accounts lie below `Equity:Memorandum`, whatever their kind: they sum to zero there,
//! and no total outside that branch moves. (A book of that name is called `X-Memorandum`.)

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

use crate::account::AccountKind;

const MEMORANDUM: &str = "Memorandum";

/// The root of all accounts of a kind.
pub(super) fn root(kind: AccountKind) -> &'static str {
    match kind {
        AccountKind::Asset => "Assets",
        AccountKind::Liability => "Liabilities",
        AccountKind::Equity => "Equity",
        AccountKind::Revenue => "Income",
        AccountKind::Expense => "Expenses",
    }
}

/// A book's part of a name; also what stands before the number in `je:<book>/<number>`.
pub(super) fn book(name: &str) -> String {
    part(&escaped(name, ' ', ""))
}

/// The whole name of an account; `book` is what [`book`] made.
pub(super) fn account(
    kind: AccountKind,
    memo: bool,
    book: &str,
    code: &str,
    dimensions: &Value,
) -> String {
    let mut name = String::from(root(if memo { AccountKind::Equity } else { kind }));
    if memo {
        name.push(':');
        name.push_str(MEMORANDUM);
    }
    for part in [book, &part(&escaped(code, '-', ""))] {
        name.push(':');
        name.push_str(part);
    }
    for part in dimension_parts(dimensions) {
        name.push(':');
        name.push_str(&part);
    }
    name
}

/// A text that can stand in a beancount link (`^order-…`): no two texts become one.
pub(super) fn link(text: &str) -> String {
    escaped(text, '-', "_/.")
}

fn dimension_parts(dimensions: &Value) -> Vec<String> {
    let plain = dimensions.as_object().and_then(|pairs| {
        // In one order, whatever the map's.
        let pairs: BTreeMap<_, _> = pairs.iter().collect();
        pairs
            .into_iter()
            .map(|(name, value)| plain_dimension(name, value.as_str()?))
            .collect()
    });
    plain.unwrap_or_else(|| vec![format!("X-{}", escaped(&dimensions.to_string(), '-', ""))])
}

/// `publisher`, `pub-021` is `Publisher-pub-021`; the first `-` ends the name.
fn plain_dimension(name: &str, value: &str) -> Option<String> {
    if name.is_empty() || name == "x" || !name.bytes().all(|b| b.is_ascii_lowercase()) {
        return None;
    }
    let (first, rest) = name.split_at(1);
    Some(format!(
        "{}{rest}-{}",
        first.to_ascii_uppercase(),
        escaped(value, '-', "")
    ))
}

fn part(escaped: &str) -> String {
    let begins_well = escaped.starts_with(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit());
    if begins_well && !escaped.starts_with("X-") && escaped != MEMORANDUM {
        escaped.to_owned()
    } else {
        format!("X-{escaped}")
    }
}

fn escaped(text: &str, hyphen: char, kept: &str) -> String {
    let mut name = String::with_capacity(text.len());
    let mut in_run = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let bare = if c == hyphen {
            chars.peek() != Some(&'x')
        } else {
            c.is_ascii_alphanumeric() || kept.contains(c)
        };
        if bare != in_run {
            // neither starts nor ends a run
        } else if bare {
            name.push('-');
        } else {
            name.push_str("-x");
        }
        in_run = !bare;
        if bare {
            name.push(if c == hyphen { '-' } else { c });
        } else {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                write!(name, "{byte:02x}").expect("a String takes all that is written");
            }
        }
    }
    if in_run {
        name.push('-');
    }
    name
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Reads an escaped text back; that it can be read back is what makes it one text's only.
    fn unescaped(name: &str, hyphen: char) -> String {
        let mut text = Vec::new();
        let mut rest = name;
        while let Some(c) = rest.chars().next() {
            if let Some(run) = rest.strip_prefix("-x") {
                let (digits, after) = run.split_once('-').expect("a run ends");
                text.extend(hex::decode(digits).expect("a run is hex"));
                rest = after;
            } else {
                let c = if c == '-' { hyphen } else { c };
                text.extend(c.encode_utf8(&mut [0; 4]).bytes());
                rest = &rest[1..];
            }
        }
        String::from_utf8(text).expect("what was UTF-8 is again")
    }

    fn unmarked(part: &str) -> &str {
        part.strip_prefix("X-").unwrap_or(part)
    }

    fn is_part(part: &str) -> bool {
        part.starts_with(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    }

    fn nasty() -> impl Strategy<Value = String> {
        prop_oneof![
            "[xX \\-a0M:]{0,8}",
            "(X-|-x|x20|Memorandum| |-|2d){0,5}",
            any::<String>(),
        ]
    }

    proptest! {
        #[test]
        fn a_book_is_one_valid_part_and_can_be_read_back(name in nasty()) {
            let part = book(&name);
            prop_assert!(is_part(&part) && part != MEMORANDUM, "{part}");
            prop_assert_eq!(unescaped(unmarked(&part), ' '), name);
        }

        #[test]
        fn a_code_and_its_dimensions_can_be_read_back(
            code in "[0-9A-Za-z._-]{1,12}",
            name in "[a-z]{1,3}",
            value in nasty(),
        ) {
            let dimensions = json!({ name.clone(): value.clone() });
            let whole = account(AccountKind::Liability, false, "Acme", &code, &dimensions);
            let parts: Vec<&str> = whole.split(':').collect();
            prop_assert!(parts.iter().all(|part| is_part(part)), "{whole}");
            prop_assert_eq!(parts.len(), 4);
            prop_assert_eq!(unescaped(unmarked(parts[2]), '-'), code);
            if name == "x" {
                prop_assert_eq!(unescaped(unmarked(parts[3]), '-'), dimensions.to_string());
            } else {
                prop_assert!(!parts[3].starts_with("X-"));
                let (read_name, read_value) = parts[3].split_once('-').expect("name-value");
                prop_assert_eq!(read_name.to_ascii_lowercase(), name);
                prop_assert_eq!(unescaped(read_value, '-'), value);
            }
        }

        #[test]
        fn a_link_can_be_read_back(text in nasty()) {
            let link = link(&text);
            prop_assert!(link.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_/.".contains(&b)));
            prop_assert_eq!(unescaped(&link, '-'), text);
        }
    }

    #[test]
    fn names_read_well() {
        let name = |kind, memo, in_book, code, dimensions| {
            account(kind, memo, &book(in_book), code, &dimensions)
        };
        let cases = [
            (
                name(
                    AccountKind::Liability,
                    false,
                    "Acme",
                    "2000",
                    json!({"publisher": "pub-021"}),
                ),
                "Liabilities:Acme:2000:Publisher-pub-021",
            ),
            (
                name(
                    AccountKind::Asset,
                    false,
                    "Channel Islands",
                    "1000",
                    json!({}),
                ),
                "Assets:Channel-Islands:1000",
            ),
            (
                name(AccountKind::Asset, true, "Coca-Cola x", "9100", json!({})),
                "Equity:Memorandum:Coca-x2d-Cola-x20-x:9100",
            ),
            (
                name(AccountKind::Revenue, false, "متجر", "4000", json!({})),
                "Income:X--xd985d8aad8acd8b1-:4000",
            ),
            (
                name(
                    AccountKind::Equity,
                    false,
                    "Memorandum",
                    "fx.pos",
                    json!([1]),
                ),
                "Equity:X-Memorandum:X-fx-x2e-pos:X--x5b-1-x5d-",
            ),
        ];
        for (name, expected) in cases {
            assert_eq!(name, expected);
        }
    }
}
