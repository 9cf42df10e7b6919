//! Each sender once through the running service, with what is peculiar to it.

use super::*;

const CLICK: &str = "018f6e2a-7c1d-7a44-9b0e-2f6f3f1c9a10";

impl Shop {
    /// The shop with the stores of the signed deliveries, in dollars.
    pub(super) async fn in_dollars() -> Shop {
        let opened = "2026-05-04T09:00:00Z".parse().unwrap();
        let shop = Shop::with(opened, &[("ENABLE_RISK_SCORING", "false")]).await;
        let name = [
            "program",
            "add",
            "Panda",
            "--currency",
            "USD",
            "--commission",
            "10%",
        ];
        shop.run(&[&name[..], &["--fee-model", "on-top"]].concat())
            .await;
        shop.run(&["publisher", "add", "Pat", "--brand", "Panda"])
            .await;
        shop.click(CLICK, opened - Duration::days(1)).await;
        shop
    }

    pub(super) async fn connect_panda(&self, source: &str, store: &str, secret: &str) -> String {
        let file = self.folder.path().join(source);
        std::fs::write(&file, secret).unwrap();
        let mut arguments = vec!["--json", "store", "add", source, "--brand", "Panda"];
        arguments.extend(["--store", store, "--auto-approve-on-paid"]);
        arguments.extend(["--secret-file", file.to_str().unwrap()]);
        let answer: Value = serde_json::from_str(&self.run(&arguments).await).unwrap();
        answer["path"].as_str().unwrap().to_owned()
    }

    async fn shopify(&self, topic: &str, event: &str, body: &str, secret: &str) -> Told {
        let signature = base64(secret, body.as_bytes());
        let headers = [
            ("X-Shopify-Topic", topic),
            ("X-Shopify-Shop-Domain", "panda-demo.myshopify.com"),
            ("X-Shopify-Event-Id", event),
            ("X-Shopify-Hmac-Sha256", signature.as_str()),
        ];
        self.send("/api/shopify/webhook", body, &headers).await
    }

    async fn stripe(&self, path: &str, body: &str, secret: &str) -> Told {
        let stamp = now().timestamp().to_string();
        let signature = hex::encode(mac(secret, &[stamp.as_bytes(), b".", body.as_bytes()]));
        let header = format!("t={stamp},v1={signature}");
        self.send(path, body, &[("Stripe-Signature", &header)])
            .await
    }
}

