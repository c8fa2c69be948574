//! `POST /issue/{id}/withdraw` and `/reask`, and what an agent is told of a challenge's life.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{AgentAuth, issued, no_store};
use crate::adapters::http::problem::Problem;
use crate::adapters::http::server::Peer;
use crate::domain::approval::{Challenge, Missing};
use crate::domain::text::PlainText;
use crate::service::issuer::Issued;
use crate::service::wanted::Wanted;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WithdrawBody {
    reason: PlainText,
}

/// `POST /issue/{id}/withdraw`
pub(super) async fn withdraw(
    State(state): State<AgentAuth>,
    Extension(Peer(peer)): Extension<Peer>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (id, body): (_, WithdrawBody) = state.addressed(&peer, id, &headers, body).await?;
    let withdrawn = state.issuer.withdraw(&peer, id, body.reason.clone()).await?;
    let answer = json!({"challenge_id": withdrawn.id(), "state": withdrawn.state(), "reason": body.reason});
    Ok(no_store(Json(answer).into_response()))
}

/// Nothing can be changed in what is asked again.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReaskBody {}

/// `POST /issue/{id}/reask`
pub(super) async fn reask(
    State(state): State<AgentAuth>,
    Extension(Peer(peer)): Extension<Peer>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (id, ReaskBody {}) = state.addressed(&peer, id, &headers, body).await?;
    let challenge = state.issuer.reask(&peer, id).await?;
    Ok(issued(Issued::Waiting(Box::new(challenge)), &state.issuer))
}

/// `shown`, with the challenges before and after this one, and who ended it and why, where there are any.
pub(super) fn linked(challenge: &Challenge, mut shown: Value) -> Value {
    if let (Some((by, reason)), Some(members)) = (challenge.ended_by(), shown.as_object_mut()) {
        members.insert("ended".to_owned(), json!({ "by": by, "reason": reason }));
    }
    let earlier = challenge.draft().reask_of.map(|reask| reask.challenge);
    for (name, id) in [("reask_of", earlier), ("reasked_as", challenge.successor())] {
        if let (Some(id), Some(members)) = (id, shown.as_object_mut()) {
            members.insert(name.to_owned(), json!(id));
        }
    }
    shown
}

/// `shown`, with what is missing and what was asked for.
pub(super) fn wanting(challenge: &Challenge, mut shown: Value) -> Value {
    if let Some(members) = shown.as_object_mut() {
        members.insert("missing".to_owned(), json!(Missing::of(challenge)));
        members.insert("authorization_details".to_owned(), json!([Wanted::for_draft(challenge.draft())]));
    }
    linked(challenge, shown)
}
