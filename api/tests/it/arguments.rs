//! What is asked wrongly is answered with a sentence and exit code 2, before any database is made.

use crate::support::{answer, counterfoil, folder};

const COMMANDS: &[&str] = &[
    "balance",
    "checkpoint",
    "close",
    "coupon",
    "db",
    "demo",
    "export",
    "import",
    "init",
    "migrate",
    "periods",
    "rates",
    "rederive",
    "refunds",
    "reopen",
    "risk",
    "rule",
    "statement",
    "trace",
    "trial-balance",
    "verify",
];

#[test]
fn every_command_is_listed_and_has_help() {
    let folder = folder();
    let all = answer(counterfoil(folder.path()).arg("--help")).with(0).out;
    for command in COMMANDS {
        assert!(
            all.contains(&format!("\n  {command} ")),
            "{command} is not in:\n{all}"
        );
        let help = answer(counterfoil(folder.path()).args([command, "--help"]))
            .with(0)
            .out;
        assert!(help.contains("--json") && help.contains("Usage"), "{help}");
    }
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        0,
        "help makes nothing"
    );
}

/// What is asked, and a part of the sentence that answers it.
const MISTAKES: &[(&[&str], &str)] = &[
    (&["settle"], "unrecognized subcommand 'settle'"),
    (&[], "Usage:"),
    (&["close"], "<PERIOD>"),
    (
        &["close", "2011-13"],
        "'2011-13' is not a month; write it as 2026-01",
    ),
    (&["reopen", "2011-02"], "--because <TEXT>"),
    (
        &["reopen", "2011-02", "--because", "  "],
        "a reason must say something",
    ),
    (
        &["trial-balance", "--as-of", "31.01.2011"],
        "is not a day; write it as 2026-01-31",
    ),
    (
        &["trial-balance", "--as-of", "2011-02-29"],
        "is not a day; write it as 2026-01-31",
    ),
    (
        &["trial-balance", "--per-book", "--book", "France"],
        "cannot be used with",
    ),
    (&["trial-balance", "--csv", "--json"], "cannot be used with"),
    (
        &["trial-balance", "--checkpoint", "latest"],
        "invalid value 'latest'",
    ),
    (
        &["balance", "9999"],
        "the chart has no account '9999'; it has 1000, 1010",
    ),
    (&["statement", "France"], "<CODE>"),
    (
        &[
            "statement",
            "France",
            "1110",
            "--from",
            "2011-02-01",
            "--to",
            "2011-01-01",
        ],
        "--from 2011-02-01 lies after --to 2011-01-01",
    ),
    (
        &["export", "quickbooks"],
        "there is no format 'quickbooks'; there are hledger, ledger",
    ),
    (
        &[
            "export",
            "csv",
            "--from",
            "2011-02-01",
            "--to",
            "2011-01-01",
        ],
        "--from 2011-02-01 lies after",
    ),
    (
        &["verify", "--against", "/nowhere.json"],
        "/nowhere.json cannot be read",
    ),
    (
        &["verify", "--against", "Cargo.toml"],
        "the checkpoint file cannot be read",
    ),
    (
        &["verify", "--public-key", "00"],
        "'00' is not 64 hexadecimal digits",
    ),
    (
        &["checkpoint", "--show", "7"],
        "'7' is no id of a checkpoint",
    ),
    (
        &["checkpoint", "--reason", ""],
        "a reason must say something",
    ),
    (&["db"], "Usage:"),
    (
        &["db", "status", "--database-url", "postgres://h/d"],
        "is for the private cluster",
    ),
    (
        &["balance", "--database-url", "mysql://h/d?sslmode=x"],
        "the database URL cannot be",
    ),
    (
        &["import", "clicks", "x.csv"],
        "unrecognized subcommand 'clicks'",
    ),
];

#[test]
fn a_bad_argument_is_a_sentence_and_exit_code_2() {
    let folder = folder();
    let data = folder.path().join("data");
    for (arguments, sentence) in MISTAKES {
        let answer = answer(counterfoil(&data).args(*arguments)).with(2);
        assert!(
            answer.err.contains(sentence),
            "{arguments:?}: {}",
            answer.err
        );
        assert_eq!(answer.out, "", "{arguments:?}");
    }
    assert!(!data.exists(), "a mistake makes nothing");
}

#[test]
fn a_failure_in_json_is_json() {
    let folder = folder();
    let mut command = counterfoil(folder.path());
    command.args(["--json", "balance", "--database-url"]);
    // Nobody listens there.
    let url = "postgres://nobody@localhost/none?host=/nowhere";
    let answer = answer(command.arg(url)).with(1);
    let error: serde_json::Value = serde_json::from_str(&answer.err).unwrap();
    assert_eq!(error["error"], "the database does not answer");
    assert!(!error["causes"].as_array().unwrap().is_empty());
}
