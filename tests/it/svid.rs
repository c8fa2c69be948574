//! Who gets through an mTLS door, over real sockets: the server and the client that users run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod fixtures;
mod world;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atb::adapters::dev_identity::KeyKind;
use atb::adapters::http::client::ClientError;
use atb::adapters::http::server::{ConnectionLimits, serve_plain};
use atb::adapters::pem::{KeyPermissions, write_private};
use atb::adapters::tls::{IdentityError, SvidFiles, SvidSource, client_config, provider};
use atb::domain::spiffe::{Purpose, TrustBundle};
use atb::service::ports::Clock as _;
use axum::Router;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::routing::get;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::HandshakeKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

use fixtures::Gullible;
use world::{HOUR, World, connect, get_from, id, name, whoami};

#[tokio::test]
async fn the_handler_sees_the_identity_of_the_svid_whatever_headers_say() {
    let world = World::new();
    let door = world.serve(whoami(), ConnectionLimits::default()).await;
    let client = world.agent(&door);
    let mut headers = HeaderMap::new();
    headers.insert("x-spiffe-id", "spiffe://atb.dev/approver/alice".parse().unwrap());
    headers.insert("x-forwarded-client-cert", "URI=spiffe://atb.dev/approver/alice".parse().unwrap());
    for _ in 0..3 {
        let answer = client.request(Method::POST, "/whoami", headers.clone(), "{}").await.unwrap();
        assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"spiffe://atb.dev/agent/procurement"[..]));
    }
    assert_eq!(get_from(&client, "/nothing").await.unwrap().status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn http_2_is_spoken_where_it_is_agreed() {
    let world = World::new();
    let door = world.serve(whoami(), ConnectionLimits::default()).await;
    let who = world.identity("/agent/support", Purpose::Client, HOUR);
    let mut config = client_config(who, world.trust.clone(), world.clock.clone(), id("/broker")).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(door.address).await.unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name(), stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = |method: Method, uri: &str| {
        axum::http::Request::builder().method(method).uri(uri).body(Full::new(Bytes::new())).unwrap()
    };
    let answer = client.send_request(request(Method::GET, "https://broker/whoami")).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "spiffe://atb.dev/agent/support");
}

#[tokio::test]
async fn an_authority_that_nobody_knows_is_refused_and_the_client_is_told() {
    let world = World::new();
    let stranger = World::new();
    let door = world.serve(whoami(), ConnectionLimits::default()).await;
    let identity = stranger.identity("/agent/procurement", Purpose::Client, HOUR);
    let error = get_from(&world.client(identity, &door, "/broker"), "/whoami").await.unwrap_err();
    assert!(matches!(error, ClientError::CertificateRefused { .. }), "{error:?}");
    assert!(error.to_string().contains("refused our certificate"), "{error}");
    assert_eq!(door.failure().await, "svid_bad_signature", "same name of the authority, another key");
}

#[tokio::test]
async fn an_expired_client_is_refused_and_told_so() {
    let world = World::new();
    let door = world.serve(whoami(), ConnectionLimits::default()).await;
    let client = world.client(world.identity("/agent/support", Purpose::Client, HOUR / 4), &door, "/broker");
    world.clock.advance(HOUR / 2);
    let error = get_from(&client, "/whoami").await.unwrap_err();
    assert!(error.to_string().contains("CertificateExpired"), "{error}");
    assert_eq!(door.failure().await, "svid_expired");
}

#[tokio::test]
async fn a_server_with_another_identity_is_not_spoken_to() {
    let world = World::new();
    let door = world.serve(whoami(), ConnectionLimits::default()).await;
    let identity = world.identity("/agent/support", Purpose::Client, HOUR);
    let error = get_from(&world.client(identity, &door, "/agentauth"), "/whoami").await.unwrap_err();
    assert!(matches!(&error, ClientError::WrongServer { found, .. } if *found == id("/broker")), "{error:?}");
    assert!(error.to_string().contains("is spiffe://atb.dev/broker, not spiffe://atb.dev/agentauth"), "{error}");
}

