//! `/v1/data/{path}`: OPA's Data API, for those whom the configuration names.

use atb::domain::ledger::EventType;
use serde_json::{Value, json};

use crate::app::{AGENT, Answer, TestApp};
use crate::schemas::{fits, refuses};

const ERP: &str = "erp";

async fn open() -> TestApp {
    let allowed = "[broker]\ndata_api = [\"spiffe://atb.dev/connector/erp\"]";
    TestApp::start_with(|home| home.replace("atb.toml", "[broker]", allowed)).await
}

async fn ask(app: &TestApp, who: &str, path: &str, body: &Value) -> Answer {
    app.to_broker(who).post(&format!("/v1/data/{path}"), body).await
}

#[tokio::test]
async fn a_rule_is_answered_as_opa_answers_it_and_the_question_is_on_record() {
    let app = open().await;
    let mark = app.mark().await;
    let answer = ask(&app, ERP, "atb/poa/decision", &json!({"input": {}})).await;
    assert_eq!((answer.status, &answer.json["result"]["reason"]), (200, &json!("input_malformed")), "{answer}");
    refuses("data-answer", &answer.json, vec![("/decision_id", json!("1")), ("/x", json!(1))]);
    let event = TestApp::only(app.events_since(mark).await, "a question");
    assert_eq!((event.event_type, event.subject.allow), (EventType::PolicyQueried, None));
    assert_eq!(event.subject.reason.as_deref(), Some("ok"));
    assert_eq!(event.subject.decision_id.map(|id| id.to_string()), Some(answer.text("/decision_id")));
    assert_eq!(event.subject.detail["path"], "atb/poa/decision");
    assert!(event.subject.bundle_digest.is_some());
    fits("ledger-entry", &serde_json::from_slice(&event.to_bytes()).unwrap());
    app.finish().await;
}

#[tokio::test]
async fn a_rule_without_a_value_has_no_result() {
    let app = open().await;
    let mark = app.mark().await;
    let answer = ask(&app, ERP, "atb/poa/nothing", &json!({"input": {}})).await;
    assert_eq!((answer.status, answer.json.get("result")), (200, None), "{answer}");
    fits("data-answer", &answer.json);
    let event = TestApp::only(app.events_since(mark).await, "undefined");
    assert_eq!(event.subject.reason.as_deref(), Some("undefined"));
    app.finish().await;
}

#[tokio::test]
async fn the_same_question_can_be_a_get() {
    let app = open().await;
    let erp = app.to_broker(ERP);
    let posted = ask(&app, ERP, "atb/issue/decision", &json!({"input": {"phase": "issue"}})).await;
    let path = "/v1/data/atb/issue/decision?input=%7B%22phase%22%3A%22issue%22%7D";
    let got = erp.send("GET", path, &[], Vec::new()).await;
    assert_eq!((got.status, &got.json["result"]), (200, &posted.json["result"]), "{got}");
    let refused = erp.send("GET", "/v1/data/atb/issue/decision?pretty=true", &[], Vec::new()).await;
    assert_eq!(refused.verdict(), "400 query_invalid", "{refused}");
    app.finish().await;
}

#[tokio::test]
async fn documents_functions_and_other_packages_are_not_to_be_had() {
    let app = open().await;
    for path in ["approvers", "catalogue/x", "atb", "atb/..", "atb/poa.decision"] {
        let answer = ask(&app, ERP, path, &json!({})).await;
        assert_eq!(answer.verdict(), "404 rule_not_found", "{path}: {answer}");
    }
    app.finish().await;
}

#[tokio::test]
async fn nobody_asks_who_is_not_named_and_nothing_is_named_by_default() {
    let app = open().await;
    let mark = app.mark().await;
    let refused = ask(&app, AGENT, "atb/poa/decision", &json!({"input": {}})).await;
    assert_eq!(refused.verdict(), "403 data_api_not_callers", "{refused}");
    let event = TestApp::only(app.events_since(mark).await, "a stranger");
    assert_eq!((event.event_type, event.subject.allow), (EventType::PolicyQueried, Some(false)));
    fits("ledger-entry", &serde_json::from_slice(&event.to_bytes()).unwrap());
    app.finish().await;
    let app = TestApp::start().await;
    assert_eq!(ask(&app, ERP, "atb/poa/decision", &json!({})).await.verdict(), "403 data_api_not_callers");
    app.finish().await;
}

#[tokio::test]
async fn a_body_that_is_not_json_or_has_more_than_an_input_is_refused_and_a_mandate_is_never_spent() {
    let app = open().await;
    let json_type: &[_] = &[("content-type", "application/json")];
    let erp = app.to_broker(ERP);
    let broken = erp.send("POST", "/v1/data/atb/poa/decision", json_type, b"{\"input\":".to_vec()).await;
    assert_eq!(broken.verdict(), "400 body_not_json", "{broken}");
    refuses("data-request", &json!({"input": null}), vec![("/inputs", json!(1))]);
    let more = ask(&app, ERP, "atb/poa/decision", &json!({"input": {}, "metrics": true})).await;
    assert_eq!(more.verdict(), "422 schema_violation", "{more}");
    let mandate = app.low_mandate().await;
    let asked = ask(&app, ERP, "atb/poa/decision", &json!({"input": {"poa": mandate}})).await;
    assert_eq!(asked.status, 200);
    assert_eq!(app.call("GET", "/c/erp/vendors/V-1001", &mandate, None).await.status, 200);
    app.finish().await;
}
