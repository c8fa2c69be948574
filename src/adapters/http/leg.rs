//! `POST` and `GET /leg/withdrawals`, the same at both doors.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Json, Router};
use serde_json::json;

use super::body;
use super::problem::Problem;
use super::server::Peer;
use crate::domain::spiffe::SpiffeId;
use crate::service::refusal::Refusal;
use crate::service::withdrawals::LegWithdrawals;

/// A door that legal officers come to.
pub trait LegDoor: Clone + Send + Sync + 'static {
    /// The withdrawals of this process.
    fn withdrawals(&self) -> &LegWithdrawals;

    /// Records a refusal as this door does.
    fn refused(&self, caller: &SpiffeId, refusal: Refusal) -> impl Future<Output = Refusal> + Send;
}

/// The routes.
pub fn routes<D: LegDoor>() -> Router<D> {
    Router::new().route("/leg/withdrawals", post(withdraw::<D>).get(list::<D>))
}

/// `POST /leg/withdrawals`
async fn withdraw<D: LegDoor>(
    State(door): State<D>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let read = match body::no_other_identity(&headers, peer.id().as_str()) {
        Ok(()) => body::json(&headers, body).await,
        Err(refusal) => Err(refusal),
    };
    let answered = match read {
        Ok(bytes) => door.withdrawals().withdraw(&peer, &bytes).await,
        Err(refusal) => Err(refusal),
    };
    match answered {
        Ok(answered) => {
            let status = if answered.new { StatusCode::CREATED } else { StatusCode::OK };
            Ok(no_store((status, Json(answered.withdrawal)).into_response()))
        }
        Err(refusal) => Err(door.refused(peer.id(), refusal).await.into()),
    }
}

/// `GET /leg/withdrawals`
async fn list<D: LegDoor>(
    State(door): State<D>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let admitted = body::no_other_identity(&headers, peer.id().as_str());
    match admitted.and_then(|()| door.withdrawals().list(&peer)) {
        Ok(withdrawals) => Ok(no_store(Json(json!({ "withdrawals": withdrawals })).into_response())),
        Err(refusal) => Err(door.refused(peer.id(), refusal).await.into()),
    }
}

fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
