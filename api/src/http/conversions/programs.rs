//! Programs as senders name them, remembered for some seconds.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use ledger::{Actor, BookId};
use settlement::access::Role;
use settlement::identity::UserKey;
use settlement::reported::{self, Program};
use settlement::tracking::secrets;
use settlement::tracking::token::TokenKeys;
use sqlx::PgPool;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::chance;
use crate::http::auth::Principal;
use crate::http::problem::Problem;

/// How old what is remembered may be. A program's book never changes; its currency is checked again
/// against the terms that decide the order.
const REMEMBERED: Duration = Duration::from_secs(5);

/// The programs that were asked for lately.
#[derive(Debug)]
pub(crate) struct Programs {
    pool: PgPool,
    known: RwLock<HashMap<Uuid, (Instant, Program)>>,
    only: RwLock<HashMap<BookId, (Instant, Uuid)>>,
    user_key: OnceCell<UserKey>,
    tokens: RwLock<Option<(Instant, Arc<TokenKeys>)>>,
}

impl Programs {
    pub(crate) fn new(pool: PgPool) -> Programs {
        Programs {
            pool,
            known: RwLock::default(),
            only: RwLock::default(),
            user_key: OnceCell::new(),
            tokens: RwLock::default(),
        }
    }

    /// The program of an id, if it belongs to whom the key speaks for.
    pub(crate) async fn of(&self, principal: &Principal, id: Uuid) -> Result<Program, Problem> {
        let program = self.find(id).await?.ok_or_else(|| {
            let detail = format!("there is no program {id}; check program_id");
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown-program", detail)
        })?;
        principal.owns(program.reference.book)?;
        Ok(program)
    }

    /// The program that is meant: the one named, or the only one of the key's brand.
    pub(crate) async fn meant(
        &self,
        principal: &Principal,
        named: Option<Uuid>,
    ) -> Result<Program, Problem> {
        let id = match named {
            Some(id) => id,
            None => self.only(principal).await?,
        };
        self.of(principal, id).await
    }

    async fn only(&self, principal: &Principal) -> Result<Uuid, Problem> {
        let unclear = || {
            let detail = "program_id is missing; send it (a brand with one program may leave it)";
            Problem::unprocessable("field-missing", detail)
        };
        let Role::Brand(book) = principal.role() else {
            return Err(unclear());
        };
        let known = self
            .only
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&book)
            .copied();
        if let Some((seen, id)) = known
            && seen.elapsed() < REMEMBERED
        {
            return Ok(id);
        }
        let seen = Instant::now();
        let mut conn = self
            .pool
            .acquire()
            .await
            .map_err(|error| unavailable(&error))?;
        let only = reported::only_program(&mut conn, book)
            .await
            .map_err(anyhow::Error::from)?;
        let id = only.ok_or_else(unclear)?;
        let mut all = self.only.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(book, (seen, id));
        Ok(id)
    }

    /// The keys that click tokens are signed with.
    pub(crate) async fn tokens(&self) -> Result<Arc<TokenKeys>, Problem> {
        let known = self
            .tokens
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some((seen, keys)) = known
            && seen.elapsed() < REMEMBERED
        {
            return Ok(keys);
        }
        let seen = Instant::now();
        let fresh = chance::bytes().map_err(anyhow::Error::from)?;
        let by = Actor::new("http:intake");
        let mut conn = self
            .pool
            .acquire()
            .await
            .map_err(|error| unavailable(&error))?;
        let keys = secrets::keys(&mut conn, chance::now(), &by, fresh).await;
        let keys = Arc::new(keys.map_err(|error| unavailable(&error))?);
        let mut known = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        *known = Some((seen, Arc::clone(&keys)));
        Ok(keys)
    }

    /// What users are hashed with.
    pub(crate) async fn user_key(&self) -> Result<&UserKey, Problem> {
        let read = async || {
            let mut conn = self.pool.acquire().await?;
            UserKey::read(&mut conn).await
        };
        let key = self.user_key.get_or_try_init(read).await;
        key.map_err(|error| unavailable(&error))
    }

    async fn find(&self, id: Uuid) -> Result<Option<Program>, Problem> {
        let known = self
            .known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned();
        if let Some((seen, program)) = known
            && seen.elapsed() < REMEMBERED
        {
            return Ok(Some(program));
        }
        let seen = Instant::now();
        let mut conn = self
            .pool
            .acquire()
            .await
            .map_err(|error| unavailable(&error))?;
        let found = reported::program(&mut conn, id)
            .await
            .map_err(anyhow::Error::from)?;
        if let Some(program) = &found {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            known.insert(id, (seen, program.clone()));
        }
        Ok(found)
    }
}

/// No connection is to be had.
pub(super) fn unavailable(error: &sqlx::Error) -> Problem {
    tracing::warn!(%error, "no connection to the database");
    Problem::unavailable("the database does not answer; try again", 1)
}
