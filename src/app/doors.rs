//! The listeners. All are bound before any takes a request, so that a taken port refuses the start as a whole.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::background::HandshakeFailures;
use super::status::OpsStatus;
use super::{Addresses, Core, Mode, parts};
use crate::adapters::http::access::{Doorkeeper, admit, admit_connection};
use crate::adapters::http::agentauth::{self, AgentAuth};
use crate::adapters::http::broker::{self, BrokerDoor, InFlight};
use crate::adapters::http::callers::{CallerDoor, identified};
use crate::adapters::http::fairness::share;
use crate::adapters::http::gate::hold_back;
use crate::adapters::http::log::LogReading;
use crate::adapters::http::ops;
use crate::adapters::http::queue_events::Streams;
use crate::adapters::http::server::{ConnectionLimits, Mtls, serve_mtls, serve_plain};
use crate::adapters::metrics::time_requests;
use crate::adapters::tls::{SvidSource, server_config};
use crate::config::{Door, DoorName};
use crate::service::issuer::Issuer;
use crate::service::transparency::Transparency;

/// A door that is bound and not served yet.
struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    svid: Arc<SvidSource>,
    app: Router,
}

type Opened = (JoinSet<()>, Addresses, Option<Arc<Issuer>>);

pub(super) async fn open(
    core: &Arc<Core>,
    mode: Mode,
    in_flight: &InFlight,
    handshakes: &Arc<HandshakeFailures>,
    stopping: watch::Receiver<bool>,
) -> anyhow::Result<Opened> {
    let log = Transparency::new(core.config.ledger.readers.clone(), core.sqlite.clone());
    let log = Arc::new(LogReading::new(log));
    let api_readers: Arc<[_]> = core.config.api_readers.clone().into();
    let mut issuer = None;
    let mut keys = None;
    let mut agentauth_door = None;
    if mode.agentauth() {
        let (made, published) = core.issuer()?;
        let streams = Arc::new(Streams::new(core.clock.clone(), stopping.clone()));
        let door = &core.config.agentauth.as_ref().context("the configuration has no [agentauth]")?.door;
        let state = AgentAuth {
            callers: core.callers(DoorName::Agentauth, door),
            issuer: Arc::clone(&made),
            withdrawals: Arc::clone(&core.withdrawn),
            audit: Arc::clone(&core.audit),
            api_readers: Arc::clone(&api_readers),
            log: Arc::clone(&log),
            keys: Arc::clone(&published),
            streams,
        };
        let app = guarded(core, agentauth::router(state.clone()), state, handshakes);
        agentauth_door = Some(bind(core, door, app, "agentauth").await?);
        (issuer, keys) = (Some(made), Some(published));
    }
    let mut broker_door = None;
    if mode.broker() {
        let keys = match keys {
            Some(keys) => keys,
            None => parts::read_jwks(&core.config)?,
        };
        let made = core.broker(keys)?;
        // The same path after a crash and after an orderly stop: what is in doubt is settled before a new call.
        let in_doubt = made.settle_calls_in_doubt().await.map_err(|refusal| anyhow::Error::msg(refusal.detail))?;
        if in_doubt > 0 {
            tracing::warn!(calls = in_doubt, "calls without an outcome from before are recorded as unknown");
        }
        made.restore_counters().await.map_err(|refusal| anyhow::Error::msg(refusal.detail))?;
        let upstreams = Arc::clone(&core.upstreams);
        let withdrawals = Arc::clone(&core.withdrawn);
        let audit = Arc::clone(&core.audit);
        let door = &core.config.broker.as_ref().context("the configuration has no [broker]")?.door;
        let callers = core.callers(DoorName::Broker, door);
        let (fairness, in_flight) = (Arc::clone(&core.fairness), in_flight.clone());
        let jwt_svids = core.jwt_svids(door);
        let state = BrokerDoor {
            broker: made,
            callers,
            withdrawals,
            audit,
            api_readers,
            log,
            upstreams,
            jwt_svids,
            fairness,
            in_flight,
        };
        let app = guarded(core, broker::router(state.clone()), state, handshakes);
        broker_door = Some(bind(core, door, app, "broker").await?);
    }
    let ops = listen(core.config.ops).await?;
    let addresses = Addresses {
        agentauth: agentauth_door.as_ref().map(|door| door.address),
        broker: broker_door.as_ref().map(|door| door.address),
        ops: ops.local_addr()?,
    };
    let status = Arc::new(OpsStatus::new(Arc::clone(core)));
    let limits = ConnectionLimits {
        connections: core.config.connections,
        drain: core.config.drain,
        ..ConnectionLimits::default()
    };
    let mut doors = JoinSet::new();
    for door in [agentauth_door, broker_door].into_iter().flatten() {
        let failures = Arc::clone(handshakes);
        let metrics = core.metrics.clone();
        let (trust, identities) = (core.identities.at_doors(), Arc::clone(&core.identities));
        let mtls = Mtls {
            tls: server_config(door.svid, Arc::clone(&trust), core.clock.clone())?,
            trust,
            clock: core.clock.clone(),
            fairness: Arc::clone(&core.fairness),
            on_handshake_error: Arc::new(move |_, reason| {
                metrics.handshake_failed(reason);
                failures.count(reason, None);
            }),
            closed: Arc::new(move || identities.problem().map(|stale| stale.code())),
        };
        doors.spawn(serve_mtls(door.listener, mtls, door.app, limits, stopping.clone()));
    }
    doors.spawn(serve_plain(ops, ops::router(status), limits, stopping));
    Ok((doors, addresses, issuer))
}

/// What every request passes: is the connection's identity on a list, who calls on it, is the caller on a list, and the
/// bound of the sinks.
fn guarded<D: CallerDoor>(core: &Core, app: Router, door: D, refused: &Arc<HandshakeFailures>) -> Router {
    let held = axum::middleware::from_fn_with_state(Arc::clone(&core.gate), hold_back);
    let (metrics, counted) = (core.metrics.clone(), Arc::clone(refused));
    let keeper = Doorkeeper {
        access: Arc::new(core.config.trust.access.clone()),
        callers: Arc::clone(door.callers()),
        identities: Arc::clone(&core.identities),
        on_refused: Arc::new(move |caller, reason| {
            metrics.handshake_failed(reason);
            counted.count(reason, Some(caller.trust_domain()));
        }),
    };
    let app = app.layer(held).layer(axum::middleware::from_fn_with_state(keeper.clone(), admit));
    identified(app, door).layer(axum::middleware::from_fn_with_state(keeper, admit_connection))
}

async fn bind(core: &Core, door: &Door, app: Router, name: &'static str) -> anyhow::Result<Bound> {
    let svid = core.identities.svid(&door.spiffe_id).context("the identity of a door is missing")?;
    let listener = listen(door.listen).await?;
    let address = listener.local_addr()?;
    let timed = axum::middleware::from_fn_with_state((core.metrics.clone(), name), time_requests);
    let shared = axum::middleware::from_fn_with_state(Arc::clone(&core.fairness), share);
    let app = app.layer(shared).layer(timed).layer(tower_http::catch_panic::CatchPanicLayer::custom(panicked));
    Ok(Bound { listener, address, svid, app })
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// A panic in a handler is an internal error to its caller and to nobody else.
fn panicked(_: Box<dyn std::any::Any + Send>) -> axum::response::Response {
    use crate::adapters::http::problem::Problem;
    use crate::service::refusal::{Code, Refusal};
    use axum::response::IntoResponse as _;
    Problem(Refusal::new(Code::Internal, "a handler panicked")).into_response()
}
