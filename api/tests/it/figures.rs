//! Figures over HTTP and by command: whose they are, and what they never show.

use serde_json::{Value, json};

use crate::clicks::{carried, stored, tracked, visit};
use crate::conversions::shop::{Shop, Told, sent};

/// Acme with two clicks of Pat's and three orders, of which one is approved.
async fn with_orders() -> (Shop, String) {
    let (shop, slug) = tracked("pcps_click", &[]).await;
    let mut answers = Vec::new();
    for (number, mark) in [("1", "FB"), ("2", "IG")] {
        let answer = visit(&shop, &format!("/go/{slug}?sub1={mark}"))
            .send()
            .await
            .unwrap();
        let click = carried(&answer, "pcps_click").unwrap();
        stored(&shop, click.parse().unwrap()).await;
        answers.push((number, click));
    }
    for (reference, click, value) in [
        ("A", &answers[0].1, "99.00"),
        ("B", &answers[0].1, "1.00"),
        ("C", &answers[1].1, "600.00"),
    ] {
        let mut order = shop.order(reference, &json!(value));
        order["pcps_click"] = json!(click);
        order["product_id"] = json!("shoe");
        assert_eq!(
            shop.post("/api/conv", &order).await.body["state"],
            "pending"
        );
    }
    let why = json!({"reason": "looked at", "reason_code": "review"});
    let approved = shop.post("/v1/conversions/A/approve", &why).await;
    assert_eq!(approved.status, 200, "{approved:?}");
    let publishers = shop.command(&["publisher", "list"]).await;
    let code = publishers[0]["code"].as_str().unwrap().to_owned();
    (shop, code)
}

