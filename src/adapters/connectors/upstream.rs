//! The call itself: one request to one upstream over pooled connections.
//!
//! No redirect is followed, nothing is retried once a byte may have left, an answer is never decompressed. Interim
//! answers (1xx) are skipped, trailers are dropped in both directions, a protocol switch is a fault. Each call that is
//! started is reported exactly once, even if the caller's task is dropped on the way.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, USER_AGENT};
use axum::http::uri::{PathAndQuery, Scheme};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::address::{ForbiddenAddress, GuardedResolver};
use super::answer::{AnswerBody, CallEnd, CallFault, Completion};
use super::breaker::{Breaker, CircuitOpen, CircuitState, Pass};
use super::canonical::Forward;
use super::client_identity::{self, OurIdentity};
use super::config::{Connector, Connectors, UpstreamBase};
use super::credentials::{CredentialError, JwtSvids};
use super::headers;
use super::rate::{Meter, TooEarly};
use crate::domain::action::Method;
use crate::domain::id::{ConnectorId, DecisionId, Sha256Digest};
use crate::domain::spiffe::SpiffeId;
use crate::service::broker::{CallInDoubt, Permit};

const DECISION_ID: HeaderName = HeaderName::from_static("x-atb-decision-id");
const ACT: HeaderName = HeaderName::from_static("x-atb-act");
const US: HeaderValue = HeaderValue::from_static(concat!("atb/", env!("CARGO_PKG_VERSION")));

/// The head of an answer, and the most of a body that is read ahead of its reader.
const MAX_BUFFER_BYTES: usize = 256 * 1024;
const MAX_HEADERS: usize = 128;
/// Shorter than the keep-alive of common servers, so that a call seldom meets a connection that is being closed.
const POOL_IDLE: Duration = Duration::from_secs(20);
const MAX_IDLE_CONNECTIONS: usize = 64;

type HttpClient = Client<HttpsConnector<HttpConnector<GuardedResolver>>, Body>;

/// Why an upstream cannot be called at all.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// The connector's own roots cannot be read or hold no certificate.
    #[error("connector `{0}`: `ca_file` holds no usable certificate")]
    Roots(ConnectorId),
    /// The certificate that the upstream's owner gave us, or its key, cannot be used.
    #[error("connector `{0}`: `cert_file` and `key_file` are no certificate and its key, which only its owner reads")]
    ClientIdentity(ConnectorId),
    /// A connector that wants our SVID, and no broker that has one.
    #[error("connector `{0}` needs the broker's SVID, and this process has none")]
    NoSvid(ConnectorId),
    /// The system's roots cannot be read.
    #[error("the system's root certificates cannot be read")]
    SystemRoots(#[source] std::io::Error),
    /// The TLS library refuses its own defaults.
    #[error("TLS cannot be configured")]
    Tls(#[source] rustls::Error),
}

/// The upstreams of one snapshot of connectors.
#[derive(Default)]
pub struct UpstreamPool {
    upstreams: HashMap<ConnectorId, Arc<Upstream>>,
}

impl std::fmt::Debug for UpstreamPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.upstreams.keys()).finish()
    }
}

struct Upstream {
    connector: Arc<Connector>,
    fingerprint: Sha256Digest,
    client: HttpClient,
    slots: Arc<Semaphore>,
    meter: Arc<Meter>,
    breaker: Arc<Breaker>,
}

/// Why no call can be made now. Nothing was spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPlace {
    /// There is no such connector.
    Unknown,
    /// As many calls as may be are under way.
    Full,
    /// The upstream failed too often of late.
    Circuit(CircuitOpen),
    /// All agents together have called too often.
    Rate(TooEarly),
}

impl UpstreamPool {
    /// Clients for all of `connectors`; nothing is connected yet. `ours` is for upstreams that want to see our SVID.
    ///
    /// # Errors
    /// When certificates cannot be had.
    pub fn new(connectors: &Connectors, ours: Option<&OurIdentity>) -> Result<Self, PoolError> {
        Self::default().succeed(connectors, ours)
    }

    /// The pool of another snapshot. A connector in which nothing has changed keeps its connections; one that has changed
    /// keeps what was counted, as far as it is counted by the same measure.
    ///
    /// # Errors
    /// When certificates cannot be had; nothing has changed then.
    pub fn succeed(&self, connectors: &Connectors, ours: Option<&OurIdentity>) -> Result<Self, PoolError> {
        let upstream = |connector: &Arc<Connector>| {
            let (fingerprint, before) = (connector.fingerprint(), self.upstreams.get(&connector.name));
            let upstream = match before {
                Some(before) if before.fingerprint == fingerprint => Arc::clone(before),
                _ => Arc::new(Upstream::new(connector, fingerprint, before.map(Arc::as_ref), ours)?),
            };
            Ok((connector.name.clone(), upstream))
        };
        Ok(Self { upstreams: connectors.iter().map(upstream).collect::<Result<_, _>>()? })
    }

