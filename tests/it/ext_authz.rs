//! Envoy's external authorization, asked as Envoy asks: gRPC over HTTP/2 over mTLS, with Envoy's attributes.

use atb::domain::ledger::EventType;
use envoy_types::ext_authz::v3::pb::{CheckRequest, CheckResponse, HttpResponse};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest as Check};
use serde_json::{Value, json};
use tonic::transport::Channel;

use crate::app::{AGENT, TestApp, asking, the_call};
use crate::schemas::fits;

/// The gateway in front of the ERP has the connector's own SVID.
const GATEWAY: &str = "erp";
const PROCUREMENT: &str = "spiffe://atb.dev/agent/procurement";

/// What Envoy says of a request that it holds.
fn held(method: &str, path: &str, mandate: &str, body: Option<&Value>) -> CheckRequest {
    let mut headers = vec![
        (":authority".to_owned(), "erp.internal".to_owned()),
        (":method".to_owned(), method.to_owned()),
        (":path".to_owned(), path.to_owned()),
        (":scheme".to_owned(), "https".to_owned()),
        ("authorization".to_owned(), format!("Bearer {mandate}")),
        ("accept".to_owned(), "*/*".to_owned()),
        ("cookie".to_owned(), "a=b".to_owned()),
        ("x-request-id".to_owned(), "1b4c1f2a".to_owned()),
    ];
    let raw_body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    if body.is_some() {
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
        headers.push(("content-length".to_owned(), raw_body.len().to_string()));
        headers.push(("x-envoy-auth-partial-body".to_owned(), "false".to_owned()));
    }
    let http = HttpRequest {
        id: "12345".to_owned(),
        method: method.to_owned(),
        headers: headers.into_iter().collect(),
        path: path.to_owned(),
        host: "erp.internal".to_owned(),
        scheme: "https".to_owned(),
        size: -1,
        protocol: "HTTP/2".to_owned(),
        raw_body,
        ..HttpRequest::default()
    };
    let source = Peer { principal: PROCUREMENT.to_owned(), ..Peer::default() };
    Check {
        attributes: Some(AttributeContext {
            source: Some(source),
            request: Some(Request { time: None, http: Some(http) }),
            context_extensions: [("atb.connector".to_owned(), "erp".to_owned())].into(),
            ..AttributeContext::default()
        }),
    }
}

/// A low call.
pub fn reading(mandate: &str) -> CheckRequest {
    held("GET", "/vendors/V-1001", mandate, None)
}

fn attributes(request: &mut CheckRequest) -> &mut AttributeContext {
    request.attributes.as_mut().unwrap()
}

fn http(request: &mut CheckRequest) -> &mut HttpRequest {
    attributes(request).request.as_mut().unwrap().http.as_mut().unwrap()
}

/// `request` with a header.
fn with(mut request: CheckRequest, name: &str, value: &str) -> CheckRequest {
    http(&mut request).headers.insert(name.to_owned(), value.to_owned());
    request
}

/// `request`, at a gateway that says it is this connector's.
pub fn to_connector(mut request: CheckRequest, name: &str) -> CheckRequest {
    attributes(&mut request).context_extensions.insert("atb.connector".to_owned(), name.to_owned());
    request
}

/// `request`, changed.
fn but(mut request: CheckRequest, change: impl FnOnce(&mut CheckRequest)) -> CheckRequest {
    change(&mut request);
    request
}

/// An Envoy with one of the directory's identities.
pub struct Envoy(AuthorizationClient<Channel>);

impl Envoy {
    pub async fn of(app: &TestApp, name: &str) -> Self {
        Self(AuthorizationClient::new(app.to_broker(name).grpc().await))
    }

    pub async fn check(&mut self, request: CheckRequest) -> Told {
        Told::by(self.0.check(request).await.unwrap().into_inner())
    }
}

/// What Envoy would do.
#[derive(Debug)]
pub enum Told {
    Pass { removed: Vec<String>, added: Vec<(String, String)>, decision_id: String },
    Deny { status: u16, headers: Vec<(String, String)>, problem: Value },
}

impl Told {
    fn by(response: CheckResponse) -> Self {
        let code = response.status.map(|status| status.code);
        let list = |options: Vec<envoy_types::ext_authz::v3::pb::HeaderValueOption>| {
            options.into_iter().filter_map(|o| o.header).map(|h| (h.key, h.value)).collect::<Vec<_>>()
        };
        match response.http_response.unwrap() {
            HttpResponse::OkResponse(ok) => {
                assert_eq!(code, Some(0));
                let metadata = response.dynamic_metadata.unwrap();
                assert!(metadata.fields.contains_key("obligations"));
                let added = list(ok.headers);
                let decision_id = added.iter().find(|(name, _)| name == "x-atb-decision-id").unwrap().1.clone();
                Self::Pass { removed: ok.headers_to_remove, added, decision_id }
            }
            HttpResponse::DeniedResponse(denied) => {
                assert!(matches!(code, Some(7 | 16)), "a denial is never OK: {code:?}");
                let problem: Value = serde_json::from_str(&denied.body).unwrap();
                fits("problem", &problem);
                let status = u16::try_from(denied.status.unwrap().code).unwrap();
                assert_eq!(problem["status"], status);
                let headers = list(denied.headers);
                assert!(headers.contains(&("content-type".to_owned(), "application/problem+json".to_owned())));
                Self::Deny { status, headers, problem }
            }
            HttpResponse::ErrorResponse(_) => panic!("an error lets a careless Envoy pass the call"),
        }
    }

