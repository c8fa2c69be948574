//! Envoy's external authorization: `envoy.service.auth.v3.Authorization/Check` over gRPC, at the broker's door.
//!
//! | `CheckRequest.attributes` | here |
//! | --- | --- |
//! | `context_extensions["atb.connector"]` | the connector, fixed in Envoy's configuration |
//! | `source.principal` | the agent: the URI SAN that Envoy verified in its client's certificate |
//! | `request.http` method, path, headers, body | the call, in the canonical form of any call |
//! | the mandate in its `Authorization` or `X-PoA-Token` header | the mandate |
//!
//! Envoy itself is the peer of the connection and must be in the connector's `workloads`. Every refusal is a
//! `denied_response` with our problem document, also where the *question* is at fault: a gRPC error is the one answer
//! that a misconfigured Envoy (`failure_mode_allow`) lets through.
//!
//! INVARIANT: what Envoy forwards is what was judged. A body that Envoy did not hand over, or cut off, is refused, and
//! so is a pseudo-header that disagrees with the attributes. Envoy forwards its own bytes and not our canonical ones,
//! which is why anything with two readings is refused before it comes to that.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use axum::extract::Request as HttpRequest;
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, TRANSFER_ENCODING};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post_service;
use bytes::Bytes;
use envoy_types::ext_authz::v3::pb::{
    Authorization, AuthorizationServer, CheckRequest, CheckResponse, DeniedHttpResponse, HeaderAppendAction,
    HeaderValue as Field, HeaderValueOption, HttpResponse, HttpStatus, OkHttpResponse,
};
use envoy_types::pb::envoy::service::auth::v3::AttributeContext;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::HttpRequest as Described;
use envoy_types::pb::google::rpc::Status as RpcStatus;
use tonic::{Code as RpcCode, Status};

use super::broker::{self, BrokerDoor, Upstreams};
use super::problem::Problem;
use super::server::Peer;
use crate::adapters::connectors::{CallRefused, Connector, Forward, MatchedRoute};
use crate::domain::action::CallRequest;
use crate::domain::id::ConnectorId;
use crate::domain::spiffe::SpiffeId;
use crate::service::broker::{Broker, GatewayCall, IncomingCall, Passage};
use crate::service::refusal::{Code, Refusal};
use crate::service::wanted::NamedCall;

/// Where Envoy's configuration names the connector.
const CONNECTOR: &str = "atb.connector";
/// Says whether Envoy handed over the whole body; only there when it handed over one.
const PARTIAL_BODY: HeaderName = HeaderName::from_static("x-envoy-auth-partial-body");
const POA_TOKEN: HeaderName = HeaderName::from_static("x-poa-token");
const DECISION_ID: &str = "x-atb-decision-id";
/// The head of a call and a body of the largest size that Envoy should be set to hand over.
const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;
/// From the first byte of a question to its answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The route.
pub fn routes(broker: Arc<Broker>, upstreams: Arc<ArcSwap<Upstreams>>) -> Router<BrokerDoor> {
    let service = AuthorizationServer::new(ExtAuthz { broker, upstreams });
    let service = service.max_decoding_message_size(MAX_MESSAGE_BYTES);
    Router::new()
        .route("/envoy.service.auth.v3.Authorization/Check", post_service(service))
        .layer(axum::middleware::from_fn(in_time))
}

async fn in_time(request: HttpRequest, next: Next) -> Response {
    match tokio::time::timeout(TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem(Refusal::new(Code::RequestTimeout, "the question did not arrive in time")).into_response(),
    }
}

struct ExtAuthz {
    broker: Arc<Broker>,
    upstreams: Arc<ArcSwap<Upstreams>>,
}

#[tonic::async_trait]
impl Authorization for ExtAuthz {
    async fn check(&self, request: tonic::Request<CheckRequest>) -> Result<tonic::Response<CheckResponse>, Status> {
        let Some(Peer(peer)) = request.extensions().get::<Peer>().cloned() else {
            return Err(Status::unauthenticated("this door knows nobody without an SVID"));
        };
        let asked = request.into_inner().attributes.ok_or_else(|| malformed("attributes_missing", "no attributes"));
        let asked = asked.and_then(|attributes| self.read(attributes));
        let removed = asked.as_ref().map(|call| not_for_the_upstream(&call.incoming.parts.headers)).unwrap_or_default();
        Ok(tonic::Response::new(match self.broker.check(&peer, "ext_authz", asked).await {
            Ok(passage) => passed(&passage, removed),
            Err(refusal) => denied(refusal),
        }))
    }
}

