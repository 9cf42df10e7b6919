//! Running the binary, and the books of one demo that all tests share.
//!
//! One private cluster serves the whole file. A shell holds it: a psql that waits for the end of
//! its input keeps the server running, and when this process ends, however it ends, the shell
//! sees the server stopped and takes the folder away.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;

use serde_json::Value;
use tempfile::TempDir;

/// A folder that the server's user can enter.
pub(crate) fn folder() -> TempDir {
    let folder = TempDir::with_prefix("counterfoil-cli-").unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// The binary, knowing nothing of the environment that the tests run in.
pub(crate) fn counterfoil(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_counterfoil"));
    for name in [
        "DATABASE_URL",
        "COUNTERFOIL_DATA",
        "COUNTERFOIL_SIGNING_KEY",
    ] {
        command.env_remove(name);
    }
    command.arg("--data").arg(data).stdin(Stdio::null());
    command
}

/// What a command answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Answer {
    pub(crate) fn of(output: Output) -> Answer {
        Answer {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The output of a command that ended with this code.
    #[track_caller]
    pub(crate) fn with(self, code: i32) -> Answer {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert!(!self.err.contains("panicked"), "{self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn json(self) -> Value {
        let answer = self.with(0);
        serde_json::from_str(&answer.out).unwrap_or_else(|_| panic!("no JSON: {answer:#?}"))
    }
}

pub(crate) fn answer(command: &mut Command) -> Answer {
    Answer::of(command.output().unwrap())
}

/// The demo's books, and copies of them to break.
pub(crate) struct Books {
    pub(crate) data: PathBuf,
    pub(crate) demo: Answer,
    _holder: Child,
}

static BOOKS: LazyLock<Books> = LazyLock::new(|| {
    let root = folder().keep();
    let data = root.join("data");
    // Both come to an empty folder at once: one makes the cluster, the other waits and shares it.
    let holder = hold(&root, &data);
    let demo = answer(counterfoil(&data).arg("demo"));
    for copy in [
        "tampered",
        "rewritten",
        "disagreeing",
        "closing",
        "later",
        "rederived",
    ] {
        let create = format!("create database {copy} template counterfoil");
        let psql = ["db", "psql", "--dbname", "postgres", "--quiet", "--command"];
        answer(counterfoil(&data).args(psql).arg(create)).with(0);
    }
    Books {
        data,
        demo,
        _holder: holder,
    }
});

fn hold(root: &Path, data: &Path) -> Child {
    let script = r#""$0" --data "$2" db psql --dbname postgres; rm -rf "$1""#;
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", script, env!("CARGO_BIN_EXE_counterfoil")])
        .arg(root)
        .arg(data);
    shell
        .env_remove("DATABASE_URL")
        .env_remove("COUNTERFOIL_DATA");
    shell
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    shell.spawn().unwrap()
}

pub(crate) fn books() -> &'static Books {
    &BOOKS
}

impl Books {
    /// A command on the demo's books.
    pub(crate) fn run(&self, arguments: &[&str]) -> Answer {
        answer(counterfoil(&self.data).args(arguments))
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        answer(counterfoil(&self.data).arg("--json").args(arguments)).json()
    }

    /// A command on one of the copies, as a database of the operator's.
    pub(crate) fn on(&self, copy: &str, arguments: &[&str]) -> Answer {
        let status = self.json(&["db", "status"]);
        let url = status["database_url"].as_str().unwrap();
        let url = url.replace("localhost/counterfoil?", &format!("localhost/{copy}?"));
        assert!(url.contains(copy), "{url}");
        answer(
            counterfoil(&self.data)
                .env("DATABASE_URL", url)
                .args(arguments),
        )
    }

    /// What somebody with all rights does to a copy.
    pub(crate) fn tamper(&self, copy: &str, sql: &str) {
        let psql = [
            "db",
            "psql",
            "--dbname",
            copy,
            "--quiet",
            "--set",
            "ON_ERROR_STOP=1",
        ];
        answer(counterfoil(&self.data).args(psql).args(["--command", sql])).with(0);
    }

    /// A file of this name below the data folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.data.join(name)
    }
}

/// The minor units of an amount in JSON.
#[track_caller]
pub(crate) fn minor(money: &Value) -> i64 {
    let amount = money["amount"]
        .as_str()
        .unwrap_or_else(|| panic!("no money: {money}"));
    amount.replace('.', "").parse().unwrap()
}

#[track_caller]
pub(crate) fn list(value: &Value) -> &[Value] {
    value
        .as_array()
        .unwrap_or_else(|| panic!("no list: {value}"))
}
