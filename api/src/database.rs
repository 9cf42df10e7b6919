//! The database behind a command: `DATABASE_URL`, or the private cluster in the data folder.
//!
//! Everyday work is done as the service role, which may write no ledger table; only migrating is
//! done as who connects. The last command to leave a private cluster stops it.

use std::path::Path;
use std::str::FromStr;

use anyhow::Context;
use migrations::Migrated;
use migrations::cluster::{Cluster, ClusterError, SUPERUSER, find};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool, Postgres, Transaction};

use crate::output::BadArgument;

/// The role of everyday work.
const SERVICE: &str = "counterfoil_service";
/// The database in a private cluster.
pub(crate) const DATABASE: &str = "counterfoil";

/// Where the database is, as the command line says.
pub(crate) struct Place<'a> {
    /// A database of the operator's.
    pub(crate) url: Option<&'a str>,
    /// The data folder, with the private cluster.
    pub(crate) data: &'a Path,
    /// Whether server programs may be installed when there are none.
    pub(crate) install: bool,
}

/// The private cluster of a data folder, started; installs the server programs if that is asked.
pub(crate) fn cluster(place: &Place<'_>) -> anyhow::Result<Cluster> {
    let cluster = match Cluster::open(place.data) {
        Err(ClusterError::NotInstalled { command }) if place.install => {
            eprintln!("installing the PostgreSQL server with {command}");
            find::install()?;
            Cluster::open(place.data)?
        }
        opened => opened?,
    };
    if let Some(notice) = cluster.notice() {
        eprintln!("{notice}");
    }
    Ok(cluster)
}

/// An open database, migrated.
pub(crate) struct Database {
    cluster: Option<Cluster>,
    service: PgConnectOptions,
    owner: PgConnectOptions,
    patient: bool,
}

impl Database {
    /// Opens the database at a URL, or the private cluster in a data folder, and migrates it.
    pub(crate) async fn open(place: &Place<'_>) -> anyhow::Result<Database> {
        let database = Database::locate(place).await?;
        // A login that may only work, not own, finds the schema current and goes on.
        if database.pending().await? > 0 {
            let migrated = database.migrate().await?;
            eprintln!("migrated the database to version {}", migrated.version);
        }
        Ok(database)
    }

    /// The database as it stands, not migrated.
    pub(crate) async fn locate(place: &Place<'_>) -> anyhow::Result<Database> {
        if let Some(url) = place.url {
            let owner = PgConnectOptions::from_str(url).map_err(|error| {
                BadArgument(format!(
                    "the database URL cannot be read ({error}); write it as \
                     postgres://user@host/database"
                ))
            })?;
            return Ok(Database {
                cluster: None,
                service: owner.clone(),
                owner,
                patient: true,
            });
        }
        let cluster = cluster(place)?;
        cluster.ensure_database(DATABASE).await?;
        let owner = cluster.options(DATABASE, SUPERUSER);
        Ok(Database {
            service: owner.clone(),
            owner,
            cluster: Some(cluster),
            patient: true,
        })
    }

    /// Commits of its pools need not wait for the disk: for a replay, which begins again when it
    /// is interrupted.
    pub(crate) fn hurry(&mut self) {
        self.patient = false;
    }

    /// How many migrations the database lacks.
    async fn pending(&self) -> anyhow::Result<usize> {
        let connected = self.owner.connect().await;
        let mut conn = connected.context("the database does not answer")?;
        let pending = migrations::pending(&mut conn).await?;
        conn.close().await?;
        Ok(pending)
    }

    /// Brings the schema to this program's version.
    pub(crate) async fn migrate(&self) -> anyhow::Result<Migrated> {
        let mut conn = self
            .owner
            .connect()
            .await
            .context("the database does not answer")?;
        let migrated = migrations::migrate(&mut conn).await?;
        conn.close().await?;
        Ok(migrated)
    }

    /// Lets Postgres look at how full its tables are, which it does by itself once a minute: for
    /// who fills them in seconds, and would go on with plans made while they were empty.
    pub(crate) async fn analyze(&self) -> anyhow::Result<()> {
        let connected = self.owner.connect().await;
        let mut conn = connected.context("the database does not answer")?;
        sqlx::query("analyze").execute(&mut conn).await?;
        conn.close().await?;
        Ok(())
    }

    /// A connection that works as the service role.
    pub(crate) async fn service(&self) -> anyhow::Result<PgConnection> {
        let mut conn = self
            .service
            .connect()
            .await
            .context("the database does not answer")?;
        sqlx::query("set role counterfoil_service")
            .execute(&mut conn)
            .await
            .with_context(|| format!("this login may not work as {SERVICE}; grant it that role"))?;
        Ok(conn)
    }

    /// Connections that work as the service role, opened as they are needed.
    pub(crate) fn pool(&self, connections: u32) -> PgPool {
        let patient = self.patient;
        PgPoolOptions::new()
            .max_connections(connections)
            .after_connect(move |conn, _| {
                Box::pin(async move {
                    if !patient {
                        sqlx::query("set synchronous_commit = off")
                            .execute(&mut *conn)
                            .await?;
                    }
                    // Nobody's request may hold locks for ever.
                    sqlx::query("set role counterfoil_service")
                        .execute(&mut *conn)
                        .await?;
                    sqlx::query("set statement_timeout = '30s'")
                        .execute(conn)
                        .await?;
                    Ok(())
                })
            })
            .connect_lazy_with(self.service.clone())
    }

    /// Leaves; the last one to leave a private cluster stops it.
    pub(crate) fn leave(self) -> anyhow::Result<()> {
        match self.cluster {
            Some(cluster) => Ok(cluster.leave()?),
            None => Ok(()),
        }
    }
}

/// Begins a database transaction, does some work in it, and commits it.
///
/// Committing an aborted transaction answers with success (the server says ROLLBACK and the driver
/// does not look), so the transaction is asked first whether it lives.
pub(crate) async fn commit<T, E>(
    conn: &mut PgConnection,
    work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
) -> anyhow::Result<T>
where
    E: Into<anyhow::Error>,
{
    let mut transaction = conn.begin().await?;
    let done = work(&mut transaction).await.map_err(Into::into)?;
    finish(transaction).await?;
    Ok(done)
}

/// Commits a database transaction, once it is sure that it lives.
pub(crate) async fn finish(mut transaction: Transaction<'_, Postgres>) -> anyhow::Result<()> {
    sqlx::query("select pg_current_xact_id_if_assigned()")
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}

/// Does some work on one consistent state of the database that nobody's posting can change.
pub(crate) async fn read<T, E>(
    conn: &mut PgConnection,
    work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
) -> anyhow::Result<T>
where
    E: Into<anyhow::Error>,
{
    let mut transaction = conn
        .begin_with("begin isolation level repeatable read read only")
        .await?;
    let done = work(&mut transaction).await.map_err(Into::into)?;
    transaction.rollback().await?;
    Ok(done)
}
