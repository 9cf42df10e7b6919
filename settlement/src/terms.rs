//! Pure: what a program promises, by version.
//!
//! A conversion keeps the version it was decided under, so a change of terms never reaches back.
//! There is no default fee model: whoever creates a program says which reading of "20 % network
//! fee" is meant.

use chrono::{DateTime, Utc};
use ledger::{Currency, Rate, Rounding};
use uuid::Uuid;

use crate::attribution::AttributionTerms;
use crate::commission::CommissionRule;
use crate::fees::{FeeModel, Fees};
use crate::rules::Rules;

/// When a commission enters the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecognitionPoint {
    /// At approval; until then it stands in the memorandum accounts.
    Approval,
    /// At conversion, as pending payable and constrained fee until approval.
    Conversion,
}

/// How the network presents its revenue (ASC 606-10-55-36, IFRS 15 B34).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presentation {
    /// Net: revenue is the fee.
    Agent,
    /// Gross: revenue is all the brand owes, the publisher's share is a cost.
    Principal,
}

/// What becomes of a conversion that no publisher earned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unattributed {
    /// It is recorded; nobody owes anything.
    RecordOnly,
    /// The brand owes it, and it is the network's own income.
    HouseIncome,
}

/// The terms of a program, one version of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Orders from this moment on are decided by them, UTC.
    pub effective_from: DateTime<Utc>,
    /// The currency of orders, commissions and invoices.
    pub currency: Currency,
    /// What an order pays.
    pub rule: CommissionRule,
    /// Who bears the network fee, and how much.
    pub fee_model: FeeModel,
    /// How commissions and fees are rounded, once each.
    pub rounding: Rounding,
    /// When a commission enters the books.
    pub recognition_point: RecognitionPoint,
    /// How revenue is presented.
    pub presentation: Presentation,
    /// What becomes of unattributed conversions.
    pub unattributed: Unattributed,
    /// How many days before an order a click still earns it (1 to 365), to the microsecond.
    pub lookback_days: i32,
    /// How an order finds its publishers.
    pub attribution: AttributionTerms,
    /// When the rate is taken, bonus, repeat orders, caps, what is approved or held by itself.
    pub rules: Rules,
}

impl Terms {
    /// The fees of a conversion that this publisher earned. Where nobody did, all of the commission
    /// is the network's: there is nobody to owe it to.
    #[must_use]
    pub fn fees_of(&self, publisher: Option<Uuid>) -> Fees {
        let fees = self.fee_model.fees();
        match publisher {
            Some(_) => fees,
            None => Fees {
                publisher_rate: Rate::WHOLE,
                ..fees
            },
        }
    }
}

macro_rules! stored_names {
    ($type:ty, $($variant:path => $name:literal),+ $(,)?) => {
        impl $type {
            /// The name in Postgres.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $($variant => $name),+ }
            }

            /// The value of that name.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                match name { $($name => Some($variant),)+ _ => None }
            }
        }
    };
}
pub(crate) use stored_names;

stored_names!(RecognitionPoint,
    RecognitionPoint::Approval => "approval", RecognitionPoint::Conversion => "conversion");
stored_names!(Presentation, Presentation::Agent => "agent", Presentation::Principal => "principal");
stored_names!(Unattributed,
    Unattributed::RecordOnly => "record_only", Unattributed::HouseIncome => "house_income");

/// The name of a rounding in Postgres.
#[must_use]
pub fn rounding_name(rounding: Rounding) -> &'static str {
    match rounding {
        Rounding::HalfUp => "half_up",
        Rounding::HalfEven => "half_even",
        Rounding::Down => "down",
    }
}

/// The rounding of that name.
#[must_use]
pub fn rounding_named(name: &str) -> Option<Rounding> {
    [Rounding::HalfUp, Rounding::HalfEven, Rounding::Down]
        .into_iter()
        .find(|rounding| rounding_name(*rounding) == name)
}
