//! Pure: what a payout's remittance, or the self-billed invoice of a publisher, says.

use chrono::NaiveDate;
use ledger::{Currency, Money};
use serde::{Deserialize, Serialize};

use super::{DocumentError, Party, agrees};

/// What a payout consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemittanceDocument {
    /// The payout's number.
    pub number: String,
    /// Whether it is the publisher's invoice too, issued in their name.
    pub self_billed: bool,
    /// The day the payout was created.
    pub issued_on: NaiveDate,
    /// The currency of all its amounts.
    pub currency: Currency,
    /// The network.
    pub payer: Party,
    /// The publisher.
    pub payee: Party,
    /// What was earned, by brand.
    pub lines: Vec<RemittanceLine>,
    /// The sum of the lines.
    pub earned: Money,
    /// The publisher's own tax, on a self-billed invoice; added.
    pub tax: Money,
    /// What they owed from before; taken off.
    pub recovered: Money,
    /// Tax withheld; taken off.
    pub withheld: Money,
    /// The cost of the payout, where they bear it; taken off.
    pub cost: Money,
    /// What is paid.
    pub paid: Money,
}

/// What was earned with one brand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemittanceLine {
    /// The brand's or the program's name.
    pub description: String,
    /// How many conversions it sums.
    pub conversions: u64,
    /// The gross commission.
    pub gross: Money,
    /// The network fee deducted.
    pub fee: Money,
    /// The gross less the fee.
    pub earned: Money,
}

impl RemittanceDocument {
    /// Whether it adds up to what is paid.
    ///
    /// # Errors
    /// The first figure that is not what the rest makes it.
    pub fn check(&self) -> Result<(), DocumentError> {
        for line in &self.lines {
            let figure = format!("earned with {:?}", line.description);
            let earned = line.gross.checked_sub(line.fee)?;
            agrees(&self.number, figure, line.earned, earned)?;
        }
        let earned = Money::sum(self.currency, self.lines.iter().map(|line| line.earned))?;
        agrees(&self.number, "earned", self.earned, earned)?;
        let mut paid = earned.checked_add(self.tax)?;
        for taken_off in [self.recovered, self.withheld, self.cost] {
            paid = paid.checked_sub(taken_off)?;
        }
        agrees(&self.number, "paid", self.paid, paid)
    }
}
