//! The doors: `cargo bench --bench doors`. Figures are in `docs/performance.md`.
//!
//! No session is ever resumed at a door: a resumed session never asks for the client's certificate, so an expired identity
//! would live on (`adapters::tls`). There is therefore one figure of handshakes, the full one.
//!
//! - handshakes: full mTLS 1.3 handshakes a second, client and server on the same machine;
//! - proxy: a call through a door (TLS, framing, shares) to an upstream against the same call made directly in the clear,
//!   HTTP/1.1 and HTTP/2; what enforcement adds is in `hot_path` and `atb bench`;
//! - idle: memory of the door while 10,000 idle connections are held open from another process (this program again);
//! - stream: 1 GB through an answer's body, and how much memory that takes.
//!
//! Ten thousand connections are as many open files at each end: the limit is raised as far as it may be, and the bench
//! says so and ends when that is not enough.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench that cannot go on stops"
)]

use std::convert::Infallible;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use atb::adapters::clock::SystemClock;
use atb::adapters::dev_identity::{DevCa, KeyKind};
use atb::adapters::http::fairness::{Fairness, Share};
use atb::adapters::http::server::{ConnectionLimits, Mtls, serve_mtls};
use atb::adapters::pem::{KeyPermissions, write_private};
use atb::adapters::tls::{SharedTrust, SvidSource, client_config, server_config};
use atb::domain::spiffe::{Purpose, SpiffeId, TrustBundle, TrustBundles};
use atb::service::ports::Clock as _;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Request, Uri};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Frame;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const IDLE: usize = 10_000;
const CALLS: usize = 5_000;
const PIECE: usize = 64 * 1024;
const STREAMED: u64 = 1 << 30;

/// The files of a trust domain with two identities, `broker` and `agent`.
struct Identities<'d>(&'d Path);

impl Identities<'_> {
    fn issue(&self) {
        let now = SystemClock.now();
        let ca = DevCa::create("atb.dev".parse().unwrap(), now).unwrap();
        std::fs::write(self.0.join("bundle.pem"), ca.bundle_pem()).unwrap();
        for name in ["broker", "agent"] {
            let issued = ca.issue(&Self::id(name), KeyKind::P256, now, Duration::from_secs(3600)).unwrap();
            std::fs::write(self.0.join(format!("{name}.pem")), issued.svid_pem).unwrap();
            write_private(&self.0.join(format!("{name}.key.pem")), issued.key_pem.as_bytes()).unwrap();
        }
    }

    fn id(name: &str) -> SpiffeId {
        format!("spiffe://atb.dev/{name}").parse().unwrap()
    }

    fn trust(&self) -> SharedTrust {
        let pem = std::fs::read(self.0.join("bundle.pem")).unwrap();
        let bundle = TrustBundle::parse_pem("atb.dev".parse().unwrap(), &pem).unwrap();
        Arc::new(ArcSwap::from_pointee(TrustBundles::new([bundle])))
    }

    fn svid(&self, name: &str, purpose: Purpose) -> Arc<SvidSource> {
        let (svid, key) = (self.0.join(format!("{name}.pem")), self.0.join(format!("{name}.key.pem")));
        let trust = self.trust();
        let now = SystemClock.now();
        Arc::new(SvidSource::load(&svid, &key, KeyPermissions::OwnerOnly, purpose, &trust.load(), now).unwrap())
    }

    fn client(&self, door: SocketAddr) -> Agent {
        let svid = self.svid("agent", Purpose::Client);
        let tls = client_config(svid, self.trust(), Arc::new(SystemClock), Self::id("broker")).unwrap();
        Agent { tls: Arc::new(tls), door }
    }
}

/// A client of a door.
struct Agent {
    tls: Arc<rustls::ClientConfig>,
    door: SocketAddr,
}

impl Agent {
    async fn connect(&self) -> TlsStream<TcpStream> {
        self.connect_for(b"http/1.1").await
    }

