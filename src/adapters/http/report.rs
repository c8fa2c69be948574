//! `GET /reports/governance`, the same at both doors, for those who read the record.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as Parameters, State};
use axum::http::HeaderMap;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use serde::Deserialize;

use super::audit::AuditDoor;
use super::body;
use super::problem::Problem;
use super::server::Peer;
use crate::domain::id::WorkspaceId;
use crate::domain::time::Timestamp;
use crate::service::audit::Period;
use crate::service::refusal::{Code, Refusal};

/// The route.
pub fn routes<D: AuditDoor>() -> Router<D> {
    Router::new().route("/reports/governance", get(governance::<D>))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    since: Option<String>,
    until: Option<String>,
    workspace: Option<WorkspaceId>,
}

/// `GET /reports/governance?since=…&until=…&workspace=…`
async fn governance<D: AuditDoor>(
    State(door): State<D>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    parameters: Result<Parameters<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let asked = body::no_other_identity(&headers, peer.id().as_str())
        .and_then(|()| door.audit().admit(&peer))
        .and_then(|()| parameters.map_err(|error| invalid(error.body_text())))
        .and_then(|Parameters(asked)| period(asked));
    let answered = match asked {
        Ok(period) => door.audit().governance(&peer, period).await,
        Err(refusal) => Err(refusal),
    };
    match answered {
        Ok(report) => Ok(([(CACHE_CONTROL, "no-store")], Json(report)).into_response()),
        Err(refusal) => Err(door.refused(peer.id(), refusal).await.into()),
    }
}

fn period(asked: Asked) -> Result<Period, Refusal> {
    let instant = |text: Option<String>| text.map(|text| Timestamp::parse_rfc3339(&text)).transpose();
    let (since, until) = (instant(asked.since), instant(asked.until));
    let of = |error: crate::domain::time::TimeError| invalid(error.to_string());
    Ok(Period { since: since.map_err(of)?, until: until.map_err(of)?, workspace: asked.workspace })
}

fn invalid(detail: String) -> Refusal {
    Refusal::because(Code::RequestMalformed, "query_invalid", detail)
}
