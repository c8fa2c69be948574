//! `POST /v1/decide`: connectors that enforce by themselves ask for the same judgement.

use atb::domain::ledger::{Entry, EventType};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::app::{AGENT, Answer, Mark, TestApp, asking};

/// The connector's own workload.
const ERP: &str = "erp";

fn question(mandate: &str) -> Value {
    json!({
        "token": mandate,
        "request": {"connector": "erp", "method": "GET", "path": "/vendors/V-1001", "params": {"vendor_id": "V-1001"}},
        "agent": "spiffe://atb.dev/agent/procurement",
    })
}

fn with(mandate: &str, pointer: &str, value: Value) -> Value {
    let mut question = question(mandate);
    *question.pointer_mut(pointer).unwrap() = value;
    question
}

async fn ask(app: &TestApp, question: &Value) -> Answer {
    app.to_broker(ERP).post("/v1/decide", question).await
}

/// The one event since `mark`, which says what `answer` says.
async fn on_record(app: &TestApp, what: &str, answer: &Answer, mark: Mark) -> Entry {
    let event = TestApp::only(app.events_since(mark).await, what);
    assert_eq!(event.subject.decision_id.map(|id| id.to_string()), Some(answer.text("/decision_id")), "{what}");
    assert_eq!(event.subject.reason, Some(answer.reason()), "{what}");
    assert_eq!(event.subject.caller.as_ref().unwrap().as_str(), "spiffe://atb.dev/connector/erp", "{what}");
    event
}

#[tokio::test]
async fn an_allow_spends_the_mandate_everywhere() {
    let app = TestApp::start().await;
    let mandate = app.low_mandate().await;
    let mark = app.mark().await;
    let answer = ask(&app, &question(&mandate)).await;
    assert_eq!((answer.status, &answer.json["allow"]), (200, &json!(true)), "{answer}");
    assert_eq!((answer.reason().as_str(), answer.text("/tier").as_str()), ("ok", "low"));
    assert_eq!(answer.json["obligations"], json!([]));
    assert!(!answer.text("/expires_at").is_empty());
    let event = on_record(&app, "an allow", &answer, mark).await;
    assert_eq!((event.event_type, event.subject.allow), (EventType::BrokerDecision, Some(true)));
    assert_eq!(event.subject.agent.unwrap().as_str(), "spiffe://atb.dev/agent/procurement");

    let mark = app.mark().await;
    let again = ask(&app, &question(&mandate)).await;
    assert_eq!((again.status, &again.json["allow"]), (200, &json!(false)), "{again}");
    let event = on_record(&app, "a replay", &again, mark).await;
    assert_eq!(event.event_type, EventType::PoaSingleUseReplayBlocked);
    assert_eq!(app.call("GET", "/c/erp/vendors/V-1001", &mandate, None).await.verdict(), "409 mandate_replayed");
    assert_eq!(app.erp_hits(), 0);
    app.finish().await;
}

