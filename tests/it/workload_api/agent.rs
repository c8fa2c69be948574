//! A SPIRE agent as far as its Workload API goes: gRPC over a Unix socket, the real messages, and the ways in which real
//! ones fail.

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use atb::adapters::clock::SystemClock;
use atb::adapters::dev_identity::{DevCa, KeyKind};
use atb::service::ports::Clock as _;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Response};
use axum::routing::post;
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use prost::Message;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// gRPC status codes.
const INVALID_ARGUMENT: &str = "3";
const PERMISSION_DENIED: &str = "7";

#[derive(Clone, PartialEq, Message)]
struct X509SvidResponse {
    #[prost(message, repeated, tag = "1")]
    svids: Vec<X509Svid>,
    #[prost(map = "string, bytes", tag = "3")]
    federated_bundles: HashMap<String, Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct X509Svid {
    #[prost(string, tag = "1")]
    spiffe_id: String,
    #[prost(bytes = "vec", tag = "2")]
    x509_svid: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    x509_svid_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    bundle: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct BundlesResponse {
    /// Tag 2 in X509BundlesResponse, 1 in JWTBundlesResponse; the latter is not asked for anything here.
    #[prost(map = "string, bytes", tag = "2")]
    bundles: HashMap<String, Vec<u8>>,
}

/// How the agent answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Serves,
    /// No registration entry fits.
    Denies,
    /// A message without an SVID, and without a bundle.
    AnswersEmptily,
    /// SVIDs whose bundle is empty, and no bundle of our domain.
    HasNoBundle,
    /// Streams are opened and nothing comes.
    IsSilent,
}

#[derive(Clone)]
struct Told {
    manner: Manner,
    svids: Vec<(String, Vec<u8>, Vec<u8>)>,
    authorities: Vec<u8>,
    federated: HashMap<String, Vec<u8>>,
}

/// The agent, gone with this value.
pub struct FakeAgent {
    folder: tempfile::TempDir,
    told: watch::Sender<Told>,
    pub ca: DevCa,
    opened: Arc<AtomicUsize>,
    serving: Option<JoinHandle<()>>,
}

impl FakeAgent {
    /// For `atb.dev`; serves nobody yet.
    pub fn start() -> Self {
        let ca = DevCa::create("atb.dev".parse().unwrap(), SystemClock.now()).unwrap();
        let authorities = ders(&ca.bundle_pem());
        let told = Told { manner: Manner::Serves, svids: Vec::new(), authorities, federated: HashMap::new() };
        let mut agent = Self {
            folder: tempfile::tempdir().unwrap(),
            told: watch::Sender::new(told),
            ca,
            opened: Arc::default(),
            serving: None,
        };
        agent.start_again();
        agent
    }

    /// As `SPIFFE_ENDPOINT_SOCKET` has it.
    pub fn socket(&self) -> String {
        format!("unix://{}", self.path().display())
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("api.sock")
    }

    /// How often a stream was opened.
    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }

    pub fn answers(&self, manner: Manner) {
        self.told.send_modify(|told| told.manner = manner);
    }

    /// New SVIDs for these paths below `spiffe://atb.dev/`, all at once.
    pub fn issue(&self, paths: &[&str], lifetime: Duration) {
        let svids = paths.iter().map(|path| self.svid(path, lifetime)).collect();
        self.told.send_modify(|told| told.svids = svids);
    }

    fn svid(&self, path: &str, lifetime: Duration) -> (String, Vec<u8>, Vec<u8>) {
        let id = format!("spiffe://atb.dev/{path}");
        let issued = self.ca.issue(&id.parse().unwrap(), KeyKind::P256, SystemClock.now(), lifetime).unwrap();
        let key = PrivatePkcs8KeyDer::from_pem_slice(issued.key_pem.as_bytes()).unwrap();
        (id, ders(&issued.svid_pem), key.secret_pkcs8_der().to_vec())
    }

    /// The authorities of these PEM texts, and the agent's own.
    pub fn trust(&self, more: &str) {
        let authorities = [ders(&self.ca.bundle_pem()), ders(more)].concat();
        self.told.send_modify(|told| told.authorities = authorities);
    }

    pub fn federate(&self, domain: &str, pem: Option<&str>) {
        self.told.send_modify(|told| match pem {
            Some(pem) => drop(told.federated.insert(domain.to_owned(), ders(pem))),
            None => drop(told.federated.remove(domain)),
        });
    }

