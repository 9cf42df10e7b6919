//! Terms as people give them: on the command line and in requests.

use anyhow::Context;
use chrono::{DateTime, Utc};
use ledger::{Amount, Currency, Money, Rate, Rounding};
use serde::Deserialize;
use serde_json::Value;
use settlement::attribution::AttributionTerms;
use settlement::commission::{CommissionRule, Flat, FrozenRate, Percentage};
use settlement::fees::FeeModel;
use settlement::rules::Rules;
use settlement::terms::{Presentation, RecognitionPoint, Terms, Unattributed};
use utoipa::ToSchema;

/// Which side bears the network fee. There is no default: say which reading is meant.
#[derive(Debug, Clone, Copy, clap::ValueEnum, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FeeReading {
    /// The brand pays the commission; the fee comes out of the publisher's side.
    Deducted,
    /// The publisher gets the whole commission; the brand pays the fee on top.
    OnTop,
    /// The brand pays the fee on top, and as much again is deducted from the publisher.
    TwoSided,
    /// The network is its own publisher: the whole commission is its income.
    House,
}

/// What the network shows as its revenue.
#[derive(Debug, Clone, Copy, clap::ValueEnum, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Presented {
    /// Its fee.
    Agent,
    /// The whole commission; what publishers earn is a cost.
    Principal,
}

/// When a commission stands in the books.
#[derive(Debug, Clone, Copy, clap::ValueEnum, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Recognised {
    /// When it is approved.
    Approval,
    /// When it is ordered; the fee waits for the approval.
    Conversion,
}

/// What becomes of an order that nobody referred.
#[derive(Debug, Clone, Copy, clap::ValueEnum, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum Unreferred {
    /// It is recorded and earns nobody anything.
    RecordOnly,
    /// Its commission is the network's.
    HouseIncome,
}

/// What terms say. In a first version currency, commission and fee model are needed; in a later one
/// what is left out stays as it was.
#[derive(Debug, Clone, Default, clap::Args, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Offer {
    /// The currency of orders, commissions and invoices.
    #[arg(long)]
    #[serde(default)]
    #[schema(example = "USD")]
    pub(crate) currency: Option<String>,
    /// What an order pays: a share such as 10%, or an amount such as 5.00.
    #[arg(long)]
    #[serde(default)]
    #[schema(example = "10%")]
    pub(crate) commission: Option<String>,
    /// What an order pays as a rule in JSON, such as tiers; instead of `commission`.
    #[arg(long, value_parser = json, conflicts_with = "commission")]
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub(crate) rule: Option<Value>,
    /// Which side bears the network fee.
    #[arg(long)]
    #[serde(default)]
    pub(crate) fee_model: Option<FeeReading>,
    /// The network fee, as a share of the commission: 20% unless another is given.
    #[arg(long)]
    #[serde(default)]
    #[schema(example = "20%")]
    pub(crate) fee: Option<String>,
    /// Whether the network shows its fee as revenue, or the whole commission: `agent` unless said
    /// otherwise.
    #[arg(long)]
    #[serde(default)]
    pub(crate) presentation: Option<Presented>,
    /// When a commission stands in the books: `approval` unless said otherwise.
    #[arg(long)]
    #[serde(default)]
    pub(crate) recognition_point: Option<Recognised>,
    /// What becomes of an order that nobody referred: `record_only` unless said otherwise.
    #[arg(long)]
    #[serde(default)]
    pub(crate) unattributed: Option<Unreferred>,
    /// How many days a click earns an order, 1 to 365: 30 unless another number is given.
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..=365))]
    #[serde(default)]
    #[schema(example = 30, minimum = 1, maximum = 365)]
    pub(crate) lookback_days: Option<i32>,
    /// Orders from this moment on are decided by it. A first version counts for all orders, and a
    /// later one from now on, unless another moment is given.
    #[arg(long)]
    #[serde(default)]
    pub(crate) effective_from: Option<DateTime<Utc>>,
    /// How an order finds its publishers, in JSON.
    #[arg(long, value_parser = json)]
    #[serde(default)]
    #[schema(value_type = Option<Object>, example = json!({"model": "last_click"}))]
    pub(crate) attribution: Option<Value>,
    /// Caps, bonus, repeat orders, what is approved or held by itself, in JSON.
    #[arg(long, value_parser = json)]
    #[serde(default)]
    #[schema(value_type = Option<Object>, example = json!({"rate_at": "conversion"}))]
    pub(crate) rules: Option<Value>,
}

fn json(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text)
}

/// What an order pays, as people write it: a share such as 10%, or an amount such as 5.00.
pub(crate) fn pays(text: &str, currency: Currency) -> anyhow::Result<FrozenRate> {
    if text.ends_with('%') {
        let rate = text.parse::<Rate>()?;
        return Ok(FrozenRate::Percentage(Percentage { rate }));
    }
    let amount = Amount::new(Money::parse(text, currency)?)?;
    Ok(FrozenRate::Flat(Flat { amount }))
}

impl Offer {
    /// The first version of a program's terms.
    pub(crate) fn first(&self) -> anyhow::Result<Terms> {
        let currency = self.currency.as_deref().context("a currency is needed")?;
        let currency: Currency = currency.parse()?;
        let terms = Terms {
            effective_from: DateTime::UNIX_EPOCH,
            currency,
            rule: self
                .rule(currency)?
                .context("a commission such as 10% or 5.00 is needed")?,
            fee_model: self.fee_reading(None)?.context(
                "a fee model is needed: deducted, on_top, two_sided or house; there is no default",
            )?,
            rounding: Rounding::HalfUp,
            recognition_point: RecognitionPoint::Approval,
            presentation: Presentation::Agent,
            unattributed: Unattributed::RecordOnly,
            lookback_days: 30,
            attribution: AttributionTerms::default(),
            rules: Rules::default(),
        };
        self.over(terms, DateTime::UNIX_EPOCH)
    }

