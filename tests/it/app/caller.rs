//! One identity on one connection, and what it is answered.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atb::adapters::clock::SystemClock;
use atb::adapters::http::client::MtlsClient;
use atb::adapters::pem::{self, KeyPermissions};
use atb::adapters::tls::{SvidSource, client_config};
use atb::cli::client::trust;
use atb::config::Config;
use atb::domain::spiffe::{Purpose, SpiffeId, TrustBundles, TrustDomain, UnverifiedSvid};
use atb::service::ports::Clock as _;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A connected identity.
pub struct Caller {
    http: MtlsClient,
    tls: Arc<rustls::ClientConfig>,
    address: SocketAddr,
    pub(super) identity: Arc<SvidSource>,
    pub(super) key: PathBuf,
}

impl Caller {
    pub(super) fn new(config: &Config, folder: &Path, expected: &SpiffeId, address: SocketAddr) -> Self {
        let trust = trust(config).unwrap();
        let (svid, key) = (folder.join("svid.pem"), folder.join("key.pem"));
        let now = SystemClock.now();
        let source = SvidSource::load(&svid, &key, KeyPermissions::OwnerOnly, Purpose::Client, &trust.load(), now);
        Self::with(config, Arc::new(source.unwrap()), key, expected, address)
    }

    /// The same for an identity that nobody here vouches for: it is its own business who does.
    pub(super) fn foreign(config: &Config, folder: &Path, expected: &SpiffeId, address: SocketAddr) -> Self {
        let (svid, key) = (folder.join("svid.pem"), folder.join("key.pem"));
        let authority = pem::read_bundle(&folder.join("authority.pem"), foreign_domain(&svid)).unwrap();
        let now = SystemClock.now();
        let own = TrustBundles::from(authority);
        let source = SvidSource::load(&svid, &key, KeyPermissions::OwnerOnly, Purpose::Client, &own, now).unwrap();
        Self::with(config, Arc::new(source), key, expected, address)
    }

    fn with(
        config: &Config,
        identity: Arc<SvidSource>,
        key: PathBuf,
        expected: &SpiffeId,
        address: SocketAddr,
    ) -> Self {
        let (trust, clock) = (trust(config).unwrap(), Arc::new(SystemClock));
        let tls = client_config(identity.clone(), trust.clone(), clock.clone(), expected.clone()).unwrap();
        let url = format!("https://{address}");
        let http = MtlsClient::new(identity.clone(), trust, clock, expected.clone(), &url).unwrap();
        Self { http, tls: Arc::new(tls), address, identity, key }
    }

    /// Who this is.
    pub fn id(&self) -> SpiffeId {
        self.identity.current().svid().id().clone()
    }

    /// Any request.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
        }
        let method: Method = method.parse().unwrap();
        let response = self.http.request(method, path, map, body).await.unwrap();
        Answer {
            status: response.status.as_u16(),
            headers: response.headers,
            json: serde_json::from_slice(&response.body).unwrap_or_default(),
            body: response.body.to_vec(),
        }
    }

    /// Where it knocks.
    pub fn base(&self) -> String {
        format!("https://{}", self.address)
    }

    /// A channel for gRPC: HTTP/2 over a connection of its own.
    pub async fn grpc(&self) -> tonic::transport::Channel {
        let mut tls = (*self.tls).clone();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let (tls, address) = (TlsConnector::from(Arc::new(tls)), self.address);
        let connect = tower::service_fn(move |_: axum::http::Uri| {
            let tls = tls.clone();
            async move {
                let name = ServerName::try_from(address.ip().to_string()).unwrap();
                let stream = tls.connect(name, TcpStream::connect(address).await?).await?;
                Ok::<_, std::io::Error>(hyper_util::rt::TokioIo::new(stream))
            }
        });
        let endpoint = tonic::transport::Endpoint::try_from(self.base()).unwrap();
        endpoint.connect_with_connector(connect).await.unwrap()
    }

    /// The status of a request that may not get an answer at all.
    pub async fn try_get(&self, path: &str) -> Result<u16, String> {
        let answer = self.http.request(Method::GET, path, HeaderMap::new(), Vec::new()).await;
        answer.map(|response| response.status.as_u16()).map_err(|error| error.to_string())
    }

    /// A connection to write HTTP on by hand.
    pub async fn connect(&self) -> TlsStream<TcpStream> {
        self.connect_for(b"http/1.1").await
    }

    /// A connection to write another protocol on by hand.
    pub async fn connect_for(&self, protocol: &[u8]) -> TlsStream<TcpStream> {
        let mut tls = rustls::ClientConfig::clone(&self.tls);
        tls.alpn_protocols = vec![protocol.to_vec()];
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from(self.address.ip().to_string()).unwrap();
        TlsConnector::from(Arc::new(tls)).connect(name, stream).await.unwrap()
    }

    /// Shakes hands now, so that what follows at once is the requests alone.
    pub async fn connected(self) -> Self {
        self.http.request(Method::GET, "/.well-known/jwks.json", HeaderMap::new(), Vec::new()).await.unwrap();
        self
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], Vec::new()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_text(path, &body.to_string()).await
    }

    /// Posts text that says it is JSON.
    pub async fn post_text(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], body.as_bytes().to_vec()).await
    }

    /// A call through the broker.
    pub async fn call(&self, method: &str, path: &str, mandate: &str, body: Option<&Value>) -> Answer {
        let bearer = format!("Bearer {mandate}");
        let mut headers = vec![("authorization", bearer.as_str())];
        if body.is_some() {
            headers.push(("content-type", "application/json"));
        }
        self.send(method, path, &headers, body.map(|b| b.to_string().into_bytes()).unwrap_or_default()).await
    }
}

fn foreign_domain(svid: &Path) -> TrustDomain {
    let chain = pem::read_certificates(svid).unwrap();
    UnverifiedSvid::parse(&chain).unwrap().claimed_id().trust_domain()
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub json: Value,
    pub body: Vec<u8>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, String::from_utf8_lossy(&self.body))
    }
}

impl Answer {
    /// A text of the JSON body; empty if it is not there.
    pub fn text(&self, pointer: &str) -> String {
        self.json.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    pub fn reason(&self) -> String {
        self.text("/reason")
    }

    pub fn header(&self, name: &str) -> String {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    }

    /// Status and reason in one.
    pub fn verdict(&self) -> String {
        format!("{} {}", self.status, self.reason())
    }

    /// The pointers of `errors`.
    pub fn pointers(&self) -> Vec<String> {
        let errors = self.json.get("errors").and_then(Value::as_array).cloned().unwrap_or_default();
        errors.iter().map(|error| error["pointer"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Fails unless this is a problem document of RFC 9457 with our members and nothing secret in it.
    #[track_caller]
    pub fn assert_problem(&self) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self}");
        let code = self.text("/code");
        assert!(!code.is_empty(), "{self}");
        assert_eq!(self.text("/type"), format!("urn:atb:problem:{code}"), "{self}");
        assert_eq!(self.json["status"], self.status, "{self}");
        for member in ["/title", "/detail", "/reason"] {
            assert!(!self.text(member).is_empty(), "no {member}: {self}");
        }
        assert!(!String::from_utf8_lossy(&self.body).contains("eyJ"), "a token in an answer: {self}");
    }
}

/// Plain HTTP, for the operators' listener.
pub(super) async fn plain_get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: ops\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}
