//! Visitors: led on whatever happens, and their clicks kept.

mod counted;
mod manage;

use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Row};
use uuid::Uuid;

use crate::conversions::shop::Shop;
use crate::service::eventually;

/// A browser that people use.
pub(crate) const BROWSER: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/120.0.0.0 Safari/537.36";

/// A shop whose program is tracked with a preset, and the slug of its publisher.
pub(crate) async fn tracked(preset: &str, arguments: &[&str]) -> (Shop, String) {
    let shop = Shop::open(arguments).await;
    let track = [
        "program",
        "track",
        "Acme",
        "--to",
        "https://acme.example/p?a=1#top",
        "--preset",
        preset,
        "--domain",
        ".pandacps.com",
    ];
    shop.command(&track).await;
    let links = shop.command(&["link", "list"]).await;
    let slug = links.as_array().unwrap().iter().find_map(|link| {
        let slug = link["slug"].as_str().unwrap();
        (link["brand"] == "Acme").then(|| slug.to_owned())
    });
    let slug = slug.unwrap();
    let path = format!("/go/{slug}");
    let known = async || (shop.service.get(&path).await.status() == 302).then_some(());
    eventually("the service hears of the link", known).await;
    // What was tried while waiting was no browser, and counts for nobody.
    (shop, slug)
}

/// A visit, as a browser makes it that followed a link.
pub(crate) fn visit(shop: &Shop, path: &str) -> RequestBuilder {
    let request = shop.service.request(path).header("user-agent", BROWSER);
    request
        .header("sec-fetch-mode", "navigate")
        .header("sec-fetch-dest", "document")
        .header("sec-fetch-site", "cross-site")
}

/// The parameter of the address that a visitor was sent to.
pub(crate) fn carried(answer: &Response, parameter: &str) -> Option<String> {
    let location = answer.headers()["location"].to_str().unwrap();
    let url = url::Url::parse(location).unwrap();
    let mut pairs = url.query_pairs();
    pairs.find_map(|(name, value)| (name == parameter).then(|| value.into_owned()))
}

/// The click with this id, as soon as it is in Postgres.
pub(crate) async fn stored(shop: &Shop, id: Uuid) -> Value {
    let row = async || {
        let mut conn = shop.service.connection().await;
        let row = sqlx::query(
            "select to_jsonb(c) || to_jsonb(r) from settlement.click c
             join settlement.click_request r on r.book_id = c.book_id and r.id = c.id
             where c.id = $1",
        );
        let row = row.bind(id).fetch_optional(&mut conn).await.unwrap();
        row.map(|row| row.get::<Value, _>(0))
    };
    eventually("the click is in Postgres", row).await
}

