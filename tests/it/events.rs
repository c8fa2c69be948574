//! Every refusal writes exactly one event that says what the caller was told, at every door.

use atb::domain::ledger::EventType;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::app::{AGENT, At, OTHER, TestApp, asking};

/// One refusal: who, where, what, verdict and the event.
struct Row(&'static str, At, &'static str, String, Option<String>, &'static str, EventType);

#[tokio::test]
async fn every_refusal_writes_exactly_one_event() {
    use At::{AgentAuth, Broker};
    use EventType::{BrokerDecision, PoaApprovalRefused, PoaDenied, PoaSingleUseReplayBlocked};
    let app = TestApp::start().await;
    let spent = app.low_mandate().await;
    assert_eq!(app.call("GET", "/c/erp/vendors/V-1001", &spent, None).await.status, 200);
    let waits = app.challenge(&asking("high")).await;
    let rejected = app.challenge(&asking("high")).await;
    let no = app.to_issuer("bob").post(&format!("/challenges/{rejected}/reject"), &json!({"reason": "no"})).await;
    assert_eq!(no.status, 200);
    let unknown = "01890000-0000-7000-8000-000000000000";
    let body = |value: serde_json::Value| Some(value.to_string());
    let statement = || body(json!({"statement": "e30.e30.e30"}));
    let at = |path: &str| path.to_owned();
    let unknown_act = json!({"act": "erp.vendor.explode", "leg": asking("low")["leg"]});
    let question = json!({
        "token": spent, "agent": "spiffe://atb.dev/agent/procurement",
        "request": {"connector": "erp", "method": "GET", "path": "/vendors/V-1001", "params": {"vendor_id": "V-1001"}},
    });

    let rows = [
        Row(AGENT, AgentAuth, "POST", at("/issue"), body(unknown_act), "403 unknown_act", PoaDenied),
        Row(AGENT, AgentAuth, "POST", at("/issue"), body(json!([])), "422 schema_violation", PoaDenied),
        Row(AGENT, AgentAuth, "POST", at("/issue"), body(asking("critical")), "403 ticket_missing", PoaDenied),
        Row(AGENT, AgentAuth, "GET", format!("/issue/{rejected}"), None, "403 challenge_rejected", PoaDenied),
        Row(AGENT, AgentAuth, "GET", format!("/issue/{unknown}"), None, "404 challenge_not_found", PoaDenied),
        Row(OTHER, AgentAuth, "GET", format!("/issue/{waits}"), None, "404 challenge_not_found", PoaDenied),
        Row(AGENT, AgentAuth, "GET", format!("/issue/{waits}?wait=x"), None, "422 schema_violation", PoaDenied),
        Row(AGENT, AgentAuth, "DELETE", format!("/issue/{waits}"), None, "405 method_not_allowed", PoaDenied),
        Row(AGENT, AgentAuth, "GET", at("/challenges"), None, "403 approver_unknown", PoaApprovalRefused),
        Row("alice", AgentAuth, "GET", at("/challenges?limit=many"), None, "400 query_invalid", PoaDenied),
        Row(
            "alice",
            AgentAuth,
            "GET",
            format!("/challenges/{unknown}"),
            None,
            "404 challenge_not_found",
            PoaApprovalRefused,
        ),
        Row(
            "alice",
            AgentAuth,
            "POST",
            format!("/challenges/{waits}/approve"),
            statement(),
            "403 statement_malformed",
            PoaApprovalRefused,
        ),
        Row(
            "alice",
            AgentAuth,
            "POST",
            format!("/challenges/{unknown}/approve"),
            statement(),
            "404 challenge_not_found",
            PoaApprovalRefused,
        ),
        Row(
            AGENT,
            AgentAuth,
            "POST",
            format!("/challenges/{waits}/approve"),
            statement(),
            "403 approver_unknown",
            PoaApprovalRefused,
        ),
        Row(
            "alice",
            AgentAuth,
            "POST",
            format!("/challenges/{waits}/approve"),
            body(json!({})),
            "422 schema_violation",
            PoaDenied,
        ),
        Row(
            "alice",
            AgentAuth,
            "POST",
            format!("/challenges/{rejected}/reject"),
            body(json!({"reason": "no"})),
            "409 challenge_rejected",
            PoaApprovalRefused,
        ),
        Row(
            "alice",
            AgentAuth,
            "POST",
            format!("/challenges/{waits}/reject"),
            body(json!({})),
            "422 schema_violation",
            PoaDenied,
        ),
        Row(AGENT, AgentAuth, "GET", at("/templates/none"), None, "404 template_not_found", PoaDenied),
        Row(AGENT, AgentAuth, "GET", at("/nothing"), None, "404 not_found", PoaDenied),
        Row(AGENT, AgentAuth, "POST", at("/templates"), None, "405 method_not_allowed", PoaDenied),
        Row(AGENT, Broker, "GET", at("/c/erp/vendors/V-1001"), None, "401 credential_missing", BrokerDecision),
        Row(AGENT, Broker, "GET", at("/nothing"), None, "404 not_found", BrokerDecision),
        Row(AGENT, Broker, "GET", at("/v1/decide"), None, "405 method_not_allowed", BrokerDecision),
        Row(
            AGENT,
            Broker,
            "POST",
            at("/v1/decide"),
            body(question.clone()),
            "403 connector_not_callers",
            BrokerDecision,
        ),
        Row("erp", Broker, "POST", at("/v1/decide"), body(json!({})), "422 schema_violation", BrokerDecision),
        Row("erp", Broker, "POST", at("/v1/decide"), body(question), "200 mandate_replayed", PoaSingleUseReplayBlocked),
    ];
    for Row(who, door, method, path, body, verdict, kind) in rows {
        let what = format!("{who} {method} {path}");
        let mark = app.mark().await;
        let headers: &[_] = if body.is_some() { &[("content-type", "application/json")] } else { &[] };
        let answer = app.caller(who, door).send(method, &path, headers, body.unwrap_or_default().into_bytes()).await;
        assert_eq!(answer.verdict(), verdict, "{what}: {answer}");
        let event = TestApp::only(app.events_since(mark).await, &what);
        assert_eq!(event.event_type, kind, "{what}");
        assert_eq!(event.subject.allow, Some(false), "{what}");
        assert_eq!(event.subject.reason, Some(answer.reason()), "{what}");
        let named = [&event.subject.agent, &event.subject.caller].into_iter().flatten().any(|id| *id == app.id_of(who));
        assert!(named, "{what}: the caller is not on record: {event:?}");
        let id = event.subject.decision_id.map(|id| id.to_string()).unwrap_or_default();
        assert_eq!(id, answer.text("/decision_id"), "{what}");
    }
    assert_eq!(app.collect(&waits).await.status, 202, "the challenge that waits was touched");
    app.finish().await;
}

/// CONNECT would be a tunnel, TRACE an echo of the mandate.
#[tokio::test]
async fn connect_and_trace_are_refused_at_both_doors_on_record() {
    let app = TestApp::start().await;
    let mandate = app.low_mandate().await;
    for (door, kind) in [(At::AgentAuth, EventType::PoaDenied), (At::Broker, EventType::BrokerDecision)] {
        for target in ["TRACE /c/erp/vendors/V-1001", "TRACE /issue", "CONNECT internal.example:443"] {
            let mark = app.mark().await;
            let mut stream = app.caller(AGENT, door).connect().await;
            let request = format!(
                "{target} HTTP/1.1\r\nhost: internal.example:443\r\nauthorization: Bearer {mandate}\r\nconnection: close\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            // After a CONNECT the connection ends without TLS's goodbye; the answer before it is whole.
            let _ = stream.read_to_end(&mut answer).await;
            let answer = String::from_utf8(answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 405 "), "{target}: {answer}");
            assert!(answer.contains("urn:atb:problem:method_not_allowed"), "{target}: {answer}");
            assert!(!answer.contains("eyJ"), "{target}: an echo: {answer}");
            let event = TestApp::only(app.events_since(mark).await, target);
            assert_eq!(event.event_type, kind, "{target}");
        }
    }
    assert_eq!(app.call("GET", "/c/erp/vendors/V-1001", &mandate, None).await.status, 200);
    app.finish().await;
}
