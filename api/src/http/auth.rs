//! Who a request speaks for: `Authorization: Bearer pc_live_…`.
//!
//! A handler that takes a [`Principal`] is refused without a key that works (401), and asks it for
//! the scope ([`Principal::may`]) and the tenant ([`Principal::owns`]) it needs (403).
//!
//! Keys are looked up by their SHA-256 and remembered for a second at most, so a revoked key is
//! refused by every running service within that second, with nothing to listen to that could be
//! cut off. A key that is not known is never remembered.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use chrono::{DateTime, Utc};
use ipnet::IpNet;
use ledger::{Actor, BookId};
use serde::Serialize;
use settlement::access::{self, Key, Mode, Role, Scope, Secret};
use sqlx::PgPool;
use subtle::ConstantTimeEq;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::problem::Problem;
use super::{App, peer};
use crate::chance;

/// For how long a key is believed at most; how late a revocation may be.
const BELIEVED: Duration = Duration::from_secs(1);
/// From when on somebody asks again, while the others go on.
const RENEWED: Duration = Duration::from_millis(500);

/// Who a request speaks for.
#[derive(Debug, Clone)]
pub(crate) struct Principal(Arc<Known>);

/// A key that works, or did when it was looked up.
#[derive(Debug)]
struct Known {
    key: Key,
    networks: Vec<IpNet>,
    hash: [u8; 32],
    seen: Instant,
    renewing: AtomicBool,
}

impl Principal {
    /// The key itself, without the secret.
    pub(crate) fn key(&self) -> &Key {
        &self.0.key
    }

    /// For whom it speaks.
    pub(crate) fn role(&self) -> Role {
        self.0.key.role
    }

    /// Whether nothing it reports may be recorded.
    pub(crate) fn is_test(&self) -> bool {
        self.0.key.mode == Mode::Test
    }

    /// Who is named as author of what it does, such as `http:conv@key:…`.
    pub(crate) fn actor(&self, route: &str) -> Actor {
        Actor::new(format!("http:{route}@key:{}", self.0.key.id))
    }

    /// Refuses a key without this scope.
    pub(crate) fn may(&self, scope: Scope) -> Result<(), Problem> {
        if self.0.key.scopes.contains(&scope) {
            return Ok(());
        }
        let detail = format!(
            "this key has no scope '{}'; make one that has it with `counterfoil keys create`",
            scope.as_str()
        );
        Err(Problem::new(StatusCode::FORBIDDEN, "scope-missing", detail))
    }

    /// Refuses a key that does not speak for the brand with this book.
    pub(crate) fn owns(&self, book: BookId) -> Result<(), Problem> {
        match self.role() {
            Role::Network => Ok(()),
            Role::Brand(own) if own == book => Ok(()),
            Role::Brand(_) | Role::Publisher(_) => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "another-tenant",
                "this belongs to another brand than the key does; use that brand's key",
            )),
        }
    }

    /// The one book it may touch; none for the network, which may touch all.
    pub(crate) fn book(&self) -> Result<Option<BookId>, Problem> {
        match self.role() {
            Role::Network => Ok(None),
            Role::Brand(book) => Ok(Some(book)),
            Role::Publisher(_) => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "another-tenant",
                "a publisher's key reads that publisher's figures and nothing else",
            )),
        }
    }
}

/// Why there is no principal.
#[derive(Debug)]
pub(crate) enum Denied {
    /// No key was sent.
    Missing,
    /// The key is not one of ours, or not any more.
    Unknown,
    /// It may not be used from this address.
    Address(IpAddr),
    /// It cannot be looked up now.
    Unavailable(anyhow::Error),
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Problem {
        let unauthorized = |name, detail| Problem::new(StatusCode::UNAUTHORIZED, name, detail);
        match denied {
            Denied::Missing => unauthorized(
                "key-missing",
                "send an API key as `Authorization: Bearer pc_live_…`",
            ),
            Denied::Unknown => unauthorized(
                "key-unknown",
                "this API key is unknown or was revoked; ask the network for another",
            ),
            Denied::Address(address) => Problem::new(
                StatusCode::FORBIDDEN,
                "address-not-allowed",
                format!("this API key may not be used from {address}; ask the network to allow it"),
            ),
            Denied::Unavailable(error) => {
                tracing::warn!(%error, "an API key could not be looked up");
                Problem::unavailable("the database does not answer; try again", 1)
            }
        }
    }
}

