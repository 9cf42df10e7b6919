//! Which clicks count, and why the others do not.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{BROWSER, carried, stored, tracked, visit};
use crate::conversions::shop::{Shop, sent};
use crate::service::eventually;

/// The reasons of all clicks that were made by browsers or say why they do not count.
async fn reasons(shop: &Shop) -> Vec<String> {
    let mut conn = shop.service.connection().await;
    let query = "select coalesce(reason, '') from settlement.click order by clicked_at, id";
    sqlx::query_scalar(query)
        .fetch_all(&mut conn)
        .await
        .unwrap()
}

/// The latest click's reason, once there are so many.
async fn latest(shop: &Shop, count: usize) -> String {
    let there = async || {
        let reasons = reasons(shop).await;
        (reasons.len() >= count).then(|| reasons.last().cloned().unwrap_or_default())
    };
    eventually("the click is in Postgres", there).await
}

#[tokio::test]
async fn what_nobody_clicked_is_led_on_without_a_cookie_and_its_reason_is_kept() {
    let (shop, slug) = tracked("pcps_click", &[]).await;
    let path = format!("/go/{slug}");
    // Clicks arrive in the order they were kept, so those before this one are there.
    let first = visit(&shop, &path).send().await.unwrap();
    stored(
        &shop,
        carried(&first, "pcps_click").unwrap().parse().unwrap(),
    )
    .await;
    let mut count = reasons(&shop).await.len();
    let cases: [(&str, &str, &str); 7] = [
        ("sec-purpose", "prefetch;prerender", "PREFETCH"),
        ("purpose", "prefetch", "PREFETCH"),
        ("x-moz", "prefetch", "PREFETCH"),
        ("x-purpose", "preview", "PREFETCH"),
        ("user-agent", "curl/8.5.0", "BOT_UA"),
        ("user-agent", "x", "BOT_UA"),
        ("sec-fetch-dest", "image", "NON_NAVIGATION"),
    ];
    for (header, value, reason) in cases {
        let request = shop.service.request(&path);
        let request = if header == "user-agent" {
            request.header(header, value)
        } else {
            request.header("user-agent", BROWSER).header(header, value)
        };
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 302, "{header}: {value}");
        assert!(
            answer.headers().get("set-cookie").is_none(),
            "{header}: {value}"
        );
        assert_eq!(carried(&answer, "pcps_click"), None, "{header}: {value}");
        count += 1;
        assert_eq!(latest(&shop, count).await, reason, "{header}: {value}");
    }
    let head = shop.service.client.head(shop.service.url(&path));
    let answer = head.header("user-agent", BROWSER).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.headers().get("set-cookie")),
        (302, None)
    );
    assert_eq!(latest(&shop, count + 1).await, "HEAD");
}

#[tokio::test]
async fn a_program_or_publisher_that_takes_no_visitors_leads_to_its_fallback() {
    let (shop, slug) = tracked("pcps_click", &[]).await;
    let path = format!("/go/{slug}");
    let status = async |wanted: u16| {
        let answered = async || {
            let answer = visit(&shop, &path).send().await.unwrap();
            (answer.status() == wanted).then_some(answer)
        };
        eventually("the service hears of it", answered).await
    };
    shop.command(&["program", "pause", "Acme"]).await;
    let gone = status(410).await;
    assert!(gone.text().await.unwrap().contains("This offer has ended."));
    let track = ["program", "track", "Acme", "--to", "https://acme.example/p"];
    let fallback = ["--fallback", "https://acme.example/home"];
    shop.command(&[&track[..], &fallback].concat()).await;
    let answer = status(302).await;
    assert_eq!(answer.headers()["location"], "https://acme.example/home");
    assert!(answer.headers().get("set-cookie").is_none());
    shop.command(&["program", "activate", "Acme"]).await;
    let counts = async || {
        let answer = visit(&shop, &path).send().await.unwrap();
        carried(&answer, "pcps_click")
    };
    eventually("it counts again", counts).await;
    shop.command(&["enrolment", "suspend", "Acme", "Pat"]).await;
    let suspended = async || {
        let answer = visit(&shop, &path).send().await.unwrap();
        (answer.headers()["location"] == "https://acme.example/home").then_some(())
    };
    eventually("a suspended publisher leads to the fallback", suspended).await;
    let all = async || {
        let reasons = reasons(&shop).await;
        let has = |reason: &str| reasons.iter().any(|known| known == reason);
        (has("PROGRAM_INACTIVE") && has("PUBLISHER_INACTIVE")).then_some(())
    };
    eventually("the reasons are kept", all).await;
}

