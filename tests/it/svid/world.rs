//! A trust domain of its own, with servers and clients as users run them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use atb::adapters::clock::SystemClock;
use atb::adapters::dev_identity::{DevCa, KeyKind};
use atb::adapters::http::client::{ClientError, MtlsClient, Response};
use atb::adapters::http::server::{ConnectionLimits, HandshakeErrorHook, Mtls, Peer, serve_mtls};
use atb::adapters::pem::{KeyPermissions, write_private};
use atb::adapters::tls::{SharedTrust, SvidSource, client_config, server_config};
use atb::domain::spiffe::{Purpose, SpiffeId, TrustBundle, TrustBundles, TrustDomain};
use atb::domain::time::Timestamp;
use atb::service::ports::Clock;
use axum::http::{HeaderMap, Method};
use axum::routing::any;
use axum::{Extension, Router};
use rustls::pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_rustls::TlsConnector;

pub const HOUR: Duration = Duration::from_secs(3600);

/// A clock that stands still until it is told to move.
pub struct TestClock(AtomicU64);

impl TestClock {
    pub fn at(now: Timestamp) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(now.as_millis())))
    }

    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn monotonic_micros(&self) -> u64 {
        self.now().as_millis() * 1000
    }
}

/// A trust domain with an authority, and a folder for SVIDs.
pub struct World {
    pub ca: DevCa,
    pub trust: SharedTrust,
    pub clock: Arc<TestClock>,
    pub folder: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        let now = SystemClock.now();
        let domain: TrustDomain = "atb.dev".parse().unwrap();
        let ca = DevCa::create(domain.clone(), now).unwrap();
        let bundle = TrustBundle::parse_pem(domain, ca.bundle_pem().as_bytes()).unwrap();
        let trust = Arc::new(ArcSwap::from_pointee(TrustBundles::from(bundle)));
        Self { ca, trust, clock: TestClock::at(now), folder: tempfile::tempdir().unwrap() }
    }

    /// An identity of this world, on disk as users have it.
    pub fn identity(&self, path: &str, purpose: Purpose, lifetime: Duration) -> Arc<SvidSource> {
        let now = self.clock.now();
        let issued = self.ca.issue(&id(path), KeyKind::P256, now, lifetime).unwrap();
        let folder = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        let (svid, key) = (folder.join("svid.pem"), folder.join("key.pem"));
        std::fs::write(&svid, issued.svid_pem).unwrap();
        write_private(&key, issued.key_pem.as_bytes()).unwrap();
        let trust = self.trust.load();
        Arc::new(SvidSource::load(&svid, &key, KeyPermissions::OwnerOnly, purpose, &trust, now).unwrap())
    }

    pub async fn serve(&self, app: Router, limits: ConnectionLimits) -> Door {
        Door::open("/broker", self, self.trust.clone(), app, limits).await
    }

    pub fn client(&self, identity: Arc<SvidSource>, door: &Door, expected: &str) -> MtlsClient {
        let url = format!("https://{}", door.address);
        MtlsClient::new(identity, self.trust.clone(), self.clock.clone(), id(expected), &url).unwrap()
    }

    pub fn agent(&self, door: &Door) -> MtlsClient {
        self.client(self.identity("/agent/procurement", Purpose::Client, HOUR), door, "/broker")
    }
}

pub fn id(path: &str) -> SpiffeId {
    format!("spiffe://atb.dev{path}").parse().unwrap()
}

/// A running server and what it said about failed handshakes.
pub struct Door {
    pub address: SocketAddr,
    pub failures: Arc<Mutex<Vec<&'static str>>>,
    pub stop: watch::Sender<bool>,
    pub task: JoinHandle<()>,
}

impl Door {
    pub async fn open(name: &str, world: &World, trust: SharedTrust, app: Router, limits: ConnectionLimits) -> Self {
        let identity = world.identity(name, Purpose::Server, HOUR);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let failures = Arc::new(Mutex::new(Vec::new()));
        let seen = failures.clone();
        let on_handshake_error: HandshakeErrorHook = Arc::new(move |_, reason| seen.lock().unwrap().push(reason));
        let clock: Arc<dyn Clock> = world.clock.clone();
        let tls = server_config(identity, trust.clone(), clock.clone()).unwrap();
        let (stop, stopped) = watch::channel(false);
        let closed = Arc::new(|| None);
        let mtls = Mtls { tls, trust, clock, on_handshake_error, fairness: Arc::default(), closed };
        let task = tokio::spawn(serve_mtls(listener, mtls, app, limits, stopped));
        Self { address, failures, stop, task }
    }

    pub async fn failure(&self) -> &'static str {
        for _ in 0..200 {
            if let Some(reason) = self.failures.lock().unwrap().pop() {
                return reason;
            }
            sleep(Duration::from_millis(10)).await;
        }
        "no failure"
    }
}

/// Answers with the caller's SPIFFE ID.
pub fn whoami() -> Router {
    Router::new().route("/whoami", any(|Extension(Peer(svid)): Extension<Peer>| async move { svid.id().to_string() }))
}

pub async fn get_from(client: &MtlsClient, path: &str) -> Result<Response, ClientError> {
    client.request(Method::GET, path, HeaderMap::new(), "").await
}

/// A TLS connection of a client that does not go through `MtlsClient`.
pub async fn connect(world: &World, door: &Door, who: Arc<SvidSource>) -> tokio_rustls::client::TlsStream<TcpStream> {
    let config = client_config(who, world.trust.clone(), world.clock.clone(), id("/broker")).unwrap();
    let stream = TcpStream::connect(door.address).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect(name(), stream).await.unwrap()
}

pub fn name() -> ServerName<'static> {
    "localhost".try_into().unwrap()
}