    /// Counts one call of `agent`; asked at the door, before anything is verified.
    ///
    /// # Errors
    /// When the agent has called that connector too often.
    pub fn count_agent(&self, connector: &ConnectorId, agent: &SpiffeId) -> Result<(), TooEarly> {
        self.upstreams.get(connector).map_or(Ok(()), |upstream| upstream.meter.agent(agent))
    }

    /// A place among the connector's calls; asked for before a mandate is burned.
    ///
    /// # Errors
    /// When there is none now.
    pub fn reserve(&self, connector: &ConnectorId) -> Result<Slot, NoPlace> {
        let upstream = Arc::clone(self.upstreams.get(connector).ok_or(NoPlace::Unknown)?);
        let permit = Arc::clone(&upstream.slots).try_acquire_owned().map_err(|_| NoPlace::Full)?;
        let pass = upstream.breaker.admit(Instant::now()).map_err(NoPlace::Circuit)?;
        upstream.meter.all().map_err(NoPlace::Rate)?;
        Ok(Slot { upstream, permit, pass, credential: None })
    }

    /// What each circuit lets through, and how often it has opened.
    pub fn circuits(&self) -> impl Iterator<Item = (&ConnectorId, CircuitState, u64)> {
        self.upstreams.iter().map(|(name, upstream)| {
            let (state, opened) = upstream.breaker.state(Instant::now());
            (name, state, opened)
        })
    }
}

/// The right to make one call now.
pub struct Slot {
    upstream: Arc<Upstream>,
    permit: OwnedSemaphorePermit,
    pass: Pass,
    credential: Option<(HeaderName, HeaderValue)>,
}

/// The head of an answer, and its body still to come.
#[derive(Debug)]
pub struct UpstreamResponse {
    /// The upstream's status.
    pub status: StatusCode,
    /// Its headers without those of one hop.
    pub headers: HeaderMap,
    /// Its body.
    pub body: AnswerBody,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error("the upstream gave no answer: {}", .fault.code())]
pub struct UpstreamError {
    /// What went wrong, as it was reported to `on_end`.
    pub fault: CallFault,
    /// What the network said.
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl From<CallFault> for UpstreamError {
    fn from(fault: CallFault) -> Self {
        Self { fault, source: None }
    }
}

impl Slot {
    /// With the credential that the upstream wants to see, so that one that is not to be had costs no mandate.
    ///
    /// # Errors
    /// When it is not to be had.
    pub async fn equip(mut self, svids: Option<&Arc<dyn JwtSvids>>) -> Result<Self, CredentialError> {
        if let Some(credentials) = &self.upstream.connector.credentials {
            self.credential = Some(credentials.header(svids).await?);
        }
        Ok(self)
    }

    /// Makes the one call that `permit` allows: the only way to an upstream (invariant 6).
    ///
    /// `on_end` is called exactly once, with the call that is in doubt until its outcome is on record.
    ///
    /// # Errors
    /// As `send`.
    pub async fn call(
        self,
        permit: Permit,
        forward: Forward,
        on_end: impl FnOnce(CallEnd, CallInDoubt) + Send + 'static,
    ) -> Result<UpstreamResponse, UpstreamError> {
        let decision = permit.decision_id();
        let (_, doubt) = permit.spend();
        self.send(forward, &decision, move |end| on_end(end, doubt)).await
    }

    /// Sends `forward` and waits for the head of the answer.
    ///
    /// `on_end` is called exactly once: here when there is no answer, else when its body has ended, failed or was
    /// dropped; also when this future is dropped.
    ///
    /// # Errors
    /// When there is no answer, or one that is not passed on.
    async fn send(
        self,
        forward: Forward,
        decision: &DecisionId,
        on_end: impl FnOnce(CallEnd) + Send + 'static,
    ) -> Result<UpstreamResponse, UpstreamError> {
        let pass = self.pass;
        let mut completion = Completion::start(move |end| {
            pass.settle(&end);
            on_end(end);
        });
        let connector = &self.upstream.connector;
        let is_head = forward.method == Method::Head;
        let answer = match self.upstream.exchange(forward, self.credential, decision).await {
            Ok(answer) => answer,
            Err(error) => {
                completion.finish(Some(error.fault));
                return Err(error);
            }
        };
        let (mut head, body) = answer.into_parts();
        completion.status = Some(head.status.as_u16());
        if let Some(fault) = fault_of(head.status, &head.headers, connector.limits.max_response_bytes, is_head) {
            completion.finish(Some(fault));
            return Err(fault.into());
        }
        headers::strip_answer(&mut head.headers);
        let limits = connector.limits;
        let body = AnswerBody::new(body, limits, completion, self.permit);
        Ok(UpstreamResponse { status: head.status, headers: head.headers, body })
    }
}

/// What is wrong with an answer by its head alone.
fn fault_of(status: StatusCode, headers: &HeaderMap, limit: u64, is_head: bool) -> Option<CallFault> {
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Some(CallFault::Switched);
    }
    let announced = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    let has_body = !is_head && status != StatusCode::NOT_MODIFIED;
    (has_body && announced.is_some_and(|bytes| bytes > limit)).then_some(CallFault::TooLarge)
}

