//! The other side of the demo: visitors, brands' servers, stores and the network's office, all of
//! whom talk to a service of the demo's own over HTTP, with a clock that the demo sets.

use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use clap::Parser;
use hmac::{Hmac, KeyInit, Mac};
use ledger::Actor;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use settlement::access::{self, Mode, NewKey, Role, Secret};
use sha2::Sha256;
use sqlx::PgConnection;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::network::id;
use crate::chance;
use crate::database::{self, Database};
use crate::http::App;
use crate::service::{Service, Settings};

/// What the demo's keys are called.
const KEY: &str = "demo";
/// The browser of every visitor.
const BROWSER: &str = "Mozilla/5.0 (Windows NT 6.1; rv:2.0) Gecko/20100101 Firefox/4.0";

/// The service as `serve` would start it, but for what a replay needs: visitors come through a
/// proxy that says who they are, and a quarter of a year is told in seconds.
#[derive(Parser)]
#[command(name = "demo")]
struct Quick {
    #[command(flatten)]
    settings: Settings,
}

/// A service that runs, and a client that talks to it.
pub(super) struct Shop {
    app: App,
    client: Client,
    base: String,
    key: (Uuid, Secret),
    stop: CancellationToken,
    serving: JoinHandle<anyhow::Result<()>>,
}

impl Shop {
    /// Starts a service on a free port of this machine, at a moment of the replay.
    pub(super) async fn open(
        database: &Database,
        conn: &mut PgConnection,
        data: &Path,
        at: DateTime<Utc>,
    ) -> anyhow::Result<Shop> {
        chance::replay(at);
        let key = key(conn, at).await?;
        let spool = data.join("spool").display().to_string();
        let settings = Quick::try_parse_from([
            "demo",
            "--trusted-proxy=127.0.0.0/8",
            "--rate-per-key=0",
            "--rate-per-address=0",
            "--clicks-per-address=1000000",
            &format!("--spool={spool}"),
        ])?;
        let stop = CancellationToken::new();
        let service = Service::start(settings.settings, database, data, stop.clone()).await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let base = format!("http://{}", listener.local_addr()?);
        let app = service.app.clone();
        let serving = tokio::spawn(service.serve(listener));
        // A client asks for a provider of TLS, though it will speak plain HTTP to this machine.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Shop {
            app,
            client,
            base,
            key,
            stop,
            serving,
        })
    }

    /// Stops the service, when all clicks are in Postgres, and revokes the key it was asked with.
    pub(super) async fn close(self, conn: &mut PgConnection) -> anyhow::Result<()> {
        self.stop.cancel();
        drop((self.client, self.app));
        self.serving.await??;
        let now = chance::now();
        let by = Actor::new("cli:demo");
        let revoked = database::commit(conn, async |conn| {
            access::revoke(conn, now, &by, self.key.0).await
        });
        revoked.await?;
        chance::end_replay();
        Ok(())
    }

    /// The links that the office has just made are known at once, not in a moment.
    pub(super) async fn know_links(&self) -> anyhow::Result<()> {
        self.app.clicks.read_links(&self.app.pool).await
    }

    /// A day has begun: its salts are there.
    pub(super) async fn next_day(&self) -> anyhow::Result<()> {
        self.app.clicks.read_salts(&self.app.pool).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        request.bearer_auth(self.key.1.reveal())
    }

    /// The office does something, once however often the demo runs.
    pub(super) async fn manage(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.request(Method::POST, path).json(body);
        let name = format!("{path} {body}");
        let key = id("request", &name).to_string();
        answered(request.header("idempotency-key", key).send().await?, path).await
    }

    /// A visitor follows a link; returns what the shop finds in its address.
    pub(super) async fn visit(
        &self,
        path: &str,
        parameter: &str,
        from: Ipv4Addr,
    ) -> anyhow::Result<String> {
        let request = self.client.get(format!("{}{path}", self.base));
        let request = request
            .header("user-agent", BROWSER)
            .header("x-forwarded-for", from.to_string());
        let answer = request.send().await?;
        let location = answer.headers().get("location");
        let location = location.and_then(|value| value.to_str().ok());
        let carried = location
            .and_then(|location| url::Url::parse(location).ok())
            .and_then(|url| {
                let mut pairs = url.query_pairs();
                pairs.find_map(|(name, value)| (name == parameter).then(|| value.into_owned()))
            });
        carried.with_context(|| format!("{path} led nowhere: {}", answer.status()))
    }

    /// A brand's server recognises a user where a click had led.
    pub(super) async fn identify(
        &self,
        program: Uuid,
        user: &str,
        click: &str,
    ) -> anyhow::Result<()> {
        let body = json!({"program_id": program, "user_id": user, "click_id": click});
        let request = self.request(Method::POST, "/v1/identify").json(&body);
        answered(request.send().await?, "/v1/identify").await?;
        Ok(())
    }

    /// A brand's server reports orders; returns an answer for each.
    pub(super) async fn report(&self, orders: &[Value]) -> anyhow::Result<Vec<Value>> {
        let request = self.request(Method::POST, "/api/conv").json(orders);
        let answer = answered(request.send().await?, "/api/conv").await?;
        match answer {
            Value::Array(answers) => Ok(answers),
            other => bail!("/api/conv answered {other}"),
        }
    }

    /// A tracker reports an order in the words that trackers use.
    pub(super) async fn postback(&self, parameters: &[(&str, String)]) -> anyhow::Result<Value> {
        let request = self.request(Method::GET, "/postback").query(parameters);
        answered(request.send().await?, "/postback").await
    }

    /// A store tells of a refund, signed as Shopify signs.
    pub(super) async fn webhook(
        &self,
        store: &str,
        event: &str,
        body: &Value,
    ) -> anyhow::Result<Value> {
        let bytes = serde_json::to_vec(body)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(secret(store).as_bytes())?;
        mac.update(&bytes);
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let request = self
            .client
            .post(format!("{}/api/shopify/webhook", self.base));
        let request = request
            .header("content-type", "application/json")
            .header("x-shopify-topic", "refunds/create")
            .header("x-shopify-shop-domain", store)
            .header("x-shopify-event-id", event)
            .header("x-shopify-hmac-sha256", signature)
            .body(bytes);
        answered(request.send().await?, "/api/shopify/webhook").await
    }
}

