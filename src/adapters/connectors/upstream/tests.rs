//! Calls over real sockets: what an upstream sees, what it can do to us, and how each call is reported.

use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::adapters::connectors::{
    CallEnd, CallFault, Connectors, Forward, NoPlace, UpstreamError, UpstreamPool, UpstreamResponse,
};
use crate::cli::demo::erp;
use crate::domain::id::DecisionId;
use crate::domain::time::Timestamp;
use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Frame;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

mod speaks;

/// One connector `up` with the routes `GET` and `POST /x`, and the ends of the calls made through it.
struct Door {
    connectors: Connectors,
    pool: UpstreamPool,
    ends: Arc<Mutex<Vec<CallEnd>>>,
    _dir: tempfile::TempDir,
}

impl Door {
    fn to(upstream: &str, extra: &str) -> Self {
        let mut door = Self::empty(upstream, extra);
        door.pool = UpstreamPool::new(&door.connectors, None).unwrap();
        door
    }

    /// Without a pool yet.
    fn empty(upstream: &str, extra: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let secret = dir.path().join("token");
        fs::write(&secret, "Bearer upstream-secret").unwrap();
        fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let plain = if upstream.starts_with("http:") { "dev_plain_http = true\n" } else { "" };
        let (top, tables) = extra.split_once("---").unwrap_or((extra, ""));
        let text = format!(
            "name = \"up\"\ntitle = \"Up\"\nowner = \"o@example.com\"\ndata_class = \"internal\"\n\
             upstream = \"{upstream}\"\n{plain}{top}\n[limits]\nconnect_ms = 500\nrequest_ms = 400\nidle_ms = 300\n\
             max_response_bytes = 104857600\nmax_concurrent = 2\n{tables}\n\
             [credentials]\nheader = \"Authorization\"\nvalue_file = \"token\"\n\
             [[routes]]\nmethod = \"GET\"\npath = \"/x\"\nact = \"up.x.read\"\n\
             [[routes]]\nmethod = \"POST\"\npath = \"/x\"\nact = \"up.x.write\"\nbody = \"json\"\n"
        );
        let text = if tables.is_empty() { text } else { text.replace("max_response_bytes = 104857600\n", "") };
        fs::write(dir.path().join("up.toml"), text).unwrap();
        let connectors = Connectors::load(dir.path(), true).unwrap();
        let pool = UpstreamPool::default();
        Self { connectors, pool, ends: Arc::default(), _dir: dir }
    }

    async fn forward(&self, request: Request<Body>) -> Forward {
        let (parts, body) = request.into_parts();
        let matched = self.connectors.find("up").unwrap().route(&parts.method, parts.uri.path()).unwrap();
        let body = matched.receive(&parts, body).await.unwrap();
        matched.bind(&parts, body).unwrap().1
    }

    async fn send(&self, request: Request<Body>) -> Result<UpstreamResponse, UpstreamError> {
        let forward = self.forward(request).await;
        let slot = self.pool.reserve(forward.connector()).ok().unwrap().equip(None).await.unwrap();
        let ends = Arc::clone(&self.ends);
        slot.send(forward, &decision(), move |end| ends.lock().unwrap().push(end)).await
    }

    async fn get(&self) -> Result<UpstreamResponse, UpstreamError> {
        self.send(Request::get("/x").body(Body::empty()).unwrap()).await
    }

    /// The one end that was reported.
    fn end(&self) -> CallEnd {
        let ends = self.ends.lock().unwrap();
        assert_eq!(ends.len(), 1, "{ends:?}");
        ends[0]
    }

    async fn fault_of_get(&self) -> CallFault {
        let fault = self.get().await.unwrap_err().fault;
        assert_eq!(self.end().fault, Some(fault));
        fault
    }
}

fn decision() -> DecisionId {
    DecisionId::new(Timestamp::from_secs(1_790_000_000), [7; 10])
}