fn shown(name: &str, told: &Told) {
    let mut settings = insta::Settings::new();
    let root = env!("CARGO_MANIFEST_DIR");
    settings.set_snapshot_path(format!("{root}/../snapshots/figures"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let text = match &told.body {
        Value::String(text) => text.clone(),
        body => serde_json::to_string_pretty(body).unwrap(),
    };
    let mut text = format!("{} {}\n{text}", told.status, told.kind);
    for (drawn, word) in [
        ("[0-9a-f]{8}-[0-9a-f-]{27}", "(an id)"),
        (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "(a moment)"),
        ("pat-[a-z0-9]{8}", "(a slug)"),
        (
            r#""next_cursor": "[^"]+""#,
            r#""next_cursor": "(a cursor)""#,
        ),
    ] {
        let drawn = regex::Regex::new(drawn).unwrap();
        text = drawn.replace_all(&text, word).into_owned();
    }
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[tokio::test]
async fn each_reading_says_what_happened_and_nothing_that_names_an_order() {
    let (shop, code) = with_orders().await;
    let key = shop.key(&["--publisher", "Pat"]).await;
    let read = async |path: &str, key: &str| {
        let mut told = sent(shop.service.request(path).bearer_auth(key)).await;
        if let Some(shown) = told.body.get_mut("code") {
            *shown = json!("(its code)");
        }
        told
    };
    for (name, path) in [
        (
            "stats",
            format!("/api/affiliates/stats/{code}?period=today"),
        ),
        ("summary", format!("/api/affiliates/summary/{code}")),
        (
            "conversions",
            format!("/api/affiliates/conversions/{code}?period=7d&limit=2"),
        ),
        (
            "conversions_csv",
            format!("/api/affiliates/conversions/{code}?period=all&format=csv"),
        ),
        ("subs", format!("/v1/figures/subs/{code}")),
        ("subs_csv", format!("/v1/figures/subs/{code}?format=csv")),
        (
            "wrong_period",
            format!("/api/affiliates/stats/{code}?period=1y"),
        ),
    ] {
        let told = read(&path, &key).await;
        if name.starts_with("conversions") {
            let text = told.body.to_string();
            assert!(
                !text.contains("order") && !text.contains("account"),
                "{text}"
            );
        }
        shown(name, &told);
    }
    let network = shop.key(&["--network"]).await;
    for (name, path) in [
        ("owed", "/v1/figures/owed?at_least=60&threshold=70"),
        ("large", "/v1/figures/commissions?at_least=9&limit=20"),
        ("approved", "/v1/figures/commissions?state=approved"),
        ("reversals", "/v1/figures/reversals"),
    ] {
        shown(name, &read(path, &network).await);
    }
}

#[tokio::test]
async fn nobody_reads_what_is_anothers() {
    let (shop, code) = with_orders().await;
    shop.command(&["publisher", "add", "Quinn", "--brand", "Bolt"])
        .await;
    let (quinn, bolt) = (shop.key(&["--publisher", "Quinn"]).await, &shop.keys[1]);
    let status = async |path: String, key: &str| {
        sent(shop.service.request(&path).bearer_auth(key))
            .await
            .status
    };
    let clicks = shop.command(&["link", "list"]).await;
    assert!(clicks.is_array());
    for path in ["stats", "summary", "conversions"] {
        let path = format!("/api/affiliates/{path}/{code}");
        assert_eq!(status(path.clone(), &quinn).await, 403, "{path}");
        assert_eq!(
            sent(shop.service.request(&path)).await.status,
            401,
            "{path}"
        );
        // A brand sees what the publisher did for it: here nothing.
        let told = sent(shop.service.request(&path).bearer_auth(bolt)).await;
        assert!(
            told.status == 200 && !told.body.to_string().contains("7.92"),
            "{told:?}"
        );
    }
    for path in ["owed", "commissions", "reversals"] {
        assert_eq!(
            status(format!("/v1/figures/{path}"), &quinn).await,
            403,
            "{path}"
        );
    }
    let own = sent(shop.service.request("/v1/figures/owed").bearer_auth(bolt)).await;
    assert_eq!(own.body, json!([]), "{own:?}");
    assert_eq!(
        status(format!("/api/affiliates/stats/{code}x"), &quinn).await,
        404
    );
}

#[tokio::test]
async fn a_list_is_whole_although_rows_are_added_while_it_is_read() {
    let (shop, code) = with_orders().await;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for round in 0..9 {
        let path = format!("/api/affiliates/conversions/{code}?period=all&limit=1{cursor}");
        let told = sent(shop.service.request(&path).bearer_auth(&shop.keys[0])).await;
        for item in told.body["items"].as_array().unwrap() {
            seen.push(item["amount"].as_str().unwrap().to_owned());
        }
        let mut order = shop.order(&format!("later-{round}"), &json!("5.00"));
        order["publisher"] = json!("Pat");
        shop.post("/api/conv", &order).await;
        match told.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
}

#[tokio::test]
async fn a_code_is_valid_or_not_and_trying_many_is_refused() {
    let (shop, code) = with_orders().await;
    let ask = async |code: &str| {
        sent(
            shop.service
                .request(&format!("/api/affiliate/validate?code={code}")),
        )
        .await
    };
    assert_eq!(ask(&code).await.body, json!({"valid": true}));
    assert_eq!(ask("NOBODY").await.body, json!({"valid": false}));
    assert_eq!(
        ask("Pat").await.body,
        json!({"valid": false}),
        "a name is no code"
    );
    let mut last = 200;
    for _ in 0..60 {
        last = ask("NOBODY").await.status;
    }
    assert_eq!(last, 429);
}

#[tokio::test]
async fn commands_tell_the_same_as_the_service() {
    let (shop, code) = with_orders().await;
    let path = format!("/api/affiliates/stats/{code}?period=30d");
    let told = sent(shop.service.request(&path).bearer_auth(&shop.keys[0])).await;
    assert_eq!(
        shop.command(&["figures", "publisher", "Pat"]).await,
        told.body
    );
    assert_eq!(
        shop.command(&["figures", "owed"]).await[0]["totalOwed"],
        "70.00"
    );
    let subs = shop.command(&["figures", "subs", "Pat"]).await.to_string();
    assert!(subs.contains("FB") && subs.contains("IG"), "{subs}");
    assert_eq!(
        shop.command(&["figures", "commissions"]).await[0]["commissionAmount"],
        "60.00"
    );
    assert_eq!(
        shop.command(&["figures", "conversions", "Pat"]).await[0]["amount"],
        "48.00"
    );
}
