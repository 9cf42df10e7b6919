//! The demo's network: a brand per country, a publisher per hashed customer, and terms that show
//! every fee model, rule, presentation and recognition point at work.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use ledger::{Actor, Amount, Currency, Money, MoneyError, Rate, Rounding};
use settlement::attribution::AttributionTerms;
use settlement::commission::{
    CommissionError, CommissionRule, Flat, FrozenRate, Percentage, Tier, Tiered, Volume,
};
use settlement::fees::FeeModel;
use settlement::party::{self, NewParty, NewProgram, ProgramRef};
use settlement::rules::Rules;
use settlement::terms::{Presentation, RecognitionPoint, Terms, Unattributed};
use sqlx::PgConnection;
use uuid::Uuid;

use super::source::Source;
use crate::database;

/// The namespace of the demo's ids.
const DEMO: Uuid = Uuid::from_u128(0x5d0b_7b52_3c0e_5f5a_9a51_1c24_8a55_70f3);

/// The id of a thing of the demo: the same on every machine.
pub(super) fn id(kind: &str, name: &str) -> Uuid {
    Uuid::new_v5(&DEMO, format!("{kind}:{name}").as_bytes())
}

/// Programs by brand, publishers by name.
pub(super) struct Parties {
    pub(super) programs: HashMap<String, ProgramRef>,
    pub(super) publishers: HashMap<String, Uuid>,
}

/// Creates the network and everybody in it; does nothing where they are there already.
pub(super) async fn create(conn: &mut PgConnection, source: &Source) -> anyhow::Result<Parties> {
    let first = source
        .orders
        .first()
        .map_or(DateTime::UNIX_EPOCH, |row| row.occurred_at);
    let now = first - TimeDelta::days(31);
    let by = Actor::new("cli:demo");
    let mut enrolled: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut currencies: BTreeMap<&str, Currency> = BTreeMap::new();
    for row in &source.orders {
        currencies.insert(&row.brand, row.amount.currency());
        let publishers = enrolled.entry(&row.brand).or_default();
        publishers.extend(row.publisher.as_deref());
    }
    let brands: Vec<NewParty> = enrolled.keys().map(|name| named("brand", name)).collect();
    let names: BTreeSet<&str> = enrolled.values().flatten().copied().collect();
    let publishers: Vec<NewParty> = names.iter().map(|name| named("publisher", name)).collect();
    let programs = currencies
        .iter()
        .map(|(brand, currency)| program(brand, *currency, now))
        .collect::<Result<Vec<_>, CommissionError>>()?;
    database::commit(conn, async |conn| -> anyhow::Result<Parties> {
        settlement::network::create(conn, now, &by, "Demo Network", Tz::UTC).await?;
        party::create_brands(conn, now, &by, &brands).await?;
        party::create_publishers(conn, now, &by, &publishers).await?;
        party::create_programs(conn, now, &by, &programs).await?;
        let parties = Parties {
            programs: party::programs_by_brand(conn)
                .await?
                .into_iter()
                .filter_map(|(brand, programs)| Some((brand, programs.first()?.1)))
                .collect(),
            publishers: party::publishers_by_name(conn).await?,
        };
        let enrolments: Vec<(ProgramRef, Uuid)> = enrolled
            .iter()
            .flat_map(|(brand, publishers)| publishers.iter().map(move |p| (*brand, *p)))
            .map(|(brand, publisher)| (parties.programs[brand], parties.publishers[publisher]))
            .collect();
        party::enrol(conn, now, &by, &enrolments).await?;
        Ok(parties)
    })
    .await
}

fn named(kind: &str, name: &str) -> NewParty {
    NewParty {
        id: id(kind, name),
        name: name.to_owned(),
    }
}

/// A brand's program. Each of the larger brands shows another way to run one.
fn program(
    brand: &str,
    currency: Currency,
    now: DateTime<Utc>,
) -> Result<NewProgram, CommissionError> {
    let percent = |percent: i64| Rate::percent(percent.into());
    let share = |of: i64| -> Result<CommissionRule, MoneyError> {
        Ok(CommissionRule::Percentage(Percentage {
            rate: percent(of)?,
        }))
    };
    let fee = percent(20)?;
    let mut terms = Terms {
        effective_from: now,
        currency,
        rule: share(10)?,
        fee_model: FeeModel::TwoSided { rate: fee },
        rounding: Rounding::HalfUp,
        recognition_point: RecognitionPoint::Approval,
        presentation: Presentation::Agent,
        unattributed: Unattributed::RecordOnly,
        lookback_days: 30,
        attribution: AttributionTerms::default(),
        rules: Rules::default(),
    };
    match brand {
        "United Kingdom" => terms.rule = tiered(currency)?,
        "Germany" => terms.fee_model = FeeModel::Deducted { rate: fee },
        "France" => terms.fee_model = FeeModel::OnTop { rate: fee },
        "EIRE" => {
            let five = Money::rounded(5.into(), currency, Rounding::HalfUp)?;
            terms.rule = CommissionRule::Flat(Flat {
                amount: Amount::new(five)?,
            });
        }
        "Spain" => terms.presentation = Presentation::Principal,
        "Belgium" => terms.recognition_point = RecognitionPoint::Conversion,
        "Netherlands" => terms.fee_model = FeeModel::House,
        _ => {}
    }
    Ok(NewProgram {
        id: id("program", brand),
        brand: brand.to_owned(),
        name: format!("{brand} shop"),
        terms,
    })
}

/// 8 % to begin with, 10 % for a publisher who sold for 2,000, 12 % from 10,000 on.
fn tiered(currency: Currency) -> Result<CommissionRule, CommissionError> {
    let tier = |name: &str, from: i64, percent: i64| -> Result<Tier, CommissionError> {
        let from = Money::rounded(from.into(), currency, Rounding::HalfUp)?;
        let rate = Rate::percent(percent.into())?;
        Ok(Tier {
            name: name.to_owned(),
            from: Some(Volume::OrderValue(from)),
            pays: FrozenRate::Percentage(Percentage { rate }),
        })
    };
    let tiers = vec![
        tier("start", 0, 8)?,
        tier("silver", 2_000, 10)?,
        tier("gold", 10_000, 12)?,
    ];
    Ok(CommissionRule::Tiered(Tiered::new(tiers)?))
}
