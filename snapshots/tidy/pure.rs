//! What a layer never does: rules that are pure touch neither a database nor a runtime, and the
//! two inner crates never decide where a database transaction begins or ends.

use crate::rust::{Kind, Token, tokens};
use crate::tree::{Fault, Source, assert_found, assert_tidy, rust_files};

/// Files that are pure whether they say so or not. A folder ends in `/`.
const PURE: &[&str] = &[
    "ledger/src/money.rs",
    "ledger/src/money/",
    "ledger/src/entry.rs",
    "ledger/src/entry/",
    "ledger/src/idempotency.rs",
    "settlement/src/fees.rs",
    "settlement/src/fees/",
    "settlement/src/commission.rs",
    "settlement/src/commission/",
    "settlement/src/posting.rs",
    "settlement/src/posting/",
];

/// Crates whose mention means input, output or waiting.
const IMPURE: &[&str] = &["sqlx", "tokio"];

/// A file may also declare itself: the first line of its module documentation says `Pure:`.
fn is_pure(source: &Source) -> bool {
    let listed = |place: &&str| match place.strip_suffix('/') {
        Some(_) => source.path.starts_with(*place),
        None => source.path == **place,
    };
    let declared = source.text.lines().next().is_some_and(|line| {
        line.starts_with("//!") && (line.contains("Pure:") || line.trim_end().ends_with("Pure."))
    });
    declared || PURE.iter().any(listed)
}

fn check_pure(source: &Source) -> Vec<Fault> {
    let mut faults = Vec::new();
    for token in tokens(source) {
        if let Kind::Ident(name) = &token.kind
            && IMPURE.contains(&name.as_str())
        {
            faults.push(source.fault(token.line, format_args!("a pure file uses `{name}`")));
        }
    }
    faults
}

/// Methods that begin or end a database transaction, and the same in SQL.
const BOUNDARIES: &[&str] = &["begin", "begin_with", "commit", "rollback"];
const BOUNDARY_SQL: &[&str] = &["begin", "start", "commit", "rollback", "savepoint", "abort"];
/// With a pool a function could open a second transaction beside its caller's.
const POOLS: &[&str] = &["PgPool", "PgPoolOptions", "Pool"];

fn is_inner(source: &Source) -> bool {
    source.path.starts_with("ledger/src/") || source.path.starts_with("settlement/src/")
}

fn check_boundaries(source: &Source) -> Vec<Fault> {
    let tokens = tokens(source);
    let mut faults = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match &token.kind {
            Kind::Ident(name) if is_boundary(name, &tokens, at) => {
                let what = format_args!("`{name}` belongs to the caller, who owns the transaction");
                faults.push(source.fault(token.line, what));
            }
            Kind::Ident(name) if POOLS.contains(&name.as_str()) => {
                faults.push(source.fault(token.line, format_args!("`{name}`: take a connection")));
            }
            Kind::Text(text) if is_boundary_sql(text) => {
                let what = format_args!("`{text}` belongs to the caller");
                faults.push(source.fault(token.line, what));
            }
            _ => {}
        }
    }
    faults
}

/// `.begin()` or `::begin(…)`: sqlx's take nothing but the connection. A function or a field of
/// ours may bear the name.
fn is_boundary(name: &str, tokens: &[Token], at: usize) -> bool {
    let next = |step: usize, sign: char| {
        tokens
            .get(at + step)
            .is_some_and(|token| token.is_sign(sign))
    };
    let method = at > 0 && tokens[at - 1].is_sign('.') && next(1, '(');
    let bare = next(2, ')') || name == "begin_with";
    let path = at > 0 && tokens[at - 1].is_sign(':') && next(1, '(');
    BOUNDARIES.contains(&name) && ((method && bare) || path)
}

fn is_boundary_sql(text: &str) -> bool {
    let text = text.trim().trim_end_matches(';').to_ascii_lowercase();
    let mut words = text.split_whitespace();
    let first = words.next().unwrap_or_default();
    // `savepoint x`, `start transaction`: short statements, never a sentence.
    BOUNDARY_SQL.contains(&first)
        && (words.clone().count() == 0
            || words
                .next()
                .is_some_and(|word| matches!(word, "transaction" | "work" | "to"))
            || (first == "savepoint" && text.split_whitespace().count() == 2))
}

#[test]
fn pure_files_know_neither_the_database_nor_the_runtime() {
    let pure: Vec<Source> = rust_files().into_iter().filter(is_pure).collect();
    assert_tidy(&pure.iter().flat_map(check_pure).collect::<Vec<_>>());
}

#[test]
fn a_pure_file_that_reaches_for_the_database_is_found() {
    let imports = "//! Pure: rules.\nuse sqlx::PgConnection;\nfn f() { ::tokio::spawn(x) }";
    let derives = "//! Money. It never talks to sqlx.\n#[derive(sqlx::Type)]\nstruct Money;";
    let declared = Source::planted("settlement/src/any.rs", imports);
    let listed = Source::planted("ledger/src/money/currency.rs", derives);
    let free = Source::planted(
        "ledger/src/journal.rs",
        imports.trim_start_matches("//! Pure: "),
    );
    assert!(is_pure(&declared) && is_pure(&listed) && !is_pure(&free));
    assert_found(
        &check_pure(&declared),
        &[":2: a pure file uses `sqlx`", ":3: a pure file"],
    );
    assert_found(&check_pure(&listed), &[":2: a pure file uses `sqlx`"]);
}

#[test]
fn the_caller_owns_the_database_transaction() {
    let inner: Vec<Source> = rust_files().into_iter().filter(is_inner).collect();
    assert!(!inner.is_empty(), "the inner crates have files");
    assert_tidy(&inner.iter().flat_map(check_boundaries).collect::<Vec<_>>());
}

#[test]
fn a_transaction_begun_inside_is_found() {
    let text = "async fn f(pool: &PgPool, conn: &mut PgConnection) {
        let mut tx = conn.begin().await?;
        sqlx::query(\"savepoint before\").execute(&mut *tx).await?;
        tx.commit().await?;
        Connection::begin(conn);
        sqlx::query(\"rollback to savepoint before\");
    }
    fn commit() { let begin = 1; dialect.begin(out); say(\"begin at the beginning\") }";
    let source = Source::planted("ledger/src/journal.rs", text);
    assert!(is_inner(&source));
    assert_found(
        &check_boundaries(&source),
        &[
            "`PgPool`",
            "`begin`",
            "`savepoint before`",
            "`commit`",
            "`begin`",
            "`rollback to",
        ],
    );
}