/// All that a visitor is told, without what chance draws.
async fn shown(name: &str, answer: Response) {
    let mut lines = vec![answer.status().to_string()];
    for (header, value) in answer.headers() {
        if header != "date" {
            lines.push(format!("{header}: {}", value.to_str().unwrap()));
        }
    }
    lines.push(answer.text().await.unwrap());
    let root = env!("CARGO_MANIFEST_DIR");
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path(format!("{root}/../snapshots/clicks"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut text = lines.join("\n");
    for (drawn, word) in [
        ("[0-9a-f]{8}-[0-9a-f-]{27}", "(an id)"),
        ("tb_session=[0-9a-f]{32}", "tb_session=(a session)"),
        (r"v1\.k1\.[\w-]+\.[\w-]{43}", "(a token)"),
        ("raff_[A-Za-z0-9_-]{12}", "raff_(twelve)"),
    ] {
        let drawn = regex::Regex::new(drawn).unwrap();
        text = drawn.replace_all(&text, word).into_owned();
    }
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[tokio::test]
async fn a_visitor_gets_the_headers_that_each_kind_of_network_sets() {
    for preset in ["pcps_click", "tb_affiliate", "op_cref", "raff", "signed"] {
        let (shop, slug) = tracked(preset, &[]).await;
        shown(
            preset,
            visit(&shop, &format!("/go/{slug}")).send().await.unwrap(),
        )
        .await;
    }
}

#[tokio::test]
async fn a_click_is_kept_with_its_request_and_no_address() {
    let (shop, slug) = tracked("pcps_click", &["--trusted-proxy", "127.0.0.0/8"]).await;
    let path =
        format!("/go/{slug}?sub1=FB&sub2=%C3%BC&utm_source=mail&target=https://evil.example/");
    let request = visit(&shop, &path).header("referer", "https://blog.example/shoes");
    let request = request
        .header("cf-ipcountry", "DE")
        .header("x-forwarded-for", "192.0.2.77");
    let answer = request.send().await.unwrap();
    let location = answer.headers()["location"].to_str().unwrap();
    assert!(
        location.starts_with("https://acme.example/p?a=1&pcps_click="),
        "{location}"
    );
    assert!(
        location.ends_with("#top") && !location.contains("evil"),
        "{location}"
    );
    let id: Uuid = carried(&answer, "pcps_click").unwrap().parse().unwrap();
    let click = stored(&shop, id).await;
    assert_eq!(click["reason"], Value::Null);
    for (column, value) in [
        ("link", slug.as_str()),
        ("path", "/go"),
        ("method", "GET"),
        ("sub1", "FB"),
        ("sub2", "ü"),
        ("utm_source", "mail"),
        ("country", "DE"),
        ("referrer", "https://blog.example/shoes"),
        ("user_agent", BROWSER),
        ("fetch_site", "cross-site"),
        ("recorded_by", "http:click"),
    ] {
        assert_eq!(click[column], value, "{column}");
    }
    assert_eq!(
        click["ip_hash"].as_str().unwrap().len(),
        2 + 32,
        "sixteen bytes"
    );
    assert!(!click.to_string().contains("192.0.2.77"));
}

#[tokio::test]
async fn every_address_leads_to_the_same_program() {
    let (shop, slug) = tracked("pcps_click", &[]).await;
    let publisher = shop.command(&["publisher", "list"]).await;
    let code = publisher[0]["code"].as_str().unwrap().to_owned();
    shop.command(&[
        "link",
        "add",
        "k7",
        "--kind",
        "key",
        "--program",
        "Acme",
        "--publisher",
        "Pat",
    ])
    .await;
    let known = async || (shop.service.get("/r/k7").await.status() == 302).then_some(());
    eventually("the service hears of the key", known).await;
    for (path, sub) in [
        (format!("/go/{slug}"), None),
        (format!("/ref/{code}"), None),
        (format!("/ref/{code}/IG"), Some("IG")),
        (format!("/ref?ref={code}"), None),
        (format!("/?ref={code}&sub1=FB"), Some("FB")),
        ("/r/k7".to_owned(), None),
    ] {
        let answer = visit(&shop, &path).send().await.unwrap();
        assert_eq!(answer.status(), 302, "{path}");
        let id = carried(&answer, "pcps_click").unwrap().parse().unwrap();
        assert_eq!(stored(&shop, id).await["sub1"], json!(sub), "{path}");
    }
    for path in ["/go/nobody", "/go/", "/ref/NOBODY", "/", "/ref", "/r/K7"] {
        let answer = visit(&shop, path).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
    }
}

#[tokio::test]
async fn an_order_is_attributed_to_the_click_it_names_even_when_it_overtakes_it() {
    for (preset, parameter) in [
        ("pcps_click", "pcps_click"),
        ("signed", "aff_ref"),
        ("raff", "ref"),
    ] {
        let (shop, slug) = tracked(preset, &[]).await;
        for number in 0..20 {
            let answer = visit(&shop, &format!("/go/{slug}")).send().await.unwrap();
            let mut order = shop.order(&format!("{preset}-{number}"), &json!("10.00"));
            // A repeated click leads on without a reference of its own where clicks are counted.
            order["pcps_click"] = json!(carried(&answer, parameter));
            let told = shop.post("/api/conv", &order).await;
            assert_eq!(told.body["state"], "pending", "{preset} {number}: {told:?}");
        }
    }
}

#[tokio::test]
async fn without_a_database_visitors_are_led_on_and_their_clicks_arrive_later() {
    let (shop, slug) = tracked("pcps_click", &[]).await;
    let name = shop.service.db.name().to_owned();
    let elsewhere = shop.service.db.options().database("postgres");
    let mut elsewhere = elsewhere.connect().await.unwrap();
    let allow = async |conn: &mut sqlx::PgConnection, allowed: bool| {
        let sql = format!("alter database \"{name}\" allow_connections {allowed}");
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .execute(conn)
            .await
            .unwrap();
    };
    allow(&mut elsewhere, false).await;
    sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1")
        .bind(&name)
        .execute(&mut elsewhere)
        .await
        .unwrap();
    let mut ids = Vec::new();
    for _ in 0..10 {
        let answer = visit(&shop, &format!("/go/{slug}")).send().await.unwrap();
        assert_eq!(answer.status(), 302);
        ids.push(carried(&answer, "pcps_click").unwrap().parse().unwrap());
    }
    let order = shop.post("/api/conv", &shop.order("A", &json!(1))).await;
    assert_eq!(order.status, 503, "{order:?}");
    allow(&mut elsewhere, true).await;
    for id in ids {
        stored(&shop, id).await;
    }
}

#[tokio::test]
async fn awkward_addresses_are_answered_and_nothing_fails() {
    let (shop, slug) = tracked("tb_affiliate", &[]).await;
    let long = "x".repeat(5_000);
    for tail in [
        "?sub1=%00%01%1b[31m&sub2=%F0%9F%98%80&utm_term=%FF%FE",
        "?sub1=%25%32%35&sub1=second&=&&&",
        &format!("?sub1={long}&utm_content={long}"),
        "?ref=%0d%0aSet-Cookie:%20x=1",
    ] {
        let answer = visit(&shop, &format!("/go/{slug}{tail}"))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 302, "{tail}");
        assert_eq!(
            answer.headers().get_all("set-cookie").iter().count(),
            2,
            "{tail}"
        );
        let id: Uuid = carried(&answer, "ref").unwrap().parse().unwrap();
        stored(&shop, id).await;
    }
    for path in [
        "/go/%FF",
        "/go/%00",
        "/ref/%E0%A4%A/x",
        "/ref/a/%0d%0a",
        "/r/%2e%2e%2f",
    ] {
        let answer = visit(&shop, path).send().await.unwrap();
        assert!(
            answer.status().is_client_error(),
            "{path} {}",
            answer.status()
        );
    }
    let strange = visit(&shop, &format!("/go/{slug}"))
        .header(
            "referer",
            reqwest::header::HeaderValue::from_bytes(b"\xff\xfe").unwrap(),
        )
        .header("cookie", "tb_session=; tb_affiliate=v1.k9.AAAA.AAAA; =; ;;");
    assert_eq!(strange.send().await.unwrap().status(), 302);
}
