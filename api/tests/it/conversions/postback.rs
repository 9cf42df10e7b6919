//! Postbacks in the words of those who send them.

use std::process::Stdio;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use super::shop::{Shop, sent};
use super::shown;

#[tokio::test]
async fn a_postback_is_recorded_answered_in_its_words_and_its_token_kept_nowhere() {
    let shop = Shop::open(&[]).await;
    let click = shop.click(&mut shop.service.connection().await).await;
    let key = &shop.keys[0];
    let get = async |query: String| sent(shop.service.request(&query)).await;
    let voluum = format!("/postback?cid={click}&txid=V-1&payout=20.00&currency=USD&token={key}");
    shown("postback", &get(voluum.clone()).await);
    assert_eq!(get(voluum).await.body["status"], "duplicate");
    let tune = format!("/aff_lsr?transaction_id={click}&amount=5&adv_unique1=T-1");
    let text = async |query: String| get(query).await.body;
    let good = format!("{tune}&security_token={key}");
    assert_eq!(text(good.clone()).await, "success=true;");
    let again = text(good).await;
    assert!(
        again
            .as_str()
            .unwrap()
            .starts_with("success=false; err_msg=12 "),
        "{again}"
    );
    let bad = get(format!("{tune}&security_token=pc_live_nonsense")).await;
    assert_eq!(bad.status, 200);
    assert!(
        bad.body
            .as_str()
            .unwrap()
            .starts_with("success=false; err_msg=19 "),
        "{bad:?}"
    );
    let none = get(format!("/track/conv?amount=5&token={key}")).await;
    assert_eq!(
        (none.status, none.kind.as_str()),
        (422, "application/problem+json"),
        "{none:?}"
    );

    let tested = format!("/postback?cks={click}&ref=W-1&amount=5&cr=USD&testmode=1&token={key}");
    assert_eq!(get(tested).await.body["test"], json!(true));
    let recorded = "select count(*) from settlement.event where order_ref in ('V-1', 'T-1')";
    assert_eq!(shop.count(recorded).await, 2);
    assert_eq!(shop.count("select count(*) from settlement.event").await, 2);
    let kept = "select count(*) from settlement.postback_outcome where code in (12, 15, 19)";
    assert_eq!(shop.count(kept).await, 4);
    let leaked = "select count(*) from settlement.postback_outcome o where o::text like '%pc_%'";
    assert_eq!(shop.count(leaked).await, 0);
}

#[tokio::test]
async fn the_status_of_a_postback_moves_the_conversion_along() {
    let shop = Shop::open(&[]).await;
    let click = shop.click(&mut shop.service.connection().await).await;
    for (status, state) in [
        ("2", "pending"),
        ("5", "on_hold"),
        ("1", "approved"),
        ("3", "reversed"),
    ] {
        let form = [
            ("clickid", click.to_string()),
            ("action_id", "F-1".to_owned()),
            ("sum", "50.00".to_owned()),
            ("status", status.to_owned()),
            ("secure", shop.keys[0].clone()),
        ];
        let told = sent(shop.service.post("/postback").form(&form)).await;
        assert_eq!(told.body["state"], state, "{status} {told:?}");
    }
    let reporter = shop.key(&["--brand", "Acme", "--scope", "report"]).await;
    let query =
        format!("/postback?order_id=F-2&click_id={click}&amount=1&status=1&token={reporter}");
    assert_eq!(sent(shop.service.request(&query)).await.status, 403);
}

#[tokio::test]
async fn a_refused_postback_is_numbered_and_a_sender_that_asks_for_text_gets_it() {
    let shop = Shop::open(&[]).await;
    let click = shop.click(&mut shop.service.connection().await).await;
    let elsewhere = shop
        .key(&["--brand", "Acme", "--from", "192.0.2.0/24"])
        .await;
    let key = &shop.keys[0];
    let text = async |query: String| {
        let request = shop.service.request(&query).header("accept", "text/plain");
        let told = sent(request).await;
        assert_eq!(told.status, 200, "{told:?}");
        told.body.as_str().unwrap().to_owned()
    };
    let order = format!("/postback?click_id={click}&order_id=N-1&amount=5.00");
    for (query, starts) in [
        (format!("{order}&token={key}"), "success=true;"),
        (format!("{order}&token={key}"), "success=false; err_msg=12 "),
        (
            format!("/postback?click_id={click}&order_id=N-1&amount=6.00&token={key}"),
            "success=false; err_msg=18 ",
        ),
        (
            format!("{order}&verification_token={elsewhere}"),
            "success=false; err_msg=14 ",
        ),
        (
            format!("{order}&security_token=wrong"),
            "success=false; err_msg=19 ",
        ),
        (order.clone(), "success=false; err_msg=19 "),
        (
            format!("/postback?click_id={click}&order_id=N-2&amount=5.001&token={key}"),
            "success=false; err_msg=15 ",
        ),
        (
            format!("{order}&status=maybe&token={key}"),
            "success=false; err_msg=15 ",
        ),
    ] {
        let told = text(query.clone()).await;
        assert!(told.starts_with(starts), "{query}: {told}");
    }
    let tested =
        format!("/track/conv?click_id={click}&order_id=N-3&amount=5&testmode=1&token={key}");
    assert_eq!(text(tested).await, "success=true;");
    let mut conn = shop.service.connection().await;
    let codes: Vec<(i32, i64)> = sqlx::query_as(
        "select code, count(*) from settlement.postback_outcome group by code order by code",
    )
    .fetch_all(&mut conn)
    .await
    .unwrap();
    assert_eq!(
        codes,
        [(12, 1), (14, 1), (15, 2), (18, 1), (19, 2), (21, 1)]
    );
    assert_eq!(shop.count("select count(*) from settlement.event").await, 1);
}

#[tokio::test]
async fn no_token_is_ever_logged_however_much_the_log_tells() {
    let shop = Shop::open(&[]).await;
    let click = shop.click(&mut shop.service.connection().await).await;
    let mut command = shop
        .service
        .command(&["serve", "--listen", "127.0.0.1:0", "--spool"]);
    let mut child = command
        .arg(shop.service.file("spool-beside"))
        .env("RUST_LOG", "trace")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    let address = line.strip_prefix("listening on ").unwrap().to_owned();
    let mut log = child.stderr.take().unwrap();
    let logged = tokio::spawn(async move {
        let mut text = String::new();
        log.read_to_string(&mut text).await.unwrap();
        text
    });
    let key = &shop.keys[0];
    for (n, name) in ["security_token", "verification_token", "secure", "token"]
        .iter()
        .enumerate()
    {
        for path in ["postback", "aff_lsr", "track/conv"] {
            let query = format!("click_id={click}&order_id=L-{n}&amount=5&{name}={key}");
            let url = format!("{address}/{path}?{query}");
            sent(shop.service.client.get(&url)).await;
            let url = format!(
                "{address}/{path}?{}&{name}=pc_live_wrong",
                query.replace(key, "")
            );
            sent(shop.service.client.get(&url)).await;
        }
    }
    child.kill().await.unwrap();
    let logged = logged.await.unwrap();
    assert!(logged.len() > 1000, "it told something: {logged}");
    assert!(!logged.contains(key.as_str()), "a key was logged");
    assert!(
        !logged.contains("pc_live_wrong"),
        "what was tried was logged"
    );
}