impl Upstream {
    fn new(
        connector: &Arc<Connector>,
        fingerprint: Sha256Digest,
        before: Option<&Self>,
        ours: Option<&OurIdentity>,
    ) -> Result<Self, PoolError> {
        let slots = before.filter(|b| b.connector.limits.max_concurrent == connector.limits.max_concurrent);
        let meter = before.filter(|b| b.meter.rate() == connector.rate);
        // Another upstream has another health.
        let same_place = |b: &&Self| b.connector.egress() == connector.egress();
        let breaker = before.filter(same_place).filter(|b| b.breaker.settings() == connector.breaker);
        Ok(Self {
            client: client(connector, ours)?,
            fingerprint,
            slots: slots.map_or_else(
                || Arc::new(Semaphore::new(connector.limits.max_concurrent)),
                |before| Arc::clone(&before.slots),
            ),
            meter: meter.map_or_else(|| Arc::new(Meter::new(connector.rate)), |before| Arc::clone(&before.meter)),
            breaker: breaker
                .map_or_else(|| Arc::new(Breaker::new(connector.breaker)), |before| Arc::clone(&before.breaker)),
            connector: Arc::clone(connector),
        })
    }

    async fn exchange(
        &self,
        forward: Forward,
        credential: Option<(HeaderName, HeaderValue)>,
        decision: &DecisionId,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let request = self.request(forward, credential, decision)?;
        match tokio::time::timeout(self.connector.limits.request, self.client.request(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(UpstreamError { fault: fault_of_error(&error), source: Some(error.into()) }),
            Err(_) => Err(CallFault::Timeout.into()),
        }
    }

    /// The request as sent. `Host` is the connector's, set by the client from the URL; ours come last.
    fn request(
        &self,
        forward: Forward,
        credential: Option<(HeaderName, HeaderValue)>,
        decision: &DecisionId,
    ) -> Result<Request<Body>, UpstreamError> {
        let unsendable =
            |error: axum::http::Error| UpstreamError { fault: CallFault::Unreachable, source: Some(error.into()) };
        let mut request = Request::builder()
            .method(forward.method.as_str())
            .uri(url(&self.connector.upstream, &forward.target).map_err(unsendable)?)
            .body(forward.body)
            .map_err(unsendable)?;
        let mut headers = forward.headers;
        let visible = |text: &str| HeaderValue::from_str(text).map_err(|error| unsendable(error.into()));
        headers.insert(USER_AGENT, US);
        headers.insert(DECISION_ID, visible(&decision.to_string())?);
        headers.insert(ACT, visible(forward.act.as_str())?);
        match credential {
            Some((name, value)) => drop(headers.insert(name, value)),
            // INVARIANT: whoever reserved the slot equipped it. A call without its credential is not made.
            None if self.connector.credentials.is_some() => return Err(CallFault::Unreachable.into()),
            None => {}
        }
        *request.headers_mut() = headers;
        Ok(request)
    }
}

fn url(base: &UpstreamBase, target: &str) -> Result<Uri, axum::http::Error> {
    let path: PathAndQuery = format!("{}{target}", base.base_path).parse()?;
    Uri::builder().scheme(base.scheme.clone()).authority(base.authority.clone()).path_and_query(path).build()
}

fn fault_of_error(error: &hyper_util::client::legacy::Error) -> CallFault {
    if !error.is_connect() {
        return CallFault::Broken;
    }
    let mut source: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(cause) = source {
        // An io::Error hides the error inside it from `source()`.
        let inside = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if inside.is_some_and(|inner| inner.is::<ForbiddenAddress>()) {
            return CallFault::ForbiddenAddress;
        }
        source = cause.source();
    }
    CallFault::Unreachable
}

fn client(connector: &Connector, ours: Option<&OurIdentity>) -> Result<HttpClient, PoolError> {
    let resolver = GuardedResolver::new(connector.upstream.host, connector.allow_private);
    let mut tcp = HttpConnector::new_with_resolver(resolver);
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(connector.limits.connect));
    let plain = connector.upstream.scheme == Scheme::HTTP;
    let builder = HttpsConnectorBuilder::new().with_tls_config(client_identity::config(connector, plain, ours)?);
    let builder = if plain { builder.https_or_http() } else { builder.https_only() };
    let https = builder.enable_http1().enable_http2().wrap_connector(tcp);
    // `retry_canceled_requests` stays on: it sends again only what never left the queue of a pooled connection that
    // the upstream closed meanwhile, so a call is never made twice.
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS.min(connector.limits.max_concurrent))
        .http1_max_buf_size(MAX_BUFFER_BYTES)
        .http1_max_headers(MAX_HEADERS)
        .http2_max_header_list_size(64 * 1024)
        .build(https))
}

#[cfg(test)]
mod tests;
