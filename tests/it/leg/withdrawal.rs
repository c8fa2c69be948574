//! What was withdrawn carries no mandate any more: on calls, on decisions, on challenges, after a restart.

use std::time::{Duration, Instant};

use atb::domain::ledger::EventType;
use serde_json::{Value, json};

use super::{asking_on_consent, consent_for_the_erp};
use crate::app::{AGENT, Answer, At, TestApp, asking};
use crate::schemas::{fits, refuses};

const OFFICER: &str = "officer";

async fn withdraw(app: &TestApp, door: At, body: &Value) -> Answer {
    app.caller(OFFICER, door).post("/leg/withdrawals", body).await
}

fn contract() -> Value {
    json!({"template": "contract", "reason": "the contract form was wrong"})
}

async fn read_vendor(app: &TestApp, mandate: &str) -> Answer {
    app.call("GET", "/c/erp/vendors/V-1001", mandate, None).await
}

#[tokio::test]
async fn the_next_call_on_a_withdrawn_template_is_refused_within_a_second_with_its_event() {
    for door in [At::AgentAuth, At::Broker] {
        let app = TestApp::start().await;
        let (mandate, other) = (app.low_mandate().await, app.low_mandate().await);
        assert_eq!(read_vendor(&app, &other).await.status, 200);
        let mark = app.mark().await;
        let started = Instant::now();
        let answer = withdraw(&app, door, &contract()).await;
        let call = read_vendor(&app, &mandate).await;
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
        assert_eq!(answer.status, 201, "{answer}");
        assert_eq!(answer.text("/template"), "contract@1.0.0");
        assert_eq!(call.verdict(), "403 leg_template_withdrawn", "{call}");
        let mut events = app.events_since(mark).await;
        // The outcome of the call before is written beside us.
        events.retain(|event| event.event_type != EventType::ConnectorOutcome);
        let [withdrawn, refused] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(withdrawn.event_type, EventType::LegWithdrawn);
        assert_eq!(withdrawn.subject.caller, Some(app.id_of(OFFICER)));
        assert_eq!(withdrawn.subject.template.as_deref(), Some("contract@1.0.0"));
        assert_eq!(withdrawn.subject.detail["withdrawal_reason"], "the contract form was wrong");
        assert_eq!(refused.event_type, EventType::BrokerDecision);
        fits("ledger-entry", &serde_json::to_value(withdrawn).unwrap());
        refuses(
            "leg-withdrawal",
            &answer.json,
            vec![("/consent_ref", json!("C-1")), ("/withdrawn_by", json!("alice")), ("/x", json!(1))],
        );
        assert_eq!(app.issue(&asking("low")).await.verdict(), "422 leg_template_withdrawn");
        let listed = app.to_issuer("procurement").get("/templates").await.json;
        let states: Vec<_> = listed["templates"].as_array().unwrap().iter().map(|t| (&t["id"], &t["state"])).collect();
        assert!(states.contains(&(&json!("contract"), &json!("withdrawn"))), "{states:?}");
        assert!(states.contains(&(&json!("consent"), &json!("in_force"))), "{states:?}");
        app.finish().await;
    }
}

#[tokio::test]
async fn a_withdrawn_consent_ends_what_rests_on_it_and_nothing_else() {
    let mut app = TestApp::start_with(consent_for_the_erp).await;
    let gone = app.issue(&asking_on_consent("C-17", "zoe")).await.text("/token");
    let stays = app.issue(&asking_on_consent("C-18", "zoe")).await.text("/token");
    let started = Instant::now();
    let body = json!({"consent_ref": "C-17", "reason": "a letter of today"});
    let answer = withdraw(&app, At::Broker, &body).await;
    let call = read_vendor(&app, &gone).await;
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!((answer.status, call.verdict().as_str()), (201, "403 consent_withdrawn"), "{answer} {call}");
    let event = app.events_of(EventType::LegWithdrawn).await.pop().unwrap();
    assert_eq!(event.subject.detail["consent_ref"], "C-17");
    assert_eq!(app.issue(&asking_on_consent("C-17", "zoe")).await.verdict(), "422 consent_withdrawn");
    assert_eq!(app.issue(&asking_on_consent("C-19", "zoe")).await.status, 201);

    app.restart().await;
    assert_eq!(read_vendor(&app, &gone).await.verdict(), "403 consent_withdrawn");
    assert_eq!(read_vendor(&app, &stays).await.status, 200);
    app.finish().await;
}

#[tokio::test]
async fn a_connector_that_asks_for_decisions_is_told_the_same() {
    let app = TestApp::start().await;
    let mandate = app.low_mandate().await;
    assert_eq!(withdraw(&app, At::AgentAuth, &contract()).await.status, 201);
    for peek in [true, false] {
        let question = json!({
            "token": mandate, "agent": "spiffe://atb.dev/agent/procurement", "peek": peek,
            "request": {"connector": "erp", "method": "GET", "path": "/vendors/V-1001", "params": {"vendor_id": "V-1001"}},
        });
        let answer = app.to_broker("erp").post("/v1/decide", &question).await;
        assert_eq!((&answer.json["allow"], answer.reason().as_str()), (&json!(false), "leg_template_withdrawn"));
    }
    app.finish().await;
}

