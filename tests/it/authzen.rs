//! OpenID AuthZEN 1.0 at the broker's door: an agent's call as an evaluation, and what the standard asks of the form.

mod certification;

use atb::domain::ledger::EventType;
use serde_json::{Value, json};

use crate::app::{AGENT, Answer, TestApp, asking};
use crate::schemas::{fits, refuses};

/// The connector's own workload.
const ERP: &str = "erp";
const EVALUATION: &str = "/access/v1/evaluation";
const EVALUATIONS: &str = "/access/v1/evaluations";

fn reading(mandate: &str) -> Value {
    json!({
        "subject": {"type": "agent", "id": "spiffe://atb.dev/agent/procurement"},
        "action": {"name": "GET"},
        "resource": {"type": "erp", "id": "/vendors/V-1001"},
        "context": {"token": mandate, "params": {"vendor_id": "V-1001"}},
    })
}

fn with(mandate: &str, pointer: &str, value: Value) -> Value {
    let mut question = reading(mandate);
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    question.pointer_mut(parent).unwrap()[name] = value;
    question
}

async fn ask(app: &TestApp, question: &Value) -> Answer {
    app.to_broker(ERP).post(EVALUATION, question).await
}

fn decision(answer: &Answer) -> (u16, bool, String) {
    let decision = answer.json["decision"].as_bool().unwrap_or_else(|| panic!("no decision: {answer}"));
    (answer.status, decision, answer.text("/context/reason"))
}

#[tokio::test]
async fn an_agents_call_is_judged_as_by_decide_and_its_mandate_is_spent() {
    let app = TestApp::start().await;
    let mandate = app.low_mandate().await;
    fits("authzen-evaluation-request", &reading(&mandate));
    let mark = app.mark().await;
    let answer = ask(&app, &reading(&mandate)).await;
    assert_eq!(decision(&answer), (200, true, "ok".to_owned()), "{answer}");
    assert_eq!(answer.header("cache-control"), "no-store");
    refuses(
        "authzen-evaluation-answer",
        &answer.json,
        vec![("/decision", json!("yes")), ("/context/tier", json!("none")), ("/allow", json!(true))],
    );
    let event = TestApp::only(app.events_since(mark).await, "an evaluation");
    assert_eq!((event.event_type, event.subject.allow), (EventType::BrokerDecision, Some(true)));
    assert_eq!(event.subject.detail["api"], "authzen");
    assert_eq!(event.subject.decision_id.map(|id| id.to_string()), Some(answer.text("/context/decision_id")));
    assert_eq!(event.subject.agent.unwrap().as_str(), "spiffe://atb.dev/agent/procurement");
    assert_eq!(event.subject.caller.unwrap().as_str(), "spiffe://atb.dev/connector/erp");

    assert_eq!(decision(&ask(&app, &reading(&mandate)).await), (200, false, "mandate_replayed".to_owned()));
    assert_eq!(app.call("GET", "/c/erp/vendors/V-1001", &mandate, None).await.verdict(), "409 mandate_replayed");
    assert_eq!(app.erp_hits(), 0);
    app.finish().await;
}

#[tokio::test]
async fn the_action_is_the_method_or_the_act_and_peeking_spends_nothing() {
    let app = TestApp::start().await;
    let mandate = app.low_mandate().await;
    let peek = with(&mandate, "/context/peek", json!(true));
    for name in ["GET", "erp.vendor.read"] {
        let mut question = peek.clone();
        question["action"]["name"] = json!(name);
        question["subject"]["type"] = json!("spiffe_id");
        let mark = app.mark().await;
        assert_eq!(decision(&ask(&app, &question).await), (200, true, "ok".to_owned()), "{name}");
        let event = TestApp::only(app.events_since(mark).await, name);
        assert_eq!(event.subject.detail["peek"], "true");
    }
    for (name, reason) in [
        ("DELETE", "act_mismatch"),
        ("erp.vendor.delete", "act_mismatch"),
        ("can_read", "unknown_route"),
        ("get", "unknown_route"),
    ] {
        let mut question = peek.clone();
        question["action"]["name"] = json!(name);
        assert_eq!(decision(&ask(&app, &question).await), (200, false, reason.to_owned()), "{name}");
    }
    assert_eq!(decision(&ask(&app, &reading(&mandate)).await).2, "ok", "nothing was spent");
    app.finish().await;
}

