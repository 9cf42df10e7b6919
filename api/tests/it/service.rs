//! A running `counterfoil serve`, on a fresh database, with a client to talk to it.
//!
//! ```no_run
//! let service = Service::start().await;            // a fresh database and a folder of its own
//! let answer = service.get("/go/pat").await;       // redirects are answers, never followed
//! let mut conn = service.connection().await;       // as the owner; `service.db` for other roles
//! service.stop().await;                            // SIGTERM, waits; or just drop it
//! ```

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use migrations::testing::TestDatabase;
use reqwest::{Client, RequestBuilder, Response};
use sqlx::PgConnection;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::support::folder;

/// The service as a child of the test.
pub(crate) struct Service {
    pub(crate) db: TestDatabase,
    pub(crate) client: Client,
    pub(crate) address: SocketAddr,
    child: Child,
    data: TempDir,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Service {
    /// Starts it on a fresh database.
    pub(crate) async fn start() -> Service {
        Service::with(&[], &[]).await
    }

    /// Starts it on a fresh database, with more arguments and variables.
    pub(crate) async fn with(arguments: &[&str], environment: &[(&str, &str)]) -> Service {
        Service::on(
            migrations::testing::database().await,
            arguments,
            environment,
        )
        .await
    }

    /// Starts it on a database that something was done to already.
    pub(crate) async fn on(
        db: TestDatabase,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Service {
        let data = folder();
        let arguments: Vec<String> = arguments.iter().map(|&a| a.to_owned()).collect();
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        let environment: Vec<_> = environment.iter().map(owned).collect();
        let (child, address) = spawn(&db.url(), &data, &arguments, &environment).await;
        Service {
            db,
            client: client(),
            address,
            child,
            data,
            arguments,
            environment,
        }
    }

    /// The address of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A GET, not sent yet: `service.request("/go/x").header(…).send()`.
    pub(crate) fn request(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path))
    }

    /// A POST, not sent yet: `service.post("/api/conv").bearer_auth(key).json(&body).send()`.
    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(self.url(path))
    }

    /// What a GET is answered with.
    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(path).send().await.unwrap()
    }

    /// A connection to its database, as the owner of everything.
    pub(crate) async fn connection(&self) -> PgConnection {
        self.db.connection().await
    }

    /// A file or folder below its data folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.data.path().join(name)
    }

    /// Another command of the binary, on the same database and data folder.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = binary(&self.db.url(), &self.data);
        command.args(arguments);
        command
    }

    /// The id of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Kills it as `kill -9` does; what it had in hand is lost.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Starts it again, on the same database and data folder, at another port.
    pub(crate) async fn restart(&mut self) {
        let url = self.db.url();
        let started = spawn(&url, &self.data, &self.arguments, &self.environment).await;
        (self.child, self.address) = started;
    }

    /// Tells it to stop and waits until it has; true if it ended well.
    pub(crate) async fn stop(&mut self) -> bool {
        let pid = self.pid().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status().await;
        assert!(told.unwrap().success());
        let ended = tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await;
        ended.expect("it stops when told to").unwrap().success()
    }
}

/// A client that follows no redirects and keeps no cookies.
pub(crate) fn client() -> Client {
    // Building a client asks for a provider of TLS, though it will speak plain HTTP.
    drop(rustls::crypto::ring::default_provider().install_default());
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(30))
        .no_proxy()
        .build()
        .unwrap()
}

fn binary(url: &str, data: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_counterfoil"));
    command
        .arg("--data")
        .arg(data.path())
        .env_remove("COUNTERFOIL_DATA")
        .env_remove("COUNTERFOIL_SIGNING_KEY")
        .env("DATABASE_URL", url)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

async fn spawn(
    url: &str,
    data: &TempDir,
    arguments: &[String],
    environment: &[(String, String)],
) -> (Child, SocketAddr) {
    let mut command = binary(url, data);
    command
        .args(["serve", "--listen", "127.0.0.1:0"])
        .args(arguments);
    for (name, value) in environment {
        command.env(name, value);
    }
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_mins(1) {
        let line = lines
            .next_line()
            .await
            .unwrap()
            .expect("it says where it listens");
        if let Some(address) = line.strip_prefix("listening on http://") {
            let address = address.parse().unwrap();
            // Whatever it prints later must not fill the pipe.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return (child, address);
        }
    }
    panic!("the service does not start");
}

/// Tries until it holds; what the service does by itself takes a moment.
pub(crate) async fn eventually<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(20) {
        if let Some(found) = check().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{what}: not in 20 seconds");
}

mod tests {
    use super::*;

    #[tokio::test]
    async fn a_service_answers_and_stops_when_told_to() {
        let mut service = Service::start().await;
        let answer = service.get("/no/such/route").await;
        assert_eq!(answer.status(), 404);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let mut conn = service.connection().await;
        let count = sqlx::query_scalar::<_, i64>("select count(*) from ledger.entry");
        assert_eq!(count.fetch_one(&mut conn).await.unwrap(), 0);
        assert!(service.stop().await);
        service.restart().await;
        let posted = service.post("/no/such/route").send().await.unwrap();
        assert_eq!(posted.status(), 404);
        assert!(service.file("").is_dir());
        let version = service.command(&["--version"]).output().await.unwrap();
        assert!(version.status.success());
        service.kill().await;
        let gone = async || service.request("/").send().await.err();
        eventually("a killed service answers nobody", gone).await;
    }
}
