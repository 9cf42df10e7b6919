//! Files from outside: what is accepted, what is refused and how, and what a killed import leaves.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Answer, answer, books, counterfoil, list, minor};

/// An empty network in a database of its own.
struct Network {
    name: &'static str,
    folder: tempfile::TempDir,
}

impl Network {
    fn new(name: &'static str) -> Network {
        let psql = ["db", "psql", "--dbname", "postgres", "--quiet", "--command"];
        let create = format!("create database {name}");
        answer(counterfoil(&books().data).args(psql).arg(create)).with(0);
        let network = Network {
            name,
            folder: crate::support::folder(),
        };
        network.run(&["init", "Test Network"]).with(0);
        for (brand, model) in [("Acme", "two-sided"), ("Zoë & Söhne", "deducted")] {
            let terms = [
                "--currency",
                "GBP",
                "--commission",
                "10%",
                "--fee-model",
                model,
            ];
            let add = [["program", "add", brand].as_slice(), &terms].concat();
            network.run(&add).with(0);
            network
                .run(&["publisher", "add", "ann", "bob", "--brand", brand])
                .with(0);
        }
        network
    }

    fn command(&self) -> Command {
        let status = books().json(&["db", "status"]);
        let url = status["database_url"].as_str().unwrap();
        let url = url.replace(
            "localhost/counterfoil?",
            &format!("localhost/{}?", self.name),
        );
        let mut command = counterfoil(self.folder.path());
        command.env("DATABASE_URL", url);
        command
    }

    fn run(&self, arguments: &[&str]) -> Answer {
        answer(self.command().args(arguments))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[&["--json"], arguments].concat()).json()
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path: PathBuf = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The root of all books: equal roots are equal books, entry for entry.
    fn root(&self) -> String {
        let taken = self.json(&["checkpoint"]);
        taken["root"].as_str().unwrap().to_owned()
    }
}

const HEADER: &str = "order_ref,occurred_at,brand,publisher,amount,currency\n";

fn counts(report: &Value) -> [i64; 5] {
    let outcomes = ["accepted", "duplicate", "conflict", "unmatched", "refused"];
    outcomes.map(|outcome| report[outcome].as_i64().unwrap())
}

#[test]
fn a_second_import_changes_nothing() {
    let network = Network::new("imports_twice");
    let orders = network.file(
        "orders.csv",
        format!(
            "{HEADER}1,2026-01-05T10:00:00Z,Acme,ann,99.00,GBP\n\
             1,2026-01-05T10:00:00Z,Zoë & Söhne,bob,10.01,GBP\n\
             2,2026-01-06,Acme,,50.00,GBP\n"
        ),
    );
    let refunds = network.file(
        "refunds.csv",
        "refund_ref,occurred_at,order_ref,brand,amount,currency\n\
         R1,2026-01-08,1,Acme,24.75,GBP\nR2,2026-01-09,1,,1.00,GBP\nR3,2026-01-09,9,,1.00,GBP\n\
         R4,2026-01-10,1,Acme,80.00,GBP\n",
    );
    let first = network.json(&["import", "orders", &orders]);
    assert_eq!(counts(&first), [3, 0, 0, 0, 0], "{first}");
    let first = network.json(&["import", "refunds", &refunds]);
    // R2 fits two brands' orders, R3 none, R4 exceeds what is left of its order.
    assert_eq!(counts(&first), [1, 0, 0, 3, 0], "{first}");
    let parked = network.json(&["refunds", "parked"]);
    assert!(parked.to_string().contains("exceeds"), "{parked}");
    let before = network.root();
    let again = network.json(&["import", "orders", &orders]);
    assert_eq!(counts(&again), [0, 3, 0, 0, 0], "{again}");
    let again = network.json(&["import", "refunds", &refunds]);
    assert_eq!(counts(&again), [0, 1, 0, 3, 0], "{again}");
    assert_eq!(network.root(), before);
    network.run(&["verify"]).with(0);
}

