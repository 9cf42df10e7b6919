//! Pure: a conversion is credited to somebody else than before.
//!
//! What is recognised for those credited so far is taken back and recognised for those credited
//! now, in one entry of the difference: between two publishers only their payables move, and what
//! nobody's standing changed is not in it. From a publisher to nobody (or back), whatever the
//! conversion brought moves with it.

use ledger::{Account, AccountId, Amount, Line, Money};

use super::held::HeldFrom;
use super::{
    Posting, PostingError, Share, Subject, constrained_lines, earned_lines, expected_lines,
};
use crate::chart::Chart;
use crate::fees::{Components, FeeError};
use crate::terms::RecognitionPoint;

/// A conversion as it is credited before or after.
#[derive(Debug, Clone)]
pub struct Credited {
    /// Whose it is; both have the same version and day.
    pub subject: Subject,
    /// What it brings.
    pub amounts: Components,
}

/// The entry of the difference. `stage` is what the conversion is: waiting for review or approved;
/// `share` whether the publishers' share is on hold.
pub fn reattributed(
    before: &Credited,
    after: &Credited,
    stage: HeldFrom,
    share: Share,
) -> Result<Posting, PostingError> {
    let (taken, from) = standing(before, stage, share)?;
    let (given, to) = standing(after, stage, share)?;
    let signed = taken
        .into_iter()
        .map(Line::opposite)
        .chain(given)
        .collect::<Vec<_>>();
    let mut net: Vec<(AccountId, Money)> = Vec::new();
    for line in signed {
        let money = line.amount().money();
        let money = match line.direction() {
            ledger::Direction::Debit => money,
            ledger::Direction::Credit => money.negated(),
        };
        match net
            .iter_mut()
            .find(|(account, _)| *account == line.account())
        {
            Some((_, sum)) => *sum = sum.checked_add(money).map_err(FeeError::from)?,
            None => net.push((line.account(), money)),
        }
    }
    let mut accounts: Vec<Account> = from;
    accounts.extend(to);
    accounts.sort_by_key(Account::id);
    accounts.dedup_by_key(|account| account.id());
    let mut lines = Vec::new();
    for (id, money) in net {
        let account = accounts.iter().find(|account| account.id() == id);
        let Some(account) = account else { continue };
        if let Ok(debit) = Amount::new(money) {
            lines.push(account.debit(debit)?);
        } else if let Ok(credit) = Amount::new(money.negated()) {
            lines.push(account.credit(credit)?);
        }
    }
    let entry = after.subject.entry(FACT, WHAT, lines)?;
    let used: Vec<AccountId> = entry
        .iter()
        .flat_map(|entry| entry.legs().iter().map(|leg| leg.account))
        .collect();
    accounts.retain(|account| used.contains(&account.id()));
    Ok(Posting {
        entries: entry.into_iter().collect(),
        accounts,
    })
}

/// What stands in the books for a conversion that is in force, and the accounts it stands on.
fn standing(
    credited: &Credited,
    stage: HeldFrom,
    share: Share,
) -> Result<(Vec<Line>, Vec<Account>), PostingError> {
    let Credited { subject, amounts } = credited;
    let mut chart: Chart = subject.chart();
    let lines = match (stage, subject.recognition) {
        (HeldFrom::Approved, _) => earned_lines(&mut chart, subject.presentation, amounts, share)?,
        (HeldFrom::Pending, RecognitionPoint::Approval) => {
            expected_lines(&mut chart, amounts, share)?
        }
        (HeldFrom::Pending, RecognitionPoint::Conversion) => {
            constrained_lines(&mut chart, amounts, share)?
        }
    };
    let accounts = chart.used().cloned().collect();
    Ok((lines, accounts))
}

const FACT: &str = "conversion.reattributed";
const WHAT: &str = "Conversion credited anew";
