//! Store webhooks against the running service: what is answered, and what the books say then.

mod bugs;
mod cases;
mod senders;
mod vectors;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Duration, Utc};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::service::Service;

/// The tracking id of the click that orders name.
pub(crate) const TRACKING: &str = "raff_X4m9K2pL7nQw";
/// The secrets of the signed deliveries.
const ZID: &str = "zid-test-secret";
const SALLA: &str = "salla-test-secret";

/// A running service with one brand of 5 % whose stores are connected.
pub(crate) struct Shop {
    pub(crate) service: Service,
    /// Orders are placed from here on; the click lies a day before.
    pub(crate) opened: DateTime<Utc>,
    folder: tempfile::TempDir,
}

/// What a sender is answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
}

impl Told {
    /// The message, and the commission as it is written.
    #[track_caller]
    pub(crate) fn says(&self) -> (String, Option<String>) {
        let answer: Value = serde_json::from_str(&self.text).unwrap();
        let message = answer["message"].as_str().unwrap().to_owned();
        let written = self.text.split_once(r#""commission":"#);
        let written = written.map(|(_, rest)| rest.trim_end_matches('}').to_owned());
        (message, written)
    }

    /// A delivery that was taken in, and what came of it.
    #[track_caller]
    pub(crate) fn with(&self, message: &str, commission: Option<&str>) {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        let expected = (message.to_owned(), commission.map(str::to_owned));
        assert_eq!(self.says(), expected);
    }
}

impl Shop {
    /// Zid and Salla with the default secrets of the environment, approved when paid.
    pub(crate) async fn open() -> Shop {
        Shop::opened(now() - Duration::days(20)).await
    }

    pub(crate) async fn opened(opened: DateTime<Utc>) -> Shop {
        Shop::with(opened, &[]).await
    }

    /// Orders are not looked at for signs of fraud: for tests that place many of one click.
    async fn trusting() -> Shop {
        Shop::with(
            now() - Duration::days(20),
            &[("ENABLE_RISK_SCORING", "false")],
        )
        .await
    }

    async fn with(opened: DateTime<Utc>, more: &[(&str, &str)]) -> Shop {
        let secrets = [("ZID_WEBHOOK_SECRET", ZID), ("SALLA_WEBHOOK_SECRET", SALLA)];
        let environment = [&secrets, more].concat();
        let shop = Shop {
            service: Service::with(&[], &environment).await,
            opened,
            folder: crate::support::folder(),
        };
        shop.run(&["init", "Raff", "--zone", "UTC"]).await;
        shop.run(&[
            "program",
            "add",
            "Store",
            "--currency",
            "SAR",
            "--commission",
            "5%",
            "--fee-model",
            "on-top",
        ])
        .await;
        shop.run(&["publisher", "add", "Pat", "--brand", "Store"])
            .await;
        for source in ["zid", "salla"] {
            shop.connect(source, &["--auto-approve-on-paid"], None)
                .await;
        }
        shop.click(TRACKING, opened - Duration::days(1)).await;
        shop
    }

    /// Connects any store of a sender; its connection's own path.
    pub(crate) async fn connect(
        &self,
        source: &str,
        more: &[&str],
        secret: Option<&str>,
    ) -> String {
        let mut arguments = vec!["--json", "store", "add", source, "--brand", "Store"];
        arguments.extend(more);
        let file = self.folder.path().join(source);
        if let Some(secret) = secret {
            std::fs::write(&file, secret).unwrap();
            arguments.extend(["--secret-file", file.to_str().unwrap()]);
        }
        let answer: Value = serde_json::from_str(&self.run(&arguments).await).unwrap();
        answer["path"].as_str().unwrap().to_owned()
    }

    /// Runs a command that must succeed; what it prints.
    pub(crate) async fn run(&self, arguments: &[&str]) -> String {
        let output = self.service.command(arguments).output().await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {text}{error}");
        text
    }

    /// A click of Pat's with this tracking id.
    pub(crate) async fn click(&self, tracking: &str, at: DateTime<Utc>) {
        let id = Uuid::try_parse(tracking).unwrap_or_else(|_| {
            let namespace = Uuid::from_u128(0x5c1d_0b6e_8a42_4f77_9e35_c0f1_7e1e_f011);
            Uuid::new_v5(&namespace, tracking.as_bytes())
        });
        let mut conn = self.service.connection().await;
        sqlx::query(
            "insert into settlement.click (book_id, id, program_id, publisher_id, clicked_at,
                                           recorded_at, recorded_by)
             select p.book_id, $1, p.id, u.id, $2, $2, 'test'
             from settlement.program p, settlement.publisher u",
        )
        .bind(id)
        .bind(at)
        .execute(&mut conn)
        .await
        .unwrap();
    }

