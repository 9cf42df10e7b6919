//! Pure: the gate. How much of what publishers earned an invoice's cash opens.
//!
//! A publisher's share stands unfunded (2000) until the brand has paid, and only cash applied to an
//! invoice moves it to available (2010). [`opened`] says how much of an invoice's publisher shares
//! its applied cash opens, by the program's [`CashApplication`]; [`spread`] says which share of
//! which line. Both look at sums so far, never at one payment, so the same cash opens the same
//! shares however it was split, in any order, and a bounced payment closes what it had opened.
//!
//! What it never does: post, know an account, or open more than the shares of the invoice.
//! Sources: DESIGN section 5; ACCOUNTING section 3, row 9; SETTLEMENT, gating rule.
//!
//! # Adding a policy
//!
//! A variant of [`CashApplication`], its arm in [`opened`], its row in the test
//! `six_of_eleven_eighty_eight_opens_what_the_policy_says`. The properties hold it.

use ledger::money::allocate;
use ledger::{Money, MoneyError};

use crate::terms::stored_names;

/// How part payments of an invoice open the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CashApplication {
    /// Nothing until the invoice is paid in full. The default: payouts are gated by the invoice's
    /// status.
    #[default]
    AllOrNothing,
    /// The same fraction of the shares as of the invoice, rounded down.
    ProRata,
    /// The publishers' shares first, then the network's fee and tax.
    PublisherFirst,
    /// The network's fee and tax first, then the publishers' shares.
    FeeFirst,
}

stored_names!(CashApplication,
    CashApplication::AllOrNothing => "all_or_nothing", CashApplication::ProRata => "pro_rata",
    CashApplication::PublisherFirst => "publisher_first", CashApplication::FeeFirst => "fee_first");

/// What an invoice asks for: its total with fee and tax, and what of that is the publishers'.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    total: Money,
    publishers: Money,
}

/// Why the gate cannot be computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// Shares above the total, or something below zero.
    #[error("an invoice of {total} cannot hold publishers' shares of {publishers}")]
    Shares {
        /// The invoice's total.
        total: Money,
        /// The shares said to be in it.
        publishers: Money,
    },
    /// More than what there is to open or to close.
    #[error("{change} cannot be spread over lines with {room} to move")]
    TooMuch {
        /// What was to be spread.
        change: Money,
        /// What the lines can take.
        room: Money,
    },
    /// Amounts of different currencies, or beyond all sums.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

impl Asked {
    /// An invoice, less its credit notes.
    pub fn new(total: Money, publishers: Money) -> Result<Asked, GateError> {
        if publishers.is_negative() || total.compare(publishers)?.is_lt() {
            return Err(GateError::Shares { total, publishers });
        }
        Ok(Asked { total, publishers })
    }
}

/// How much of the publishers' shares is open when this much cash is applied to the invoice in all.
///
/// Never above the shares, never less when more is applied; everything when the invoice is paid.
pub fn opened(policy: CashApplication, asked: Asked, applied: Money) -> Result<Money, GateError> {
    let Asked { total, publishers } = asked;
    let nothing = Money::zero(total.currency());
    if applied.compare(total)?.is_ge() {
        return Ok(publishers);
    }
    if !applied.is_positive() {
        return Ok(nothing);
    }
    match policy {
        CashApplication::AllOrNothing => Ok(nothing),
        CashApplication::ProRata => {
            // Total and shares are whole minor units: the fraction is exact up to the rounding.
            let parts = allocate(
                applied,
                &[weight(publishers), weight(total.checked_sub(publishers)?)],
            )?;
            let open = parts.first().copied().unwrap_or(nothing);
            floor(open, asked, applied)
        }
        CashApplication::PublisherFirst => Ok(applied.lesser(publishers)?),
        CashApplication::FeeFirst => {
            let above = applied.checked_sub(total.checked_sub(publishers)?)?;
            Ok(if above.is_negative() { nothing } else { above })
        }
    }
}

/// Rounds a pro-rata part down: largest remainder may have given it one unit more.
fn floor(open: Money, asked: Asked, applied: Money) -> Result<Money, GateError> {
    let exact = i128::from(asked.publishers.minor()) * i128::from(applied.minor());
    let taken = i128::from(open.minor()) * i128::from(asked.total.minor());
    if taken > exact {
        let unit = Money::try_from_minor(1, open.currency())?;
        return Ok(open.checked_sub(unit)?);
    }
    Ok(open)
}

fn weight(money: Money) -> u64 {
    u64::try_from(money.minor()).unwrap_or(0)
}

/// One line's share: all of it, and what of it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// What the publisher earns by this line.
    pub share: Money,
    /// What of it is open already.
    pub open: Money,
}

