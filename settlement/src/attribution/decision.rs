//! Pure: from everything that could earn an order to who does, and why nobody else.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::models::Model;
use super::{AttributionTerms, Way};

/// How a candidate came to be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The user was claimed at signup.
    Claim,
    /// A click of the same visitor or user.
    Click,
    /// The click that the order itself names.
    NamedClick,
    /// A coupon code.
    Coupon,
    /// The brand said so.
    Declared,
}

impl Source {
    fn way(self) -> Option<Way> {
        match self {
            Source::Claim => None,
            Source::Click | Source::NamedClick => Some(Way::Click),
            Source::Coupon => Some(Way::Coupon),
            Source::Declared => Some(Way::Declared),
        }
    }
}

/// Something that could earn an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// How it came to be one.
    pub source: Source,
    /// The click, if it is one.
    pub click: Option<Uuid>,
    /// Who would earn.
    pub publisher: Uuid,
    /// When it happened: the click, or the first click of a claim; else the order's own time.
    pub at: DateTime<Utc>,
    /// Until when it must have happened within the window: the order, or the signup of a claim.
    pub until: DateTime<Utc>,
    /// Whether it leads to the order's own program.
    pub same_program: bool,
    /// Whether the publisher could earn in the program when it was ordered.
    pub enrolled: bool,
    /// Why the click does not count, if it does not.
    pub disqualified: Option<String>,
    /// Whether the visitor carried the click for a shorter time than until the order: of what the
    /// browser keeps and what the terms look back, the shorter binds.
    pub expired: bool,
}

/// Why a candidate earns nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It leads to another program.
    OtherProgram,
    /// The click does not count, for this reason.
    Disqualified(String),
    /// The publisher could not earn in the program at that moment.
    NotEnrolled,
    /// It lies before the window.
    TooOld,
    /// The visitor no longer carried it.
    Expired,
    /// It lies after the order.
    AfterOrder,
    /// The program does not honour claims.
    NotClaimable,
    /// The program does not look for publishers this way.
    WayNotTaken,
    /// The user was claimed by who came first.
    Claimed,
    /// The order names another click.
    AnotherNamed,
    /// The model gives it nothing.
    NoWeight,
    /// Another way comes first.
    AnotherWay,
}

impl Why {
    /// For people.
    #[must_use]
    pub fn sentence(&self) -> String {
        let text = match self {
            Why::OtherProgram => "leads to another program",
            Why::Disqualified(reason) => return format!("does not count: {reason}"),
            Why::NotEnrolled => "its publisher could not earn here then",
            Why::TooOld => "before the window",
            Why::Expired => "had expired by the order",
            Why::AfterOrder => "after the order",
            Why::NotClaimable => "the program honours no claims",
            Why::WayNotTaken => "the program does not look here",
            Why::Claimed => "the user was claimed at signup",
            Why::AnotherNamed => "the order names another click",
            Why::NoWeight => "the model gives it nothing",
            Why::AnotherWay => "another way comes first",
        };
        text.to_owned()
    }
}

/// A candidate after the decision, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Considered {
    /// How it came to be one.
    pub source: Source,
    /// The click, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub click: Option<Uuid>,
    /// Who earns or would have earned.
    pub publisher: Uuid,
    /// When it happened, UTC.
    pub at: DateTime<Utc>,
    /// Its weight, if it earns.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub weight: u64,
    /// Why it does not earn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(weight: &u64) -> bool {
    *weight == 0
}

/// Who earns an order, and by which rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The rule, as stored: a model's name, or `named_click`, `claim`, `coupon`, `declared`,
    /// `none`.
    pub rule: &'static str,
    /// All candidates in order of time, each with its weight or why it has none.
    pub considered: Vec<Considered>,
}

/// Who earns how much weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credit {
    /// Who.
    pub publisher: Uuid,
    /// For which click.
    pub click: Option<Uuid>,
    /// Out of the sum of all weights.
    pub weight: u64,
}

/// At most so many that earn nothing are kept, the youngest.
const KEPT: usize = 20;

impl Decision {
    /// Who earns, in order of time.
    #[must_use]
    pub fn credits(&self) -> impl DoubleEndedIterator<Item = Credit> {
        self.considered
            .iter()
            .filter(|it| it.weight > 0)
            .map(|it| Credit {
                publisher: it.publisher,
                click: it.click,
                weight: it.weight,
            })
    }

    /// Who earns most: of equals, the youngest.
    #[must_use]
    pub fn leading(&self) -> Option<Credit> {
        self.credits().max_by_key(|credit| credit.weight)
    }

