//! The twenty-seven cases by which Raff tries its own webhooks, at ours.

use super::*;

const COMMISSION: Option<&str> = Some("25.00");
const NONE: Option<&str> = Some("0.00");

/// Case 10: an order that was placed when its click had earned long enough.
fn expired(mut order: Value, opened: DateTime<Utc>) -> Value {
    let late = opened + Duration::days(15);
    if order["data"].is_object() {
        order["data"]["date"] = json!(late.to_rfc3339());
        order["data"]["source_details"]["value"] = json!("raff_longAgoLongAgo");
    } else {
        order["created_at"] = json!(late.to_rfc3339());
        order["referrer"] = json!("raff_longAgoLongAgo");
    }
    order
}

#[tokio::test]
async fn cases_1_to_13_of_zid() {
    let shop = Shop::open().await;
    shop.click("raff_longAgoLongAgo", shop.opened - Duration::days(16))
        .await;
    for event in ["create", "update", "publish", "delete"] {
        let body = json!({"event": format!("product.{event}"), "store_id": "789", "id": "p1"});
        let told = shop.zid(&body).await;
        told.with("Ignored: the event does not concern a conversion", None); // 1 to 4
    }
    let mut unreferred = shop.zid_order("z5", 0, "paid", "new");
    unreferred["referrer"] = Value::Null;
    shop.zid(&unreferred)
        .await
        .with("No referral, no commission", None); // 5
    let order = |minutes, payment, state| shop.zid_order("z6", minutes, payment, state);
    let pending = order(0, "pending", "new");
    shop.zid(&pending)
        .await
        .with("Commission pending", COMMISSION); // 6
    let paid = shop.zid(&order(1, "paid", "new")).await;
    paid.with("Commission approved", COMMISSION); // 7
    let delivered = shop.zid(&order(2, "paid", "delivered")).await;
    delivered.with("Commission approved", COMMISSION); // 8
    let refunded = shop.zid(&order(3, "refunded", "refunded")).await;
    refunded.with("Commission cancelled", NONE); // 9
    let late = expired(shop.zid_order("z10", 0, "paid", "new"), shop.opened);
    shop.zid(&late).await.with("Commission unattributed", NONE); // 10
    shop.zid(&pending).await.with("Commission cancelled", NONE); // 11: a duplicate changes nothing
    for n in 0..3 {
        let mut order = shop.zid_order(&format!("z12.{n}"), n * 60, "pending", "new");
        order["created_at"] = order["updated_at"].clone();
        shop.zid(&order)
            .await
            .with("Commission pending", COMMISSION); // 12: three of one click
    }
    let forged = [("X-Zid-Webhook-Secret", "zid-test-secreT")];
    let told = shop.send("/api/zid/webhook", &paid.text, &forged).await;
    assert_eq!(told.status, StatusCode::UNAUTHORIZED, "13: {}", told.text);

    assert_eq!(shop.state("z5").await, None);
    assert_eq!(shop.history("z6").await, ["approve", "reverse"]);
    let waiting = ["9100 9000", "9200 7500", "9300 1500"];
    assert_eq!(
        shop.balances().await,
        waiting,
        "three times 25.00 and the fee on top"
    );
}

#[tokio::test]
async fn cases_14_to_27_of_salla() {
    let shop = Shop::open().await;
    shop.click("raff_longAgoLongAgo", shop.opened - Duration::days(16))
        .await;
    let ignored = "Ignored: the event does not concern a conversion";
    for event in [
        "app.store.authorize", // 14
        "product.created",     // 15 to 18
        "product.updated",
        "product.available",
        "product.deleted",
    ] {
        let body = json!({"event": event, "merchant": 123_456_789, "data": {"id": 1}});
        shop.salla(&body).await.with(ignored, None);
    }
    let mut unreferred = shop.salla_order(19, 0, "pending", "under_review");
    unreferred["data"]["source_details"] = json!({"type": "direct", "value": null});
    shop.salla(&unreferred)
        .await
        .with("No referral, no commission", None); // 19
    let order = |minutes, payment, state| shop.salla_order(20, minutes, payment, state);
    let pending = order(0, "pending", "under_review");
    shop.salla(&pending)
        .await
        .with("Commission pending", COMMISSION); // 20
    let paid = shop.salla(&order(1, "paid", "in_progress")).await;
    paid.with("Commission approved", COMMISSION); // 21
    let delivered = shop.salla(&order(2, "paid", "delivered")).await;
    delivered.with("Commission approved", COMMISSION); // 22
    let cancelled = shop.salla(&order(3, "paid", "canceled")).await;
    cancelled.with("Commission cancelled", NONE); // 23
    let at_once = shop.salla_order(24, 0, "paid", "in_progress");
    shop.salla(&at_once)
        .await
        .with("Commission approved", COMMISSION); // 24
    let late = expired(shop.salla_order(25, 0, "paid", "in_progress"), shop.opened);
    shop.salla(&late)
        .await
        .with("Commission unattributed", NONE); // 25
    shop.salla(&at_once)
        .await
        .with("Commission approved", COMMISSION); // 26: a duplicate
    let forged = [("x-salla-signature", hex("another secret", b"{}"))];
    let forged = [(forged[0].0, forged[0].1.as_str())];
    let told = shop.send("/api/salla/webhook", "{}", &forged).await;
    assert_eq!(told.status, StatusCode::UNAUTHORIZED, "27: {}", told.text);

    assert_eq!(shop.history("24").await, ["approve"]);
    let owed = ["1110 3000", "2000 2500", "4010 500"];
    assert_eq!(
        shop.balances().await,
        owed,
        "one order: 25.00 and the fee on top"
    );
}
