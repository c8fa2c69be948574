//! One keep-alive HTTP/1.1 connection to one ATB service, over mTLS, for the command line and for tests.
//!
//! It speaks to exactly one SPIFFE ID and says in words what went wrong. A request is sent again only when not a byte
//! of it had left: whether a request that broke off was carried out is for the caller to ask.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::http::uri::{Authority, Scheme};
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, OtherError};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::event_stream::EventStream;
use crate::adapters::tls::{SharedTrust, SvidSource, WrongServer, client_config};
use crate::domain::spiffe::{SpiffeId, SvidError};
use crate::service::ports::Clock;

/// For TCP and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For one answer; longer than the longest `?wait=`.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);
/// The largest answer.
const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;

/// A client of one service.
pub struct MtlsClient {
    tls: TlsConnector,
    expected: SpiffeId,
    authority: Authority,
    name: ServerName<'static>,
    connection: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, at most 8 MiB.
    pub body: Bytes,
}

/// Why there is no answer. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is not `https://host:port`.
    #[error("`{0}` is not the address of a service; expected `https://host:port`")]
    Address(String),
    /// The method, path or a header is not HTTP.
    #[error("the request is not valid HTTP: {0}")]
    Request(String),
    /// rustls refuses our configuration.
    #[error("the TLS configuration is refused: {0}")]
    Configuration(#[from] rustls::Error),
    /// Nobody answers there.
    #[error("no server at {authority}; is it running, and is the address right?")]
    Unreachable {
        /// Host and port.
        authority: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Ten seconds for the connection, ninety for an answer.
    #[error("the server at {0} did not answer in time")]
    Timeout(String),
    /// The server does not want us.
    #[error(
        "the server at {authority} refused our certificate (TLS alert {alert:?}); check it with `atb svid inspect`"
    )]
    CertificateRefused {
        /// Host and port.
        authority: String,
        /// The alert it sent.
        alert: AlertDescription,
    },
    /// The server proved another identity.
    #[error("the server at {authority} is {found}, not {expected}; check the address and the SPIFFE ID")]
    WrongServer {
        /// Host and port.
        authority: String,
        /// Who should be there.
        expected: SpiffeId,
        /// Who is there.
        found: SpiffeId,
    },
    /// The server's SVID is not good.
    #[error("the server at {authority} has no SVID that we trust; check the trust bundle and its SVID")]
    ServerNotTrusted {
        /// Host and port.
        authority: String,
        /// What is wrong, where it is more than a date.
        #[source]
        source: rustls::Error,
    },
    /// The connection broke, or what came was not HTTP. The request may have been carried out.
    #[error("the connection to {authority} broke; the request may or may not have been carried out")]
    Broken {
        /// Host and port.
        authority: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl MtlsClient {
    /// A client for the service `expected` at `base_url` (`https://host:port`). Connects at the first request.
    ///
    /// # Errors
    /// When the address is not one.
    pub fn new(
        identity: Arc<SvidSource>,
        trust: SharedTrust,
        clock: Arc<dyn Clock>,
        expected: SpiffeId,
        base_url: &str,
    ) -> Result<Self, ClientError> {
        let address = || ClientError::Address(base_url.to_owned());
        let uri: Uri = base_url.parse().map_err(|_| address())?;
        let authority = uri.authority().filter(|_| uri.scheme() == Some(&Scheme::HTTPS)).ok_or_else(address)?;
        if !matches!(uri.path_and_query().map(|path| path.as_str()), None | Some("/")) {
            return Err(address());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(|_| address())?;
        let config = client_config(identity, trust, clock, expected.clone())?;
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
            expected,
            authority: authority.clone(),
            name,
            connection: Mutex::new(None),
        })
    }

    /// Sends one request and reads the whole answer; requests of one client go one after the other.
    ///
    /// # Errors
    /// When there is no whole answer. A status of 4xx or 5xx is an answer.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: impl Into<Bytes>,
    ) -> Result<Response, ClientError> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .body(Full::new(body.into()))
            .map_err(|error| ClientError::Request(error.to_string()))?;
        *request.headers_mut() = headers;
        let host = HeaderValue::from_str(self.authority.as_str()).map_err(|e| ClientError::Request(e.to_string()))?;
        request.headers_mut().insert(header::HOST, host);

        let mut connection = self.connection.lock().await;
        let exchange = async {
            let answer = self.send(&mut connection, request).await?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, MAX_BODY_BYTES).collect().await.map_err(|error| self.broken(error))?;
            Ok(Response { status: head.status, headers: head.headers, body: body.to_bytes() })
        };
        let outcome = timeout(ANSWER_TIMEOUT, exchange)
            .await
            .unwrap_or_else(|_| Err(ClientError::Timeout(self.authority.to_string())));
        if outcome.is_err() {
            *connection = None; // whatever is still on its way there must not be taken for the next answer
        }
        outcome
    }

    /// Sends a request without a body on a connection of its own; the answer's body is read as it comes. Nothing but
    /// the head has a time limit.
    ///
    /// # Errors
    /// When there is no answer. A status of 4xx or 5xx is an answer.
    pub async fn stream(&self, path: &str, mut headers: HeaderMap) -> Result<EventStream, ClientError> {
        let request_error = |error: String| ClientError::Request(error);
        let host = HeaderValue::from_str(self.authority.as_str()).map_err(|e| request_error(e.to_string()))?;
        headers.insert(header::HOST, host);
        let request = Request::builder().uri(path).body(Full::default());
        let mut request = request.map_err(|error| request_error(error.to_string()))?;
        *request.headers_mut() = headers;
        let exchange = async {
            let mut open = self.connect().await?;
            let answer = open.send_request(request).await.map_err(|error| self.broken(error))?;
            Ok(EventStream::new(open, answer))
        };
        timeout(ANSWER_TIMEOUT, exchange)
            .await
            .unwrap_or_else(|_| Err(ClientError::Timeout(self.authority.to_string())))
    }

    /// Sends on the open connection, or on a new one if that was closed before the request went out.
    async fn send(
        &self,
        connection: &mut Option<SendRequest<Full<Bytes>>>,
        mut request: Request<Full<Bytes>>,
    ) -> Result<axum::http::Response<Incoming>, ClientError> {
        if let Some(mut open) = connection.take()
            && open.ready().await.is_ok()
        {
            match open.try_send_request(request).await {
                Ok(answer) => {
                    *connection = Some(open);
                    return Ok(answer);
                }
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(self.broken(error.into_error())),
                },
            }
        }
        let mut open = self.connect().await?;
        let answer = open.send_request(request).await.map_err(|error| self.broken(error))?;
        *connection = Some(open);
        Ok(answer)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, ClientError> {
        let stream = timeout(CONNECT_TIMEOUT, self.open())
            .await
            .map_err(|_| ClientError::Timeout(self.authority.to_string()))??;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| self.broken(error))?;
        tokio::spawn(connection); // ends with the sender; its error reaches the request in flight
        Ok(sender)
    }

    async fn open(&self) -> Result<TlsStream<TcpStream>, ClientError> {
        let unreachable = |source| ClientError::Unreachable { authority: self.authority.to_string(), source };
        let host = self.authority.host().trim_start_matches('[').trim_end_matches(']');
        let port = self.authority.port_u16().unwrap_or(443);
        let stream = TcpStream::connect((host, port)).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        self.tls.connect(self.name.clone(), stream).await.map_err(|error| self.broken(error))
    }

    /// Looks for TLS's own words in an error; a server's refusal of our certificate arrives with TLS 1.3 only when the
    /// first answer is read.
    fn broken(&self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ClientError {
        let authority = self.authority.to_string();
        let source = error.into();
        match tls_error(source.as_ref()) {
            Some(rustls::Error::AlertReceived(alert)) if about_our_certificate(*alert) => {
                ClientError::CertificateRefused { authority, alert: *alert }
            }
            Some(error @ rustls::Error::InvalidCertificate(reason)) => match wrong_server(reason) {
                Some(found) => ClientError::WrongServer { authority, expected: self.expected.clone(), found },
                None => ClientError::ServerNotTrusted { authority, source: error.clone() },
            },
            _ => ClientError::Broken { authority, source },
        }
    }
}

fn tls_error<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        // io::Error's `source` skips the error that it wraps
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn about_our_certificate(alert: AlertDescription) -> bool {
    use AlertDescription as A;
    matches!(
        alert,
        A::BadCertificate
            | A::UnsupportedCertificate
            | A::CertificateRevoked
            | A::CertificateExpired
            | A::CertificateUnknown
            | A::CertificateRequired
            | A::UnknownCA
            | A::AccessDenied
            | A::NoCertificate
    )
}

fn wrong_server(reason: &CertificateError) -> Option<SpiffeId> {
    let CertificateError::Other(OtherError(inner)) = reason else { return None };
    inner.downcast_ref::<WrongServer>().map(|wrong| wrong.found.clone())
}

impl ClientError {
    /// What is wrong with the server's SVID, when that is why.
    pub fn server_defect(&self) -> Option<&SvidError> {
        match self {
            Self::ServerNotTrusted {
                source: rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(inner))),
                ..
            } => inner.downcast_ref::<SvidError>(),
            _ => None,
        }
    }
}
