//! The certification scenario that the AuthZEN working group publishes (openid/authzen,
//! `certification/authorization-api-1_0-scenario.md`), at the levels Basic, Batch and Discovery; the numbers are its own.
//!
//! Its subjects are people and its resources records, so the fixture is a rule of the bundle. Search is not offered.

use serde_json::{Value, json};

use super::{ERP, EVALUATION, EVALUATIONS};
use crate::app::{Answer, TestApp};
use crate::schemas::fits;

/// The fixture of §1: rules 1 to 8.
const FIXTURE: &str = r#"# The fixture of AuthZEN's certification.
package atb.authzen

import rego.v1

evaluation := {"decision": allowed}

default allowed := false

allowed if input.action.name == "read"

allowed if {
	input.action.name == "write"
	input.subject.id == "alice"
	not archived
}

allowed if {
	input.action.name == "write"
	input.subject.properties.role == "admin"
}

allowed if {
	input.action.name == "delete"
	input.action.properties.soft == true
}

archived if input.resource.properties.status == "archived"
"#;

async fn start() -> TestApp {
    TestApp::start_with(|home| {
        std::fs::write(home.path("opa/policy/authzen.rego"), FIXTURE).unwrap();
        home.replace("atb.toml", "[broker]", "[broker]\ndata_api = [\"spiffe://atb.dev/connector/erp\"]");
    })
    .await
}

fn tuple(subject: &str, action: &str, resource: &str) -> Value {
    json!({
        "subject": {"type": "user", "id": subject}, "action": {"name": action},
        "resource": {"type": "record", "id": resource},
    })
}

/// `tuple` with the member at `pointer`.
fn with(mut tuple: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    tuple.pointer_mut(parent).unwrap()[name] = value;
    tuple
}

fn without(mut tuple: Value, pointer: &str) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    tuple.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name).unwrap();
    tuple
}

fn archived(tuple: Value) -> Value {
    with(tuple, "/resource/properties", json!({"status": "archived"}))
}

fn admin(tuple: Value) -> Value {
    with(tuple, "/subject/properties", json!({"role": "admin"}))
}

fn decisions(answer: &Answer) -> Vec<bool> {
    assert_eq!((answer.status, answer.header("content-type").as_str()), (200, "application/json"), "{answer}");
    fits("authzen-evaluations-answer", &answer.json);
    assert!(answer.json.get("decision").is_none(), "3.3.4: {answer}");
    answer.json["evaluations"].as_array().unwrap().iter().map(|one| one["decision"].as_bool().unwrap()).collect()
}

#[tokio::test]
async fn basic() {
    let app = start().await;
    let erp = app.to_broker(ERP);
    let soft = |soft: bool| with(tuple("alice", "delete", "record-1"), "/action/properties", json!({"soft": soft}));
    let context = json!({"time": "2025-06-27T18:03-07:00", "ip": "192.168.1.1"});
    let mut more = tuple("alice", "read", "record-1");
    more["subject"]["properties"] = json!({"department": "Sales", "role": "manager"});
    more["action"]["properties"] = json!({"method": "GET"});
    more["resource"]["properties"] = json!({"status": "active", "owner": "bob"});
    let mut unknown = tuple("alice", "read", "record-1");
    unknown["foo"] = json!("bar");
    unknown["futureField"] = json!({"nested": true});
    for (number, request, expected) in [
        ("2.2.1", tuple("alice", "read", "record-1"), true),
        ("1.4 rule 2", tuple("alice", "write", "record-1"), true),
        ("1.4 rule 3", tuple("bob", "read", "record-1"), true),
        ("2.2.2", tuple("bob", "write", "record-1"), false),
        ("2.2.3", with(tuple("alice", "read", "record-1"), "/context", context), true),
        ("2.2.4", archived(tuple("alice", "write", "record-2")), false),
        ("2.2.5", admin(archived(tuple("bob", "write", "record-2"))), true),
        ("2.2.6", soft(true), true),
        ("2.2.7", soft(false), false),
        ("2.2.8", more, true),
        ("2.2.9", unknown, true),
    ] {
        fits("authzen-evaluation-request", &request);
        // 2.6: the same each time.
        for _ in 0..3 {
            let answer = erp.post(EVALUATION, &request).await;
            assert_eq!((answer.status, &answer.json["decision"]), (200, &json!(expected)), "{number}: {answer}");
            assert_eq!(answer.header("content-type"), "application/json", "{number}");
            fits("authzen-evaluation-answer", &answer.json);
        }
    }
    app.finish().await;
}