#[tokio::test]
async fn a_server_of_a_foreign_authority_is_not_spoken_to() {
    let (world, stranger) = (World::new(), World::new());
    let door = stranger.serve(whoami(), ConnectionLimits::default()).await;
    let error = get_from(&world.agent(&door), "/whoami").await.unwrap_err();
    assert!(matches!(error, ClientError::ServerNotTrusted { .. }), "{error:?}");
    assert_eq!(error.server_defect().unwrap().code(), "svid_bad_signature");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let world = World::new();
    let door = world.serve(whoami(), ConnectionLimits::default()).await;
    let client = world.agent(&door);
    door.stop.send(true).unwrap();
    door.task.await.unwrap();
    let error = get_from(&client, "/whoami").await.unwrap_err();
    assert!(error.to_string().contains(&format!("no server at {}", door.address)), "{error}");
}

#[tokio::test]
async fn a_key_of_another_svid_or_open_to_others_is_not_loaded() {
    let world = World::new();
    let now = world.clock.now();
    let [one, two] = ["one", "two"].map(|name| {
        let issued = world.ca.issue(&id(&format!("/{name}")), KeyKind::P256, now, HOUR).unwrap();
        let (svid, key) = (world.folder.path().join(format!("{name}.pem")), world.folder.path().join(name));
        std::fs::write(&svid, issued.svid_pem).unwrap();
        write_private(&key, issued.key_pem.as_bytes()).unwrap();
        (svid, key)
    });
    let trust = world.trust.load();
    let load = |svid: &Path, key: &Path| {
        SvidSource::load(svid, key, KeyPermissions::OwnerOnly, Purpose::Client, &trust, now).map(drop)
    };
    assert!(load(&one.0, &one.1).is_ok());
    assert!(matches!(load(&one.0, &two.1), Err(IdentityError::Key { .. })));
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&one.1, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(load(&one.0, &one.1), Err(IdentityError::File(_))));
}

#[tokio::test]
async fn a_renewed_svid_is_used_once_it_is_good_and_the_old_one_until_then() {
    let world = World::new();
    let now = world.clock.now();
    let (svid, key) = (world.folder.path().join("svid.pem"), world.folder.path().join("key.pem"));
    let renew = |lifetime: Duration| {
        let issued = world.ca.issue(&id("/agent/support"), KeyKind::P256, now, lifetime).unwrap();
        let _ = std::fs::remove_file(&key);
        std::fs::write(&svid, issued.svid_pem).unwrap();
        write_private(&key, issued.key_pem.as_bytes()).unwrap();
    };
    renew(HOUR);
    let trust = world.trust.load();
    let files = SvidFiles {
        svid: svid.clone(),
        key: key.clone(),
        permissions: KeyPermissions::OwnerOnly,
        purpose: Purpose::Client,
    };
    let source = SvidSource::holding(files.read(&trust, now).unwrap());
    std::fs::write(&svid, "half written").unwrap();
    assert!(files.read(&trust, now).is_err());
    assert_eq!(source.current().svid().expires_at(), now.truncate_to_secs().plus(HOUR));
    renew(2 * HOUR);
    source.replace(files.read(&trust, now).unwrap());
    assert_eq!(source.current().svid().expires_at(), now.truncate_to_secs().plus(2 * HOUR));
}

#[tokio::test]
async fn a_connection_ends_with_the_svid_that_opened_it() {
    let world = World::new();
    let door = world.serve(whoami(), ConnectionLimits::default()).await;
    let client = world.client(world.identity("/agent/support", Purpose::Client, HOUR), &door, "/broker");
    assert_eq!(get_from(&client, "/whoami").await.unwrap().status, StatusCode::OK);
    // The clock moves, the timer of the connection does not: the check at the request must hold.
    world.clock.advance(HOUR + Duration::from_secs(1));
    assert!(get_from(&client, "/whoami").await.is_err());
}

