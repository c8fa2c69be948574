//! The one way out to systems that the operator names: ticket systems and receivers of notifications.
//!
//! A whole request, a whole answer of bounded size, one deadline for both. HTTPS with the system's roots or those of one
//! PEM file; plain http only to this machine and only in development. No redirect is followed, no proxy is used, no
//! cookie is kept, nothing is decompressed. Where a connection may go is checked on the resolved address
//! ([`super::connectors`]): never to a link-local or multicast one. Calls to connectors do not go through here: they
//! stream and are tied to a permit.
//!
//! No error and no `Debug` says the URL, a header or a body: each may hold a secret.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{CONTENT_LENGTH, USER_AGENT};
use axum::http::uri::Scheme;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::client::WantsClientCert;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::connectors::address::{GuardedResolver, HostKind};
use super::pem::{KeyPermissions, PemFileError, read_key_file};

const US: HeaderValue = HeaderValue::from_static(concat!("atb/", env!("CARGO_PKG_VERSION")));
/// For TCP alone; never longer than the whole.
const CONNECT: Duration = Duration::from_secs(3);
const POOL_IDLE: Duration = Duration::from_secs(20);
/// Requests to one system at once; more wait, within their deadline.
const AT_ONCE: usize = 16;
/// The largest secret.
const MAX_SECRET_BYTES: usize = 4096;

type HttpClient = Client<HttpsConnector<HttpConnector<GuardedResolver>>, Full<Bytes>>;

/// Why a system cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum OutgoingSetupError {
    /// Not an address to send to.
    #[error("the URL is not `https://host[:port]/…` without user, password or fragment")]
    Url,
    /// Plain http beyond this machine, or in production.
    #[error("plain http is taken only to a loopback address and only with `dev = true`; use https")]
    PlainHttp,
    /// A link-local, multicast or unspecified address.
    #[error("the URL names an address that nothing is ever sent to (link-local, multicast or unspecified)")]
    Address,
    /// Nobody could be trusted there.
    #[error(transparent)]
    Trust(#[from] RootsError),
}

/// Why there are no roots to trust.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// The roots cannot be read or hold no certificate.
    #[error("`{}` holds no usable certificate", .0.display())]
    File(PathBuf),
    /// The system's roots cannot be read.
    #[error("the system's root certificates cannot be read")]
    System(#[source] std::io::Error),
    /// The TLS library refuses its own defaults.
    #[error("TLS cannot be configured")]
    Tls(#[source] rustls::Error),
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OutgoingError {
    /// The request cannot be written as HTTP.
    #[error("the request is not valid HTTP")]
    Unsendable,
    /// No connection: nobody there, no such name, or TLS refused.
    #[error("no connection")]
    Unreachable,
    /// The connection broke before the whole answer was there.
    #[error("the connection broke")]
    Broken,
    /// The answer is larger than the limit.
    #[error("the answer is too large")]
    TooLarge,
    /// No whole answer in time.
    #[error("no answer in time")]
    Timeout,
}

/// A whole answer.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, at most as large as was set.
    pub body: Bytes,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// What one system may take.
#[derive(Debug, Clone, Copy)]
pub struct OutgoingLimits {
    /// From the wish to send until the whole answer is there.
    pub total: Duration,
    /// Of the answer's body.
    pub max_answer_bytes: usize,
}

/// A client of one system.
pub struct Outgoing {
    client: HttpClient,
    origin: (Option<Scheme>, String),
    limits: OutgoingLimits,
    places: Semaphore,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Outgoing {
    /// A client of the system behind `url`; nothing is connected yet.
    ///
    /// # Errors
    /// As the variants of [`OutgoingSetupError`] say.
    pub fn new(url: &Uri, ca: Option<&Path>, limits: OutgoingLimits, dev: bool) -> Result<Self, OutgoingSetupError> {
        Self::trusting(url, |plain| tls(ca, plain), limits, dev)
    }

    /// The same, where `config` says whom to believe.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(super) fn with_tls(
        url: &Uri,
        config: ClientConfig,
        limits: OutgoingLimits,
        dev: bool,
    ) -> Result<Self, OutgoingSetupError> {
        Self::trusting(url, |_| Ok(config), limits, dev)
    }

    fn trusting(
        url: &Uri,
        config: impl FnOnce(bool) -> Result<ClientConfig, RootsError>,
        limits: OutgoingLimits,
        dev: bool,
    ) -> Result<Self, OutgoingSetupError> {
        let authority = url.authority().ok_or(OutgoingSetupError::Url)?;
        let host = HostKind::of(authority.host());
        let plain = match url.scheme_str() {
            Some("https") => false,
            Some("http") => true,
            _ => return Err(OutgoingSetupError::Url),
        };
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(OutgoingSetupError::Url);
        }
        if plain && !(dev && host.is_this_machine()) {
            return Err(OutgoingSetupError::PlainHttp);
        }
        if host.is_never_an_upstream() {
            return Err(OutgoingSetupError::Address);
        }
        // The operator names the system, so a private address is as good as a public one.
        let mut tcp = HttpConnector::new_with_resolver(GuardedResolver::new(host, true));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT.min(limits.total)));
        let builder = HttpsConnectorBuilder::new().with_tls_config(config(plain)?);
        let builder = if plain { builder.https_or_http() } else { builder.https_only() };
        let https = builder.enable_http1().enable_http2().wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(4)
            .http1_max_buf_size(64 * 1024)
            .http1_max_headers(64)
            .http2_max_header_list_size(32 * 1024)
            .build(https);
        let origin = (url.scheme().cloned(), authority.to_string());
        Ok(Self { client, origin, limits, places: Semaphore::new(AT_ONCE) })
    }

    /// Sends `request` and reads the whole answer.
    ///
    /// # Errors
    /// As the variants of [`OutgoingError`] say; whether the request arrived is then not known.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, OutgoingError> {
        let uri = request.uri();
        if uri.scheme() != self.origin.0.as_ref() || uri.authority().is_none_or(|a| a.as_str() != self.origin.1) {
            return Err(OutgoingError::Unsendable);
        }
        timeout(self.limits.total, self.exchange(request)).await.unwrap_or(Err(OutgoingError::Timeout))
    }

    async fn exchange(&self, mut request: Request<Full<Bytes>>) -> Result<Answer, OutgoingError> {
        request.headers_mut().insert(USER_AGENT, US);
        let _place = self.places.acquire().await.map_err(|_| OutgoingError::Unreachable)?;
        let answer = self
            .client
            .request(request)
            .await
            .map_err(|error| if error.is_connect() { OutgoingError::Unreachable } else { OutgoingError::Broken })?;
        let announced = answer.headers().get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|bytes| bytes > self.limits.max_answer_bytes) {
            return Err(OutgoingError::TooLarge);
        }
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, self.limits.max_answer_bytes).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() { OutgoingError::TooLarge } else { OutgoingError::Broken }
        })?;
        Ok(Answer { status: parts.status, headers: parts.headers, body: body.to_bytes() })
    }
}