/// Spreads a change of what is open over lines, by largest remainder over what each can still
/// move; of equals the first, so give them in the order of their conversions' ids.
///
/// A positive change opens, a negative one closes. No line is opened beyond its share or closed
/// below zero, and the parts sum to the change.
///
/// # Errors
/// [`GateError::TooMuch`] when the lines cannot take the change.
pub fn spread(change: Money, lines: &[Line]) -> Result<Vec<Money>, GateError> {
    let currency = change.currency();
    if change.is_zero() {
        return Ok(vec![change; lines.len()]);
    }
    let room = lines
        .iter()
        .map(|line| {
            if change.is_negative() {
                Ok(line.open)
            } else {
                line.share.checked_sub(line.open)
            }
        })
        .collect::<Result<Vec<Money>, MoneyError>>()?;
    let all = Money::sum(currency, room.iter().copied())?;
    let asked = if change.is_negative() {
        change.negated()
    } else {
        change
    };
    if asked.compare(all)?.is_gt() {
        return Err(GateError::TooMuch { change, room: all });
    }
    let weights: Vec<u64> = room.into_iter().map(weight).collect();
    Ok(allocate(change, &weights)?)
}

#[cfg(test)]
mod tests {
    use ledger::Currency;
    use proptest::prelude::*;

    use super::*;

    const POLICIES: [CashApplication; 4] = [
        CashApplication::AllOrNothing,
        CashApplication::ProRata,
        CashApplication::PublisherFirst,
        CashApplication::FeeFirst,
    ];

    fn usd(minor: i64) -> Money {
        Money::try_from_minor(minor, Currency::USD).unwrap()
    }

    #[test]
    fn six_of_eleven_eighty_eight_opens_what_the_policy_says() {
        let asked = Asked::new(usd(1188), usd(792)).unwrap();
        let open = |policy| opened(policy, asked, usd(600)).unwrap().minor();
        assert_eq!(POLICIES.map(open), [0, 400, 600, 204]);
        let five = Asked::new(usd(990), usd(792)).unwrap();
        assert_eq!(
            opened(CashApplication::ProRata, five, usd(500)),
            Ok(usd(400))
        );
        // 10 % of 7.99 is 0.799: rounded down, whatever the other part lost.
        let odd = Asked::new(usd(1000), usd(799)).unwrap();
        assert_eq!(opened(CashApplication::ProRata, odd, usd(100)), Ok(usd(79)));
    }

    #[test]
    fn shares_above_the_total_are_no_invoice() {
        assert!(Asked::new(usd(100), usd(101)).is_err());
        assert!(Asked::new(usd(100), usd(-1)).is_err());
    }

    proptest! {
        #[test]
        fn more_cash_never_opens_less_and_all_of_it_opens_everything(
            total in 1..1_000_000_000_i64,
            share in 0..=1_000_i64,
            cash in proptest::collection::vec(1..500_000_000_i64, 1..8),
        ) {
            let publishers = total / 1_000 * share;
            let asked = Asked::new(usd(total), usd(publishers)).unwrap();
            for policy in POLICIES {
                let mut applied = 0;
                let mut before = opened(policy, asked, usd(0)).unwrap();
                prop_assert_eq!(before.is_zero(), true);
                for payment in &cash {
                    applied += payment;
                    let now = opened(policy, asked, usd(applied)).unwrap();
                    prop_assert!(now.minor() >= before.minor());
                    prop_assert!(now.minor() <= publishers);
                    prop_assert!(now.minor() <= applied);
                    prop_assert_eq!(applied < total || now.minor() == publishers, true);
                    before = now;
                }
            }
        }

        #[test]
        fn what_is_opened_and_closed_again_leaves_every_line_within_its_share(
            shares in proptest::collection::vec(0..1_000_000_i64, 1..12),
            steps in proptest::collection::vec(0..=1_000_i64, 1..10),
        ) {
            let whole: i64 = shares.iter().sum();
            let mut lines: Vec<Line> = shares
                .iter()
                .map(|share| Line { share: usd(*share), open: usd(0) })
                .collect();
            let mut open = 0;
            for step in steps.into_iter().chain([1_000, 0]) {
                let target = i64::try_from(i128::from(whole) * i128::from(step) / 1_000).unwrap();
                let parts = spread(usd(target - open), &lines).unwrap();
                open = target;
                for (line, part) in lines.iter_mut().zip(parts) {
                    line.open = line.open.checked_add(part).unwrap();
                    prop_assert!(!line.open.is_negative());
                    prop_assert!(line.open.minor() <= line.share.minor());
                }
                let sum: i64 = lines.iter().map(|line| line.open.minor()).sum();
                prop_assert_eq!(sum, open);
            }
            prop_assert!(lines.iter().all(|line| line.open.is_zero()));
        }
    }

    #[test]
    fn more_than_the_lines_can_take_is_refused() {
        let line = Line {
            share: usd(5),
            open: usd(2),
        };
        assert!(spread(usd(4), &[line]).is_err());
        assert!(spread(usd(-3), &[line]).is_err());
        assert_eq!(spread(usd(3), &[line]), Ok(vec![usd(3)]));
    }
}