#[tokio::test]
async fn a_mandate_that_was_used_for_a_call_is_spent_for_decisions_too() {
    let app = TestApp::start().await;
    let mandate = app.low_mandate().await;
    assert_eq!(app.call("GET", "/c/erp/vendors/V-1001", &mandate, None).await.status, 200);
    let answer = ask(&app, &question(&mandate)).await;
    assert_eq!((&answer.json["allow"], answer.reason().as_str()), (&json!(false), "mandate_replayed"));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_decisions_at_once_allow_one() {
    let app = TestApp::start().await;
    let mandate = app.low_mandate().await;
    let mut questions = JoinSet::new();
    for _ in 0..20 {
        let (erp, question) = (app.to_broker(ERP), question(&mandate));
        questions.spawn(async move {
            let mut allowed = 0;
            for _ in 0..5 {
                allowed += u32::from(erp.post("/v1/decide", &question).await.json["allow"] == true);
            }
            allowed
        });
    }
    assert_eq!(questions.join_all().await.iter().sum::<u32>(), 1);
    app.finish().await;
}

#[tokio::test]
async fn a_peek_judges_and_spends_nothing() {
    let app = TestApp::start().await;
    let mandate = app.low_mandate().await;
    let mut peek = question(&mandate);
    peek["peek"] = true.into();
    for _ in 0..2 {
        let mark = app.mark().await;
        let answer = ask(&app, &peek).await;
        assert_eq!(answer.json["allow"], true, "{answer}");
        let event = on_record(&app, "a peek", &answer, mark).await;
        assert_eq!(event.subject.detail["peek"], "true");
    }
    assert_eq!(ask(&app, &question(&mandate)).await.json["allow"], true);
    app.finish().await;
}

/// serde would take an array of a struct's members, in their order, for the struct.
#[tokio::test]
async fn a_question_without_the_names_of_its_members_is_refused() {
    let app = TestApp::start().await;
    let mandate = app.low_mandate().await;
    let good = question(&mandate);
    let call = &good["request"];
    let call = json!([call["connector"], call["method"], call["path"], call["params"]]);
    let body = json!([good["token"], good["request"], good["agent"], true]);
    for (what, question, pointer) in
        [("the body", body, ""), ("the call", with(&mandate, "/request", call), "/request")]
    {
        let answer = ask(&app, &question).await;
        assert_eq!(
            (answer.verdict().as_str(), answer.pointers()),
            ("422 schema_violation", vec![pointer.to_owned()]),
            "{what}: {answer}"
        );
    }
    assert_eq!(ask(&app, &good).await.json["allow"], true, "nothing was spent");
    app.finish().await;
}

#[tokio::test]
async fn a_denial_is_an_answer_with_its_reason() {
    let app = TestApp::start().await;
    let mandate = app.low_mandate().await;
    let other_vendor = json!({"vendor_id": "V-1002"});
    let cases = [
        ("no mandate", with(&mandate, "/token", json!("none")), "mandate_malformed"),
        ("another agent", with(&mandate, "/agent", json!("spiffe://atb.dev/agent/support")), "mandate_holder"),
        ("another act", with(&mandate, "/request/method", json!("DELETE")), "act_mismatch"),
        ("no such route", with(&mandate, "/request/path", json!("/vendor/V-1001")), "unknown_route"),
        ("path and parameters disagree", with(&mandate, "/request/params", other_vendor), "parameter_mismatch"),
        (
            "a parameter too many",
            with(&mandate, "/request/params", json!({"vendor_id": "V-1001", "x": 1})),
            "undeclared_parameter",
        ),
    ];
    for (what, question, reason) in cases {
        let mark = app.mark().await;
        let answer = ask(&app, &question).await;
        assert_eq!((answer.status, &answer.json["allow"]), (200, &json!(false)), "{what}: {answer}");
        assert_eq!(answer.reason(), reason, "{what}: {answer}");
        let missing = if reason == "act_mismatch" { json!(["mandate"]) } else { Value::Null };
        assert_eq!(answer.json["missing"], missing, "{what}: {answer}");
        let event = on_record(&app, what, &answer, mark).await;
        assert_eq!((event.event_type, event.subject.allow), (EventType::BrokerDecision, Some(false)), "{what}");
    }
    assert_eq!(ask(&app, &question(&mandate)).await.json["allow"], true, "the mandate was spent");
    app.finish().await;
}

#[tokio::test]
async fn a_question_that_is_not_well_formed_or_not_the_callers_is_refused() {
    let app = TestApp::start().await;
    let mandate = app.low_mandate().await;
    let mut more = question(&mandate);
    more["context"] = json!({});
    let mut authority = question(&mandate);
    authority["request"]["act"] = json!("erp.vendor.read");
    let dots = with(&mandate, "/request/path", json!("/vendors/../vendors/V-1001"));
    let cases = [
        ("another workload", AGENT, question(&mandate), "403 connector_not_callers"),
        ("an approver", "alice", question(&mandate), "403 connector_not_callers"),
        ("another connector", ERP, with(&mandate, "/request/connector", json!("crm")), "403 connector_not_callers"),
        ("an unknown member", ERP, more, "422 schema_violation"),
        ("an act of its own", ERP, authority, "422 schema_violation"),
        (
            "peek as text",
            ERP,
            {
                let mut q = question(&mandate);
                q["peek"] = json!("true");
                q
            },
            "422 schema_violation",
        ),
        ("dot segments", ERP, dots, "422 schema_violation"),
        ("TRACE", ERP, with(&mandate, "/request/method", json!("TRACE")), "422 schema_violation"),
        ("no agent", ERP, with(&mandate, "/agent", Value::Null), "422 schema_violation"),
    ];
    for (what, name, question, verdict) in cases {
        let mark = app.mark().await;
        let answer = app.to_broker(name).post("/v1/decide", &question).await;
        assert_eq!(answer.verdict(), verdict, "{what}: {answer}");
        answer.assert_problem();
        let event = TestApp::only(app.events_since(mark).await, what);
        assert_eq!((event.event_type, event.subject.allow), (EventType::BrokerDecision, Some(false)), "{what}");
    }
    assert_eq!(ask(&app, &question(&mandate)).await.json["allow"], true, "the mandate was spent");
    app.finish().await;
}

#[tokio::test]
async fn approvals_are_verified_for_decisions_too() {
    let app = TestApp::start().await;
    let mandate = app.approved_mandate(&asking("high"), &["alice", "bob"]).await;
    let mut question = question(&mandate);
    question["request"] = asking("high")["request"].clone();
    let mut dearer = question.clone();
    dearer["request"]["params"]["payment_limit"] = json!(26_000);
    assert_eq!(ask(&app, &dearer).await.reason(), "request_mismatch");
    let answer = ask(&app, &question).await;
    assert_eq!((&answer.json["allow"], answer.text("/tier").as_str()), (&json!(true), "high"), "{answer}");
    let decision = app.events().await.into_iter().last().unwrap();
    assert_eq!(decision.subject.approvers.len(), 2);
    app.finish().await;
}