    pub fn verdict(&self) -> String {
        match self {
            Self::Pass { .. } => "pass".to_owned(),
            Self::Deny { status, problem, .. } => format!("{status} {}", problem["reason"].as_str().unwrap()),
        }
    }
}

#[tokio::test]
async fn a_call_passes_once_without_its_mandate() {
    let app = TestApp::start().await;
    let mut envoy = Envoy::of(&app, GATEWAY).await;
    let mandate = app.low_mandate().await;
    let mark = app.mark().await;
    let told = envoy.check(with(reading(&mandate), "x-atb-action", "erp.vendor.read")).await;
    let Told::Pass { mut removed, added, decision_id } = told else { panic!("{told:?}") };
    removed.sort();
    assert_eq!(removed, ["authorization", "x-atb-action"]);
    assert_eq!(added.len(), 1);
    let event = TestApp::only(app.events_since(mark).await, "a passage");
    assert_eq!((event.event_type, event.subject.allow), (EventType::BrokerDecision, Some(true)));
    assert_eq!(event.subject.decision_id.unwrap().to_string(), decision_id);
    assert_eq!(
        (event.subject.detail["api"].as_str(), event.subject.act.unwrap().as_str()),
        ("ext_authz", "erp.vendor.read")
    );
    assert_eq!(event.subject.agent.unwrap().as_str(), PROCUREMENT);
    assert_eq!(event.subject.caller.unwrap().as_str(), "spiffe://atb.dev/connector/erp");

    assert_eq!(envoy.check(reading(&mandate)).await.verdict(), "409 mandate_replayed");
    assert_eq!(app.call("GET", "/c/erp/vendors/V-1001", &mandate, None).await.verdict(), "409 mandate_replayed");
    assert_eq!(app.erp_hits(), 0, "the gateway calls, not the broker");
    app.finish().await;
}

#[tokio::test]
async fn the_body_is_part_of_what_was_approved() {
    let app = TestApp::start().await;
    let mut envoy = Envoy::of(&app, GATEWAY).await;
    let mandate = app.approved_mandate(&asking("high"), &["alice", "bob"]).await;
    let (method, path, body) = the_call("high");
    let (path, body) = (path.strip_prefix("/c/erp").unwrap(), body.unwrap());
    let dearer = json!({"iban": body["iban"], "payment_limit": 26_000});
    assert_eq!(envoy.check(held(method, path, &mandate, Some(&dearer))).await.verdict(), "403 request_mismatch");
    let whole = held(method, path, &mandate, Some(&body));
    for (what, request, reason) in [
        ("cut off", with(whole.clone(), "x-envoy-auth-partial-body", "true"), "400 body_not_whole"),
        ("held back", but(whole.clone(), |r| http(r).raw_body.clear()), "400 body_not_whole"),
        ("shorter than it says", with(whole.clone(), "content-length", "4096"), "400 body_not_whole"),
        (
            "held back, of no length",
            but(whole.clone(), |r| {
                http(r).raw_body.clear();
                http(r).headers.remove("content-length");
                http(r).headers.insert("transfer-encoding".to_owned(), "chunked".to_owned());
            }),
            "400 body_not_whole",
        ),
        ("twice", but(whole.clone(), |r| http(r).body = "{}".to_owned()), "400 body_twice"),
        ("compressed", with(whole.clone(), "content-encoding", "gzip"), "415 content_encoding"),
        (
            "a form",
            with(whole.clone(), "content-type", "application/x-www-form-urlencoded"),
            "415 unsupported_media_type",
        ),
        (
            "a member twice",
            but(whole.clone(), |r| {
                let text = body.to_string().replacen('{', "{\"iban\":\"DE1\",", 1);
                http(r).headers.insert("content-length".to_owned(), text.len().to_string());
                http(r).raw_body = text.into_bytes();
            }),
            "400 malformed_json",
        ),
    ] {
        assert_eq!(envoy.check(request).await.verdict(), reason, "{what}");
    }
    // As text, where Envoy is not set to hand over bytes.
    let text = but(whole, |r| {
        let bytes = std::mem::take(&mut http(r).raw_body);
        http(r).body = String::from_utf8(bytes).unwrap();
    });
    assert_eq!(envoy.check(text).await.verdict(), "pass", "the mandate was spent before");
    app.finish().await;
}

