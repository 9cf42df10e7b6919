//! Orders from brands: reported once, answered alike, refused with a reason.

mod decisions;
mod postback;
pub(crate) mod shop;
mod special;
mod trail;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use shop::{Shop, sent};

/// A snapshot of what was answered, without what chance draws.
fn shown(name: &str, told: &shop::Told) {
    let mut settings = insta::Settings::new();
    let root = env!("CARGO_MANIFEST_DIR");
    settings.set_snapshot_path(format!("{root}/../snapshots/conversions"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut body = told.body.clone();
    hide_ids(&mut body);
    settings.bind(|| {
        let body = serde_json::to_string_pretty(&body).unwrap();
        insta::assert_snapshot!(name, format!("{} {}\n{body}", told.status, told.kind));
    });
}

fn hide_ids(value: &mut Value) {
    match value {
        Value::String(text) if text.parse::<uuid::Uuid>().is_ok() => "(an id)".clone_into(text),
        Value::Array(values) => values.iter_mut().for_each(hide_ids),
        Value::Object(fields) => fields.values_mut().for_each(hide_ids),
        _ => {}
    }
}

#[tokio::test]
async fn an_order_is_recorded_once_and_a_different_amount_changes_nothing() {
    let shop = Shop::open(&[]).await;
    let click = shop.click(&mut shop.service.connection().await).await;
    let mut order = shop.order("ORDER-2026-0001", &json!(99));
    order["pcps_click"] = json!(click);
    let first = shop.post("/api/conv", &order).await;
    shown("recorded", &first);
    let again = shop.post("/api/conv", &order).await;
    shown("duplicate", &again);
    assert_eq!(first.body["conversion_id"], again.body["conversion_id"]);

    order["order_value"] = json!("98.00");
    shown("conflict", &shop.post("/api/conv", &order).await);
    shown(
        "conflict_strict",
        &shop.post("/api/conv?strict_duplicates=true", &order).await,
    );
    let kept = "select count(*) from settlement.discrepancy
                where kind = 'order_amount' and reported = '98.00 USD' and stands = '99.00 USD'";
    assert_eq!(shop.count(kept).await, 1);
    assert_eq!(
        shop.count("select count(*) from settlement.conversion")
            .await,
        1
    );
    let author = "select count(*) from settlement.event where recorded_by like 'http:conv@key:%'";
    assert_eq!(shop.count(author).await, 1);
}

#[tokio::test]
async fn a_commission_of_the_senders_is_compared_and_never_trusted() {
    let shop = Shop::open(&[]).await;
    let click = shop.click(&mut shop.service.connection().await).await;
    for (order_ref, commission, differs) in [("A", "9.90", false), ("B", "50.00", true)] {
        let mut order = shop.order(order_ref, &json!(99));
        order["pcps_click"] = json!(click);
        order["commission_amount"] = json!(commission);
        let told = shop.post("/api/conv", &order).await;
        assert_eq!(told.body["commission"]["amount"], "9.90", "{told:?}");
        assert_eq!(told.body.get("warnings").is_some(), differs, "{told:?}");
    }
    let kept = "select count(*) from settlement.discrepancy
                where kind = 'commission_amount' and reported = '50.00 USD'";
    assert_eq!(shop.count(kept).await, 1);
}

#[tokio::test]
async fn fifty_at_once_with_one_reference_are_one_conversion() {
    let shop = Shop::open(&[]).await;
    for batching in ["on", "off"] {
        let (mut child, address) = shop.beside(&["--intake-batching", batching]).await;
        let mut posts = JoinSet::new();
        for n in 0..50 {
            let order = shop.order(&format!("RACE-{batching}"), &json!(10 + n % 2));
            let url = format!("http://{address}/api/conv");
            let client = &shop.service.client;
            let request = client.post(url).bearer_auth(&shop.keys[0]).json(&order);
            posts.spawn(sent(request));
        }
        let told = posts.join_all().await;
        let with = |status: &str| {
            told.iter()
                .filter(|told| told.body["status"] == status)
                .count()
        };
        assert_eq!(with("recorded"), 1, "{told:?}");
        assert_eq!(with("duplicate"), 24, "{told:?}");
        assert_eq!(with("conflict"), 25, "{told:?}");
        let id = &told[0].body["conversion_id"];
        assert!(told.iter().all(|told| told.body["conversion_id"] == *id));
        child.kill().await.unwrap();
    }
    let entries = "select count(*) from ledger.entry";
    let before = shop.count(entries).await;
    assert_eq!(shop.count("select count(*) from settlement.event").await, 2);
    assert!(before <= 2, "{before}");
}

#[tokio::test]
async fn nobody_reports_to_somebody_elses_program() {
    let shop = Shop::open(&[]).await;
    let order = shop.order("A-1", &json!(5));
    let with = async |key: Option<&str>| {
        let mut request = shop.service.post("/api/conv").json(&order);
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        sent(request).await
    };
    shown("no_key", &with(None).await);
    shown(
        "unknown_key",
        &with(Some("pc_live_00000000000000000000000000000000")).await,
    );
    shown("another_tenant", &with(Some(&shop.keys[1])).await);
    let reader = shop.key(&["--brand", "Acme", "--scope", "read"]).await;
    shown("no_scope", &with(Some(&reader)).await);
    let publisher = shop.key(&["--publisher", "Pat"]).await;
    assert_eq!(with(Some(&publisher)).await.status, 403);
    let elsewhere = shop
        .key(&["--brand", "Acme", "--from", "192.0.2.0/24"])
        .await;
    assert_eq!(with(Some(&elsewhere)).await.status, 403);
    assert_eq!(shop.count("select count(*) from settlement.event").await, 0);
    let network = shop.key(&["--network"]).await;
    assert_eq!(with(Some(&network)).await.status, 200);
}

#[tokio::test]
async fn a_revoked_key_is_refused_within_a_second() {
    let shop = Shop::open(&[]).await;
    let made = shop
        .command(&["keys", "create", "old", "--brand", "Acme"])
        .await;
    let key = made["key"].as_str().unwrap();
    let ask = async || {
        let request = shop.service.request("/v1/key").bearer_auth(key);
        sent(request).await.status
    };
    assert_eq!(ask().await, 200);
    shop.command(&["keys", "revoke", made["id"].as_str().unwrap()])
        .await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(ask().await, 401);
}

#[tokio::test]
async fn what_a_test_key_reports_is_answered_and_not_recorded() {
    let shop = Shop::open(&[]).await;
    let key = shop.key(&["--brand", "Acme", "--test"]).await;
    assert!(key.starts_with("pc_test_"));
    let request = shop.service.post("/api/conv").bearer_auth(&key);
    let told = sent(request.json(&shop.order("T-1", &json!("10.00")))).await;
    assert_eq!(
        (told.status, &told.body["test"]),
        (200, &json!(true)),
        "{told:?}"
    );
    for table in ["event", "conversion"] {
        let left: i64 = shop
            .count(match table {
                "event" => "select count(*) from settlement.event",
                _ => "select count(*) from settlement.conversion",
            })
            .await;
        assert_eq!(left, 0, "{table}");
    }
}

#[tokio::test]
async fn each_of_several_orders_has_its_own_outcome() {
    let shop = Shop::open(&[]).await;
    let mut foreign = shop.order("X", &json!(1));
    foreign["program_id"] = json!(shop.programs[1]);
    let mut lost = shop.order("Y", &json!(1));
    lost["program_id"] = json!("00000000-0000-0000-0000-000000000001");
    let batch = json!([
        shop.order("A", &json!(1)),
        shop.order("A", &json!(1)),
        shop.order("A", &json!(2)),
        shop.order("B", &json!(-1)),
        shop.order("C", &json!("1.001")),
        {"order_value": 1},
        foreign,
        lost,
        7,
        shop.order("D", &json!("12345678901.23")),
    ]);
    let told = shop.post("/api/conv", &batch).await;
    shown("several", &told);
    assert_eq!(
        shop.count("select count(*) from settlement.conversion")
            .await,
        2
    );
    let many: Vec<Value> = (0..1001)
        .map(|n| shop.order(&format!("M{n}"), &json!(1)))
        .collect();
    assert_eq!(shop.post("/api/conv", &json!(many)).await.status, 422);
    let told = shop.post("/api/conv", &json!(many[..1000])).await;
    assert_eq!(told.status, 207);
    assert_eq!(
        shop.count("select count(*) from settlement.conversion")
            .await,
        1002
    );
}

#[tokio::test]
async fn a_malformed_body_is_refused_whole() {
    let shop = Shop::open(&["--max-body", "4096"]).await;
    let good = shop.order("A", &json!(1)).to_string();
    let post = async |body: String| {
        let request = shop.service.post("/api/conv").bearer_auth(&shop.keys[0]);
        sent(request.body(body)).await
    };
    for (body, status) in [
        (String::new(), 400),
        ("{".to_owned(), 400),
        (format!("[{good}, {{]"), 400),
        (format!("{good} {good}"), 400),
        ("[]".to_owned(), 422),
        ("7".to_owned(), 422),
        ("null".to_owned(), 422),
        (
            good.replace("\"order_value\":1", "\"order_value\":1,\"order_value\":2"),
            422,
        ),
        (format!("{good}{}", " ".repeat(5000)), 413),
    ] {
        let told = post(body.clone()).await;
        assert_eq!(told.status, status, "{body:.100} {told:?}");
        assert_eq!(told.kind, "application/problem+json", "{body:.100}");
        assert!(told.body["detail"].as_str().unwrap().len() > 10, "{told:?}");
    }
    shown("malformed", &post(format!("[{good}, {{]")).await);
    assert_eq!(shop.count("select count(*) from settlement.event").await, 0);
}

#[tokio::test]
async fn who_asks_too_often_is_told_to_wait() {
    let shop = Shop::open(&["--rate-per-key", "1"]).await;
    let ask = async || {
        let request = shop.service.request("/v1/key").bearer_auth(&shop.keys[0]);
        request.send().await.unwrap()
    };
    let first = ask().await;
    assert_eq!(first.status(), 200);
    assert_eq!(first.headers()["ratelimit-policy"], "\"key\";q=1;w=1");
    assert_eq!(first.headers()["ratelimit"], "\"key\";r=1;t=1");
    let mut last = first;
    for _ in 0..3 {
        last = ask().await;
    }
    assert_eq!(last.status(), 429);
    assert_eq!(last.headers()["retry-after"], "1");
    // Another key is another caller.
    let other = shop.service.request("/v1/key").bearer_auth(&shop.keys[1]);
    assert_eq!(sent(other).await.status, 200);
}

#[tokio::test]
async fn without_a_database_a_report_is_asked_to_come_again() {
    let shop = Shop::open(&[]).await;
    assert_eq!(
        shop.post("/api/conv", &shop.order("A", &json!(1)))
            .await
            .status,
        200
    );
    let mut owner = shop.service.connection().await;
    sqlx::query(
        "select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid()",
    )
    .execute(&mut owner)
    .await
    .unwrap();
    // The writer's connection is gone: the report fails or is recorded, and the next is recorded.
    let cut = shop.post("/api/conv", &shop.order("B", &json!(1))).await;
    assert!([200, 503].contains(&cut.status), "{cut:?}");
    let again = shop.post("/api/conv", &shop.order("B", &json!(1))).await;
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(
        shop.count("select count(*) from settlement.conversion")
            .await,
        2
    );
}
