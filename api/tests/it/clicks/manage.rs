//! Links and tracking over HTTP, and keys that rotate.

use serde_json::json;

use super::{carried, tracked, visit};
use crate::conversions::shop::sent;
use crate::service::eventually;

#[tokio::test]
async fn links_are_made_ended_and_listed_over_http_and_every_step_is_kept() {
    let (shop, _) = tracked("pcps_click", &[]).await;
    let key = shop.key(&["--network"]).await;
    let service = &shop.service;
    let new = json!({"slug": "shoes", "kind": "slug", "program": "Acme", "publisher": "Pat",
                     "dest_url": "https://acme.example/shoes"});
    let post = |path: &str| service.post(path).bearer_auth(&key);
    let made = sent(post("/v1/links").json(&new)).await;
    assert_eq!(
        (made.status, &made.body["slug"]),
        (201, &json!("shoes")),
        "{made:?}"
    );
    let again = sent(post("/v1/links").json(&new)).await;
    assert_eq!(
        (again.status, &again.body["type"]),
        (409, &json!("/problems/taken")),
        "{again:?}"
    );
    let away = json!({"slug": "away", "kind": "slug", "program": "Acme", "publisher": "Pat",
                      "dest_url": "https://evil.example/"});
    assert_eq!(sent(post("/v1/links").json(&away)).await.status, 422);
    let theirs = sent(
        service
            .post("/v1/links")
            .bearer_auth(&shop.keys[1])
            .json(&new),
    )
    .await;
    assert_eq!(theirs.status, 403, "a brand makes no links");
    let leads = async || {
        let answer = visit(&shop, "/go/shoes").send().await.unwrap();
        (answer.status() == 302).then(|| answer.headers()["location"].to_str().unwrap().to_owned())
    };
    let location = eventually("the service hears of the link", leads).await;
    assert!(
        location.starts_with("https://acme.example/shoes?pcps_click="),
        "{location}"
    );
    let ended = post("/v1/links/shoes/end").json(&json!({"reason": "the season is over"}));
    let ended = sent(ended).await;
    assert!(
        ended.status == 200 && ended.body["ended_at"].is_string(),
        "{ended:?}"
    );
    let list = |key: &str| service.request("/v1/links").bearer_auth(key);
    let all = sent(list(&key)).await;
    assert_eq!(all.body["items"].as_array().unwrap().len(), 3, "{all:?}");
    let own = sent(list(&shop.keys[1])).await;
    assert_eq!(
        own.body["items"].as_array().unwrap().len(),
        1,
        "Bolt sees its own"
    );
    let changes = shop.command(&["changes", "link:shoes"]).await;
    let actions: Vec<&str> = changes
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["end", "create"]);
}

#[tokio::test]
async fn how_a_program_is_tracked_is_set_and_read_over_http() {
    let (shop, slug) = tracked("pcps_click", &[]).await;
    let key = shop.key(&["--network"]).await;
    let service = &shop.service;
    let new = json!({"dest_url": "https://acme.example/new", "preset": "op_cref",
                     "reason": "the shop has moved"});
    let path = "/v1/programs/Acme/tracking";
    let set = sent(service.post(path).bearer_auth(&key).json(&new)).await;
    assert_eq!(
        (set.status, &set.body["profile"]["parameter"]),
        (201, &json!("cref")),
        "{set:?}"
    );
    let read = sent(service.request(path).bearer_auth(&shop.keys[0])).await;
    assert_eq!(read.body["dest_url"], "https://acme.example/new");
    assert_eq!(
        sent(service.request(path).bearer_auth(&shop.keys[1]))
            .await
            .status,
        403
    );
    let moved = async || {
        let answer = visit(&shop, &format!("/go/{slug}")).send().await.unwrap();
        carried(&answer, "cref")
    };
    eventually("the service hears of it", moved).await;
    for wrong in [
        json!({"dest_url": "javascript:alert(1)", "reason": "x"}),
        json!({"dest_url": "https://a.example/", "profile": {"x": 1}, "reason": "x"}),
        json!({"dest_url": "https://a.example/", "preset": "raff", "profile": {}, "reason": "x"}),
    ] {
        let told = sent(service.post(path).bearer_auth(&key).json(&wrong)).await;
        assert_eq!(told.status, 422, "{wrong} {told:?}");
    }
}

#[tokio::test]
async fn tokens_of_an_older_key_hold_and_changed_ones_earn_nobody_anything() {
    let (shop, slug) = tracked("signed", &[]).await;
    let token = async || {
        let answer = visit(&shop, &format!("/go/{slug}")).send().await.unwrap();
        carried(&answer, "aff_ref").unwrap()
    };
    let old = token().await;
    assert!(old.starts_with("v1.k1."), "{old}");
    assert_eq!(shop.command(&["link", "keys", "rotate"]).await["kid"], "k2");
    let newer = async || Some(token().await).filter(|token| token.starts_with("v1.k2."));
    let new = eventually("the service signs with the new key", newer).await;
    let report = async |reference: &str, token: &str| {
        let mut order = shop.order(reference, &json!("10.00"));
        order["pcps_click"] = json!(token);
        shop.post("/api/conv", &order).await.body["state"].clone()
    };
    assert_eq!(report("old", &old).await, "pending");
    assert_eq!(report("new", &new).await, "pending");
    let (signed, mac) = new.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", mac.chars().rev().collect::<String>());
    assert_eq!(report("forged", &forged).await, "unattributed");
    // A visitor who carries a broken token is led on as everybody is.
    let visitor =
        visit(&shop, &format!("/go/{slug}")).header("cookie", format!("aff_ref={forged}"));
    assert_eq!(visitor.send().await.unwrap().status(), 302);
}
