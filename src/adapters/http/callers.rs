//! The layer at each door that says who calls: it puts the caller where handlers look for it ([`Peer`]).
//!
//! Outside of the lists of `[access]` and of every handler; inside of the shares, which go by connection.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Router};

use super::leg::LegDoor;
use super::problem::Problem;
use super::server::Peer;
use crate::service::callers::{Callers, Shown};
use crate::service::refusal::{Code, Refusal};

/// Carries a JWT-SVID. Not `Authorization`: at the broker that is the mandate's.
const JWT_SVID: &str = "x-jwt-svid";
/// Carries the token of the agent's platform.
const PLATFORM_TOKEN: &str = "x-platform-token";

/// A door with callers.
pub trait CallerDoor: LegDoor {
    /// Who calls here.
    fn callers(&self) -> &Arc<Callers>;
}

/// `app` behind the layer. Whatever asks who calls is inside of it already: rules about callers judge the workload.
pub fn identified<D: CallerDoor>(app: Router, door: D) -> Router {
    app.layer(axum::middleware::from_fn_with_state(door, identify::<D>))
}

/// Identifies the caller, or ends the request here, on record under the identity of the connection.
async fn identify<D: CallerDoor>(
    State(door): State<D>,
    Extension(Peer(connected)): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let as_agent = is_an_agents(route);
    let identified = match shown(request.headers()) {
        Ok(shown) => door.callers().identify(Arc::clone(&connected), shown, as_agent).await,
        Err(refusal) => Err(refusal),
    };
    match identified {
        Ok(caller) => {
            // Nobody behind this has a use for them: not the record, not a log, not an upstream.
            request.headers_mut().remove(JWT_SVID);
            request.headers_mut().remove(PLATFORM_TOKEN);
            request.extensions_mut().insert(Peer(caller));
            next.run(request).await
        }
        Err(refusal) => Problem(door.refused(connected.id(), refusal).await).into_response(),
    }
}

fn shown(headers: &HeaderMap) -> Result<Shown<'_>, Refusal> {
    Ok(Shown {
        unverified_jwt_svid: single(headers, JWT_SVID)?,
        unverified_platform_token: single(headers, PLATFORM_TOKEN)?,
    })
}

fn single<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) if value.to_str().is_ok() => Ok(value.to_str().ok()),
        _ => {
            let detail = format!("`{name}` is one token, once");
            Err(Refusal::because(Code::RequestMalformed, "token_header_malformed", detail))
        }
    }
}

/// What agents do: ask for mandates and call. Approvers, auditors and connectors come without a platform of agents.
fn is_an_agents(route: &str) -> bool {
    matches!(route, "/issue" | "/issue/{id}" | "/issue/{id}/withdraw" | "/issue/{id}/reask" | "/c/{connector}/{*path}")
}
