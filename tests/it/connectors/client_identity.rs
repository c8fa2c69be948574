//! `[tls] cert_file` and `key_file`: an upstream that wants to see a certificate that its own authority gave the broker.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};

use atb::domain::ledger::{EventType, Outcome};
use axum::Router;
use axum::routing::any;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::live::{activated, call, entry};
use crate::app::{Home, TestApp};

const CERT: &str = "connectors/client.pem";
const KEY: &str = "connectors/client-key.pem";

/// Gives out certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn client(&self) -> Client {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["broker.example".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let leaf = params.signed_by(&key, &self.0).unwrap();
        Client { cert: leaf.pem(), key: key.serialize_pem(), der: leaf.der().to_vec() }
    }
}

struct Client {
    cert: String,
    key: String,
    der: Vec<u8>,
}

impl Client {
    fn install(&self, home: &Home) {
        fs::write(home.path(CERT), &self.cert).unwrap();
        let _ = fs::remove_file(home.path(KEY));
        home.secret(KEY, &self.key);
    }
}

/// An HTTPS upstream that takes nobody without a certificate of one authority, and notes whose each request is.
struct Upstream {
    address: SocketAddr,
    ca_pem: String,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Upstream {
    async fn taking(clients: &Authority) -> Self {
        let (own, key) = (Authority::new(), KeyPair::generate().unwrap());
        let leaf = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &own.0).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(clients.0.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, seen) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<Vec<u8>>>>::default());
        tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(tls)), Arc::clone(&seen)));
        Self { address, ca_pem: own.0.pem(), seen }
    }

    fn seen(&self) -> Vec<Vec<u8>> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, seen: Arc<Mutex<Vec<Vec<u8>>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let leaf = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
            let answer = move || {
                seen.lock().unwrap().push(leaf.clone());
                async { "{}" }
            };
            let service = TowerToHyperService::new(Router::new().fallback(any(answer)));
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn point_at(home: &Home, upstream: &Upstream, tls: &str) {
    let file = home.path("connectors/erp.toml");
    fs::write(home.path("connectors/upstream-ca.pem"), &upstream.ca_pem).unwrap();
    let lines = fs::read_to_string(&file).unwrap();
    let lines = lines.lines().map(|line| match line.split_once(" = ").map_or(line, |(key, _)| key) {
        "upstream" => format!("upstream = \"https://{}\"\n", upstream.address),
        "dev_plain_http" => "ca_file = \"upstream-ca.pem\"\n".to_owned(),
        "[limits]" => format!("{tls}\n[limits]\n"),
        _ => format!("{line}\n"),
    });
    fs::write(&file, lines.collect::<String>()).unwrap();
}

#[tokio::test]
async fn an_upstream_that_wants_a_certificate_sees_the_one_of_the_files_and_a_new_one_after_a_reload() {
    let (ours, strangers) = (Authority::new(), Authority::new());
    let upstream = Upstream::taking(&ours).await;
    let (first, second, stranger) = (ours.client(), ours.client(), strangers.client());
    let tls = "[tls]\ncert_file = \"client.pem\"\nkey_file = \"client-key.pem\"\n";
    let mut app = TestApp::start_with(|home| {
        first.install(home);
        point_at(home, &upstream, tls);
    })
    .await;
    app.stop_erp();
    let home = app.home();
    assert_eq!(call(&app, &app.low_mandate().await).await.status, 200);
    assert_eq!(upstream.seen(), std::slice::from_ref(&first.der));

    // Renewed: the files are looked at like the connector file itself.
    second.install(&home);
    activated(&app, 2).await;
    assert_eq!(call(&app, &app.low_mandate().await).await.status, 200);
    assert_eq!(upstream.seen(), [first.der.clone(), second.der.clone()]);

    // Half of a pair, and a key that others read, are refused whole; the last good one stays.
    fs::write(home.path(CERT), &first.cert).unwrap();
    app.reload();
    entry(&app, EventType::ConnectorsRefused, 1).await;
    second.install(&home);
    fs::set_permissions(home.path(KEY), fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(home.path(CERT), format!("{}\n", second.cert)).unwrap();
    app.reload();
    let refused = entry(&app, EventType::ConnectorsRefused, 1).await;
    let finding = &refused.subject.detail["finding"];
    assert!(finding.contains("`cert_file` and `key_file`"), "{finding}");
    assert_eq!(call(&app, &app.low_mandate().await).await.status, 200);
    assert_eq!(upstream.seen().last(), Some(&second.der));

    // Another authority's certificate, and none: the upstream refuses, nothing reaches it, the outcome is on record.
    let hits = upstream.seen().len();
    for (nth, install) in [(3, true), (4, false)] {
        stranger.install(&home);
        if !install {
            home.replace("connectors/erp.toml", tls, "");
        }
        activated(&app, nth).await;
        let before = app.events_of(EventType::ConnectorOutcome).await.len();
        let answer = call(&app, &app.low_mandate().await).await;
        assert_eq!(answer.status, 502, "{answer}");
        answer.assert_problem();
        let outcome = entry(&app, EventType::ConnectorOutcome, before + 1).await;
        assert_eq!(outcome.subject.outcome, Some(Outcome::Failed));
        assert_eq!(upstream.seen().len(), hits);
    }
    app.finish().await;
}