#[tokio::test]
async fn a_denial_is_an_answer_and_says_what_is_missing() {
    let app = TestApp::start().await;
    let mandate = app.low_mandate().await;
    let other_vendor = json!({"token": mandate, "params": {"vendor_id": "V-1002"}});
    let mut bare = reading(&mandate);
    bare.as_object_mut().unwrap().remove("context");
    for (what, question, reason, missing) in [
        ("no context", bare, "credential_missing", json!(["mandate"])),
        ("no mandate", with(&mandate, "/context/token", Value::Null), "credential_missing", json!(["mandate"])),
        ("a text that is none", with(&mandate, "/context/token", json!("none")), "mandate_malformed", Value::Null),
        (
            "another agent",
            with(&mandate, "/subject/id", json!("spiffe://atb.dev/agent/support")),
            "mandate_holder",
            Value::Null,
        ),
        ("path and parameters disagree", with(&mandate, "/context", other_vendor), "parameter_mismatch", Value::Null),
    ] {
        let mark = app.mark().await;
        let answer = ask(&app, &question).await;
        assert_eq!(decision(&answer), (200, false, reason.to_owned()), "{what}: {answer}");
        assert_eq!(answer.json["context"]["missing"], missing, "{what}: {answer}");
        fits("authzen-evaluation-answer", &answer.json);
        let event = TestApp::only(app.events_since(mark).await, what);
        assert_eq!((event.subject.allow, event.subject.reason.as_deref()), (Some(false), Some(reason)), "{what}");
    }
    assert_eq!(decision(&ask(&app, &reading(&mandate)).await).2, "ok", "the mandate was spent");
    app.finish().await;
}

#[tokio::test]
async fn who_may_not_ask_is_refused_whatever_the_question() {
    let app = TestApp::start().await;
    let mandate = app.low_mandate().await;
    let person = with(&mandate, "/subject/type", json!("user"));
    for (what, who, question, verdict) in [
        ("the agent itself", AGENT, reading(&mandate), "403 connector_not_callers"),
        ("an approver", "alice", reading(&mandate), "403 connector_not_callers"),
        ("another connector", ERP, with(&mandate, "/resource/type", json!("crm")), "403 connector_not_callers"),
        ("a text that names none", ERP, with(&mandate, "/resource/type", json!("ERP/..")), "403 connector_not_callers"),
        ("no agent", AGENT, person.clone(), "403 data_api_not_callers"),
        ("no agent, by a connector", ERP, person, "403 data_api_not_callers"),
    ] {
        let mark = app.mark().await;
        let answer = app.to_broker(who).post(EVALUATION, &question).await;
        assert_eq!(answer.verdict(), verdict, "{what}: {answer}");
        answer.assert_problem();
        let event = TestApp::only(app.events_since(mark).await, what);
        assert_eq!(event.subject.allow, Some(false), "{what}");
    }
    assert_eq!(decision(&ask(&app, &reading(&mandate)).await).2, "ok", "the mandate was spent");
    app.finish().await;
}

#[tokio::test]
async fn what_is_not_well_formed_is_400_with_its_place() {
    let app = TestApp::start().await;
    let mandate = app.low_mandate().await;
    for (pointer, value) in [
        ("/subject/id", json!("procurement")),
        ("/subject", json!("procurement")),
        ("/action/name", json!(1)),
        ("/resource/id", json!("vendors/V-1001")),
        ("/resource/id", json!("/vendors/../vendors/V-1001")),
        ("/context/params", json!([])),
        ("/context/peek", json!("true")),
        ("/context/token", json!({})),
    ] {
        let answer = ask(&app, &with(&mandate, pointer, value.clone())).await;
        assert_eq!(answer.verdict(), "400 evaluation_malformed", "{value} at {pointer}: {answer}");
        assert_eq!(answer.pointers(), [pointer], "{value}");
        answer.assert_problem();
    }
    let twice = reading(&mandate).to_string().replacen("\"subject\"", "\"action\":{\"name\":\"GET\"},\"subject\"", 1);
    assert_eq!(app.to_broker(ERP).post_text(EVALUATION, &twice).await.verdict(), "400 evaluation_malformed");
    assert_eq!(decision(&ask(&app, &reading(&mandate)).await).2, "ok", "the mandate was spent");
    app.finish().await;
}

