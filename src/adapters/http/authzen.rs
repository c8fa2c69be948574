//! OpenID AuthZEN, Authorization API 1.0, over HTTPS (§10) at the broker's door: `POST /access/v1/evaluation` and
//! `/access/v1/evaluations`, and the metadata that names them (§9).
//!
//! Whatever is wrong with a request as a whole is 400 here, also what other doors call 415 or 422: the standard knows
//! no other word for it (§10.1.2), and its certification asks for that one. `X-Request-ID` comes back as it came, on
//! refusals too (§10.1.3).

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, HOST};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use bytes::Bytes;
use serde_json::{Value, json};

use super::body;
use super::broker::BrokerDoor;
use super::problem::{self, Problem};
use super::server::Peer;
use crate::domain::spiffe::VerifiedSvid;
use crate::service::broker::{AllEvaluated, Evaluated};
use crate::service::refusal::{Code, Refusal};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The routes.
pub fn routes() -> Router<BrokerDoor> {
    Router::new()
        .route("/access/v1/evaluation", post(evaluation))
        .route("/access/v1/evaluations", post(evaluations))
        .route("/.well-known/authzen-configuration", get(configuration))
        .layer(axum::middleware::from_fn(same_request_id))
}

async fn same_request_id(request: Request, next: Next) -> Response {
    let id = request.headers().get(REQUEST_ID).cloned();
    let mut response = next.run(request).await;
    response.headers_mut().extend(id.map(|id| (REQUEST_ID, id)));
    response
}

/// `POST /access/v1/evaluation`
async fn evaluation(
    State(door): State<BrokerDoor>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let bytes = read(&door, &peer, &headers, body).await?;
    Ok(no_store(Json(door.broker.evaluate(&peer, &bytes).await?).into_response()))
}

/// `POST /access/v1/evaluations`
async fn evaluations(
    State(door): State<BrokerDoor>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let bytes = read(&door, &peer, &headers, body).await?;
    let document = match door.broker.evaluate_all(&peer, &bytes).await? {
        AllEvaluated::One(answer) => json!(answer),
        AllEvaluated::Each(answers) => json!({ "evaluations": answers.iter().map(listed).collect::<Vec<_>>() }),
    };
    Ok(no_store(Json(document).into_response()))
}

/// An answer among others. One that failed is a no that says so (§7.2.1).
fn listed(answer: &Result<Evaluated, Refusal>) -> Value {
    match answer {
        Ok(answer) => json!(answer),
        Err(refusal) => {
            let error = json!({"status": problem::status(refusal.code).as_u16(), "message": problem::detail(refusal)});
            let mut context = json!({"reason": refusal.reason, "error": error});
            if let (Some(id), Some(members)) = (refusal.decision_id, context.as_object_mut()) {
                members.insert("decision_id".to_owned(), json!(id));
            }
            json!({"decision": false, "context": context})
        }
    }
}

async fn read(door: &BrokerDoor, peer: &VerifiedSvid, headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let read = match body::no_other_identity(headers, peer.id().as_str()) {
        Ok(()) => body::json(headers, body).await,
        Err(refusal) => Err(refusal),
    };
    match read {
        Ok(bytes) => Ok(bytes),
        Err(refusal) if refusal.code == Code::UnsupportedMediaType => {
            let refusal = Refusal::because(Code::RequestMalformed, "unsupported_media_type", refusal.detail);
            Err(door.broker.refuse_at_door(peer.id(), refusal).await.into())
        }
        Err(refusal) => Err(door.broker.refuse_at_door(peer.id(), refusal).await.into()),
    }
}

/// `GET /.well-known/authzen-configuration`
///
/// The base is the one under which the client reached us, so that it is the one that it knows (§9.2.3). It is told to
/// nobody else: no cache may keep the answer.
async fn configuration(
    State(door): State<BrokerDoor>,
    Extension(Peer(peer)): Extension<Peer>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Some(authority) = authority(&uri, &headers) else {
        let refusal = Refusal::because(Code::RequestMalformed, "host_invalid", "`Host` is not a host and its port");
        return Err(door.broker.refuse_at_door(peer.id(), refusal).await.into());
    };
    let base = format!("https://{authority}");
    let document = json!({
        "policy_decision_point": base,
        "access_evaluation_endpoint": format!("{base}/access/v1/evaluation"),
        "access_evaluations_endpoint": format!("{base}/access/v1/evaluations"),
    });
    Ok(no_store(Json(document).into_response()))
}

fn authority(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let mut hosts = headers.get_all(HOST).iter();
    let named = match (uri.authority(), hosts.next(), hosts.next()) {
        (Some(authority), _, _) => authority.clone(),
        (None, Some(host), None) => host.to_str().ok()?.parse().ok()?,
        _ => return None,
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']' | b'_');
    (!named.host().is_empty() && named.as_str().bytes().all(plain)).then_some(named)
}

fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
