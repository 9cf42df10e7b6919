//! Coupons, rates, tiers and marks by command, and what they change about the next orders; what is
//! approved when its days have passed.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::shop::{Shop, Told, sent};

/// A new order of Acme's that names Pat's click, or nothing at all.
async fn ordered(shop: &Shop, order_ref: &str, more: Value) -> Told {
    let mut order = shop.order(order_ref, &json!("100.00"));
    for (name, value) in more.as_object().unwrap() {
        order[name] = value.clone();
    }
    shop.post("/api/conv", &order).await
}

#[tokio::test]
async fn a_code_is_given_to_a_publisher_ended_and_listed_by_command() {
    let shop = Shop::open(&[]).await;
    let since = (Shop::now() - TimeDelta::days(1)).to_rfc3339();
    shop.command(&["coupon", "add", "Acme", "Pat", "spring", "--from", &since])
        .await;
    let named = ordered(&shop, "C-1", json!({"coupon": " Spring "})).await;
    assert_eq!(named.body["state"], "pending", "{named:?}");
    let other = ordered(&shop, "C-2", json!({"coupon": "AUTUMN"})).await;
    assert_eq!(other.body["state"], "unattributed", "{other:?}");
    shop.command(&["coupon", "end", "Acme", "SPRING"]).await;
    let late = ordered(&shop, "C-3", json!({"coupon": "SPRING"})).await;
    assert_eq!(late.body["state"], "unattributed", "{late:?}");
    let listed = shop.command(&["coupon", "list", "Acme"]).await;
    assert_eq!(listed[0]["code"], "SPRING", "{listed}");
    assert!(listed[0]["ended_at"].is_string(), "{listed}");
    let story = shop.text(&["trace", "C-1"]).await;
    assert!(story.contains("credited  Pat  by coupon"), "{story}");
}

#[tokio::test]
async fn a_code_is_given_ended_and_seen_over_http_by_whom_it_concerns() {
    let shop = Shop::open(&[]).await;
    let network = shop.key(&["--network"]).await;
    let publisher = shop.key(&["--publisher", "Pat"]).await;
    let post = async |key: &str, path: &str, body: Value| {
        sent(shop.service.post(path).bearer_auth(key).json(&body)).await
    };
    let since = (Shop::now() - TimeDelta::days(1)).to_rfc3339();
    let code = json!({"program": "Acme", "publisher": "Pat", "code": "fall",
                      "valid_from": since});
    let made = post(&network, "/v1/coupons", code.clone()).await;
    assert_eq!(
        (made.status, &made.body["code"]),
        (201, &json!("FALL")),
        "{made:?}"
    );
    assert_eq!(
        post(&network, "/v1/coupons", code.clone()).await.status,
        409
    );
    assert_eq!(post(&publisher, "/v1/coupons", code).await.status, 403);
    let earned = ordered(&shop, "H-1", json!({"coupon": "Fall"})).await;
    assert_eq!(earned.body["state"], "pending", "{earned:?}");
    let list = async |key: &str| {
        let request = shop.service.request("/v1/coupons?program=Acme");
        sent(request.bearer_auth(key)).await
    };
    for key in [&network, &publisher, &shop.keys[0]] {
        let listed = list(key).await;
        assert_eq!(listed.body[0]["code"], "FALL", "{listed:?}");
    }
    assert_eq!(list(&shop.keys[1]).await.status, 403, "another brand's");
    let end = json!({"program": "Acme", "code": "FALL"});
    let ended = post(&network, "/v1/coupons/end", end.clone()).await;
    assert!(ended.body[0]["ended_at"].is_string(), "{ended:?}");
    assert_eq!(post(&network, "/v1/coupons/end", end).await.status, 409);
    let late = ordered(&shop, "H-2", json!({"coupon": "FALL"})).await;
    assert_eq!(late.body["state"], "unattributed", "{late:?}");
}

