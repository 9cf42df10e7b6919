//! Parties, as both surfaces show them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use settlement::party::changes::PartyChange;
use settlement::party::{Brand, Enrolment, Program, Publisher};
use settlement::terms::{Terms, rounding_name};
use utoipa::ToSchema;
use uuid::Uuid;

use super::Listed;

/// A brand: who pays for conversions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BrandView {
    /// Its id.
    pub(crate) id: Uuid,
    /// Its name, unique.
    #[schema(example = "Acme")]
    name: String,
    /// Since when it takes part.
    created_at: DateTime<Utc>,
}

impl From<Brand> for BrandView {
    fn from(brand: Brand) -> BrandView {
        BrandView {
            id: brand.id,
            name: brand.name,
            created_at: brand.created_at,
        }
    }
}

impl Listed for BrandView {
    const COLUMNS: &'static [&'static str] = &["id", "name", "created_at"];
    const SHOWN: &'static [&'static str] = &["name", "id", "created_at"];
}

/// A publisher: who earns commissions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PublisherView {
    /// Its id.
    pub(crate) id: Uuid,
    /// Its name, unique.
    #[schema(example = "Zoe's Blog")]
    pub(crate) name: String,
    /// Its public code, as in `/ref/{code}`.
    #[schema(example = "ZOE")]
    pub(crate) code: String,
    /// `applied`, `approved`, `suspended` or `rejected`.
    #[schema(example = "approved")]
    pub(crate) state: String,
    /// Where to write to it.
    #[schema(example = "zoe@example.org")]
    contact_mail: Option<String>,
    /// Where it publishes.
    #[schema(example = "https://zoe.example.org")]
    website: Option<String>,
    /// When it applied or was added.
    created_at: DateTime<Utc>,
}

impl From<Publisher> for PublisherView {
    fn from(publisher: Publisher) -> PublisherView {
        PublisherView {
            id: publisher.id,
            name: publisher.name,
            code: publisher.code,
            state: publisher.state,
            contact_mail: publisher.contact_mail,
            website: publisher.website,
            created_at: publisher.created_at,
        }
    }
}

impl Listed for PublisherView {
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "name",
        "code",
        "state",
        "contact_mail",
        "website",
        "created_at",
    ];
    const SHOWN: &'static [&'static str] = &["name", "code", "state", "contact_mail", "website"];
}

/// A program: what a brand offers its publishers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProgramView {
    /// Its id.
    pub(crate) id: Uuid,
    /// Its brand's name.
    #[schema(example = "Acme")]
    brand: String,
    /// Its name, unique within the brand.
    #[schema(example = "Summer")]
    pub(crate) name: String,
    /// `draft`, `review`, `active`, `paused` or `closed`.
    #[schema(example = "active")]
    pub(crate) state: String,
    /// The currency of its orders, commissions and invoices.
    #[schema(example = "USD")]
    currency: String,
    /// The latest version of its terms.
    #[schema(example = 1)]
    terms_version: i32,
    /// When it was created.
    created_at: DateTime<Utc>,
}

impl From<Program> for ProgramView {
    fn from(program: Program) -> ProgramView {
        ProgramView {
            id: program.reference.id,
            brand: program.brand,
            name: program.name,
            state: program.state,
            currency: program.currency,
            terms_version: program.terms_version,
            created_at: program.created_at,
        }
    }
}

impl Listed for ProgramView {
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "brand",
        "name",
        "state",
        "currency",
        "terms_version",
        "created_at",
    ];
    const SHOWN: &'static [&'static str] =
        &["brand", "name", "state", "currency", ">terms_version", "id"];
}

/// A version of a program's terms.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TermsView {
    /// Its number, from 1.
    #[schema(example = 1)]
    pub(crate) version: i32,
    /// Orders from this moment on are decided by it.
    effective_from: DateTime<Utc>,
    /// The currency of orders, commissions and invoices.
    #[schema(example = "USD")]
    currency: &'static str,
    /// What an order pays.
    #[schema(value_type = Object, example = json!({"rule": "percentage", "rate": "0.1"}))]
    rule: Value,
    /// Which side bears the network fee: `deducted`, `on_top`, `two_sided`, `house`, `custom`.
    #[schema(example = "two_sided")]
    fee_model: &'static str,
    /// The share added to the brand's invoice.
    #[schema(example = "0.2")]
    fee_brand_rate: String,
    /// The share deducted from the publisher.
    #[schema(example = "0.2")]
    fee_publisher_rate: String,
    /// How commissions and fees are rounded.
    #[schema(example = "half_up")]
    rounding: &'static str,
    /// How many days a click earns an order.
    #[schema(example = 30)]
    lookback_days: i32,
    /// How an order finds its publishers.
    #[schema(value_type = Object)]
    attribution: Value,
    /// Caps, bonus, repeat orders, what is approved or held by itself.
    #[schema(value_type = Object)]
    rules: Value,
}

