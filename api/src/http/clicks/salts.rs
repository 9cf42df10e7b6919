//! Salts in memory: an address is only ever kept as its HMAC under the salt of its day (UTC).
//! Yesterday's, today's and tomorrow's are read ahead, so midnight finds Postgres awake or not.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use chrono::{DateTime, Days, Utc};
use settlement::tracking::AddressHash;
use settlement::tracking::secrets::{self, Salt};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::Clicks;
use crate::chance;

/// How often salts are looked at.
const OFTEN: Duration = Duration::from_mins(10);

/// The salts of the days around now.
pub(super) struct Salts(ArcSwap<Vec<Salt>>);

impl Salts {
    pub(super) async fn read(pool: &PgPool) -> anyhow::Result<Salts> {
        Ok(Salts(ArcSwap::from_pointee(read(pool).await?)))
    }

    /// Reads them again.
    pub(super) async fn renew(&self, pool: &PgPool) -> anyhow::Result<()> {
        self.0.store(Arc::new(read(pool).await?));
        Ok(())
    }

    /// An address as it may be kept; nothing when its day has no salt, which only happens when
    /// Postgres was away for a day.
    pub(super) fn hash(&self, address: IpAddr, at: DateTime<Utc>) -> Option<AddressHash> {
        let salts = self.0.load();
        let salt = salts.iter().find(|salt| salt.day() == at.date_naive())?;
        salt.hash(address)
    }
}

async fn read(pool: &PgPool) -> anyhow::Result<Vec<Salt>> {
    let now = chance::now();
    let today = now.date_naive();
    let ahead = today.checked_add_days(Days::new(1));
    // Around midnight a click may be judged by the clock of the day before.
    let days = [today.checked_sub_days(Days::new(1)), Some(today), ahead];
    let mut fresh = Vec::new();
    for day in days.into_iter().flatten() {
        fresh.push((day, chance::bytes()?));
    }
    let mut conn = pool.acquire().await?;
    Ok(secrets::salts(&mut conn, now, &fresh).await?)
}

/// Keeps the salts current until told to stop.
pub(super) async fn follow(clicks: Arc<Clicks>, pool: PgPool, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(OFTEN) => {}
            () = stop.cancelled() => return,
        }
        if let Err(error) = clicks.salts.renew(&pool).await {
            tracing::warn!(%error, "salts of addresses could not be read ahead");
        }
    }
}
