//! Brings a database's schema to this program's version, and refuses one that is ahead of it.

use std::sync::LazyLock;

use sqlx::PgConnection;
use sqlx::migrate::{Migrate, Migrator};

/// Where the migrator keeps its own record, so that `public` stays empty.
const RECORD: &str = "migrations.applied";

/// Every migration of this program, embedded.
pub static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!("../migrations");
    migrator.create_schema("migrations");
    migrator.dangerous_set_table_name(RECORD);
    migrator
});

/// What [`migrate`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Migrated {
    /// How many migrations were applied now; zero when the schema was current.
    pub applied: usize,
    /// The version the schema is at.
    pub version: i64,
}

/// Why a schema could not be brought to this program's version.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A newer program was here before.
    #[error(
        "the database's schema is at version {found}, this program knows versions up to {known}: \
         use the newer counterfoil that made it"
    )]
    Newer {
        /// The version in the database.
        found: i64,
        /// The newest version this program has.
        known: i64,
    },
    /// A released migration file is not what it was when it ran.
    #[error(
        "migration {0} was changed after it ran here: restore the file and add a new migration"
    )]
    Changed(i64),
    /// The SQL of a migration failed; nothing of it was kept.
    #[error("migration failed, nothing of it was kept: {0}")]
    Failed(#[source] sqlx::migrate::MigrateError),
    /// The database could not be asked.
    #[error("the schema's version could not be read: {0}")]
    Database(#[from] sqlx::Error),
}

/// The newest version this program knows; zero when it has no migrations.
#[must_use]
pub fn latest() -> i64 {
    MIGRATOR
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0)
}

/// How many migrations the database lacks; an error when it is ahead of this program.
pub async fn pending(conn: &mut PgConnection) -> Result<usize, MigrateError> {
    let applied = applied(conn).await?;
    refuse_newer(&applied)?;
    Ok(MIGRATOR
        .iter()
        .filter(|migration| !applied.contains(&migration.version))
        .count())
}

/// Applies what is missing, each migration in its own database transaction. Safe when several
/// processes start at once: the migrator holds an advisory lock while it works.
pub async fn migrate(conn: &mut PgConnection) -> Result<Migrated, MigrateError> {
    let before = applied(conn).await?;
    refuse_newer(&before)?;
    let outcome = MIGRATOR.run_direct(None, &mut *conn, false).await;
    if let Err(error) = outcome {
        // The migrator leaves its lock behind when it fails, and the session may live on.
        drop(conn.unlock().await);
        return Err(match error {
            sqlx::migrate::MigrateError::VersionMismatch(version) => MigrateError::Changed(version),
            sqlx::migrate::MigrateError::VersionMissing(found) => MigrateError::Newer {
                found,
                known: latest(),
            },
            other => MigrateError::Failed(other),
        });
    }
    let after = applied(conn).await?;
    Ok(Migrated {
        applied: after.len().saturating_sub(before.len()),
        version: after.last().copied().unwrap_or(0),
    })
}

fn refuse_newer(applied: &[i64]) -> Result<(), MigrateError> {
    let known = latest();
    match applied.last() {
        Some(&found) if found > known => Err(MigrateError::Newer { found, known }),
        _ => Ok(()),
    }
}

/// The versions in the database, oldest first. A statement of the migrator's own table, which no
/// migration makes: hence not checked at compile time.
async fn applied(conn: &mut PgConnection) -> Result<Vec<i64>, sqlx::Error> {
    let exists: bool = sqlx::query_scalar("select to_regclass('migrations.applied') is not null")
        .fetch_one(&mut *conn)
        .await?;
    if !exists {
        return Ok(Vec::new());
    }
    sqlx::query_scalar("select version from migrations.applied where success order by version")
        .fetch_all(conn)
        .await
}
