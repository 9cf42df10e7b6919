//! The network itself: its name, its accounting zone, its own (house) book.
//!
//! There is one per database. Days and months are counted in its zone: an order at 23:30 UTC on the
//! 31st belongs to the next month in Riyadh.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use ledger::{Actor, BookId, Period};
use sqlx::PgConnection;

/// The network of this database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Its name, on every document.
    pub name: String,
    /// The zone in which days and months are counted.
    pub zone: Tz,
    /// Its own book.
    pub house: BookId,
}

/// What can be wrong with the network.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// None was created.
    #[error("there is no network in this database; create one with `counterfoil init`")]
    Missing,
    /// Another one is there.
    #[error("this database is the network {0:?} already; use another data folder or database")]
    Another(String),
    /// The stored zone is no IANA zone.
    #[error("inconsistency in settlement.network.accounting_zone: {0:?} is no IANA time zone")]
    Zone(String),
    /// The house book could not be opened.
    #[error(transparent)]
    Book(#[from] ledger::book::BookError),
    /// Postgres failed.
    #[error("the network could not be read or created")]
    Database(#[from] sqlx::Error),
}

/// Creates the network and its house book; does nothing if it is there under the same name and
/// zone.
///
/// # Errors
/// [`NetworkError::Another`] when the database belongs to another network.
pub async fn create(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    name: &str,
    zone: Tz,
) -> Result<Network, NetworkError> {
    ledger::book::open(conn, now, by, &[name]).await?;
    let house = BookId::of_name(name);
    sqlx::query!(
        r#"
        insert into settlement.network
            (name, accounting_zone, house_book_id, created_at, created_by)
        values ($1, $2, $3, $4, $5)
        on conflict (id) do nothing
        "#,
        name,
        zone.name(),
        house.value(),
        now,
        by.as_str(),
    )
    .execute(&mut *conn)
    .await?;
    let network = find(conn).await?;
    if network.name == name && network.zone == zone {
        Ok(network)
    } else {
        Err(NetworkError::Another(network.name))
    }
}

/// The network of this database.
///
/// # Errors
/// [`NetworkError::Missing`] when none was created.
pub async fn find(conn: &mut PgConnection) -> Result<Network, NetworkError> {
    let row = sqlx::query!("select name, accounting_zone, house_book_id from settlement.network")
        .fetch_optional(conn)
        .await?
        .ok_or(NetworkError::Missing)?;
    Ok(Network {
        zone: row
            .accounting_zone
            .parse()
            .map_err(|_| NetworkError::Zone(row.accounting_zone))?,
        name: row.name,
        house: BookId::from_value(row.house_book_id),
    })
}

/// Days and the fence: on which day a fact counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calendar {
    zone: Tz,
    fence: Option<NaiveDate>,
}

impl Calendar {
    /// The network's zone and the last closed day.
    pub(crate) async fn read(conn: &mut PgConnection) -> Result<Calendar, NetworkError> {
        let zone = find(conn).await?.zone;
        let fence = ledger::period::fence(conn).await?;
        Ok(Calendar { zone, fence })
    }

    /// The zone in which days and months are counted.
    pub(crate) fn zone(self) -> Tz {
        self.zone
    }

    /// The day of a moment in the accounting zone, open or not.
    pub(crate) fn day(self, at: DateTime<Utc>) -> NaiveDate {
        at.with_timezone(&self.zone).date_naive()
    }

    /// The day of a moment in the accounting zone, or the first open day if its month is closed,
    /// with the month it belongs to.
    pub(crate) fn effective(self, at: DateTime<Utc>) -> (NaiveDate, Option<Period>) {
        let day = self.day(at);
        match self.fence.and_then(|fence| fence.succ_opt()) {
            Some(first_open) if day < first_open => (first_open, Some(Period::containing(day))),
            _ => (day, None),
        }
    }
}
