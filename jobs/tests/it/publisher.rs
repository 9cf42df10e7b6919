//! A publisher's tracker: a real HTTP server on loopback that keeps what it is told and answers as
//! it is asked to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) method: Method,
    pub(crate) uri: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Told {
    pub(crate) fn header(&self, name: &str) -> String {
        self.headers[name].to_str().unwrap().to_owned()
    }

    pub(crate) fn delivery(&self) -> String {
        self.header("counterfoil-delivery")
    }
}

/// How it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mood {
    Answers(u16, String),
    Redirects(String),
    /// Takes the request and never answers.
    Hangs,
}

pub(crate) struct Publisher {
    pub(crate) address: SocketAddr,
    shared: Shared,
}

#[derive(Clone)]
struct Shared {
    told: Arc<Mutex<Vec<Told>>>,
    mood: Arc<Mutex<Mood>>,
}

impl Publisher {
    pub(crate) async fn open() -> Publisher {
        let shared = Shared {
            told: Arc::default(),
            mood: Arc::new(Mutex::new(Mood::Answers(200, "ok".to_owned()))),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(hear).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Publisher { address, shared }
    }

    /// A URL of it, with what follows the port.
    pub(crate) fn url(&self, rest: &str) -> String {
        format!("http://{}{rest}", self.address)
    }

    pub(crate) fn is(&self, mood: Mood) {
        *self.shared.mood.lock().unwrap() = mood;
    }

    pub(crate) fn told(&self) -> Vec<Told> {
        self.shared.told.lock().unwrap().clone()
    }
}

async fn hear(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    shared.told.lock().unwrap().push(Told {
        method,
        uri: uri.to_string(),
        headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    });
    let mood = shared.mood.lock().unwrap().clone();
    match mood {
        Mood::Answers(status, body) => {
            (StatusCode::from_u16(status).unwrap(), body).into_response()
        }
        Mood::Redirects(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        Mood::Hangs => std::future::pending().await,
    }
}
