//! Links in memory: every word with where it leads, read when the service starts and again when
//! somebody changed one.
//!
//! Postgres tells of changes with `notify`. A notification can be lost with the connection it
//! travels on, so everything is read again after each reconnect, and once a minute anyway.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ledger::Actor;
use settlement::party::ProgramRef;
use settlement::tracking::destination::Destination;
use settlement::tracking::judge::Standing;
use settlement::tracking::profile::Profile;
use settlement::tracking::token::TokenKeys;
use settlement::tracking::{link, secrets, setup};
use sqlx::postgres::PgListener;
use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Clicks;
use crate::chance;

/// The channel of the triggers in `0007_tracking.sql`.
const CHANNEL: &str = "settlement_links";
/// Everything is read again after this long without news.
const QUIET: Duration = Duration::from_mins(1);
/// Changes that come together are read together.
const BURST: Duration = Duration::from_millis(50);
/// How long to wait before connecting again.
const AGAIN: Duration = Duration::from_millis(500);

/// A word and where it leads.
pub(super) struct Target {
    /// As it stands in addresses.
    pub(super) word: String,
    /// Who is credited.
    pub(super) publisher: Uuid,
    /// Whether its clicks can count.
    pub(super) standing: Standing,
    /// `utm_campaign`.
    pub(super) campaign: Option<String>,
    /// A page of its own, if the program allows it.
    pub(super) page: Page,
    /// Its program.
    pub(super) program: Arc<Program>,
}

/// Which page of the program a link leads to.
pub(super) enum Page {
    /// The program's own.
    Programs,
    /// Another that the program allows.
    Own(Destination),
    /// Another that it does not allow: visitors are led to the program's.
    Forbidden,
}

/// A program as links need it.
pub(super) struct Program {
    /// Which one.
    pub(super) reference: ProgramRef,
    /// Where its links lead.
    pub(super) destination: Destination,
    /// Where visitors go while it takes none.
    pub(super) fallback: Option<Destination>,
    /// How its clicks are marked.
    pub(super) profile: Profile,
}

/// Everything at one moment.
#[derive(Default)]
pub(super) struct Map {
    words: HashMap<String, Target>,
    /// The keys that sign click tokens.
    pub(super) keys: TokenKeys,
}

impl Map {
    /// Where a word leads; exact to the letter.
    pub(super) fn find(&self, word: &str) -> Option<&Target> {
        self.words.get(word)
    }
}

/// The latest map.
pub(super) struct Links(ArcSwap<Map>);

impl Links {
    pub(super) async fn read(pool: &PgPool) -> anyhow::Result<Links> {
        let mut conn = pool.acquire().await?;
        Ok(Links(ArcSwap::from_pointee(read(&mut conn).await?)))
    }

    /// Reads everything again.
    pub(super) async fn renew(&self, pool: &PgPool) -> anyhow::Result<()> {
        let mut conn = pool.acquire().await?;
        self.0.store(Arc::new(read(&mut conn).await?));
        Ok(())
    }

    /// The map as it stands.
    pub(super) fn now(&self) -> arc_swap::Guard<Arc<Map>> {
        self.0.load()
    }
}

async fn read(conn: &mut PgConnection) -> anyhow::Result<Map> {
    let by = Actor::new("http:click");
    let keys = secrets::keys(conn, chance::now(), &by, chance::bytes()?).await?;
    let mut programs = HashMap::new();
    for (reference, setup) in setup::latest(conn).await? {
        let made = setup.and_then(|setup| program(reference, setup));
        match made {
            Ok(program) => drop(programs.insert(reference, Arc::new(program))),
            Err(error) => tracing::error!(%error, "the links of a program lead nowhere"),
        }
    }
    let links = link::all(conn).await?.into_iter();
    let words = links.filter_map(|link| {
        let program = Arc::clone(programs.get(&link.program)?);
        let target = target(link, program);
        Some((target.word.clone(), target))
    });
    Ok(Map {
        words: words.collect(),
        keys,
    })
}

fn program(reference: ProgramRef, setup: setup::Setup) -> Result<Program, setup::SetupError> {
    let fallback = setup.fallback_url.as_deref().map(Destination::parse);
    Ok(Program {
        reference,
        destination: Destination::parse(&setup.dest_url)?,
        fallback: fallback.transpose()?,
        profile: setup.profile,
    })
}

fn target(link: link::Link, program: Arc<Program>) -> Target {
    let page = match link.dest_url.as_deref().map(Destination::parse) {
        None => Page::Programs,
        Some(Ok(page)) if is_allowed(&page, &program) => Page::Own(page),
        Some(_) => Page::Forbidden,
    };
    Target {
        word: link.slug,
        publisher: link.publisher,
        standing: link.standing,
        campaign: link.campaign,
        page,
        program,
    }
}

fn is_allowed(page: &Destination, program: &Program) -> bool {
    let mut hosts = program.profile.hosts.clone();
    hosts.push(program.destination.host().to_owned());
    page.is_within(&hosts, &program.profile.paths)
}

/// Keeps the map current until told to stop.
pub(super) async fn follow(clicks: Arc<Clicks>, pool: PgPool, stop: CancellationToken) {
    loop {
        tokio::select! {
            heard = listen(&clicks, &pool) => {
                if let Err(error) = heard {
                    tracing::warn!(%error, "changes of links are not heard of; they stay as known");
                }
            }
            () = stop.cancelled() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Listens, and reads again after each change; ends when the connection does.
async fn listen(clicks: &Clicks, pool: &PgPool) -> anyhow::Result<()> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    loop {
        // After listening has begun, so that no change falls between.
        clicks.links.renew(pool).await?;
        match tokio::time::timeout(QUIET, listener.try_recv()).await {
            Ok(Ok(Some(_))) => {
                let end = tokio::time::Instant::now() + BURST;
                while let Ok(more) = tokio::time::timeout_at(end, listener.try_recv()).await {
                    anyhow::ensure!(more?.is_some(), "the connection was lost");
                }
            }
            Ok(Ok(None)) => anyhow::bail!("the connection was lost"),
            Ok(Err(error)) => return Err(error.into()),
            Err(_quiet) => {}
        }
    }
}