#[tokio::test]
async fn challenges_on_a_withdrawn_ground_are_neither_voted_on_nor_redeemed() {
    let mut app = TestApp::start().await;
    let pending = app.challenge(&asking("high")).await;
    let approved = app.challenge(&asking("high")).await;
    for name in ["alice", "bob"] {
        assert_eq!(app.approve(name, &approved).await.status, 200);
    }
    assert_eq!(withdraw(&app, At::AgentAuth, &contract()).await.status, 201);
    for round in ["at once", "after a restart"] {
        assert_eq!(app.approve("alice", &pending).await.verdict(), "422 leg_template_withdrawn", "{round}");
        for challenge in [&pending, &approved] {
            assert_eq!(app.collect(challenge).await.verdict(), "422 leg_template_withdrawn", "{round}");
        }
        app.restart().await;
    }
    assert!(app.events_of(EventType::PoaIssuedDualControl).await.is_empty());
    app.finish().await;
}

#[tokio::test]
async fn a_withdrawal_is_final_listed_and_on_record_once() {
    let mut app = TestApp::start().await;
    let first = withdraw(&app, At::AgentAuth, &contract()).await;
    let mut again = contract();
    again["reason"] = json!("another reason");
    again["template"] = json!("contract@1.0.0");
    for door in [At::Broker, At::AgentAuth] {
        let answer = withdraw(&app, door, &again).await;
        assert_eq!((answer.status, &answer.json), (200, &first.json), "the first one stands");
    }
    // A version that the bundle does not have: mandates of an older bundle may name it.
    let older = json!({"template": "contract@0.9.0", "reason": "old"});
    assert_eq!(withdraw(&app, At::Broker, &older).await.status, 201);
    app.restart().await;
    for door in [At::Broker, At::AgentAuth] {
        let listed = app.caller(OFFICER, door).get("/leg/withdrawals").await;
        let names: Vec<_> =
            listed.json["withdrawals"].as_array().unwrap().iter().map(|w| w["template"].clone()).collect();
        assert_eq!(names, [json!("contract@0.9.0"), json!("contract@1.0.0")]);
    }
    assert_eq!(app.events_of(EventType::LegWithdrawn).await.len(), 2);
    app.finish().await;
}

#[tokio::test]
async fn twenty_officers_at_once_withdraw_once() {
    let app = TestApp::start().await;
    let mut posts = tokio::task::JoinSet::new();
    for i in 0..20 {
        let caller = app.caller(OFFICER, if i % 2 == 0 { At::Broker } else { At::AgentAuth });
        posts.spawn(async move { caller.post("/leg/withdrawals", &contract()).await.status });
    }
    let mut statuses = posts.join_all().await;
    statuses.sort_unstable();
    assert_eq!((statuses[18], statuses[19]), (200, 201), "{statuses:?}");
    assert_eq!(app.events_of(EventType::LegWithdrawn).await.len(), 1);
    app.finish().await;
}

#[tokio::test]
async fn nobody_but_an_officer_withdraws_or_lists_and_every_refusal_is_on_record() {
    let app = TestApp::start().await;
    let request = contract();
    let defects = vec![
        ("/template", json!("no@such@@\u{0}")),
        ("/template", json!("Contract")),
        ("/template", json!(null)),
        ("/consent_ref", json!("C-17")),
        ("/reason", json!("")),
        ("/reason", json!("\u{202e}")),
        ("/force", json!(true)),
    ];
    let mut cases = vec![];
    for (pointer, value) in &defects {
        let mut body = request.clone();
        body[pointer.trim_start_matches('/')] = value.clone();
        let verdict = if *value == json!("Contract") { "404 template_not_found" } else { "422 schema_violation" };
        cases.push((OFFICER, body, verdict));
    }
    cases.push((OFFICER, json!({"reason": "x"}), "422 schema_violation"));
    cases.push((OFFICER, json!({"template": "gift", "reason": "x"}), "404 template_not_found"));
    for name in [AGENT, "alice", "erp"] {
        cases.push((name, request.clone(), "403 not_a_legal_officer"));
    }
    for (door, kind) in [(At::AgentAuth, EventType::PoaDenied), (At::Broker, EventType::BrokerDecision)] {
        for (name, body, verdict) in &cases {
            let mark = app.mark().await;
            let answer = app.caller(name, door).post("/leg/withdrawals", body).await;
            assert_eq!(answer.verdict(), *verdict, "{name} {body}: {answer}");
            answer.assert_problem();
            let event = TestApp::only(app.events_since(mark).await, verdict);
            assert_eq!((event.event_type, event.subject.agent), (kind, Some(app.id_of(name))), "{name} {body}");
        }
        let in_order = json!(["contract", "C-1", "members without their names"]);
        let answer = app.caller(OFFICER, door).post("/leg/withdrawals", &in_order).await;
        assert_eq!((answer.status, answer.pointers()), (422, vec![String::new()]), "{answer}");
        assert!(answer.to_string().contains("expected an object"), "{answer}");
        let mark = app.mark().await;
        assert_eq!(app.caller(AGENT, door).get("/leg/withdrawals").await.verdict(), "403 not_a_legal_officer");
        assert_eq!(TestApp::only(app.events_since(mark).await, "a list").event_type, kind);
    }
    assert!(app.events_of(EventType::LegWithdrawn).await.is_empty());
    let mandate = app.low_mandate().await;
    assert_eq!(read_vendor(&app, &mandate).await.status, 200, "something was withdrawn all the same");
    refuses("leg-withdrawal-request", &request, defects);
    app.finish().await;
}
