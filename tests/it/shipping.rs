//! The ledger on its way to other systems: at least once, in order, byte for byte, and never in the way until the set
//! bound.

mod behind;
mod files;
mod http;
mod objects;
mod syslog;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;

use crate::app::TestApp;

const PATIENCE: Duration = Duration::from_secs(90);
/// Short pauses, so that a test sees many attempts.
const QUICK: &str = "retry_first_ms = 20\nretry_longest_ms = 100\ntimeout_ms = 400\nlinger_ms = 10\n";

/// A request as it arrived.
#[derive(Debug, Clone)]
struct Arrived {
    method: String,
    path: String,
    headers: HeaderMap,
    body: String,
}

impl Arrived {
    fn header(&self, name: &str) -> String {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned()
    }
}

/// What a receiver answers; status 0: nothing, ever.
type Mood = Box<dyn FnMut(&Arrived) -> (u16, String) + Send>;

#[derive(Clone)]
struct Receiver {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<(Arrived, u16)>>>,
    mood: Arc<Mutex<Mood>>,
}

impl Receiver {
    async fn start(mood: impl FnMut(&Arrived) -> (u16, String) + Send + 'static) -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").await.unwrap(), mood)
    }

    fn at(listener: TcpListener, mood: impl FnMut(&Arrived) -> (u16, String) + Send + 'static) -> Self {
        let address = listener.local_addr().unwrap();
        let receiver = Self { address, seen: Arc::default(), mood: Arc::new(Mutex::new(Box::new(mood))) };
        let app = Router::new().fallback(take).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        receiver
    }

    fn seen(&self) -> Vec<(Arrived, u16)> {
        self.seen.lock().unwrap().clone()
    }

    /// Bodies that were answered with 2xx.
    fn taken(&self) -> Vec<String> {
        self.seen().into_iter().filter(|(_, status)| (200..300).contains(status)).map(|(it, _)| it.body).collect()
    }
}

async fn take(State(receiver): State<Receiver>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = String::from_utf8(to_bytes(body, 64 << 20).await.unwrap().to_vec()).unwrap();
    let (method, path) = (head.method.to_string(), head.uri.path().to_owned());
    let arrived = Arrived { method, path, headers: head.headers, body };
    let (status, answer) = receiver.mood.lock().unwrap()(&arrived);
    receiver.seen.lock().unwrap().push((arrived, status));
    if status == 0 {
        tokio::time::sleep(Duration::from_secs(600)).await;
    }
    (StatusCode::from_u16(status).unwrap(), [("etag", "\"1\"")], answer).into_response()
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Some entries: mandates and refusals.
async fn some_entries(app: &TestApp, rounds: usize) {
    for _ in 0..rounds {
        app.low_mandate().await;
        app.issue(&serde_json::json!({"act": "no.such.act"})).await;
    }
}

/// Lines without those that came before, and they came in the order of the ledger.
#[track_caller]
fn assert_all_in_order(lines: impl IntoIterator<Item = String>, ledger: &[String]) {
    let mut known = BTreeSet::new();
    let once: Vec<_> = lines.into_iter().filter(|line| known.insert(line.clone())).collect();
    assert!(once.len() >= ledger.len(), "{} of {} entries arrived", once.len(), ledger.len());
    for (index, (arrived, written)) in once.iter().zip(ledger).enumerate() {
        assert_eq!(arrived, written, "entry {index}");
    }
}

/// Every entry's own bytes.
async fn ledger(app: &TestApp) -> Vec<String> {
    app.events().await.iter().map(|entry| String::from_utf8(entry.to_bytes()).unwrap()).collect()
}

fn lines(bodies: &[String]) -> Vec<String> {
    bodies.iter().flat_map(|body| body.lines().map(str::to_owned)).collect()
}