    /// Who shares it, if it is shared by several publishers.
    #[must_use]
    pub fn shared(&self) -> Vec<Credit> {
        let credits: Vec<Credit> = self.credits().collect();
        match credits.first() {
            Some(first) if credits.iter().any(|c| c.publisher != first.publisher) => credits,
            _ => Vec::new(),
        }
    }

    /// What is kept of it: nothing where one candidate had no rival.
    #[must_use]
    pub fn kept(&self) -> Vec<Considered> {
        if self.considered.len() == 1 && self.considered.iter().all(|it| it.weight > 0) {
            return Vec::new();
        }
        let losers = self.considered.iter().filter(|it| it.weight == 0).count();
        let mut skip = losers.saturating_sub(KEPT);
        let mut kept = self.considered.clone();
        kept.retain(|it| {
            let goes = it.weight == 0 && skip > 0;
            skip -= usize::from(goes);
            !goes
        });
        kept
    }
}

/// Decides who earns an order.
///
/// `user_known` says whether it is known who ordered: then the clicks of all devices stand in one
/// row, and the click that the order names is one of them. Where it is not, the click that the
/// order names speaks for its browser, and comes before other clicks under [`Model::LastClick`].
#[must_use]
pub fn decide(
    terms: &AttributionTerms,
    lookback_days: i32,
    user_known: bool,
    mut candidates: Vec<Candidate>,
) -> Decision {
    candidates.sort_by_key(|it| (it.at, it.click));
    let window = TimeDelta::hours(24 * i64::from(lookback_days));
    let mut considered: Vec<Considered> = candidates
        .iter()
        .map(|it| Considered {
            source: it.source,
            click: it.click,
            publisher: it.publisher,
            at: it.at,
            weight: 0,
            why: flaw(terms, window, it),
        })
        .collect();
    let (rule, lost) = choose(terms, user_known, &mut considered);
    for it in &mut considered {
        if it.weight == 0 && it.why.is_none() {
            it.why = Some(match lost {
                Lost::ToClaim => Why::Claimed,
                Lost::ToWay(way) if it.source.way() != Some(way) => Why::AnotherWay,
                Lost::ToWay(_) if rule == "named_click" => Why::AnotherNamed,
                Lost::ToWay(_) => Why::NoWeight,
            });
        }
    }
    Decision { rule, considered }
}

/// What the others lost to.
enum Lost {
    ToClaim,
    ToWay(Way),
}

/// Gives weights to those who earn.
fn choose(
    terms: &AttributionTerms,
    user_known: bool,
    considered: &mut [Considered],
) -> (&'static str, Lost) {
    let is_claim = |it: &&mut Considered| it.why.is_none() && it.source == Source::Claim;
    if let Some(claim) = considered.iter_mut().find(is_claim) {
        claim.weight = 1;
        return ("claim", Lost::ToClaim);
    }
    for way in &terms.precedence {
        let mut these: Vec<&mut Considered> = considered
            .iter_mut()
            .filter(|it| it.why.is_none() && it.source.way() == Some(*way))
            .collect();
        let Some(last) = these.len().checked_sub(1) else {
            continue;
        };
        let rule = match way {
            Way::Click => {
                let named = these.iter().rposition(|it| it.source == Source::NamedClick);
                let named = named.filter(|_| !user_known && terms.model == Model::LastClick);
                if let Some(named) = named {
                    these[named].weight = 1;
                    "named_click"
                } else {
                    let moments: Vec<_> = these.iter().map(|it| it.at).collect();
                    for (it, weight) in these.iter_mut().zip(terms.model.weights(&moments)) {
                        it.weight = weight;
                    }
                    terms.model.name()
                }
            }
            Way::Coupon | Way::Declared => {
                these[last].weight = 1;
                way.as_str()
            }
        };
        return (rule, Lost::ToWay(*way));
    }
    ("none", Lost::ToWay(Way::Click))
}

/// Why a candidate could not earn, whoever else is there.
fn flaw(terms: &AttributionTerms, window: TimeDelta, it: &Candidate) -> Option<Why> {
    let flaws = [
        (!it.same_program, Why::OtherProgram),
        (it.at > it.until, Why::AfterOrder),
        (it.at < it.until - window, Why::TooOld),
        (it.expired, Why::Expired),
        (
            it.source == Source::Claim && !terms.claim_at_signup,
            Why::NotClaimable,
        ),
        (
            it.source
                .way()
                .is_some_and(|way| !terms.precedence.contains(&way)),
            Why::WayNotTaken,
        ),
        (!it.enrolled, Why::NotEnrolled),
    ];
    let reason = it.disqualified.clone().map(Why::Disqualified);
    reason.or_else(|| flaws.into_iter().find(|(is, _)| *is).map(|(_, why)| why))
}

#[cfg(test)]
mod tests;
