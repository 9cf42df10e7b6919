//! Tracking links and landings: a click is kept before the visitor is sent on.
//!
//! Every address leads through one service ([`visit`]): the word in it is looked up in memory
//! ([`links`]), the request is judged, the click is kept on this machine's disk, and the answer
//! leads to the program's own page. Postgres is not asked, so it may be away.
//!
//! | address | the word is |
//! |---|---|
//! | `/go/{slug}` | minted when a publisher was approved for a program |
//! | `/ref/{code}`, `/ref/{code}/{sub_id}`, `/ref?ref=`, `/?ref=` | the publisher's own code |
//! | `/r/{key}` | a key |
//! | `POST /api/track/click` | a product of the store's whose script asks |
//!
//! What it never does: lead anywhere but where the program says, lose a visitor because a click
//! does not count, or keep an address that was not hashed.

mod country;
mod door;
mod links;
mod recent;
mod request;
mod salts;
mod script;
mod visit;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::country::Countries;
use self::links::Links;
use self::recent::Recent;
use self::request::Robots;
use self::salts::Salts;
use super::App;

/// How clicks are looked at.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// The header in which a trusted proxy says the visitor's country.
    #[arg(
        long,
        env = "COUNTERFOIL_COUNTRY_HEADER",
        default_value = "cf-ipcountry"
    )]
    country_header: String,
    /// A `MaxMind` database of countries, for visitors of whom no proxy says it.
    #[arg(long, env = "COUNTERFOIL_GEO_DATABASE", value_name = "FILE")]
    geo_database: Option<PathBuf>,
    /// Further robots: a JSON list of objects with a `pattern`, as monperrus/crawler-user-agents
    /// has it.
    #[arg(long, env = "COUNTERFOIL_BOTS", value_name = "FILE")]
    bots: Option<PathBuf>,
    /// Clicks a minute from one address that count; more are led on and marked `RATE_LIMIT`.
    #[arg(long, env = "COUNTERFOIL_CLICKS_PER_ADDRESS", default_value_t = 300)]
    clicks_per_address: u32,
    /// Questions a minute of one address to `/api/track/click`.
    #[arg(
        long,
        env = "COUNTERFOIL_SCRIPT_CLICKS_PER_ADDRESS",
        default_value_t = 30
    )]
    script_clicks_per_address: u32,
    /// Questions a minute of one address for one product.
    #[arg(
        long,
        env = "COUNTERFOIL_SCRIPT_CLICKS_PER_PRODUCT",
        default_value_t = 10
    )]
    script_clicks_per_product: u32,
}

/// What the click service knows, in memory.
pub(crate) struct Clicks {
    links: Links,
    salts: Salts,
    recent: Recent,
    countries: Countries,
    robots: Robots,
    by_address: DefaultKeyedRateLimiter<u64>,
    by_script: DefaultKeyedRateLimiter<u64>,
    by_product: DefaultKeyedRateLimiter<u64>,
    /// Tokens that visitors carried and that did not hold; nobody is told, they are counted.
    ignored_tokens: AtomicU64,
}

impl Clicks {
    /// Reads links, keys and salts, and keeps them current until it is told to stop.
    ///
    /// # Errors
    /// Postgres does not answer at the start, or a file that was named cannot be read.
    pub(crate) async fn start(
        args: &Args,
        pool: &PgPool,
        stop: &CancellationToken,
    ) -> anyhow::Result<Arc<Clicks>> {
        let per_minute = |times: u32| {
            let times = NonZeroU32::new(times).unwrap_or(NonZeroU32::MAX);
            RateLimiter::keyed(Quota::per_minute(times))
        };
        let clicks = Arc::new(Clicks {
            links: Links::read(pool).await?,
            salts: Salts::read(pool).await?,
            recent: Recent::default(),
            countries: Countries::new(&args.country_header, args.geo_database.as_deref())?,
            robots: Robots::new(args.bots.as_deref())?,
            by_address: per_minute(args.clicks_per_address),
            by_script: per_minute(args.script_clicks_per_address),
            by_product: per_minute(args.script_clicks_per_product),
            ignored_tokens: AtomicU64::new(0),
        });
        tokio::spawn(links::follow(
            Arc::clone(&clicks),
            pool.clone(),
            stop.clone(),
        ));
        tokio::spawn(salts::follow(
            Arc::clone(&clicks),
            pool.clone(),
            stop.clone(),
        ));
        Ok(clicks)
    }

    /// Reads all links again, for who cannot wait to hear of a change.
    pub(crate) async fn read_links(&self, pool: &PgPool) -> anyhow::Result<()> {
        self.links.renew(pool).await
    }

    /// Reads the salts of these days again, for whose clock jumps.
    pub(crate) async fn read_salts(&self, pool: &PgPool) -> anyhow::Result<()> {
        self.salts.renew(pool).await
    }

    /// Forgets whom nobody has heard of lately; called now and then.
    pub(crate) fn forget(&self) {
        self.by_address.retain_recent();
        self.by_script.retain_recent();
        self.by_product.retain_recent();
    }
}

/// The routes of this area.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(door::go))
        .routes(routes!(door::code))
        .routes(routes!(door::code_and_sub))
        .routes(routes!(door::key))
        .routes(routes!(door::named))
        .routes(routes!(door::landing))
        .routes(routes!(script::track))
}
