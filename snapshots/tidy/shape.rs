//! What the code looks like: sizes, and words that never stand in it.

use crate::rust::{Kind, Token, syntax, tokens};
use crate::tree::{Fault, Source, assert_found, assert_tidy, rust_files};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

const FILE_LINES: usize = 400;
/// Tests are tables and stories; they may run longer.
const TEST_FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 70;
/// A test that walks a table of cases is read from top to bottom.
const TEST_FUNCTION_LINES: usize = 90;
const COLUMNS: usize = 100;

/// Files that may break a rule, each with its reason.
type Exceptions = &'static [(&'static str, &'static str)];

const FLOATS: Exceptions = &[
    (
        "settlement/src/commission/tests.rs",
        "a rate given as a JSON number is refused",
    ),
    (
        "settlement/tests/it/facts.rs",
        "how likely a generated case is",
    ),
];

const IGNORED: Exceptions = &[
    (
        "ledger/tests/it/kill.rs",
        "holds the process that the tests beside it start and kill",
    ),
    (
        "migrations/tests/it/child.rs",
        "holds the processes that other tests start and kill",
    ),
];

fn is_excepted(source: &Source, exceptions: Exceptions) -> bool {
    exceptions.iter().any(|(path, _)| *path == source.path)
}

fn is_test(source: &Source) -> bool {
    let folder = source.path.split('/').nth(1).unwrap_or_default();
    matches!(folder, "tests" | "benches") || source.path.starts_with("snapshots/")
}

fn check_file_size(source: &Source) -> Vec<Fault> {
    let most = if is_test(source) {
        TEST_FILE_LINES
    } else {
        FILE_LINES
    };
    let lines = source.text.lines().count();
    let too_long = lines > most;
    let fault = || {
        source.fault(
            lines,
            format_args!("{lines} lines; a file has at most {most}"),
        )
    };
    too_long.then(fault).into_iter().collect()
}

fn check_columns(source: &Source) -> Vec<Fault> {
    let too_wide = |(at, line): (usize, &str)| {
        let columns = line.chars().count();
        let what = format!("{columns} columns; a line has at most {COLUMNS}");
        (columns > COLUMNS).then(|| source.fault(at + 1, what))
    };
    source
        .text
        .lines()
        .enumerate()
        .filter_map(too_wide)
        .collect()
}

/// Functions with their attributes and documentation left out.
struct Functions<'a> {
    source: &'a Source,
    faults: Vec<Fault>,
}

impl Functions<'_> {
    fn check(&mut self, sig: &syn::Signature, block: &syn::Block) {
        let first = sig.span().start().line;
        let last = block.span().end().line;
        let lines = last - first + 1 - statement_lines(&self.source.text, first, last);
        let most = if is_test(self.source) {
            TEST_FUNCTION_LINES
        } else {
            FUNCTION_LINES
        };
        if lines > most {
            let what = format!("`{}` has {lines} lines of {most}", sig.ident);
            self.faults.push(self.source.fault(first, what));
        }
    }
}

