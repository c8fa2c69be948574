//! The broker's door: `ANY /c/{connector}/{path}`, `POST /v1/decide` and `POST /v1/data/{path}`.
//!
//! A call goes through [`Broker::enforce`] and reaches its connector with the permit that comes out, or not at all. The
//! answer streams back; when it has ended, however it ended, its outcome is recorded by a task that a shutdown waits
//! for.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use axum::{Extension, Json, Router};
use serde::Deserialize;
use tokio::sync::watch;

use super::audit::{self, AuditDoor};
use super::authzen;
use super::body;
use super::callers::CallerDoor;
use super::ext_authz;
use super::fairness::{Fairness, Refused};
use super::leg::{self, LegDoor};
use super::log::{self, LogDoor, LogReading};
use super::openapi::{self, ApiDoor, Door};
use super::problem::Problem;
use super::report;
use super::server::Peer;
use crate::adapters::connectors::{
    CallEnd, CallFault, CallRefused, CircuitOpen, Connectors, CredentialError, Forward, JwtSvids, MatchedRoute,
    NoPlace, Slot, Target, TooEarly, UpstreamPool, trace_id,
};
use crate::domain::action::CallRequest;
use crate::domain::id::Sha256Digest;
use crate::domain::ledger::Outcome;
use crate::domain::spiffe::{SpiffeId, VerifiedSvid};
use crate::service::audit::AuditReads;
use crate::service::broker::{Asked, Broker, CallInDoubt, CallOutcome, IncomingCall};
use crate::service::callers::Callers;
use crate::service::refusal::{Code, Refusal};
use crate::service::wanted::NamedCall;
use crate::service::withdrawals::LegWithdrawals;

/// The connectors in force and their pooled connections.
pub struct Upstreams {
    /// Of everything that they are made of: what has another one has changed.
    pub fingerprint: Sha256Digest,
    /// The route tables.
    pub connectors: Connectors,
    /// The connections.
    pub pool: UpstreamPool,
}

impl Default for Upstreams {
    /// None at all.
    fn default() -> Self {
        let fingerprint = Sha256Digest::of(b"");
        Self { fingerprint, connectors: Connectors::default(), pool: UpstreamPool::default() }
    }
}

/// What the handlers share.
#[derive(Clone)]
pub struct BrokerDoor {
    /// The use cases.
    pub broker: Arc<Broker>,
    /// Who calls.
    pub callers: Arc<Callers>,
    /// The withdrawals of this process.
    pub withdrawals: Arc<LegWithdrawals>,
    /// The readers of the record.
    pub audit: Arc<AuditReads>,
    /// The readers of the description of the API.
    pub api_readers: Arc<[SpiffeId]>,
    /// The ledger, for its readers.
    pub log: Arc<LogReading>,
    /// The connectors.
    pub upstreams: Arc<ArcSwap<Upstreams>>,
    /// Counts what is refused before anything is verified.
    pub fairness: Arc<Fairness>,
    /// Who gives the JWT-SVIDs that connectors ask for.
    pub jwt_svids: Option<Arc<dyn JwtSvids>>,
    /// Outcomes that are being recorded: a clone lives as long as one is not on record.
    pub in_flight: InFlight,
}

/// Counts what a shutdown must wait for. Each clone of the sender is one call whose outcome is not on record.
#[derive(Clone)]
pub struct InFlight(watch::Sender<()>);

impl Default for InFlight {
    fn default() -> Self {
        Self(watch::Sender::new(()))
    }
}

impl InFlight {
    /// Waits until every call's outcome is on record. `self` must be the last handle beside those of calls.
    pub async fn settled(self) {
        let mut receiver = self.0.subscribe();
        drop(self);
        while receiver.changed().await.is_ok() {}
    }
}

impl LogDoor for BrokerDoor {
    fn log(&self) -> &Arc<LogReading> {
        &self.log
    }

    async fn refused_reader(&self, caller: &SpiffeId, refusal: Refusal) -> Refusal {
        self.broker.refuse_at_door(caller, refusal).await
    }
}

impl LegDoor for BrokerDoor {
    fn withdrawals(&self) -> &LegWithdrawals {
        &self.withdrawals
    }

