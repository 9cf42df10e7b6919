//! SQL read as words, enough of it to say which tables a statement reads and which it writes.
//! It is no parser: what it cannot tell it leaves alone.

use std::collections::BTreeSet;

/// One word, name (with its schema) or sign of a statement, in lower case, and its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// A table as a statement names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) table: String,
    pub(crate) line: usize,
    pub(crate) written: bool,
}

impl Named {
    pub(crate) fn schema(&self) -> Option<&str> {
        self.table.split_once('.').map(|(schema, _)| schema)
    }
}

/// The words of a text: names keep their dots, comments are gone, a quoted string is one `'`
/// and so is a function body between dollar signs.
pub(crate) fn words(text: &str) -> Vec<Word> {
    let chars: Vec<char> = text.chars().collect();
    let mut words = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let start = at;
        let (word, end) = read(&chars, at);
        at = end.min(chars.len());
        if let Some(text) = word {
            words.push(Word { text, line });
        }
        line += chars[start..at]
            .iter()
            .filter(|sign| **sign == '\n')
            .count();
    }
    words
}

/// What stands at `at` (nothing for a space or comment), and where the next thing starts.
fn read(chars: &[char], at: usize) -> (Option<String>, usize) {
    let next = chars.get(at + 1).copied().unwrap_or(' ');
    match chars[at] {
        sign if sign.is_whitespace() => (None, at + 1),
        '-' if next == '-' => (None, find(chars, at, &['\n'])),
        '/' if next == '*' => (None, find(chars, at + 2, &['*', '/']) + 2),
        '\'' => (Some("'".to_owned()), find(chars, at + 1, &['\'']) + 1),
        '$' if next == '$' || next.is_alphabetic() => {
            let tag_end = find(chars, at + 1, &['$']) + 1;
            let tag = &chars[at..tag_end.min(chars.len())];
            (Some("'".to_owned()), find(chars, tag_end, tag) + tag.len())
        }
        '{' => (Some("{}".to_owned()), find(chars, at, &['}']) + 1),
        sign if is_name(sign) || sign == '"' => {
            let end = (at..chars.len())
                .find(|&at| !in_name(chars[at]))
                .unwrap_or(chars.len());
            let name: String = chars[at..end].iter().filter(|sign| **sign != '"').collect();
            (Some(name.to_lowercase()), end)
        }
        sign => (Some(sign.to_string()), at + 1),
    }
}

fn is_name(sign: char) -> bool {
    sign.is_alphanumeric() || sign == '_'
}

fn in_name(sign: char) -> bool {
    is_name(sign) || matches!(sign, '.' | '"' | '$')
}

/// Where `what` starts, from `at` on; the end of the text when it does not occur.
fn find(chars: &[char], at: usize, what: &[char]) -> usize {
    let from = at.min(chars.len());
    let found = chars[from..]
        .windows(what.len())
        .position(|window| window == what);
    found.map_or(chars.len(), |found| from + found)
}

/// Words that end a list of tables.
const AFTER_TABLES: &[&str] = &[
    "where",
    "group",
    "order",
    "having",
    "limit",
    "offset",
    "union",
    "except",
    "intersect",
    "returning",
    "window",
    "for",
    "fetch",
    "on",
    "set",
    "when",
    ";",
];

/// Functions whose arguments hold a `from` that names no table.
const FROM_IS_NO_TABLE: &[&str] = &["extract", "substring", "trim", "overlay"];

/// The tables that a text names, in order. Names made by `with` are left out, and so are
/// functions and Postgres's own catalogue.
pub(crate) fn tables(words: &[Word]) -> Vec<Named> {
    let made = made_here(words);
    let mut found = Vec::new();
    let mut lists: Vec<bool> = vec![false];
    let mut calls: Vec<bool> = vec![false];
    let text = |at: usize| words.get(at).map_or("", |word| word.text.as_str());
    for (at, word) in words.iter().enumerate() {
        let before = if at == 0 { "" } else { text(at - 1) };
        let in_list = lists.last().copied().unwrap_or(false);
        let mut name_at = None;
        let mut written = false;
        match word.text.as_str() {
            "(" => {
                lists.push(false);
                calls.push(FROM_IS_NO_TABLE.contains(&before));
                continue;
            }
            ")" => {
                lists.pop();
                calls.pop();
                continue;
            }
            "," if in_list => name_at = Some(at + 1),
            "from" if before == "delete" => (name_at, written) = (Some(at + 1), true),
            "from" if calls.last() == Some(&true) || before == "distinct" => {}
            "from" | "join" => name_at = Some(at + 1),
            "using" if text(at + 1) != "(" => name_at = Some(at + 1),
            "into" if matches!(before, "insert" | "merge") => {
                (name_at, written) = (Some(at + 1), true);
            }
            "update" if !is_clause(before) => (name_at, written) = (Some(at + 1), true),
            "truncate" if text(at + 1) == "table" => (name_at, written) = (Some(at + 2), true),
            "truncate" => (name_at, written) = (Some(at + 1), true),
            "copy" => (name_at, written) = (Some(at + 1), !is_copied_out(words, at + 1)),
            word if AFTER_TABLES.contains(&word) => set_last(&mut lists, false),
            _ => {}
        }
        if let Some(mut name_at) = name_at {
            set_last(&mut lists, !written && word.text != "join");
            while matches!(text(name_at), "only" | "lateral") {
                name_at += 1;
            }
            // `copy t (a, b) from stdin`, `insert into t (a)`: the bracket after makes no function.
            let called = text(name_at + 1) == "(" && !written && word.text != "copy";
            let name = text(name_at);
            if is_table(name) && !called && (written || !made.contains(name)) {
                let line = words[name_at].line;
                found.push(Named {
                    table: name.to_owned(),
                    line,
                    written,
                });
            }
        }
    }
    found
}