/// The keys in use.
#[derive(Debug)]
pub(crate) struct Keys {
    pool: PgPool,
    known: RwLock<HashMap<[u8; 32], Arc<Known>>>,
}

impl Keys {
    pub(crate) fn new(pool: PgPool) -> Keys {
        Keys {
            pool,
            known: RwLock::default(),
        }
    }

    /// Who sent this key from this address.
    pub(crate) async fn principal(
        &self,
        now: DateTime<Utc>,
        sent: &str,
        from: IpAddr,
    ) -> Result<Principal, Denied> {
        let secret = Secret::parse(sent).ok_or(Denied::Unknown)?;
        let hash = secret.hash();
        let known = match self.remembered(&hash) {
            Some(known) => known,
            None => self.look_up(hash).await?.ok_or(Denied::Unknown)?,
        };
        if !bool::from(known.hash.ct_eq(&hash)) || !known.key.works_at(now) {
            return Err(Denied::Unknown);
        }
        if !known.networks.is_empty() && !known.networks.iter().any(|net| net.contains(&from)) {
            return Err(Denied::Address(from));
        }
        Ok(Principal(known))
    }

    /// A key that was seen just now; one of its users gets none in time and asks again.
    fn remembered(&self, hash: &[u8; 32]) -> Option<Arc<Known>> {
        let all = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let known = all.get(hash)?;
        let age = known.seen.elapsed();
        let mine = age >= RENEWED && !known.renewing.swap(true, Ordering::Relaxed);
        (age < BELIEVED && !mine).then(|| Arc::clone(known))
    }

    async fn look_up(&self, hash: [u8; 32]) -> Result<Option<Arc<Known>>, Denied> {
        // What is revoked from here on may be missed until the belief ends.
        let seen = Instant::now();
        let unavailable = |error: sqlx::Error| Denied::Unavailable(error.into());
        let mut conn = self.pool.acquire().await.map_err(unavailable)?;
        let key = access::find(&mut conn, &hash)
            .await
            .map_err(|error| Denied::Unavailable(error.into()))?;
        drop(conn);
        let mut all = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let Some(key) = key else {
            all.remove(&hash);
            return Ok(None);
        };
        let networks: Result<Vec<IpNet>, _> = key.networks.iter().map(|net| net.parse()).collect();
        let networks = networks.map_err(|error: ipnet::AddrParseError| {
            Denied::Unavailable(anyhow::anyhow!("networks of API key {}: {error}", key.id))
        })?;
        let known = Arc::new(Known {
            key,
            networks,
            hash,
            seen,
            renewing: AtomicBool::new(false),
        });
        all.insert(hash, Arc::clone(&known));
        Ok(Some(known))
    }
}

impl FromRequestParts<App> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Principal, Problem> {
        let sent = bearer_of(&parts.headers).ok_or(Denied::Missing)?;
        let from = peer::address(parts, app)?;
        Ok(app.keys.principal(chance::now(), sent, from).await?)
    }
}

/// The key of an `Authorization: Bearer` header.
pub(crate) fn bearer_of(headers: &HeaderMap) -> Option<&str> {
    let header = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = header.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| key.trim_start())
}

/// The routes of this area.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(own))
}

/// What an API key may do.
#[derive(Debug, Serialize, ToSchema)]
struct OwnKey {
    /// The key's id, which is no secret.
    id: Uuid,
    /// What people call it.
    #[schema(example = "shop server")]
    name: String,
    /// `live`, or `test`: then nothing it reports is recorded.
    #[schema(example = "live")]
    mode: &'static str,
    /// `network`, `brand` or `publisher`.
    #[schema(example = "brand")]
    role: &'static str,
    /// What it may be used for.
    #[schema(example = json!(["report", "decide", "read"]))]
    scopes: Vec<&'static str>,
    /// From when on it is refused, after a rotation.
    refused_from: Option<DateTime<Utc>>,
}

/// What this key may do.
#[utoipa::path(
    get, path = "/v1/key", tag = "access",
    responses((status = 200, body = OwnKey), (status = 401, body = Problem)),
)]
async fn own(principal: Principal) -> Json<OwnKey> {
    let key = principal.key();
    Json(OwnKey {
        id: key.id,
        name: key.name.clone(),
        mode: key.mode.as_str(),
        role: key.role.as_str(),
        scopes: key.scopes.iter().map(|scope| scope.as_str()).collect(),
        refused_from: key.revoked.as_ref().map(|(from, _)| *from),
    })
}