/// The lines between `r#"` and `"#`: a statement is read as a whole and does not make its function
/// harder to follow.
fn statement_lines(text: &str, first: usize, last: usize) -> usize {
    let mut inside = false;
    let mut counted = 0;
    for line in text.lines().take(last).skip(first - 1) {
        let closes = inside && line.contains("\"#");
        counted += usize::from(inside && !closes);
        inside = if inside {
            !closes
        } else {
            line.rsplit_once("r#\"")
                .is_some_and(|(_, rest)| !rest.contains("\"#"))
        };
    }
    counted
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.check(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.check(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.check(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

fn check_functions(source: &Source) -> Vec<Fault> {
    let mut functions = Functions {
        source,
        faults: Vec::new(),
    };
    functions.visit_file(&syntax(source));
    functions.faults
}

fn check_floats(source: &Source) -> Vec<Fault> {
    if is_excepted(source, FLOATS) {
        return Vec::new();
    }
    let is_float =
        |token: &Token| token.kind == Kind::Float || token.is_ident("f32") || token.is_ident("f64");
    let fault = |token: &Token| source.fault(token.line, "a float; money and shares are decimals");
    tokens(source)
        .iter()
        .filter(|token| is_float(token))
        .map(fault)
        .collect()
}

/// Unfinished work, tests that do not run, and exceptions without a reason.
fn check_promises(source: &Source) -> Vec<Fault> {
    let mut faults = Vec::new();
    let tokens = tokens(source);
    for (at, token) in tokens.iter().enumerate() {
        let next = |sign: char| tokens.get(at + 1).is_some_and(|token| token.is_sign(sign));
        let opens_attribute = at > 1 && tokens[at - 1].is_sign('[') && is_hash(&tokens, at - 2);
        match &token.kind {
            Kind::Ident(name) if matches!(name.as_str(), "todo" | "unimplemented") && next('!') => {
                faults.push(source.fault(token.line, format_args!("`{name}!` is unfinished work")));
            }
            Kind::Ident(name)
                if name == "ignore" && opens_attribute && !is_excepted(source, IGNORED) =>
            {
                faults.push(source.fault(token.line, "an ignored test proves nothing"));
            }
            Kind::Ident(name)
                if matches!(name.as_str(), "expect" | "allow")
                    && opens_attribute
                    && !has_reason(&tokens[at..]) =>
            {
                faults.push(source.fault(token.line, format_args!("`#[{name}]` has no reason")));
            }
            _ => {}
        }
    }
    let marker = concat!("FIX", "ME");
    for (at, line) in source.text.lines().enumerate() {
        if line.contains(marker) {
            faults.push(source.fault(at + 1, format_args!("{marker}: do it or file it")));
        }
    }
    faults
}

/// `#[` or `#![`.
fn is_hash(tokens: &[Token], at: usize) -> bool {
    tokens[at].is_sign('#') || (at > 0 && tokens[at].is_sign('!') && tokens[at - 1].is_sign('#'))
}

/// Does the attribute that starts here say `reason = "…"` before it closes?
fn has_reason(attribute: &[Token]) -> bool {
    let inside = attribute.iter().take_while(|token| !token.is_sign(']'));
    inside.into_iter().any(|token| token.is_ident("reason"))
}

fn check_all(check: impl Fn(&Source) -> Vec<Fault>) {
    assert_tidy(&rust_files().iter().flat_map(check).collect::<Vec<_>>());
}

#[test]
fn files_are_short_enough_to_read() {
    check_all(check_file_size);
}

#[test]
fn functions_fit_on_a_screen() {
    check_all(check_functions);
}

#[test]
fn lines_fit_beside_each_other() {
    check_all(check_columns);
}

#[test]
fn no_float_comes_near_money() {
    check_all(check_floats);
}

#[test]
fn nothing_is_left_unfinished_or_unexplained() {
    check_all(check_promises);
}

#[test]
fn a_file_that_is_too_long_is_found() {
    let long = "\n".repeat(FILE_LINES + 1);
    let planted = |path: &str| check_file_size(&Source::planted(path, &long));
    assert_found(&planted("ledger/src/journal.rs"), &["401 lines"]);
    assert_found(&planted("ledger/tests/it/journal.rs"), &[]);
    let longer = "\n".repeat(TEST_FILE_LINES + 1);
    let planted = check_file_size(&Source::planted("ledger/tests/it/journal.rs", &longer));
    assert_found(&planted, &["601 lines"]);
}

#[test]
fn a_line_that_is_too_wide_is_found() {
    let text = format!("fn a() {{}}\n// {}\n// {}", "ö".repeat(97), "ö".repeat(98));
    let faults = check_columns(&Source::planted("ledger/src/a.rs", &text));
    assert_found(&faults, &[":3: 101 columns"]);
}

#[test]
fn a_function_that_is_too_long_is_found() {
    let body = "    f();\n".repeat(FUNCTION_LINES - 2);
    let fits = format!("/// Long\n/// words.\n#[must_use]\nfn fits() {{\n{body}}}\n");
    let grown = format!("trait T {{ fn grown() {{\n{body}g();}}\n}}\n{fits}");
    let method = format!("impl T {{ fn method() {{\n{body}\n}}\n}}\n{grown}");
    assert_found(&check_functions(&Source::planted("a/src/a.rs", &fits)), &[]);
    let faults = check_functions(&Source::planted(
        "a/src/a.rs",
        &method.replace("g();}", "g();\n}"),
    ));
    assert_found(&faults, &["`method` has 71 lines", "`grown` has 71 lines"]);
}

#[test]
fn a_float_is_found() {
    let text = "/// f64 in prose\nfn f(rate: f64) -> &'static str {\n g(1.5);\n \"1.5\"\n}";
    let faults = check_floats(&Source::planted("ledger/src/money.rs", text));
    assert_found(&faults, &[":2: a float", ":3: a float"]);
}

#[test]
fn unfinished_and_unexplained_things_are_found() {
    let text = "#![allow(dead_code)]
        #[expect(unused, reason = \"shown\")] fn a() { todo!() }
        #[expect(unused)] fn b() { unimplemented!(\"x\") }
        #[test] #[ignore = \"slow\"] fn c() { x.expect(\"why\"); ignore[1] }
        // MARK: do it later"
        .replace("MARK", concat!("FIX", "ME"));
    let faults = check_promises(&Source::planted("ledger/src/a.rs", &text));
    assert_found(
        &faults,
        &[
            ":1: `#[allow]` has no reason",
            ":2: `todo!`",
            ":3: `#[expect]` has no reason",
            ":3: `unimplemented!`",
            ":4: an ignored test",
            ":5: FIX",
        ],
    );
}

#[test]
fn every_exception_is_still_needed_and_has_a_reason() {
    let files = rust_files();
    let find = |path: &str| files.iter().find(|source| source.path == path).cloned();
    for (path, reason) in FLOATS.iter().chain(IGNORED) {
        assert!(reason.len() > 10, "{path} has no reason");
        // Under another name the file is judged like any other.
        let mut source = find(path).unwrap_or_else(|| unreachable!("{path} is gone"));
        source.path.insert_str(0, "judged/");
        let faults = [check_floats(&source), check_promises(&source)].concat();
        assert!(!faults.is_empty(), "{path} needs no exception any more");
    }
}
