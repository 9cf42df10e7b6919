//! Postbacks in the words of those who send them.

use serde_json::json;

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
