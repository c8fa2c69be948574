//! AgentAuth's door. Each handler reads, asks [`Issuer`], and writes down the answer.

mod challenges;
mod life;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::header::{CACHE_CONTROL, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::audit::{self, AuditDoor};
use super::body;
use super::callers::CallerDoor;
use super::leg::{self, LegDoor};
use super::log::{self, LogDoor, LogReading};
use super::openapi::{self, ApiDoor, Door};
use super::problem::Problem;
use super::queue;
use super::queue_events::{self, Streams};
use super::report;
use super::server::Peer;
use crate::domain::id::ChallengeId;
use crate::domain::jose::MandateKeys;
use crate::domain::json as strict;
use crate::domain::leg::LegTemplate;
use crate::domain::spiffe::{SpiffeId, VerifiedSvid};
use crate::service::audit::AuditReads;
use crate::service::callers::Callers;
use crate::service::issuer::queue::MAX_PAGE;
use crate::service::issuer::{Issued, Issuer};
use crate::service::ports::MAX_AUDIT_PAGE;
use crate::service::refusal::{Code, Refusal};
use crate::service::wanted;
use crate::service::withdrawals::LegWithdrawals;

/// The longest that `?wait=` may ask for, in seconds.
const MAX_WAIT_SECONDS: u64 = 60;

/// What the handlers share.
#[derive(Clone)]
pub struct AgentAuth {
    /// The use cases.
    pub issuer: Arc<Issuer>,
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
    /// The keys to publish.
    pub keys: Arc<MandateKeys>,
    /// The live queues that are open.
    pub streams: Arc<Streams>,
}

/// The routes of AgentAuth.
pub fn router(state: AgentAuth) -> Router {
    Router::new()
        .route("/issue", post(issue))
        .route("/issue/{id}", get(collect).head(wrong_method))
        .route("/issue/{id}/withdraw", post(life::withdraw))
        .route("/issue/{id}/reask", post(life::reask))
        .route("/challenges", get(queue::challenges))
        .route("/challenges/events", get(queue_events::events).head(wrong_method))
        .route("/challenges/{id}", get(challenges::challenge))
        .route("/challenges/{id}/approve", post(challenges::approve))
        .route("/challenges/{id}/reject", post(challenges::reject))
        .route("/templates", get(templates))
        .route("/templates/{id}", get(template))
        .route("/.well-known/jwks.json", get(jwks))
        .route("/.well-known/atb-configuration", get(configuration))
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

/// A method of no use here, or a header that claims another identity, ends the request here, on record.
async fn admit(
    State(state): State<AgentAuth>,
    Extension(Peer(peer)): Extension<Peer>,
    request: Request,
    next: axum::middleware::Next,
) -> Response {
    let admitted = body::no_foreign_method(request.method())
        .and_then(|()| body::no_other_identity(request.headers(), peer.id().as_str()));
    match admitted {
        Ok(()) => next.run(request).await,
        Err(refusal) if refusal.code == Code::MethodNotAllowed => {
            let problem = Problem(state.issuer.refuse_at_door(peer.id(), refusal).await);
            ([body::ALLOWED], problem).into_response()
        }
        Err(refusal) => Problem(state.issuer.refuse_at_door(peer.id(), refusal).await).into_response(),
    }
}

/// `POST /issue`
async fn issue(
    State(state): State<AgentAuth>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let bytes = state.read(&peer, &headers, body).await?;
    Ok(issued(state.issuer.issue(&peer, &bytes).await?, &state.issuer))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wait {
    #[serde(default)]
    wait: u64,
}

/// `GET /issue/{id}?wait=30`
async fn collect(
    State(state): State<AgentAuth>,
    Extension(Peer(peer)): Extension<Peer>,
    id: Result<Path<String>, PathRejection>,
    query: Result<Query<Wait>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let id = state.challenge_id(&peer, id).await?;
    let wait = match query {
        Ok(Query(Wait { wait })) if wait <= MAX_WAIT_SECONDS => wait,
        _ => {
            let refusal = Refusal::new(Code::SchemaViolation, format!("`wait` is 0 to {MAX_WAIT_SECONDS} seconds"));
            return Err(state.issuer.refuse_at_door(peer.id(), refusal).await.into());
        }
    };
    Ok(issued(state.issuer.collect(&peer, id, wait.saturating_mul(1000)).await?, &state.issuer))
}

#[derive(Serialize)]
struct MintedBody<'a> {
    token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    jti: String,
    tier: &'static str,
    decision_id: String,
}

fn issued(issued: Issued, issuer: &Issuer) -> Response {
    match issued {
        Issued::Minted(minted) => {
            let claims = minted.mandate.claims();
            let body = MintedBody {
                token: minted.mandate.as_jws(),
                token_type: "poa+jwt",
                expires_in: claims.exp.saturating_sub(claims.iat),
                jti: claims.jti.to_string(),
                tier: claims.tier.as_str(),
                decision_id: minted.decision_id.to_string(),
            };
            no_store((StatusCode::CREATED, Json(body)).into_response())
        }
        Issued::Waiting(challenge) => {
            let location = format!("/issue/{}", challenge.id());
            let body = Json(life::wanting(&challenge, challenges::waiting(&challenge, issuer, &location)));
            let mut response = no_store((StatusCode::ACCEPTED, body).into_response());
            if let Ok(location) = HeaderValue::from_str(&location) {
                response.headers_mut().insert(LOCATION, location);
            }
            response
        }
    }
}

/// `GET /templates`
async fn templates(State(state): State<AgentAuth>) -> Response {
    let bundle = state.issuer.bundle();
    let summary = |template: &LegTemplate| {
        let mut summary = template.summary();
        if let Some(members) = summary.as_object_mut() {
            members.insert("state".to_owned(), json!(state.withdrawals.state_of(template).as_str()));
        }
        summary
    };
    let summaries: Vec<_> = bundle.templates().iter().map(summary).collect();
    Json(json!({ "templates": summaries, "bundle": bundle.revision() })).into_response()
}

/// `GET /templates/{id}`
async fn template(
    State(state): State<AgentAuth>,
    Extension(Peer(peer)): Extension<Peer>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let bundle = state.issuer.bundle();
    let found = id.ok().and_then(|Path(id)| bundle.templates().find(&id).ok());
    match found {
        Some(template) => Ok(Json(template.source().clone()).into_response()),
        None => {
            let detail = "there is no template of this name; /templates lists them";
            let refusal = Refusal::because(Code::NotFound, "template_not_found", detail);
            Err(state.issuer.refuse_at_door(peer.id(), refusal).await.into())
        }
    }
}

/// `GET /.well-known/jwks.json`
async fn jwks(State(state): State<AgentAuth>) -> Response {
    Json(state.keys.to_jwks()).into_response()
}

/// `GET /.well-known/atb-configuration`
async fn configuration(State(state): State<AgentAuth>, Extension(Peer(peer)): Extension<Peer>) -> Response {
    let bundle = state.issuer.bundle();
    let settings = state.issuer.settings();
    Json(json!({
        "issuer": settings.id,
        "brokers": settings.brokers,
        "issue_endpoint": "/issue",
        "withdraw_endpoint": "/issue/{id}/withdraw",
        "reask_endpoint": "/issue/{id}/reask",
        "authorization_details_types_supported": [wanted::TYPE],
        "challenges_endpoint": "/challenges",
        "challenge_events_endpoint": "/challenges/events",
        "max_challenges_per_page": MAX_PAGE,
        "max_challenge_streams_per_identity": queue_events::MAX_STREAMS_EACH,
        "templates_endpoint": "/templates",
        "jwks_uri": "/.well-known/jwks.json",
        "token_type": "poa+jwt",
        "mandate_signing_alg_values_supported": ["EdDSA"],
        "statement_signing_alg_values_supported": ["ES256", "EdDSA"],
        "default_ttl_seconds": settings.default_ttl,
        "max_ttl_seconds": settings.max_ttl,
        "max_wait_seconds": MAX_WAIT_SECONDS,
        "leg_withdrawals_endpoint": "/leg/withdrawals",
        "audit_endpoint": "/audit",
        "governance_report_endpoint": "/reports/governance",
        "max_audit_entries_per_page": MAX_AUDIT_PAGE,
        "log_checkpoint_endpoint": "/log/checkpoint",
        "log_cosigned_checkpoint_endpoint": "/log/checkpoint/cosigned",
        "log_tiles_endpoint": "/log/tile/",
        "openapi_endpoint": "/openapi.json",
        "free_form_leg": bundle.workspace(&bundle.workspace_of(peer.id())).free_form_leg,
        "bundle": bundle.revision(),
    }))
    .into_response()
}

async fn unknown(State(state): State<AgentAuth>, Extension(Peer(peer)): Extension<Peer>) -> Problem {
    let refusal = Refusal::new(Code::NotFound, "nothing is here; see /.well-known/atb-configuration");
    state.issuer.refuse_at_door(peer.id(), refusal).await.into()
}

async fn wrong_method(State(state): State<AgentAuth>, Extension(Peer(peer)): Extension<Peer>) -> Problem {
    let refusal = Refusal::new(Code::MethodNotAllowed, "this path takes another method");
    state.issuer.refuse_at_door(peer.id(), refusal).await.into()
}

impl LogDoor for AgentAuth {
    fn log(&self) -> &Arc<LogReading> {
        &self.log
    }

    async fn refused_reader(&self, caller: &SpiffeId, refusal: Refusal) -> Refusal {
        self.issuer.refuse_at_door(caller, refusal).await
    }
}

impl LegDoor for AgentAuth {
    fn withdrawals(&self) -> &LegWithdrawals {
        &self.withdrawals
    }

    async fn refused(&self, caller: &SpiffeId, refusal: Refusal) -> Refusal {
        self.issuer.refuse_at_door(caller, refusal).await
    }
}

impl CallerDoor for AgentAuth {
    fn callers(&self) -> &Arc<Callers> {
        &self.callers
    }
}

impl AuditDoor for AgentAuth {
    fn audit(&self) -> &AuditReads {
        &self.audit
    }
}

impl ApiDoor for AgentAuth {
    const DOOR: Door = Door::AgentAuth;

    fn may_read_api(&self, caller: &VerifiedSvid) -> bool {
        self.api_readers.contains(caller.id())
    }
}

impl AgentAuth {
    async fn read(&self, peer: &VerifiedSvid, headers: &HeaderMap, body: Body) -> Result<bytes::Bytes, Problem> {
        match body::json(headers, body).await {
            Ok(bytes) => Ok(bytes),
            Err(refusal) => Err(self.issuer.refuse_at_door(peer.id(), refusal).await.into()),
        }
    }

    /// Which challenge a request is about, and its body.
    async fn addressed<T: serde::de::DeserializeOwned>(
        &self,
        peer: &VerifiedSvid,
        id: Result<Path<String>, PathRejection>,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<(ChallengeId, T), Problem> {
        let id = self.challenge_id(peer, id).await?;
        let bytes = self.read(peer, headers, body).await?;
        match strict::parse_as(&bytes) {
            Ok(body) => Ok((id, body)),
            Err(error) => Err(self.issuer.refuse_at_door(peer.id(), error.into()).await.into()),
        }
    }

    async fn challenge_id(
        &self,
        peer: &VerifiedSvid,
        id: Result<Path<String>, PathRejection>,
    ) -> Result<ChallengeId, Problem> {
        match id.ok().and_then(|Path(id)| id.parse().ok()) {
            Some(id) => Ok(id),
            None => {
                let refusal = Refusal::because(Code::NotFound, "challenge_not_found", "there is no such challenge");
                Err(self.issuer.refuse_at_door(peer.id(), refusal).await.into())
            }
        }
    }
}

pub(super) fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
