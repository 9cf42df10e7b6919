//! Pure: which texts of a store's order are taken for a click of ours.
//!
//! Stores hand back whatever stood in an address, and `?ref=` is everybody's: an order that names
//! some other site's referral must not become a conversion that nobody earned. So a text counts if
//! it is a click's id, a signed token, or a tracking id with its prefix (`raff_X4m9K2pL7nQw`).

use chrono::{DateTime, Utc};
use settlement::tracking::ClickRef;
use settlement::tracking::token::{TokenKeys, is_token};
use uuid::Uuid;

/// The click that a text names, as of the time of its order.
pub(super) fn read(text: &str, keys: &TokenKeys, placed_at: DateTime<Utc>) -> Option<ClickRef> {
    let ours = Uuid::try_parse(text).is_ok() || is_token(text) || is_tracking_id(text);
    ours.then(|| ClickRef::parse(text, keys, placed_at).ok())
        .flatten()
}

/// A short prefix, an underscore, and at least eight characters drawn by chance.
fn is_tracking_id(text: &str) -> bool {
    let Some((prefix, drawn)) = text.split_once('_') else {
        return false;
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (2..=12).contains(&prefix.len())
        && prefix.chars().all(|c| c.is_ascii_lowercase())
        && (8..=64).contains(&drawn.len())
        && drawn.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_and_a_tracking_id_are_clicks_and_another_sites_referral_is_none() {
        let read = |text| read(text, &TokenKeys::default(), DateTime::UNIX_EPOCH);
        let id = "018f6e2a-7c1d-7a44-9b0e-2f6f3f1c9a10";
        assert_eq!(read(id).map(|click| click.id), id.parse().ok());
        assert!(read("raff_X4m9K2pL7nQw").is_some());
        for other in [
            "producthunt",
            "PARTNER",
            "",
            "utm_",
            "a b",
            "news_letter",
            "v1.k1.AAAA.AAAA",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
