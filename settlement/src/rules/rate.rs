//! Pure: which rate counts for an order, when a program has several.
//!
//! A [`RateRule`] narrows a program by publisher, product, plan, category or kind of order. The
//! most specific rule that matches counts, and of the same selector the latest that is effective.
//! What is more specific is decided in this order, so no two selectors ever tie:
//!
//! ```text
//! publisher  >  product  >  plan  >  category  >  kind of order  >  the program's own rule
//! ```
//!
//! A rule naming what stands further left wins over any rule that does not, however much that one
//! names; of two that both name it, the next place decides. So publisher and category beat
//! publisher alone, and publisher alone beats product, plan and category together: what was
//! promised to somebody by name is kept. The program's own rule (its tiers, assigned or by volume)
//! counts where nothing narrower does.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Kind;
use crate::commission::FrozenRate;

/// What a rate rule is about; nothing stands for anything.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Selector {
    /// Only this publisher's orders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publisher: Option<Uuid>,
    /// Only orders of this product.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// Only orders of this plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Only orders of this category.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Only first orders, or only repeat ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
}

impl Selector {
    /// Whether it narrows a program at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.weight() == 0
    }

    /// Its rank: a place further left outweighs all places right of it.
    fn weight(&self) -> u8 {
        let places = [
            self.publisher.is_some(),
            self.product.is_some(),
            self.plan.is_some(),
            self.category.is_some(),
            self.kind.is_some(),
        ];
        places
            .into_iter()
            .fold(0, |weight, named| weight * 2 + u8::from(named))
    }

    fn matches(&self, order: &Asked<'_>) -> bool {
        let fits = |named: Option<&String>, of: Option<&str>| {
            named.is_none_or(|named| of == Some(named.as_str()))
        };
        self.publisher
            .is_none_or(|named| order.publisher == Some(named))
            && self.kind.is_none_or(|named| order.kind == named)
            && fits(self.product.as_ref(), order.product)
            && fits(self.plan.as_ref(), order.plan)
            && fits(self.category.as_ref(), order.category)
    }
}

/// A rate of its own for part of a program's orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateRule {
    /// Which rule.
    pub id: Uuid,
    /// Which orders.
    pub selector: Selector,
    /// From when on.
    pub effective_from: DateTime<Utc>,
    /// When it was added: of two for the same moment the later counts.
    pub created_at: DateTime<Utc>,
    /// What they pay; nothing ends the rule before it, and the next wider one counts again.
    pub pays: Option<FrozenRate>,
}

/// An order, as far as rates look at it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Who is credited.
    pub publisher: Option<Uuid>,
    /// The product ordered.
    pub product: Option<&'a str>,
    /// The plan ordered.
    pub plan: Option<&'a str>,
    /// The category ordered.
    pub category: Option<&'a str>,
    /// First or repeat.
    pub kind: Kind,
    /// The moment whose rates count.
    pub at: DateTime<Utc>,
}

/// The rule that counts, or none: then the program's own does.
#[must_use]
pub fn resolve<'r>(rules: &'r [RateRule], order: &Asked<'_>) -> Option<(&'r RateRule, FrozenRate)> {
    rules
        .iter()
        .filter(|rule| rule.effective_from <= order.at && rule.selector.matches(order))
        .filter(|rule| !is_superseded(rule, rules, order.at))
        .filter_map(|rule| Some((rule, rule.pays?)))
        .max_by_key(|(rule, _)| rule.selector.weight())
}

/// Whether a later rule of the same selector is effective.
fn is_superseded(rule: &RateRule, rules: &[RateRule], at: DateTime<Utc>) -> bool {
    let age = |rule: &RateRule| (rule.effective_from, rule.created_at, rule.id);
    rules.iter().any(|other| {
        other.effective_from <= at && other.selector == rule.selector && age(other) > age(rule)
    })
}
