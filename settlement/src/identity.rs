//! Users: who was recognised at which click, and who brought them to sign up.
//!
//! A user id is known as a [`UserHash`] only: the hash of a secret key, the book and the id. So a
//! stored row names nobody, and the same person at two brands is two hashes. Nothing here, and no
//! table, ever holds the id itself.
//!
//! [`identify`] ties users to clicks, which joins the clicks of several devices. [`claim`] says
//! once and for all which publisher brought a user; a second claim changes nothing, whoever comes
//! first. Both only add.
//!
//! The SQL function `claim_affiliate_attribution` does the same as [`claim`] for callers that
//! speak SQL; it hashes as [`UserKey`] does.

use std::collections::HashSet;
use std::fmt;

use chrono::{DateTime, Utc};
use ledger::{Actor, BookId};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::columns::column;

/// Who a user is within one book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserHash([u8; 32]);

impl UserHash {
    /// As stored.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// From what is stored; nothing, if that is no hash.
    #[must_use]
    pub fn from_stored(bytes: &[u8]) -> Option<UserHash> {
        bytes.try_into().ok().map(UserHash)
    }

    fn stored(self) -> Vec<u8> {
        self.0.to_vec()
    }
}

/// The secret that user ids are hashed with; one per database, drawn when it was made.
#[derive(Clone)]
pub struct UserKey(Vec<u8>);

impl fmt::Debug for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserKey(…)")
    }
}

impl UserKey {
    /// Reads it; it never changes, so a process may keep it.
    pub async fn read(conn: &mut PgConnection) -> Result<UserKey, sqlx::Error> {
        let key = sqlx::query_scalar!("select key from settlement.user_key")
            .fetch_one(conn)
            .await?;
        Ok(UserKey(key))
    }

    /// Who a user is in a book. The id is taken as it is: `7` and `07` are two users.
    #[must_use]
    pub fn hash(&self, book: BookId, user: &str) -> UserHash {
        let hashed = Sha256::new()
            .chain_update(&self.0)
            .chain_update(book.value().to_be_bytes())
            .chain_update(user.as_bytes());
        UserHash(hashed.finalize().into())
    }
}

/// A user was recognised where a click had led.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identify {
    /// The brand's book.
    pub book: BookId,
    /// Who it was.
    pub user: UserHash,
    /// At which click; it may arrive later than this.
    pub click: Uuid,
}

/// Ties users to clicks; what is known already stays as it is. Returns how many were new.
pub async fn identify(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    identified: &[Identify],
) -> Result<u64, sqlx::Error> {
    let query = sqlx::query!(
        r#"
        insert into settlement.identity (book_id, user_hash, click_id, visitor, identified_at,
                                         recorded_by)
        select u.book_id, u.user_hash, u.click_id, k.visitor, $4, $5
        from unnest($1::bigint[], $2::bytea[], $3::uuid[]) as u (book_id, user_hash, click_id)
        left join settlement.click k on k.book_id = u.book_id and k.id = u.click_id
        order by u.book_id, u.user_hash, u.click_id -- two sessions wait, and never deadlock
        on conflict (book_id, user_hash, click_id) do nothing
        "#,
        &column(identified, |i| i.book.value()),
        &column(identified, |i| i.user.stored()),
        &column(identified, |i| i.click),
        now,
        by.as_str(),
    );
    Ok(query.execute(conn).await?.rows_affected())
}

/// A publisher's link brought a user to sign up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The brand's book.
    pub book: BookId,
    /// Who signed up.
    pub user: UserHash,
    /// Whose link it was.
    pub publisher: Uuid,
    /// When it was clicked first; no later than now.
    pub first_click_at: DateTime<Utc>,
}

/// The answer to one claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "somebody else may have been first"]
pub enum Claimed {
    /// Claimed now.
    Now,
    /// Claimed before, for this publisher, whose link was clicked then; that stands.
    Before {
        /// Who brought the user.
        publisher: Uuid,
        /// When.
        first_click_at: DateTime<Utc>,
    },
    /// There is no such publisher.
    UnknownPublisher,
}

/// Claims users for publishers, each user once: the first claim stands. Answers each in order.
pub async fn claim(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    claims: &[Claim],
) -> Result<Vec<Claimed>, sqlx::Error> {
    let books = column(claims, |c| c.book.value());
    let users = column(claims, |c| c.user.stored());
    let query = sqlx::query!(
        r#"
        insert into settlement.claim (book_id, user_hash, publisher_id, first_click_at, claimed_at,
                                      claimed_by)
        select u.book_id, u.user_hash, p.id, least(u.first_click_at, $5), $5, $6
        from unnest($1::bigint[], $2::bytea[], $3::uuid[], $4::timestamptz[]) with ordinality
             as u (book_id, user_hash, publisher_id, first_click_at, n)
        join settlement.publisher p on p.id = u.publisher_id
        order by u.book_id, u.user_hash, u.n -- two sessions wait, and never deadlock
        on conflict (book_id, user_hash) do nothing
        returning book_id, user_hash
        "#,
        &books,
        &users,
        &column(claims, |c| c.publisher),
        &column(claims, |c| c.first_click_at),
        now,
        by.as_str(),
    );
    let new = query.fetch_all(&mut *conn).await?;
    let mut new: HashSet<(i64, Vec<u8>)> = new
        .into_iter()
        .map(|row| (row.book_id, row.user_hash))
        .collect();
    // A later statement than the insert: it sees what another session committed first.
    let stands = sqlx::query!(
        r#"
        select c.publisher_id as "publisher_id?", c.first_click_at as "first_click_at?"
        from unnest($1::bigint[], $2::bytea[]) with ordinality as u (book_id, user_hash, n)
        left join settlement.claim c on c.book_id = u.book_id and c.user_hash = u.user_hash
        order by u.n
        "#,
        &books,
        &users,
    )
    .fetch_all(conn)
    .await?;
    let answer = |(claim, row): (&Claim, (Option<Uuid>, Option<DateTime<Utc>>))| match row {
        (Some(publisher), Some(first_click_at)) => {
            let mine = (claim.book.value(), claim.user.stored());
            if publisher == claim.publisher && new.remove(&mine) {
                Claimed::Now
            } else {
                Claimed::Before {
                    publisher,
                    first_click_at,
                }
            }
        }
        _ => Claimed::UnknownPublisher,
    };
    let stands = stands
        .into_iter()
        .map(|row| (row.publisher_id, row.first_click_at));
    Ok(claims.iter().zip(stands).map(answer).collect())
}