    async fn refused(&self, caller: &SpiffeId, refusal: Refusal) -> Refusal {
        self.broker.refuse_at_door(caller, refusal).await
    }
}

impl CallerDoor for BrokerDoor {
    fn callers(&self) -> &Arc<Callers> {
        &self.callers
    }
}

impl AuditDoor for BrokerDoor {
    fn audit(&self) -> &AuditReads {
        &self.audit
    }
}

impl ApiDoor for BrokerDoor {
    const DOOR: Door = Door::Broker;

    fn may_read_api(&self, caller: &VerifiedSvid) -> bool {
        self.api_readers.contains(caller.id())
    }
}

/// The routes of the broker.
pub fn router(state: BrokerDoor) -> Router {
    Router::new()
        .route("/c/{connector}/{*path}", any(call))
        .route("/v1/decide", post(decide))
        .route("/v1/data/{*path}", post(data).get(data_by_parameter))
        .merge(authzen::routes())
        .merge(ext_authz::routes(Arc::clone(&state.broker), Arc::clone(&state.upstreams)))
        .merge(leg::routes())
        .merge(audit::routes())
        .merge(report::routes())
        .merge(log::routes())
        .merge(openapi::routes())
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(axum::middleware::from_fn_with_state(state.clone(), admit))
        .with_state(state)
}

/// A method of no use here ends the request here, on record.
async fn admit(
    State(door): State<BrokerDoor>,
    Extension(Peer(peer)): Extension<Peer>,
    request: Request,
    next: axum::middleware::Next,
) -> Response {
    match body::no_foreign_method(request.method()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => {
            let problem = Problem(door.broker.refuse_at_door(peer.id(), refusal).await);
            ([body::ALLOWED], problem).into_response()
        }
    }
}

/// `ANY /c/{connector}/{path}`
async fn call(
    State(door): State<BrokerDoor>,
    Extension(Peer(peer)): Extension<Peer>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let upstreams = door.upstreams.load_full();
    if let Err(refusal) = in_time(&upstreams, &parts, peer.id()) {
        // Counted and written down in sums: an agent that floods must not fill the disk.
        door.fairness.refused(Refused::AgentRate, peer.id());
        return Err(refusal.into());
    }
    let token = match credential(&parts.headers, peer.id().as_str()) {
        Ok(token) => token.map(str::to_owned),
        Err(refusal) => return Err(door.broker.refuse_at_door(peer.id(), refusal).await.into()),
    };
    let incoming = Incoming { upstreams, jwt_svids: door.jwt_svids.clone(), parts, body };
    let (permit, (forward, slot)) = door.broker.enforce(&peer, token.as_deref(), incoming).await?;
    let decision_id = permit.decision_id();
    let in_flight = door.in_flight.clone();
    let answer = slot.call(permit, forward, move |end, doubt| settle(end, doubt, in_flight)).await;
    let answer = answer.map_err(|error| upstream_failed(error.fault).decided(decision_id))?;
    let mut response = Response::new(Body::new(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    if let Ok(id) = HeaderValue::from_str(&decision_id.to_string()) {
        response.headers_mut().insert("x-atb-decision-id", id);
    }
    Ok(response)
}

/// Whether the agent may call this connector so soon again. Asked first, before anything costs more than looking.
fn in_time(upstreams: &Upstreams, parts: &Parts, agent: &SpiffeId) -> Result<(), Refusal> {
    let Ok(target) = Target::of(&parts.uri) else { return Ok(()) };
    let Some(connector) = upstreams.connectors.find(target.connector) else { return Ok(()) };
    upstreams.pool.count_agent(&connector.name, agent).map_err(|TooEarly(wait)| {
        let detail = "you call this connector more often than one agent may; the mandate is not spent";
        Refusal::because(Code::TooManyRequests, "agent_rate", detail).again_in(wait)
    })
}

/// The mandate: one bearer token, or one `X-PoA-Token`, not both.
pub(super) fn credential<'h>(headers: &'h HeaderMap, caller: &str) -> Result<Option<&'h str>, Refusal> {
    body::no_other_identity(headers, caller)?;
    let mut found = headers
        .get_all(AUTHORIZATION)
        .iter()
        .map(bearer)
        .chain(headers.get_all("x-poa-token").iter().map(|value| value.to_str().ok()));
    match (found.next(), found.next()) {
        (None, _) => Ok(None),
        (Some(Some(token)), None) => Ok(Some(token)),
        (Some(None), _) => Err(Refusal::new(Code::CredentialMissing, "`Authorization` is not `Bearer <mandate>`")),
        (Some(_), Some(_)) => Err(Refusal::new(Code::RequestMalformed, "a call carries exactly one mandate")),
    }
}