    /// The agent ends, with its socket and its connections.
    pub async fn stop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            let _ = serving.await;
        }
        let _ = std::fs::remove_file(self.path());
    }

    pub fn start_again(&mut self) {
        let listener = UnixListener::bind(self.path()).unwrap();
        let state = (self.told.subscribe(), Arc::clone(&self.opened));
        let app = Router::new()
            .route("/SpiffeWorkloadAPI/FetchX509SVID", post(svids))
            .route("/SpiffeWorkloadAPI/FetchX509Bundles", post(bundles))
            .with_state(state);
        self.serving = Some(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let service = TowerToHyperService::new(app.clone());
                connections.spawn(async move {
                    let http = auto::Builder::new(TokioExecutor::new()).http2_only();
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        }));
    }
}

impl Drop for FakeAgent {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

type Shared = (watch::Receiver<Told>, Arc<AtomicUsize>);

async fn svids(State(shared): State<Shared>, headers: HeaderMap) -> Response<Body> {
    answer(shared, &headers, |told| {
        let bundle = if told.manner == Manner::HasNoBundle { Vec::new() } else { told.authorities.clone() };
        let svid = |(id, chain, key): &(String, Vec<u8>, Vec<u8>)| X509Svid {
            spiffe_id: id.clone(),
            x509_svid: chain.clone(),
            x509_svid_key: key.clone(),
            bundle: bundle.clone(),
        };
        let svids = told.svids.iter().map(svid).collect();
        X509SvidResponse { svids, federated_bundles: told.federated.clone() }.encode_to_vec()
    })
}

async fn bundles(State(shared): State<Shared>, headers: HeaderMap) -> Response<Body> {
    answer(shared, &headers, |told| {
        let mut bundles = told.federated.clone();
        if told.manner != Manner::HasNoBundle {
            bundles.insert("atb.dev".to_owned(), told.authorities.clone());
        }
        BundlesResponse { bundles }.encode_to_vec()
    })
}

/// A stream that says the state of now, and again whenever it changes.
fn answer(shared: Shared, headers: &HeaderMap, message: impl Fn(&Told) -> Vec<u8> + Send + 'static) -> Response<Body> {
    let (mut told, opened) = shared;
    opened.fetch_add(1, Ordering::SeqCst);
    // SPIFFE Workload Endpoint §3: a request without this header comes from somebody who was talked into it.
    let meant = headers.get("workload.spiffe.io").is_some_and(|value| value == "true");
    told.mark_changed();
    let frames = stream::unfold((told, message, false), move |(mut told, message, ended)| async move {
        if ended {
            return None;
        }
        if !meant {
            return Some((Ok::<_, Infallible>(status(INVALID_ARGUMENT)), (told, message, true)));
        }
        loop {
            told.changed().await.ok()?;
            let now = told.borrow_and_update().clone();
            let frame = match now.manner {
                Manner::IsSilent => continue,
                Manner::Denies => return Some((Ok(status(PERMISSION_DENIED)), (told, message, true))),
                Manner::AnswersEmptily => framed(&[]),
                Manner::Serves | Manner::HasNoBundle => framed(&message(&now)),
            };
            return Some((Ok(frame), (told, message, false)));
        }
    });
    let mut response = Response::new(Body::new(StreamBody::new(frames)));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

fn status(code: &'static str) -> Frame<Bytes> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(code));
    trailers.insert("grpc-message", HeaderValue::from_static("no identity issued"));
    Frame::trailers(trailers)
}

/// gRPC over HTTP/2, Length-Prefixed-Message: not compressed, four bytes of length.
fn framed(message: &[u8]) -> Frame<Bytes> {
    let mut bytes = vec![0];
    bytes.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    bytes.extend(message);
    Frame::data(bytes.into())
}

/// The certificates of a PEM text, one behind the other.
fn ders(pem: &str) -> Vec<u8> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).flat_map(|der| der.unwrap().to_vec()).collect()
}

/// Waits until `done`, for at most a minute.
pub async fn eventually(what: &str, done: impl AsyncFn() -> bool) {
    for _ in 0..600 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what} did not come to be");
}

/// Puts `[trust]` on a Workload API in a configuration of `atb init`.
pub fn on_workload_api(home: &crate::app::Home, agent: &FakeAgent, max_age: u64) {
    let more =
        format!("source = \"workload_api\"\nendpoint_socket = \"{}\"\nmax_age_seconds = {max_age}\n", agent.socket());
    home.replace("atb.toml", "[trust]\n", &format!("[trust]\n{more}"));
    for part in ["agentauth", "broker"] {
        home.replace("atb.toml", &format!("svid = \"svids/{part}/svid.pem\"\nkey = \"svids/{part}/key.pem\"\n"), "");
    }
    agent.trust(&read(&home.path("trust/bundle.pem")));
    agent.issue(&["agentauth", "broker"], Duration::from_secs(3600));
}

pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}
