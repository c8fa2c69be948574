//! `GET /openapi.json`, at both doors: OpenAPI 3.1 of that door's routes, for the identities in `api.readers`.
//!
//! The document is put together from the table of `operations` and from `schemas/`: a JSON Schema of 2020-12 is a
//! schema of OpenAPI 3.1 as it stands, only its references get a new home. A test holds the table against the routers
//! and the document against a golden file.
//!
//! Not in it: Envoy's gRPC service, which OpenAPI cannot say.

mod operations;
mod schemas;

use std::sync::LazyLock;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use serde_json::{Map, Value, json};

use super::body;
use super::leg::LegDoor;
use super::problem::Problem;
use super::server::Peer;
use crate::domain::spiffe::VerifiedSvid;
use crate::service::refusal::{Code, Refusal};
pub use operations::{Content, Door, OPERATIONS, Operation, Parameter, Place};
use schemas::reference;

/// A door that says what it is.
pub trait ApiDoor: LegDoor {
    /// Which of the two it is.
    const DOOR: Door;

    /// Whether this caller may read the document.
    fn may_read_api(&self, caller: &VerifiedSvid) -> bool;
}

/// The route.
pub fn routes<D: ApiDoor>() -> Router<D> {
    Router::new().route("/openapi.json", get(openapi::<D>))
}

/// `GET /openapi.json`
async fn openapi<D: ApiDoor>(
    State(door): State<D>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let admitted = body::no_other_identity(&headers, peer.id().as_str()).and_then(|()| {
        let refused = || {
            let detail = "only the identities under `api.readers` read the description of the API";
            Refusal::because(Code::CallerNotAllowed, "not_an_api_reader", detail)
        };
        if door.may_read_api(&peer) { Ok(()) } else { Err(refused()) }
    });
    match admitted {
        Ok(()) => Ok(([(CACHE_CONTROL, "no-store")], Json(document(D::DOOR))).into_response()),
        Err(refusal) => Err(door.refused(peer.id(), refusal).await.into()),
    }
}

/// The document of a door.
pub fn document(door: Door) -> &'static Value {
    static AGENTAUTH: LazyLock<Value> = LazyLock::new(|| build(Door::AgentAuth));
    static BROKER: LazyLock<Value> = LazyLock::new(|| build(Door::Broker));
    match door {
        Door::AgentAuth => &AGENTAUTH,
        Door::Broker => &BROKER,
    }
}

fn build(door: Door) -> Value {
    let mut paths = Map::new();
    let mut used = schemas::Used::default();
    for operation in OPERATIONS.iter().filter(|operation| operation.doors.contains(&door)) {
        let path = paths.entry(operation.template()).or_insert_with(|| json!({}));
        path[operation.method.to_ascii_lowercase()] = described(operation, door, &mut used);
    }
    let (title, description) = match door {
        Door::AgentAuth => ("ATB AgentAuth", "Mandates: asked for, approved, collected."),
        Door::Broker => ("ATB broker", "Calls through the broker, and decisions for those who enforce by themselves."),
    };
    json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {"title": title, "description": description, "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "servers": [{"url": "/"}],
        "security": [{"svid": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"svid": {"type": "mutualTLS",
                "description": "An X.509-SVID of a trust domain that the door knows. Who may do what is the operator's to say."}},
            "schemas": used.embedded(),
        },
    })
}

fn described(operation: &Operation, door: Door, used: &mut schemas::Used) -> Value {
    let parameters: Vec<Value> = operation.parameters.iter().map(|parameter| written(parameter, used)).collect();
    let mut answers = Map::new();
    for (status, what, content) in operation.gives {
        answers.insert(status.to_string(), answer(what, *content, used));
    }
    answers.insert(
        "default".to_owned(),
        json!({
            "description": "A refusal (RFC 9457).",
            "content": {"application/problem+json": {"schema": reference("problem", used)}},
        }),
    );
    let door = if door == Door::AgentAuth { "agentauth" } else { "broker" };
    let mut described = Map::from_iter([
        ("operationId".to_owned(), format!("{door}_{}", operation.id).into()),
        ("summary".to_owned(), operation.summary.into()),
        ("responses".to_owned(), answers.into()),
    ]);
    if !parameters.is_empty() {
        described.insert("parameters".to_owned(), parameters.into());
    }
    if let Some(name) = operation.takes {
        let body = json!({
            "required": true,
            "content": {"application/json": {"schema": reference(name, used)}},
        });
        described.insert("requestBody".to_owned(), body);
    }
    described.into()
}

fn written(parameter: &Parameter, used: &mut schemas::Used) -> Value {
    let (place, required) = match parameter.place {
        Place::Path => ("path", true),
        Place::Query => ("query", false),
        Place::Header => ("header", false),
    };
    json!({"name": parameter.name, "in": place, "required": required, "schema": reference(parameter.schema, used)})
}

fn answer(what: &str, content: Content, used: &mut schemas::Used) -> Value {
    let (media_type, schema) = match content {
        Content::Json(name) => ("application/json", reference(name, used)),
        Content::Text => ("text/plain", json!({"type": "string"})),
        Content::Bytes => ("application/octet-stream", json!({})),
        Content::Events => ("text/event-stream", json!({"type": "string"})),
        Content::Upstreams => return json!({"description": what, "content": {"*/*": {}}}),
    };
    json!({"description": what, "content": {media_type: {"schema": schema}}})
}
