//! The doors: accept, handshake, one proven identity a connection, then HTTP by what ALPN agreed.
//!
//! Handlers find the caller as the request extension [`Peer`]; there is no other source of identity. This file decides
//! nothing about who may do what, and renders no problem documents.
//!
//! INVARIANT: no request is served on a connection whose SVID has expired, or whose authority was taken out of the
//! bundle since. A timer closes the connection in good order; a check at each request holds even when the clock was
//! moved meanwhile.
//!
//! Everything is bounded: connections, those of one identity, handshakes at once and their time, header size and time,
//! streams, writes that wait, age. HTTP/1.1 goes through `strict_h1` first. The plain door is for the operations
//! listener and knows no identity.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::ServiceExt as _;

use super::fairness::Fairness;
use super::strict_h1::Gate;
use super::wire::Wire;
use crate::adapters::tls::{SharedTrust, handshake_failure, verify_chain};
use crate::domain::spiffe::{Purpose, SvidError, VerifiedSvid};
use crate::service::ports::Clock;

/// The caller, proven by the handshake of the connection that the request came on.
#[derive(Debug, Clone)]
pub struct Peer(pub Arc<VerifiedSvid>);

/// Told about every handshake that failed: from where, and why (a closed list, see
/// [`crate::adapters::tls::handshake_failure`]).
pub type HandshakeErrorHook = Arc<dyn Fn(SocketAddr, &'static str) + Send + Sync>;

/// What one door may cost.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// Open connections, those in handshake included; more wait in the kernel's backlog.
    pub connections: usize,
    /// From accept to the end of the handshake.
    pub handshake: Duration,
    /// Handshakes under way; more connections wait for their turn, within the same time.
    pub handshakes: usize,
    /// For the head of an HTTP/1.1 request; an idle connection ends after it too.
    pub header_read: Duration,
    /// Head of a request, in bytes.
    pub header_bytes: u32,
    /// HTTP/2 streams of one connection at a time.
    pub streams: u32,
    /// A connection ends in good order at this age, or with its SVID, whichever comes first.
    pub max_age: Duration,
    /// How long a write may wait for a reader that takes nothing.
    pub stall: Duration,
    /// How long requests in flight may take once a connection or the door is closing.
    pub drain: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 4096,
            handshake: Duration::from_secs(10),
            handshakes: 1024,
            header_read: Duration::from_secs(30),
            header_bytes: 64 * 1024,
            streams: 128,
            max_age: Duration::from_secs(3600),
            stall: Duration::from_secs(60),
            drain: Duration::from_secs(30),
        }
    }
}

/// What an mTLS door needs besides its address.
#[derive(Clone)]
pub struct Mtls {
    /// From [`crate::adapters::tls::server_config`].
    pub tls: Arc<ServerConfig>,
    /// The same bundles that the configuration verifies against. Whoever is in one of them may connect: a door that
    /// federated domains may not use gets bundles without them.
    pub trust: SharedTrust,
    /// Says when an SVID has expired.
    pub clock: Arc<dyn Clock>,
    /// Counts and records failed handshakes.
    pub on_handshake_error: HandshakeErrorHook,
    /// How many connections one identity may have.
    pub fairness: Arc<Fairness>,
    /// Why no handshake is made at the moment: our own identity is out of date. A reason of a closed list.
    pub closed: Arc<dyn Fn() -> Option<&'static str> + Send + Sync>,
}

/// Serves `app` over mTLS until `shutdown` is true or dropped, then lets requests in flight finish.
pub async fn serve_mtls(
    listener: TcpListener,
    mtls: Mtls,
    app: Router,
    limits: ConnectionLimits,
    shutdown: watch::Receiver<bool>,
) {
    let stop = shutdown.clone();
    let turns = Arc::new(Semaphore::new(limits.handshakes));
    let serve = move |stream, address| {
        mtls_connection(stream, address, mtls.clone(), app.clone(), limits, turns.clone(), stop.clone())
    };
    accept_until_shutdown(listener, limits, shutdown, serve).await;
}

/// Serves `app` over plain HTTP/1.1, for health and metrics; same limits, no identity.
pub async fn serve_plain(
    listener: TcpListener,
    app: Router,
    limits: ConnectionLimits,
    shutdown: watch::Receiver<bool>,
) {
    let stop = shutdown.clone();
    let serve = move |stream, _| {
        serve_http(stream, Protocol::Http1, Caller::Unknown, app.clone(), limits, limits.max_age, stop.clone())
    };
    accept_until_shutdown(listener, limits, shutdown, serve).await;
}

/// How long to wait after an accept that failed, for instance because file descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