/// An upstream that reads one request head and answers with `answer`, then holds the connection for `hold`.
async fn scripted(answer: &'static [u8], hold: Duration) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve_once(socket, answer, hold, Arc::clone(&seen)));
        }
    });
    (url, requests)
}

async fn serve_once(mut socket: TcpStream, answer: &'static [u8], hold: Duration, seen: Arc<Mutex<Vec<String>>>) {
    let mut buffer = vec![0; 16 * 1024];
    let read = socket.read(&mut buffer).await.unwrap_or(0);
    seen.lock().unwrap().push(String::from_utf8_lossy(&buffer[..read]).into_owned());
    let _ = socket.write_all(answer).await;
    tokio::time::sleep(hold).await;
}

async fn body_of(answer: UpstreamResponse) -> Result<Bytes, CallFault> {
    answer.body.collect().await.map(http_body_util::Collected::to_bytes).map_err(|error| error.0)
}

#[tokio::test]
async fn only_allowed_headers_reach_the_upstream_and_ours_are_set_last() {
    let (url, seen) = scripted(b"HTTP/1.1 204 No Content\r\n\r\n", Duration::ZERO).await;
    let door = Door::to(&format!("{url}/base"), "");
    let request = Request::post("/x")
        .header("host", "evil.example.com")
        .header("content-type", "application/json; charset=utf-8")
        .header("authorization", "Bearer mandate-of-the-agent")
        .header("x-poa-token", "mandate-of-the-agent")
        .header("cookie", "session=agent")
        .header("x-forwarded-for", "10.9.8.7")
        .header("forwarded", "for=10.9.8.7")
        .header("x-forwarded-client-cert", "forged")
        .header("x-spiffe-id", "spiffe://forged/x")
        .header("x-atb-decision-id", "forged")
        .header("x-atb-act", "forged")
        .header("user-agent", "agent/9")
        .header("accept-encoding", "gzip")
        .header("proxy-authorization", "forged")
        .header("te", "trailers")
        .header("connection", "x-atb-decision-id, authorization, accept-language")
        .header("accept-language", "de")
        .header("accept", "application/json")
        .header("idempotency-key", "k1")
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .body(Body::from(r#"{ "b" : 1.0, "a": "x" }"#))
        .unwrap();
    door.send(request).await.unwrap();
    let seen = seen.lock().unwrap()[0].to_lowercase();
    let (head, body) = seen.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<&str> = head.split("\r\n").collect();
    assert_eq!(lines.remove(0), "post /base/x http/1.1");
    lines.sort_unstable();
    let host = format!("host: {}", url.trim_start_matches("http://"));
    let decision = format!("x-atb-decision-id: {}", decision());
    let mut expected = [
        "accept: application/json",
        "authorization: bearer upstream-secret",
        "content-length: 15",
        "content-type: application/json",
        &host,
        "idempotency-key: k1",
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "user-agent: atb/0.1.0",
        "x-atb-act: up.x.write",
        &decision,
    ];
    expected.sort_unstable();
    assert_eq!(lines, expected);
    assert_eq!(body, r#"{"a":"x","b":1}"#);
}

#[tokio::test]
async fn an_answer_loses_its_hop_headers_cookies_and_forged_decisions() {
    let answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nConnection: x-hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n\
        Proxy-Authenticate: x\r\nTrailer: x\r\nX-ATB-Decision-Id: forged\r\nX-Fine: 1\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b";
    let door = Door::to(&scripted(answer, Duration::ZERO).await.0, "");
    let answer = door.get().await.unwrap();
    let mut names: Vec<&str> = answer.headers.keys().map(header::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-encoding", "content-length", "x-fine"]);
    assert_eq!(body_of(answer).await.unwrap(), &b"\x1f\x8b"[..], "passed on as it came");
    assert_eq!((door.end().fault, door.end().status, door.end().bytes), (None, Some(200), 2));
}

#[tokio::test]
async fn a_redirect_is_passed_on_and_not_followed() {
    let (target, reached) = scripted(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Duration::ZERO).await;
    let answer = format!("HTTP/1.1 302 Found\r\nLocation: {target}/x\r\nContent-Length: 0\r\n\r\n");
    let door = Door::to(&scripted(answer.leak().as_bytes(), Duration::ZERO).await.0, "");
    let answer = door.get().await.unwrap();
    assert_eq!(answer.status, StatusCode::FOUND);
    drop(answer);
    assert_eq!(door.end().fault, None);
    assert!(reached.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_upstream_that_hangs_is_a_timeout() {
    let (url, seen) = scripted(b"", Duration::from_secs(30)).await;
    let door = Door::to(&url, "");
    let started = Instant::now();
    assert_eq!(door.fault_of_get().await, CallFault::Timeout);
    assert!(started.elapsed() < Duration::from_secs(3));
    assert!(CallFault::Timeout.may_have_arrived());
    assert_eq!(seen.lock().unwrap().len(), 1, "not retried");
}

#[tokio::test]
async fn an_upstream_that_hangs_up_is_not_asked_again() {
    let (url, seen) = scripted(b"", Duration::ZERO).await;
    let door = Door::to(&url, "");
    assert_eq!(door.fault_of_get().await, CallFault::Broken);
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn nobody_listening_is_unreachable_and_certainly_not_arrived() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let door = Door::to(&url, "");
    assert_eq!(door.fault_of_get().await, CallFault::Unreachable);
    assert!(!CallFault::Unreachable.may_have_arrived());
}

#[tokio::test]
async fn interim_answers_are_skipped_and_a_protocol_switch_is_a_fault() {
    let early = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let door = Door::to(&scripted(early, Duration::ZERO).await.0, "");
    assert_eq!(door.get().await.unwrap().status, StatusCode::OK);
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    let door = Door::to(&scripted(switch, Duration::from_secs(1)).await.0, "");
    assert_eq!(door.fault_of_get().await, CallFault::Switched);
}

#[tokio::test]
async fn a_reset_within_the_body_is_reported_once_as_broken() {
    let door = Door::to(&scripted(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", Duration::ZERO).await.0, "");
    let answer = door.get().await.unwrap();
    assert_eq!(body_of(answer).await, Err(CallFault::Broken));
    assert_eq!((door.end().fault, door.end().status, door.end().bytes), (Some(CallFault::Broken), Some(200), 3));
}

#[tokio::test]
async fn a_silent_body_is_cut_after_the_idle_limit() {
    let silent = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc";
    let door = Door::to(&scripted(silent, Duration::from_secs(30)).await.0, "");
    let started = Instant::now();
    assert_eq!(body_of(door.get().await.unwrap()).await, Err(CallFault::Idle));
    assert!(started.elapsed() < Duration::from_secs(3));
    assert_eq!(door.end().fault, Some(CallFault::Idle));
}

#[tokio::test]
async fn a_slow_reader_is_not_taken_for_a_silent_upstream() {
    let door =
        Door::to(&scripted(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", Duration::from_secs(2)).await.0, "");
    let mut answer = door.get().await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(answer.body.frame().await.unwrap().is_ok());
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(answer.body.frame().await.is_none());
    assert_eq!(door.end().fault, None);
}

#[tokio::test]
async fn an_answer_above_the_limit_is_cut_whether_announced_or_not() {
    let small = "---max_response_bytes = 8";
    let announced = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabcdefghi";
    let door = Door::to(&scripted(announced, Duration::ZERO).await.0, small);
    assert_eq!(door.fault_of_get().await, CallFault::TooLarge);
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n5\r\nfghij\r\n0\r\n\r\n";
    let door = Door::to(&scripted(chunked, Duration::ZERO).await.0, small);
    assert_eq!(body_of(door.get().await.unwrap()).await, Err(CallFault::TooLarge));
    assert!(door.end().bytes <= 8);
}

#[tokio::test]
async fn a_call_is_reported_once_when_the_agent_goes_away() {
    let (url, _) = scripted(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", Duration::from_secs(5)).await;
    let door = Door::to(&url, "");
    drop(door.get().await.unwrap());
    assert_eq!((door.end().fault, door.end().status), (Some(CallFault::Abandoned), Some(200)));

    let door = Door::to(&scripted(b"", Duration::from_secs(5)).await.0, "");
    let gone = tokio::time::timeout(Duration::from_millis(100), door.get()).await;
    assert!(gone.is_err());
    assert_eq!((door.end().fault, door.end().status), (Some(CallFault::Abandoned), None));
}

#[tokio::test]
async fn calls_at_once_are_limited_until_an_answer_has_ended() {
    let (url, _) =
        scripted(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na", Duration::ZERO).await;
    let door = Door::to(&url, "");
    let first = door.get().await.unwrap();
    let second = door.get().await.unwrap();
    let name = door.connectors.find("up").unwrap().name.clone();
    assert_eq!(door.pool.reserve(&name).err(), Some(NoPlace::Full));
    drop(first);
    assert!(door.pool.reserve(&name).is_ok());
    assert_eq!(body_of(second).await.unwrap(), "a");
    assert_eq!(door.pool.reserve(&"other".parse().unwrap()).err(), Some(NoPlace::Unknown));
}

#[tokio::test]
async fn a_name_that_leads_to_a_private_address_is_not_connected_to() {
    let (url, seen) = scripted(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Duration::ZERO).await;
    // `127.1` is a name to a URL and loopback to a resolver (inet_aton), so this needs no DNS.
    let named = url.replace("127.0.0.1", "127.1");
    let door = Door::to(&named, "");
    assert_eq!(door.fault_of_get().await, CallFault::ForbiddenAddress);
    assert!(seen.lock().unwrap().is_empty());
    assert!(Door::to(&named, "allow_private = true").get().await.is_ok());
    assert!(Door::to(&url.replace("127.0.0.1", "localhost"), "").get().await.is_ok());
}

/// An upstream on `localhost` with a certificate of its own, which is also written to `pem`.
async fn over_tls(pem: &Path) -> String {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(pem, certified.cert.pem()).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let Ok(mut tls) = acceptor.accept(socket).await else { continue };
            let _ = tls.read(&mut [0; 4096]).await;
            let _ = tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        }
    });
    url
}

#[tokio::test]
async fn an_upstream_is_trusted_by_the_connectors_own_roots_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, other) = (dir.path().join("ours.pem"), dir.path().join("other.pem"));
    let url = over_tls(&ours).await;
    over_tls(&other).await;
    let with = |pem: &Path| Door::to(&url, &format!("ca_file = {pem:?}"));
    assert_eq!(with(&ours).get().await.unwrap().status, StatusCode::OK);
    assert_eq!(with(&other).fault_of_get().await, CallFault::Unreachable);
    let empty = dir.path().join("empty.pem");
    fs::write(&empty, "").unwrap();
    let file = dir.path().join("up.toml");
    let table = format!(
        "name = \"up\"\ntitle = \"Up\"\nowner = \"o\"\ndata_class = \"internal\"\nupstream = {url:?}\n\
         ca_file = {empty:?}\n[[routes]]\nmethod = \"GET\"\npath = \"/x\"\nact = \"up.x.read\"\n"
    );
    fs::write(&file, table).unwrap();
    let connectors = Connectors::load(dir.path(), false).unwrap();
    assert!(UpstreamPool::new(&connectors, None).is_err(), "no root is not the system's roots");
}

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn an_answer_of_64_mib_streams_in_bounded_pieces() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let app = axum::Router::new().fallback(move || {
        let made = Arc::clone(&count);
        async move { Body::new(Pieces { left: 64, piece: Bytes::from(vec![b'x'; MIB]), made }) }
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    let door = Door::to(&url, "");
    let mut answer = door.get().await.unwrap();
    let (mut total, mut largest, mut ahead) = (0, 0, 0);
    while let Some(frame) = answer.body.frame().await {
        let size = frame.unwrap().into_data().unwrap().len();
        total += size;
        largest = largest.max(size);
        ahead = ahead.max(made.load(Ordering::SeqCst).saturating_sub(total));
    }
    assert_eq!((total, door.end().bytes, door.end().fault), (64 * MIB, 64 * MIB as u64, None));
    assert!(largest <= 512 * 1024, "a piece of {largest} bytes");
    // What was produced and not yet read lies in socket buffers and ours, not in memory that grows with the answer.
    assert!(ahead <= 16 * MIB, "{ahead} bytes ahead of the reader");
}

/// A body of `left` pieces, made when they are asked for.
struct Pieces {
    left: usize,
    piece: Bytes,
    made: Arc<AtomicUsize>,
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(left) = self.left.checked_sub(1) else { return Poll::Ready(None) };
        self.left = left;
        self.made.fetch_add(self.piece.len(), Ordering::SeqCst);
        Poll::Ready(Some(Ok(Frame::data(self.piece.clone()))))
    }
}

#[tokio::test]
async fn the_sample_erp_answers_through_its_connector() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let erp = erp::start(listener, &dir.path().join("erp.sqlite")).await.unwrap();
    let shipped = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/connectors/erp.toml")).unwrap();
    fs::write(dir.path().join("erp.toml"), shipped.replace("127.0.0.1:9000", &erp.address().to_string())).unwrap();
    let connectors = Connectors::load(Path::new(dir.path()), true).unwrap();
    let pool = UpstreamPool::new(&connectors, None).unwrap();
    let calls = [
        ("GET", "/vendors/V-1001", "", 200, "Nordlicht"),
        ("GET", "/vendors?limit=1&country=FR", "", 200, "V-1002"),
        ("POST", "/vendors/V-1001/bank-account", r#"{"iban":"DE02","payment_limit":5000}"#, 200, r#""iban":"DE02""#),
        ("DELETE", "/vendors/V-1005?reason=closed", "", 204, ""),
        ("DELETE", "/vendors/V-1005?reason=closed", "", 404, "no such vendor"),
        ("GET", "/orders/O-2001", "", 200, "Copy paper"),
        (
            "POST",
            "/orders",
            r#"{"vendor_id":"V-1002","item":"Lamp","quantity":1,"amount":9.5,"currency":"EUR"}"#,
            201,
            "O-2006",
        ),
        ("PUT", "/orders/O-2001", r#"{"quantity":3}"#, 200, r#""quantity":3"#),
        ("POST", "/payments", r#"{"vendor_id":"V-1002","amount":10,"currency":"EUR","reference":"R1"}"#, 201, "P-1"),
    ];
    for (n, (method, target, body, status, text)) in calls.into_iter().enumerate() {
        let request = Request::builder().method(method).uri(target).header("content-type", "application/json");
        let (parts, body) = request.body(Body::from(body)).unwrap().into_parts();
        let matched = connectors.find("erp").unwrap().route(&parts.method, parts.uri.path()).unwrap();
        let body = matched.receive(&parts, body).await.unwrap();
        let (call, forward) = matched.bind(&parts, body).unwrap();
        let answer = pool.reserve(&call.connector).ok().unwrap().send(forward, &decision(), |_| {}).await.unwrap();
        assert_eq!(answer.status.as_u16(), status, "{method} {target}");
        let answer = body_of(answer).await.unwrap();
        assert!(String::from_utf8_lossy(&answer).contains(text), "{method} {target}: {answer:?}");
        assert_eq!(erp.hits(), n as u64 + 1);
        assert_eq!(erp.seen().headers["x-atb-act"], call.act.as_str());
    }
}
