//! The demo's network: a brand per country, a publisher per hashed customer, and terms that show
//! every fee model, rule, presentation and recognition point at work. The office sets it up over
//! HTTP, as any network would.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use ledger::{Actor, Currency};
use serde_json::{Value, json};
use settlement::inbox::connection::{self, Connection};
use settlement::party::{self, ProgramRef};
use sqlx::PgConnection;
use uuid::Uuid;

use super::shop::{Shop, secret};
use super::source::Source;
use crate::database;

/// The namespace of the demo's ids.
const DEMO: Uuid = Uuid::from_u128(0x5d0b_7b52_3c0e_5f5a_9a51_1c24_8a55_70f3);

/// The id of a thing of the demo: the same on every machine.
pub(super) fn id(kind: &str, name: &str) -> Uuid {
    Uuid::new_v5(&DEMO, format!("{kind}:{name}").as_bytes())
}

/// Where a brand's orders go, and how its clicks are marked.
pub(super) struct Offer {
    pub(super) program: ProgramRef,
    /// The parameter in which the shop finds the click.
    pub(super) parameter: &'static str,
    /// The domain of the brand's store.
    pub(super) store: String,
    /// The path of each publisher's link.
    pub(super) links: HashMap<String, String>,
}

/// The moment at which the network is set up.
pub(super) fn founded(source: &Source) -> DateTime<Utc> {
    let first = source.orders.first();
    first.map_or(DateTime::UNIX_EPOCH, |row| row.occurred_at) - TimeDelta::days(31)
}

/// Creates the network; does nothing when it is there already.
pub(super) async fn found(conn: &mut PgConnection, at: DateTime<Utc>) -> anyhow::Result<()> {
    let by = Actor::new("cli:demo");
    database::commit(conn, async |conn| {
        settlement::network::create(conn, at, &by, "Demo Network", Tz::UTC).await
    })
    .await?;
    Ok(())
}

/// Sets up everybody; what is there already stays as it is.
pub(super) async fn create(
    shop: &Shop,
    conn: &mut PgConnection,
    source: &Source,
) -> anyhow::Result<HashMap<String, Offer>> {
    let mut enrolled: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut currencies: BTreeMap<&str, Currency> = BTreeMap::new();
    for row in &source.orders {
        currencies.insert(&row.brand, row.amount.currency());
        let publishers = enrolled.entry(&row.brand).or_default();
        publishers.extend(row.publisher.as_deref());
    }
    let names: BTreeSet<&str> = enrolled.values().flatten().copied().collect();
    for name in names {
        shop.manage("/v1/publishers", &json!({ "name": name }))
            .await?;
    }
    for (brand, currency) in &currencies {
        shop.manage("/v1/brands", &json!({ "name": brand })).await?;
        let program = program(brand, *currency);
        shop.manage("/v1/programs", &program).await?;
        let (preset, _) = marks(brand);
        let track = json!({
            "dest_url": format!("https://{}/welcome", domain(brand)), "preset": preset,
            "domain": format!(".{}", domain(brand)), "reason": "the demo begins",
        });
        let path = format!("/v1/programs/{}/tracking", encoded(&full_name(brand)));
        shop.manage(&path, &track).await?;
        for publisher in &enrolled[brand] {
            let pair = json!({ "program": full_name(brand), "publisher": publisher });
            shop.manage("/v1/enrolments", &pair).await?;
            let path = format!(
                "/v1/enrolments/{}/{publisher}/approve",
                encoded(&full_name(brand))
            );
            let why = json!({ "reason": "known for good content" });
            shop.manage(&path, &why).await?;
        }
    }
    offers(conn, &enrolled).await
}

/// What was set up, as the database has it, and a store for each brand that tells of refunds.
async fn offers(
    conn: &mut PgConnection,
    enrolled: &BTreeMap<&str, BTreeSet<&str>>,
) -> anyhow::Result<HashMap<String, Offer>> {
    let by = Actor::new("cli:demo");
    let now = crate::chance::now();
    database::commit(conn, async |conn| -> anyhow::Result<_> {
        let programs = party::programs_by_brand(conn).await?;
        let links = settlement::tracking::manage::list(conn, None, None, None, i64::MAX).await?;
        let mut offers = HashMap::new();
        for brand in enrolled.keys() {
            let program = programs.get(*brand).and_then(|programs| programs.first());
            let program = program
                .with_context(|| format!("{brand} has no program"))?
                .1;
            let store = domain(brand);
            let connection = Connection {
                id: id("store", brand),
                program,
                source: "shopify".to_owned(),
                store: store.clone(),
                order_prefix: String::new(),
                secrets: vec![secret(&store)],
                header: None,
                mode: None,
                auto_approve_on_paid: false,
                record_all: false,
            };
            connection::add(conn, now, &by, &connection).await?;
            let own = links.iter().filter(|link| link.program_id == program.id);
            let offer = Offer {
                program,
                parameter: marks(brand).1,
                store,
                links: own
                    .map(|link| (link.publisher.clone(), format!("/go/{}", link.slug)))
                    .collect(),
            };
            offers.insert((*brand).to_owned(), offer);
        }
        Ok(offers)
    })
    .await
}

fn full_name(brand: &str) -> String {
    format!("{brand}/{brand} shop")
}

fn encoded(part: &str) -> String {
    url::form_urlencoded::byte_serialize(part.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}

/// The domain of a brand's shop.
fn domain(brand: &str) -> String {
    let letters = brand.to_ascii_lowercase();
    let plain = letters.replace(|sign: char| !sign.is_ascii_alphanumeric(), "-");
    format!("{plain}.shop.example")
}

/// How a brand's clicks are marked, and the parameter that its shop finds the click in.
fn marks(brand: &str) -> (&'static str, &'static str) {
    match brand {
        "Germany" => ("tb_affiliate", "ref"),
        "France" => ("op_cref", "cref"),
        "EIRE" | "Netherlands" => ("signed", "aff_ref"),
        _ => ("pcps_click", "pcps_click"),
    }
}

/// A brand's program. Each of the larger brands shows another way to run one.
fn program(brand: &str, currency: Currency) -> Value {
    let mut terms = json!({
        "currency": currency.code(), "commission": "10%", "fee_model": "two_sided", "fee": "20%",
    });
    let mut set = |name: &str, value: Value| terms[name] = value;
    match brand {
        "United Kingdom" => {
            set("commission", Value::Null);
            set("rule", tiered(currency));
        }
        "Germany" => set("fee_model", json!("deducted")),
        "France" => set("fee_model", json!("on_top")),
        "EIRE" => set("commission", json!("5.00")),
        "Spain" => set("presentation", json!("principal")),
        "Belgium" => set("recognition_point", json!("conversion")),
        "Netherlands" => set("fee_model", json!("house")),
        _ => {}
    }
    json!({ "brand": brand, "name": format!("{brand} shop"), "terms": terms })
}

/// 8 % to begin with, 10 % for a publisher who sold for 2,000, 12 % from 10,000 on.
fn tiered(currency: Currency) -> Value {
    let tier = |name: &str, from: &str, rate: &str| {
        json!({
            "name": name,
            "from": {"order_value": {"amount": from, "currency": currency.code()}},
            "pays": {"rule": "percentage", "rate": rate},
        })
    };
    json!({"rule": "tiered", "tiers": [
        tier("start", "0.00", "0.08"),
        tier("silver", "2000.00", "0.10"),
        tier("gold", "10000.00", "0.12"),
    ]})
}
