//! Pure: from the text that a sender hands back to the id of a click.
//!
//! Senders return what the visitor carried: the id itself, a signed token, or a tracking id. Each
//! gives an id without asking the database: a tracking id's follows from its text.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::token::{Claims, TokenError, TokenKeys, is_token};

/// The namespace of ids that follow from a tracking id. It never changes.
const NAMESPACE: Uuid = Uuid::from_u128(0x5c1d_0b6e_8a42_4f77_9e35_c0f1_7e1e_f011);
/// No reference is longer, but for a token.
const LONGEST: usize = 200;

/// A click as a sender refers to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClickRef {
    /// The click's id.
    pub id: Uuid,
    /// What its token says, if it is one: enough to record the click if it is not there yet.
    pub claims: Option<Claims>,
}

/// Why a reference is ignored. Senders are not told; it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    /// Nothing was handed back.
    #[error("the click reference is empty")]
    Empty,
    /// No click's reference looks like that.
    #[error("the click reference is malformed")]
    Malformed,
    /// A token that does not hold.
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl ClickRef {
    /// How it was proved, for whoever asks later.
    #[must_use]
    pub fn check(&self) -> &'static str {
        match self.claims {
            Some(_) => "its signed token holds",
            None => "an id, without a signature",
        }
    }

    /// Reads a reference as it stands at a moment: the order's, or now for a cookie.
    ///
    /// # Errors
    /// [`Ignored`]: go on as if there were no reference, and count it.
    pub fn parse(text: &str, keys: &TokenKeys, at: DateTime<Utc>) -> Result<ClickRef, Ignored> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Ignored::Empty);
        }
        if is_token(text) {
            let claims = keys.verify(text, at)?;
            return Ok(ClickRef {
                id: claims.click,
                claims: Some(claims),
            });
        }
        if text.len() > LONGEST || text.chars().any(char::is_control) {
            return Err(Ignored::Malformed);
        }
        Ok(ClickRef {
            id: Uuid::try_parse(text).unwrap_or_else(|_| tracking_id(text)),
            claims: None,
        })
    }
}

/// The click's id that follows from a tracking id.
#[must_use]
pub fn tracking_id(text: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ClickRef, Ignored> {
        ClickRef::parse(text, &TokenKeys::default(), DateTime::UNIX_EPOCH)
    }

    #[test]
    fn an_id_is_itself_however_it_is_written() {
        let id = Uuid::from_u128(0x0193_3f00_aaaa_7000_8000_0000_0000_0001);
        for text in [
            id.to_string(),
            id.to_string().to_uppercase(),
            id.simple().to_string(),
            format!(" {id}\n"),
        ] {
            assert_eq!(parse(&text).unwrap().id, id, "{text}");
        }
    }

    #[test]
    fn a_tracking_id_always_gives_the_same_click() {
        let id = parse("raff_X4m9K2pL7nQw").unwrap();
        assert_eq!(id.id, tracking_id("raff_X4m9K2pL7nQw"));
        assert_eq!(id.id.to_string(), "dc8358ed-ee8c-51ac-b10e-9926e0d8b4c3");
        assert_ne!(id.id, parse("raff_x4m9k2pl7nqw").unwrap().id, "case counts");
        assert_eq!(id.claims, None);
    }

    #[test]
    fn what_cannot_be_a_reference_is_ignored_and_a_broken_token_is_nothing_else() {
        assert_eq!(parse(" "), Err(Ignored::Empty));
        assert_eq!(parse("a\u{0}b"), Err(Ignored::Malformed));
        assert_eq!(parse(&"x".repeat(201)), Err(Ignored::Malformed));
        assert_eq!(
            parse("v1.k1.AAAA.BBBB"),
            Err(Ignored::Token(TokenError::UnknownKey))
        );
        // An endless token is not taken for a tracking id either.
        let endless = format!("v1.k1.{}.x", "A".repeat(2000));
        assert_eq!(parse(&endless), Err(Ignored::Malformed));
    }
}
