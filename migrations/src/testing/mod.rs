//! A fresh database for each test, in a few milliseconds: a copy of a template that holds the
//! migrated schema.
//!
//! ```no_run
//! # async fn a_test() {
//! let db = migrations::testing::database().await;
//! let mut conn = db.connection().await; // the owner of everything
//! let mut service = db.service().await; // what the running service may do
//! # }
//! ```
//!
//! The server is the one `DATABASE_URL` names, or else a private one below cargo's target folder,
//! which the first test starts and which stops some seconds after the last test process has
//! ended. Tests may run in parallel threads, processes and checkouts. A database goes when its
//! [`TestDatabase`] does, also when the test panics; those of a killed process go when the next
//! one starts. By default nothing is forced to the disk; a test that kills the server asks for a
//! [`durable_cluster`].
//!
//! Functions here panic when they cannot do their work: the test has failed then.

mod durable;
mod keeper;
mod memory;
mod place;
mod template;

use std::fmt::Display;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, PgConnection};

pub use durable::{DurableCluster, durable_cluster};

/// Whatever went wrong; it ends up in a failed test's message.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The role of the running service.
pub const SERVICE: &str = "counterfoil_service";
/// The role of an auditor, who may only read.
pub const AUDITOR: &str = "counterfoil_auditor";

/// A database of one test's own.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    options: PgConnectOptions,
    pool: PgPool,
}

/// Makes a database with the migrated schema and nothing in it.
pub async fn database() -> TestDatabase {
    let (name, options) = keeper::create().await.unwrap_or_else(|error| fail(error));
    let pool = lazy_pool(options.clone());
    TestDatabase {
        name,
        options,
        pool,
    }
}

impl TestDatabase {
    /// Connections as the owner of everything, opened when first asked for.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// A pool that works as the service does.
    #[must_use]
    pub fn service_pool(&self) -> PgPool {
        lazy_pool(self.as_role(SERVICE))
    }

    /// A connection as the owner of everything.
    pub async fn connection(&self) -> PgConnection {
        connect(self.options.clone()).await
    }

    /// A connection that may do what the running service may.
    pub async fn service(&self) -> PgConnection {
        connect(self.as_role(SERVICE)).await
    }

    /// A connection that may do what an auditor may.
    pub async fn auditor(&self) -> PgConnection {
        connect(self.as_role(AUDITOR)).await
    }

    /// How to connect, as the owner of everything.
    #[must_use]
    pub fn options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    /// How to connect and work as a role; `reset role` stays with that role.
    #[must_use]
    pub fn as_role(&self, role: &str) -> PgConnectOptions {
        self.options.clone().options([("role", role)])
    }

    /// The address of the database, as `DATABASE_URL` takes it.
    #[must_use]
    pub fn url(&self) -> String {
        place::url(&self.options)
    }

    /// The name of the database.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        keeper::remove(&self.name);
    }
}

fn lazy_pool(options: PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(16)
        .acquire_timeout(Duration::from_mins(1))
        .connect_lazy_with(options)
}

async fn connect(options: PgConnectOptions) -> PgConnection {
    options.connect().await.unwrap_or_else(|error| fail(error))
}

#[expect(clippy::panic, reason = "a test that gets no database has failed")]
fn fail(error: impl Display) -> ! {
    panic!("no database for this test: {error}")
}
