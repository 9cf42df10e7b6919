//! A running service with brands, programs, publishers and keys, and the words to talk to it.

use std::process::Stdio;

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use sqlx::PgConnection;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use uuid::Uuid;

use crate::service::Service;

/// A service whose brands sell at 10 %, fee deducted.
pub(crate) struct Shop {
    pub(crate) service: Service,
    /// The program of each brand, in the order asked for.
    pub(crate) programs: Vec<Uuid>,
    /// A key of each brand.
    pub(crate) keys: Vec<String>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) kind: String,
    pub(crate) body: Value,
}

impl Shop {
    /// Brands Acme and Bolt, and publisher Pat in both.
    pub(crate) async fn open(arguments: &[&str]) -> Shop {
        let service = Service::with(arguments, &[]).await;
        run(&service, &["init", "Net"]).await;
        let mut shop = Shop {
            service,
            programs: Vec::new(),
            keys: Vec::new(),
        };
        for brand in ["Acme", "Bolt"] {
            let program = [
                "program",
                "add",
                brand,
                "--currency",
                "USD",
                "--commission",
                "10%",
                "--fee-model",
                "deducted",
            ];
            let made = shop.command(&program).await;
            shop.programs
                .push(made["program"].as_str().unwrap().parse().unwrap());
            shop.command(&["publisher", "add", "Pat", "--brand", brand])
                .await;
            shop.keys.push(shop.key(&["--brand", brand]).await);
        }
        shop
    }

    /// A new key.
    pub(crate) async fn key(&self, arguments: &[&str]) -> String {
        let made = self
            .command(&[&["keys", "create", "a key"], arguments].concat())
            .await;
        made["key"].as_str().unwrap().to_owned()
    }

    /// What a command says, as JSON.
    pub(crate) async fn command(&self, arguments: &[&str]) -> Value {
        let said = run(&self.service, &[arguments, &["--json"]].concat()).await;
        serde_json::from_str(&said).unwrap_or(Value::Null)
    }

    /// A click of Pat's in Acme's program.
    pub(crate) async fn click(&self, conn: &mut PgConnection) -> Uuid {
        let id = Uuid::from_u128(0xc11c);
        sqlx::query(
            "insert into settlement.click (book_id, id, program_id, publisher_id, clicked_at,
                                           recorded_at, recorded_by)
             select g.book_id, $1, g.id, p.id, now() - interval '1 day', now(), 'test'
             from settlement.program g, settlement.publisher p where g.id = $2",
        )
        .bind(id)
        .bind(self.programs[0])
        .execute(conn)
        .await
        .unwrap();
        id
    }

    /// Now, by the clock that the service reads.
    #[expect(
        clippy::disallowed_methods,
        reason = "orders are dated by the service's clock"
    )]
    pub(crate) fn now() -> chrono::DateTime<chrono::Utc> {
        chrono::Utc::now()
    }

    /// Its day, UTC.
    pub(crate) fn today() -> String {
        Shop::now().date_naive().to_string()
    }

    /// What a command prints.
    pub(crate) async fn text(&self, arguments: &[&str]) -> String {
        run(&self.service, arguments).await
    }

    /// An order of Acme's.
    pub(crate) fn order(&self, order_ref: &str, value: &Value) -> Value {
        json!({
            "program_id": self.programs[0], "brand_order_ref": order_ref,
            "order_value": value, "order_currency": "USD",
        })
    }

    /// Posts as Acme.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Told {
        let request = self.service.post(path).bearer_auth(&self.keys[0]);
        sent(request.json(body)).await
    }

    /// Another process of the service on the same database.
    pub(crate) async fn beside(&self, arguments: &[&str]) -> (Child, String) {
        let mut command = self.service.command(&["serve", "--listen", "127.0.0.1:0"]);
        // Each process keeps its clicks in a folder of its own.
        let spool = self.service.file("spool-beside");
        let mut child = command
            .arg("--spool")
            .arg(spool)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().unwrap();
        let address = line.strip_prefix("listening on http://").unwrap();
        (child, address.to_owned())
    }

    /// How many rows a query finds.
    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        let mut conn = self.service.connection().await;
        sqlx::query_scalar(query)
            .fetch_one(&mut conn)
            .await
            .unwrap()
    }
}

/// What a request is answered.
pub(crate) async fn sent(request: RequestBuilder) -> Told {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let kind = answer.headers().get("content-type");
    let kind = kind.map_or("", |kind| kind.to_str().unwrap()).to_owned();
    let text = answer.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Told { status, kind, body }
}

async fn run(service: &Service, arguments: &[&str]) -> String {
    let output = service.command(arguments).output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments:?}: {said}{complaint}");
    said
}