#[tokio::test]
async fn basic_errors_and_headers() {
    let app = start().await;
    let erp = app.to_broker(ERP);
    let whole = || tuple("alice", "read", "record-1");
    for missing in [
        "/subject",
        "/action",
        "/resource",
        "/subject/type",
        "/subject/id",
        "/action/name",
        "/resource/type",
        "/resource/id",
    ] {
        let answer = erp.post(EVALUATION, &without(whole(), missing)).await;
        assert_eq!(answer.status, 400, "2.4.1, 2.4.2: without {missing}: {answer}");
    }
    for (pointer, value) in [("/subject", json!("alice")), ("/action/name", json!(123))] {
        assert_eq!(erp.post(EVALUATION, &with(whole(), pointer, value)).await.status, 400, "2.4.6: {pointer}");
    }
    let body = whole().to_string().into_bytes();
    for (number, kind, body) in [
        ("2.4.3", "text/plain", body.clone()),
        ("2.4.4", "application/json", b"{\"subject\":".to_vec()),
        ("2.4.5", "application/json", Vec::new()),
    ] {
        let answer = erp.send("POST", EVALUATION, &[("content-type", kind)], body).await;
        assert_eq!(answer.status, 400, "{number}: {answer}");
    }
    let headers = [("content-type", "application/json"), ("x-request-id", "bfe9eb29-ab87-4ca3-be83-a1d5d8305716")];
    let answer = erp.send("POST", EVALUATION, &headers, body).await;
    assert_eq!(answer.header("x-request-id"), "bfe9eb29-ab87-4ca3-be83-a1d5d8305716", "2.5.1");
    app.finish().await;
}

#[tokio::test]
async fn batch() {
    let app = start().await;
    let erp = app.to_broker(ERP);
    let active = json!({"status": "active"});
    let put_away = json!({"status": "archived"});
    let alice = json!({"type": "user", "id": "alice"});
    let bob = json!({"type": "user", "id": "bob"});
    let record = |id: &str| json!({"type": "record", "id": id});
    let kept = |id: &str, properties: &Value| json!({"type": "record", "id": id, "properties": properties});
    let read = json!({"name": "read"});
    let write = json!({"name": "write"});
    for (number, request, expected) in [
        (
            "3.2.2",
            json!({"subject": bob, "resource": record("record-1"), "evaluations": [{"action": read}, {"action": write}]}),
            vec![true, false],
        ),
        (
            "3.2.3",
            json!({"subject": alice, "action": write, "evaluations": [
                {"resource": kept("record-1", &active)}, {"resource": kept("record-2", &put_away)},
            ]}),
            vec![true, false],
        ),
        (
            "3.2.4",
            json!({"action": write, "resource": kept("record-2", &put_away), "evaluations": [
                {"subject": alice}, {"subject": {"type": "user", "id": "bob", "properties": {"role": "admin"}}},
            ]}),
            vec![false, true],
        ),
        (
            "3.2.5",
            json!({"evaluations": [tuple("alice", "read", "record-1"), tuple("bob", "write", "record-1")]}),
            vec![true, false],
        ),
        (
            "3.2.7",
            json!({"subject": alice, "action": write, "resource": {"type": "record"}, "evaluations": [
                {"resource": {"id": "record-1", "properties": active}}, {"resource": kept("record-2", &put_away)},
            ]}),
            vec![true, false],
        ),
        (
            "3.4.1",
            json!({"subject": alice, "action": read, "evaluations": [{"resource": record("record-1")}, {}]}),
            vec![true, false],
        ),
    ] {
        fits("authzen-evaluations-request", &request);
        let answer = erp.post(EVALUATIONS, &request).await;
        assert_eq!(decisions(&answer), expected, "{number}: {answer}");
    }
    for (number, context) in [("3.2.1", Value::Null), ("3.2.6", json!({"time": "2025-06-27T18:03-07:00"}))] {
        let other = json!({"time": "2025-06-27T19:00-07:00", "source": "batch-override"});
        let request = json!({"subject": alice, "action": read, "context": context, "evaluations": [
            {"resource": record("record-1")}, {"resource": record("record-2"), "context": other},
        ]});
        assert_eq!(decisions(&erp.post(EVALUATIONS, &request).await).len(), 2, "{number}");
    }
    app.finish().await;
}

#[tokio::test]
async fn batch_without_evaluations_is_one_and_what_is_no_batch_is_400() {
    let app = start().await;
    let erp = app.to_broker(ERP);
    let empty = with(tuple("alice", "read", "record-1"), "/evaluations", json!([]));
    for (number, request) in [("3.4.2", tuple("alice", "read", "record-1")), ("3.4.3", empty)] {
        let answer = erp.post(EVALUATIONS, &request).await;
        assert_eq!((answer.status, &answer.json["decision"]), (200, &json!(true)), "{number}: {answer}");
        fits("authzen-evaluation-answer", &answer.json);
    }
    assert_eq!(erp.post(EVALUATIONS, &json!({"evaluations": "all"})).await.status, 400);
    assert_eq!(erp.post_text(EVALUATIONS, "[").await.status, 400);
    app.finish().await;
}

#[tokio::test]
async fn discovery() {
    let app = start().await;
    let erp = app.to_broker(ERP);
    let answer = erp.get("/.well-known/authzen-configuration").await;
    assert_eq!((answer.status, answer.header("content-type").as_str()), (200, "application/json"), "{answer}");
    fits("authzen-configuration", &answer.json);
    let base = erp.base();
    assert_eq!(answer.text("/policy_decision_point"), base, "6.5: the base that it was asked at");
    assert_eq!(answer.text("/access_evaluation_endpoint"), format!("{base}{EVALUATION}"));
    assert_eq!(answer.text("/access_evaluations_endpoint"), format!("{base}{EVALUATIONS}"));
    app.finish().await;
}