#[test]
fn a_bad_row_stops_nothing_but_itself_and_is_listed_with_line_and_reason() {
    let network = Network::new("imports_bad_rows");
    let mut text = HEADER.as_bytes().to_vec();
    text.extend_from_slice(b"good-1,2026-01-05,Acme,ann,99.00,GBP\n");
    text.extend_from_slice(b"too-fine,2026-01-05,Acme,ann,99.005,GBP\n");
    text.extend_from_slice(b"negative,2026-01-05,Acme,ann,-1.00,GBP\n");
    text.extend_from_slice(b"free,2026-01-05,Acme,ann,0.00,GBP\n");
    text.extend_from_slice(b"float,2026-01-05,Acme,ann,1e2,GBP\n");
    text.extend_from_slice(b"huge,2026-01-05,Acme,ann,99999999999999999999,GBP\n");
    text.extend_from_slice(b"when,05/01/2026,Acme,ann,1.00,GBP\n");
    text.extend_from_slice(b"narrow,2026-01-05,Acme\n");
    text.extend_from_slice(b"stranger,2026-01-05,Nobody,ann,1.00,GBP\n");
    text.extend_from_slice(b"who,2026-01-05,Acme,eve,1.00,GBP\n");
    text.extend_from_slice(b"yen,2026-01-05,Acme,ann,100,JPY\n");
    text.extend_from_slice(b"coin,2026-01-05,Acme,ann,1.00,XXX\n");
    text.extend_from_slice(b",2026-01-05,Acme,ann,1.00,GBP\n");
    text.extend_from_slice(b"zero\0byte,2026-01-05,Acme,ann,1.00,GBP\n");
    text.extend_from_slice(b"latin-\xe9,2026-01-05,Acme,ann,1.00,GBP\n");
    text.extend_from_slice(b"good-2,2026-01-05,Acme,bob,1.00,GBP\n");
    text.extend_from_slice(b"good-1,2026-01-05,Acme,ann,98.00,GBP\n");
    let orders = network.file("orders.csv", text);
    let report = network.folder.path().join("report.csv");
    let arguments = [
        "--json",
        "import",
        "orders",
        &orders,
        "--report",
        report.to_str().unwrap(),
    ];
    let answered = network.run(&arguments).with(1);
    let json: Value = serde_json::from_str(&answered.out).unwrap();
    // The order in yen waits for a rate of exchange.
    assert_eq!(counts(&json), [3, 0, 1, 0, 13], "{json}");
    let listed: Vec<(i64, &str)> = list(&json["listed"])
        .iter()
        .map(|row| {
            (
                row["line"].as_i64().unwrap(),
                row["reason"].as_str().unwrap(),
            )
        })
        .collect();
    let reason = |line| {
        let row = listed.iter().find(|(at, _)| *at == line);
        row.map(|(_, reason)| *reason).unwrap()
    };
    for (line, words) in [
        (3, "99.005"),
        (4, "not a positive amount"),
        (8, "05/01/2026"),
        (9, "3 fields, the header has 6"),
        (10, "brand 'Nobody' has no program"),
        (11, "publisher 'eve' is unknown"),
        (14, "order_ref is missing"),
        (16, "not UTF-8"),
        (18, "99.00 GBP was recorded before and stands"),
    ] {
        assert!(
            reason(line).contains(words),
            "line {line}: {}",
            reason(line)
        );
    }
    assert_eq!(fs::read_to_string(report).unwrap().lines().count(), 15);
    network.run(&["verify"]).with(0);
}