    /// The next version, after another.
    pub(crate) fn next(&self, latest: &Terms, now: DateTime<Utc>) -> anyhow::Result<Terms> {
        if let Some(currency) = &self.currency {
            anyhow::ensure!(
                currency == latest.currency.code(),
                "the program's currency is {}; make another program for {currency}",
                latest.currency
            );
        }
        self.over(latest.clone(), now)
    }

    fn over(&self, mut terms: Terms, from: DateTime<Utc>) -> anyhow::Result<Terms> {
        if let Some(rule) = self.rule(terms.currency)? {
            terms.rule = rule;
        }
        if let Some(fee_model) = self.fee_reading(Some(terms.fee_model))? {
            terms.fee_model = fee_model;
        }
        if let Some(days) = self.lookback_days {
            anyhow::ensure!(
                (1..=365).contains(&days),
                "lookback_days is {days}; use 1 to 365"
            );
            terms.lookback_days = days;
        }
        match self.presentation {
            Some(Presented::Agent) => terms.presentation = Presentation::Agent,
            Some(Presented::Principal) => terms.presentation = Presentation::Principal,
            None => {}
        }
        match self.recognition_point {
            Some(Recognised::Approval) => terms.recognition_point = RecognitionPoint::Approval,
            Some(Recognised::Conversion) => terms.recognition_point = RecognitionPoint::Conversion,
            None => {}
        }
        match self.unattributed {
            Some(Unreferred::RecordOnly) => terms.unattributed = Unattributed::RecordOnly,
            Some(Unreferred::HouseIncome) => terms.unattributed = Unattributed::HouseIncome,
            None => {}
        }
        if let Some(attribution) = &self.attribution {
            terms.attribution =
                AttributionTerms::deserialize(attribution).context("attribution cannot be read")?;
        }
        if let Some(rules) = &self.rules {
            terms.rules = Rules::deserialize(rules).context("rules cannot be read")?;
        }
        terms.effective_from = self.effective_from.unwrap_or(from);
        Ok(terms)
    }

    fn rule(&self, currency: Currency) -> anyhow::Result<Option<CommissionRule>> {
        if let Some(rule) = &self.rule {
            return Ok(Some(
                CommissionRule::deserialize(rule).context("rule cannot be read")?,
            ));
        }
        let Some(commission) = &self.commission else {
            return Ok(None);
        };
        Ok(Some(match pays(commission, currency)? {
            FrozenRate::Percentage(percentage) => CommissionRule::Percentage(percentage),
            FrozenRate::Flat(flat) => CommissionRule::Flat(flat),
            FrozenRate::Combined(_) => anyhow::bail!("a commission is a share or an amount"),
        }))
    }

    fn fee_reading(&self, latest: Option<FeeModel>) -> anyhow::Result<Option<FeeModel>> {
        let rate: Rate = self.fee.as_deref().unwrap_or("20%").parse()?;
        let same = match latest {
            _ if self.fee_model.is_some() => self.fee_model,
            Some(_) if self.fee.is_none() => None,
            Some(FeeModel::Deducted { .. }) => Some(FeeReading::Deducted),
            Some(FeeModel::OnTop { .. }) => Some(FeeReading::OnTop),
            Some(FeeModel::TwoSided { .. }) => Some(FeeReading::TwoSided),
            Some(FeeModel::House) => Some(FeeReading::House),
            Some(FeeModel::Custom(_)) => {
                anyhow::bail!("the program's fees are its own; name the fee model with the fee")
            }
            None => None,
        };
        Ok(same.map(|reading| match reading {
            FeeReading::Deducted => FeeModel::Deducted { rate },
            FeeReading::OnTop => FeeModel::OnTop { rate },
            FeeReading::TwoSided => FeeModel::TwoSided { rate },
            FeeReading::House => FeeModel::House,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer() -> Offer {
        Offer {
            currency: Some("USD".to_owned()),
            commission: Some("10%".to_owned()),
            fee_model: Some(FeeReading::TwoSided),
            ..Offer::default()
        }
    }

    #[test]
    fn a_first_version_names_currency_commission_and_fee_model() {
        offer().first().unwrap();
        for missing in [
            Offer {
                currency: None,
                ..offer()
            },
            Offer {
                commission: None,
                ..offer()
            },
            Offer {
                fee_model: None,
                ..offer()
            },
        ] {
            assert!(missing.first().is_err(), "{missing:?}");
        }
    }

    #[test]
    fn what_a_later_version_leaves_out_stays_and_a_new_fee_keeps_its_side() {
        let first = offer().first().unwrap();
        let now = DateTime::UNIX_EPOCH + chrono::TimeDelta::days(1);
        let longer = Offer {
            lookback_days: Some(60),
            ..Offer::default()
        };
        let expected = Terms {
            lookback_days: 60,
            effective_from: now,
            ..first.clone()
        };
        assert_eq!(longer.next(&first, now).unwrap(), expected);
        let dearer = Offer {
            fee: Some("25%".to_owned()),
            ..Offer::default()
        };
        let rate = "25%".parse().unwrap();
        let next = dearer.next(&first, now).unwrap();
        assert_eq!(next.fee_model, FeeModel::TwoSided { rate });
        let other = Offer {
            currency: Some("EUR".to_owned()),
            ..Offer::default()
        };
        assert!(other.next(&first, now).is_err());
    }
}