#[tokio::test]
async fn a_rate_of_its_own_a_tier_and_a_mark_count_from_the_next_order_on() {
    let shop = Shop::open(&[]).await;
    let click = shop.click(&mut shop.service.connection().await).await;
    let pays = async |order_ref: &str, more: Value| {
        let mut more = more;
        more["pcps_click"] = json!(click);
        let told = ordered(&shop, order_ref, more).await;
        told.body["commission"]["amount"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(pays("R-1", json!({})).await, "10.00");
    let rate = ["rule", "rate", "Acme"];
    shop.command(&[&rate[..], &["12%", "--publisher", "Pat"]].concat())
        .await;
    shop.command(&[&rate[..], &["7.50", "--product", "sku-1"]].concat())
        .await;
    assert_eq!(pays("R-2", json!({})).await, "12.00");
    assert_eq!(
        pays("R-3", json!({"product": "sku-1"})).await,
        "12.00",
        "a publisher comes first"
    );
    shop.command(&[&rate[..], &["none", "--publisher", "Pat"]].concat())
        .await;
    assert_eq!(pays("R-4", json!({"product": "sku-1"})).await, "7.50");
    let listed = shop.command(&["rule", "list", "Acme"]).await;
    assert_eq!(listed.as_array().unwrap().len(), 3, "{listed}");
    let tiers = json!({"rule": "tiered", "tiers": [
        {"name": "bronze", "from": {"orders": 0}, "pays": {"rule": "percentage", "rate": "0.05"}},
        {"name": "gold", "pays": {"rule": "percentage", "rate": "0.2"}},
    ]});
    let terms = [
        "program",
        "terms",
        "add",
        "Acme",
        "--rule",
        &tiers.to_string(),
    ];
    shop.command(&terms).await;
    assert_eq!(pays("R-5", json!({})).await, "5.00");
    shop.command(&["rule", "tier", "Acme", "Pat", "gold"]).await;
    assert_eq!(pays("R-6", json!({})).await, "20.00");
    // The publisher's own orders: by the user that the brand names.
    shop.command(&["rule", "own", "Acme", "Pat", "--user", "pat-himself"])
        .await;
    let more = json!({"user_id": "pat-himself", "pcps_click": click});
    let own = ordered(&shop, "R-7", more).await;
    assert_eq!(own.body["state"], "on_hold", "{own:?}");
    let story = shop.text(&["trace", "R-7"]).await;
    assert!(
        story.contains("SELF_PURCHASE_SUSPECTED (HIGH 80)"),
        "{story}"
    );
    shop.text(&["verify"]).await;
}

#[tokio::test]
async fn what_was_released_is_approved_by_the_worker_when_its_days_have_passed() {
    let shop = Shop::open(&[]).await;
    let rules = json!({"auto_approve": {"after_days": 3}, "holds": ["without_click"]});
    let rules = rules.to_string();
    let made = shop
        .command(&[
            "program",
            "add",
            "Days",
            "--currency",
            "USD",
            "--commission",
            "10%",
            "--fee-model",
            "deducted",
            "--rules",
            &rules,
        ])
        .await;
    shop.command(&["publisher", "add", "Pat", "--brand", "Days"])
        .await;
    let since = (Shop::now() - TimeDelta::days(30)).to_rfc3339();
    shop.command(&["coupon", "add", "Days", "Pat", "DAYS", "--from", &since])
        .await;
    let key = shop.key(&["--brand", "Days"]).await;
    let post = async |path: &str, body: Value| {
        sent(shop.service.post(path).bearer_auth(&key).json(&body)).await
    };
    for (order_ref, days) in [("D-1", 2), ("D-2", 4)] {
        let order = json!({"program_id": made["program"], "brand_order_ref": order_ref,
            "order_value": "50.00", "coupon": "DAYS",
            "occurred_at": (Shop::now() - TimeDelta::days(days)).to_rfc3339()});
        let told = post("/api/conv", order).await;
        assert_eq!(told.body["state"], "on_hold", "{told:?}");
        let reason = json!({"reason_code": "review"});
        let told = post(&format!("/v1/conversions/{order_ref}/release"), reason).await;
        assert_eq!(told.body["state"], "pending", "{told:?}");
    }
    shop.text(&["work", "--once"]).await;
    let mut conn = shop.service.connection().await;
    let states: Vec<(String, String)> =
        sqlx::query_as("select order_ref, state from settlement.conversion order by order_ref")
            .fetch_all(&mut conn)
            .await
            .unwrap();
    let expected = [("D-1", "pending"), ("D-2", "approved")];
    assert_eq!(states, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    let story = shop.text(&["trace", "D-2"]).await;
    assert!(story.contains("the days for review have passed"), "{story}");
}
