//! What is not believed.

use proptest::prelude::*;

use super::*;

/// A sender that signs its bodies, its header, and a secret.
const SIGNED: [(&str, &str, &str); 6] = [
    ("shopify_orders_paid", "shopify", "X-Shopify-Hmac-Sha256"),
    ("woo_order_created", "woo", "X-WC-Webhook-Signature"),
    ("salla_order_created", "salla", "x-salla-signature"),
    ("zid_sha256_mode", "zid", "X-Zid-Webhook-Secret"),
    ("zid_hmac_mode", "zid", "X-Zid-Webhook-Secret"),
    ("stripe_charge_refunded_1", "stripe", "Stripe-Signature"),
];

fn mode_of(name: &str) -> Option<Mode> {
    let vectors = Vectors::read();
    vectors
        .vectors
        .iter()
        .find(|it| it.name == name)
        .unwrap()
        .mode()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_byte_changed_in_body_or_signature_is_refused(
        which in 0..SIGNED.len(),
        place in any::<prop::sample::Index>(),
        other in 1_u8..=255,
        in_body in any::<bool>(),
    ) {
        let (name, sender, header) = SIGNED[which];
        let vectors = Vectors::read();
        let mut sent = vectors.named(name);
        let secret = &vectors.secrets[sender];
        if in_body {
            let at = place.index(sent.body.len());
            sent.body[at] ^= other;
        } else {
            let mut signature = sent.headers[header].to_str().unwrap().to_owned().into_bytes();
            // Stripe's header also carries older schemes, which count for nothing.
            let end = signature.iter().rposition(|b| *b == b',').unwrap_or(signature.len());
            let at = place.index(end);
            let forged = 0x21 + (signature[at] - 0x21 + 1 + other % 93) % 94;
            prop_assume!(forged != signature[at]);
            // `sha256=` may be missing, so that a broken one is only another wrong signature.
            signature[at] = forged;
            sent.set(header, std::str::from_utf8(&signature).unwrap());
        }
        prop_assert!(proves(sender, &sent, secret, mode_of(name), now()).is_err());
    }

    #[test]
    fn another_secret_is_refused(which in 0..SIGNED.len(), secret in ".{0,40}") {
        let (name, sender, _) = SIGNED[which];
        let vectors = Vectors::read();
        prop_assume!(secret != vectors.secrets[sender]);
        let sent = vectors.named(name);
        prop_assert!(proves(sender, &sent, &secret, mode_of(name), now()).is_err());
    }
}

#[test]
fn what_is_not_signed_is_refused_by_every_sender() {
    for sender in SENDERS {
        let sent = Sent::new("{}", &[]);
        let proof = proves(sender.name(), &sent, "secret", None, now());
        assert_eq!(proof, Err(Unproven::Missing), "{}", sender.name());
    }
}

#[test]
fn an_empty_secret_proves_nothing() {
    let signature = hex_hmac("", b"{}");
    for (sender, mode) in [
        ("zid", Mode::Plain),
        ("zid", Mode::HmacSha256),
        ("salla", Mode::HmacSha256),
    ] {
        for given in ["", signature.as_str()] {
            let headers = [
                ("X-Zid-Webhook-Secret", given),
                ("x-salla-signature", given),
            ];
            let mut sent = Sent::new("{}", &headers);
            assert!(proves(sender, &sent, "", Some(mode), now()).is_err());
            sent.headers.clear();
            sent.token = Some(String::new());
            assert!(proves(sender, &sent, "", Some(mode), now()).is_err());
        }
    }
}

#[test]
fn stripes_clock_may_be_five_minutes_off_either_way_and_no_second_more() {
    let vectors = Vectors::read();
    let sent = vectors.named("stripe_checkout_completed");
    let secret = &vectors.secrets["stripe"];
    for (off, expected) in [
        (-301, Err(Unproven::Stale(300))),
        (-300, Ok(())),
        (300, Ok(())),
        (301, Err(Unproven::Stale(300))),
    ] {
        let now = now() + chrono::Duration::seconds(off);
        assert_eq!(
            proves("stripe", &sent, secret, None, now),
            expected,
            "{off}"
        );
    }
}

#[test]
fn stripe_signs_with_several_secrets_while_one_is_replaced() {
    let body = "{}";
    let stamp = now().timestamp().to_string();
    let sign = |secret: &str| {
        hex::encode(proof::hmac(
            secret,
            &[stamp.as_bytes(), b".", body.as_bytes()],
        ))
    };
    let header = format!("t={stamp},v1={},v1={},v0=x", sign("old"), sign("new"));
    let sent = Sent::new(body, &[("Stripe-Signature", &header)]);
    for (secret, expected) in [("old", true), ("new", true), ("other", false)] {
        assert_eq!(
            proves("stripe", &sent, secret, None, now()).is_ok(),
            expected,
            "{secret}"
        );
    }
}

#[test]
fn zid_is_believed_by_token_and_with_a_prefix_and_by_nothing_else() {
    let mut sent = Sent::new("{}", &[]);
    sent.token = Some("secret".to_owned());
    assert_eq!(proves("zid", &sent, "secret", None, now()), Ok(()));
    assert!(proves("zid", &sent, "other", None, now()).is_err());
    let signature = format!("sha256={}", hex_hmac("secret", b"{}"));
    let sent = Sent::new("{}", &[("X-Zid-Webhook-Secret", &signature)]);
    let mode = Some(Mode::HmacSha256);
    assert_eq!(proves("zid", &sent, "secret", mode, now()), Ok(()));
    assert!(proves("zid", &sent, "secret", Some(Mode::Plain), now()).is_err());
    // A wrong header is not mended by a right token.
    let mut both = Sent::new("{}", &[("X-Zid-Webhook-Secret", "wrong")]);
    both.token = Some("secret".to_owned());
    assert!(proves("zid", &both, "secret", None, now()).is_err());
}

#[test]
fn salla_chooses_between_signature_and_token_but_not_for_nothing_at_all() {
    let vectors = Vectors::read();
    let secret = &vectors.secrets["salla"];
    let mut sent = vectors.named("salla_token_strategy");
    sent.set("X-Salla-Security-Strategy", "None");
    assert!(proves("salla", &sent, secret, None, now()).is_err());
    sent.set("X-Salla-Security-Strategy", "Token");
    sent.set("Authorization", &format!("Bearer {secret}"));
    assert!(
        proves("salla", &sent, secret, None, now()).is_err(),
        "verbatim, no Bearer"
    );
}

#[test]
fn only_the_form_that_woocommerce_greets_with_is_a_greeting() {
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let woo = sender_named("woo").unwrap();
    for (body, headers, expected) in [
        ("webhook_id=12", &form[..], true),
        ("webhook_id=", &form[..], false),
        ("webhook_id=12&x=1", &form[..], false),
        ("webhook_id=12", &[], false),
    ] {
        assert_eq!(
            woo.greets(&Sent::new(body, headers).request()),
            expected,
            "{body}"
        );
    }
}
