//! The crates stand in one chain, and a crate uses only what stands to its left.

use crate::tree::{Fault, Source, assert_found, assert_tidy, texts};
use toml::{Table, Value};

/// A member: what it may use when it ships, and what its tests may use besides. A new crate gets
/// its row here first; that is where its place in the chain is decided.
struct Place {
    name: &'static str,
    ships_with: &'static [&'static str],
    tests_with: &'static [&'static str],
}

const CHAIN: &[Place] = &[
    Place {
        name: "migrations",
        ships_with: &[],
        tests_with: &["migrations"],
    },
    Place {
        name: "ledger",
        ships_with: &[],
        tests_with: &["ledger", "migrations"],
    },
    Place {
        name: "settlement",
        ships_with: &["ledger"],
        tests_with: &["settlement", "ledger", "migrations"],
    },
    Place {
        name: "jobs",
        ships_with: &["ledger", "settlement"],
        tests_with: &["jobs", "ledger", "settlement", "migrations"],
    },
    Place {
        name: "api",
        ships_with: &["ledger", "settlement", "jobs", "migrations"],
        tests_with: &["api", "ledger", "settlement", "jobs", "migrations"],
    },
    Place {
        name: "snapshots",
        ships_with: &[],
        tests_with: &["ledger", "settlement", "jobs", "api", "migrations"],
    },
];

fn is_member(name: &str) -> bool {
    CHAIN.iter().any(|place| place.name == name)
}

/// The members' manifests against the chain.
fn check_chain(manifests: &[Source]) -> Vec<Fault> {
    manifests.iter().flat_map(check_manifest).collect()
}

fn check_manifest(manifest: &Source) -> Vec<Fault> {
    let table: Table = manifest.text.parse().expect("a manifest is TOML");
    let name = manifest.crate_name();
    let Some(place) = CHAIN.iter().find(|place| place.name == name) else {
        return vec![manifest.fault(1, format_args!("`{name}` has no place in the chain"))];
    };
    let mut faults = Vec::new();
    for (section, used) in members_used(&table) {
        let allowed = if section == "dev-dependencies" {
            place.tests_with
        } else {
            place.ships_with
        };
        if !allowed.contains(&used.as_str()) {
            faults.push(manifest.fault(1, format_args!("`{name}` uses `{used}` in [{section}]")));
        }
    }
    faults
}

/// Every use of a member, with the section it stands in; also below `[target.…]`.
fn members_used(table: &Table) -> Vec<(&'static str, String)> {
    let mut used = Vec::new();
    for section in ["dependencies", "build-dependencies", "dev-dependencies"] {
        let rows = table.get(section).and_then(Value::as_table);
        for (key, value) in rows.into_iter().flatten() {
            let renamed = value.get("package").and_then(Value::as_str);
            let name = renamed.unwrap_or(key);
            if is_member(name) {
                used.push((section, name.to_owned()));
            }
        }
    }
    let targets = table.get("target").and_then(Value::as_table);
    for below in targets
        .into_iter()
        .flatten()
        .filter_map(|(_, value)| value.as_table())
    {
        used.extend(members_used(below));
    }
    used
}

#[test]
fn a_crate_uses_only_what_stands_to_its_left() {
    let is_manifest = |source: &Source| {
        source.path.ends_with("/Cargo.toml") && source.path.matches('/').count() == 1
    };
    let manifests: Vec<Source> = texts().into_iter().filter(is_manifest).collect();
    assert_eq!(
        manifests.len(),
        CHAIN.len(),
        "every crate of the chain has a manifest"
    );
    assert_tidy(&check_chain(&manifests));
}

#[test]
fn a_crate_that_reaches_to_its_right_is_found() {
    let plain = "[dependencies]\nserde = '1'\nsettlement = { path = '../settlement' }";
    let renamed = "[dependencies]\nmoney = { package = 'jobs', path = '../jobs' }";
    let hidden = "[target.'cfg(unix)'.dependencies]\napi = { path = '../api' }";
    let in_tests = "[dev-dependencies]\nmigrations.workspace = true\napi.workspace = true";
    let shipped = "[dependencies]\nmigrations.workspace = true";
    let faults = check_chain(&[
        Source::planted("ledger/Cargo.toml", plain),
        Source::planted("settlement/Cargo.toml", renamed),
        Source::planted("jobs/Cargo.toml", hidden),
        Source::planted("settlement/Cargo.toml", in_tests),
        Source::planted("ledger/Cargo.toml", shipped),
        Source::planted("newcomer/Cargo.toml", "[package]\nname = 'newcomer'"),
    ]);
    assert_found(
        &faults,
        &[
            "`ledger` uses `settlement`",
            "`settlement` uses `jobs`",
            "`jobs` uses `api`",
            "`settlement` uses `api` in [dev-dependencies]",
            "`ledger` uses `migrations` in [dependencies]",
            "`newcomer` has no place",
        ],
    );
}
