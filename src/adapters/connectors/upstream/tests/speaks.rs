//! HTTP/2 and our own identity towards an upstream, and answers that never end.

use std::net::SocketAddr;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::to_bytes;
use axum::http::HeaderMap;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rustls_pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::adapters::clock::SystemClock;
use crate::adapters::connectors::OurIdentity;
use crate::adapters::dev_identity::{DevCa, KeyKind};
use crate::adapters::pem::{KeyPermissions, write_private};
use crate::adapters::tls::{SvidSource, server_config, verify_chain};
use crate::domain::spiffe::{Purpose, TrustBundle, TrustBundles};
use crate::service::ports::Clock as _;

/// What an upstream saw of one call.
#[derive(Debug, Default, Clone)]
struct Seen {
    version: String,
    headers: HeaderMap,
    body: Vec<u8>,
    peer: Option<String>,
}

/// Says over which protocol it was asked, and remembers everything; its answer has trailers.
async fn echo(seen: Arc<Mutex<Vec<Seen>>>, peer: Option<String>, request: Request<Body>) -> axum::response::Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap().to_vec();
    let version = format!("{:?}", parts.version);
    seen.lock().unwrap().push(Seen { version: version.clone(), headers: parts.headers, body, peer });
    let mut trailers = HeaderMap::new();
    trailers.insert("x-trailer", "1".parse().unwrap());
    let body = Body::from(version).with_trailers(async move { Some(Ok(trailers)) });
    axum::response::Response::new(Body::new(body))
}

/// A TLS server that speaks what ALPN agrees.
async fn serve(
    config: rustls::ServerConfig,
    trust: Option<crate::adapters::tls::SharedTrust>,
) -> (SocketAddr, Arc<Mutex<Vec<Seen>>>) {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, seen) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<Seen>>>::default());
    let told = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let Ok(tls) = acceptor.accept(socket).await else { continue };
            let chain = tls.get_ref().1.peer_certificates().unwrap_or_default();
            let peer = trust.as_ref().and_then(|trust| {
                let svid = verify_chain(chain, trust, Purpose::Client, SystemClock.now()).ok()?;
                Some(svid.id().to_string())
            });
            let seen = Arc::clone(&told);
            let app = Router::new().fallback(move |request| echo(Arc::clone(&seen), peer.clone(), request));
            tokio::spawn(async move {
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(tls), TowerToHyperService::new(app)).await;
            });
        }
    });
    (address, seen)
}

#[tokio::test]
async fn an_upstream_that_offers_http_2_is_spoken_to_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let roots = dir.path().join("roots.pem");
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(&roots, certified.cert.pem()).unwrap();
    for (offered, spoken) in [(&b"h2"[..], "HTTP/2.0"), (b"http/1.1", "HTTP/1.1")] {
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![offered.to_vec()];
        let (address, seen) = serve(config, None).await;
        let door = Door::to(&format!("https://localhost:{}", address.port()), &format!("ca_file = {roots:?}"));
        let request = Request::post("/x")
            .header("content-type", "application/json")
            .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
            .header("x-tenant", "a")
            .header("te", "trailers");
        let answer = door.send(request.body(Body::from(r#"{ "a": 1.0 }"#)).unwrap()).await.unwrap();
        let mut body = answer.body;
        let mut frames = Vec::new();
        while let Some(frame) = body.frame().await {
            frames.push(frame.unwrap());
        }
        assert!(frames.iter().all(Frame::is_data), "trailers went through");
        let text: Vec<u8> = frames.into_iter().flat_map(|frame| frame.into_data().unwrap()).collect();
        assert_eq!(String::from_utf8(text).unwrap(), spoken);
        assert_eq!(door.end().fault, None);
        let seen = seen.lock().unwrap().pop().unwrap();
        assert_eq!((seen.version.as_str(), seen.body.as_slice()), (spoken, &br#"{"a":1}"#[..]));
        assert!(seen.headers.contains_key("traceparent") && seen.headers.contains_key("x-atb-decision-id"));
        for gone in ["te", "x-tenant", "connection", "transfer-encoding"] {
            assert!(!seen.headers.contains_key(gone), "{gone}");
        }
    }
}

#[tokio::test]
async fn a_workload_upstream_is_known_by_its_spiffe_id_and_sees_ours() {
    let (now, dir) = (SystemClock.now(), tempfile::tempdir().unwrap());
    let ca = DevCa::create("atb.dev".parse().unwrap(), now).unwrap();
    let bundle = TrustBundle::parse_pem("atb.dev".parse().unwrap(), ca.bundle_pem().as_bytes()).unwrap();
    let trust: crate::adapters::tls::SharedTrust = Arc::new(ArcSwap::from_pointee(TrustBundles::new([bundle])));
    let source = |name: &str, purpose| {
        let id = format!("spiffe://atb.dev/{name}").parse().unwrap();
        let issued = ca.issue(&id, KeyKind::P256, now, Duration::from_secs(600)).unwrap();
        let (svid, key) = (dir.path().join(format!("{name}.pem")), dir.path().join(format!("{name}.key")));
        fs::write(&svid, issued.svid_pem).unwrap();
        write_private(&key, issued.key_pem.as_bytes()).unwrap();
        let only = KeyPermissions::OwnerOnly;
        Arc::new(SvidSource::load(&svid, &key, only, purpose, &trust.load(), now).unwrap())
    };
    let clock = Arc::new(SystemClock);
    let config = server_config(source("erp", Purpose::Server), trust.clone(), clock.clone()).unwrap();
    let (address, seen) = serve(rustls::ServerConfig::clone(&config), Some(trust.clone())).await;
    let ours = OurIdentity { svid: source("broker", Purpose::Client), trust, clock };
    let door = |id: &str| {
        let mut door = Door::empty(&format!("https://{address}"), &format!("---\n[tls]\nspiffe_id = \"{id}\"\n"));
        door.pool = UpstreamPool::new(&door.connectors, Some(&ours)).unwrap();
        door
    };
    assert_eq!(door("spiffe://atb.dev/erp").get().await.unwrap().status, StatusCode::OK);
    assert_eq!(seen.lock().unwrap().pop().unwrap().peer.as_deref(), Some("spiffe://atb.dev/broker"));
    assert_eq!(door("spiffe://atb.dev/crm").fault_of_get().await, CallFault::Unreachable);
    assert!(seen.lock().unwrap().is_empty());
    let alone = Door::empty(&format!("https://{address}"), "---\n[tls]\nspiffe_id = \"spiffe://atb.dev/erp\"\n");
    assert!(UpstreamPool::new(&alone.connectors, None).is_err(), "a process without an SVID cannot show one");
}

#[tokio::test]
async fn an_answer_that_nobody_reads_gives_its_place_back_by_its_deadline() {
    let endless = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nabc";
    let (url, _) = scripted(endless, Duration::from_secs(60)).await;
    let door = Door::to(&url, "---\nanswer_ms = 200\n");
    let unread = door.get().await.unwrap();
    let name = "up".parse().unwrap();
    let held = door.pool.reserve(&name).ok().unwrap();
    assert_eq!(door.pool.reserve(&name).err(), Some(NoPlace::Full));
    let until = Instant::now() + Duration::from_secs(20);
    while door.pool.reserve(&name).is_err() {
        assert!(Instant::now() < until, "the place was never given back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(door.end().fault, Some(CallFault::TooLong));
    assert_eq!(body_of(unread).await, Err(CallFault::TooLong));
    drop(held);
}
