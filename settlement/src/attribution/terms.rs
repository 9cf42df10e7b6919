//! Pure: what a program's terms say about attribution.

use serde::{Deserialize, Serialize};

use super::models::Model;
use crate::terms::stored_names;

/// A way in which an order can find its publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Clicks within the window, shared by the model.
    Click,
    /// A coupon code that belongs to a publisher.
    Coupon,
    /// The publisher that the brand itself names.
    Declared,
}

stored_names!(Way, Way::Click => "click", Way::Coupon => "coupon", Way::Declared => "declared");

/// What a program's terms say about attribution; one column of JSON, and what is not in it has its
/// default: `{"model":"last_click","precedence":["click","coupon","declared"],
/// "claim_at_signup":false}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AttributionTerms {
    /// How clicks share an order.
    pub model: Model,
    /// Which way counts before which; a way that is not listed never counts.
    pub precedence: Vec<Way>,
    /// Whether the publisher who brought a user to sign up keeps all of that user's orders: the
    /// first claim of a user stands before any click, code or name.
    pub claim_at_signup: bool,
}

impl Default for AttributionTerms {
    fn default() -> Self {
        AttributionTerms {
            model: Model::default(),
            precedence: vec![Way::Click, Way::Coupon, Way::Declared],
            claim_at_signup: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_has_its_default_and_what_is_unknown_is_refused() {
        let of = serde_json::from_str::<AttributionTerms>;
        assert_eq!(of("{}").unwrap(), AttributionTerms::default());
        let said = of(r#"{"model":"time_decay:7d","precedence":["coupon"]}"#).unwrap();
        assert_eq!(said.precedence, [Way::Coupon]);
        assert_eq!(serde_json::json!(said.model), "time_decay:168h");
        assert!(of(r#"{"modell":"linear"}"#).is_err());
    }
}