impl ExtAuthz {
    fn read(&self, attributes: AttributeContext) -> Result<GatewayCall<AtEnvoy>, Refusal> {
        let connector: ConnectorId = attributes
            .context_extensions
            .get(CONNECTOR)
            .and_then(|name| name.parse().ok())
            .ok_or_else(|| malformed("connector_not_named", "`context_extensions` has no `atb.connector`"))?;
        let principal = attributes.source.map(|peer| peer.principal).unwrap_or_default();
        let agent: SpiffeId = principal.parse().map_err(|_| {
            let detail =
                "`source.principal` is no SPIFFE ID: Envoy must ask its clients for their SVIDs and verify them";
            Refusal::because(Code::CallerNotAllowed, "source_not_attested", detail)
        })?;
        let http = attributes.request.and_then(|request| request.http);
        let http = http.ok_or_else(|| malformed("attributes_missing", "no `request.http`"))?;
        let (parts, body) = whole(http)?;
        let token = broker::credential(&parts.headers, agent.as_str())?.map(str::to_owned);
        let found = self.upstreams.load().connectors.find(connector.as_str()).cloned();
        Ok(GatewayCall { connector, agent, token, incoming: AtEnvoy { connector: found, parts, body } })
    }
}

fn malformed(reason: &str, detail: &str) -> Refusal {
    Refusal::because(Code::RequestMalformed, reason, detail)
}

/// The request that Envoy describes, if it describes all of it.
///
/// # Errors
/// When a part is missing, there twice with two meanings, or no part of a request.
pub fn whole(http: Described) -> Result<(Parts, Bytes), Refusal> {
    let headers = headers(&http)?;
    let body = match (http.body.is_empty(), http.raw_body.is_empty()) {
        (false, false) => return Err(malformed("body_twice", "`body` and `raw_body` are both there")),
        (false, true) => Bytes::from(http.body),
        (true, _) => Bytes::from(http.raw_body),
    };
    whole_body(&headers, &body)?;
    let request = Request::builder().method(http.method.as_str()).uri(http.path.as_str()).body(());
    let request = request.map_err(|_| malformed("request_line", "method or path cannot be a request's"))?;
    let (mut parts, ()) = request.into_parts();
    parts.headers = headers;
    Ok((parts, body))
}

