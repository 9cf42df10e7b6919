//! Delivering: one attempt, its row in the log, and what it means for the target.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use ledger::Actor;
use serde_json::json;
use sqlx::{Connection, PgConnection, PgPool};
use uuid::Uuid;

use super::log::{self, Attempt};
use super::message::Message;
use super::target::{self, Target, TargetError};
use super::template::Values;
use super::{DELIVER, Payload, values};
use crate::outside::{Answer, Outside, OutsideError, Reach};
use crate::queue::{Context, Handler, Job, NewJob, Outcome, QueueError, enqueue};

/// The kind of the job that tells somebody that a target was disabled. It waits until there is a
/// worker that sends mail.
pub const DISABLED_MAIL: &str = "mail.postback_disabled";

/// When a target is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// After so many failed attempts in a row …
    pub failures: i32,
    /// … over at least this long, so that a short outage under load disables nobody.
    pub over: TimeDelta,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            failures: 8,
            over: TimeDelta::days(1),
        }
    }
}

/// Sends postbacks to publishers.
#[derive(Debug, Clone, Default)]
pub struct Deliver {
    /// Which addresses may be reached.
    pub reach: Reach,
    /// When a target is given up.
    pub limits: Limits,
}

/// What can go wrong with the database around a delivery.
#[derive(Debug, thiserror::Error)]
enum DeliverError {
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error("a delivery could not be written")]
    Database(#[from] sqlx::Error),
}

impl Handler for Deliver {
    const KIND: &'static str = DELIVER;
    const BACKOFF: &'static [Duration] = &[
        Duration::from_mins(1),
        Duration::from_mins(5),
        Duration::from_mins(30),
        Duration::from_hours(2),
        Duration::from_hours(6),
        Duration::from_hours(24),
        Duration::from_hours(24),
    ];

    async fn run(&self, context: &Context, job: &Job) -> Outcome {
        match self.deliver(context, job).await {
            Ok(outcome) => outcome,
            Err(DeliverError::Target(error @ TargetError::Missing(_))) => {
                Outcome::Fail(error.to_string())
            }
            Err(error) => Outcome::Retry(error.to_string()),
        }
    }
}

impl Deliver {
    async fn deliver(&self, context: &Context, job: &Job) -> Result<Outcome, DeliverError> {
        let payload: Payload = match serde_json::from_value(job.payload.clone()) {
            Ok(payload) => payload,
            Err(error) => return Ok(Outcome::Fail(format!("the payload is unreadable: {error}"))),
        };
        let target = target::find(&mut *context.pool.acquire().await?, payload.target).await?;
        if let Some((_, reason)) = target.disabled {
            return Ok(Outcome::Fail(format!("the target is disabled: {reason}")));
        }
        let now = context.now();
        let (attempt, judgement) = attempt(self.reach, &target, &payload, job.attempt, now).await;
        let mut conn = context.pool.acquire().await?;
        self.write(&mut conn, now, &target, &attempt).await?;
        Ok(match (judgement, attempt.error) {
            (Judgement::Well, _) => Outcome::Done,
            (Judgement::Later, error) => Outcome::Retry(error.unwrap_or_default()),
            (Judgement::Never, error) => Outcome::Fail(error.unwrap_or_default()),
        })
    }

