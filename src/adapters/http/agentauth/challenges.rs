//! `GET /challenges/{id}`, `POST …/approve` and `…/reject`: what an approver is shown and says.

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{AgentAuth, life, no_store};
use crate::adapters::http::problem::Problem;
use crate::adapters::http::server::Peer;
use crate::domain::approval::{Challenge, Vote};
use crate::domain::spiffe::SpiffeId;
use crate::domain::text::PlainText;
use crate::service::issuer::Issuer;
use crate::service::refusal::{Code, Refusal};

/// What an agent that waits is told.
pub(super) fn waiting(challenge: &Challenge, issuer: &Issuer, status_url: &str) -> Value {
    json!({
        "challenge_id": challenge.id(),
        "tier": challenge.draft().tier,
        "required": challenge.draft().requirement.required,
        "roles": challenge.draft().requirement.roles,
        "approved": challenge.votes().len(),
        "approvers": approvers(challenge),
        "statement": statement(challenge, issuer),
        "expires_at": challenge.expires_at(),
        "status_url": status_url,
    })
}

/// Who has approved, and who else was named to be asked.
fn approvers(challenge: &Challenge) -> Vec<Value> {
    let approved = challenge.votes().iter().map(approved_by);
    let has_voted = |id: &SpiffeId| challenge.votes().iter().any(|vote| vote.principal() == id);
    let asked = challenge.draft().asked.iter().filter(|id| !has_voted(id));
    approved.chain(asked.map(|id| json!({"id": id, "state": "asked"}))).collect()
}

/// Who has approved, and for whom where not for herself.
fn approved_by(vote: &Vote) -> Value {
    let mut view = json!({"id": vote.approver, "state": "approved", "approved_at": vote.approved_at});
    if let (Some(other), Some(members)) = (&vote.stood_in_for, view.as_object_mut()) {
        members.insert("on_behalf_of".to_owned(), json!(other.on_behalf_of.id));
    }
    view
}

/// The claims that an approver signs; `iss`, `iat` and `jti` are her own. `exp` is the earliest that will do.
fn statement(challenge: &Challenge, issuer: &Issuer) -> Value {
    json!({
        "sub": challenge.agent(), "aud": issuer.settings().id, "cid": challenge.id(), "sum": challenge.ask().sum(),
        "view": challenge.draft().view.digest(), "decision": "approve", "exp": challenge.expires_at().as_secs(),
    })
}

/// The delegation by which the caller looks at a challenge for another approver.
const DELEGATION: &str = "atb-delegation";

/// `GET /challenges/{id}`, with `ATB-Delegation` where the caller stands in for another.
pub(super) async fn challenge(
    State(state): State<AgentAuth>,
    Extension(Peer(peer)): Extension<Peer>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = state.challenge_id(&peer, id).await?;
    let mut delegations = headers.get_all(DELEGATION).iter();
    let challenge = match (delegations.next(), delegations.next()) {
        (None, _) => state.issuer.challenge(&peer, id).await?,
        (Some(one), None) => state.issuer.challenge_for(&peer, id, one.to_str().unwrap_or_default()).await?,
        (Some(_), Some(_)) => {
            let refusal = Refusal::new(Code::SchemaViolation, "one `ATB-Delegation` at most");
            return Err(state.issuer.refuse_at_door(peer.id(), refusal).await.into());
        }
    };
    Ok(no_store(Json(view(&challenge, &state.issuer)).into_response()))
}

/// Exactly what is asked: the signed content, the call in clear behind its digest, and the statement to sign.
fn view(challenge: &Challenge, issuer: &Issuer) -> Value {
    let draft = challenge.draft();
    let shown = json!({
        "challenge_id": challenge.id(),
        "state": challenge.state(),
        "tier": draft.tier,
        "workspace": draft.workspace,
        "ask": draft.ask.to_value(),
        "call": draft.call.as_ref().map(|call| json!({
            "connector": call.binding.connector, "method": call.binding.method, "path": call.binding.path,
            "params": call.params, "digest": call.binding.digest,
        })),
        "view": draft.view,
        "required": draft.requirement.required,
        "roles": draft.requirement.roles,
        "approved": challenge.votes().len(),
        "approvers": approvers(challenge),
        "statement": statement(challenge, issuer),
        "created_at": challenge.created_at(),
        "expires_at": challenge.expires_at(),
    });
    life::linked(challenge, shown)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApproveBody {
    statement: String,
}

/// `POST /challenges/{id}/approve`
pub(super) async fn approve(
    State(state): State<AgentAuth>,
    Extension(Peer(peer)): Extension<Peer>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (id, body): (_, ApproveBody) = state.addressed(&peer, id, &headers, body).await?;
    let approval = state.issuer.approve(&peer, id, &body.statement).await?;
    Ok(no_store(Json(view(&approval.challenge, &state.issuer)).into_response()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RejectBody {
    reason: PlainText,
}

/// `POST /challenges/{id}/reject`
pub(super) async fn reject(
    State(state): State<AgentAuth>,
    Extension(Peer(peer)): Extension<Peer>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (id, body): (_, RejectBody) = state.addressed(&peer, id, &headers, body).await?;
    let rejected = state.issuer.reject(&peer, id, body.reason).await?;
    Ok(no_store(Json(view(&rejected.challenge, &state.issuer)).into_response()))
}
