//! Ten mistakes that are known of Raff's own code, each of which would cost somebody money.
//!
//! 1. A paid commission could flip to cancelled, and nothing told that it had been paid.
//! 2. A "pending" of Salla after "paid" took the commission back to pending.
//! 3. What was taken back left no record.
//! 4. Amounts went through floats.
//! 5. Whether a click had expired was asked when the webhook came, not when the order was placed.
//! 6. Salla's own documented payload (a numeric merchant, `amounts.total.amount`) was not read.
//! 7. The rate was looked up again at every update, instead of kept.
//! 8. Zid's documented payload (an address under `referrer`) was not attributed.
//! 9. `ON_HOLD` was documented and never set.
//! 10. Of Zid's codes, reversed, chargeback, expired, failed, denied and canceledReversal did
//!     nothing.

use super::*;

#[tokio::test]
async fn bug_1_what_was_approved_stays_in_the_history_when_it_is_cancelled() {
    let shop = Shop::open().await;
    shop.zid(&shop.zid_order("1", 0, "paid", "new"))
        .await
        .with("Commission approved", Some("25.00"));
    let entries = "select string_agg(encode(hash, 'hex'), ',' order by number) from ledger.entry";
    let mut conn = shop.service.connection().await;
    let before: String = sqlx::query_scalar(entries)
        .fetch_one(&mut conn)
        .await
        .unwrap();
    shop.zid(&shop.zid_order("1", 9, "refunded", "canceled"))
        .await;
    let after: String = sqlx::query_scalar(entries)
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert!(
        after.starts_with(&before) && after.len() > before.len(),
        "only added to"
    );
    assert_eq!(shop.history("1").await, ["approve", "reverse"]);
}

#[tokio::test]
async fn bug_2_pending_after_paid_changes_nothing_at_salla() {
    let shop = Shop::open().await;
    shop.salla(&shop.salla_order(2, 5, "paid", "in_progress"))
        .await;
    let earned = shop.balances().await;
    for minutes in [1, 9] {
        let pending = shop.salla_order(2, minutes, "pending", "under_review");
        shop.salla(&pending)
            .await
            .with("Commission approved", Some("25.00"));
    }
    assert_eq!(shop.balances().await, earned);
}

#[tokio::test]
async fn bug_3_what_is_taken_back_has_its_entries_and_its_reason() {
    let shop = Shop::open().await;
    shop.zid(&shop.zid_order("3", 0, "paid", "new")).await;
    shop.zid(&shop.zid_order("3", 9, "paid", "chargeback"))
        .await;
    let mut conn = shop.service.connection().await;
    let query = "select reason, cardinality(entry_ids) from settlement.change
                 where action = 'reverse'";
    let reversal: (String, i32) = sqlx::query_as(query).fetch_one(&mut conn).await.unwrap();
    assert_eq!(reversal, ("zid says: order chargeback".to_owned(), 1));
    assert!(shop.balances().await.is_empty());
    shop.run(&["verify"]).await;
}

