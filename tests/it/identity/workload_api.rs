//! A small SPIFFE Workload API on a Unix socket: `FetchJWTSVID` and nothing else, its two messages written by hand
//! (gRPC over HTTP/2, Protocol Buffers wire format).

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Request};
use axum::response::Response;
use axum::routing::post;
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde_json::json;
use tokio::net::UnixListener;

use super::tokens::{Issuer, now};

/// How the API behaves.
pub struct Agent {
    authority: Issuer,
    id: String,
    state: Mutex<Behaviour>,
}

struct Behaviour {
    asked: Vec<String>,
    lives: u64,
    denies: bool,
    for_another: bool,
}

impl Agent {
    /// Gives JWT-SVIDs of `id` at `socket`.
    pub fn start(socket: &Path, id: &str) -> Arc<Self> {
        let state = Mutex::new(Behaviour { asked: Vec::new(), lives: 300, denies: false, for_another: false });
        let agent = Arc::new(Self { authority: Issuer::new("k"), id: id.to_owned(), state });
        let app = Router::new().route("/SpiffeWorkloadAPI/FetchJWTSVID", post(fetch)).with_state(agent.clone());
        let listener = UnixListener::bind(socket).unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        agent
    }

    /// The audiences that were asked for so far.
    pub fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }

    pub fn lives(&self, seconds: u64) {
        self.state.lock().unwrap().lives = seconds;
    }

    pub fn denies(&self, denies: bool) {
        self.state.lock().unwrap().denies = denies;
    }

    pub fn gives_anothers(&self, anothers: bool) {
        self.state.lock().unwrap().for_another = anothers;
    }
}

async fn fetch(State(agent): State<Arc<Agent>>, request: Request<Body>) -> Response {
    assert_eq!(request.headers()["workload.spiffe.io"], "true", "the standard's own header (§3)");
    let body = axum::body::to_bytes(request.into_body(), 1 << 16).await.unwrap();
    let audience = first_text(body.get(5..).unwrap());
    let (lives, denies, for_another) = {
        let mut state = agent.state.lock().unwrap();
        state.asked.push(audience.clone());
        (state.lives, state.denies, state.for_another)
    };
    if denies {
        return grpc(7, Bytes::new());
    }
    let id = if for_another { "spiffe://atb.dev/agent/procurement" } else { agent.id.as_str() };
    let claims = json!({"sub": id, "aud": [audience], "iat": now(), "exp": now() + lives});
    let svid = [field(1, id.as_bytes()), field(2, agent.authority.signs(&claims).as_bytes())].concat();
    grpc(0, Bytes::from(field(1, &svid)))
}

/// One message and the status behind it.
fn grpc(status: u8, message: Bytes) -> Response {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let framed = Bytes::from([&[0][..], &length, &message].concat());
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", status.to_string().parse().unwrap());
    let data = (status == 0).then(|| Frame::data(framed));
    let frames = data.into_iter().chain([Frame::trailers(trailers)]).map(Ok::<_, std::convert::Infallible>);
    let body = Body::new(StreamBody::new(futures_util::stream::iter(frames)));
    Response::builder().header("content-type", "application/grpc").body(body).unwrap()
}

/// A length-delimited field.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![(number << 3) | 2];
    let mut length = content.len();
    while length >= 0x80 {
        out.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    out.push(u8::try_from(length).unwrap());
    out.extend_from_slice(content);
    out
}

/// The text of field 1, which comes first and is shorter than 128 bytes here.
fn first_text(message: &[u8]) -> String {
    assert_eq!(message[0], (1 << 3) | 2);
    let length = usize::from(message[1]);
    String::from_utf8(message[2..2 + length].to_vec()).unwrap()
}
