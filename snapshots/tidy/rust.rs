//! Rust read as tokens. Comments are gone by then and strings are values, so a rule about code
//! cannot trip over prose.

use crate::tree::Source;
use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use syn::Lit;

/// One token, flat: groups give their opening and closing sign like any other punctuation.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) line: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Ident(String),
    /// A sign; `true` when the next one is glued to it, as in `::`.
    Sign(char, bool),
    /// The value of a string literal.
    Text(String),
    Float,
    /// Any other literal.
    Literal,
}

impl Token {
    pub(crate) fn is_ident(&self, name: &str) -> bool {
        matches!(&self.kind, Kind::Ident(ident) if ident == name)
    }

    pub(crate) fn is_sign(&self, sign: char) -> bool {
        matches!(&self.kind, Kind::Sign(other, _) if *other == sign)
    }
}

/// The tokens of a file, doc comments left out.
pub(crate) fn tokens(source: &Source) -> Vec<Token> {
    let stream: TokenStream = match source.text.parse() {
        Ok(stream) => stream,
        Err(error) => unreachable!("{} is not Rust: {error}", source.path),
    };
    let mut flat = Vec::new();
    flatten(stream, &mut flat);
    flat
}

/// The file as syn sees it.
pub(crate) fn syntax(source: &Source) -> syn::File {
    match syn::parse_file(&source.text) {
        Ok(file) => file,
        Err(error) => unreachable!("{} is not Rust: {error}", source.path),
    }
}

fn flatten(stream: TokenStream, flat: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = signs(group.delimiter());
                let end = group.span_close().start().line;
                flat.push(Token {
                    kind: Kind::Sign(open, false),
                    line,
                });
                if !is_doc(&group) {
                    flatten(group.stream(), flat);
                }
                flat.push(Token {
                    kind: Kind::Sign(close, false),
                    line: end,
                });
            }
            TokenTree::Ident(ident) => {
                flat.push(Token {
                    kind: Kind::Ident(ident.to_string()),
                    line,
                });
            }
            TokenTree::Punct(punct) => {
                let glued = punct.spacing() == Spacing::Joint;
                flat.push(Token {
                    kind: Kind::Sign(punct.as_char(), glued),
                    line,
                });
            }
            TokenTree::Literal(literal) => {
                flat.push(Token {
                    kind: literal_kind(literal),
                    line,
                });
            }
        }
    }
}

/// `[doc = "…"]`, which is what a doc comment looks like as tokens.
fn is_doc(group: &proc_macro2::Group) -> bool {
    let first = group.stream().into_iter().next();
    group.delimiter() == Delimiter::Bracket
        && matches!(first, Some(TokenTree::Ident(ident)) if ident == "doc")
}

fn literal_kind(literal: proc_macro2::Literal) -> Kind {
    match Lit::new(literal) {
        Lit::Str(text) => Kind::Text(text.value()),
        Lit::Float(_) => Kind::Float,
        Lit::Int(int) if matches!(int.suffix(), "f32" | "f64") => Kind::Float,
        _ => Kind::Literal,
    }
}

fn signs(delimiter: Delimiter) -> (char, char) {
    match delimiter {
        Delimiter::Parenthesis => ('(', ')'),
        Delimiter::Brace => ('{', '}'),
        Delimiter::Bracket => ('[', ']'),
        Delimiter::None => (' ', ' '),
    }
}

#[test]
fn comments_are_no_tokens_and_strings_are_values() {
    let text = "//! sqlx\n/// sqlx\nfn f() { /* sqlx */ g(r#\"select \"1\"\"#, 1.5, 2f64) }";
    let tokens = tokens(&Source::planted("a.rs", text));
    assert!(!tokens.iter().any(|token| token.is_ident("sqlx")));
    assert!(
        tokens
            .iter()
            .any(|token| token.kind == Kind::Text("select \"1\"".to_owned()))
    );
    assert_eq!(
        tokens
            .iter()
            .filter(|token| token.kind == Kind::Float)
            .count(),
        2
    );
    assert!(
        tokens
            .iter()
            .any(|token| token.is_ident("g") && token.line == 3)
    );
}