#[tokio::test]
async fn what_two_readers_could_read_differently_or_nobody_attested_does_not_pass() {
    let app = TestApp::start().await;
    let mut envoy = Envoy::of(&app, GATEWAY).await;
    let mandate = app.low_mandate().await;
    let good = || reading(&mandate);
    let principal = |name: &str| but(good(), |r| attributes(r).source.as_mut().unwrap().principal = name.to_owned());
    let connector = |name: &str| to_connector(good(), name);
    let at = |path: &str| held("GET", path, &mandate, None);
    let unnamed = |r: &mut CheckRequest| drop(attributes(r).context_extensions.remove("atb.connector"));
    for (what, request, verdict) in [
        ("nothing at all", Check::default(), "400 attributes_missing"),
        ("no request", but(good(), |r| attributes(r).request = None), "400 attributes_missing"),
        ("nobody", but(good(), |r| attributes(r).source = None), "403 source_not_attested"),
        ("a name of its DNS", principal("procurement.internal"), "403 source_not_attested"),
        ("another agent", principal("spiffe://atb.dev/agent/support"), "403 mandate_holder"),
        ("no connector", but(good(), unnamed), "400 connector_not_named"),
        ("a connector that is none", connector("crm"), "403 connector_not_callers"),
        ("a connector from a path", connector("../erp"), "400 connector_not_named"),
        ("no mandate", but(good(), |r| drop(http(r).headers.remove("authorization"))), "401 credential_missing"),
        ("two mandates", with(good(), "x-poa-token", &mandate), "400 request_malformed"),
        (
            "two joined",
            with(good(), "authorization", &format!("Bearer {mandate},Bearer {mandate}")),
            "401 mandate_malformed",
        ),
        ("a claim of identity", with(good(), "x-spiffe-id", "spiffe://atb.dev/agent/support"), "403 identity_conflict"),
        ("another method below", with(good(), ":method", "DELETE"), "400 pseudo_header"),
        ("another path below", with(good(), ":path", "/vendors/V-1002"), "400 pseudo_header"),
        ("an override", with(good(), "x-http-method-override", "DELETE"), "400 override_header"),
        ("an upgrade", with(good(), "upgrade", "websocket"), "400 upgrade_refused"),
        ("another act", with(good(), "x-atb-action", "erp.vendor.delete"), "422 act_mismatch"),
        ("dots", at("/vendors/../vendors/V-1001"), "400 ambiguous_path"),
        ("an escape", at("/vendors%2fV-1001"), "400 ambiguous_path"),
        ("the absolute form", at("http://erp/vendors/V-1001"), "400 absolute_form"),
        ("a parameter of no route", at("/vendors/V-1001?x=1"), "422 undeclared_parameter"),
        ("no route", at("/vendor/V-1001"), "404 unknown_route"),
        (
            "a body where none belongs",
            held("GET", "/vendors/V-1001", &mandate, Some(&json!({}))),
            "400 unexpected_body",
        ),
        ("TRACE", held("TRACE", "/vendors/V-1001", &mandate, None), "405 method_not_supported"),
    ] {
        let mark = app.mark().await;
        let told = envoy.check(request).await;
        assert_eq!(told.verdict(), verdict, "{what}: {told:?}");
        let event = TestApp::only(app.events_since(mark).await, what);
        assert_eq!((event.event_type, event.subject.allow), (EventType::BrokerDecision, Some(false)), "{what}");
        assert_eq!(event.subject.detail["api"], "ext_authz", "{what}");
    }
    assert_eq!(envoy.check(good()).await.verdict(), "pass", "the mandate was spent");
    assert_eq!(app.erp_hits(), 0);
    app.finish().await;
}

#[tokio::test]
async fn an_envoy_that_is_no_workload_of_the_connector_is_told_no_with_a_whole_answer() {
    let app = TestApp::start().await;
    let mandate = app.low_mandate().await;
    for name in [AGENT, "alice"] {
        let told = Envoy::of(&app, name).await.check(reading(&mandate)).await;
        assert_eq!(told.verdict(), "403 connector_not_callers", "{name}");
    }
    assert_eq!(app.call("GET", "/c/erp/vendors/V-1001", &mandate, None).await.status, 200, "the mandate was spent");
    app.finish().await;
}

#[tokio::test]
async fn a_client_without_a_mandate_learns_what_to_ask_for() {
    let app = TestApp::start().await;
    let mut envoy = Envoy::of(&app, GATEWAY).await;
    let told = envoy.check(but(reading(""), |r| drop(http(r).headers.remove("authorization")))).await;
    let Told::Deny { status, headers, problem } = told else { panic!("{told:?}") };
    assert_eq!((status, &problem["missing"]), (401, &json!(["mandate"])));
    assert_eq!(problem["authorization_details"][0]["actions"][0], "erp.vendor.read", "{problem}");
    assert!(headers.contains(&("www-authenticate".to_owned(), "Bearer realm=\"atb\"".to_owned())), "{headers:?}");
    app.finish().await;
}

#[tokio::test]
async fn a_question_that_is_no_grpc_is_no_permission() {
    let app = TestApp::start().await;
    let answer = app.to_broker(GATEWAY).post("/envoy.service.auth.v3.Authorization/Check", &json!({})).await;
    let status = answer.header("grpc-status");
    assert!(!status.is_empty() && status != "0" && answer.body.is_empty(), "{status}: {answer}");
    let answer = app.to_broker(GATEWAY).get("/envoy.service.auth.v3.Authorization/Check").await;
    assert_eq!(answer.status, 405, "{answer}");
    app.finish().await;
}
