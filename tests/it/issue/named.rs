//! `approvers` in a request: who is asked, or what they have signed already.

use std::time::Duration;

use atb::adapters::clock::{SystemClock, SystemEntropy};
use atb::domain::action::{ActionName, CallRequest};
use atb::domain::approval::Ask;
use atb::domain::id::ChallengeId;
use atb::domain::json;
use atb::domain::ledger::EventType;
use atb::domain::leg::LegTemplate;
use atb::domain::time::Ttl;
use atb::service::ports::{Clock as _, Entropy as _};
use serde_json::{Value, json};

use crate::app::{OTHER, TestApp, asking};

#[tokio::test]
async fn only_those_who_were_named_are_asked_and_count() {
    let app = TestApp::start().await;
    let mut ask = asking("high");
    ask["approvers"] = json!(["spiffe://atb.dev/approver/bob", "spiffe://atb.dev/approver/carol"]);
    let asked = app.issue(&ask).await;
    assert_eq!(asked.status, 202, "{asked}");
    let waiting: Vec<_> = asked.json["approvers"].as_array().unwrap().iter().map(|a| a["state"].clone()).collect();
    assert_eq!(waiting, ["asked", "asked"]);

    // Alice is not asked: to her the challenge does not exist, whatever she signs.
    let challenge = asked.text("/challenge_id");
    let alice = app.to_issuer("alice");
    assert_eq!(alice.get(&format!("/challenges/{challenge}")).await.verdict(), "404 challenge_not_found");
    assert_eq!(alice.get("/challenges").await.json["challenges"], json!([]));
    let statement = alice.sign(&alice.statement(&asked.json));
    let path = format!("/challenges/{challenge}/approve");
    assert_eq!(alice.post(&path, &json!({ "statement": statement })).await.verdict(), "404 challenge_not_found");

    for (name, state) in [("bob", "pending"), ("carol", "approved")] {
        let caller = app.to_issuer(name);
        let answer = caller.post(&path, &json!({ "statement": caller.sign(&caller.statement(&asked.json)) })).await;
        assert_eq!(answer.text("/state"), state, "{answer}");
    }
    assert_eq!(app.collect(&challenge).await.status, 201);
    app.finish().await;
}

#[tokio::test]
async fn somebody_who_was_not_named_does_not_count_when_the_agent_carries_her_statement() {
    let app = TestApp::start().await;
    let mut ask = asking("high");
    ask["approvers"] = json!(["spiffe://atb.dev/approver/bob", "spiffe://atb.dev/approver/carol"]);
    let asked = app.issue(&ask).await;
    let alice = app.to_issuer("alice");
    ask["approvers"] = json!([{ "statement": alice.sign(&alice.statement(&asked.json)) }]);
    assert_eq!(app.issue(&ask).await.verdict(), "403 approver_not_asked");
    app.finish().await;
}

#[tokio::test]
async fn statements_for_a_challenge_that_waits_can_come_with_the_request() {
    let app = TestApp::start().await;
    let mut ask = asking("high");
    let waiting = app.issue(&ask).await;
    let statements = ["alice", "bob"].map(|name| {
        let caller = app.to_issuer(name);
        json!({ "statement": caller.sign(&caller.statement(&waiting.json)) })
    });
    ask["approvers"] = json!([statements[0]]);
    let one = app.issue(&ask).await;
    assert_eq!((one.status, &one.json["approved"]), (202, &json!(1)), "{one}");
    assert_eq!(one.text("/challenge_id"), waiting.text("/challenge_id"));
    ask["approvers"] = json!(statements);
    let both = app.issue(&ask).await;
    assert_eq!(both.status, 201, "{both}");
    assert_eq!(app.issue(&ask).await.verdict(), "409 challenge_redeemed");
    app.finish().await;
}

#[tokio::test]
async fn statements_over_a_challenge_id_that_was_agreed_on_beforehand_give_a_mandate_at_once() {
    let app = TestApp::start().await;
    let mut ask = asking("high");
    ask["approvers"] = agreed(&app, &ask, fresh_id(), &["alice", "bob"]).await;
    let mark = app.mark().await;
    let answer = app.issue(&ask).await;
    assert_eq!(answer.status, 201, "{answer}");
    let kinds: Vec<_> = app.events_since(mark).await.iter().map(|e| e.event_type).collect();
    use EventType::{PoaApprovalRecorded, PoaChallengeCreated, PoaIssuedDualControl};
    assert_eq!(kinds, [PoaChallengeCreated, PoaApprovalRecorded, PoaApprovalRecorded, PoaIssuedDualControl]);

    // The approvals are spent with it.
    assert_eq!(app.issue(&ask).await.verdict(), "409 challenge_redeemed");
    app.finish().await;
}

