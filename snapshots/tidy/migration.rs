//! The migrations as text: what a catalogue does not remember is read here.

use crate::sql::{Word, words};
use crate::tree::{Fault, Source, assert_found, assert_tidy, migrations};

/// The database functions a migration makes that may write: neither stable nor immutable, and no
/// trigger, which nobody calls.
pub(crate) fn writers(migration: &Source) -> Vec<String> {
    let words = words(&migration.text);
    let mut found = Vec::new();
    for statement in words.split(|word| word.text == ";") {
        let is = |word: &str| statement.iter().any(|other| other.text == word);
        let made = statement.iter().position(|word| {
            matches!(word.text.as_str(), "function" | "procedure") && word.line > 0
        });
        if statement.first().is_some_and(|word| word.text == "create")
            && let Some(made) = made
            && !is("immutable")
            && !is("stable")
            && !is("trigger")
            && let Some(name) = statement.get(made + 1)
        {
            found.push(name.text.clone());
        }
    }
    found
}

/// Constraints are named, because names are what errors and the rules of a domain refer to.
fn check_names(migration: &Source) -> Vec<Fault> {
    let words = words(&migration.text);
    let mut faults = Vec::new();
    for statement in words.split(|word| word.text == ";") {
        let text = |at: usize| {
            statement
                .get(at)
                .map_or("", |word: &Word| word.text.as_str())
        };
        if !matches!(
            (text(0), text(1)),
            ("create", "table" | "domain") | ("alter", "table")
        ) {
            continue;
        }
        for (at, word) in statement.iter().enumerate() {
            let named = at >= 2 && text(at - 2) == "constraint";
            let next = text(at + 1);
            let makes_one = match word.text.as_str() {
                "primary" | "foreign" => next == "key",
                "unique" | "check" => next == "(" || next == "," || next == ")" || next == "nulls",
                "exclude" => next == "using" || next == "(",
                // `foreign key (a, b) references …` has its name before; a column's own has not.
                "references" => !closes_foreign_key(statement, at),
                _ => false,
            };
            if makes_one && !named {
                let what = format_args!("`{}` makes a constraint without a name", word.text);
                faults.push(migration.fault(word.line, what));
            }
        }
    }
    faults
}

/// Is `references` the second half of `foreign key (…) references`?
fn closes_foreign_key(statement: &[Word], at: usize) -> bool {
    let open = statement[..at].iter().rposition(|word| word.text == "(");
    let closes = at > 0 && statement[at - 1].text == ")";
    closes && open.is_some_and(|open| open > 0 && statement[open - 1].text == "key")
}

#[test]
fn every_constraint_is_named() {
    let migrations = migrations();
    assert!(!migrations.is_empty(), "there are migrations");
    assert_tidy(&migrations.iter().flat_map(check_names).collect::<Vec<_>>());
}

#[test]
fn a_constraint_without_a_name_is_found() {
    let text = "create table a.b (
        id bigint primary key,
        c int constraint c_fk references a.c (id) check (c > 0),
        d int references a.d,
        e int unique,
        constraint b_e_once unique nulls not distinct (e),
        constraint b_fk foreign key (c, d) references a.e (c, d),
        foreign key (d) references a.d,
        constraint b_sane check (d > 0 and (e > 1))
    );
    alter table a.b add unique (d);
    create unique index x on a.b (e); -- primary key (x)
    create function a.f() returns int language sql return (select 1);";
    assert_found(
        &check_names(&Source::planted("migrations/1.sql", text)),
        &[
            ":2: `primary`",
            ":3: `check`",
            ":4: `references`",
            ":5: `unique`",
            ":8: `foreign`",
            ":11: `unique`",
        ],
    );
}

#[test]
fn functions_that_write_are_told_from_those_that_read() {
    let text = "create function a.reads(x int) returns int language sql stable as $$ select 1; $$;
        create or replace function a.writes(x int) returns int language plpgsql
            security definer as $body$ begin insert into a.b values (1); end $body$;
        create function a.guards() returns trigger language plpgsql as $$ begin end $$;
        create procedure a.moves() language sql as $$ delete from a.b; $$;
        grant execute on function a.writes to b;";
    let migration = Source::planted("migrations/1.sql", text);
    assert_eq!(writers(&migration), ["a.writes", "a.moves"]);
}