async fn accept_until_shutdown<F>(
    listener: TcpListener,
    limits: ConnectionLimits,
    mut shutdown: watch::Receiver<bool>,
    serve: impl Fn(TcpStream, SocketAddr) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accept = async {
            let permit = permits.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            () = stopped(&mut shutdown) => break,
            accepted = accept => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                // Nagle would hold back small answers for 40 ms; without the option the connection still works.
                let _ = stream.set_nodelay(true);
                let connection = serve(stream, address);
                connections.spawn(async move {
                    connection.await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed; trying again");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    // Each connection drains by itself; the second is for the last bytes.
    let all_ended = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(limits.drain + Duration::from_secs(1), all_ended).await;
}

/// Returns once `shutdown` is true or its sender is gone.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}

async fn mtls_connection(
    stream: TcpStream,
    address: SocketAddr,
    mtls: Mtls,
    app: Router,
    limits: ConnectionLimits,
    turns: Arc<Semaphore>,
    shutdown: watch::Receiver<bool>,
) {
    if let Some(reason) = (mtls.closed)() {
        return (mtls.on_handshake_error)(address, reason);
    }
    let handshake = async {
        // A handshake costs a signature: as many at once as were said, the rest in turn.
        let _turn = turns.acquire_owned().await;
        TlsAcceptor::from(mtls.tls.clone()).accept(stream).into_fallible().await
    };
    let stream = match timeout(limits.handshake, handshake).await {
        Ok(Ok(stream)) => stream,
        Ok(Err((error, stream))) => {
            (mtls.on_handshake_error)(address, handshake_failure(&error));
            return let_the_alert_arrive(stream).await;
        }
        Err(_) => return (mtls.on_handshake_error)(address, "tls_handshake_timeout"),
    };
    let svid = match peer_svid(&stream, &mtls) {
        Ok(svid) => Arc::new(svid),
        Err(error) => return (mtls.on_handshake_error)(address, error.code()),
    };
    let Some(_place) = mtls.fairness.connect(svid.id()) else { return };
    let age = limits.max_age.min(svid.expires_at().since(mtls.clock.now()));
    let protocol = match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => Protocol::Http2,
        _ => Protocol::Http1,
    };
    let caller = Caller::Proven(Peer(svid), mtls.clock, mtls.trust);
    serve_http(stream, protocol, caller, app, limits, age, shutdown).await;
}

/// The identity of the connection; the handshake has proven possession of its key.
fn peer_svid(stream: &TlsStream<TcpStream>, mtls: &Mtls) -> Result<VerifiedSvid, SvidError> {
    let chain = stream.get_ref().1.peer_certificates().ok_or(SvidError::Missing)?;
    verify_chain(chain, &mtls.trust, Purpose::Client, mtls.clock.now())
}

/// Closing a socket with unread bytes resets the connection, and the client would read "reset" instead of our alert:
/// read a little, for a moment.
async fn let_the_alert_arrive(mut stream: TcpStream) {
    let _ = stream.shutdown().await;
    let mut rest = stream.take(64 * 1024);
    let _ = timeout(Duration::from_millis(500), tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
}

#[derive(Clone, Copy)]
enum Protocol {
    Http1,
    Http2,
}

/// Who is at the other end.
#[derive(Clone)]
enum Caller {
    /// Anybody who reaches the operations listener.
    Unknown,
    /// The workload of this SVID, for as long as the clock says and its authority is trusted.
    Proven(Peer, Arc<dyn Clock>, SharedTrust),
}

/// The SVID of the connection expired, or nobody vouches for it any more: the request gets no answer, the connection
/// ends.
#[derive(Debug, thiserror::Error)]
#[error("the SVID of this connection is not good any more")]
struct PeerExpired;

async fn serve_http<S>(
    stream: S,
    protocol: Protocol,
    caller: Caller,
    app: Router,
    limits: ConnectionLimits,
    age: Duration,
    mut shutdown: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| answer(request, caller.clone(), app.clone()));
    let builder = http_builder(protocol, limits);
    let gate = matches!(protocol, Protocol::Http1).then(|| Gate::new(max_head(limits)));
    let stream = Wire::new(stream, gate, limits.stall);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // An error here is the peer's (reset, bad HTTP) or `PeerExpired`; hyper has answered what can be answered.
        _ = connection.as_mut() => return,
        () = sleep(age) => {}
        () = stopped(&mut shutdown) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(limits.drain, connection).await;
}

async fn answer(
    mut request: Request<Incoming>,
    caller: Caller,
    app: Router,
) -> Result<Response<Body>, Box<dyn Error + Send + Sync>> {
    if let Caller::Proven(peer, clock, trust) = caller {
        if clock.now() > peer.0.expires_at() || !trust.load().still_vouch_for(&peer.0) {
            return Err(PeerExpired.into());
        }
        request.extensions_mut().insert(peer);
    }
    app.oneshot(request).await.map_err(|never: Infallible| match never {})
}

/// The most bytes of a head; the library takes no less than 8 KiB.
fn max_head(limits: ConnectionLimits) -> usize {
    usize::try_from(limits.header_bytes).unwrap_or(usize::MAX).max(8 * 1024)
}

fn http_builder(protocol: Protocol, limits: ConnectionLimits) -> auto::Builder<TokioExecutor> {
    let mut builder = match protocol {
        Protocol::Http1 => auto::Builder::new(TokioExecutor::new()).http1_only(),
        Protocol::Http2 => auto::Builder::new(TokioExecutor::new()).http2_only(),
    };
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_read).max_buf_size(max_head(limits));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.header_bytes)
        .keep_alive_interval(limits.header_read)
        .keep_alive_timeout(limits.handshake);
    builder
}