#[test]
fn decisions_of_a_file_are_made_once_in_the_order_of_its_rows() {
    let network = Network::new("imports_decisions");
    let mut text = HEADER.to_owned();
    for n in 1..=4 {
        writeln!(text, "D{n},2026-01-05,Acme,ann,100.00,GBP").unwrap();
    }
    text.push_str("D4,2026-01-05,Zoë & Söhne,bob,100.00,GBP\n");
    let orders = network.file("orders.csv", text);
    assert_eq!(
        counts(&network.json(&["import", "orders", &orders])),
        [5, 0, 0, 0, 0]
    );
    let decisions = network.file(
        "decisions.csv",
        "order_ref,action,reason_code,note,brand\n\
         D1,approve,review,looks good,\nD1,hold,fraud,,\nD1,release,review,,\n\
         D2,reject,quality,,\nD2,approve,review,,\nD3,approve,mood,,\nD3,bless,review,,\n\
         D4,approve,review,,\nD4,approve,review,,Acme\nD9,approve,review,,\n\
         D4,hold,fraud,,Nobody\n",
    );
    let dry = ["--json", "import", "decisions", &decisions, "--dry-run"];
    let dry: Value = serde_json::from_str(&network.run(&dry).with(1).out).unwrap();
    assert_eq!(counts(&dry), [5, 0, 1, 0, 5], "{dry}");
    let before = network.root();
    let answered = network
        .run(&["--json", "import", "decisions", &decisions])
        .with(1);
    let first: Value = serde_json::from_str(&answered.out).unwrap();
    assert_eq!(counts(&first), [5, 0, 1, 0, 5], "{first}");
    assert_ne!(network.root(), before);
    let listed = first["listed"].to_string();
    for words in [
        "it is rejected and cannot approve from there",
        "reason_code must be one of review, refund",
        "action 'bless' is unknown",
        "several programs have an order D4",
        "there is no conversion or order D9",
        "brand 'Nobody' is unknown",
    ] {
        assert!(listed.contains(words), "{words}: {listed}");
    }
    let story = network.run(&["trace", "D1"]).with(0).out;
    assert!(
        story.contains("pending to approved: review: looks good"),
        "{story}"
    );
    assert!(story.contains("on_hold to approved: review"), "{story}");
    // Again: what is so already is a duplicate. The hold and release of D1 are done once more.
    let once = network.file(
        "once.csv",
        "order_ref,action,reason_code\nD1,approve,review\nD2,reject,quality\n",
    );
    let settled = network.root();
    assert_eq!(
        counts(&network.json(&["import", "decisions", &once])),
        [0, 2, 0, 0, 0]
    );
    assert_eq!(network.root(), settled);
    network.run(&["verify"]).with(0);
}

#[test]
fn a_parked_refund_is_traced_by_its_own_and_its_orders_reference() {
    let network = Network::new("imports_traced");
    let refunds = network.file(
        "refunds.csv",
        "refund_ref,occurred_at,order_ref,brand,amount,currency,why\n\
         R1,2026-01-08,P1,Acme,24.75,GBP,broken\n",
    );
    network.run(&["import", "refunds", &refunds]).with(0);
    for name in ["R1", "P1"] {
        let story = network.run(&["trace", name]).with(0).out;
        assert!(
            story.contains("R1  24.75 GBP of order P1 is parked: order unknown"),
            "{story}"
        );
        assert!(story.contains("why broken"), "{story}");
    }
    let orders = network.file(
        "orders.csv",
        format!("{HEADER}P1,2026-01-05,Acme,ann,99.00,GBP\n"),
    );
    network.run(&["import", "orders", &orders]).with(0);
    let story = network.run(&["trace", "R1"]).with(0).out;
    assert!(story.contains("conversion  "), "{story}");
    assert!(
        story.contains("was parked (order unknown), then applied to its order"),
        "{story}"
    );
}

#[test]
fn a_malformed_file_is_refused_before_anything_is_written() {
    let network = Network::new("imports_malformed");
    let before = network.root();
    for (name, text, words) in [
        ("empty.csv", b"".as_slice(), "no column order_ref"),
        (
            "columns.csv",
            b"order_ref,brand,amount\n1,Acme,1.00\n",
            "no column occurred_at",
        ),
        (
            "binary.csv",
            b"\xff\xfe\0o\0r\0d\0e\0r\n1,2,3\n",
            "is no UTF-8 text",
        ),
        (
            "semicolons.csv",
            b"order_ref;occurred_at;brand;amount\n1;2;3;4\n",
            "no column",
        ),
    ] {
        let file = network.file(name, text);
        let answered = network.run(&["import", "orders", &file]).with(1);
        assert!(answered.err.contains(words), "{answered:#?}");
    }
    let answered = network
        .run(&["import", "orders", "/nowhere/orders.csv"])
        .with(1);
    assert!(answered.err.contains("cannot be read"), "{answered:#?}");
    assert_eq!(network.root(), before);
}

#[test]
fn a_dry_run_says_what_would_happen_and_changes_nothing() {
    let network = Network::new("imports_dry");
    let before = network.root();
    let mut text = HEADER.to_owned();
    for n in 0..1_500 {
        writeln!(text, "{n},2026-01-05,Acme,ann,10.00,GBP").unwrap();
    }
    text.push_str("7,2026-01-05,Acme,ann,10.00,GBP\n");
    let orders = network.file("orders.csv", text);
    let dry = network.json(&["import", "orders", &orders, "--dry-run"]);
    // The duplicate is two batches away from its original, and found all the same.
    assert_eq!(counts(&dry), [1_500, 1, 0, 0, 0], "{dry}");
    assert_eq!(network.root(), before);
    let wet = network.json(&["import", "orders", &orders]);
    assert_eq!(counts(&wet), counts(&dry));
}

