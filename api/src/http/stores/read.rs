//! Pure: what the senders' files share when they read a body: moments, sums, click references.

use chrono::{DateTime, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use settlement::inbox::fact::{Fact, Status, What};

/// A moment as senders write it: RFC 3339, without a zone (UTC), a date of JavaScript, or seconds.
pub(super) fn moment(text: &str) -> Option<DateTime<Utc>> {
    moment_in(text, chrono_tz::UTC)
}

/// The same, where a time without a zone is of this zone.
pub(super) fn moment_in(text: &str, zone: Tz) -> Option<DateTime<Utc>> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Some(moment.to_utc());
    }
    for form in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"] {
        if let Ok(local) = NaiveDateTime::parse_from_str(text, form) {
            return Some(zone.from_local_datetime(&local).earliest()?.to_utc());
        }
    }
    // "Sun Jun 26 2022 12:21:48 GMT+0300 (Arabian Standard Time)"
    let script = text.split(" (").next().unwrap_or(text);
    if let Ok(moment) = DateTime::parse_from_str(script, "%a %b %d %Y %H:%M:%S GMT%z") {
        return Some(moment.to_utc());
    }
    text.parse()
        .ok()
        .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
}

/// The sum of amounts; nothing if one of them is none.
pub(super) fn sum(amounts: &[String]) -> Option<String> {
    let mut sum = Decimal::ZERO;
    for amount in amounts {
        sum = sum.checked_add(decimal(amount)?)?;
    }
    Some(sum.to_string())
}

/// One amount less others.
pub(super) fn less(from: &str, amounts: &[String]) -> Option<String> {
    let rest = decimal(from)?.checked_sub(decimal(&sum(amounts)?)?)?;
    Some(rest.to_string())
}

/// An amount without its sign; nothing for zero.
pub(super) fn size(amount: &str) -> Option<String> {
    let amount = decimal(amount)?.abs();
    (!amount.is_zero()).then(|| amount.to_string())
}

fn decimal(text: &str) -> Option<Decimal> {
    let read = Decimal::from_str_exact(text).or_else(|_| Decimal::from_scientific(text));
    read.ok()
}

/// The names under which our tracking links leave a click, and stores hand it back.
const CLICK_NAMES: &[&str] = &[
    "pcps_click",
    "click_id",
    "clickid",
    "op_cref",
    "cref",
    "tb_affiliate",
    "ref",
];

/// Whether a note or attribute of that name holds a click.
pub(super) fn names_click(name: &str) -> bool {
    let name = name.trim_start_matches('_').to_ascii_lowercase();
    CLICK_NAMES.contains(&name.as_str())
}

/// The clicks in a text that is an address with them in its query, or a bare reference.
pub(super) fn clicks_in(text: &str) -> Vec<String> {
    let Some((_, query)) = text.split_once('?') else {
        let bare = !text.contains(['/', ' ', ':']);
        return bare.then(|| text.to_owned()).into_iter().collect();
    };
    let query = query.split('#').next().unwrap_or(query);
    let mut found: Vec<(usize, String)> = url::form_urlencoded::parse(query.as_bytes())
        .filter_map(|(name, value)| {
            let rank = CLICK_NAMES.iter().position(|known| *known == name)?;
            (!value.is_empty()).then(|| (rank, value.into_owned()))
        })
        .collect();
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, value)| value).collect()
}

/// A state of an order, as a fact; the sender's word is cut where it is no word any more.
pub(super) fn status(at: DateTime<Utc>, status: Status, of: &str, word: &str) -> Fact {
    let word: String = word.chars().take(40).collect();
    Fact {
        at,
        what: What::Status {
            status,
            word: format!("{of} {word}"),
        },
    }
}