#[tokio::test]
async fn carried_statements_that_do_not_fit_open_nothing() {
    let app = TestApp::start().await;
    let ask = asking("high");
    let good = agreed(&app, &ask, fresh_id(), &["alice", "bob"]).await;
    let other_id = agreed(&app, &ask, fresh_id(), &["bob"]).await;
    let other_call = agreed(&app, &asking("medium"), fresh_id(), &["alice"]).await;
    let long_ago = ChallengeId::new(SystemClock.now().minus(Duration::from_secs(7200)), [7; 10]);
    let ahead = ChallengeId::new(SystemClock.now().plus(Duration::from_secs(600)), [7; 10]);
    let named = json!([good[0], "spiffe://atb.dev/approver/bob"]);
    for (what, approvers, verdict) in [
        ("two challenges", json!([good[0], other_id[0]]), "403 approval_challenges_mixed"),
        ("another act", other_call, "403 statement_digest"),
        ("an old id", agreed(&app, &ask, long_ago, &["alice", "bob"]).await, "403 statement_challenge"),
        ("an id of the future", agreed(&app, &ask, ahead, &["alice", "bob"]).await, "403 statement_challenge"),
        ("not a statement", json!([{ "statement": "e30.e30.e30" }]), "403 statement_malformed"),
        ("names and statements", named, "422 schema_violation"),
        ("nine statements", json!(vec![good[0].clone(); 9]), "422 schema_violation"),
    ] {
        let mut carrying = ask.clone();
        carrying["approvers"] = approvers;
        let mark = app.mark().await;
        let answer = app.issue(&carrying).await;
        assert_eq!(answer.verdict(), verdict, "{what}: {answer}");
        answer.assert_problem();
        let event = TestApp::only(app.events_since(mark).await, what);
        assert_eq!(event.event_type, EventType::PoaDenied, "{what}");
    }
    assert!(app.events_of(EventType::PoaChallengeCreated).await.is_empty());
    app.finish().await;
}

#[tokio::test]
async fn statements_for_one_agent_are_of_no_use_to_another() {
    let app = TestApp::start().await;
    let mut ask = asking("high");
    ask["approvers"] = agreed(&app, &ask, fresh_id(), &["alice", "bob"]).await;
    let answer = app.to_issuer(OTHER).post("/issue", &ask).await;
    assert_eq!(answer.verdict(), "403 statement_digest", "{answer}");
    app.finish().await;
}

#[tokio::test]
async fn statements_where_nobody_needs_to_agree_are_refused_not_ignored() {
    let app = TestApp::start().await;
    let mut ask = asking("low");
    ask["approvers"] = agreed(&app, &asking("high"), fresh_id(), &["alice"]).await;
    assert_eq!(app.issue(&ask).await.verdict(), "403 approval_not_needed");
    app.finish().await;
}

fn fresh_id() -> ChallengeId {
    ChallengeId::new(SystemClock.now(), SystemEntropy.bytes())
}

/// Statements by `names` over `ask`, made by people who agreed on `id` beforehand and work out by themselves what they
/// sign: from the request and the template in force.
async fn agreed(app: &TestApp, ask: &Value, id: ChallengeId, names: &[&str]) -> Value {
    let sum = content_of(app, ask).await.sum();
    let exp = id.created_at().plus(Duration::from_secs(3600)).as_secs();
    let asked = json!({
        "sub": "spiffe://atb.dev/agent/procurement", "aud": "spiffe://atb.dev/agentauth", "cid": id, "sum": sum, "exp": exp,
    });
    let shown = json!({ "statement": asked });
    let statements = names.iter().map(|name| {
        let caller = app.to_issuer(name);
        json!({ "statement": caller.sign(&caller.statement(&shown)) })
    });
    statements.collect()
}

async fn content_of(app: &TestApp, ask: &Value) -> Ask {
    let template = app.to_issuer("alice").get("/templates/contract").await.json;
    let template = LegTemplate::parse(&"contract".parse().unwrap(), &template).unwrap();
    let act: ActionName = ask["act"].as_str().unwrap().parse().unwrap();
    let call = ask.get("request").map(|call| {
        let text = |name: &str| call[name].as_str().unwrap();
        let (connector, path) = (text("connector").parse().unwrap(), text("path").parse().unwrap());
        let params = json::read(call["params"].clone()).unwrap();
        CallRequest::new(connector, text("method").parse().unwrap(), path, act.clone(), params)
    });
    Ask {
        sub: "spiffe://atb.dev/agent/procurement".parse().unwrap(),
        leg: template.bind(ask["leg"]["vars"].as_object().unwrap(), None).unwrap(),
        act,
        con: json::read(json!({})).unwrap(),
        req: call.map(|call| call.binding()),
        ttl: Ttl::from_secs(300).unwrap(),
    }
}