/// RFC 6750 §2.1; the scheme is case-insensitive (RFC 9110 §11.1).
fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// A call at the door: routed and read when the broker asks for its canonical form.
struct Incoming {
    upstreams: Arc<Upstreams>,
    jwt_svids: Option<Arc<dyn JwtSvids>>,
    parts: Parts,
    body: Body,
}

impl IncomingCall for Incoming {
    type Forward = (Forward, Slot);

    async fn canonicalise(self) -> Result<(CallRequest, Self::Forward), Refusal> {
        let Self { upstreams, jwt_svids, parts, body } = self;
        let refused = |error: CallRefused| call_refused(&error);
        let target = Target::of(&parts.uri).map_err(refused)?;
        let connector =
            upstreams.connectors.find(target.connector).ok_or(CallRefused::UnknownRoute).map_err(refused)?;
        if !connector.enabled {
            return Err(refused(CallRefused::Disabled));
        }
        let route = connector.route(&parts.method, target.path).map_err(refused)?;
        // A place at the upstream before the mandate is burned, so that a full upstream costs no mandate.
        let slot = upstreams.pool.reserve(&connector.name).map_err(no_place)?;
        let body = route.receive(&parts, body).await.map_err(refused)?;
        let (call, forward) = route.bind(&parts, body).map_err(refused)?;
        // Last, so that only a call that could be made asks for it; before the burn, so that to have none costs no mandate.
        let slot = slot.equip(jwt_svids.as_ref()).await.map_err(no_credential)?;
        Ok((call, (forward, slot)))
    }

    fn trace_id(&self) -> Option<String> {
        trace_id(&self.parts.headers).map(str::to_owned)
    }

    fn named(&self) -> Option<NamedCall> {
        let target = Target::of(&self.parts.uri).ok()?;
        let route = self.upstreams.connectors.find(target.connector)?.route(&self.parts.method, target.path).ok()?;
        Some(named(&route))
    }
}

/// A call by what its route alone says of it.
pub(super) fn named(route: &MatchedRoute) -> NamedCall {
    NamedCall {
        act: route.route().act.clone(),
        connector: route.connector().name.clone(),
        method: route.route().method,
        path: route.path().clone(),
        parameters: route.route().declared().map(ToString::to_string).collect(),
    }
}

/// There is no place for the call now; all of these come before the burn.
fn no_place(why: NoPlace) -> Refusal {
    match why {
        NoPlace::Unknown => call_refused(&CallRefused::UnknownRoute),
        NoPlace::Full => Refusal::because(Code::Busy, "connector_busy", "the connector has no free place; ask again"),
        NoPlace::Circuit(CircuitOpen(wait)) => {
            let detail =
                "the upstream failed too often of late and is left alone for a while; the mandate is not spent";
            Refusal::because(Code::Busy, "connector_circuit_open", detail).again_in(wait)
        }
        NoPlace::Rate(TooEarly(wait)) => {
            let detail = "this connector is called more often than it may be; the mandate is not spent";
            Refusal::because(Code::TooManyRequests, "connector_rate", detail).again_in(wait)
        }
    }
}

fn no_credential(error: CredentialError) -> Refusal {
    let detail = format!("{error}; the call was not made, and the mandate is not spent");
    Refusal::because(Code::UpstreamCredential, error.code(), detail)
}

pub(super) fn call_refused(error: &CallRefused) -> Refusal {
    let code = match error.status() {
        404 => Code::NotFound,
        405 => Code::MethodNotAllowed,
        408 => Code::RequestTimeout,
        413 => Code::RequestTooLarge,
        415 => Code::UnsupportedMediaType,
        422 => Code::SchemaViolation,
        _ => Code::CallRefused,
    };
    let refusal = Refusal::because(code, error.code(), error.to_string());
    if let CallRefused::BodySchema(faults) = error {
        return faults.iter().fold(refusal, |refusal, fault| refusal.at(fault.pointer.clone(), fault.detail.clone()));
    }
    match error.pointer() {
        Some(pointer) => refusal.at(pointer, error.to_string()),
        None => refusal,
    }
}