#[tokio::test]
async fn an_ended_link_ends_within_a_second() {
    let (shop, slug) = tracked("pcps_click", &[]).await;
    let path = format!("/go/{slug}");
    assert_eq!(visit(&shop, &path).send().await.unwrap().status(), 302);
    shop.command(&["link", "end", &slug, "--reason", "the shop has closed"])
        .await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(visit(&shop, &path).send().await.unwrap().status(), 410);
    let reason = async || {
        reasons(&shop)
            .await
            .contains(&"PRODUCT_INACTIVE".to_owned())
            .then_some(())
    };
    eventually("the reason is kept", reason).await;
}

#[tokio::test]
async fn a_session_counts_once_a_day_and_earns_by_its_latest_click() {
    let (shop, slug) = tracked("tb_affiliate", &[]).await;
    let path = format!("/go/{slug}");
    let first = visit(&shop, &path).send().await.unwrap();
    let session = first
        .headers()
        .get_all("set-cookie")
        .iter()
        .find_map(|cookie| {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            pair.starts_with("tb_session=").then(|| pair.to_owned())
        });
    let id = |text: Option<String>| text.unwrap().parse::<Uuid>().unwrap();
    let first = id(carried(&first, "ref"));
    let again = visit(&shop, &path).header("cookie", session.unwrap());
    let again = again.send().await.unwrap();
    assert_eq!(
        again.headers().get_all("set-cookie").iter().count(),
        1,
        "the session stays"
    );
    let again = id(carried(&again, "ref"));
    let row = stored(&shop, again).await;
    assert_eq!(
        (&row["duplicate_of"], &row["reason"]),
        (&json!(first), &Value::Null)
    );
    let other = id(carried(&visit(&shop, &path).send().await.unwrap(), "ref"));
    assert_eq!(stored(&shop, other).await["duplicate_of"], Value::Null);
    let mut order = shop.order("A", &json!("10.00"));
    order["pcps_click"] = json!(again);
    assert_eq!(
        shop.post("/api/conv", &order).await.body["state"],
        "pending"
    );
}

#[tokio::test]
async fn too_many_clicks_of_an_address_are_led_on_and_do_not_count() {
    let (shop, slug) = tracked(
        "pcps_click",
        &[
            "--clicks-per-address",
            "5",
            "--trusted-proxy",
            "127.0.0.0/8",
        ],
    )
    .await;
    let ask = async |address: &str| {
        let request = visit(&shop, &format!("/go/{slug}")).header("x-forwarded-for", address);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 302);
        carried(&answer, "pcps_click").is_some()
    };
    let mut counted = Vec::new();
    for _ in 0..7 {
        counted.push(ask("192.0.2.1").await);
    }
    assert_eq!(counted, [true, true, true, true, true, false, false]);
    assert!(ask("192.0.2.2").await, "another address");
    let reason = async || {
        reasons(&shop)
            .await
            .contains(&"RATE_LIMIT".to_owned())
            .then_some(())
    };
    eventually("the reason is kept", reason).await;
}

/// A shop whose script asks: a product's link, and pages that it may come from.
async fn with_product() -> Shop {
    let (shop, _) = tracked("raff", &[]).await;
    let profile = json!({
        "parameter": "ref", "format": {"tracking": "raff_"}, "cookie": null, "session": null,
        "dedup": {"key": "ip_ua_target", "window_seconds": 15}, "carried_days": 30,
        "referrers": ["raff.example/products/*", "raff.example/cart"],
        "hosts": ["zid.store"], "paths": ["/products/"],
        "utm": {"source": "raff", "medium": "affiliate"},
    });
    let profile = profile.to_string();
    let track = ["program", "track", "Acme", "--to", "https://acme.example/p"];
    shop.command(&[&track[..], &["--profile", &profile]].concat())
        .await;
    let add = [
        "link",
        "add",
        "prod_123",
        "--kind",
        "product",
        "--program",
        "Acme",
    ];
    let page = [
        "--publisher",
        "Pat",
        "--to",
        "https://store.zid.store/products/123",
    ];
    shop.command(&[&add[..], &page, &["--campaign", "product-slug"]].concat())
        .await;
    let known = async || {
        let told = sent(script(&shop, "prod_123", "https://raff.example/cart")).await;
        (told.status == 200).then_some(())
    };
    eventually("the service hears of the product", known).await;
    shop
}

fn script(shop: &Shop, product: &str, page: &str) -> reqwest::RequestBuilder {
    let request = shop
        .service
        .post("/api/track/click")
        .header("referer", page);
    let request = request.header("sec-fetch-site", "same-origin");
    request.json(&json!({ "productId": product }))
}

