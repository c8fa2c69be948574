//! What a door takes while a sink is farther behind than the operator allows: no new decision.
//!
//! Like a full queue this is answered before anything is read or recorded: what is refused here would be one more entry
//! that does not reach its receivers. What makes things safer goes through: rejecting, withdrawing, looking.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::problem::Problem;
use crate::service::refusal::{Code, Refusal};
use crate::service::shipping::SinkGate;

/// Refuses requests that ask for a decision while the gate is closed.
pub async fn hold_back(State(gate): State<Arc<SinkGate>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    if gate.is_closed() && asks_for_a_decision(request.method(), route) {
        // Which sink and how far is for the operator (`/ready`), not for callers.
        let detail = "the record does not reach its receivers; no new decision is taken until it does";
        return Problem(Refusal::new(Code::SinkBacklog, detail)).into_response();
    }
    next.run(request).await
}

fn asks_for_a_decision(method: &Method, route: &str) -> bool {
    match route {
        "/c/{connector}/{*path}" | "/v1/decide" | "/v1/data/{*path}" => true,
        "/issue" | "/issue/{id}/reask" | "/challenges/{id}/approve" => method == Method::POST,
        // Collecting a mandate mints it.
        "/issue/{id}" => method == Method::GET,
        _ => false,
    }
}
