//! The README shows what the program prints.

use std::path::Path;

use crate::support::books;

#[test]
fn the_readme_shows_what_the_demo_prints() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let block = readme
        .split("```text\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let shown: Vec<&str> = block
        .unwrap()
        .lines()
        .filter(|line| !line.is_empty())
        .collect();
    assert!(shown.len() > 10, "{shown:?}");
    let mut printed = books().demo.out.lines();
    for line in shown {
        assert!(
            printed.any(|other| other == line),
            "the demo does not print, in this order:\n{line}\nit prints:\n{}",
            books().demo.out
        );
    }
}
