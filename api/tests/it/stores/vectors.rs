//! The seventeen signed deliveries, by number, each at the address that its sender was given.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    path: String,
    headers: BTreeMap<String, String>,
    body_file: String,
}

fn vectors() -> Vec<Vector> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    let text = std::fs::read_to_string(format!("{folder}/vectors.json")).unwrap();
    let read: Vectors = serde_json::from_str(&text).unwrap();
    assert_eq!(read.vectors.len(), 17);
    read.vectors
}

impl Shop {
    /// Sends a signed delivery as it is. Stripe's are signed again: who records one may not play it
    /// again half a year later.
    async fn plays(&self, vector: &Vector) -> Told {
        let body = fixture(vector.body_file.trim_end_matches(".body"));
        let mut headers = vector.headers.clone();
        if let Some(signature) = headers.get_mut("Stripe-Signature") {
            let stamp = now().timestamp().to_string();
            let parts = [stamp.as_bytes(), b".", body.as_bytes()];
            let signed = hex::encode(mac("whsec_test_secret", &parts));
            *signature = format!("t={stamp},v1={signed},v0=ignored");
        }
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        self.send(&vector.path, &body, &headers).await
    }

    async fn plays_all(&self, vectors: &[Vector], expected: &[(usize, &str, Option<&str>)]) {
        for (number, message, commission) in expected {
            let vector = &vectors[*number - 1];
            let told = self.plays(vector).await;
            assert_eq!(
                told.status,
                StatusCode::OK,
                "{number} {}: {}",
                vector.name,
                told.text
            );
            let says = (message.to_string(), commission.map(str::to_owned));
            assert_eq!(told.says(), says, "{number} {}", vector.name);
        }
    }
}

#[tokio::test]
async fn deliveries_1_to_5_of_shopify_and_woocommerce_and_12_to_16_of_stripe() {
    let shop = Shop::in_dollars().await;
    for (source, store, secret) in [
        ("shopify", "panda-demo.myshopify.com", "shopify-test-secret"),
        ("woo", "shop.example", "woo-test-secret"),
        ("stripe", "*", "whsec_test_secret"),
    ] {
        shop.connect_panda(source, store, secret).await;
    }
    let approved = "Commission approved";
    let expected = [
        (1, approved, Some("9.90")),
        (2, approved, Some("7.43")),
        (3, approved, Some("9.90")),
        (4, approved, Some("7.43")),
        (5, "Hello", None),
        (12, approved, Some("9.90")),
        (13, approved, Some("7.43")),
        (14, approved, Some("4.43")),
        (15, "Commission on hold", Some("4.43")),
        (16, "Ignored: the event concerns a payout", None),
    ];
    shop.plays_all(&vectors(), &expected).await;
    shop.run(&["verify"]).await;
}

#[tokio::test]
async fn deliveries_6_and_7_of_salla_are_one_in_two_ways_of_securing_it() {
    let shop = Shop::opened("2022-06-26T09:21:46Z".parse().unwrap()).await;
    let pending = "Commission pending";
    let expected = [(6, pending, Some("25.00")), (7, pending, Some("25.00"))];
    shop.plays_all(&vectors(), &expected).await;
    shop.run(&["verify"]).await;
}

#[tokio::test]
async fn deliveries_8_to_11_of_zid_in_each_mode_that_its_variable_names() {
    let vectors = vectors();
    for (mode, numbers) in [
        ("plain", &[8, 11][..]),
        ("sha256", &[9]),
        ("hmac-sha256", &[10]),
    ] {
        let shop = Shop::with(now(), &[("ZID_WEBHOOK_SIGNATURE_MODE", mode)]).await;
        for number in numbers {
            let told = shop.plays(&vectors[number - 1]).await;
            assert_eq!(told.status, StatusCode::OK, "{number}: {}", told.text);
            let (message, commission) = told.says();
            assert!(message.starts_with("Commission "), "{number}: {message}");
            assert_eq!(commission.as_deref(), Some("25.00"), "{number}");
        }
        for other in (8..=10).filter(|number| !numbers.contains(number)) {
            let told = shop.plays(&vectors[other - 1]).await;
            assert_eq!(
                told.status,
                StatusCode::UNAUTHORIZED,
                "{other} is signed otherwise"
            );
        }
    }
}

