//! Decisions, refunds, events, identities and claims over HTTP.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::shop::{Shop, Told, sent};
use super::shown;

/// A service with an order of 100.00 from Pat's click.
async fn sold(order_ref: &str) -> Shop {
    let shop = Shop::open(&[]).await;
    let click = shop.click(&mut shop.service.connection().await).await;
    let mut order = shop.order(order_ref, &json!("100.00"));
    order["pcps_click"] = json!(click);
    assert_eq!(
        shop.post("/api/conv", &order).await.body["state"],
        "pending"
    );
    shop
}

#[tokio::test]
async fn a_decision_has_an_author_a_reason_and_is_made_once() {
    let shop = sold("A-1").await;
    let reason = json!({"reason_code": "review", "note": "looks good", "actor": "jane"});
    let step = async |action: &str| {
        shop.post(&format!("/v1/conversions/A-1/{action}"), &reason)
            .await
    };
    shown("approved", &step("approve").await);
    assert_eq!(step("approve").await.body["status"], "unchanged");
    shown("impossible_step", &step("reject").await);
    for (action, state) in [
        ("hold", "on_hold"),
        ("release", "approved"),
        ("reverse", "reversed"),
        ("reinstate", "approved"),
    ] {
        let told = step(action).await;
        assert_eq!(
            (told.status, &told.body["state"]),
            (200, &json!(state)),
            "{told:?}"
        );
    }
    let authored = "select count(*) from settlement.change where reason = 'review: looks good'
                    and changed_by like 'http:%@key:% jane'";
    assert_eq!(shop.count(authored).await, 5);
    let unknown = shop.post("/v1/conversions/B-9/approve", &reason).await;
    assert_eq!(unknown.status, 404, "{unknown:?}");
    let reasonless = shop
        .post("/v1/conversions/A-1/hold", &json!({"reason_code": "mood"}))
        .await;
    assert_eq!(reasonless.status, 422, "{reasonless:?}");
    // Another brand's key finds no such order.
    let foreign = shop
        .service
        .post("/v1/conversions/A-1/hold")
        .bearer_auth(&shop.keys[1]);
    assert_eq!(sent(foreign.json(&reason)).await.status, 404);
    let many = json!({"conversions": ["A-1", "B-9", "A-1"], "reason_code": "fraud"});
    shown(
        "decided_many",
        &shop.post("/v1/conversions/hold", &many).await,
    );
}

#[tokio::test]
async fn refunds_add_up_and_never_exceed_the_order() {
    let shop = sold("A-1").await;
    let refund = async |body: Value| shop.post("/v1/conversions/A-1/refund", &body).await;
    shown(
        "refunded",
        &refund(json!({"refund_ref": "R1", "amount": "25.50"})).await,
    );
    let again = refund(json!({"refund_ref": "R1", "amount": "25.50"})).await;
    assert_eq!(again.body["status"], "duplicate", "{again:?}");
    let other = refund(json!({"refund_ref": "R1", "amount": "1"})).await;
    assert_eq!(other.status, 409, "{other:?}");
    // In all: only what is new counts, however often it is said.
    let total = refund(json!({"total_refunded": "40.00"})).await;
    assert_eq!(total.body["amount"]["amount"], "14.50", "{total:?}");
    assert_eq!(refund(json!({"total_refunded": "40.00"})).await.status, 409);
    let much = refund(json!({"refund_ref": "R2", "amount": "60.01"})).await;
    assert_eq!(much.body["status"], "parked", "{much:?}");
    let rest = refund(json!({})).await;
    assert_eq!(rest.body["amount"]["amount"], "60.00", "{rest:?}");
    assert_eq!(rest.body["state"], "reversed");
    assert_eq!(
        shop.count("select refunded from settlement.conversion")
            .await,
        10_000
    );
    for wrong in [
        json!({"amount": "1"}),
        json!({"refund_ref": "R9", "amount": "1.001"}),
        json!({"refund_ref": "R9", "amount": "-1"}),
        json!({"refund_ref": "R9", "amount": "1", "total_refunded": "1"}),
    ] {
        let told = refund(wrong.clone()).await;
        assert!((400..500).contains(&told.status), "{wrong} {told:?}");
    }
}

#[tokio::test]
async fn a_request_with_a_name_is_done_once_also_by_many_at_once() {
    let shop = sold("A-1").await;
    let body = json!({"refund_ref": "R1", "amount": "10.00"});
    let ask = |key: &str, body: &Value| {
        let request = shop
            .service
            .post("/v1/conversions/A-1/refund")
            .bearer_auth(&shop.keys[0]);
        sent(request.header("idempotency-key", key).json(body))
    };
    let mut posts = JoinSet::new();
    for _ in 0..20 {
        posts.spawn(ask("key-1", &body));
    }
    let told: Vec<Told> = posts.join_all().await;
    for one in &told {
        assert_eq!((one.status, &one.body), (200, &told[0].body), "{one:?}");
        assert_eq!(one.body["status"], "applied", "{one:?}");
    }
    let other = ask("key-1", &json!({"refund_ref": "R2", "amount": "10.00"})).await;
    shown("idempotency_key_reused", &other);
    assert_eq!(
        shop.count("select refunded from settlement.conversion")
            .await,
        1000
    );
    // A refusal is not kept: the same key may try again.
    assert_eq!(
        ask("key-2", &json!({"refund_ref": "R3", "amount": "0"}))
            .await
            .status,
        409
    );
    assert_eq!(
        ask("key-2", &json!({"refund_ref": "R3", "amount": "1"}))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_user_is_claimed_once_and_an_event_finds_the_click() {
    let shop = Shop::open(&[]).await;
    let click = shop.click(&mut shop.service.connection().await).await;
    let tie = json!({"user_id": "u1", "click_id": click});
    assert_eq!(
        shop.post("/v1/identify", &tie).await.body["status"],
        "identified"
    );
    assert_eq!(
        shop.post("/v1/identify", &tie).await.body["status"],
        "known"
    );
    let event = json!({"type": "invoice_paid", "user_id": "u1", "external_id": "in_1",
                       "amount": "49.00", "currency": "USD"});
    let first = shop.post("/v1/events", &event).await;
    assert_eq!(
        (first.status, &first.body["status"]),
        (200, &json!("recorded")),
        "{first:?}"
    );
    assert_eq!(
        shop.post("/v1/events", &event).await.body["status"],
        "duplicate"
    );
    let mut conn = shop.service.connection().await;
    let pat: uuid::Uuid = sqlx::query_scalar("select id from settlement.publisher")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    let mut posts = JoinSet::new();
    for n in 0..50 {
        let claim = json!({"user_id": "u2", "affiliate_id": pat,
                           "first_click_at": format!("2026-01-01T00:00:{n:02}Z")});
        let request = shop.service.post("/v1/claims").bearer_auth(&shop.keys[0]);
        posts.spawn(sent(request.json(&claim)));
    }
    let told = posts.join_all().await;
    assert_eq!(
        told.iter()
            .filter(|told| told.body["status"] == "claimed")
            .count(),
        1,
        "{told:?}"
    );
    let at = &told[0].body["first_click_at"];
    assert!(
        told.iter().all(|told| told.body["first_click_at"] == *at),
        "{told:?}"
    );
    let stored = "select count(*) from settlement.identity i where i::text like '%u1%'";
    assert_eq!(shop.count(stored).await, 0);
}