#[tokio::test]
async fn bug_4_no_amount_passes_through_a_float() {
    let shop = Shop::trusting().await;
    // 5 % are 1.005: 1.00 in floats.
    let body = shop.zid_order("4", 0, "pending", "new").to_string();
    for (n, total) in ["20.10", r#""20.10""#, "2010e-2"].into_iter().enumerate() {
        let order = body.replace(r#""500.00""#, total);
        let order = order.replace(r#""order_id":"4""#, &format!(r#""order_id":"4.{n}""#));
        let headers = [("X-Zid-Webhook-Secret", ZID)];
        let told = shop.send("/api/zid/webhook", &order, &headers).await;
        told.with("Commission pending", Some("1.01"));
    }
}

#[tokio::test]
async fn bug_5_the_time_of_the_order_decides_whether_its_click_still_earns() {
    let shop = Shop::opened(now() - Duration::days(200)).await;
    let mut order = shop.zid_order("5", 0, "paid", "new");
    let in_time = shop.opened + Duration::days(28);
    order["created_at"] = json!(in_time.to_rfc3339());
    shop.zid(&order)
        .await
        .with("Commission approved", Some("25.00"));
    let mut order = shop.zid_order("5b", 0, "paid", "new");
    let too_late = shop.opened + Duration::days(30);
    order["created_at"] = json!(too_late.to_rfc3339());
    shop.zid(&order)
        .await
        .with("Commission unattributed", Some("0.00"));
}

#[tokio::test]
async fn bug_6_sallas_documented_payload_is_read() {
    let placed = "2022-06-26T09:21:46Z".parse().unwrap();
    let shop = Shop::opened(placed).await;
    let body = fixture("salla_order_created");
    let signature = "34a8f0b209c17198e12d68c7abeffa53e8a344566ba6b64d15724bff1f008cae";
    let signed = [
        ("X-Salla-Security-Strategy", "Signature"),
        ("x-salla-signature", signature),
    ];
    let told = shop.send("/api/salla/webhook", &body, &signed).await;
    told.with("Commission pending", Some("25.00"));
    let token = [
        ("X-Salla-Security-Strategy", "Token"),
        ("Authorization", SALLA),
    ];
    let again = shop.send("/api/salla/webhook", &body, &token).await;
    assert_eq!(
        again, told,
        "the same bytes, secured otherwise, are the same delivery"
    );
}

#[tokio::test]
async fn bug_7_an_order_keeps_the_rate_it_was_recorded_with() {
    let shop = Shop::open().await;
    shop.zid(&shop.zid_order("7", 0, "pending", "new"))
        .await
        .with("Commission pending", Some("25.00"));
    let mut conn = shop.service.connection().await;
    let columns = "select string_agg(quote_ident(column_name), ',') from information_schema.columns
                   where table_schema = 'settlement' and table_name = 'program_terms'
                     and column_name not in ('version', 'rule')";
    let columns: String = sqlx::query_scalar(columns)
        .fetch_one(&mut conn)
        .await
        .unwrap();
    let raise = format!(
        "insert into settlement.program_terms (version, rule, {columns})
         select 2, jsonb_set(rule, '{{rate}}', '\"0.1\"'), {columns} from settlement.program_terms"
    );
    sqlx::query(sqlx::AssertSqlSafe(raise))
        .execute(&mut conn)
        .await
        .unwrap();
    shop.zid(&shop.zid_order("7", 5, "paid", "new"))
        .await
        .with("Commission approved", Some("25.00"));
    let next = shop.zid(&shop.zid_order("7b", 5, "paid", "new")).await;
    next.with("Commission approved", Some("50.00"));
}

#[tokio::test]
async fn bug_8_zids_documented_payload_is_attributed_and_answered_as_documented() {
    let shop = Shop::with(now(), &[("ENABLE_RISK_SCORING", "false")]).await;
    for (name, headers) in [
        ("zid_seed_plain", [("X-Zid-Webhook-Secret", ZID)]),
        ("zid_nested_paid", [("X-Zid-Webhook-Secret", ZID)]),
    ] {
        let told = shop
            .send("/api/zid/webhook", &fixture(name), &headers)
            .await;
        assert_eq!(told.status, StatusCode::OK);
        let expected = match name {
            "zid_seed_plain" => {
                r#"{"success":true,"message":"Commission pending","commission":25.00}"#
            }
            _ => r#"{"success":true,"message":"Commission approved","commission":25.00}"#,
        };
        assert_eq!(told.text, expected, "{name}");
    }
    for field in ["referer_code", "referrer_code", "referer"] {
        let mut order = shop.zid_order(field, 0, "pending", "new");
        order["referrer"] = Value::Null;
        order["data"] = json!({ field: TRACKING });
        shop.zid(&order)
            .await
            .with("Commission pending", Some("25.00"));
    }
}

#[tokio::test]
async fn bug_9_on_hold_really_holds_the_money() {
    let shop = Shop::open().await;
    shop.zid(&shop.zid_order("9", 0, "paid", "new")).await;
    let held = shop
        .zid(&shop.zid_order("9", 5, "paid", "processingReverse"))
        .await;
    held.with("Commission on hold", Some("25.00"));
    assert_eq!(
        shop.balances().await,
        ["1110 3000", "2030 2500", "4010 500"]
    );
    let back = shop
        .zid(&shop.zid_order("9", 9, "paid", "canceledReversal"))
        .await;
    back.with("Commission approved", Some("25.00"));
    assert_eq!(
        shop.balances().await,
        ["1110 3000", "2000 2500", "4010 500"]
    );
}

#[tokio::test]
async fn bug_10_every_code_of_zid_takes_back_or_gives_back() {
    let shop = Shop::trusting().await;
    for code in ["reversed", "chargeback", "expired", "failed", "denied"] {
        shop.zid(&shop.zid_order(code, 0, "paid", "new")).await;
        let told = shop.zid(&shop.zid_order(code, 5, "paid", code)).await;
        told.with("Commission cancelled", Some("0.00"));
        let told = shop
            .zid(&shop.zid_order(code, 9, "paid", "canceledReversal"))
            .await;
        told.with("Commission approved", Some("25.00"));
        assert_eq!(
            shop.history(code).await,
            ["approve", "reverse", "reinstate"],
            "{code}"
        );
    }
    let unpaid = shop.zid_order("denied", 12, "unpaid", "ready");
    shop.zid(&unpaid)
        .await
        .with("Commission approved", Some("25.00"));
}