#[tokio::test]
async fn delivery_17_is_a_brands_own_postback() {
    let shop = Shop::in_dollars().await;
    let programs: Value = serde_json::from_str(
        &shop
            .run(&["--json", "program", "list", "--brand", "Panda"])
            .await,
    )
    .unwrap();
    let text = programs.to_string();
    let id = text.split("\"id\":\"").nth(1).unwrap();
    let key = ["--json", "keys", "create", "panda", "--brand", "Panda"];
    let key: Value = serde_json::from_str(&shop.run(&key).await).unwrap();
    let vector = &vectors()[16];
    let body = fixture("pandacps_conv");
    let body = body.replace("0b8a1e4e-1111-4c1a-9d53-000000000001", &id[..36]);
    let authorization = format!("Bearer {}", key["key"].as_str().unwrap());
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Content-Type", "application/json"),
    ];
    for status in ["recorded", "duplicate"] {
        let told = shop.send(&vector.path, &body, &headers).await;
        let answer: Value = serde_json::from_str(&told.text).unwrap();
        assert_eq!(
            (told.status, &answer["status"]),
            (StatusCode::OK, &json!(status)),
            "{answer}"
        );
    }
}

/// The names are those of Raff's own documentation.
#[tokio::test]
async fn the_variables_of_raff_are_read_by_their_names() {
    let environment = [
        ("ZID_WEBHOOK_HEADER", "X-Shop-Key"),
        ("SALLA_WEBHOOK_HEADER", "X-Shop-Signature"),
        ("SALLA_WEBHOOK_SIGNATURE_MODE", "sha256"),
        ("RISK_TRACKING_ORDER_THRESHOLD", "2"),
        ("RISK_TRACKING_WINDOW_MINUTES", "1"),
        ("RISK_SCORE_THRESHOLD", "70"),
        ("ENABLE_RISK_SCORING", "true"),
    ];
    let shop = Shop::with(now() - Duration::days(20), &environment).await;
    let order = |id: &str, minutes: i64| {
        let mut order = shop.zid_order(id, minutes, "pending", "new");
        order["created_at"] = order["updated_at"].clone();
        order.to_string()
    };
    for (header, expected) in [
        ("X-Zid-Webhook-Secret", StatusCode::UNAUTHORIZED),
        ("X-Shop-Key", StatusCode::OK),
    ] {
        let told = shop
            .send("/api/zid/webhook", &order("a", 0), &[(header, ZID)])
            .await;
        assert_eq!(told.status, expected, "{header}");
    }
    let salla = shop
        .salla_order(1, 100, "pending", "under_review")
        .to_string();
    let digest = hex::encode(Sha256::digest(format!("{SALLA}{salla}")));
    let told = shop
        .send(
            "/api/salla/webhook",
            &salla,
            &[("X-Shop-Signature", &digest)],
        )
        .await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    // Two orders of a click within a minute are too many here; two minutes apart they are not.
    let key = [("X-Shop-Key", ZID)];
    let far = shop.send("/api/zid/webhook", &order("b", 10), &key).await;
    far.with("Commission pending", Some("25.00"));
    let near = shop.send("/api/zid/webhook", &order("c", 11), &key).await;
    near.with("Commission on hold", Some("25.00"));
    assert_eq!(shop.state("b").await.as_deref(), Some("on_hold"));
}

#[tokio::test]
async fn orders_of_a_store_are_looked_at_for_signs_of_fraud() {
    let shop = Shop::open().await;
    for (n, message) in [
        (1, "Commission approved"),
        (2, "Commission approved"),
        (3, "Commission on hold"),
    ] {
        let order = shop.zid_order(&format!("f{n}"), n, "paid", "new");
        shop.zid(&order).await.with(message, Some("25.00"));
    }
    // All three: what was approved moved from 2000 to 2030, what was not is held as expected.
    for order in ["f1", "f2", "f3"] {
        assert_eq!(
            shop.state(order).await.as_deref(),
            Some("on_hold"),
            "{order}"
        );
    }
    assert_eq!(
        shop.balances().await,
        [
            "1110 6000",
            "2030 5000",
            "4010 1000",
            "9100 3000",
            "9210 2500",
            "9300 500"
        ]
    );
    // The store says nothing that would take somebody else's hold away, however often it speaks.
    let again = shop.zid_order("f1", 30, "paid", "delivered");
    shop.zid(&again)
        .await
        .with("Commission on hold", Some("25.00"));
    let mut conn = shop.service.connection().await;
    let signals: Vec<(String, String, i32)> = sqlx::query_as(
        "select signal, severity, score from settlement.fraud_signal order by conversion_id",
    )
    .fetch_all(&mut conn)
    .await
    .unwrap();
    let seen = ("HIGH_FREQUENCY_ORDERS".to_owned(), "HIGH".to_owned(), 70);
    assert_eq!(signals, [seen.clone(), seen.clone(), seen]);
    let story = shop.run(&["trace", "f1"]).await;
    assert!(story.contains("HIGH_FREQUENCY_ORDERS (HIGH 70)"), "{story}");
    for order in ["f1", "f2", "f3"] {
        assert!(
            story.contains(&format!("\"{order}\"")),
            "the evidence: {story}"
        );
    }
    shop.run(&["verify"]).await;
}