    /// Sends a body with headers.
    pub(crate) async fn send(&self, path: &str, body: &str, headers: &[(&str, &str)]) -> Told {
        let mut request = self.service.post(path).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        Told {
            status: response.status(),
            text: response.text().await.unwrap(),
        }
    }

    /// A delivery of Zid, with the secret itself.
    pub(crate) async fn zid(&self, body: &Value) -> Told {
        let headers = [("X-Zid-Webhook-Secret", ZID)];
        self.send("/api/zid/webhook", &body.to_string(), &headers)
            .await
    }

    /// A delivery of Salla, signed.
    pub(crate) async fn salla(&self, body: &Value) -> Told {
        let body = body.to_string();
        let signature = hex(SALLA, body.as_bytes());
        let headers = [("x-salla-signature", signature.as_str())];
        self.send("/api/salla/webhook", &body, &headers).await
    }

    /// An order as Zid describes it, this many minutes after opening.
    pub(crate) fn zid_order(&self, id: &str, minutes: i64, payment: &str, state: &str) -> Value {
        let at = self.opened + Duration::minutes(minutes);
        json!({
            "event": "order.update", "order_id": id, "store_id": "789", "currency": "SAR",
            "total": "500.00", "payment_status": payment, "order_status": {"code": state},
            "referrer": format!("https://store.zid.sa/products/123?ref={TRACKING}"),
            "created_at": self.opened.to_rfc3339(), "updated_at": at.to_rfc3339(),
            "customer": {"name": "Ada Person", "email": "ada@example.com"},
        })
    }

    /// An order as Salla describes it, this many minutes after opening.
    pub(crate) fn salla_order(&self, id: i64, minutes: i64, payment: &str, state: &str) -> Value {
        let at = self.opened + Duration::minutes(minutes);
        let local = self.opened.with_timezone(&chrono_tz::Asia::Riyadh);
        json!({
            "event": "order.updated", "merchant": 123_456_789, "created_at": at.to_rfc3339(),
            "data": {
                "id": id, "reference_id": 4, "currency": "SAR",
                "date": {"date": local.format("%Y-%m-%d %H:%M:%S.%6f").to_string(),
                         "timezone_type": 3, "timezone": "Asia/Riyadh"},
                "status": {"slug": state}, "payment": {"status": payment},
                "amounts": {"total": {"amount": "500.00", "currency": "SAR"}},
                "source_details": {"type": "referral", "value": TRACKING},
                "customer": {"id": 7, "first_name": "Ada", "mobile": "0500000000"},
            },
        })
    }

    /// The state of an order's conversion.
    pub(crate) async fn state(&self, order: &str) -> Option<String> {
        let mut conn = self.service.connection().await;
        let query = "select state from settlement.conversion where order_ref = $1";
        let state = sqlx::query_scalar(query).bind(order);
        state.fetch_optional(&mut conn).await.unwrap()
    }

    /// What was done to an order's conversion, in order.
    pub(crate) async fn history(&self, order: &str) -> Vec<String> {
        let mut conn = self.service.connection().await;
        let query = "select h.action from settlement.change h
                     join settlement.conversion c on c.id = h.conversion_id
                     where c.order_ref = $1 order by h.version";
        let history = sqlx::query_scalar(query).bind(order);
        history.fetch_all(&mut conn).await.unwrap()
    }

    /// Balances that are not zero, by code.
    pub(crate) async fn balances(&self) -> Vec<String> {
        balances(&mut self.service.connection().await).await
    }
}

/// The service under test reads the clock; orders are placed by the same one.
#[expect(
    clippy::disallowed_methods,
    reason = "deliveries are dated by the clock that the service reads"
)]
fn now() -> DateTime<Utc> {
    Utc::now()
}

async fn balances(conn: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar(
        "select a.code || ' ' || abs(sum(d.debits - d.credits))
         from ledger.account_day d
         join ledger.account a on a.book_id = d.book_id and a.id = d.account_id
         group by a.code having sum(d.debits - d.credits) <> 0 order by a.code",
    )
    .fetch_all(conn)
    .await
    .unwrap()
}

fn mac(secret: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

fn hex(secret: &str, body: &[u8]) -> String {
    hex::encode(mac(secret, &[body]))
}

fn base64(secret: &str, body: &[u8]) -> String {
    STANDARD.encode(mac(secret, &[body]))
}

/// The raw body of a signed delivery.
fn fixture(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    std::fs::read_to_string(format!("{folder}/{name}.body")).unwrap()
}
