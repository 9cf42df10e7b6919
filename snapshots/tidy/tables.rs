//! A crate writes only its own Postgres schema, and every table is named with its schema.

use crate::migration;
use crate::rust::{Kind, Token, tokens};
use crate::sql::{Named, tables, words};
use crate::tree::{Fault, Source, assert_found, assert_tidy, migrations, rust_files};
use std::collections::BTreeSet;

/// The schemas of the product; each belongs to the crate of its name.
const SCHEMAS: &[&str] = &["ledger", "settlement", "jobs"];

/// Functions and macros of sqlx whose text is SQL, whatever it looks like.
const SQLX: &[&str] = &[
    "query",
    "query_as",
    "query_scalar",
    "query_with",
    "query_as_with",
    "query_scalar_with",
    "query_unchecked",
    "query_as_unchecked",
    "query_scalar_unchecked",
    "raw_sql",
    "execute",
    "execute_many",
    "fetch",
    "fetch_all",
    "fetch_one",
    "fetch_optional",
    "copy_in_raw",
    "copy_out_raw",
];

/// How a statement about tables starts.
const VERBS: &[&str] = &[
    "select", "insert", "update", "delete", "with", "merge", "truncate", "copy",
];

/// Files that may name a table without its schema, each with its reason.
const UNQUALIFIED: &[(&str, &str)] = &[
    (
        "api/src/cli/bench/import.rs",
        "a plain table to compare with, in a database thrown away",
    ),
    (
        "api/src/cli/bench/reference.rs",
        "pgbench names its tables like that",
    ),
];

/// The faults of one file of a crate's `src`; `doors` are the database functions that write.
fn check_sql(source: &Source, doors: &BTreeSet<String>) -> Vec<Fault> {
    let own = source.crate_name();
    let mut faults = Vec::new();
    for (line, text, in_query) in statements(&tokens(source)) {
        let words = words(&text);
        // A sentence may start with "select" too; SQL names a schema or stands in a query.
        let first = words.first().map_or("", |word| word.text.as_str());
        let names_schema = SCHEMAS
            .iter()
            .any(|schema| text.contains(&format!("{schema}.")));
        let excepted = UNQUALIFIED.iter().any(|(path, _)| *path == source.path);
        let is_sql = in_query || (VERBS.contains(&first) && (names_schema || text.contains('\n')));
        for named in tables(&words) {
            let at = line + named.line - 1;
            if let Some(what) = table_fault(&named, own, is_sql && !excepted) {
                faults.push(source.fault(at, what));
            }
        }
        for pair in words.windows(2) {
            let schema = pair[0].text.split('.').next().unwrap_or_default();
            if pair[1].text == "(" && schema != own && doors.contains(&pair[0].text) {
                let what = format_args!("`{}` writes and belongs to {schema}", pair[0].text);
                faults.push(source.fault(line + pair[0].line - 1, what));
            }
        }
    }
    faults
}

fn table_fault(named: &Named, own: &str, is_sql: bool) -> Option<String> {
    let table = &named.table;
    match named.schema() {
        Some("pg_temp" | "pg_catalog" | "information_schema") => None,
        Some(schema) if SCHEMAS.contains(&schema) => (named.written && schema != own)
            .then(|| format!("{own} writes `{table}`, which belongs to {schema}")),
        _ if !is_sql => None,
        Some(schema) => Some(format!("`{table}`: there is no schema `{schema}`")),
        None if table == "{}" => Some("a table's name is put together: write it out".to_owned()),
        None => Some(format!("`{table}` is named without its schema")),
    }
}

/// Every string of a file, with its first line and whether sqlx reads it. Strings joined by `+`
/// inside a query are one text.
fn statements(tokens: &[Token]) -> Vec<(usize, String, bool)> {
    let mut found: Vec<(usize, String, bool)> = Vec::new();
    let mut depth = 0_usize;
    let mut queries: Vec<usize> = Vec::new();
    let mut joined = false;
    for (at, token) in tokens.iter().enumerate() {
        match &token.kind {
            Kind::Sign('(' | '[' | '{', _) => {
                depth += 1;
                if opens_query(tokens, at) {
                    queries.push(depth);
                }
            }
            Kind::Sign(')' | ']' | '}', _) => {
                if queries.last() == Some(&depth) {
                    queries.pop();
                }
                depth = depth.saturating_sub(1);
            }
            Kind::Text(text) => match found.last_mut() {
                Some(last) if joined => last.1.push_str(text),
                _ => found.push((token.line, text.clone(), !queries.is_empty())),
            },
            _ => {}
        }
        joined = token.is_sign('+') && !queries.is_empty();
    }
    found
}

