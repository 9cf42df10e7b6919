//! API keys in Postgres.

use chrono::{DateTime, Utc};
use ledger::{Actor, BookId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{AccessError, Key, Mode, NewKey, Role, Scope, Secret};
use crate::columns::column;
use crate::conversion::is_plain;

/// Stores a key.
pub async fn create(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    key: &NewKey,
) -> Result<(), AccessError> {
    if !is_plain(&key.name) {
        return Err(AccessError::Name(key.name.clone()));
    }
    let role = key.role;
    if let Some(scope) = key.scopes.iter().find(|s| !role.scopes().contains(s)) {
        let (role, scope) = (role.as_str(), *scope);
        return Err(AccessError::Scope { role, scope });
    }
    insert(conn, now, by, key, None).await
}

/// Stores a key with the rights of another, which is refused from a moment on.
///
/// # Errors
/// [`AccessError::Revoked`] when the other key was revoked already, or rotated before.
pub async fn rotate(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    old: Uuid,
    (id, bits): (Uuid, [u8; 16]),
    until: DateTime<Utc>,
) -> Result<(Key, Secret), AccessError> {
    let before = one(conn, old).await?;
    end(conn, by, old, until).await?;
    let secret = Secret::new(before.mode, bits);
    let key = NewKey {
        id,
        secret: secret.clone(),
        name: before.name,
        mode: before.mode,
        role: before.role,
        scopes: before.scopes,
        networks: before.networks,
    };
    insert(conn, now, by, &key, Some(old)).await?;
    Ok((one(conn, id).await?, secret))
}

/// Ends a key at once; one that was to end later ends now.
///
/// # Errors
/// [`AccessError::Revoked`] when it had ended before.
pub async fn revoke(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    id: Uuid,
) -> Result<Key, AccessError> {
    let key = one(conn, id).await?;
    if let Some((at, _)) = key.revoked
        && at <= now
    {
        return Err(AccessError::Revoked(id, at));
    }
    let query = sqlx::query!(
        r#"
        update settlement.api_key set revoked_at = $2, revoked_by = $3
        where id = $1 and (revoked_at is null or revoked_at > $2)
        "#,
        id,
        now,
        by.as_str(),
    );
    let ended = query.execute(&mut *conn).await?;
    if ended.rows_affected() == 0 {
        return Err(AccessError::Revoked(id, now));
    }
    one(conn, id).await
}

/// The key that somebody sent, also when it was revoked, by its hash.
pub async fn find(conn: &mut PgConnection, hash: &[u8; 32]) -> Result<Option<Key>, AccessError> {
    let row = sqlx::query_as!(
        Row,
        r#"
        select id, name, hint, mode, role, book_id, publisher_id, scopes, networks, created_at,
               created_by, replaces, revoked_at, revoked_by
        from settlement.api_key where hash = $1
        "#,
        &hash[..],
    )
    .fetch_optional(conn)
    .await?;
    row.map(Row::read).transpose()
}

/// All keys, the oldest first.
pub async fn list(conn: &mut PgConnection) -> Result<Vec<Key>, AccessError> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select id, name, hint, mode, role, book_id, publisher_id, scopes, networks, created_at,
               created_by, replaces, revoked_at, revoked_by
        from settlement.api_key order by created_at, id
        "#
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Row::read).collect()
}

async fn one(conn: &mut PgConnection, id: Uuid) -> Result<Key, AccessError> {
    let row = sqlx::query_as!(
        Row,
        r#"
        select id, name, hint, mode, role, book_id, publisher_id, scopes, networks, created_at,
               created_by, replaces, revoked_at, revoked_by
        from settlement.api_key where id = $1
        "#,
        id,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Row::read)
        .transpose()?
        .ok_or(AccessError::Unknown(id))
}

async fn insert(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    key: &NewKey,
    replaces: Option<Uuid>,
) -> Result<(), AccessError> {
    let (book, publisher) = match key.role {
        Role::Network => (None, None),
        Role::Brand(book) => (Some(book.value()), None),
        Role::Publisher(publisher) => (None, Some(publisher)),
    };
    let query = sqlx::query!(
        r#"
        insert into settlement.api_key (id, hash, name, hint, mode, role, book_id, publisher_id,
                                        scopes, networks, created_at, created_by, replaces)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        "#,
        key.id,
        &key.secret.hash()[..],
        key.name,
        key.secret.hint(),
        key.mode.as_str(),
        key.role.as_str(),
        book,
        publisher,
        &column(&key.scopes, |scope| scope.as_str().to_owned()),
        &key.networks,
        now,
        by.as_str(),
        replaces,
    );
    query.execute(conn).await?;
    Ok(())
}

/// Lets a key end at a moment, unless its end is settled already.
async fn end(
    conn: &mut PgConnection,
    by: &Actor,
    id: Uuid,
    at: DateTime<Utc>,
) -> Result<(), AccessError> {
    let query = sqlx::query!(
        r#"
        update settlement.api_key set revoked_at = $2, revoked_by = $3
        where id = $1 and revoked_at is null
        "#,
        id,
        at,
        by.as_str(),
    );
    if query.execute(&mut *conn).await?.rows_affected() == 1 {
        return Ok(());
    }
    let (at, _) = one(conn, id).await?.revoked.unwrap_or_default();
    Err(AccessError::Revoked(id, at))
}

/// A key's columns.
struct Row {
    id: Uuid,
    name: String,
    hint: String,
    mode: String,
    role: String,
    book_id: Option<i64>,
    publisher_id: Option<Uuid>,
    scopes: Vec<String>,
    networks: Vec<String>,
    created_at: DateTime<Utc>,
    created_by: String,
    replaces: Option<Uuid>,
    revoked_at: Option<DateTime<Utc>>,
    revoked_by: Option<String>,
}

impl Row {
    fn read(self) -> Result<Key, AccessError> {
        let key = self.id;
        let wrong = |problem| AccessError::Inconsistent { key, problem };
        let role = match (self.role.as_str(), self.book_id, self.publisher_id) {
            ("network", None, None) => Role::Network,
            ("brand", Some(book), None) => Role::Brand(BookId::from_value(book)),
            ("publisher", None, Some(publisher)) => Role::Publisher(publisher),
            _ => return Err(wrong("role")),
        };
        let scopes: Option<Vec<Scope>> = self.scopes.iter().map(|s| Scope::named(s)).collect();
        Ok(Key {
            id: key,
            name: self.name,
            hint: self.hint,
            mode: Mode::named(&self.mode).ok_or_else(|| wrong("mode"))?,
            role,
            scopes: scopes.ok_or_else(|| wrong("scopes"))?,
            networks: self.networks,
            created_at: self.created_at,
            created_by: self.created_by,
            replaces: self.replaces,
            revoked: self.revoked_at.zip(self.revoked_by),
        })
    }
}
