//! Deciding again who earned what, on the demo's real orders.

use crate::support::{books, list};

#[test]
fn every_commission_of_the_demo_follows_from_the_raw_facts() {
    let proved = books().json(&["rederive", "--check"]);
    assert!(proved["conversions"].as_i64() > Some(1000), "{proved}");
    assert_eq!(list(&proved["faults"]).len(), 0, "{proved}");
    assert_eq!(list(&proved["accounts"]).len(), 0, "{proved}");
}

#[test]
fn a_dry_run_changes_nothing_and_what_is_applied_is_found_no_more() {
    let on = |arguments: &[&str]| books().on("rederived", arguments);
    let before = on(&["--json", "trial-balance"]).json();
    let first = [
        "--json",
        "rederive",
        "--model",
        "first_click",
        "--window",
        "30",
    ];
    let shown = on(&first).json();
    assert_eq!(
        (&shown["applied"], shown["decided"].as_i64() > Some(1000)),
        (&false.into(), true)
    );
    assert!(shown["changed"].as_i64() > Some(0), "{shown}");
    assert!(list(&shown["publishers"]).len() > 1, "{shown}");
    assert_eq!(
        on(&["--json", "trial-balance"]).json(),
        before,
        "only looked"
    );
    let readable = on(&first[1..]).with(0).out;
    assert!(
        readable.contains("nothing was posted; --apply"),
        "{readable}"
    );
    assert!(readable.contains("by first click"), "{readable}");
    let apply = [&first[..], &["--apply", "--reason", "the program's word"]].concat();
    let applied = on(&apply).json();
    assert_eq!(applied["changed"], shown["changed"]);
    assert_eq!(applied["publishers"], shown["publishers"]);
    assert_eq!(on(&apply).json()["changed"], 0, "once");
    let proved = on(&["--json", "rederive", "--check"]).json();
    assert_eq!(list(&proved["faults"]).len(), 0, "{proved}");
    assert_eq!(list(&proved["accounts"]).len(), 0, "{proved}");
    on(&["verify"]).with(0);
}
