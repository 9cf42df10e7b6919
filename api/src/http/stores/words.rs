//! Pure: what the words of stores for the state of an order or a payment mean for a commission.
//!
//! A word that is not here means nothing to a commission, which then stays as it is.

use settlement::inbox::fact::Status;

/// Payments that are made.
const PAID: &[&str] = &[
    "paid",
    "completed",
    "success",
    "successful",
    "confirmed",
    "approved",
];
/// Orders that the customer has.
const DELIVERED: &[&str] = &["delivered", "completed", "complete", "fulfilled"];
/// What is over, of an order or a payment.
const OVER: &[&str] = &[
    "refunded",
    "reversed",
    "chargeback",
    "voided",
    "void",
    "canceled",
    "cancelled",
    "denied",
    "rejected",
    "restored",
    "deleted",
];
/// Attempts to pay that came to nothing.
const FAILED: &[&str] = &["failed", "expired"];
/// What is on its way back.
const DISPUTED: &[&str] = &["processingreverse", "restoring"];
/// What came back to life.
const REINSTATED: &[&str] = &["canceledreversal", "cancelledreversal"];

/// What the state of a payment means. "Unpaid" is said of new, refunded and voided orders alike, so
/// it means nothing.
pub(super) fn of_payment(word: &str) -> Status {
    meaning(word, PAID)
}

/// What the state of an order means.
pub(super) fn of_order(word: &str) -> Status {
    meaning(word, DELIVERED)
}

fn meaning(word: &str, paid: &[&str]) -> Status {
    let word: String = word
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let in_any = |words: &[&str]| words.contains(&word.as_str());
    [
        (paid, Status::Paid),
        (OVER, Status::Over),
        (FAILED, Status::Failed),
        (DISPUTED, Status::Disputed),
        (REINSTATED, Status::Reinstated),
    ]
    .into_iter()
    .find(|(words, _)| in_any(words))
    .map_or(Status::Open, |(_, status)| status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_zid_has_its_meaning() {
        for (code, meaning) in [
            ("new", Status::Open),
            ("failed", Status::Failed),
            ("refunded", Status::Over),
            ("reversed", Status::Over),
            ("chargeback", Status::Over),
            ("expired", Status::Failed),
            ("processed", Status::Open),
            ("voided", Status::Over),
            ("ready", Status::Open),
            ("processingReverse", Status::Disputed),
            ("preparing", Status::Open),
            ("inDelivery", Status::Open),
            ("delivered", Status::Paid),
            ("canceled", Status::Over),
            ("denied", Status::Over),
            ("canceledReversal", Status::Reinstated),
        ] {
            assert_eq!(of_order(code), meaning, "{code}");
        }
    }

    #[test]
    fn unpaid_says_nothing() {
        assert_eq!(of_payment("unpaid"), Status::Open);
        assert_eq!(of_payment("pending"), Status::Open);
        assert_eq!(of_payment("Paid"), Status::Paid);
        assert_eq!(of_order("paid"), Status::Open, "only a payment is paid");
    }
}
