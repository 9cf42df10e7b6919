//! Connections: which store reports to which program, and what its deliveries are signed with.
//!
//! Secrets lie in Postgres as they are, readable to the service role only; encrypting them at rest
//! is still to come.

use chrono::{DateTime, Utc};
use ledger::{Actor, BookId};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::party::ProgramRef;

/// A store that reports to a program.
#[derive(Clone, PartialEq, Eq)]
pub struct Connection {
    /// Chosen by the caller; part of the connection's own address.
    pub id: Uuid,
    /// The sender: `shopify`, `zid`.
    pub source: String,
    /// The store as the sender names it, or [`ANY_STORE`].
    pub store: String,
    /// Where its orders count.
    pub program: ProgramRef,
    /// Stands before the store's order ids.
    pub order_prefix: String,
    /// What deliveries are signed with, newest first; several while one is replaced.
    pub secrets: Vec<String>,
    /// The header with the signature, where that can be chosen.
    pub header: Option<String>,
    /// How deliveries are signed, where that can be chosen.
    pub mode: Option<String>,
    /// Whether "paid" approves without a review, also where the program's terms do not say so.
    pub auto_approve_on_paid: bool,
    /// Whether orders that nobody referred are recorded too.
    pub record_all: bool,
}

/// Stands for every store of a sender that has no connection of its own.
pub const ANY_STORE: &str = "*";

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without secrets: this ends up in logs.
        f.debug_struct("Connection")
            .field("id", &self.id)
            .field("source", &self.source)
            .field("store", &self.store)
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}

/// A connection as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Listed {
    /// The connection.
    pub id: Uuid,
    /// The sender.
    pub source: String,
    /// The store.
    pub store: String,
    /// The brand.
    pub brand: String,
    /// The program.
    pub program: String,
    /// How many secrets it has; with none, the sender's default counts.
    pub secrets: i32,
    /// Whether "paid" approves.
    pub auto_approve_on_paid: bool,
    /// How many deliveries came.
    pub deliveries: i64,
    /// When the latest came, UTC.
    pub latest: Option<DateTime<Utc>>,
}

/// Adds a connection. `false` if that store of that sender has one already.
pub async fn add(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    connection: &Connection,
) -> Result<bool, sqlx::Error> {
    let added = sqlx::query!(
        r#"
        insert into settlement.store_connection (id, source, store, book_id, program_id,
            order_prefix, secrets, header, mode, auto_approve_on_paid, record_all, created_at,
            created_by)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        on conflict (source, store) where ended_at is null do nothing
        "#,
        connection.id,
        connection.source,
        connection.store,
        connection.program.book.value(),
        connection.program.id,
        connection.order_prefix,
        &connection.secrets,
        connection.header,
        connection.mode,
        connection.auto_approve_on_paid,
        connection.record_all,
        now,
        by.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(added.rows_affected() == 1)
}

/// Which connections are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked<'a> {
    /// The one of this id.
    Id(Uuid),
    /// Those of a sender; of this store and of any store, if the store is known.
    Source(&'a str, Option<&'a str>),
}

/// Connections that are in force, those of a named store before those of any.
pub async fn find(
    conn: &mut PgConnection,
    asked: Asked<'_>,
) -> Result<Vec<Connection>, sqlx::Error> {
    let (id, source, store) = match asked {
        Asked::Id(id) => (Some(id), None, None),
        Asked::Source(source, store) => (None, Some(source), store),
    };
    let rows = sqlx::query!(
        r#"
        select id, source, store, book_id, program_id, order_prefix, secrets, header, mode,
               auto_approve_on_paid, record_all
        from settlement.store_connection
        where ended_at is null and (id = $1 or source = $2)
          and ($3::text is null or store in ($3, '*'))
        order by store = '*', store
        "#,
        id,
        source,
        store,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Connection {
            id: row.id,
            source: row.source,
            store: row.store,
            program: ProgramRef {
                book: BookId::from_value(row.book_id),
                id: row.program_id,
            },
            order_prefix: row.order_prefix,
            secrets: row.secrets,
            header: row.header,
            mode: row.mode,
            auto_approve_on_paid: row.auto_approve_on_paid,
            record_all: row.record_all,
        })
        .collect())
}

/// Puts a new secret first. The old ones go on counting until `only` the new one shall.
pub async fn rotate(
    conn: &mut PgConnection,
    id: Uuid,
    secret: &str,
    only: bool,
) -> Result<bool, sqlx::Error> {
    let rotated = sqlx::query!(
        r#"
        update settlement.store_connection
        set secrets = case when $3 then array[$2] else array_prepend($2, secrets) end
        where id = $1 and ended_at is null
        "#,
        id,
        secret,
        only,
    )
    .execute(conn)
    .await?;
    Ok(rotated.rows_affected() == 1)
}

/// All connections in force, without their secrets.
pub async fn list(conn: &mut PgConnection) -> Result<Vec<Listed>, sqlx::Error> {
    sqlx::query_as!(
        Listed,
        r#"
        select c.id, c.source, c.store, b.name as brand, p.name as program,
               cardinality(c.secrets) as "secrets!", c.auto_approve_on_paid,
               count(i.delivery_key) as "deliveries!", max(i.received_at) as latest
        from settlement.store_connection c
        join settlement.program p on p.book_id = c.book_id and p.id = c.program_id
        join settlement.brand b on b.id = p.brand_id
        left join settlement.inbox i on i.book_id = c.book_id and i.connection_id = c.id
        where c.ended_at is null
        group by c.id, c.source, c.store, b.name, p.name, c.secrets, c.auto_approve_on_paid
        order by c.source, c.store
        "#
    )
    .fetch_all(conn)
    .await
}
