//! The fixtures of tests/vectors/svid, offered over TLS.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use atb::adapters::http::client::MtlsClient;
use atb::adapters::http::server::ConnectionLimits;
use atb::adapters::tls::{SharedTrust, provider};
use atb::domain::spiffe::{Purpose, TrustBundle, TrustBundles, UnverifiedSvid};
use atb::domain::time::Timestamp;
use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::world::{Door, HOUR, TestClock, World, get_from, name, whoami};

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/svid")
}

/// The rows of one purpose that can be offered over TLS: file and expected outcome.
///
/// A chain whose key is not ours can be offered too where it must be refused: a chain is judged before its owner has
/// proven that the key is his.
fn rows(purpose: &str) -> Vec<(String, String)> {
    let index = std::fs::read_to_string(vectors().join("index.txt")).unwrap();
    let fields = index.lines().filter(|line| !line.starts_with('#')).map(|line| line.split_whitespace().collect());
    let rows = fields.filter(|row: &Vec<&str>| row[1] == purpose && (row[2] == "yes" || row[3] != "ok"));
    rows.map(|row| (row[0].to_owned(), row[3].to_owned())).collect()
}

/// Offers a chain whatever it is, and takes any server.
#[derive(Debug)]
struct Offer(Option<Arc<CertifiedKey>>);

impl Offer {
    fn fixture(file: &str) -> Self {
        let chain = CertificateDer::pem_file_iter(vectors().join(format!("{file}.pem"))).unwrap();
        let chain = chain.map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(vectors().join("leaf-key.pem")).unwrap();
        let key = provider().key_provider.load_private_key(key).unwrap();
        Self(Some(Arc::new(CertifiedKey::new(chain, key))))
    }
}

impl ResolvesClientCert for Offer {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

impl ResolvesServerCert for Offer {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }
}

/// Takes any server, so that the server's answer is what is tested.
#[derive(Debug)]
pub struct Gullible;

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

/// One request with what `offer` holds; the status line, or nothing when the server would not talk.
async fn ask(door: &Door, offer: Offer, version: &'static rustls::SupportedProtocolVersion) -> Option<String> {
    let config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Gullible))
        .with_client_cert_resolver(Arc::new(offer));
    let stream = TcpStream::connect(door.address).await.unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name(), stream).await.ok()?;
    stream.write_all(b"GET /whoami HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    answer.lines().next().map(str::to_owned)
}

fn fixtures_trust() -> SharedTrust {
    let bundle = |domain: &str| {
        let pem = std::fs::read(vectors().join(format!("{domain}.bundle.pem"))).unwrap();
        TrustBundle::parse_pem(domain.parse().unwrap(), &pem).unwrap()
    };
    Arc::new(ArcSwap::from_pointee(TrustBundles::new(["atb.dev", "partner.example", "old.example"].map(bundle))))
}

/// A door at the fixtures' time that trusts the fixtures' bundles. Its own SVID is of another world.
async fn fixtures_door(world: &World) -> Door {
    Door::open("/broker", world, fixtures_trust(), whoami(), ConnectionLimits::default()).await
}

/// A server that shows a fixture and answers one request.
async fn fixture_server(file: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Offer::fixture(file)));
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(mut stream) = TlsAcceptor::from(Arc::new(tls)).accept(stream).await else { return };
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        let _ = stream.shutdown().await;
    });
    url
}

fn world_at_the_fixtures_time() -> World {
    let mut world = World::new();
    world.clock = TestClock::at(Timestamp::parse_rfc3339("2026-12-01T00:00:00Z").unwrap());
    world
}

#[tokio::test]
async fn every_hostile_svid_is_refused_at_the_handshake_for_its_own_reason() {
    let world = world_at_the_fixtures_time();
    let door = fixtures_door(&world).await;
    let rows = rows("client");
    assert!(rows.len() > 65, "{}", rows.len());
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        for (file, expected) in &rows {
            let answer = ask(&door, Offer::fixture(file), version).await;
            if expected == "ok" {
                assert_eq!(answer.as_deref(), Some("HTTP/1.1 200 OK"), "{file}");
            } else {
                assert_eq!(answer, None, "{file}");
                assert_eq!(door.failure().await, expected, "{file}");
            }
        }
    }
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let world = world_at_the_fixtures_time();
    let door = fixtures_door(&world).await;
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        assert_eq!(ask(&door, Offer(None), version).await, None);
        assert_eq!(door.failure().await, "svid_missing");
    }
}

#[tokio::test]
async fn a_server_that_shows_a_fixture_is_spoken_to_or_not_for_the_fixtures_own_reason() {
    let world = world_at_the_fixtures_time();
    let who = world.identity("/agent/procurement", Purpose::Client, HOUR);
    let rows = rows("server");
    assert!(rows.len() >= 4, "{rows:?}");
    for (file, expected) in rows {
        let url = fixture_server(&file).await;
        let chain = CertificateDer::pem_file_iter(vectors().join(format!("{file}.pem"))).unwrap();
        let chain: Vec<_> = chain.map(Result::unwrap).collect();
        let server = UnverifiedSvid::parse(&chain).unwrap().claimed_id().clone();
        let client = MtlsClient::new(who.clone(), fixtures_trust(), world.clock.clone(), server, &url).unwrap();
        match get_from(&client, "/").await {
            Ok(answer) => assert_eq!((expected.as_str(), answer.status.as_u16()), ("ok", 200), "{file}"),
            Err(error) => {
                let code = error.server_defect().map(|defect| defect.code());
                assert_eq!(code, Some(expected.as_str()), "{file}: {error}");
            }
        }
    }
}
