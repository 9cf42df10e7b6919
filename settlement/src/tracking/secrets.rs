//! Keys that sign click tokens, and the daily salts of visitors' addresses.
//!
//! Both are drawn by the caller and kept in the database, so that every node of a network signs
//! and hashes alike; nobody but the service may read them. A salt that is forgotten makes the
//! addresses of its day unrecognisable for ever.

use std::net::IpAddr;

use chrono::{DateTime, NaiveDate, Utc};
use hmac::{Hmac, KeyInit, Mac};
use ledger::Actor;
use sha2::Sha256;
use sqlx::PgConnection;

use super::AddressHash;
use super::token::TokenKeys;

/// Adds a key that signs from now on.
pub async fn add_key(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    kid: &str,
    secret: [u8; 32],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        insert into settlement.token_key (kid, secret, created_at, created_by)
        values ($1, $2, $3, $4)
        "#,
        kid,
        &secret[..],
        now,
        by.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A key of tokens, as lists show it: never what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// Its id, which stands in the tokens it signed.
    pub kid: String,
    /// Since when it signs, UTC.
    pub created_at: DateTime<Utc>,
    /// Who added it.
    pub created_by: String,
}

/// The keys of tokens, the oldest first; the last one signs.
pub async fn key_rows(conn: &mut PgConnection) -> Result<Vec<KeyRow>, sqlx::Error> {
    sqlx::query_as!(
        KeyRow,
        "select kid, created_at, created_by from settlement.token_key order by created_at, kid",
    )
    .fetch_all(conn)
    .await
}

/// The keys of this network; the first caller's `fresh` becomes one when there is none.
pub async fn keys(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    fresh: [u8; 32],
) -> Result<TokenKeys, sqlx::Error> {
    // Asked first: an insert announces itself to everybody who keeps links, though it adds nothing.
    let known = stored(conn).await?;
    if !known.is_empty() {
        return Ok(TokenKeys::new(&known));
    }
    sqlx::query!(
        r#"
        insert into settlement.token_key (kid, secret, created_at, created_by)
        select 'k1', $1, $2, $3
        where not exists (select from settlement.token_key)
        on conflict (kid) do nothing
        "#,
        &fresh[..],
        now,
        by.as_str(),
    )
    .execute(&mut *conn)
    .await?;
    Ok(TokenKeys::new(&stored(conn).await?))
}

async fn stored(conn: &mut PgConnection) -> Result<Vec<(String, [u8; 32])>, sqlx::Error> {
    let rows =
        sqlx::query!("select kid, secret from settlement.token_key order by created_at, kid")
            .fetch_all(conn)
            .await?;
    let key = |secret: Vec<u8>| <[u8; 32]>::try_from(secret).ok();
    let keys = rows.into_iter();
    Ok(keys
        .filter_map(|row| Some((row.kid, key(row.secret)?)))
        .collect())
}

/// A day's salt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Salt {
    day: NaiveDate,
    salt: [u8; 32],
}

/// The salts of the days asked for, in the order of the days; where there is none, the first
/// caller's becomes it.
pub async fn salts(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    fresh: &[(NaiveDate, [u8; 32])],
) -> Result<Vec<Salt>, sqlx::Error> {
    let days: Vec<NaiveDate> = fresh.iter().map(|(day, _)| *day).collect();
    let bytes: Vec<Vec<u8>> = fresh.iter().map(|(_, salt)| salt.to_vec()).collect();
    sqlx::query!(
        r#"
        insert into settlement.ip_salt (day, salt, created_at)
        select u.day, u.salt, $3 from unnest($1::date[], $2::bytea[]) as u (day, salt)
        on conflict (day) do nothing
        "#,
        &days,
        &bytes,
        now,
    )
    .execute(&mut *conn)
    .await?;
    // In a later statement than the insert: it sees what somebody quicker has written.
    let rows = sqlx::query!(
        "select day, salt from settlement.ip_salt where day = any($1) order by day",
        &days,
    )
    .fetch_all(conn)
    .await?;
    let salt = |salt: Vec<u8>| <[u8; 32]>::try_from(salt).ok();
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            Some(Salt {
                day: row.day,
                salt: salt(row.salt)?,
            })
        })
        .collect())
}

/// Forgets the salts of days before this one: their addresses can be matched by nobody any more.
pub async fn forget_salts(conn: &mut PgConnection, before: NaiveDate) -> Result<u64, sqlx::Error> {
    let forgotten = sqlx::query!("delete from settlement.ip_salt where day < $1", before)
        .execute(conn)
        .await?;
    Ok(forgotten.rows_affected())
}

impl Salt {
    /// A salt from its parts.
    #[must_use]
    pub fn new(day: NaiveDate, salt: [u8; 32]) -> Salt {
        Salt { day, salt }
    }

    /// Whose it is.
    #[must_use]
    pub fn day(&self) -> NaiveDate {
        self.day
    }

    /// An address that only this day's salt can recognise. Version 6 addresses count by their
    /// /64, which is what a household has.
    #[must_use]
    pub fn hash(&self, address: IpAddr) -> Option<AddressHash> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.salt).ok()?;
        match address.to_canonical() {
            IpAddr::V4(v4) => mac.update(&v4.octets()),
            IpAddr::V6(v6) => mac.update(&v6.octets()[..8]),
        }
        let bytes = mac.finalize().into_bytes();
        Some(AddressHash {
            hash: bytes.get(..16)?.try_into().ok()?,
            salt_day: self.day,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart_within_a_day_only() {
        let day = |d| NaiveDate::from_ymd_opt(2026, 1, d).unwrap();
        let (one, two) = (Salt::new(day(1), [1; 32]), Salt::new(day(2), [2; 32]));
        let hash = |salt: &Salt, text: &str| salt.hash(text.parse().unwrap()).unwrap();
        assert_eq!(hash(&one, "192.0.2.1"), hash(&one, "::ffff:192.0.2.1"));
        assert_ne!(hash(&one, "192.0.2.1"), hash(&one, "192.0.2.2"));
        assert_ne!(hash(&one, "192.0.2.1").hash, hash(&two, "192.0.2.1").hash);
        assert_eq!(hash(&one, "2001:db8::1"), hash(&one, "2001:db8::2"));
        assert_ne!(hash(&one, "2001:db8::1"), hash(&one, "2001:db8:0:1::1"));
    }
}