impl From<(i32, Terms)> for TermsView {
    fn from((version, terms): (i32, Terms)) -> TermsView {
        let fees = terms.fee_model.fees();
        TermsView {
            version,
            effective_from: terms.effective_from,
            currency: terms.currency.code(),
            rule: serde_json::json!(terms.rule),
            fee_model: terms.fee_model.name(),
            fee_brand_rate: fees.brand_rate.as_fraction().normalize().to_string(),
            fee_publisher_rate: fees.publisher_rate.as_fraction().normalize().to_string(),
            rounding: rounding_name(terms.rounding),
            lookback_days: terms.lookback_days,
            attribution: serde_json::json!(terms.attribution),
            rules: serde_json::json!(terms.rules),
        }
    }
}

impl Listed for TermsView {
    const COLUMNS: &'static [&'static str] = &[
        "version",
        "effective_from",
        "currency",
        "rule",
        "fee_model",
        "fee_brand_rate",
        "fee_publisher_rate",
        "rounding",
        "lookback_days",
        "attribution",
        "rules",
    ];
    const SHOWN: &'static [&'static str] = &[
        ">version",
        "effective_from",
        "currency",
        "rule",
        "fee_model",
        ">lookback_days",
    ];
}

/// An enrolment: a publisher in a program.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EnrolmentView {
    /// The program's id.
    pub(crate) program_id: Uuid,
    /// The program's name.
    #[schema(example = "Summer")]
    program: String,
    /// The brand's name.
    #[schema(example = "Acme")]
    brand: String,
    /// The publisher's id.
    pub(crate) publisher_id: Uuid,
    /// The publisher's name.
    #[schema(example = "Zoe's Blog")]
    publisher: String,
    /// `applied`, `approved`, `suspended` or `ended`.
    #[schema(example = "approved")]
    pub(crate) state: String,
    /// From when orders count, as last approved; nothing for "always".
    earns_from: Option<DateTime<Utc>>,
    /// Until when orders count; nothing while it goes on.
    earns_until: Option<DateTime<Utc>>,
    /// When it was asked for or added.
    created_at: DateTime<Utc>,
}

impl From<Enrolment> for EnrolmentView {
    fn from(enrolment: Enrolment) -> EnrolmentView {
        EnrolmentView {
            program_id: enrolment.program.id,
            program: enrolment.program_name,
            brand: enrolment.brand,
            publisher_id: enrolment.publisher,
            publisher: enrolment.publisher_name,
            state: enrolment.state,
            earns_from: enrolment.earns_from,
            earns_until: enrolment.earns_until,
            created_at: enrolment.created_at,
        }
    }
}

impl Listed for EnrolmentView {
    const COLUMNS: &'static [&'static str] = &[
        "program_id",
        "program",
        "brand",
        "publisher_id",
        "publisher",
        "state",
        "earns_from",
        "earns_until",
        "created_at",
    ];
    const SHOWN: &'static [&'static str] = &[
        "brand",
        "program",
        "publisher",
        "state",
        "earns_from",
        "earns_until",
    ];
}

/// A change of a party: what was done, by whom, when, why, and the row before and after.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangeView {
    /// Kind and id: `publisher:…`, `program:…`, `enrolment:program/publisher`.
    #[schema(example = "publisher:01997c1c-0000-7000-8000-000000000001")]
    pub(crate) subject: String,
    /// The how-manieth change of its subject.
    #[schema(example = 2)]
    pub(crate) version: i32,
    /// What was done.
    #[schema(example = "suspend")]
    action: String,
    /// Why.
    #[schema(example = "brand bidding")]
    reason: String,
    /// When.
    pub(crate) changed_at: DateTime<Utc>,
    /// By whom.
    #[schema(example = "cli:publisher-suspend@ann")]
    changed_by: String,
    /// The row before; nothing when it came to be.
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    /// The row after.
    #[schema(value_type = Object)]
    after: Value,
}

impl From<PartyChange> for ChangeView {
    fn from(change: PartyChange) -> ChangeView {
        ChangeView {
            subject: change.subject,
            version: change.version,
            action: change.action,
            reason: change.reason,
            changed_at: change.changed_at,
            changed_by: change.changed_by,
            before: change.before,
            after: change.after,
        }
    }
}

impl Listed for ChangeView {
    const COLUMNS: &'static [&'static str] = &[
        "changed_at",
        "subject",
        "version",
        "action",
        "reason",
        "changed_by",
        "before",
        "after",
    ];
    const SHOWN: &'static [&'static str] = &[
        "changed_at",
        "subject",
        ">version",
        "action",
        "reason",
        "changed_by",
    ];
}
