use chrono::DateTime;
use ledger::BookId;
use proptest::prelude::*;
use settlement::party::ProgramRef;
use uuid::Uuid;

use super::*;

fn kept(number: u128, text: &str) -> Kept {
    let program = ProgramRef {
        book: BookId::from_value(7),
        id: Uuid::from_u128(1),
    };
    let at = DateTime::from_timestamp_micros(1_700_000_000_000_001).unwrap();
    let mut click = Click::new(Uuid::from_u128(number), program, Uuid::from_u128(2), at);
    click.subs[1] = Some(text.to_owned());
    let request = ClickRequest {
        path: "/go".to_owned(),
        user_agent: Some(text.to_owned()),
        ..ClickRequest::default()
    };
    Kept { click, request }
}

fn segment(texts: &[String]) -> (Vec<Kept>, Vec<usize>, Vec<u8>) {
    let clicks: Vec<Kept> = (0..).zip(texts).map(|(n, text)| kept(n, text)).collect();
    let mut bytes = Vec::new();
    let mut ends = Vec::new();
    for click in &clicks {
        bytes.extend(frame(click).unwrap());
        ends.push(bytes.len());
    }
    (clicks, ends, bytes)
}

proptest! {
    #[test]
    fn whatever_is_cut_off_the_clicks_before_it_are_read(
        texts in proptest::collection::vec("\\PC{0,30}", 0..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let (clicks, ends, bytes) = segment(&texts);
        let cut = cut.index(bytes.len() + 1);
        let whole = ends.iter().filter(|end| **end <= cut).count();
        let last = ends.get(whole.wrapping_sub(1)).copied().unwrap_or(0);
        let found = find(&bytes[..cut], usize::MAX, true);
        prop_assert_eq!(&found.clicks, &clicks[..whole]);
        prop_assert_eq!((found.used, found.bad, found.bad_tail), (cut, cut - last, cut - last));
        // While more may follow, an unfinished frame is left for later.
        let found = find(&bytes[..cut], usize::MAX, false);
        prop_assert_eq!((&found.clicks[..], found.used, found.bad), (&clicks[..whole], last, 0));
    }

    #[test]
    fn a_changed_byte_costs_the_click_it_lies_in_and_no_other(
        texts in proptest::collection::vec("\\PC{0,30}", 1..12),
        place in any::<prop::sample::Index>(),
        other in 1..=255_u8,
    ) {
        let (clicks, ends, mut bytes) = segment(&texts);
        let place = place.index(bytes.len());
        bytes[place] ^= other;
        let hit = ends.iter().filter(|end| **end <= place).count();
        let mut left = clicks;
        left.remove(hit);
        let found = find(&bytes, usize::MAX, true);
        prop_assert_eq!(found.clicks, left);
        prop_assert!(found.bad > 0);
    }

    #[test]
    fn noise_is_no_click(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let found = find(&bytes, usize::MAX, true);
        prop_assert_eq!((found.clicks.len(), found.used, found.bad), (0, bytes.len(), bytes.len()));
    }
}

#[test]
fn so_many_are_read_as_were_asked_for() {
    let texts = ["a", "b", "c"].map(str::to_owned);
    let (clicks, ends, bytes) = segment(&texts);
    let found = find(&bytes, 2, true);
    assert_eq!((&found.clicks[..], found.used), (&clicks[..2], ends[1]));
}

#[test]
fn what_no_request_can_be_is_not_kept() {
    let huge = "x".repeat(LONGEST);
    assert!(frame(&kept(1, &huge)).is_err());
}
