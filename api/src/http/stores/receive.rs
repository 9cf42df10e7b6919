//! Taking in a delivery: verified on its raw bytes, then read, then acted on in one database
//! transaction, then answered.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Path, Request as HttpRequest, State};
use axum::http::{HeaderMap, StatusCode};
use chrono::{DateTime, Utc};
use jobs::effects;
use ledger::Actor;
use settlement::identity::{UserHash, UserKey};
use settlement::inbox::Received;
use settlement::inbox::connection::{self, ANY_STORE, Asked, Connection};
use settlement::inbox::fact::{Delivery, Says, What};
use settlement::tracking::secrets;
use settlement::tracking::token::TokenKeys;
use uuid::Uuid;

use super::click;
use super::proof::Mode;
use super::reply::Answer;
use super::sender::{Key, Reading, Request, Sender};
use super::settings::Defaults;
use super::{names, sender_named};
use crate::http::App;
use crate::http::problem::Problem;
use crate::{chance, database};

/// A request as it came: nothing of it is read yet.
pub(super) struct Incoming {
    headers: HeaderMap,
    token: Option<String>,
    body: Bytes,
}

impl FromRequest<App> for Incoming {
    type Rejection = Problem;

    async fn from_request(request: HttpRequest, app: &App) -> Result<Incoming, Problem> {
        let headers = request.headers().clone();
        let query = request.uri().query().unwrap_or_default();
        let token = url::form_urlencoded::parse(query.as_bytes())
            .find_map(|(name, value)| (name == "token").then(|| value.into_owned()));
        let body = Bytes::from_request(request, app).await.map_err(|refused| {
            let status = refused.status();
            Problem::new(status, "unreadable-body", refused.body_text())
        })?;
        Ok(Incoming {
            headers,
            token,
            body,
        })
    }
}

impl Incoming {
    fn request(&self) -> Request<'_> {
        Request {
            headers: &self.headers,
            token: self.token.as_deref(),
            body: &self.body,
        }
    }
}

/// Take in a webhook at the address of one connection.
#[utoipa::path(post, path = "/hooks/{connection_id}", tag = "stores",
    params(("connection_id" = Uuid, Path, description = "As `counterfoil store add` printed it.")),
    request_body(content = String, content_type = "application/json",
                 description = "A delivery as the connection's sender signs it."),
    responses((status = 200, body = Answer), (status = 401, body = Problem)))]
pub(super) async fn hook(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    incoming: Incoming,
) -> Result<Json<Answer>, Problem> {
    let connections = find(&app, Asked::Id(id)).await?;
    let named = connections.first().map(|found| found.source.clone());
    let Some(sender) = named.and_then(|source| sender_named(&source)) else {
        return Err(refused());
    };
    take_in(&app, sender, &incoming, connections).await
}

/// The same at `/webhooks/shopify` and its like, where many integrations expect it.
pub(super) async fn named(
    State(app): State<App>,
    Path(source): Path<String>,
    incoming: Incoming,
) -> Result<Json<Answer>, Problem> {
    let source = if source == "woocommerce" {
        "woo"
    } else {
        &source
    };
    let sender = sender_named(source).ok_or_else(|| {
        let detail = format!(
            "no store is called {source}; say one of {}",
            names().join(", ")
        );
        Problem::new(StatusCode::NOT_FOUND, "unknown-sender", detail)
    })?;
    receive(&app, sender, incoming).await
}

/// Takes in a delivery of a sender, whichever of its stores it is from.
pub(super) async fn receive(
    app: &App,
    sender: &'static dyn Sender,
    incoming: Incoming,
) -> Result<Json<Answer>, Problem> {
    let request = incoming.request();
    if sender.greets(&request) {
        return Ok(Json(Answer::greeting()));
    }
    let store = sender.store_in_headers(&request);
    let asked = Asked::Source(sender.name(), store.as_deref());
    let connections = find(app, asked).await?;
    take_in(app, sender, &incoming, connections).await
}

async fn find(app: &App, asked: Asked<'_>) -> Result<Vec<Connection>, Problem> {
    let mut conn = app
        .pool
        .acquire()
        .await
        .map_err(|error| unavailable(&error))?;
    connection::find(&mut conn, asked)
        .await
        .map_err(|error| unavailable(&error))
}

/// Secrets of the network that a delivery is read with.
struct Keys {
    /// What customer ids are hashed with, as those of identified users are.
    users: UserKey,
    /// What click tokens are signed with.
    tokens: TokenKeys,
}

impl Keys {
    async fn read(app: &App, now: DateTime<Utc>) -> Result<Keys, Problem> {
        let fresh = chance::bytes().map_err(|error| Problem::internal(&error.into()))?;
        let by = Actor::new("http:webhook");
        let acquired = app.pool.acquire().await;
        let mut conn = acquired.map_err(|error| unavailable(&error))?;
        let users = UserKey::read(&mut conn).await;
        let tokens = secrets::keys(&mut conn, now, &by, fresh).await;
        Ok(Keys {
            users: users.map_err(|error| unavailable(&error))?,
            tokens: tokens.map_err(|error| unavailable(&error))?,
        })
    }
}

fn unavailable(error: &sqlx::Error) -> Problem {
    tracing::warn!(%error, "the database does not answer a webhook");
    Problem::unavailable("the database does not answer; send it again later", 60)
}