#[tokio::test]
async fn a_script_is_told_where_its_visitor_goes_and_why_a_click_does_not_count() {
    let shop = with_product().await;
    let page = "https://raff.example/products/shoe";
    let ask = async |request: reqwest::RequestBuilder, browser: &str| {
        sent(request.header("user-agent", browser)).await.body
    };
    let told = ask(script(&shop, "prod_123", page), BROWSER).await;
    assert_eq!(
        (&told["success"], &told["qualified"]),
        (&json!(true), &json!(true)),
        "{told}"
    );
    let tracking = told["trackingId"].as_str().unwrap();
    assert!(
        tracking.starts_with("raff_") && tracking.len() == 17,
        "{tracking}"
    );
    let url = format!(
        "https://store.zid.store/products/123?ref={tracking}&utm_source=raff\
         &utm_medium=affiliate&utm_campaign=product-slug"
    );
    assert_eq!(told["redirectUrl"], url);
    assert!(
        told["expiresAt"].as_str().unwrap().ends_with('Z')
            && told.get("disqualifyReason").is_none()
    );
    // The same visitor at once: the same reference, and it says so.
    let again = ask(script(&shop, "prod_123", page), BROWSER).await;
    assert_eq!(
        (&again["trackingId"], &again["qualified"]),
        (&told["trackingId"], &json!(false))
    );
    assert_eq!(
        (&again["disqualifyReason"], &again["redirectUrl"]),
        (&json!("DUPLICATE_RECENT"), &json!(url))
    );
    let foreign = script(&shop, "prod_123", "https://evil.example/");
    assert_eq!(
        ask(foreign, "Mozilla/5.0 Firefox/1").await["disqualifyReason"],
        "INVALID_REFERRER"
    );
    let cross = shop
        .service
        .post("/api/track/click")
        .header("referer", page);
    let cross = cross
        .header("sec-fetch-site", "cross-site")
        .json(&json!({"productId": "prod_123"}));
    assert_eq!(
        ask(cross, "Mozilla/5.0 Firefox/2").await["disqualifyReason"],
        "SEC_FETCH_SITE"
    );
    let kept = async || {
        let reasons = reasons(&shop).await;
        let has = |reason: &str| reasons.iter().any(|known| known == reason);
        let wanted = ["DUPLICATE_RECENT", "INVALID_REFERRER", "SEC_FETCH_SITE"];
        wanted.into_iter().all(has).then_some(())
    };
    eventually("what does not count is kept with its reason", kept).await;
    let unknown = sent(script(&shop, "prod_9", page)).await;
    assert_eq!(unknown.status, 404, "{unknown:?}");
    let wrong = sent(
        shop.service
            .post("/api/track/click")
            .json(&json!({"product": 1})),
    )
    .await;
    assert_eq!(wrong.status, 422, "{wrong:?}");
}

#[tokio::test]
async fn a_script_that_asks_too_often_is_told_to_wait() {
    let shop = with_product().await;
    let mut refused = None;
    for _ in 0..12 {
        let request = script(&shop, "prod_123", "https://raff.example/cart");
        let answer = request.header("user-agent", BROWSER).send().await.unwrap();
        if answer.status() == 429 {
            refused = answer.headers().get("retry-after").cloned();
        }
    }
    let seconds: u32 = refused.unwrap().to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds));
}

#[tokio::test]
async fn a_page_that_the_program_does_not_allow_cannot_be_made_a_link() {
    let (shop, _) = tracked("pcps_click", &[]).await;
    let add = [
        "link",
        "add",
        "away",
        "--program",
        "Acme",
        "--publisher",
        "Pat",
    ];
    let page = ["--to", "https://evil.example/"];
    let output = shop
        .service
        .command(&[&add[..], &page].concat())
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(
        complaint.contains("none of the program's hosts"),
        "{complaint}"
    );
    // One that was made before the program moved away leads to the program's own page.
    let page = ["--to", "https://acme.example/shoes"];
    shop.command(&[&add[..], &page].concat()).await;
    shop.command(&["program", "track", "Acme", "--to", "https://new.example/p"])
        .await;
    let moved = async || {
        let answer = visit(&shop, "/go/away").send().await.unwrap();
        let location = answer
            .headers()
            .get("location")?
            .to_str()
            .unwrap()
            .to_owned();
        location
            .starts_with("https://new.example/p")
            .then_some(location)
    };
    assert_eq!(
        eventually("the service hears of it", moved).await,
        "https://new.example/p"
    );
    let reason = async || {
        reasons(&shop)
            .await
            .contains(&"INVALID_DESTINATION".to_owned())
            .then_some(())
    };
    eventually("the reason is kept", reason).await;
}