/// `query!(`, `sqlx::query_as::<_, Row>(`, `.execute(`.
fn opens_query(tokens: &[Token], open: usize) -> bool {
    let mut at = open;
    if at > 0 && tokens[at - 1].is_sign('>') {
        at = tokens[..at]
            .iter()
            .rposition(|token| token.is_sign('<'))
            .unwrap_or(0);
    }
    while at > 0 && (tokens[at - 1].is_sign('!') || tokens[at - 1].is_sign(':')) {
        at -= 1;
    }
    at > 0 && SQLX.iter().any(|name| tokens[at - 1].is_ident(name))
}

fn shipped(source: &Source) -> bool {
    let crates = ["ledger", "settlement", "jobs", "api"];
    crates.contains(&source.crate_name()) && source.path.split('/').nth(1) == Some("src")
}

#[test]
fn a_crate_writes_only_its_own_schema_and_names_every_table_with_its_schema() {
    let doors: BTreeSet<String> = migrations().iter().flat_map(migration::writers).collect();
    assert!(
        doors.contains("ledger.post"),
        "the one door is a function that writes: {doors:?}"
    );
    let sources: Vec<Source> = rust_files().into_iter().filter(shipped).collect();
    let seen = |source: &Source| {
        let texts = statements(&tokens(source));
        texts
            .iter()
            .map(|(_, text, _)| tables(&words(text)).len())
            .sum::<usize>()
    };
    assert!(
        sources.iter().map(seen).sum::<usize>() > 50,
        "the product's SQL is seen"
    );
    let check = |source: &Source| check_sql(source, &doors);
    for (path, reason) in UNQUALIFIED {
        let source = sources.iter().find(|source| source.path == *path);
        let mut source = source
            .unwrap_or_else(|| unreachable!("{path} is gone"))
            .clone();
        // Under another name the file is judged like any other.
        source.path.push_str(".rs");
        assert!(
            !check(&source).is_empty() && reason.len() > 10,
            "{path} needs no exception"
        );
    }
    assert_tidy(&sources.iter().flat_map(check).collect::<Vec<_>>());
}

#[test]
fn a_crate_that_writes_another_schema_is_found() {
    let doors = BTreeSet::from(["ledger.post".to_owned()]);
    let text = r##"
        async fn f(conn: &mut PgConnection) {
            query!("update ledger.book set name = $1", "x").execute(conn).await?;
            sqlx::query_as::<_, Row>("with gone as (delete from jobs.job returning 1) select 1");
            query_scalar!(
                r#"
                select number
                from ledger.post($1)
                "#
            );
            query!("insert into " + "ledger.line (book_id) select 1");
            query!("insert into settlement.click (id) select id from ledger.book");
        }
        const LATER: &str = "truncate ledger.entry";
    "##;
    let faults = check_sql(&Source::planted("settlement/src/a.rs", text), &doors);
    assert_found(
        &faults,
        &[
            ":3: settlement writes `ledger.book`",
            ":4: settlement writes `jobs.job`",
            ":8: `ledger.post` writes and belongs to ledger",
            ":11: settlement writes `ledger.line`",
            ":14: settlement writes `ledger.entry`",
        ],
    );
    let faults = check_sql(&Source::planted("ledger/src/a.rs", text), &doors);
    assert_found(&faults, &["`jobs.job`", "`settlement.click`"]);
}

#[test]
fn a_table_without_its_schema_is_found() {
    let text = r#"
        fn f() {
            query!("select id from conversion");
            query!("select a.id from ledger.book a, conversion b");
            sqlx::query(&format!("delete from {table}"));
            conn.execute("update public.click set id = 1");
            say("select a brand from the list");
            refuse("cannot update from a closed book");
        }
    "#;
    let source = Source::planted("settlement/src/a.rs", text);
    assert_found(
        &check_sql(&source, &BTreeSet::new()),
        &[
            ":3: `conversion` is named without",
            ":4: `conversion` is named without",
            ":5: a table's name is put together",
            ":6: `public.click`: there is no schema",
        ],
    );
}
