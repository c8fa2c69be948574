//! The attacker is inside the AgentAuth process: its signing key, its challenges, every statement that was handed in.

use serde_json::{Value, json};

use super::Attack;
use super::thief::{Thief, claims_of, with};
use crate::app::{TestApp, asking, the_call};

/// A mandate on whatever statements AgentAuth has, written by whoever controls it.
fn forged(thief: &Thief, low: &Value, ask: &Value, tier: &str, approvers: Vec<Value>) -> String {
    thief.mints(&with(low, |claims| {
        for member in ["act", "con", "leg", "req"] {
            claims[member] = ask[member].clone();
        }
        claims["tier"] = json!(tier);
        claims["exp"] = json!(claims["iat"].as_u64().unwrap() + ask["ttl"].as_u64().unwrap());
        claims["leg"]["dual_control"] = json!({"required": true, "approvers": approvers});
    }))
}

/// `name` signs what is shown: the statement as AgentAuth gets it.
fn handed_in(app: &TestApp, name: &str, shown: &Value) -> Value {
    let caller = app.to_issuer(name);
    let statement = caller.statement(shown);
    json!({
        "id": caller.id(), "type": "approver", "statement": caller.sign(&statement),
        "approved_at": atb::domain::time::Timestamp::from_secs(statement.iat),
    })
}

#[tokio::test]
async fn statements_for_one_request_cannot_serve_another() {
    let app = TestApp::start().await;
    let thief = Thief::of_the_mandate_key(&app);
    let low = claims_of(&app.low_mandate().await);
    let one = app.shown(&app.challenge(&asking("high")).await).await;
    let twin = app.shown(&app.challenge(&asking("high")).await).await;
    let mut other = asking("high");
    other["request"]["params"]["payment_limit"] = json!(1_000);
    let other = app.shown(&app.challenge(&other).await).await;
    let (alice, bob) = (|shown: &Value| handed_in(&app, "alice", shown), |shown: &Value| handed_in(&app, "bob", shown));
    let attacks = [
        ("one statement alone", vec![alice(&one)], "403 approval_missing"),
        ("of two challenges of the same request", vec![alice(&one), bob(&twin)], "403 approval_challenges_mixed"),
        ("of a smaller payment", vec![alice(&other), bob(&other)], "403 statement_digest"),
        (
            "of one person through two identities",
            vec![alice(&one), handed_in(&app, "alice-mobile", &one)],
            "403 same_person",
        ),
    ];
    let (method, path, body) = the_call("high");
    for (what, approvers, verdict) in attacks {
        let attack = Attack::begins(&app, what).await;
        let mandate = forged(&thief, &low, &one["ask"], "high", approvers);
        let answer = app.call(method, path, &mandate, body.as_ref()).await;
        attack.fails_at_the_broker(&answer, verdict).await;
    }
    app.finish().await;
}

#[tokio::test]
async fn statements_end() {
    let app = TestApp::start_with(|home| home.challenges_last(2)).await;
    let thief = Thief::of_the_mandate_key(&app);
    let low = claims_of(&app.low_mandate().await);
    let shown = app.shown(&app.challenge(&asking("high")).await).await;
    let approvers = vec![handed_in(&app, "alice", &shown), handed_in(&app, "bob", &shown)];
    tokio::time::sleep(std::time::Duration::from_millis(3_100)).await;
    // The background job may write down the expiry at any moment: only the broker's answer is looked at.
    let mandate = forged(&thief, &low, &shown["ask"], "high", approvers);
    let (method, path, body) = the_call("high");
    let answer = app.call(method, path, &mandate, body.as_ref()).await;
    assert_eq!(answer.verdict(), "403 statement_expired", "{answer}");
    assert_eq!(app.erp_hits(), 0);
    app.finish().await;
}

/// What remains: the very call that two people signed, once, even if they or the agent ended the challenge afterwards.
#[tokio::test]
async fn what_remains_is_the_exact_call_that_people_signed() {
    let app = TestApp::start().await;
    let thief = Thief::of_the_mandate_key(&app);
    let low = claims_of(&app.low_mandate().await);
    let challenge = app.challenge(&asking("high")).await;
    let shown = app.shown(&challenge).await;
    let approvers = vec![handed_in(&app, "alice", &shown), handed_in(&app, "bob", &shown)];
    let rejected = json!({"reason": "second thoughts"});
    let path = format!("/challenges/{challenge}/reject");
    assert_eq!(app.to_issuer("carol").post(&path, &rejected).await.status, 200);
    let mandate = || forged(&thief, &low, &shown["ask"], "high", approvers.clone());
    let (method, path, body) = the_call("high");
    assert_eq!(app.call(method, path, &mandate(), body.as_ref()).await.status, 200);
    let attack = Attack::begins(&app, "a second time").await;
    let answer = app.call(method, path, &mandate(), body.as_ref()).await;
    let replayed = atb::domain::ledger::EventType::PoaSingleUseReplayBlocked;
    attack.fails(&answer, "409 mandate_replayed", replayed).await;
    app.finish().await;
}