/// `copy x to …` and `copy x (a, b) to …` only read.
fn is_copied_out(words: &[Word], table: usize) -> bool {
    let mut after = words.iter().skip(table + 1).map(|word| word.text.as_str());
    match after.next() {
        Some("(") => after.skip_while(|word| *word != ")").nth(1) == Some("to"),
        word => word == Some("to"),
    }
}

/// `for update`, `on conflict do update`, `on update cascade`, `before insert or update of x`.
fn is_clause(before: &str) -> bool {
    matches!(
        before,
        "for" | "key" | "do" | "on" | "or" | "before" | "after" | "," | "then"
    )
}

fn set_last(lists: &mut [bool], value: bool) {
    if let Some(last) = lists.last_mut() {
        *last = value;
    }
}

fn is_table(name: &str) -> bool {
    let starts = name
        .chars()
        .next()
        .is_some_and(|sign| sign.is_alphabetic() || sign == '_');
    let dynamic = name == "{}";
    (starts && !name.starts_with("pg_") && !is_reserved(name)) || dynamic
}

/// Words that may follow `from` or a comma without being a table.
fn is_reserved(name: &str) -> bool {
    matches!(
        name,
        "select" | "values" | "stdin" | "stdout" | "rows" | "program" | "table"
    )
}

/// Names that the text itself makes: `with x as (`, `with x (a, b) as materialized (`.
fn made_here(words: &[Word]) -> BTreeSet<String> {
    let text = |at: usize| words.get(at).map_or("", |word| word.text.as_str());
    let mut made = BTreeSet::new();
    for at in 1..words.len() {
        let mut body = at + 1;
        if text(body) == "not" {
            body += 1;
        }
        if text(body) == "materialized" {
            body += 1;
        }
        if text(at) != "as" || text(body) != "(" {
            continue;
        }
        let mut name = at - 1;
        if text(name) == ")" {
            name = (0..name)
                .rev()
                .find(|&at| text(at) == "(")
                .unwrap_or(0)
                .saturating_sub(1);
        }
        made.insert(text(name).to_owned());
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sql: &str, expected: &str) {
        let found: Vec<String> = tables(&words(sql))
            .iter()
            .map(|named| format!("{}{}", named.table, if named.written { "!" } else { "" }))
            .collect();
        assert_eq!(found.join(" "), expected, "{sql}");
    }

    #[test]
    fn reads_and_writes_are_told_apart() {
        check(
            "select a, b from ledger.entry e join ledger.line l using (book_id)",
            "ledger.entry ledger.line",
        );
        check(
            "insert into ledger.entry (a, b) select x, y from staging",
            "ledger.entry! staging",
        );
        check(
            "update settlement.click set a = 1 from ledger.book b where true",
            "settlement.click! ledger.book",
        );
        check(
            "delete from only jobs.job using jobs.lock l where l.id = 1",
            "jobs.job! jobs.lock",
        );
        check(
            "copy ledger.entry to stdout; copy a.b (c, d) to stdout",
            "ledger.entry a.b",
        );
        check(
            "copy settlement.click (a, b) from stdin (format binary)",
            "settlement.click!",
        );
        check(
            "truncate table jobs.job; merge into a.b using c.d on true",
            "jobs.job! a.b! c.d",
        );
        check(
            "with gone as (delete from ledger.line returning 1) select from gone",
            "ledger.line!",
        );
    }

    #[test]
    fn names_made_in_the_statement_are_no_tables() {
        check(
            "with a as (select 1), b (x) as materialized (select 2) select * from a, b",
            "",
        );
        check(
            "select * from unnest($1::bigint[], $2::text[]) as t (a, b), ledger.book",
            "ledger.book",
        );
        check(
            "select * from (values (1)) v, lateral (select 1) w, generate_series(1, 2) g",
            "",
        );
        check(
            "select extract(epoch from at), a is distinct from b from jobs.job",
            "jobs.job",
        );
        check("select 1 from pg_class, pg_catalog.pg_proc", "");
    }

    #[test]
    fn clauses_are_no_writes() {
        check(
            "select id from ledger.book order by id for no key update",
            "ledger.book",
        );
        check(
            "select id from ledger.book for update of book skip locked",
            "ledger.book",
        );
        check(
            "insert into jobs.job (a) values (1) on conflict (a) do update set a = 2",
            "jobs.job!",
        );
        check(
            "select 'insert into x', 1 -- update y\n from /* z */ a.b",
            "a.b",
        );
    }

    #[test]
    fn lines_are_counted_through_strings_and_comments() {
        let words = words("a /* \n */ 'x\ny'\n$body$ \n $body$ b");
        let last = words.last().map(|word| (word.text.as_str(), word.line));
        assert_eq!(last, Some(("b", 5)));
    }

    #[test]
    fn a_text_that_ends_inside_something_still_ends() {
        for text in [
            "'open", "/* open", "$$ open", "$tag", "{open", "-- open", "\"open", "$",
        ] {
            words(text);
        }
    }
}
