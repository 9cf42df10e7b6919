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
    for again in ["40.00", "39.99"] {
        let again = refund(json!({"total_refunded": again})).await;
        assert_eq!(
            (again.status, &again.body["status"]),
            (200, &json!("duplicate")),
            "{again:?}"
        );
    }
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
async fn a_refund_has_an_author_and_a_reason_and_many_come_at_once() {
    let shop = sold("A-1").await;
    let why = json!({"refund_ref": "R1", "amount": "10.00", "reason_code": "cancellation",
                     "note": "too late", "actor": "jane"});
    let told = shop.post("/v1/conversions/A-1/refund", &why).await;
    assert_eq!(
        (told.status, &told.body["status"]),
        (200, &json!("applied")),
        "{told:?}"
    );
    let wrong = json!({"refund_ref": "R2", "amount": "10.00", "reason_code": "mood"});
    let told = shop.post("/v1/conversions/A-1/refund", &wrong).await;
    assert_eq!(
        (told.status, told.kind.as_str()),
        (422, "application/problem+json"),
        "{told:?}"
    );
    let many = json!({"actor": "joe", "refunds": [
        {"order": "A-1", "refund_ref": "R3", "amount": "5.50", "reason_code": "chargeback"},
        {"order": "A-1", "refund_ref": "R3", "amount": "5.50"},
        {"order": "A-1", "total_refunded": "20.00"},
        {"order": "B-9", "refund_ref": "R4", "amount": "1"},
    ]});
    let told = shop.post("/v1/conversions/refund", &many).await;
    let each: Vec<_> = told.body.as_array().unwrap().iter().collect();
    let statuses: Vec<_> = each
        .iter()
        .map(|one| one["http_status"].as_i64().unwrap())
        .collect();
    assert_eq!(
        (told.status, statuses),
        (207, vec![200, 200, 200, 404]),
        "{told:?}"
    );
    assert_eq!(each[1]["status"], "duplicate", "{told:?}");
    assert_eq!(each[2]["amount"]["amount"], "4.50", "{told:?}");
    let mut conn = shop.service.connection().await;
    let kept: Vec<(String, String)> = sqlx::query_as(
        "select reason, split_part(changed_by, ' ', 2) from settlement.change order by version",
    )
    .fetch_all(&mut conn)
    .await
    .unwrap();
    let kept: Vec<_> = kept
        .iter()
        .map(|(why, who)| (why.as_str(), who.as_str()))
        .collect();
    assert_eq!(
        kept,
        [
            ("refund R1 of 10.00 USD, cancellation: too late", "jane"),
            ("refund R3 of 5.50 USD, chargeback", "joe"),
            ("refund total 20.00 USD of 4.50 USD", "joe"),
        ]
    );
}

#[tokio::test]
async fn an_order_in_another_currency_is_refunded_in_its_own() {
    let shop = Shop::open(&[]).await;
    let day = Shop::today();
    shop.command(&[
        "rates", "set", "EUR", "USD", &day, "1.10", "--source", "hand",
    ])
    .await;
    let click = shop.click(&mut shop.service.connection().await).await;
    let mut order = shop.order("E-1", &json!("100.00"));
    order["order_currency"] = json!("EUR");
    order["pcps_click"] = json!(click);
    let told = shop.post("/api/conv", &order).await;
    assert_eq!(told.body["commission"]["amount"], "11.00", "{told:?}");
    let part = shop
        .post(
            "/v1/conversions/E-1/refund",
            &json!({"refund_ref": "R1", "amount": "40.00"}),
        )
        .await;
    let applied = json!({"amount": "40.00", "currency": "EUR"});
    assert_eq!(
        (&part.body["status"], &part.body["amount"]),
        (&json!("applied"), &applied)
    );
    let rest = shop.post("/v1/conversions/E-1/refund", &json!({})).await;
    let left = json!({"amount": "60.00", "currency": "EUR"});
    assert_eq!(
        (&rest.body["state"], &rest.body["amount"]),
        (&json!("reversed"), &left),
        "{rest:?}"
    );
    let none = "select count(*) from ledger.account_day group by account_id, book_id
                having sum(debits) <> sum(credits) limit 1";
    let mut conn = shop.service.connection().await;
    let open: Option<i64> = sqlx::query_scalar(none)
        .fetch_optional(&mut conn)
        .await
        .unwrap();
    assert_eq!(open, None);
}

#[tokio::test]
async fn a_signup_is_an_event_without_an_amount_and_earns_what_is_flat() {
    let shop = Shop::open(&[]).await;
    let program = [
        "program",
        "add",
        "Club",
        "--currency",
        "USD",
        "--commission",
        "5.00",
        "--fee-model",
        "deducted",
    ];
    let made = shop.command(&program).await;
    shop.command(&["publisher", "add", "Pat", "--brand", "Club"])
        .await;
    let key = shop.key(&["--brand", "Club"]).await;
    let click = uuid::Uuid::from_u128(0xc10b);
    let mut conn = shop.service.connection().await;
    sqlx::query(
        "insert into settlement.click (book_id, id, program_id, publisher_id, clicked_at,
                                       recorded_at, recorded_by)
         select g.book_id, $1, g.id, p.id, now() - interval '1 day', now(), 'test'
         from settlement.program g, settlement.publisher p where g.id = $2::uuid",
    )
    .bind(click)
    .bind(made["program"].as_str().unwrap())
    .execute(&mut conn)
    .await
    .unwrap();
    let event = json!({"type": "signup", "user_id": "u1", "external_id": "s1", "click_id": click});
    let post = shop
        .service
        .post("/v1/events")
        .bearer_auth(&key)
        .json(&event);
    let told = sent(post).await;
    assert_eq!(told.body["commission"]["amount"], "5.00", "{told:?}");
    assert_eq!(told.body["publisher_payout"]["amount"], "4.00", "{told:?}");
    let free = json!({"brand_order_ref": "F-1", "order_value": 0, "pcps_click": click});
    let post = shop.service.post("/api/conv").bearer_auth(&key).json(&free);
    assert_eq!(sent(post).await.body["commission"]["amount"], "5.00");
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
        422
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
