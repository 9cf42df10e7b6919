//! Other processes: this binary again, told to do one thing until its input ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use migrations::testing;

use crate::support;

/// A process that does one thing, says so, and waits.
pub(crate) struct Other {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
}

impl Other {
    /// One that opens a cluster.
    pub(crate) fn opening(data: &Path) -> Other {
        Other::start(
            Command::new(std::env::current_exe().unwrap()),
            "opens",
            data,
        )
    }

    /// The same as another user; only root can do that.
    pub(crate) fn opening_as(user: &str, group: &str, data: &Path, exe: &Path) -> Other {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", user, "--regid", group, "--clear-groups"])
            .arg(exe);
        Other::start(command, "opens", data)
    }

    /// One that makes a test database.
    pub(crate) fn testing() -> Other {
        Other::start(
            Command::new(std::env::current_exe().unwrap()),
            "tests",
            Path::new("/"),
        )
    }

    fn start(mut command: Command, role: &str, data: &Path) -> Other {
        let mut child = command
            .args([
                "--exact",
                &format!("child::{role}"),
                "--ignored",
                "--nocapture",
            ])
            .env("COUNTERFOIL_IT_DATA", data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Other { child, said }
    }

    /// What it has to say.
    pub(crate) fn said(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(
                self.said.read_line(&mut line).unwrap() > 0,
                "the other process said nothing"
            );
            if let Some((_, said)) = line.split_once("said ") {
                return said.trim().to_owned();
            }
        }
    }

    /// Lets it go in order.
    pub(crate) fn leave(mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn say(what: &str) {
    println!("said {what}");
    std::io::stdout().flush().unwrap();
}

fn wait_for_the_end() {
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
#[ignore = "the other process of the tests beside it"]
fn opens() {
    let Some(data) = std::env::var_os("COUNTERFOIL_IT_DATA") else {
        return;
    };
    let cluster = support::open(Path::new(&data));
    say(&cluster.pid().unwrap().to_string());
    wait_for_the_end();
    cluster.leave().unwrap();
}

#[tokio::test]
#[ignore = "the other process of the tests beside it"]
async fn tests() {
    if std::env::var_os("COUNTERFOIL_IT_DATA").is_none() {
        return;
    }
    let db = testing::database().await;
    say(db.name());
    wait_for_the_end();
}