#[tokio::test]
async fn an_open_connection_is_closed_when_its_svid_expires() {
    let world = World::new();
    let door = world.serve(whoami(), ConnectionLimits::default()).await;
    let lifetime = Duration::from_millis(2500);
    let mut stream = connect(&world, &door, world.identity("/agent/support", Purpose::Client, lifetime)).await;
    stream.write_all(b"GET /whoami HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let opened = Instant::now();
    let mut all = Vec::new();
    timeout(Duration::from_secs(10), stream.read_to_end(&mut all)).await.unwrap().unwrap();
    assert!(all.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&all));
    assert!(opened.elapsed() < Duration::from_secs(5), "{:?}", opened.elapsed());
}

#[tokio::test]
async fn a_session_is_never_resumed() {
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let world = World::new();
        let door = world.serve(whoami(), ConnectionLimits::default()).await;
        // A client that would resume if it could: its session store is on, its verifier accepts everything.
        let config = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Gullible))
            .with_client_cert_resolver(world.identity("/agent/support", Purpose::Client, HOUR));
        let connector = TlsConnector::from(Arc::new(config));
        for _ in 0..4 {
            let stream = TcpStream::connect(door.address).await.unwrap();
            let mut stream = connector.connect(name(), stream).await.unwrap();
            stream.write_all(b"GET /whoami HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            assert!(answer.starts_with(b"HTTP/1.1 200"));
            assert_eq!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Full), "{version:?}");
            assert_eq!(stream.get_ref().1.tls13_tickets_received(), 0);
        }
    }
}