fn headers(http: &Described) -> Result<HeaderMap, Refusal> {
    let raw = http.header_map.iter().flat_map(|map| &map.headers).map(|field| {
        let value = if field.raw_value.is_empty() { field.value.as_bytes() } else { &field.raw_value };
        (field.key.as_str(), value)
    });
    // Envoy joins a repeated field of the map with commas: no value of ours has one, so that it does not pass as one.
    let joined = http.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let mut headers = HeaderMap::new();
    for (name, value) in raw.chain(joined) {
        match name {
            ":method" if value != http.method.as_bytes() => return Err(pseudo_header(name)),
            ":path" if value != http.path.as_bytes() => return Err(pseudo_header(name)),
            _ if name.starts_with(':') => continue,
            _ => {}
        }
        let field = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_bytes(value).ok());
        let (name, value) = field.ok_or_else(|| malformed("header_invalid", "a header is none"))?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn pseudo_header(name: &str) -> Refusal {
    malformed("pseudo_header", &format!("`{name}` is not what the attributes say"))
}

fn whole_body(headers: &HeaderMap, body: &Bytes) -> Result<(), Refusal> {
    let partial = headers.get(PARTIAL_BODY).is_some_and(|value| value.as_bytes() != b"false");
    let announced = headers.get(CONTENT_LENGTH).map(|value| value.to_str().ok().and_then(|text| text.parse().ok()));
    let another_length = announced.is_some_and(|length: Option<usize>| length != Some(body.len()));
    let unseen = headers.contains_key(TRANSFER_ENCODING) && body.is_empty();
    if partial || another_length || unseen {
        let detail = "Envoy did not hand over the whole body: set `with_request_body`, without `allow_partial_message`";
        return Err(Refusal::because(Code::CallRefused, "body_not_whole", detail));
    }
    Ok(())
}

/// A call that waits at Envoy.
struct AtEnvoy {
    connector: Option<Arc<Connector>>,
    parts: Parts,
    body: Bytes,
}

impl AtEnvoy {
    fn route(&self) -> Result<MatchedRoute, CallRefused> {
        let connector = self.connector.as_ref().ok_or(CallRefused::UnknownRoute)?;
        connector.route(&self.parts.method, self.parts.uri.path())
    }
}

impl IncomingCall for AtEnvoy {
    type Forward = Forward;

    async fn canonicalise(self) -> Result<(CallRequest, Forward), Refusal> {
        let refused = |error: CallRefused| broker::call_refused(&error);
        let route = self.route().map_err(refused)?;
        let body = route.receive(&self.parts, Body::from(self.body)).await.map_err(refused)?;
        route.bind(&self.parts, body).map_err(refused)
    }

    fn named(&self) -> Option<NamedCall> {
        self.route().ok().map(|route| broker::named(&route))
    }
}

/// Which of the request's fields end at Envoy: the mandate, what claims an identity, and what only we may say.
fn not_for_the_upstream(headers: &HeaderMap) -> Vec<String> {
    let ends_here = |name: &&HeaderName| {
        let name = *name;
        *name == AUTHORIZATION
            || *name == POA_TOKEN
            || matches!(name.as_str(), "x-platform-token" | "x-spiffe-id")
            || (name.as_str().starts_with("x-atb-") && name.as_str() != DECISION_ID)
    };
    headers.keys().filter(ends_here).map(ToString::to_string).collect()
}

fn passed(passage: &Passage, headers_to_remove: Vec<String>) -> CheckResponse {
    let id = || field(DECISION_ID, passage.decision_id.to_string());
    let ok = OkHttpResponse {
        headers: vec![id()],
        response_headers_to_add: vec![id()],
        headers_to_remove,
        ..OkHttpResponse::default()
    };
    let obligations = passage.obligations.iter().map(metadata::value).collect();
    CheckResponse {
        status: Some(status(RpcCode::Ok)),
        dynamic_metadata: Some(metadata::of(&passage.decision_id.to_string(), obligations)),
        http_response: Some(HttpResponse::OkResponse(ok)),
    }
}

fn denied(refusal: Refusal) -> CheckResponse {
    let document = super::problem::document(&refusal).to_string();
    let code =
        if refusal.code == Code::CredentialMissing { RpcCode::Unauthenticated } else { RpcCode::PermissionDenied };
    let response = Problem(refusal).into_response();
    let headers = response.headers().iter().filter_map(|(name, value)| {
        let value = value.to_str().ok()?;
        Some(field(name.as_str(), value.to_owned()))
    });
    let denied = DeniedHttpResponse {
        status: Some(HttpStatus { code: i32::from(response.status().as_u16()) }),
        headers: headers.collect(),
        body: document,
    };
    CheckResponse {
        status: Some(status(code)),
        dynamic_metadata: None,
        http_response: Some(HttpResponse::DeniedResponse(denied)),
    }
}

fn status(code: RpcCode) -> RpcStatus {
    RpcStatus { code: code.into(), ..RpcStatus::default() }
}

fn field(name: &str, value: String) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(Field { key: name.to_owned(), value, ..Field::default() }),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
        ..HeaderValueOption::default()
    }
}

/// What Envoy's access log and later filters can read: `envoy.filters.http.ext_authz`.
mod metadata {
    use envoy_types::pb::google::protobuf::value::Kind;
    use envoy_types::pb::google::protobuf::{ListValue, Struct, Value};

    pub(super) fn of(decision_id: &str, obligations: Vec<Value>) -> Struct {
        let id = kind(Kind::StringValue(decision_id.to_owned()));
        let list = kind(Kind::ListValue(ListValue { values: obligations }));
        Struct { fields: [("decision_id".to_owned(), id), ("obligations".to_owned(), list)].into() }
    }

    pub(super) fn value(json: &serde_json::Value) -> Value {
        use serde_json::Value as Json;
        kind(match json {
            Json::Null => Kind::NullValue(0),
            Json::Bool(flag) => Kind::BoolValue(*flag),
            Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
            Json::String(text) => Kind::StringValue(text.clone()),
            Json::Array(items) => Kind::ListValue(ListValue { values: items.iter().map(value).collect() }),
            Json::Object(members) => {
                let fields = members.iter().map(|(name, member)| (name.clone(), value(member)));
                Kind::StructValue(Struct { fields: fields.collect() })
            }
        })
    }

    fn kind(kind: Kind) -> Value {
        Value { kind: Some(kind) }
    }
}