#[tokio::test]
async fn shopify_from_payment_to_refund_and_privacy() {
    let shop = Shop::in_dollars().await;
    let secret = "shopify-test-secret";
    shop.connect_panda("shopify", "panda-demo.myshopify.com", secret)
        .await;
    // The refund comes first, waits, and counts when its order is there.
    let refund = fixture("shopify_refunds_create");
    let early = shop
        .shopify("refunds/create", "evt-2", &refund, secret)
        .await;
    early.with("The order is not known yet; kept until it is", None);
    let order = fixture("shopify_orders_paid");
    let paid = shop.shopify("orders/paid", "evt-1", &order, secret).await;
    paid.with("Commission approved", Some("7.43"));
    let again = shop.shopify("orders/paid", "evt-1", &order, secret).await;
    assert_eq!(again, paid);
    for topic in ["customers/data_request", "customers/redact", "shop/redact"] {
        let told = shop
            .shopify(topic, topic, r#"{"customer":{"id":1}}"#, secret)
            .await;
        assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    }
    let forged = shop
        .shopify("orders/paid", "evt-9", &order, "another")
        .await;
    assert_eq!(forged.status, StatusCode::UNAUTHORIZED);
    let mut conn = shop.service.connection().await;
    let kept: String = sqlx::query_scalar("select string_agg(i::text, '') from settlement.inbox i")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert!(!kept.contains("example.com"), "no address is kept: {kept}");
    assert!(
        !kept.contains("97773681707702"),
        "no customer number is kept: {kept}"
    );
}

#[tokio::test]
async fn woocommerce_greets_unsigned_and_reports_refunds_with_its_orders() {
    let shop = Shop::in_dollars().await;
    let secret = "woo-test-secret";
    shop.connect_panda("woo", "shop.example", secret).await;
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let greeting = shop.send("/api/woo/webhook", "webhook_id=12", &form).await;
    assert_eq!(greeting.status, StatusCode::OK);
    for (name, topic, expected) in [
        ("woo_order_created", "order.created", "9.90"),
        ("woo_order_updated_refund", "order.updated", "7.43"),
        ("woo_order_created", "order.created", "7.43"),
    ] {
        let body = fixture(name);
        let signature = base64(secret, body.as_bytes());
        let headers = [
            ("X-WC-Webhook-Source", "https://shop.example/"),
            ("X-WC-Webhook-Topic", topic),
            ("X-WC-Webhook-Delivery-ID", "d1"),
            ("X-WC-Webhook-Signature", signature.as_str()),
        ];
        let told = shop.send("/api/woo/webhook", &body, &headers).await;
        told.with("Commission approved", Some(expected));
    }
}

#[tokio::test]
async fn stripe_counts_running_totals_once_and_holds_what_is_disputed() {
    let shop = Shop::in_dollars().await;
    let secret = "whsec_test_secret";
    let path = shop.connect_panda("stripe", "*", secret).await;
    let deliver = async |name: &str| shop.stripe(&path, &fixture(name), secret).await;
    // The second refund comes before the first.
    deliver("stripe_checkout_completed")
        .await
        .with("Commission approved", Some("9.90"));
    let second = deliver("stripe_charge_refunded_2_cumulative").await;
    second.with("Commission approved", Some("4.43"));
    let first = deliver("stripe_charge_refunded_1").await;
    first.with("Commission approved", Some("4.43"));
    deliver("stripe_dispute_created")
        .await
        .with("Commission on hold", Some("4.43"));
    let transfer = deliver("stripe_transfer_reversed").await;
    transfer.with("Ignored: the event concerns a payout", None);
    // Signed long ago: whoever recorded it may not play it again.
    let old = [(
        "Stripe-Signature",
        "t=1777888800,v1=\
        09da696353e7c601c9300c6e299631be037bdf3d649505da78c7fea411cb3d04,v0=ignored",
    )];
    let body = fixture("stripe_checkout_completed");
    let told = shop.send("/api/stripe/webhook", &body, &old).await;
    assert_eq!(told.status, StatusCode::UNAUTHORIZED);
    shop.run(&["verify"]).await;
}

#[tokio::test]
async fn a_secret_is_replaced_while_deliveries_go_on() {
    let shop = Shop::open().await;
    let path = shop
        .connect("zid", &["--store", "555"], Some("first"))
        .await;
    let id = path.rsplit('/').next().unwrap().to_owned();
    let mut order = shop.zid_order("r", 0, "pending", "new");
    order["store_id"] = json!("555");
    let body = order.to_string();
    let send = async |secret: &str| {
        let headers = [("X-Zid-Webhook-Secret", secret)];
        shop.send(&path, &body, &headers).await.status
    };
    assert_eq!(send("first").await, StatusCode::OK);
    assert_eq!(
        send(ZID).await,
        StatusCode::UNAUTHORIZED,
        "it has a secret of its own"
    );
    let file = shop.folder.path().join("second");
    std::fs::write(&file, "second\n").unwrap();
    let rotate = [
        "store",
        "rotate",
        &id,
        "--secret-file",
        file.to_str().unwrap(),
    ];
    shop.run(&rotate).await;
    assert_eq!(
        (send("first").await, send("second").await),
        (StatusCode::OK, StatusCode::OK)
    );
    shop.run(&[&rotate[..], &["--only"]].concat()).await;
    assert_eq!(send("first").await, StatusCode::UNAUTHORIZED);
    assert_eq!(send("second").await, StatusCode::OK);
    let listed: Value =
        serde_json::from_str(&shop.run(&["--json", "store", "list"]).await).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 3);
    assert!(
        !listed.to_string().contains("second"),
        "a list shows no secret"
    );
}

#[tokio::test]
async fn what_nobody_vouches_for_is_refused_and_changes_nothing() {
    let shop = Shop::open().await;
    let body = shop.zid_order("x", 0, "paid", "new").to_string();
    let unknown = format!("/hooks/{}", Uuid::from_u128(1));
    for path in [
        "/api/zid/webhook",
        "/api/shopify/webhook",
        "/api/stripe/webhook",
        &unknown,
    ] {
        let told = shop.send(path, &body, &[]).await;
        assert_eq!(
            told.status,
            StatusCode::UNAUTHORIZED,
            "{path}: {}",
            told.text
        );
    }
    let token = format!("/api/zid/webhook?token={ZID}");
    let nonsense = shop.send(&token, "no json", &[]).await;
    assert_eq!(nonsense.status, StatusCode::UNPROCESSABLE_ENTITY);
    let mut conn = shop.service.connection().await;
    let kept: i64 = sqlx::query_scalar("select count(*) from settlement.inbox")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert_eq!(kept, 0);
    let told = shop.send(&token, &body, &[]).await;
    told.with("Commission approved", Some("25.00"));
}

#[tokio::test]
async fn fifty_copies_of_one_delivery_at_once_are_one_order() {
    let shop = Shop::open().await;
    let order = shop.zid_order("many", 0, "paid", "new");
    let sent = (0..50).map(|_| shop.zid(&order));
    for told in futures_util::future::join_all(sent).await {
        told.with("Commission approved", Some("25.00"));
    }
    assert_eq!(shop.history("many").await, ["approve"]);
    assert_eq!(
        shop.balances().await,
        ["1110 3000", "2000 2500", "4010 500"]
    );
}
