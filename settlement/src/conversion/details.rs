//! Pure: what else a sender says of an order, as far as rules and fraud signals look at it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What else is known of an order. Nothing of it names a person.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    /// What was ordered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// The plan that was subscribed to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// The category of what was ordered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Whether the customer is new, if the sender says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_customer: Option<bool>,
    /// The how manieth payment of a subscription it is, from 1 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_number: Option<u32>,
    /// Whether it is paid already.
    #[serde(skip_serializing_if = "is_false")]
    pub paid: bool,
    /// The customer's address, hashed as those of clicks are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_hash: Option<String>,
    /// The customer's browser.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// The publisher's own marks that the sender handed back, `sub1` to `sub5`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub subs: BTreeMap<String, String>,
    /// How the click that the sender handed back was proved, or why it was ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub click_check: Option<String>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference to what it may skip"
)]
fn is_false(value: &bool) -> bool {
    !value
}

impl Details {
    /// The texts that rules select by; each must be one that can be stored and shown.
    pub(super) fn texts(&self) -> impl Iterator<Item = &String> {
        [&self.product, &self.plan, &self.category, &self.ip_hash]
            .into_iter()
            .flatten()
            .chain(self.subs.values())
    }

    /// As it is stored: a browser may call itself anything, at any length.
    pub(super) fn stored(&self) -> serde_json::Value {
        let plain = |text: &String| text.chars().filter(|c| !c.is_control()).take(500).collect();
        serde_json::json!(Details {
            user_agent: self.user_agent.as_ref().map(plain),
            ..self.clone()
        })
    }
}