/// Records how a call ended. A failure to record leaves it in doubt, for the next start to settle as unknown.
fn settle(end: CallEnd, doubt: CallInDoubt, in_flight: InFlight) {
    let outcome = CallOutcome {
        outcome: if end.fault.is_none() { Outcome::Ok } else { Outcome::Failed },
        reason: end.fault.map_or("ok", CallFault::code),
        status: end.status,
        bytes: end.bytes,
        digest: end.status.map(|_| end.digest),
    };
    tokio::spawn(async move {
        if let Err(error) = doubt.settle(outcome).await {
            tracing::error!(error = %error, "the outcome of a call is not on record; the next start records it as unknown");
        }
        drop(in_flight);
    });
}

fn upstream_failed(fault: CallFault) -> Refusal {
    let code = if matches!(fault, CallFault::Timeout | CallFault::TooLong) {
        Code::UpstreamTimeout
    } else {
        Code::UpstreamFailed
    };
    let detail = if fault.may_have_arrived() {
        "the upstream may have acted on the call; it is not retried, and the mandate is spent"
    } else {
        "the upstream did not see the call; the mandate is spent, ask for a new one"
    };
    Refusal::because(code, fault.code(), detail)
}

/// `POST /v1/decide`
async fn decide(
    State(door): State<BrokerDoor>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let read = match body::no_other_identity(&headers, peer.id().as_str()) {
        Ok(()) => body::json(&headers, body).await,
        Err(refusal) => Err(refusal),
    };
    match read {
        Ok(bytes) => Ok(Json(door.broker.decide(&peer, &bytes).await?).into_response()),
        Err(refusal) => Err(door.broker.refuse_at_door(peer.id(), refusal).await.into()),
    }
}

/// `POST /v1/data/{path}`
async fn data(
    State(door): State<BrokerDoor>,
    Extension(Peer(peer)): Extension<Peer>,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let read = match body::no_other_identity(&headers, peer.id().as_str()) {
        Ok(()) => body::json(&headers, body).await,
        Err(refusal) => Err(refusal),
    };
    match read {
        Ok(bytes) => Ok(no_store(Json(door.broker.data(&peer, &path, Asked::Body(&bytes)).await?).into_response())),
        Err(refusal) => Err(door.broker.refuse_at_door(peer.id(), refusal).await.into()),
    }
}

/// The one parameter of a question by `GET`. OPA takes others (`pretty`, `explain`, …), which are refused here.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DataParameters {
    input: Option<String>,
}

/// `GET /v1/data/{path}?input=…`
async fn data_by_parameter(
    State(door): State<BrokerDoor>,
    Extension(Peer(peer)): Extension<Peer>,
    Path(path): Path<String>,
    headers: HeaderMap,
    parameters: Result<Query<DataParameters>, QueryRejection>,
) -> Result<Response, Problem> {
    let read = body::no_other_identity(&headers, peer.id().as_str()).and_then(|()| {
        let malformed = |_| Refusal::because(Code::RequestMalformed, "query_invalid", "the one parameter is `input`");
        parameters.map_err(malformed)
    });
    match read {
        Ok(Query(DataParameters { input })) => {
            let asked = Asked::Parameter(input.as_deref());
            Ok(no_store(Json(door.broker.data(&peer, &path, asked).await?).into_response()))
        }
        Err(refusal) => Err(door.broker.refuse_at_door(peer.id(), refusal).await.into()),
    }
}

fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn unknown(State(door): State<BrokerDoor>, Extension(Peer(peer)): Extension<Peer>) -> Problem {
    let refusal = Refusal::new(Code::NotFound, "nothing is here; calls go to /c/{connector}/{path}");
    door.broker.refuse_at_door(peer.id(), refusal).await.into()
}

async fn wrong_method(State(door): State<BrokerDoor>, Extension(Peer(peer)): Extension<Peer>) -> Problem {
    let refusal = Refusal::new(Code::MethodNotAllowed, "this path takes another method");
    door.broker.refuse_at_door(peer.id(), refusal).await.into()
}