    /// The log's row and the target's record, in one database transaction.
    async fn write(
        &self,
        conn: &mut PgConnection,
        now: DateTime<Utc>,
        target: &Target,
        attempt: &Attempt,
    ) -> Result<(), DeliverError> {
        let mut transaction = conn.begin().await?;
        log::add(&mut transaction, attempt).await?;
        if attempt.error.is_some() {
            self.failed(&mut transaction, now, target, attempt).await?;
        } else if target.failures > 0 {
            sqlx::query!(
                r#"
                update jobs.postback_target set failures = 0, failing_since = null where id = $1
                "#,
                target.id,
            )
            .execute(&mut *transaction)
            .await?;
        }
        // Committing an aborted transaction answers with success: ask first whether it lives.
        sqlx::query("select pg_current_xact_id_if_assigned()")
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn failed(
        &self,
        conn: &mut PgConnection,
        now: DateTime<Utc>,
        target: &Target,
        attempt: &Attempt,
    ) -> Result<(), DeliverError> {
        let since = sqlx::query!(
            r#"
            update jobs.postback_target
            set failures = failures + 1, failing_since = coalesce(failing_since, $2)
            where id = $1
            returning failures, failing_since as "failing_since!", disabled_at
            "#,
            target.id,
            now,
        )
        .fetch_one(&mut *conn)
        .await?;
        let enough =
            since.failures >= self.limits.failures && now - since.failing_since >= self.limits.over;
        if !enough || since.disabled_at.is_some() {
            return Ok(());
        }
        let reason = format!(
            "{} attempts in a row failed since {}; the last: {}",
            since.failures,
            since.failing_since.format("%Y-%m-%d %H:%M UTC"),
            attempt.error.as_deref().unwrap_or("unknown"),
        );
        let by = Actor::new("job:postback");
        target::disable(&mut *conn, now, &by, target.id, &reason).await?;
        let mail = NewJob {
            kind: DISABLED_MAIL,
            key: format!("{} {}", target.id, now.timestamp()),
            payload: json!({
                "target": target.id,
                "publisher": target.publisher,
                "url": target.url,
                "reason": reason,
            }),
            run_at: now,
        };
        enqueue(conn, now, &[mail]).await?;
        Ok(())
    }
}

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judgement {
    Well,
    Later,
    Never,
}

/// Sends once.
async fn attempt(
    reach: Reach,
    target: &Target,
    payload: &Payload,
    number: i32,
    now: DateTime<Utc>,
) -> (Attempt, Judgement) {
    let begun = Instant::now();
    let message = Message::of(target, payload, now.timestamp());
    let url = message.as_ref().map(|message| message.url.to_string());
    let answered = match &message {
        Ok(message) => send(reach, message).await,
        Err(problem) => Err(OutsideError::Refused(problem.clone())),
    };
    let mut made = Attempt {
        delivery_id: payload.delivery,
        target_id: target.id,
        number,
        event: payload.event.clone(),
        conversion_id: payload.conversion,
        url: url.unwrap_or_else(|_| target.url.clone()),
        sent_at: now,
        took_ms: i32::try_from(begun.elapsed().as_millis()).unwrap_or(i32::MAX),
        status: None,
        answer: String::new(),
        error: None,
    };
    let judgement = match answered {
        Ok(answer) => {
            let error = match answer.status {
                200..300 => None,
                300..400 => Some(format!(
                    "answered {}: redirects are not followed",
                    answer.status
                )),
                status => Some(format!("answered {status}")),
            };
            made.status = Some(i32::from(answer.status));
            made.answer = answer.start;
            made.error = error;
            if made.error.is_none() {
                Judgement::Well
            } else {
                Judgement::Later
            }
        }
        Err(error) => {
            made.error = Some(error.to_string());
            match error {
                OutsideError::Refused(_) => Judgement::Never,
                OutsideError::Failed(_) => Judgement::Later,
            }
        }
    };
    (made, judgement)
}

async fn send(reach: Reach, message: &Message) -> Result<Answer, OutsideError> {
    let outside = Outside::new(reach)?;
    match &message.body {
        None => outside.get(&message.url, &message.headers).await,
        Some(body) => {
            outside
                .post(&message.url, &message.headers, body.clone())
                .await
        }
    }
}

/// Sends an example to a target, disabled or not, and answers what came of it. The attempt is
/// logged with number 0 and counts for nothing else.
pub async fn sample(
    pool: &PgPool,
    now: DateTime<Utc>,
    reach: Reach,
    target: Uuid,
    delivery: Uuid,
) -> Result<Attempt, TargetError> {
    let mut conn = pool.acquire().await?;
    let target = target::find(&mut conn, target).await?;
    let payload = Payload {
        delivery,
        target: target.id,
        event: "test".to_owned(),
        conversion: None,
        values: example(&target, delivery, now),
    };
    let (attempt, _) = attempt(reach, &target, &payload, 0, now).await;
    log::add(&mut conn, &attempt).await?;
    Ok(attempt)
}

fn example(target: &Target, delivery: Uuid, now: DateTime<Utc>) -> Values {
    let mut example: Values = super::template::MACROS
        .iter()
        .map(|name| ((*name).to_owned(), "test".to_owned()))
        .collect();
    values::put_moment(&mut example, now);
    for (name, value) in [
        ("publisher_id", target.publisher.to_string()),
        ("partner_id", target.publisher.to_string()),
        ("event_id", delivery.to_string()),
        ("sum", "0.00".to_owned()),
        ("amount", "0.00".to_owned()),
        ("payout", "0.00".to_owned()),
        ("order_sum", "0.00".to_owned()),
    ] {
        example.insert(name.to_owned(), value);
    }
    if !target.expose_order_id {
        example.remove("order_id");
    }
    example
}