#[tokio::test]
async fn shutting_down_lets_a_request_in_flight_finish_and_takes_no_new_one() {
    let world = World::new();
    let (arrived, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (at_handler, go_on) = (arrived.clone(), finish.clone());
    let slow = move || async move {
        at_handler.notify_one();
        go_on.notified().await;
        "done"
    };
    let door = world.serve(Router::new().route("/slow", get(slow)), ConnectionLimits::default()).await;
    let client = world.agent(&door);
    let request = tokio::spawn(async move { get_from(&client, "/slow").await });
    arrived.notified().await;
    door.stop.send(true).unwrap();
    sleep(Duration::from_millis(100)).await;
    assert!(TcpStream::connect(door.address).await.is_err(), "the listener is closed");
    assert!(!door.task.is_finished(), "it waits for the request");
    finish.notify_one();
    assert_eq!(&request.await.unwrap().unwrap().body[..], b"done");
    timeout(Duration::from_secs(5), door.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_request_that_never_finishes_does_not_hold_the_shutdown_for_ever() {
    let world = World::new();
    let limits = ConnectionLimits { drain: Duration::from_millis(300), ..ConnectionLimits::default() };
    let arrived = Arc::new(Notify::new());
    let at_handler = arrived.clone();
    let stuck = move || async move {
        at_handler.notify_one();
        std::future::pending::<&'static str>().await
    };
    let door = world.serve(Router::new().route("/stuck", get(stuck)), limits).await;
    let client = world.agent(&door);
    let request = tokio::spawn(async move { get_from(&client, "/stuck").await });
    arrived.notified().await;
    door.stop.send(true).unwrap();
    timeout(Duration::from_secs(3), door.task).await.unwrap().unwrap();
    assert!(matches!(request.await.unwrap(), Err(ClientError::Broken { .. })));
}

#[tokio::test]
async fn a_client_that_says_nothing_is_dropped_while_others_are_served() {
    let world = World::new();
    let limits = ConnectionLimits { handshake: Duration::from_millis(400), ..ConnectionLimits::default() };
    let door = world.serve(whoami(), limits).await;
    let mut silent = TcpStream::connect(door.address).await.unwrap();
    assert_eq!(get_from(&world.agent(&door), "/whoami").await.unwrap().status, StatusCode::OK);
    assert!(door.failures.lock().unwrap().is_empty(), "the silent one was still there");
    let mut nothing = Vec::new();
    timeout(Duration::from_secs(3), silent.read_to_end(&mut nothing)).await.unwrap().unwrap();
    assert_eq!(door.failure().await, "tls_handshake_timeout");
}

#[tokio::test]
async fn a_slow_head_is_cut_off() {
    let world = World::new();
    let limits = ConnectionLimits { header_read: Duration::from_millis(400), ..ConnectionLimits::default() };
    let door = world.serve(whoami(), limits).await;
    let mut stream = connect(&world, &door, world.identity("/agent/support", Purpose::Client, HOUR)).await;
    stream.write_all(b"GET /whoami HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(3), stream.read_to_end(&mut answer)).await.expect("cut off");
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn a_head_above_the_limit_is_refused() {
    let world = World::new();
    let door = world.serve(whoami(), ConnectionLimits::default()).await;
    let client = world.agent(&door);
    let mut headers = HeaderMap::new();
    headers.insert("x-long", "a".repeat(30 * 1024).parse().unwrap());
    assert_eq!(client.request(Method::GET, "/whoami", headers.clone(), "").await.unwrap().status, StatusCode::OK);
    headers.insert("x-long", "a".repeat(70 * 1024).parse().unwrap());
    match client.request(Method::GET, "/whoami", headers, "").await {
        Ok(answer) => assert_eq!(answer.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        Err(error) => assert!(matches!(error, ClientError::Broken { .. }), "{error:?}"),
    }
}

#[tokio::test]
async fn connections_above_the_limit_wait_for_a_place() {
    let world = World::new();
    let limits = ConnectionLimits { connections: 1, ..ConnectionLimits::default() };
    let door = world.serve(whoami(), limits).await;
    let first = world.agent(&door);
    assert_eq!(get_from(&first, "/whoami").await.unwrap().status, StatusCode::OK);
    let second = world.agent(&door);
    let mut waiting = std::pin::pin!(get_from(&second, "/whoami"));
    assert!(timeout(Duration::from_millis(300), &mut waiting).await.is_err(), "there is one place only");
    drop(first);
    assert_eq!(timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap().status, StatusCode::OK);
}

#[tokio::test]
async fn a_client_connects_again_after_the_server_closed_the_connection() {
    let world = World::new();
    let limits = ConnectionLimits { max_age: Duration::from_millis(200), ..ConnectionLimits::default() };
    let door = world.serve(whoami(), limits).await;
    let client = world.agent(&door);
    for _ in 0..3 {
        assert_eq!(get_from(&client, "/whoami").await.unwrap().status, StatusCode::OK);
        sleep(Duration::from_millis(400)).await;
    }
}

#[tokio::test]
async fn the_operations_listener_speaks_plain_http_and_stops() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let app = Router::new().route("/health", get(|| async { "ok" }));
    let task = tokio::spawn(serve_plain(listener, app, ConnectionLimits::default(), stopped));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok"), "{answer}");
    stop.send(true).unwrap();
    timeout(Duration::from_secs(5), task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_bundle_that_is_replaced_counts_from_the_next_handshake_on() {
    let (world, next) = (World::new(), World::new());
    let door = world.serve(whoami(), ConnectionLimits::default()).await;
    let newcomer = next.identity("/agent/support", Purpose::Client, HOUR);
    let client = || world.client(newcomer.clone(), &door, "/broker");
    assert!(matches!(get_from(&client(), "/whoami").await, Err(ClientError::CertificateRefused { .. })));
    let both = world.ca.bundle_pem() + &next.ca.bundle_pem();
    let both = TrustBundle::parse_pem("atb.dev".parse().unwrap(), both.as_bytes()).unwrap();
    world.trust.store(Arc::new(both.into()));
    assert_eq!(get_from(&client(), "/whoami").await.unwrap().status, StatusCode::OK);
}
