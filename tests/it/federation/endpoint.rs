//! A SPIFFE bundle endpoint: HTTPS with a certificate of the web or with an SVID, and what it publishes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use atb::adapters::clock::SystemClock;
use atb::adapters::dev_identity::{DevCa, KeyKind};
use atb::adapters::tls::provider;
use atb::service::ports::Clock as _;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use x509_parser::parse_x509_certificate;

/// The bundle of `ca` as an endpoint publishes it.
pub fn document(ca: &DevCa, sequence: Option<u64>, hint: Option<u64>) -> String {
    let der = CertificateDer::from_pem_slice(ca.bundle_pem().as_bytes()).unwrap();
    let (_, certificate) = parse_x509_certificate(&der).unwrap();
    let point = certificate.public_key().subject_public_key.data.to_vec();
    let mut document = json!({"keys": [{
        "use": "x509-svid", "kty": "EC", "crv": "P-256",
        "x": Base64UrlUnpadded::encode_string(&point[1..33]), "y": Base64UrlUnpadded::encode_string(&point[33..65]),
        "x5c": [Base64::encode_string(&der)],
    }]});
    for (name, number) in [("spiffe_sequence", sequence), ("spiffe_refresh_hint", hint)] {
        if let Some(number) = number {
            document[name] = Value::from(number);
        }
    }
    document.to_string()
}

/// The endpoint, gone with this value.
pub struct Endpoint {
    tls: Arc<ServerConfig>,
    roots: String,
    address: SocketAddr,
    published: Arc<Mutex<Option<String>>>,
    hits: Arc<AtomicUsize>,
    serving: Option<JoinHandle<()>>,
}

impl Endpoint {
    /// With a certificate for `localhost`; publishes nothing yet.
    pub async fn of_the_web() -> Self {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        Self::with(vec![cert.der().clone()], key, cert.pem()).await
    }

    /// With the SVID of `id` by `ca`.
    pub async fn of(ca: &DevCa, id: &str) -> Self {
        let issued =
            ca.issue(&id.parse().unwrap(), KeyKind::P256, SystemClock.now(), Duration::from_secs(3600)).unwrap();
        let chain = CertificateDer::pem_slice_iter(issued.svid_pem.as_bytes()).map(Result::unwrap).collect();
        Self::with(chain, PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).unwrap(), String::new()).await
    }

    async fn with(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>, roots: String) -> Self {
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let tls = Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut endpoint = Self { tls, roots, address, published: Arc::default(), hits: Arc::default(), serving: None };
        endpoint.serve(listener);
        endpoint
    }

    pub fn url(&self) -> String {
        format!("https://localhost:{}/bundle.json", self.address.port())
    }

    /// By what the web believes it.
    pub fn roots(&self) -> &str {
        &self.roots
    }

    /// How often its bundle was asked for.
    pub fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }

    pub fn publish(&mut self, document: String) {
        *self.published.lock().unwrap() = Some(document);
    }

    pub async fn down(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            let _ = serving.await;
        }
    }

    pub async fn up(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener);
    }

    fn serve(&mut self, listener: TcpListener) {
        let (published, hits) = (Arc::clone(&self.published), Arc::clone(&self.hits));
        let answer = move || {
            hits.fetch_add(1, Ordering::SeqCst);
            let published = published.lock().unwrap().clone();
            async move { published.map_or((StatusCode::NOT_FOUND, String::new()), |text| (StatusCode::OK, text)) }
        };
        let app = Router::new().route("/bundle.json", get(answer));
        let acceptor = TlsAcceptor::from(Arc::clone(&self.tls));
        self.serving = Some(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, service) = (acceptor.clone(), TowerToHyperService::new(app.clone()));
                connections.spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let http = auto::Builder::new(TokioExecutor::new());
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        }));
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}
