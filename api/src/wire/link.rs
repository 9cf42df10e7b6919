//! Links and how programs are tracked, as both surfaces take and show them.

use anyhow::Context;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use settlement::tracking::link::Kind;
use settlement::tracking::manage::LinkRow;
use settlement::tracking::profile::{Preset, Profile};
use settlement::tracking::secrets::KeyRow;
use settlement::tracking::setup::Setup;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Listed;

/// A link: a word in an address, and where it leads.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LinkView {
    /// The word.
    #[schema(example = "zoe-s-blog-k3x9m2pq")]
    pub(crate) slug: String,
    /// `slug`, `code`, `key` or `product`; all are looked up alike.
    #[schema(example = "slug")]
    kind: String,
    /// The brand's name.
    #[schema(example = "Acme")]
    brand: String,
    /// The program's name.
    #[schema(example = "Summer")]
    program: String,
    /// The program.
    program_id: Uuid,
    /// The publisher's name.
    #[schema(example = "Zoe's Blog")]
    publisher: String,
    /// The publisher.
    publisher_id: Uuid,
    /// A page of its own.
    #[schema(example = "https://acme.example/shoes")]
    dest_url: Option<String>,
    /// `utm_campaign`.
    campaign: Option<String>,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it ended.
    pub(crate) ended_at: Option<DateTime<Utc>>,
}

impl From<LinkRow> for LinkView {
    fn from(link: LinkRow) -> LinkView {
        LinkView {
            slug: link.slug,
            kind: link.kind,
            brand: link.brand,
            program: link.program,
            program_id: link.program_id,
            publisher: link.publisher,
            publisher_id: link.publisher_id,
            dest_url: link.dest_url,
            campaign: link.campaign,
            created_at: link.created_at,
            ended_at: link.ended_at,
        }
    }
}

impl Listed for LinkView {
    const COLUMNS: &'static [&'static str] = &[
        "slug",
        "kind",
        "brand",
        "program",
        "program_id",
        "publisher",
        "publisher_id",
        "dest_url",
        "campaign",
        "created_at",
        "ended_at",
    ];
    const SHOWN: &'static [&'static str] = &[
        "slug",
        "kind",
        "brand",
        "program",
        "publisher",
        "dest_url",
        "ended_at",
    ];
}

/// A key that signs click tokens; never what it is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenKeyView {
    /// Its id, which stands in the tokens it signed.
    kid: String,
    /// Since when it signs.
    created_at: DateTime<Utc>,
    /// Who added it.
    created_by: String,
}

impl From<KeyRow> for TokenKeyView {
    fn from(key: KeyRow) -> TokenKeyView {
        TokenKeyView {
            kid: key.kid,
            created_at: key.created_at,
            created_by: key.created_by,
        }
    }
}

impl Listed for TokenKeyView {
    const COLUMNS: &'static [&'static str] = &["kid", "created_at", "created_by"];
    const SHOWN: &'static [&'static str] = Self::COLUMNS;
}

/// What kind of word a link is.
#[derive(Debug, Clone, Copy, clap::ValueEnum, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KindOfLink {
    /// For `/go/{slug}`.
    Slug,
    /// For `/ref/{code}`.
    Code,
    /// For `/r/{key}`.
    Key,
    /// A product, for `POST /api/track/click`.
    Product,
}

impl From<KindOfLink> for Kind {
    fn from(kind: KindOfLink) -> Kind {
        match kind {
            KindOfLink::Slug => Kind::Slug,
            KindOfLink::Code => Kind::Code,
            KindOfLink::Key => Kind::Key,
            KindOfLink::Product => Kind::Product,
        }
    }
}

/// How the clicks of a program are marked, after a network that does it so.
#[derive(Debug, Clone, Copy, clap::ValueEnum, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum Marks {
    /// `pcps_click`, the click's id, thirty days, hidden from scripts.
    PcpsClick,
    /// `tb_affiliate` for seven days, with `tb_session` for a day to count by.
    TbAffiliate,
    /// `op_cref`, which the shop's own script reads and refreshes.
    OpCref,
    /// `ref=raff_…` and marketing marks, repeated clicks counted once in fifteen seconds.
    Raff,
    /// `aff_ref`, a signed token.
    Signed,
}

impl From<Marks> for Preset {
    fn from(marks: Marks) -> Preset {
        match marks {
            Marks::PcpsClick => Preset::PcpsClick,
            Marks::TbAffiliate => Preset::TbAffiliate,
            Marks::OpCref => Preset::OpCref,
            Marks::Raff => Preset::Raff,
            Marks::Signed => Preset::Signed,
        }
    }
}

/// How a program is tracked.
#[derive(Debug, Clone, clap::Args, Deserialize, ToSchema)]
#[group(skip)]
pub(crate) struct Tracked {
    /// Where its links lead.
    #[arg(long = "to", value_name = "URL")]
    #[schema(example = "https://acme.example/welcome")]
    dest_url: String,
    /// Where visitors go while it takes none; without one they read that the offer has ended.
    #[arg(long = "fallback", value_name = "URL")]
    #[serde(default)]
    #[schema(example = "https://acme.example/")]
    fallback_url: Option<String>,
    /// How its clicks are marked: a preset. `pcps_click` unless another is named.
    #[arg(long, value_enum)]
    #[serde(default)]
    preset: Option<Marks>,
    /// Where the preset's cookies are seen, such as `.acme.example`; without one, only by the host
    /// that sets them.
    #[arg(long)]
    #[serde(default)]
    #[schema(example = ".acme.example")]
    domain: Option<String>,
    /// How its clicks are marked, in JSON and in full, instead of a preset.
    #[arg(long, value_parser = json, conflicts_with_all = ["preset", "domain"])]
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    profile: Option<Value>,
}

fn json(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text)
}

impl Tracked {
    /// As it is stored.
    pub(crate) fn setup(&self) -> anyhow::Result<Setup> {
        let profile = match &self.profile {
            Some(_) if self.preset.is_some() || self.domain.is_some() => {
                anyhow::bail!("say either profile, or preset and domain")
            }
            Some(profile) => {
                serde_json::from_value(profile.clone()).context("the profile cannot be read")?
            }
            None => {
                let preset = self.preset.unwrap_or(Marks::PcpsClick);
                Profile::preset(preset.into(), self.domain.as_deref())
            }
        };
        Ok(Setup {
            dest_url: self.dest_url.clone(),
            fallback_url: self.fallback_url.clone(),
            profile,
        })
    }
}

/// How a program is tracked, as stored.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrackingView {
    /// Where its links lead.
    #[schema(example = "https://acme.example/welcome")]
    dest_url: String,
    /// Where visitors go while it takes none.
    fallback_url: Option<String>,
    /// How its clicks are marked: parameter, cookies, click window, allowed pages.
    #[schema(value_type = Object)]
    profile: Value,
}

impl From<Setup> for TrackingView {
    fn from(setup: Setup) -> TrackingView {
        TrackingView {
            profile: serde_json::json!(setup.profile),
            dest_url: setup.dest_url,
            fallback_url: setup.fallback_url,
        }
    }
}
