//! What senders say in the shapes that the signed deliveries do not have.

use serde_json::json;
use settlement::inbox::fact::Status;

use super::*;

const TOPIC: &str = "X-Shopify-Topic";

fn statuses(facts: &[Fact]) -> Vec<Status> {
    let statuses = facts.iter().filter_map(|fact| match &fact.what {
        What::Status { status, .. } => Some(*status),
        _ => None,
    });
    statuses.collect()
}

#[test]
fn shopify_commissions_count_on_the_subtotal_even_after_a_refund() {
    let body = json!({
        "id": 1, "created_at": "2026-05-04T09:59:58Z", "updated_at": "2026-05-06T00:00:00Z",
        "currency": "USD", "total_price": "104.94", "financial_status": "partially_refunded",
        "current_subtotal_price_set": {"shop_money": {"amount": "74.25", "currency_code": "USD"}},
        "refunds": [{"id": 5, "created_at": "2026-05-05T00:00:00Z",
                     "refund_line_items": [{"id": 1, "subtotal": "24.75"}]}],
        "landing_site": "/x?utm_source=a&ref=raff_X4m9K2pL7nQw#top",
    });
    let facts = facts("shopify", &body, &[(TOPIC, "orders/updated")]);
    let seen = order(&facts);
    assert_eq!(
        (seen.amount.as_str(), seen.currency.as_str()),
        ("99.00", "USD")
    );
    assert_eq!(seen.clicks, ["raff_X4m9K2pL7nQw"]);
    let refunds: Vec<_> = facts
        .iter()
        .filter_map(|fact| match &fact.what {
            What::Refund { reference, amount } => Some((reference.as_str(), amount.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(refunds, [("5", "24.75")]);
    assert_eq!(statuses(&facts), [Status::Paid, Status::Open]);
}

#[test]
fn shopify_is_answered_about_privacy_and_what_it_says_of_customers_is_not_kept() {
    for topic in ["customers/data_request", "customers/redact", "shop/redact"] {
        let sent = Sent::new(
            r#"{"customer":{"email":"x@example.com"}}"#,
            &[(TOPIC, topic)],
        );
        assert!(
            matches!(reads("shopify", &sent).says, Says::Nothing(_)),
            "{topic}"
        );
    }
}

#[test]
fn a_shopify_event_told_under_two_topics_is_two_deliveries_and_repeated_one() {
    let key = |topic, webhook| {
        let headers = [
            (TOPIC, topic),
            ("X-Shopify-Event-Id", "e1"),
            ("X-Shopify-Webhook-Id", webhook),
        ];
        reads("shopify", &Sent::new(r#"{"id":1}"#, &headers)).key
    };
    assert_eq!(key("orders/create", "w1"), key("orders/create", "w2"));
    assert_ne!(key("orders/create", "w1"), key("orders/paid", "w1"));
}

#[test]
fn the_same_delivery_id_of_woocommerce_is_no_reason_to_drop_another_body() {
    let vectors = Vectors::read();
    let keys = ["woo_order_created", "woo_order_updated_refund"]
        .map(|name| reads("woo", &vectors.named(name)).key);
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn woocommerce_refunds_are_a_share_of_a_total_that_covers_tax() {
    let body = json!({
        "id": 7, "status": "completed", "currency": "EUR", "total": "119.00", "total_tax": "19.00",
        "date_created_gmt": "2026-05-04T10:05:00", "date_modified_gmt": "2026-05-05T10:05:00",
        "line_items": [{"sku": "A", "quantity": 1, "total": "60.00"},
                       {"sku": "B", "quantity": 2, "total": "40.00"}],
        "refunds": [{"id": 8, "total": "-59.50"}, {"id": 9, "total": "-9.50"}],
        "meta_data": [{"key": "_pcps_click", "value": "018f6e2a-7c1d-7a44-9b0e-2f6f3f1c9a10"}],
    });
    let facts = facts("woo", &body, &[("X-WC-Webhook-Topic", "order.updated")]);
    assert_eq!(order(&facts).amount, "100.00");
    assert_eq!(order(&facts).clicks.len(), 1);
    let so_far = What::RefundedSoFar {
        refunded: "69.00".to_owned(),
        of: "119.00".to_owned(),
    };
    assert!(facts.iter().any(|fact| fact.what == so_far), "{facts:?}");
}

#[test]
fn a_deleted_order_of_woocommerce_is_only_its_number() {
    let facts = facts(
        "woo",
        &json!({"id": 7}),
        &[("X-WC-Webhook-Topic", "order.deleted")],
    );
    assert_eq!(statuses(&facts), [Status::Failed]);
}

#[test]
fn salla_writes_times_and_totals_in_several_ways() {
    let script = "Sun Jun 26 2022 12:21:48 GMT+0300";
    for (created_at, total) in [
        (script.to_owned(), r#"{"amount":500.00,"currency":"SAR"}"#),
        (format!("{script} (Arabian Standard Time)"), "500.00"),
        ("2022-06-26T12:21:48+03:00".to_owned(), r#""500.00""#),
    ] {
        let placed = r#"{"date":"2022-06-26 12:21:46.000000","timezone":"Asia/Riyadh"}"#;
        let data =
            format!(r#"{{"id":9,"currency":"SAR","amounts":{{"total":{total}}},"date":{placed}}}"#);
        let raw = format!(
            r#"{{"event":"order.created","merchant":1,"created_at":"{created_at}","data":{data}}}"#
        );
        let reading = reads("salla", &Sent::new(raw, &[]));
        assert_eq!(reading.store.as_deref(), Some("1"));
        let Says::About(about) = reading.says else {
            panic!("nothing said")
        };
        assert_eq!(order(&about.facts).amount, "500.00");
        assert_eq!(about.facts[0].at.to_rfc3339(), "2022-06-26T09:21:48+00:00");
        let placed_at = order(&about.facts).placed_at;
        assert_eq!(placed_at.to_rfc3339(), "2022-06-26T09:21:46+00:00");
    }
}

#[test]
fn a_status_event_of_salla_has_its_order_one_level_deeper() {
    let body = json!({"event": "order.status.updated", "merchant": 1,
        "created_at": "2022-06-26T12:00:00Z",
        "data": {"status": "delivered", "order": {"id": 9, "reference_id": 4}}});
    let sent = Sent::new(body.to_string(), &[]);
    let Says::About(about) = reads("salla", &sent).says else {
        panic!("nothing said")
    };
    assert_eq!(
        (about.order.as_str(), statuses(&about.facts)),
        ("9", vec![Status::Paid])
    );
}

#[test]
fn salla_events_that_are_no_orders_say_nothing() {
    for event in [
        "app.store.authorize",
        "product.created",
        "order.shipment.created",
    ] {
        let sent = Sent::new(
            json!({"event": event, "merchant": 1, "data": {"id": 1}}).to_string(),
            &[],
        );
        assert!(
            matches!(reads("salla", &sent).says, Says::Nothing(_)),
            "{event}"
        );
    }
}

fn stripe(event: &str, object: &Value) -> Says {
    let body =
        json!({"id": "evt", "type": event, "created": 1_777_888_800, "data": {"object": object}});
    reads("stripe", &Sent::new(body.to_string(), &[])).says
}

fn stripe_facts(event: &str, object: &Value) -> (String, Vec<String>, Vec<Fact>) {
    match stripe(event, object) {
        Says::About(about) => (about.order, about.aliases, about.facts),
        Says::Nothing(reason) => panic!("nothing said: {reason}"),
    }
}

#[test]
fn a_checkout_counts_when_it_is_paid_and_not_before() {
    let mut session = json!({"id": "cs_1", "payment_intent": "pi_1", "payment_status": "unpaid",
        "amount_subtotal": 9900, "currency": "jpy", "total_details": {"amount_discount": 900}});
    let (order_id, aliases, facts) = stripe_facts("checkout.session.completed", &session);
    assert_eq!(
        (order_id.as_str(), aliases),
        ("pi_1", vec!["cs_1".to_owned()])
    );
    assert_eq!(statuses(&facts), [Status::Open]);
    session["payment_status"] = json!("paid");
    let (_, _, facts) = stripe_facts("checkout.session.async_payment_succeeded", &session);
    assert_eq!(
        order(&facts).amount,
        "9000",
        "yen have no decimals; discounts are nobody's sale"
    );
    assert_eq!(statuses(&facts), [Status::Paid]);
}

#[test]
fn stripes_minor_units_are_stripes_own() {
    for (currency, minor, expected) in [
        ("usd", 9900, "99.00"),
        ("jpy", 9900, "9900"),
        ("kwd", 9900, "9.900"),
        ("ugx", 9900, "99.00"),
    ] {
        let session = json!({"id": "cs", "payment_status": "paid",
            "amount_subtotal": minor, "currency": currency});
        let (_, _, facts) = stripe_facts("checkout.session.completed", &session);
        assert_eq!(order(&facts).amount, expected, "{currency}");
    }
}

#[test]
fn an_invoice_counts_without_tax_and_goes_by_all_its_ids() {
    let invoice = json!({"id": "in_1", "currency": "usd", "total": 11900,
        "total_excluding_tax": 10000,
        "amount_remaining": 0, "customer": "cus_1",
        "payments": {"data": [{"payment": {"payment_intent": "pi_9"}}]},
        "parent": {"subscription_details": {"metadata": {"pcps_click": "c"}}}});
    let (order_id, aliases, facts) = stripe_facts("invoice.paid", &invoice);
    assert_eq!(
        (order_id.as_str(), aliases),
        ("in_1", vec!["pi_9".to_owned()])
    );
    assert_eq!(
        (order(&facts).amount.as_str(), &order(&facts).clicks),
        ("100.00", &vec!["c".to_owned()])
    );
    let open = json!({"id": "in_1", "amount_remaining": 5});
    assert!(matches!(stripe("invoice.paid", &open), Says::Nothing(_)));
    let joined = json!({"invoice": "in_1", "payment": {"payment_intent": "pi_1"}});
    let (order_id, aliases, facts) = stripe_facts("invoice_payment.paid", &joined);
    assert_eq!(
        (order_id.as_str(), aliases, facts),
        ("in_1", vec!["pi_1".to_owned()], vec![])
    );
}

#[test]
fn a_dispute_holds_and_its_end_decides() {
    for (event, word, expected) in [
        ("charge.dispute.created", "needs_response", Status::Disputed),
        (
            "charge.dispute.funds_withdrawn",
            "needs_response",
            Status::Disputed,
        ),
        ("charge.dispute.funds_reinstated", "won", Status::Reinstated),
        ("charge.dispute.closed", "won", Status::Reinstated),
        (
            "charge.dispute.closed",
            "warning_closed",
            Status::Reinstated,
        ),
        ("charge.dispute.closed", "lost", Status::Over),
    ] {
        let dispute = json!({"id": "dp", "payment_intent": "pi_1", "status": word});
        let (_, _, facts) = stripe_facts(event, &dispute);
        assert_eq!(statuses(&facts), [expected], "{event} {word}");
    }
}

#[test]
fn stripes_words_on_payouts_concern_no_conversion() {
    for event in [
        "transfer.created",
        "transfer.reversed",
        "account.updated",
        "payout.failed",
    ] {
        assert!(
            matches!(stripe(event, &json!({"id": "x"})), Says::Nothing(_)),
            "{event}"
        );
    }
}

#[test]
fn nothing_personal_is_among_the_facts() {
    let order = json!({
        "id": 1, "event": "order.create", "store_id": "789", "total": 5, "currency": "SAR",
        "total_price": "5", "current_subtotal_price": "5", "status": "paid", "type": "invoice.paid",
        "customer": {"id": 4711, "name": "Ada Person", "email": "a@example.com", "phone": "+966"},
        "consignee": {"name": "Ada Person", "address": "1 Street"}, "email": "ada@example.com",
        "billing": {"first_name": "Ada", "phone": "+966-5"},
        "shipping_address": {"address1": "1 Street"},
        "note": "call Ada", "client_details": {"browser_ip": "203.0.113.9"},
        "data": {"id": 1, "amounts": {"total": 5}, "currency": "SAR", "object": {
            "id": "in_1", "total": 500, "currency": "usd", "customer_email": "ada@example.com",
            "customer_details": {"name": "Ada Person"}}},
    });
    for sender in SENDERS {
        let headers = [
            (TOPIC, "orders/create"),
            ("X-WC-Webhook-Topic", "order.created"),
        ];
        let mut body = order.clone();
        if sender.name() == "salla" {
            body["event"] = json!("order.created");
        }
        if sender.name() == "woo" {
            body["total"] = json!("5");
        }
        let facts = facts(sender.name(), &body, &headers);
        assert!(
            facts.iter().any(|fact| matches!(fact.what, What::Order(_))),
            "{}",
            sender.name()
        );
        let kept = serde_json::to_string(&facts).unwrap();
        for personal in ["Ada", "@", "+966", "Street", "203.0", "4711"] {
            assert!(
                !kept.contains(personal),
                "{}: {personal} in {kept}",
                sender.name()
            );
        }
    }
}
