//! Pure: why conversions are decided about, by a code that can be counted and a note in words.

/// The codes.
pub const CODES: [&str; 10] = [
    "review",
    "refund",
    "chargeback",
    "cancellation",
    "fraud",
    "duplicate",
    "test_order",
    "terms_violation",
    "quality",
    "correction",
];

/// No note is longer, in characters.
const LONGEST: usize = 500;

/// Why a reason cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReason {
    /// No such code.
    #[error("reason_code must be one of {}", CODES.join(", "))]
    UnknownCode,
    /// Too much was said.
    #[error("note is longer than {LONGEST} characters; shorten it")]
    NoteTooLong,
}

/// A reason as it is kept with the change: `fraud: three orders of one click`.
pub fn reason(code: &str, note: &str) -> Result<String, InvalidReason> {
    if !CODES.contains(&code) {
        return Err(InvalidReason::UnknownCode);
    }
    let note = note.trim().replace(char::is_control, " ");
    if note.chars().count() > LONGEST {
        return Err(InvalidReason::NoteTooLong);
    }
    Ok(if note.is_empty() {
        code.to_owned()
    } else {
        format!("{code}: {note}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_a_known_code_and_perhaps_a_note() {
        assert_eq!(reason("fraud", " "), Ok("fraud".to_owned()));
        assert_eq!(reason("fraud", " a\nb "), Ok("fraud: a b".to_owned()));
        assert_eq!(reason("mood", "blue"), Err(InvalidReason::UnknownCode));
        let long = "é".repeat(501);
        assert_eq!(reason("fraud", &long), Err(InvalidReason::NoteTooLong));
        assert!(reason("fraud", &long[2..]).is_ok());
    }
}
