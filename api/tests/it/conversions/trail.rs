//! What `counterfoil trace` tells of an order: the click as it came, its proof, why it earns.

use chrono::{DateTime, TimeDelta, Utc};
use ledger::BookId;
use serde_json::json;
use settlement::party::ProgramRef;
use settlement::tracking::token::{Claims, TokenKeys};
use uuid::Uuid;

use super::shop::Shop;

const CLICK: Uuid = Uuid::from_u128(0xc11c_0001);

/// A click's signed token, as a redirect hands it out.
async fn token(shop: &Shop, click: Uuid, clicked_at: DateTime<Utc>) -> String {
    let mut conn = shop.service.connection().await;
    let (kid, secret): (String, Vec<u8>) =
        sqlx::query_as("select kid, secret from settlement.token_key order by created_at desc")
            .fetch_one(&mut conn)
            .await
            .unwrap();
    let (book, publisher): (i64, Uuid) = sqlx::query_as(
        "select g.book_id, p.id from settlement.program g, settlement.publisher p where g.id = $1",
    )
    .bind(shop.programs[0])
    .fetch_one(&mut conn)
    .await
    .unwrap();
    let keys = TokenKeys::new(&[(kid, secret.try_into().unwrap())]);
    let program = ProgramRef {
        book: BookId::from_value(book),
        id: shop.programs[0],
    };
    let claims = Claims {
        program,
        publisher,
        click,
        clicked_at,
        expires_at: clicked_at + TimeDelta::days(30),
        sub1: Some("newsletter".to_owned()),
    };
    keys.sign(&claims).unwrap()
}

#[tokio::test]
async fn a_story_tells_the_clicks_raw_record_its_proof_and_what_was_not_chosen() {
    let shop = Shop::open(&[]).await;
    // The first report makes the key that signs.
    shop.post("/api/conv", &shop.order("K-1", &json!(1))).await;
    let now = Shop::now();
    let clicked_at = now - TimeDelta::hours(5);
    let signed = token(&shop, CLICK, clicked_at).await;
    let mut conn = shop.service.connection().await;
    sqlx::query(
        "with c as (
             insert into settlement.click (book_id, id, program_id, publisher_id, clicked_at,
                 expires_at, link, visitor, session, sub1, sub2, recorded_at, recorded_by)
             select g.book_id, u.id, g.id, p.id, u.at, u.at + interval '30 days', 'pat-acme', 'v-7',
                    's-9', 'newsletter', 'top', now(), 'http:go'
             from settlement.program g, settlement.publisher p,
                  (values ($2, $3::timestamptz), ($4, $3 - interval '1 day')) as u (id, at)
             where g.id = $1
             returning book_id, id)
         insert into settlement.click_request (book_id, id, path, method, ip_hash, salt_day,
             user_agent, country, referrer, landing_url, utm_source, utm_campaign, fetch_mode,
             recorded_at)
         select book_id, id, '/go', 'GET', decode('0011223344556677', 'hex'), '2026-01-05',
                'Mozilla/5.0 (test)', 'NL', 'https://blog.example/post',
                '/go/pat-acme?utm_source=x', 'x', 'spring', 'navigate', now()
         from c",
    )
    .bind(shop.programs[0])
    .bind(CLICK)
    .bind(clicked_at)
    .bind(Uuid::from_u128(0xc11c_0002))
    .execute(&mut conn)
    .await
    .unwrap();
    let mut order = shop.order("T-1", &json!("99.00"));
    order["pcps_click"] = json!(signed);
    order["coupon"] = json!("SPRING");
    let told = shop.post("/api/conv", &order).await;
    assert_eq!(told.body["state"], "pending", "{told:?}");
    let story = shop.text(&["trace", "T-1"]).await;
    for words in [
        "visitor v-7",
        "link pat-acme, session s-9, carried until",
        "sub1 newsletter, sub2 top",
        "GET /go, country NL, referrer https://blog.example/post",
        "address hash 0011223344556677 (salt of 2026-01-05)",
        "browser Mozilla/5.0 (test)",
        "utm_source x, utm_campaign spring",
        "sec-fetch-mode navigate",
        "checked: its signed token holds",
        "names coupon SPRING",
        "by http:conv@key:",
        "credited  Pat  by named click",
        "not chosen: the order names another click",
        "terms     program Acme, version 1",
        "fee deducted (0 on the brand, 0.2 off the publisher), clicks count for 30 days",
        "9100",
    ] {
        assert!(story.contains(words), "{words}:\n{story}");
    }
    let json = shop.command(&["trace", "T-1"]).await;
    assert_eq!(
        json[0]["attribution"]["click"]["request"]["country"], "NL",
        "{json}"
    );
    assert_eq!(
        json[0]["said"]["click_check"], "its signed token holds",
        "{json}"
    );
}

#[tokio::test]
async fn an_order_that_overtakes_its_click_is_attributed_by_its_token_and_by_nothing_forged() {
    let shop = Shop::open(&[]).await;
    shop.post("/api/conv", &shop.order("K-1", &json!(1))).await;
    let now = Shop::now();
    let signed = token(&shop, CLICK, now - TimeDelta::minutes(1)).await;
    let old = token(&shop, Uuid::from_u128(3), now - TimeDelta::days(31)).await;
    let flipped = if signed.as_bytes()[20] == b'A' {
        "B"
    } else {
        "A"
    };
    let forged = format!("{}{flipped}{}", &signed[..20], &signed[21..]);
    let unknown = signed.replacen("v1.", "v1.x", 1);
    for (reference, click, state, check) in [
        ("O-1", &signed, "pending", "its signed token holds"),
        (
            "O-2",
            &forged,
            "unattributed",
            "ignored: the click token was tampered with",
        ),
        (
            "O-3",
            &old,
            "unattributed",
            "ignored: the click token has expired",
        ),
        (
            "O-4",
            &unknown,
            "unattributed",
            "ignored: the click token names a key that is not known",
        ),
    ] {
        let mut order = shop.order(reference, &json!("99.00"));
        order["pcps_click"] = json!(click);
        let told = shop.post("/api/conv", &order).await;
        assert_eq!(
            (told.status, &told.body["state"]),
            (200, &json!(state)),
            "{told:?}"
        );
        let story = shop.text(&["trace", reference]).await;
        assert!(story.contains(&format!("checked: {check}")), "{story}");
    }
    // The time of the order decides: the old click still earns what was ordered within its days.
    let mut late = shop.order("O-5", &json!("99.00"));
    late["pcps_click"] = json!(old);
    late["occurred_at"] = json!((now - TimeDelta::days(2)).to_rfc3339());
    let told = shop.post("/api/conv", &late).await;
    assert_eq!(told.body["state"], "pending", "{told:?}");
}
