//! Pure: what a store's delivery says, in the same words whoever sent it.
//!
//! Facts are what is kept of a body: an allow-list by construction, because what has no field here
//! is not stored. Amounts are the sender's own digits, never a float.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// One delivery, verified and read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The same for the same delivery sent again; unique within book and sender.
    pub key: String,
    /// What the sender calls it.
    pub topic: String,
    /// SHA-256 of the raw body.
    pub body_hash: [u8; 32],
    /// What it says.
    pub says: Says,
}

/// What a delivery is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// One order.
    About(About),
    /// Nothing that concerns a conversion, and why.
    Nothing(String),
}

/// What a delivery says about one order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The order by the store's id.
    pub order: String,
    /// Other ids under which the sender may speak of the same order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// What is said.
    pub facts: Vec<Fact>,
}

/// One thing that is said, with the sender's time of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// When it happened; not when it arrived.
    pub at: DateTime<Utc>,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What can be said of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// It was placed, or is described again.
    Order(OrderSeen),
    /// A part of it was refunded.
    Refund {
        /// The sender's id of this refund.
        reference: String,
        /// How much of what commissions count on.
        amount: String,
    },
    /// So much of it was refunded by now, all refunds together.
    RefundedSoFar {
        /// Of what was charged.
        refunded: String,
        /// What was charged, taxes and shipping included.
        of: String,
    },
    /// It is now in this state.
    Status {
        /// What that means.
        status: Status,
        /// The sender's word for it.
        word: String,
    },
}

/// An order as a store describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderSeen {
    /// When it was placed, by the store's clock.
    pub placed_at: DateTime<Utc>,
    /// What commissions count on.
    pub amount: String,
    /// Its currency.
    pub currency: String,
    /// What may name a click, the likeliest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clicks: Vec<String>,
    /// Coupon codes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coupons: Vec<String>,
    /// Who ordered, as a keyed hash of the store's customer id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// What was bought.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<LineSeen>,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineSeen {
    /// The product, by the store's own number.
    pub sku: String,
    /// How many.
    pub quantity: String,
    /// The price, as the sender gives it.
    pub amount: String,
}

/// What a state of an order or of its payment means for a commission.
///
/// The order of the variants is the order in which states of the same moment count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nothing: it goes on. Also "unpaid", which says as much of a refunded order as of a new one.
    Open,
    /// The customer paid, or has the goods.
    Paid,
    /// Somebody disputes it, or it is on its way back.
    Disputed,
    /// The payment failed, which another attempt may mend.
    Failed,
    /// It is over: cancelled, refunded, charged back.
    Over,
    /// What was over or disputed is not any more.
    Reinstated,
}