#[tokio::test]
async fn the_requests_id_comes_back_as_it_came_on_refusals_too() {
    let app = TestApp::start().await;
    let erp = app.to_broker(ERP);
    for (path, body) in [(EVALUATION, "{}"), (EVALUATIONS, "{\"evaluations\": [{}]}"), (EVALUATION, "{")] {
        let headers = [("content-type", "application/json"), ("x-request-id", "bfe9eb29 / an arbitrary \"text\"")];
        let answer = erp.send("POST", path, &headers, body.into()).await;
        assert_eq!(answer.header("x-request-id"), "bfe9eb29 / an arbitrary \"text\"", "{answer}");
    }
    let headers = [("content-type", "application/json"), ("x-spiffe-id", "spiffe://atb.dev/agent/other")];
    assert_eq!(erp.send("POST", EVALUATION, &headers, b"{}".to_vec()).await.verdict(), "403 identity_conflict");
    app.finish().await;
}

#[tokio::test]
async fn evaluations_end_where_they_were_asked_to_and_spend_no_mandate_behind_it() {
    let app = TestApp::start().await;
    let (first, second, third) = (app.low_mandate().await, app.low_mandate().await, app.low_mandate().await);
    let batch = |semantic: &str, tokens: [&str; 3]| {
        let context = |token: &str| json!({"context": {"token": token, "params": {"vendor_id": "V-1001"}}});
        let mut body = reading("unused");
        body["options"] = json!({"evaluations_semantic": semantic});
        body["evaluations"] = json!(tokens.map(context));
        body
    };
    let erp = app.to_broker(ERP);
    let answered = async |semantic: &str, tokens: [&str; 3]| {
        fits("authzen-evaluations-request", &batch(semantic, tokens));
        let answer = erp.post(EVALUATIONS, &batch(semantic, tokens)).await;
        assert_eq!(answer.status, 200, "{answer}");
        fits("authzen-evaluations-answer", &answer.json);
        let answers = answer.json["evaluations"].as_array().unwrap().clone();
        answers.iter().map(|answer| answer["decision"].as_bool().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(answered("permit_on_first_permit", ["none", &first, &second]).await, [false, true]);
    assert_eq!(answered("deny_on_first_deny", [&second, &first, &third]).await, [true, false], "the first is spent");
    assert_eq!(answered("execute_all", [&first, &third, &third]).await, [false, true, false], "spent in order");
    let wrong = erp.post(EVALUATIONS, &batch("any", ["none", "none", "none"])).await;
    assert_eq!(wrong.pointers(), ["/options/evaluations_semantic"], "{wrong}");
    app.finish().await;
}

#[tokio::test]
async fn one_of_several_that_is_refused_is_a_no_that_says_so_and_each_is_on_record() {
    let app = TestApp::start().await;
    let mandate = app.low_mandate().await;
    let body = json!({"evaluations": [
        reading(&mandate), {}, with(&mandate, "/resource/type", json!("crm")), 7,
        {"subject": {"type": "user", "id": "alice"}, "action": {"name": "read"}, "resource": {"type": "record", "id": "1"}},
    ]});
    let mark = app.mark().await;
    let answer = app.to_broker(ERP).post(EVALUATIONS, &body).await;
    assert_eq!(answer.status, 200, "{answer}");
    fits("authzen-evaluations-answer", &answer.json);
    let errors: Vec<_> = answer.json["evaluations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["context"]["error"]["status"].clone())
        .collect();
    assert_eq!(json!(errors), json!([null, 400, 403, 400, 403]), "{answer}");
    assert_eq!(app.events_since(mark).await.len(), 5);
    app.finish().await;
}

#[tokio::test]
async fn a_call_with_a_body_and_approvals_is_bound_to_what_was_approved() {
    let app = TestApp::start().await;
    let mandate = app.approved_mandate(&asking("high"), &["alice", "bob"]).await;
    let call = asking("high")["request"].clone();
    let mut question = json!({
        "subject": {"type": "agent", "id": "spiffe://atb.dev/agent/procurement"},
        "action": {"name": "sap.vendor.change"},
        "resource": {"type": "erp", "id": call["path"]},
        "context": {"token": mandate, "params": call["params"]},
    });
    question["context"]["params"]["payment_limit"] = json!(26_000);
    assert_eq!(decision(&ask(&app, &question).await).2, "request_mismatch");
    question["context"]["params"]["payment_limit"] = json!(25_000);
    let answer = ask(&app, &question).await;
    assert_eq!((decision(&answer).1, answer.text("/context/tier").as_str()), (true, "high"), "{answer}");
    app.finish().await;
}
