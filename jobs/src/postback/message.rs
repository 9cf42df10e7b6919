//! Pure: what is sent, made of a target and a delivery's payload.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;
use url::Url;

use super::Payload;
use super::target::{Method, Target};
use super::template::render;

/// A request, ready to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// Where to.
    pub(crate) url: Url,
    /// With which headers.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// With which body; none for a GET.
    pub(crate) body: Option<String>,
}

impl Message {
    /// The request at this moment (Unix seconds), or why there is none.
    pub(crate) fn of(target: &Target, payload: &Payload, unix: i64) -> Result<Message, String> {
        let rendered = render(&target.url, &payload.values, target.unknown);
        let url = Url::parse(&rendered)
            .map_err(|error| format!("'{rendered}' is no URL ({error}); mend the target"))?;
        let mut headers = vec![
            ("counterfoil-delivery", payload.delivery.to_string()),
            ("counterfoil-event", payload.event.clone()),
        ];
        let body = match &target.method {
            Method::Get => None,
            Method::Post { secret } => {
                let body = json!({
                    "id": payload.delivery,
                    "type": payload.event,
                    "data": payload.values,
                })
                .to_string();
                headers.push(("counterfoil-signature", signature(secret, unix, &body)));
                Some(body)
            }
        };
        Ok(Message { url, headers, body })
    }
}

/// The header of a signed POST: `t=<unix seconds>,v1=<hex HMAC-SHA-256 of "t.body">`.
#[must_use]
pub fn signature(secret: &str, unix: i64, body: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(unix.to_string().as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    let code = hex::encode(mac.finalize().into_bytes());
    format!("t={unix},v1={code}")
}

#[cfg(test)]
mod tests {
    use super::signature;

    #[test]
    fn a_signature_is_what_openssl_makes_of_it() {
        // printf '%s' '1700000000.{"a":1}' | openssl dgst -sha256 -hmac 'secret'
        let expected = "49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686";
        assert_eq!(
            signature("secret", 1_700_000_000, r#"{"a":1}"#),
            format!("t=1700000000,v1={expected}")
        );
    }
}
