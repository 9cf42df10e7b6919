//! One thread in each test process that makes and removes databases.
//!
//! Tests come and go with their own async runtimes, and `Drop` has none: so the connections live
//! here. One of them holds an advisory lock whose number is part of the name of every database
//! this process makes. The lock ends with the process, however it ends, and tells the next one
//! what is left over; process numbers would not do when several machines share a server.

use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc as blocking;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection};
use tokio::sync::{mpsc, oneshot};

use super::{Failure, memory, place, template};

/// How long `Drop` waits for a database to go before it leaves it to the next process.
const PATIENCE: Duration = Duration::from_secs(20);

static KEEPER: OnceLock<Result<Keeper, String>> = OnceLock::new();
static NEXT: AtomicU32 = AtomicU32::new(0);

/// Where this process makes its databases.
#[derive(Clone)]
pub(super) struct Site {
    /// The server, at its maintenance database.
    pub(super) server: PgConnectOptions,
    /// This process's number, in the name of everything it makes.
    pub(super) key: i64,
    /// Whether copies go to memory.
    pub(super) in_memory: bool,
}

struct Keeper {
    jobs: mpsc::UnboundedSender<Job>,
    server: PgConnectOptions,
    key: i64,
}

enum Job {
    Create(String, oneshot::Sender<Result<(), String>>),
    Remove(String, blocking::Sender<()>),
}

/// Makes a database; its name and how to connect.
pub(super) async fn create() -> Result<(String, PgConnectOptions), String> {
    let keeper = KEEPER.get_or_init(start).as_ref().map_err(Clone::clone)?;
    let name = database_name(
        keeper.key,
        &NEXT.fetch_add(1, Ordering::Relaxed).to_string(),
    );
    let (done, wait) = oneshot::channel();
    let gone = "the thread that makes databases has died";
    keeper
        .jobs
        .send(Job::Create(name.clone(), done))
        .map_err(|_| gone)?;
    wait.await.map_err(|_| gone)??;
    let options = keeper.server.clone().database(&name);
    Ok((name, options))
}

/// Removes a database and waits until it is gone.
pub(super) fn remove(name: &str) {
    let Some(Ok(keeper)) = KEEPER.get() else {
        return;
    };
    let (done, wait) = blocking::channel();
    if keeper.jobs.send(Job::Remove(name.to_owned(), done)).is_ok() {
        // Whatever is not gone by now, the next process removes.
        let _ = wait.recv_timeout(PATIENCE);
    }
}

/// `cft_<key>_<suffix>`: the key of the process that made it.
pub(super) fn database_name(key: i64, suffix: &str) -> String {
    format!("cft_{key:016x}_{suffix}")
}

fn start() -> Result<Keeper, String> {
    // A number that no other process picks. It decides nothing that a test could see.
    let chance = std::hash::RandomState::new().build_hasher().finish();
    let key = i64::try_from(chance >> 1).expect("63 bits fit");
    let (jobs, inbox) = mpsc::unbounded_channel();
    let (ready, wait) = blocking::channel();
    std::thread::Builder::new()
        .name("test-databases".to_owned())
        .spawn(move || run(key, inbox, &ready))
        .map_err(|error| error.to_string())?;
    let server = wait
        .recv()
        .map_err(|_| "the thread that makes databases has died")??;
    Ok(Keeper { jobs, server, key })
}

fn run(
    key: i64,
    inbox: mpsc::UnboundedReceiver<Job>,
    ready: &blocking::Sender<Result<PgConnectOptions, String>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(error.to_string()))),
    };
    let server = match place::server() {
        Ok(server) => server,
        Err(error) => return drop(ready.send(Err(error))),
    };
    runtime.block_on(async {
        match prepare(server, key).await {
            Ok((guard, site)) => {
                drop(ready.send(Ok(site.server.clone())));
                serve(inbox, site).await;
                drop(guard);
            }
            Err(error) => drop(ready.send(Err(error.to_string()))),
        }
    });
}

/// Takes this process's lock, clears away what dead processes left, and sees to the template.
async fn prepare(server: PgConnectOptions, key: i64) -> Result<(PgConnection, Site), Failure> {
    let mut guard = server.clone().connect().await?;
    sqlx::query("select pg_advisory_lock($1)")
        .bind(key)
        .execute(&mut guard)
        .await?;
    sweep(&mut guard).await?;
    let in_memory = memory::ensure(&mut guard, place::cluster()).await?;
    let site = Site {
        server,
        key,
        in_memory,
    };
    template::ensure(&mut guard, &site).await?;
    Ok((guard, site))
}

async fn serve(mut inbox: mpsc::UnboundedReceiver<Job>, site: Site) {
    let pool = PgPoolOptions::new()
        .max_connections(4)
        .connect_lazy_with(site.server.clone());
    while let Some(job) = inbox.recv().await {
        let (pool, site) = (pool.clone(), site.clone());
        tokio::spawn(async move {
            match job {
                Job::Create(name, done) => {
                    let outcome = template::copy(&pool, &site, &name).await;
                    drop(done.send(outcome.map_err(|error| error.to_string())));
                }
                Job::Remove(name, done) => {
                    drop(remove_from(&pool, &name).await);
                    let _ = done.send(());
                }
            }
        });
    }
}

async fn remove_from(pool: &PgPool, name: &str) -> Result<(), sqlx::Error> {
    let mut conn = pool.acquire().await?;
    drop_database(&mut conn, name).await
}

/// Removes a database, whoever is still connected to it.
///
/// `with (force)` alone would do, but it looks only every 100 milliseconds whether the others have
/// gone.
pub(super) async fn drop_database(conn: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    for _ in 0..100 {
        let others: i64 = sqlx::query_scalar(
            "select count(pg_catalog.pg_terminate_backend(pid))
             from pg_catalog.pg_stat_activity where datname = $1",
        )
        .bind(name)
        .fetch_one(&mut *conn)
        .await?;
        if others == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let drop = AssertSqlSafe(format!("drop database if exists \"{name}\" with (force)"));
    sqlx::raw_sql(drop).execute(conn).await.map(|_| ())
}

/// Removes the databases whose process no longer holds its lock.
async fn sweep(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    let names: Vec<String> = sqlx::query_scalar(
        "select datname from pg_catalog.pg_database where datname ~ '^cft_[0-9a-f]{16}_'",
    )
    .fetch_all(&mut *conn)
    .await?;
    for name in names {
        let Some(key) = name
            .get(4..20)
            .and_then(|hex| i64::from_str_radix(hex, 16).ok())
        else {
            continue;
        };
        let dead: bool = sqlx::query_scalar("select pg_try_advisory_lock($1)")
            .bind(key)
            .fetch_one(&mut *conn)
            .await?;
        if dead {
            // Another user's leftovers on a shared server stay theirs.
            drop(drop_database(conn, &name).await);
            sqlx::query("select pg_advisory_unlock($1)")
                .bind(key)
                .execute(&mut *conn)
                .await?;
        }
    }
    Ok(())
}
