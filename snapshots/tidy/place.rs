//! A checkout works wherever it lies: no file of it names the machine it was written on.

use crate::tree::{Fault, Source, assert_found, assert_tidy, texts};

/// Starts of paths that exist on one machine only, or beside one checkout only.
fn elsewhere() -> Vec<String> {
    let slash = '/';
    let mut starts: Vec<String> = ["work", "root", "home", "Users"]
        .iter()
        .map(|folder| format!("{slash}{folder}{slash}"))
        .collect();
    starts.push(format!("..{slash}shared"));
    starts
}

/// Where Homebrew lies on every Linux machine that has it.
fn is_known(path: &str) -> bool {
    path.trim_start_matches('/').starts_with("home/linuxbrew/")
}

fn check_place(source: &Source) -> Vec<Fault> {
    let starts = elsewhere();
    let mut faults = Vec::new();
    for (at, line) in source.text.lines().enumerate() {
        for start in &starts {
            let is_one = |(at, _)| starts_a_path(line, at) && !is_known(&line[at..]);
            if line.match_indices(start.as_str()).any(is_one) {
                let what = format_args!("`{start}` exists on one machine only");
                faults.push(source.fault(at + 1, what));
            }
        }
    }
    faults
}

/// `src/work` is a folder of ours; the same after a space or a quote is not.
fn starts_a_path(line: &str, found: usize) -> bool {
    let before = line[..found].chars().next_back();
    !before
        .is_some_and(|sign| sign.is_alphanumeric() || matches!(sign, '_' | '-' | '.' | '}' | ')'))
}

#[test]
fn no_file_names_the_machine_it_was_written_on() {
    assert_tidy(&texts().iter().flat_map(check_place).collect::<Vec<_>>());
}

#[test]
fn a_path_of_one_machine_is_found() {
    let text = "see @work@x
        src@work@y
        open(\"..@shared@data\")
        `@home@a`
        http:@@a.b@home@c
        @home@linuxbrew@bin"
        .replace('@', "/");
    let faults = check_place(&Source::planted("README.md", &text));
    assert_found(&faults, &[":1: `/", ":3: `..", ":4: `/"]);
}