    async fn connect_for(&self, protocol: &[u8]) -> TlsStream<TcpStream> {
        let mut tls = rustls::ClientConfig::clone(&self.tls);
        tls.alpn_protocols = vec![protocol.to_vec()];
        let stream = TcpStream::connect(self.door).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = ServerName::try_from(self.door.ip().to_string()).unwrap();
        TlsConnector::from(Arc::new(tls)).connect(name, stream).await.unwrap()
    }
}

/// A trust domain, a door and a client of it.
struct World {
    agent: Agent,
    _stop: watch::Sender<bool>,
    dir: tempfile::TempDir,
}

impl World {
    async fn with(app: Router) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let identities = Identities(dir.path());
        identities.issue();
        let (clock, trust) = (Arc::new(SystemClock), identities.trust());
        let server = identities.svid("broker", Purpose::Server);
        let mtls = Mtls {
            closed: Arc::new(|| None),
            tls: server_config(server, trust.clone(), clock.clone()).unwrap(),
            trust: trust.clone(),
            clock: clock.clone(),
            on_handshake_error: Arc::new(|_, reason| panic!("{reason}")),
            fairness: Arc::new(Fairness::new(Share { connections: 4 * IDLE, requests: 4 * IDLE })),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let door = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        let limits = ConnectionLimits {
            connections: 4 * IDLE,
            header_read: Duration::from_secs(600),
            ..ConnectionLimits::default()
        };
        tokio::spawn(serve_mtls(listener, mtls, app, limits, stopping));
        let agent = identities.client(door);
        Self { agent, _stop: stop, dir }
    }
}

/// This process's memory in bytes, by the kernel.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

async fn handshakes(world: &World) {
    let (begun, mut done) = (Instant::now(), 0_u32);
    while begun.elapsed() < Duration::from_secs(5) {
        futures_util::future::join_all((0..16).map(|_| world.agent.connect())).await;
        done += 16;
    }
    println!(
        "full mTLS handshakes, 16 at once: {:.0}/s (none is resumed)",
        f64::from(done) / begun.elapsed().as_secs_f64()
    );
}

type Upstream = Client<HttpConnector, Body>;

/// The door of the bench: a request goes on to the upstream and its answer streams back.
async fn pass_on(State((upstream, address)): State<(Upstream, SocketAddr)>, uri: Uri) -> Response {
    let target: Uri = format!("http://{address}{}", uri.path()).parse().unwrap();
    let request = Request::builder().uri(target).body(Body::empty()).unwrap();
    upstream.request(request).await.unwrap().map(Body::new)
}

enum Sender {
    Http1(hyper::client::conn::http1::SendRequest<Body>),
    Http2(hyper::client::conn::http2::SendRequest<Body>),
}

impl Sender {
    async fn over(
        stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
        h2: bool,
    ) -> Self {
        let io = TokioIo::new(stream);
        if h2 {
            let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
            tokio::spawn(connection);
            return Self::Http2(sender);
        }
        let (sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        Self::Http1(sender)
    }

    async fn get(&mut self) -> usize {
        let request =
            Request::builder().uri("https://broker/small").header("host", "broker").body(Body::empty()).unwrap();
        let answer = match self {
            Self::Http1(sender) => {
                // The answer's last byte is here before the connection takes the next request.
                sender.ready().await.unwrap();
                sender.send_request(request).await.unwrap()
            }
            Self::Http2(sender) => {
                let mut request = request;
                *request.headers_mut() = HeaderMap::new();
                sender.ready().await.unwrap();
                sender.send_request(request).await.unwrap()
            }
        };
        answer.into_body().collect().await.unwrap().to_bytes().len()
    }
}

async fn latencies(sender: &mut Sender) -> (Duration, Duration) {
    for _ in 0..CALLS / 10 {
        sender.get().await;
    }
    let mut took = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let begun = Instant::now();
        assert!(sender.get().await > 0);
        took.push(begun.elapsed());
    }
    took.sort();
    let at = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap();
    (at(50), at(99))
}

