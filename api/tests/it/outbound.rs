//! Postbacks from outside: the real binary tells a real HTTP server, and is killed while it does.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use migrations::testing::TestDatabase;
use serde_json::Value;

use crate::support::{Answer, answer, counterfoil, folder};

/// A tracker: hands on the head of each request it is sent and answers 200; not the first few,
/// which it leaves waiting.
fn tracker(mute: usize) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (told, heard) = channel();
    thread::spawn(move || {
        let mut waiting = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 4096];
            let length = stream.read(&mut buffer).unwrap();
            let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
            if waiting.len() < mute {
                waiting.push(stream);
            } else {
                stream.write_all(answer).unwrap();
            }
            if told.send(request).is_err() {
                return;
            }
        }
    });
    (address, heard)
}

struct Place {
    db: TestDatabase,
    folder: tempfile::TempDir,
}

impl Place {
    fn command(&self) -> Command {
        let mut command = counterfoil(self.folder.path());
        command.env("DATABASE_URL", self.db.url());
        command
    }

    fn run(&self, arguments: &[&str]) -> Answer {
        answer(self.command().args(arguments))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        answer(self.command().arg("--json").args(arguments)).json()
    }

    /// A network with a program, a publisher, and a postback to this address.
    fn set_up(&self, address: SocketAddr) -> String {
        let program = [
            "program",
            "add",
            "Acme",
            "--currency",
            "USD",
            "--commission",
            "10%",
            "--fee-model",
            "deducted",
        ];
        self.run(&["init", "Spider", "--zone", "UTC"]).with(0);
        self.run(&program).with(0);
        self.run(&["publisher", "add", "Pat", "--brand", "Acme"])
            .with(0);
        let url = format!("http://{address}/p?e={{event_type}}&s={{payout}}&o={{order_id}}");
        let refused = self.run(&["postback", "add", "Pat", &url]).with(1);
        assert!(refused.err.contains("no public address"), "{refused:?}");
        let made = self.json(&["postback", "add", "Pat", &url, "--allow-private"]);
        made["id"].as_str().unwrap().to_owned()
    }

    fn import(&self, name: &str, orders: &[&str]) {
        let path = self.folder.path().join(name);
        let rows: Vec<String> = orders
            .iter()
            .map(|order| format!("{order},2026-01-05T10:00:00Z,Acme,Pat,100.00,USD"))
            .collect();
        let header = "order_ref,occurred_at,brand,publisher,amount,currency";
        std::fs::write(&path, format!("{header}\n{}\n", rows.join("\n"))).unwrap();
        self.run(&["import", "orders", path.to_str().unwrap()])
            .with(0);
    }

    fn worker(&self) -> Child {
        let mut command = self.command();
        command.args(["work", "--allow-private"]);
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }
}

async fn place() -> Place {
    Place {
        db: migrations::testing::database().await,
        folder: folder(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn imported_orders_are_told_to_their_publisher_and_the_log_says_so() {
    let (place, (address, heard)) = (place().await, tracker(0));
    let id = place.set_up(address);
    let test = place
        .run(&["postback", "test", &id, "--allow-private"])
        .with(0);
    assert!(test.out.contains("answered 200"), "{test:?}");
    assert!(
        heard
            .recv_timeout(Duration::from_secs(20))
            .unwrap()
            .starts_with("GET /p?e=test")
    );
    place.import("orders.csv", &["O-1", "O-2"]);
    let waiting = place.json(&["jobs", "list", "--state", "waiting"]);
    assert_eq!(waiting.as_array().unwrap().len(), 2);
    // Without leave, the worker refuses the address, and a person lets it try again with it.
    place.run(&["work", "--once"]).with(0);
    let dead = place.json(&["jobs", "list"]);
    let ids: Vec<String> = dead
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["id"].to_string())
        .collect();
    assert_eq!(ids.len(), 2);
    place.run(&["jobs", "discard", &ids[1]]).with(0);
    place.run(&["jobs", "retry", &ids[0]]).with(0);
    place.run(&["jobs", "retry", &ids[1]]).with(1);
    let once = place.run(&["work", "--once", "--allow-private"]).with(0);
    assert!(once.out.contains("1 jobs run"), "{once:?}");
    let told = heard.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(
        told.starts_with("GET /p?e=conversion.pending&s=8.00&o= HTTP"),
        "{told}"
    );
    let log = place.json(&["postback", "log", &id]);
    let log = log.as_array().unwrap();
    assert_eq!(
        (log.len(), &log[0]["status"], &log[0]["answer"]),
        (4, &200.into(), &"ok".into())
    );
    assert!(place.run(&["postback", "list"]).with(0).out.contains("Pat"));
}

/// The id of a delivery, which the receiver sees.
fn delivery(head: &str) -> String {
    let line = head
        .lines()
        .find_map(|line| line.strip_prefix("counterfoil-delivery: "));
    line.unwrap_or_else(|| panic!("{head}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_in_mid_delivery_leaves_it_to_the_next_which_stops_when_told() {
    let (place, (address, heard)) = (place().await, tracker(1));
    place.set_up(address);
    let mut worker = place.worker();
    place.import("orders.csv", &["O-1"]);
    let next = || heard.recv_timeout(Duration::from_mins(1)).unwrap();
    let first = delivery(&next());
    worker.kill().unwrap();
    worker.wait().unwrap();
    let waiting = place.json(&["jobs", "list", "--state", "waiting"]);
    assert!(
        waiting[0]["claimed_by"].is_string(),
        "its lease outlives it: {waiting}"
    );
    // A minute later.
    let expire = "update jobs.job set claimed_until = now() where claimed_until is not null";
    sqlx::query(expire).execute(place.db.pool()).await.unwrap();
    let mut worker = place.worker();
    assert_eq!(delivery(&next()), first);
    let kill = Command::new("kill")
        .arg(worker.id().to_string())
        .status()
        .unwrap();
    assert!(kill.success());
    assert!(
        worker.wait().unwrap().success(),
        "it ends by itself when told to"
    );
    // What waits is only the job that approves what is due, which never ends.
    let waiting = place.json(&["jobs", "list", "--state", "waiting"]);
    let kinds: Vec<_> = waiting
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["kind"].as_str().unwrap())
        .filter(|kind| *kind != "conversions.due")
        .collect();
    assert_eq!(kinds, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_works_too_tells_and_stops() {
    let (place, (address, heard)) = (place().await, tracker(0));
    place.set_up(address);
    let mut command = place.command();
    command.args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--work",
        "--allow-private",
    ]);
    let mut service = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    place.import("orders.csv", &["O-1"]);
    assert!(
        heard
            .recv_timeout(Duration::from_secs(30))
            .unwrap()
            .contains("conversion.pending")
    );
    let kill = Command::new("kill")
        .arg(service.id().to_string())
        .status()
        .unwrap();
    assert!(kill.success() && service.wait().unwrap().success());
}
