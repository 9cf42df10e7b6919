//! The signed deliveries of `api/tests/fixtures`: each proves itself, and says what it says.

use sha2::{Digest, Sha256};

use super::*;

#[test]
fn every_signed_delivery_is_believed_and_read() {
    let vectors = Vectors::read();
    let _to = ledger::testing::snapshots("stores");
    let mut stores = 0;
    for vector in &vectors.vectors {
        let sent = vector.sent();
        let hash = hex::encode(Sha256::digest(&sent.body));
        assert_eq!(
            hash, vector.body_sha256,
            "{}: kept byte for byte",
            vector.name
        );
        let Some(sender) = vector.sender() else {
            assert_eq!(vector.name, "pandacps_conv", "a brand's postback");
            continue;
        };
        stores += 1;
        if sender.greets(&sent.request()) {
            assert_eq!(vector.name, "woo_ping");
            continue;
        }
        let secret = &vectors.secrets[sender.name()];
        let proof = proves(sender.name(), &sent, secret, vector.mode(), now());
        assert_eq!(proof, Ok(()), "{}", vector.name);
        let reading = reads(sender.name(), &sent);
        insta::assert_json_snapshot!(vector.name.clone(), as_json(&reading));
    }
    assert_eq!(stores, 16);
}

fn as_json(reading: &Reading) -> Value {
    let says = match &reading.says {
        Says::About(about) => serde_json::json!(about),
        Says::Nothing(reason) => serde_json::json!({ "nothing": reason }),
    };
    serde_json::json!({
        "store": reading.store,
        "topic": reading.topic,
        "key": reading.key,
        "customer": reading.customer,
        "says": says,
    })
}

#[test]
fn one_delivery_in_three_ways_of_signing_says_the_same() {
    let vectors = Vectors::read();
    let said = ["zid_seed_plain", "zid_sha256_mode", "zid_hmac_mode"]
        .map(|name| reads("zid", &vectors.named(name)).says);
    assert_eq!(said[0], said[1]);
    assert_eq!(said[0], said[2]);
}
