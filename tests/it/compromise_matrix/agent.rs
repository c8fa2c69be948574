//! The attacker holds one agent: its SVID, its key, its prompt.

use atb::domain::ledger::EventType;
use serde_json::{Value, json};

use super::Attack;
use crate::app::{AGENT, OTHER, TestApp, asking, ground, the_call};

#[tokio::test]
async fn an_agent_cannot_allow_itself_anything() {
    let app = TestApp::start().await;
    let agent = app.to_issuer(AGENT);
    let asks = [
        ("a tier of its own", json!({"tier": "low"}), "422 schema_violation"),
        ("a bypass", json!({"bypass": true}), "422 schema_violation"),
        (
            "an approval by name",
            json!({"approvers": [{"id": "spiffe://atb.dev/approver/bob", "approved": true}]}),
            "422 schema_violation",
        ),
        (
            "an approval in the ground",
            json!({"leg": {"template": "contract", "vars": {}, "approval": {"approver_id": "bob"}}}),
            "422 schema_violation",
        ),
        ("a ground of its own writing", json!({"leg": {"jurisdiction": "DE", "basis": "LI"}}), "422 schema_violation"),
        (
            "a limit above the catalogue's",
            json!({"con": {"payment_limit": {"max": 99_000_000}}}),
            "403 constraint_exceeds_limit",
        ),
        ("a life above the cap", json!({"ttl_seconds": 901}), "422 ttl_too_long"),
        ("another agent's name", json!({"agent": "spiffe://atb.dev/agent/support"}), "422 schema_violation"),
    ];
    for (what, extra, verdict) in asks {
        let mut ask = asking("high");
        for (member, value) in extra.as_object().unwrap() {
            ask[member] = value.clone();
        }
        let attack = Attack::begins(&app, what).await;
        attack.fails(&agent.post("/issue", &ask).await, verdict, EventType::PoaDenied).await;
    }
    let challenge = app.challenge(&asking("high")).await;
    let shown = app.shown(&challenge).await;
    let statement = agent.sign(&agent.statement(&shown));
    let attack = Attack::begins(&app, "its own approval").await;
    let answer = agent.post(&format!("/challenges/{challenge}/approve"), &json!({"statement": statement})).await;
    attack.fails(&answer, "403 approver_unknown", EventType::PoaApprovalRefused).await;
    app.finish().await;
}

#[tokio::test]
async fn an_agent_cannot_take_what_is_anothers() {
    let app = TestApp::start().await;
    let challenge = app.challenge(&asking("high")).await;
    for name in ["alice", "bob"] {
        assert_eq!(app.approve(name, &challenge).await.status, 200);
    }
    let attack = Attack::begins(&app, "another agent's approved challenge").await;
    let answer = app.to_issuer(OTHER).get(&format!("/issue/{challenge}")).await;
    attack.fails(&answer, "404 challenge_not_found", EventType::PoaDenied).await;
    let mandate = app.collect(&challenge).await.text("/token");
    let (method, path, body) = the_call("high");
    let attack = Attack::begins(&app, "another agent's mandate").await;
    let answer = app.to_broker(OTHER).call(method, path, &mandate, body.as_ref()).await;
    attack.fails_at_the_broker(&answer, "403 mandate_holder").await;
    app.finish().await;
}

#[tokio::test]
async fn an_agent_cannot_do_anything_but_what_was_approved() {
    let app = TestApp::start().await;
    let mandate = app.approved_mandate(&asking("high"), &["alice", "bob"]).await;
    let body = |iban: &str, limit: u64| json!({"iban": iban, "payment_limit": limit});
    let (good, iban) = (the_call("high").2.unwrap(), "DE02120300000000202051");
    let attacks: [(&str, &str, &str, Option<Value>, &str); 6] = [
        (
            "another amount",
            "POST",
            "/c/erp/vendors/V-1001/bank-account",
            Some(body(iban, 25_001)),
            "403 request_mismatch",
        ),
        (
            "another account",
            "POST",
            "/c/erp/vendors/V-1001/bank-account",
            Some(body("DE89370400440532013000", 25_000)),
            "403 request_mismatch",
        ),
        ("another vendor", "POST", "/c/erp/vendors/V-1002/bank-account", Some(good.clone()), "403 request_mismatch"),
        ("another act", "GET", "/c/erp/vendors/V-1001", None, "403 act_mismatch"),
        ("a route that is none", "POST", "/c/erp/vendors/V-1001", Some(good.clone()), "404 unknown_route"),
        ("no mandate", "POST", "/c/erp/vendors/V-1001/bank-account", Some(good.clone()), "401 mandate_malformed"),
    ];
    for (what, method, path, body, verdict) in attacks {
        let attack = Attack::begins(&app, what).await;
        let token = if what == "no mandate" { "none" } else { mandate.as_str() };
        let answer = app.call(method, path, token, body.as_ref()).await;
        attack.fails_at_the_broker(&answer, verdict).await;
    }
    let (method, path, body) = the_call("high");
    assert_eq!(app.call(method, path, &mandate, body.as_ref()).await.status, 200);
    assert_eq!(app.erp_hits(), 1);
    app.finish().await;
}

/// What remains: low acts inside the catalogue's limits, each on record.
#[tokio::test]
async fn what_remains_are_low_acts_on_record() {
    let app = TestApp::start().await;
    let mut ask = asking("low");
    ask["leg"] = ground(&[]);
    let answer = app.issue(&ask).await;
    assert_eq!(answer.status, 201, "{answer}");
    assert_eq!(app.events_of(EventType::PoaIssued).await.len(), 1);
    app.finish().await;
}

/// What remains when it is taken out of the directory: low acts, until its SVID ends. Everything else ends at once.
#[tokio::test]
async fn what_remains_without_an_entry_in_the_directory_are_low_acts() {
    let mut app = TestApp::start().await;
    let challenge = app.challenge(&asking("high")).await;
    for name in ["alice", "bob"] {
        assert_eq!(app.approve(name, &challenge).await.status, 200);
    }
    let mandate = app.approved_mandate(&asking("high"), &["alice", "bob"]).await;
    app.home().edit_policy_data("opa/agents/data.json", |agents| {
        drop(agents.as_object_mut().unwrap().remove(app.id_of(AGENT).as_str()));
    });
    app.restart().await;
    let attack = Attack::begins(&app, "a mandate from before").await;
    let (method, path, body) = the_call("high");
    let answer = app.call(method, path, &mandate, body.as_ref()).await;
    attack.fails_at_the_broker(&answer, "403 agent_operator_unknown").await;
    let attack = Attack::begins(&app, "an approved challenge from before").await;
    attack.fails(&app.collect(&challenge).await, "403 agent_operator_unknown", EventType::PoaDenied).await;
    let attack = Attack::begins(&app, "a new request").await;
    attack.fails(&app.issue(&asking("medium")).await, "403 agent_operator_unknown", EventType::PoaDenied).await;
    assert_eq!(app.issue(&asking("low")).await.status, 201);
    app.finish().await;
}