#[test]
fn a_killed_import_loses_nothing_acknowledged_and_its_rerun_completes() {
    const ORDERS: i64 = 30_000;
    let network = Network::new("imports_killed");
    let mut text = HEADER.to_owned();
    for n in 0..ORDERS {
        writeln!(text, "{n},2026-01-05T00:00:00Z,Acme,ann,10.00,GBP").unwrap();
    }
    let orders = network.file("orders.csv", text);
    let expected = |network: &Network| {
        let balances = network.json(&["balance", "9100", "--book", "Acme"]);
        let total: i64 = balances_of(&balances);
        total
    };
    for _ in 0..3 {
        let mut command = network.command();
        command
            .args(["import", "orders", &orders])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let before = expected(&network);
        let mut child = command.spawn().unwrap();
        // Killed once it has committed something more, wherever it is then.
        let patience = Instant::now();
        while expected(&network) == before
            && child.try_wait().unwrap().is_none()
            && patience.elapsed() < Duration::from_mins(1)
        {
            std::thread::sleep(Duration::from_millis(20));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // Whole batches only: each order brings 1.20 to what the brand is expected to owe.
        assert_eq!(expected(&network) % 120, 0);
        network.run(&["verify"]).with(0);
    }
    let rest = network.json(&["import", "orders", &orders]);
    let [accepted, duplicate, ..] = counts(&rest);
    assert_eq!(accepted + duplicate, ORDERS, "{rest}");
    assert!(
        duplicate > 0,
        "nothing was committed before the kill: {rest}"
    );
    assert_eq!(expected(&network), ORDERS * 120);
    network.run(&["verify"]).with(0);
}

/// The sum of the balances in an answer, in minor units.
fn balances_of(answered: &Value) -> i64 {
    let rows = answered
        .get("rows")
        .or_else(|| answered.get("accounts"))
        .unwrap_or(answered);
    list(rows).iter().map(|row| minor(&row["balance"])).sum()
}

/// As eurofxref-hist.csv has it: the latest day first, a comma at the end of every line.
const BANK: &str = "Date,USD,GBP,CYP,\n\
                    2026-01-05,1.0843,0.8300,N/A,\n\
                    2026-01-02,1.0800,0.8250,0.58,\n";

#[test]
fn rates_are_read_from_the_banks_file_and_price_what_waited() {
    let network = Network::new("imports_rates");
    let text = format!("{HEADER}A1,2026-01-04T10:00:00Z,Acme,ann,108.00,USD\n");
    let orders = network.file("orders.csv", text);
    let report = network.json(&["import", "orders", &orders]);
    assert_eq!(counts(&report), [1, 0, 0, 0, 0]);
    let bank = network.file("bank.csv", BANK);
    let first = network.json(&["rates", "import", &bank]);
    assert_eq!(
        first["rates"],
        json!({ "new": 4, "corrected": 0, "unchanged": 0 })
    );
    assert_eq!(first["conversions_priced"], 1);
    assert_eq!(first["conversions_waiting"], json!([]));
    // 108.00 / 1.08 * 0.825 = 82.50 GBP, of which 8.25 are the commission, and a fifth on top.
    let expected = network.run(&["balance", "9100"]).with(0).out;
    assert!(expected.contains("9.90"), "{expected}");
    let again = network.json(&["rates", "import", &bank]);
    assert_eq!(
        again["rates"],
        json!({ "new": 0, "corrected": 0, "unchanged": 4 })
    );
    let by_hand = [
        "rates",
        "set",
        "EUR",
        "USD",
        "2026-01-05",
        "1.09",
        "--source",
        "treasurer",
    ];
    assert_eq!(network.json(&by_hand)["rates"]["corrected"], 1);
    let listed = network.json(&["rates", "list", "--currency", "USD"]);
    assert_eq!(
        (&listed[0]["source"], &listed[0]["revision"]),
        (&json!("treasurer"), &json!(2))
    );
    let wrong = network.file("wrong.csv", "day,USD\n2026-01-05,1\n");
    let answer = network.run(&["rates", "import", &wrong]).with(1);
    assert!(
        answer.err.contains("does not begin with a column Date"),
        "{}",
        answer.err
    );
}
