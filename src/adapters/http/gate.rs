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

/// Whatever is not known to need no decision needs one: a route that is new is held back until it is listed here.
fn asks_for_a_decision(method: &Method, route: &str) -> bool {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    match route {
        // What makes things safer.
        "/issue/{id}/withdraw" | "/challenges/{id}/reject" | "/leg/withdrawals" => false,
        // Calls by any method, and questions to the policy; collecting a mandate mints it.
        "/c/{connector}/{*path}" | "/v1/data/{*path}" | "/issue/{id}" => true,
        _ => !reads,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decides_is_held_back_and_what_makes_things_safer_is_not() {
        for (method, route, held) in [
            (Method::POST, "/issue", true),
            (Method::GET, "/issue/{id}", true),
            (Method::POST, "/issue/{id}/reask", true),
            (Method::POST, "/challenges/{id}/approve", true),
            (Method::GET, "/c/{connector}/{*path}", true),
            (Method::DELETE, "/c/{connector}/{*path}", true),
            (Method::POST, "/v1/decide", true),
            (Method::GET, "/v1/data/{*path}", true),
            (Method::POST, "/a/route/of/tomorrow", true),
            (Method::POST, "/issue/{id}/withdraw", false),
            (Method::POST, "/challenges/{id}/reject", false),
            (Method::POST, "/leg/withdrawals", false),
            (Method::GET, "/challenges/{id}", false),
            (Method::GET, "/audit", false),
            (Method::GET, "/.well-known/jwks.json", false),
        ] {
            assert_eq!(asks_for_a_decision(&method, route), held, "{method} {route}");
        }
    }
}