/// Told to everybody whose delivery is not believed: not which part of it was wrong.
fn refused() -> Problem {
    let detail =
        "the signature fits no connection; check the secret, and that the raw body is sent";
    Problem::new(StatusCode::UNAUTHORIZED, "bad-signature", detail)
}

async fn take_in(
    app: &App,
    sender: &'static dyn Sender,
    incoming: &Incoming,
    connections: Vec<Connection>,
) -> Result<Json<Answer>, Problem> {
    let (request, now) = (incoming.request(), chance::now());
    if sender.greets(&request) {
        return Ok(Json(Answer::greeting()));
    }
    let defaults = app.stores.of(sender.name());
    let believed: Vec<Connection> = connections
        .into_iter()
        .filter(|it| proves(sender, &request, it, defaults.as_ref(), now))
        .collect();
    if believed.is_empty() {
        return Err(refused());
    }
    let reading = sender.read(&request, now).map_err(|unreadable| {
        Problem::unprocessable("unreadable-delivery", unreadable.to_string())
    })?;
    let Some(connection) = choose(&believed, reading.store.as_deref()) else {
        let store = reading.store.unwrap_or_default();
        let detail =
            format!("store {store} has no connection; add one with `counterfoil store add`");
        return Err(Problem::new(StatusCode::NOT_FOUND, "unknown-store", detail));
    };
    let keys = Keys::read(app, now).await?;
    let book = connection.program.book;
    let customer = reading.customer.as_ref();
    let customer = customer.map(|id| keys.users.hash(book, id));
    let delivery = delivery(&request, customer, reading, now);
    let received = act(app, connection, &delivery, &keys.tokens, now).await?;
    tracing::info!(source = sender.name(), topic = delivery.topic, key = delivery.key,
        outcome = ?received.outcome, replayed = received.replayed, "a webhook was taken in");
    Ok(Json(Answer::of(&received)))
}

/// Whether one of a connection's secrets signed the request; all are tried, the newest first.
fn proves(
    sender: &dyn Sender,
    request: &Request<'_>,
    connection: &Connection,
    defaults: Option<&Defaults>,
    now: DateTime<Utc>,
) -> bool {
    let habits = sender.habits();
    let set = connection.mode.as_deref().and_then(Mode::named);
    let mode = set.or(defaults.map(|it| it.mode)).unwrap_or(habits.1);
    let header = connection.header.as_deref();
    let header = header.or(defaults.map(|it| it.header.as_str()));
    let header = header.unwrap_or(habits.0);
    let mut secrets: Vec<&str> = connection.secrets.iter().map(String::as_str).collect();
    if secrets.is_empty() {
        secrets.extend(defaults.and_then(|it| it.secret.as_deref()));
    }
    // Unsigned only where the connection itself says so.
    if mode == Mode::None {
        return set == Some(Mode::None);
    }
    secrets.into_iter().any(|secret| {
        let key = Key {
            secret,
            header,
            mode,
        };
        sender.verify(request, &key, now).is_ok()
    })
}

/// The connection of the store that a delivery names; that of any store if it has none.
fn choose<'a>(believed: &'a [Connection], store: Option<&str>) -> Option<&'a Connection> {
    let of = |name: &str| believed.iter().find(|it| it.store == name);
    match store {
        Some(store) => of(store).or_else(|| of(ANY_STORE)),
        None => of(ANY_STORE).or(match believed {
            [only] => Some(only),
            _ => None,
        }),
    }
}

/// A delivery as the inbox takes it: no fact from the future, no customer by name or number.
fn delivery(
    request: &Request<'_>,
    customer: Option<UserHash>,
    reading: Reading,
    now: DateTime<Utc>,
) -> Delivery {
    let customer = customer.map(|hash| hex::encode(hash.bytes()));
    let mut says = reading.says;
    if let Says::About(about) = &mut says {
        for fact in &mut about.facts {
            fact.at = fact.at.min(now);
            if let What::Order(order) = &mut fact.what {
                order.placed_at = order.placed_at.min(now);
                order.customer.clone_from(&customer);
            }
        }
    }
    Delivery {
        key: reading.key,
        topic: reading.topic,
        body_hash: request.body_hash(),
        says,
    }
}

/// Acts on a delivery in one database transaction; once more if somebody was in the way.
async fn act(
    app: &App,
    connection: &Connection,
    delivery: &Delivery,
    keys: &TokenKeys,
    now: DateTime<Utc>,
) -> Result<Received, Problem> {
    let read_click = |text: &str, placed_at| click::read(text, keys, placed_at);
    let by = Actor::new(format!("http:{}", connection.source));
    let mut conn = app
        .pool
        .acquire()
        .await
        .map_err(|error| unavailable(&error))?;
    let mut attempt = 1;
    loop {
        let done = database::commit(&mut conn, async |conn| {
            let about = (connection, delivery);
            effects::receive(conn, now, &by, &app.risk, about, &read_click).await
        })
        .await;
        match done {
            Err(error) if attempt < ATTEMPTS => {
                tracing::warn!(%error, attempt, "a webhook is acted on once more");
                attempt += 1;
            }
            done => return done.map_err(Problem::from),
        }
    }
}

/// Some senders never send again.
const ATTEMPTS: u32 = 3;
