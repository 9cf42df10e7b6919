//! One lane: its writer, and what becomes of a batch that fails.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use sqlx::pool::PoolConnection;
use sqlx::{Connection, PgConnection, PgPool, Postgres};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Answers, Failed, Work};
use crate::{chance, database};

/// The most items of one batch: a commit soon costs nothing beside them, and nobody waits for more.
const LARGEST: usize = 1000;

/// What somebody handed in and waits for.
pub(super) struct Waiting<W: Work> {
    pub items: Vec<W::Item>,
    pub reply: oneshot::Sender<Answers<W>>,
    pub room: OwnedSemaphorePermit,
}

/// Does what comes until nobody can hand in any more.
pub(super) async fn write<W: Work>(
    work: Arc<W>,
    pool: PgPool,
    mut queue: mpsc::UnboundedReceiver<Waiting<W>>,
    stop: CancellationToken,
) {
    let mut conn = None;
    loop {
        let first = tokio::select! {
            biased;
            first = queue.recv() => first,
            () = stop.cancelled() => {
                // Nobody can hand in any more; what is there is done still.
                queue.close();
                continue;
            }
        };
        let Some(first) = first else { return };
        let mut items = first.items;
        let mut callers = vec![(items.len(), first.reply, first.room)];
        while items.len() < LARGEST
            && let Ok(next) = queue.try_recv()
        {
            callers.push((next.items.len(), next.reply, next.room));
            items.extend(next.items);
        }
        let mut answers = batch(&*work, &pool, &mut conn, &items).await.into_iter();
        for (count, reply, room) in callers {
            drop(room);
            // Whoever went away meanwhile finds its order recorded when it asks again.
            let _ = reply.send(answers.by_ref().take(count).collect());
        }
    }
}

/// One batch: together, or one by one if together it fails.
async fn batch<W: Work>(
    work: &W,
    pool: &PgPool,
    conn: &mut Option<PoolConnection<Postgres>>,
    items: &[W::Item],
) -> Answers<W> {
    work.prepare(items).await;
    let held = match conn.take() {
        Some(held) => Ok(held),
        None => pool.acquire().await,
    };
    let mut held = match held {
        Ok(held) => held,
        Err(error) => return all_fail::<W>(items, &error.into()),
    };
    match committed(work, &mut held, items, End::Commit).await {
        Ok(answers) => {
            *conn = Some(held);
            answers.into_iter().map(Ok).collect()
        }
        Err(error) => {
            // Whatever state the connection is in, nobody else gets it.
            drop(held.detach());
            if items.len() == 1 || out_of_reach(&error) {
                return all_fail::<W>(items, &error);
            }
            let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
            tracing::warn!(
                count = items.len(),
                ?causes,
                "a batch failed; one by one now"
            );
            one_by_one(work, pool, items).await
        }
    }
}

/// Each item in a database transaction of its own.
pub(super) async fn one_by_one<W: Work>(work: &W, pool: &PgPool, items: &[W::Item]) -> Answers<W> {
    let mut answers = Vec::with_capacity(items.len());
    for item in items {
        let item = std::slice::from_ref(item);
        work.prepare(item).await;
        let done = match pool.acquire().await {
            Ok(mut conn) => committed(work, &mut conn, item, End::Commit).await,
            Err(error) => Err(error.into()),
        };
        match done {
            Ok(done) => answers.extend(done.into_iter().map(Ok)),
            Err(error) => answers.extend(all_fail::<W>(item, &error)),
        }
    }
    answers
}

/// As if it counted.
pub(super) async fn rehearse<W: Work>(
    work: &W,
    pool: &PgPool,
    items: &[W::Item],
) -> Result<Vec<W::Answer>, Failed> {
    work.prepare(items).await;
    let done = match pool.acquire().await {
        Ok(mut conn) => committed(work, &mut conn, items, End::RollBack).await,
        Err(error) => Err(error.into()),
    };
    done.map_err(|error| failed(&error))
}

/// How a database transaction ends when all went well.
enum End {
    Commit,
    RollBack,
}

async fn committed<W: Work>(
    work: &W,
    conn: &mut PgConnection,
    items: &[W::Item],
    end: End,
) -> anyhow::Result<Vec<W::Answer>> {
    let mut transaction = conn.begin().await?;
    let run = AssertUnwindSafe(work.run(&mut transaction, chance::now(), items)).catch_unwind();
    let answers = match run.await {
        Ok(answers) => answers?,
        Err(_) => anyhow::bail!("the work panicked; nothing of it was committed"),
    };
    anyhow::ensure!(answers.len() == items.len(), "some items have no answer");
    match end {
        End::Commit => database::finish(transaction).await?,
        End::RollBack => transaction.rollback().await?,
    }
    Ok(answers)
}

fn all_fail<W: Work>(items: &[W::Item], error: &anyhow::Error) -> Answers<W> {
    let failed = failed(error);
    items.iter().map(|_| Err(failed.clone())).collect()
}

fn failed(error: &anyhow::Error) -> Failed {
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    if out_of_reach(error) {
        tracing::warn!(?causes, "the database does not answer");
        return Failed::Unavailable;
    }
    tracing::error!(?causes, "what was reported could not be recorded");
    Failed::Internal
}

/// Whether the database cannot be spoken to, so that trying another item makes no sense.
fn out_of_reach(error: &anyhow::Error) -> bool {
    let mut causes = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<sqlx::Error>());
    causes.any(|error| match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        // Connections are refused or cut off: classes 08, 53 and 57P.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            code.starts_with("08") || code.starts_with("53") || code.starts_with("57P")
        }),
        _ => false,
    })
}