/// Whom we trust out there: the roots of one file, or the system's. A plain connection has none and does not ask.
pub(super) fn tls(ca: Option<&Path>, plain: bool) -> Result<ClientConfig, RootsError> {
    Ok(verifying(ca, plain)?.with_no_client_auth())
}

/// The same before it is said who we are.
pub(super) fn verifying(
    ca: Option<&Path>,
    plain: bool,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, RootsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(RootsError::Tls)?;
    Ok(match ca {
        Some(path) => builder.with_root_certificates(roots(path)?),
        None if plain => builder.with_root_certificates(RootCertStore::empty()),
        None => builder.with_native_roots().map_err(RootsError::System)?,
    })
}

fn roots(path: &Path) -> Result<RootCertStore, RootsError> {
    let unusable = || RootsError::File(path.to_owned());
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|_| unusable())? {
        store.add(certificate.map_err(|_| unusable())?).map_err(|_| unusable())?;
    }
    if store.is_empty() { Err(unusable()) } else { Ok(store) }
}

/// Why a secret was not read. Names the file, never what is in it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Unreadable, or readable by others.
    #[error(transparent)]
    File(#[from] PemFileError),
    /// Group or others may read or write it.
    #[error("the secret `{}` has mode {mode:04o}: other users can reach it; run `chmod 600` on it", path.display())]
    NotPrivate {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Empty, too long, or with characters that no header and no URL has.
    #[error("`{}` does not hold lines of 1 to {MAX_SECRET_BYTES} visible ASCII characters", .0.display())]
    Content(PathBuf),
}

/// The lines of a file that holds secrets, under the rules of private keys.
///
/// # Errors
/// As the variants of [`SecretError`] say.
pub fn read_secrets(path: &Path) -> Result<Vec<Zeroizing<String>>, SecretError> {
    let content = || SecretError::Content(path.to_owned());
    let bytes = read_key_file(path, KeyPermissions::OwnerOnly).map_err(|error| match error {
        PemFileError::KeyNotPrivate { path, mode } => SecretError::NotPrivate { path, mode },
        error => SecretError::File(error),
    })?;
    let text = std::str::from_utf8(&bytes).map_err(|_| content())?;
    let lines: Vec<_> = text.lines().map(|line| Zeroizing::new(line.to_owned())).collect();
    let visible = |line: &str| !line.is_empty() && line.bytes().all(|b| (b' '..=b'~').contains(&b));
    if lines.is_empty() || !lines.iter().all(|line| visible(line) && line.len() <= MAX_SECRET_BYTES) {
        return Err(content());
    }
    Ok(lines)
}

/// `text` with everything but RFC 3986's unreserved characters percent-encoded, so that it stays one segment or value.
pub fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            // Writing to a string does not fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: OutgoingLimits = OutgoingLimits { total: Duration::from_secs(1), max_answer_bytes: 10 };

    fn refused(url: &str, dev: bool) -> String {
        Outgoing::new(&url.parse().unwrap(), None, LIMITS, dev).unwrap_err().to_string()
    }

    #[test]
    fn only_https_goes_beyond_this_machine() {
        for url in ["http://127.0.0.1:1/x", "http://[::1]/", "http://localhost/"] {
            assert!(Outgoing::new(&url.parse().unwrap(), None, LIMITS, true).is_ok(), "{url}");
            assert!(refused(url, false).contains("plain http"), "{url}");
        }
        for url in ["http://10.0.0.1/", "http://tickets.example/", "http://127.0.0.1.example/"] {
            assert!(refused(url, true).contains("plain http"), "{url}");
        }
        assert!(refused("https://169.254.169.254/latest", true).contains("link-local"));
        assert!(refused("https://user:word@tickets.example/", true).contains("user, password"));
        assert!(refused("ftp://tickets.example/", true).contains("https://host"));
    }

    #[test]
    fn an_encoded_text_stays_one_segment() {
        assert_eq!(percent_encoded("OPS-77"), "OPS-77");
        assert_eq!(percent_encoded("../a?b#c d%ü"), "..%2Fa%3Fb%23c%20d%25%C3%BC");
    }
}
