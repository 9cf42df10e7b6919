//! The private cluster: shared, kept, stopped.

use crate::support::{Answer, answer, books, counterfoil, folder};

#[test]
fn processes_at_once_share_one_cluster() {
    let books = books();
    let running: Vec<_> = (0..4)
        .map(|_| {
            let mut command = counterfoil(&books.data);
            command.args(["--json", "balance", "1110", "--book", "France"]);
            command
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    let answers: Vec<String> = running
        .into_iter()
        .map(|child| Answer::of(child.wait_with_output().unwrap()).with(0).out)
        .collect();
    assert!(
        answers.iter().all(|answer| answer == &answers[0]),
        "{answers:#?}"
    );
    let status = books.json(&["db", "status"]);
    assert_eq!(status["running"], true);
    assert_eq!(status["pinned"], false);
    assert!(!status["users"].as_array().unwrap().is_empty(), "{status}");
}

#[test]
fn the_address_that_status_tells_is_one_that_others_can_use() {
    let here = books().run(&["balance", "1110"]).with(0).out;
    assert_eq!(
        books().on("counterfoil", &["balance", "1110"]).with(0).out,
        here
    );
    let shown = books().run(&["db", "status"]).with(0).out;
    assert!(shown.contains("DATABASE_URL  postgres://counterfoil@localhost/counterfoil?host=/"));
}

#[test]
fn psql_reaches_the_books_and_its_exit_code_is_passed_on() {
    let count = "select count(*) > 0 from ledger.journal";
    let psql = [
        "db",
        "psql",
        "--",
        "--no-align",
        "--tuples-only",
        "--command",
    ];
    let answer = books().run(&[&psql[..], &[count]].concat()).with(0);
    assert_eq!(answer.out, "t\n");
    let failed = books().run(&["db", "psql", "--command", "select from nowhere"]);
    assert!(failed.with(1).err.contains("nowhere"));
}

#[test]
fn a_started_cluster_stays_until_it_is_stopped() {
    let folder = folder();
    let data = folder.path().join("data");
    let run = |arguments: &[&str]| answer(counterfoil(&data).args(arguments)).with(0).out;
    assert!(run(&["db", "status"]).starts_with("not there yet"));
    assert!(!data.exists(), "looking makes nothing");
    assert!(run(&["db", "stop"]).contains("was not running"));
    assert!(run(&["db", "start"]).contains("until `counterfoil db stop`"));

    let migrated = answer(counterfoil(&data).args(["--json", "migrate"])).json();
    assert!(migrated["applied"].as_i64() > Some(0), "{migrated}");
    assert!(run(&["migrate"]).starts_with("nothing to do: the schema is at version"));
    let nobody = answer(counterfoil(&data).args(["close", "2011-01"])).with(1);
    assert!(
        nobody.err.contains("create one with `counterfoil init`"),
        "{nobody:?}"
    );
    run(&["init", "Test Network", "--zone", "Europe/Berlin"]);
    assert!(run(&["periods"]).contains("no month is closed"));
    assert!(run(&["refunds", "parked"]).contains("no refund is parked"));
    assert!(run(&["verify"]).contains("the ledger holds: 0 entries"));

    assert!(run(&["db", "status"]).starts_with("running"));
    assert!(run(&["db", "stop"]).contains("is stopped"));
    assert!(run(&["db", "status"]).starts_with("stopped"));
}