async fn proxy(world: &World, upstream: SocketAddr) {
    for (name, h2, protocol) in [("HTTP/1.1", false, &b"http/1.1"[..]), ("HTTP/2", true, b"h2")] {
        let direct = TcpStream::connect(upstream).await.unwrap();
        direct.set_nodelay(true).unwrap();
        let direct = latencies(&mut Sender::over(direct, h2).await).await;
        let through = latencies(&mut Sender::over(world.agent.connect_for(protocol).await, h2).await).await;
        let added = (through.0.saturating_sub(direct.0), through.1.saturating_sub(direct.1));
        println!(
            "{name}: direct p50 {:?} p99 {:?}, through the door {:?} {:?}, added {:?} {:?}",
            direct.0, direct.1, through.0, through.1, added.0, added.1
        );
    }
}

/// The word that starts this program as the other end of [`idle`].
const HOLD: &str = "hold";

async fn idle(world: &World) {
    let before = resident();
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args([HOLD.as_ref(), world.dir.path().as_os_str(), world.agent.door.to_string().as_ref()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let told = BufReader::new(holder.stdout.take().unwrap());
    let line = tokio::task::spawn_blocking(move || told.lines().next()).await.unwrap();
    assert_eq!(line.expect("the other end says when it is done").unwrap(), IDLE.to_string());
    let each = (resident() - before) / IDLE as u64;
    println!("{IDLE} idle mTLS connections: {each} bytes each at the door");
    // Its input ends, and so does it.
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
}

/// Opens the connections, says how many, and holds them until its input ends.
async fn hold(dir: &Path, door: SocketAddr) {
    let agent = Identities(dir).client(door);
    let mut held = Vec::with_capacity(IDLE);
    for _ in 0..IDLE / 50 {
        held.extend(futures_util::future::join_all((0..50).map(|_| agent.connect())).await);
    }
    println!("{}", held.len());
    tokio::task::spawn_blocking(|| std::io::stdin().lines().count()).await.unwrap();
    drop(held);
}

/// A gigabyte, a piece at a time.
struct Pieces(u64);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        static PIECE_OF_BODY: [u8; PIECE] = [b'~'; PIECE];
        if self.0 == 0 {
            return Poll::Ready(None);
        }
        self.0 -= PIECE_OF_BODY.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&PIECE_OF_BODY)))))
    }
}

async fn stream(world: &World) {
    let mut sender = match Sender::over(world.agent.connect().await, false).await {
        Sender::Http1(sender) => sender,
        Sender::Http2(_) => unreachable!("HTTP/1.1 was asked for"),
    };
    let request = Request::builder().uri("/large").header("host", "broker").body(Body::empty()).unwrap();
    let (before, begun) = (resident(), Instant::now());
    let mut body = sender.send_request(request).await.unwrap().into_body();
    let (mut got, mut most) = (0_u64, before);
    while let Some(frame) = body.frame().await {
        got += frame.unwrap().into_data().map_or(0, |data| data.len() as u64);
        if got % (64 << 20) < PIECE as u64 {
            most = most.max(resident());
        }
    }
    assert_eq!(got, STREAMED);
    let rate = got as f64 / begun.elapsed().as_secs_f64() / 1e6;
    println!("1 GiB streamed: {rate:.0} MB/s, at most {} KiB more memory", (most - before) / 1024);
}

#[tokio::main]
async fn main() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap();
    assert!(files > IDLE as u64 + 250, "{files} open files are too few for {IDLE} connections: raise the hard limit");
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, word, dir, door] = arguments.as_slice()
        && word == HOLD
    {
        return hold(dir.as_ref(), door.parse().unwrap()).await;
    }
    let large = || async { Response::new(Body::new(Pieces(STREAMED))) };
    let behind = Router::new().route("/small", get(|| async { "a small answer" })).route("/large", get(large));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, behind).await });
    let client: Upstream = Client::builder(TokioExecutor::new()).build_http();
    let door = Router::new().fallback(get(pass_on)).with_state((client, upstream));
    let world = World::with(door).await;
    handshakes(&world).await;
    proxy(&world, upstream).await;
    idle(&world).await;
    stream(&world).await;
}
