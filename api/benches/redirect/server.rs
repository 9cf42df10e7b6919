//! The servers that are asked, and what they spend.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Linux counts the processor time of a process in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// A data folder with a cluster of its own.
pub(crate) struct Home(TempDir);

/// A server that listens.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    /// Where its clicks lie, if it keeps any.
    home: Option<PathBuf>,
}

impl Home {
    /// An empty folder that the server's user can enter.
    pub(crate) async fn make() -> anyhow::Result<Home> {
        let folder = TempDir::with_prefix_in("redirect-", env!("CARGO_TARGET_TMPDIR"))?;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        let home = Home(folder);
        home.run(&["init", "Net"]).await?;
        Ok(home)
    }

    /// Its cluster ends before its files go.
    pub(crate) async fn leave(self) -> anyhow::Result<()> {
        self.run(&["db", "stop", "--force"]).await?;
        Ok(self.0.close()?)
    }

    /// A brand whose program takes visitors of one publisher; the slug of its link.
    pub(crate) async fn shop(&self) -> anyhow::Result<String> {
        let program = ["program", "add", "Acme", "--currency", "USD"];
        let terms = ["--commission", "10%", "--fee-model", "deducted"];
        self.run(&[&program[..], &terms].concat()).await?;
        self.run(&["publisher", "add", "Pat", "--brand", "Acme"])
            .await?;
        let track = ["program", "track", "Acme", "--to", "https://acme.example/p"];
        self.run(&[&track[..], &["--preset", "pcps_click"]].concat())
            .await?;
        let links = self.run(&["link", "list"]).await?;
        let links = links.as_array().context("no list of links")?;
        let slugs = links.iter().filter(|link| link["kind"] == "slug");
        let slug = slugs.map(|link| &link["slug"]).find_map(Value::as_str);
        Ok(slug.context("the publisher has no link")?.to_owned())
    }

    /// The service, as an operator runs it, but for the limit of one address.
    pub(crate) async fn serve(&self) -> anyhow::Result<Server> {
        let mut command = counterfoil(self.0.path());
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        command.args(["--clicks-per-address", "4000000000"]);
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let said = child.stdout.take().context("no output")?;
        let mut lines = BufReader::new(said).lines();
        while let Some(line) = lines.next_line().await? {
            if let Some(address) = line.strip_prefix("listening on http://") {
                let address = address.parse()?;
                let home = Some(self.0.path().to_owned());
                return Ok(Server {
                    child,
                    address,
                    home,
                });
            }
        }
        anyhow::bail!("the service does not start")
    }

    /// How many clicks the spool holds still, lost, or was refused by Postgres.
    pub(crate) async fn astray(&self) -> anyhow::Result<u64> {
        let told = self.run(&["spool"]).await?;
        let counts = ["waiting", "lost", "refused"].map(|name| told[name].as_u64());
        let sum = counts.into_iter().sum::<Option<u64>>();
        sum.context("the spool says too little")
    }

    /// What a command says, as JSON.
    async fn run(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        run(self.0.path(), arguments).await
    }
}

/// The program, knowing nothing of the environment.
fn counterfoil(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_counterfoil"));
    for name in [
        "DATABASE_URL",
        "COUNTERFOIL_DATA",
        "COUNTERFOIL_SIGNING_KEY",
    ] {
        command.env_remove(name);
    }
    command.arg("--data").arg(data);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn run(data: &Path, arguments: &[&str]) -> anyhow::Result<Value> {
    let mut command = counterfoil(data);
    let output = command.args(arguments).arg("--json").output().await?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{arguments:?}: {complaint}");
    Ok(serde_json::from_slice(&output.stdout).unwrap_or_default())
}

impl Server {
    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Processor time that its process has spent, its own and the system's for it.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let id = self.child.id().context("the server has ended")?;
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
        let (_, fields) = stat.rsplit_once(')').context("no such process")?;
        let mut fields = fields.split_whitespace().skip(11);
        let mut ticks = || {
            fields
                .next()
                .context("no processor time")?
                .parse::<u32>()
                .context("?")
        };
        Ok(TICK * (ticks()? + ticks()?))
    }

    /// Waits until its clicks are in Postgres.
    pub(crate) async fn rest(&self) -> anyhow::Result<()> {
        let Some(home) = &self.home else {
            return Ok(());
        };
        for _ in 0..600 {
            if run(home, &["spool"]).await?["waiting"] == 0 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        anyhow::bail!("the clicks of a round are not in Postgres after a minute")
    }
}

/// The reference: one worker that answers every request with `return 302` and writes no log.
pub(crate) struct Nginx;

impl Nginx {
    /// Starts it, if it is installed.
    pub(crate) async fn start(home: &Home) -> anyhow::Result<Option<Server>> {
        let places = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"];
        let Some(program) = places.into_iter().find(|place| Path::new(place).is_file()) else {
            return Ok(None);
        };
        let folder = home.0.path().join("nginx");
        std::fs::create_dir(&folder)?;
        // Taken and let go: free a moment later too.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let at = folder.display();
        let configuration = format!(
            "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;
             events {{ worker_connections 1024; }}
             http {{
                 access_log off; keepalive_requests 1000000000;
                 client_body_temp_path {at}/body; proxy_temp_path {at}/proxy;
                 fastcgi_temp_path {at}/fastcgi; uwsgi_temp_path {at}/uwsgi;
                 scgi_temp_path {at}/scgi;
                 server {{
                     listen {address};
                     return 302 https://acme.example/p?pcps_click=1;
                 }}
             }}"
        );
        let file = folder.join("nginx.conf");
        std::fs::write(&file, configuration)?;
        let mut command = Command::new(program);
        command
            .arg("-c")
            .arg(&file)
            .arg("-e")
            .arg(folder.join("error.log"));
        let child = command.stdin(Stdio::null()).kill_on_drop(true).spawn()?;
        for _ in 0..100 {
            if tokio::net::TcpStream::connect(address).await.is_ok() {
                return Ok(Some(Server {
                    child,
                    address,
                    home: None,
                }));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("nginx does not start; see {at}/error.log")
    }
}