/// What a store and the network sign with.
pub(super) fn secret(store: &str) -> String {
    id("secret", store).simple().to_string()
}

/// The office's key for this run; its id follows from how many runs there were, so that the books,
/// which name it, are the same on every machine.
async fn key(conn: &mut PgConnection, at: DateTime<Utc>) -> anyhow::Result<(Uuid, Secret)> {
    let secret = Secret::new(Mode::Live, chance::half()?);
    let by = Actor::new("cli:demo");
    let id = database::commit(conn, async |conn| -> anyhow::Result<Uuid> {
        let known = access::list(conn).await?;
        let runs = known.iter().filter(|key| key.name == KEY).count();
        let key = NewKey {
            id: id("key", &runs.to_string()),
            secret: secret.clone(),
            name: KEY.to_owned(),
            mode: Mode::Live,
            role: Role::Network,
            scopes: Role::Network.scopes().to_vec(),
            networks: vec!["127.0.0.0/8".to_owned()],
        };
        access::create(conn, at, &by, &key).await?;
        Ok(key.id)
    })
    .await?;
    Ok((id, secret))
}

/// What was answered, if it was not refused.
async fn answered(answer: Response, asked: &str) -> anyhow::Result<Value> {
    let status = answer.status();
    let text = answer.text().await?;
    if !status.is_success() {
        bail!("{asked} was answered {status}: {text}");
    }
    Ok(serde_json::from_str(&text)?)
}
