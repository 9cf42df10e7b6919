//! A private cluster for measuring: made below the data folder, gone when this is dropped.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use migrations::cluster::{self, Cluster, SUPERUSER};
use sqlx::{ConnectOptions, Connection, PgConnection};

use crate::database::{self, Place};

/// A cluster of its own in a folder of its own.
pub(super) struct Scratch {
    folder: PathBuf,
    /// Where PostgreSQL's files are: elsewhere, when its user cannot enter the folder.
    files: PathBuf,
    /// None once it was left.
    cluster: Option<Cluster>,
}

impl Scratch {
    /// Makes and starts one below the data folder of this place.
    pub(super) fn create(place: &Place<'_>) -> anyhow::Result<Scratch> {
        let folder = place.data.join(format!("bench-{}", std::process::id()));
        let cannot = || format!("{} cannot be made", folder.display());
        let made_data = !place.data.exists();
        fs::create_dir_all(&folder).with_context(cannot)?;
        let opened = database::cluster(&Place {
            url: None,
            data: &folder,
            install: place.install,
        });
        let mut scratch = Scratch {
            files: folder.clone(),
            folder,
            cluster: None,
        };
        scratch.cluster = Some(opened?);
        scratch.files = cluster::status(&scratch.folder)?.data;
        if made_data {
            scratch.tell_of_data_folder(place.data);
        }
        Ok(scratch)
    }

    fn tell_of_data_folder(&self, data: &Path) {
        eprintln!(
            "made the folder {} for {}",
            data.display(),
            self.folder.display()
        );
    }

    /// Where it lies.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// PostgreSQL's data directory.
    pub(super) fn files(&self) -> &Path {
        &self.files
    }

    /// The running cluster.
    pub(super) fn cluster(&self) -> anyhow::Result<&Cluster> {
        self.cluster
            .as_ref()
            .context("the scratch cluster was left already")
    }

    /// One of PostgreSQL's own programs; where its folder is one of links, also beside their
    /// target.
    pub(super) fn program(&self, name: &str) -> anyhow::Result<Option<PathBuf>> {
        let binaries = self.cluster()?.binaries();
        let target = fs::canonicalize(binaries.program("postgres"))?.with_file_name(name);
        Ok([binaries.program(name), target]
            .into_iter()
            .find(|program| program.is_file()))
    }

    /// Connects as superuser to a database, which is created when it is not there.
    pub(super) async fn superuser(&self, database: &str) -> anyhow::Result<PgConnection> {
        let cluster = self.cluster()?;
        cluster.ensure_database(database).await?;
        Ok(cluster.options(database, SUPERUSER).connect().await?)
    }

    /// Connects as service role to a migrated database.
    pub(super) async fn service(&self, database: &str) -> anyhow::Result<PgConnection> {
        let mut conn = self.superuser(database).await?;
        let migrated = migrations::migrate(&mut conn).await?;
        anyhow::ensure!(migrated.version > 0, "the scratch database has no schema");
        conn.close().await?;
        let mut conn = self.superuser(database).await?;
        sqlx::query("set role counterfoil_service")
            .execute(&mut conn)
            .await?;
        Ok(conn)
    }

    /// Stops the server and removes everything.
    pub(super) fn remove(mut self) -> anyhow::Result<()> {
        self.clear()
    }

    fn clear(&mut self) -> anyhow::Result<()> {
        let Some(cluster) = self.cluster.take() else {
            return Ok(());
        };
        drop(cluster);
        // A child that was killed with us counts as a user for a moment longer.
        cluster::stop(&self.folder, cluster::Stop::Anyway)?;
        let beside = self.files.ancestors().nth(2);
        for folder in [Some(self.folder.as_path()), beside].into_iter().flatten() {
            if folder.exists() {
                fs::remove_dir_all(folder)
                    .with_context(|| format!("{} cannot be removed", folder.display()))?;
            }
        }
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            eprintln!("{error:#}");
        }
    }
}
