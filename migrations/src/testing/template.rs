//! The template: a database with the migrated schema, named after what is in the migrations, so
//! that checkouts with different ones can share a server.

use sha2::{Digest, Sha256};
use sqlx::error::DatabaseError;
use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

use super::Failure;
use super::keeper::{Site, database_name, drop_database};
use super::memory::TABLESPACE;
use crate::MIGRATOR;

/// Names the lock under which a template is made.
pub(super) const LOCK: &str = "select pg_advisory_lock(hashtextextended($1, 0))";
pub(super) const UNLOCK: &str = "select pg_advisory_unlock(hashtextextended($1, 0))";
const EXISTS: &str = "select exists (select from pg_catalog.pg_database where datname = $1)";

fn template() -> String {
    let mut digest = Sha256::new();
    for migration in MIGRATOR.iter() {
        digest.update(migration.version.to_be_bytes());
        digest.update(&*migration.checksum);
    }
    let hash: String = hex::encode(digest.finalize()).chars().take(16).collect();
    format!("cf_template_{hash}")
}

/// Makes the template unless it is there; one process does, the others wait.
pub(super) async fn ensure(conn: &mut PgConnection, site: &Site) -> Result<(), Failure> {
    let template = template();
    if sqlx::query_scalar(EXISTS)
        .bind(&template)
        .fetch_one(&mut *conn)
        .await?
    {
        return Ok(());
    }
    sqlx::query(LOCK)
        .bind(&template)
        .execute(&mut *conn)
        .await?;
    let outcome = build(conn, site, &template).await;
    sqlx::query(UNLOCK)
        .bind(&template)
        .execute(&mut *conn)
        .await?;
    outcome
}

/// Builds under the process's own name and renames at the end: a template that has the right name
/// is whole.
async fn build(conn: &mut PgConnection, site: &Site, template: &str) -> Result<(), Failure> {
    if sqlx::query_scalar(EXISTS)
        .bind(template)
        .fetch_one(&mut *conn)
        .await?
    {
        return Ok(());
    }
    drop_old(conn, template).await?;
    let name = database_name(site.key, "template");
    drop_database(conn, &name).await?;
    execute(
        conn,
        format!(
            "create database \"{name}\" template template0 encoding 'UTF8' \
             locale_provider libc lc_collate 'C' lc_ctype 'C'"
        ),
    )
    .await?;
    let mut inside = site.server.clone().database(&name).connect().await?;
    let migrated = crate::migrate(&mut inside).await;
    inside.close().await?;
    let _ = migrated?;
    // A visitor would make every copy wait.
    execute(
        conn,
        format!("alter database \"{name}\" allow_connections false"),
    )
    .await?;
    execute(
        conn,
        format!("alter database \"{name}\" rename to \"{template}\""),
    )
    .await?;
    let day: String = sqlx::query_scalar("select current_date::text")
        .fetch_one(&mut *conn)
        .await?;
    execute(
        conn,
        format!("comment on database \"{template}\" is '{day}'"),
    )
    .await?;
    Ok(())
}

/// Templates of other migrations, when they are older than a day. A checkout that still uses one
/// makes it again.
async fn drop_old(conn: &mut PgConnection, template: &str) -> Result<(), sqlx::Error> {
    let old: Vec<String> = sqlx::query_scalar(
        "select datname from pg_catalog.pg_database
         where datname ~ '^cf_template_[0-9a-f]{16}$' and datname <> $1
           and shobj_description(oid, 'pg_database') < (current_date - 1)::text",
    )
    .bind(template)
    .fetch_all(&mut *conn)
    .await?;
    for name in old {
        drop(drop_database(conn, &name).await);
    }
    Ok(())
}

/// Makes a copy of the template, and the template again if somebody has swept it away.
pub(super) async fn copy(pool: &PgPool, site: &Site, name: &str) -> Result<(), Failure> {
    let mut conn = pool.acquire().await?;
    // Copying through the log writes a few megabytes; the other way waits for two checkpoints,
    // which write whatever all other tests have done.
    let mut create = format!(
        "create database \"{name}\" template \"{}\" strategy wal_log",
        template()
    );
    if site.in_memory {
        create.push_str(" tablespace ");
        create.push_str(TABLESPACE);
    }
    let Err(error) = execute(&mut conn, create.clone()).await else {
        return Ok(());
    };
    let code = error.as_database_error().and_then(DatabaseError::code);
    if code.as_deref() != Some("3D000") {
        return Err(error.into());
    }
    ensure(&mut conn, site).await?;
    execute(&mut conn, create).await?;
    Ok(())
}

async fn execute(conn: &mut PgConnection, statement: String) -> Result<(), sqlx::Error> {
    // The names in it are made here, of letters and digits.
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(conn)
        .await
        .map(|_| ())
}
