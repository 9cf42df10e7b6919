//! Pure: a customer's first order or a repeat one, and what that changes.

use chrono::{DateTime, Months, Utc};
use serde::{Deserialize, Serialize};

use super::Rules;
use crate::commission::FrozenRate;
use crate::terms::stored_names;

/// A first order, or one of a customer who ordered before (a *top-up*, a renewal).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The order with which the customer came, or one of nobody known.
    #[default]
    Initial,
    /// A later order of the same customer in the program.
    Topup,
}

stored_names!(Kind, Kind::Initial => "initial", Kind::Topup => "topup");

/// What is known of an order's customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Customer {
    /// Whether anybody knows who it is.
    pub is_known: bool,
    /// What the sender says: new or not.
    pub said_new: Option<bool>,
    /// What the sender says: the how manieth payment, from 1 on.
    pub said_number: Option<u32>,
    /// The customer's first order that is recorded in the program.
    pub first_order: Option<DateTime<Utc>>,
}

impl Customer {
    /// First or repeat. The sender's word counts first: it knows customers from before the program.
    #[must_use]
    pub fn kind(&self, at: DateTime<Utc>) -> Kind {
        let repeat = match (self.said_number, self.said_new) {
            (Some(number), _) => number > 1,
            (None, Some(new)) => !new,
            (None, None) => self.first_order.is_some_and(|first| first <= at),
        };
        if repeat { Kind::Topup } else { Kind::Initial }
    }

    /// What a first order pays in addition: only where it is known that the customer is new.
    #[must_use]
    pub fn bonus(&self, rules: &Rules) -> Option<FrozenRate> {
        let said_new = self.said_new != Some(false) && self.said_number.is_none_or(|n| n <= 1);
        let is_new = self.first_order.is_none()
            && said_new
            && (self.is_known || self.said_new == Some(true) || self.said_number == Some(1));
        rules.first_order_bonus.filter(|_| is_new)
    }

    /// The limit in months that a repeat order at this moment lies beyond. With a limit of 12, the
    /// twelfth monthly payment pays and the thirteenth does not: by its number if the sender counts
    /// payments, else by the calendar from the first order on.
    #[must_use]
    pub fn beyond(&self, rules: &Rules, at: DateTime<Utc>) -> Option<u32> {
        let months = rules.repeat_months?;
        let late = match (self.said_number, self.first_order) {
            (Some(number), _) => number > months.max(1),
            (None, Some(first)) => first
                .checked_add_months(Months::new(months))
                .is_some_and(|end| at >= end),
            (None, None) => false,
        };
        (late && self.kind(at) == Kind::Topup).then_some(months)
    }
}
