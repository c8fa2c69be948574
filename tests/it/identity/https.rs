//! A small HTTPS server under an authority of its own: pages by path, each a status and a text, and every request noted.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls_pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Arrived {
    pub headers: HeaderMap,
    pub body: String,
}

#[derive(Default)]
struct Site {
    pages: BTreeMap<String, (u16, String)>,
    delay: Duration,
    arrived: Vec<Arrived>,
}

/// The server. It ends with the test's runtime.
pub struct Https {
    pub address: SocketAddr,
    /// The authority to trust it by.
    pub ca_pem: String,
    site: Arc<Mutex<Site>>,
}

impl Https {
    pub async fn start() -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        let site = Arc::<Mutex<Site>>::default();
        let app = Router::new().fallback(page).with_state(site.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(tls)), app));
        Self { address, ca_pem: authority.pem(), site }
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// What a path answers from now on.
    pub fn answers(&self, path: &str, status: u16, body: &str) {
        self.site.lock().unwrap().pages.insert(path.to_owned(), (status, body.to_owned()));
    }

    /// How long every answer takes from now on.
    pub fn takes(&self, delay: Duration) {
        self.site.lock().unwrap().delay = delay;
    }

    pub fn arrived(&self) -> Vec<Arrived> {
        self.site.lock().unwrap().arrived.clone()
    }

    pub fn hits(&self) -> usize {
        self.site.lock().unwrap().arrived.len()
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, app: Router) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (acceptor, app) = (acceptor.clone(), app.clone());
        tokio::spawn(async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                let service = TowerToHyperService::new(app);
                let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            }
        });
    }
}

async fn page(State(site): State<Arc<Mutex<Site>>>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let path = parts.uri.path().to_owned();
    let (answer, delay) = {
        let mut site = site.lock().unwrap();
        let body = String::from_utf8_lossy(&body).into_owned();
        site.arrived.push(Arrived { headers: parts.headers, body });
        (site.pages.get(&path).cloned(), site.delay)
    };
    tokio::time::sleep(delay).await;
    let (status, text) = answer.unwrap_or((404, String::new()));
    let location = [("content-type", "application/json"), ("location", "/elsewhere")];
    (StatusCode::from_u16(status).unwrap(), location, text).into_response()
}
