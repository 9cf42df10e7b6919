//! Pure: what an entry is because of.
//!
//! The ledger knows a cause's name, not its meaning: `order:536365`, `click:0190…`. Causes are part
//! of an entry's hash, so the link from a figure to its order cannot be cut afterwards.

use std::fmt;
use std::str::FromStr;

/// A link from an entry to the record that caused it, as `kind:id`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(into = "String")]
pub struct Cause {
    kind: String,
    id: String,
}

impl Cause {
    /// A cause of a kind (`order`, `click`, `conversion` …). Control characters become spaces.
    pub fn new(kind: &'static str, id: impl fmt::Display) -> Cause {
        Cause {
            kind: kind.to_owned(),
            id: id.to_string().replace(char::is_control, " "),
        }
    }

    /// What sort of record it names.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The record's own id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.id)
    }
}

impl From<Cause> for String {
    fn from(cause: Cause) -> String {
        cause.to_string()
    }
}

/// The text is not of the form `kind:id`.
#[derive(Debug, thiserror::Error)]
#[error("cause '{0}' is not of the form kind:id")]
pub struct InvalidCause(String);

impl FromStr for Cause {
    type Err = InvalidCause;

    fn from_str(text: &str) -> Result<Cause, InvalidCause> {
        match text.split_once(':') {
            Some((kind, id)) if !kind.is_empty() && !text.contains(char::is_control) => Ok(Cause {
                kind: kind.to_owned(),
                id: id.to_owned(),
            }),
            _ => Err(InvalidCause(text.to_owned())),
        }
    }
}
