//! The attacker holds a legal officer's SVID and key.

use atb::domain::ledger::EventType;
use serde_json::json;

use super::{Attack, withdraw_contract};
use crate::app::{At, TestApp, asking, the_call};

#[tokio::test]
async fn an_officer_can_end_and_never_allow() {
    let app = TestApp::start().await;
    let officer = app.to_issuer("officer");
    let challenge = app.challenge(&asking("high")).await;
    let shown = app.shown(&challenge).await;
    let attack = Attack::begins(&app, "an approval").await;
    let statement = officer.sign(&officer.statement(&shown));
    let answer = officer.post(&format!("/challenges/{challenge}/approve"), &json!({"statement": statement})).await;
    attack.fails(&answer, "403 approver_unknown", EventType::PoaApprovalRefused).await;
    let attack = Attack::begins(&app, "a mandate that people must agree to").await;
    let answer = officer.post("/issue", &asking("medium")).await;
    attack.fails(&answer, "403 agent_operator_unknown", EventType::PoaDenied).await;
    let low = app.low_mandate().await;
    let (method, path, _) = the_call("low");
    let attack = Attack::begins(&app, "an agent's mandate").await;
    let answer = app.to_broker("officer").call(method, path, &low, None).await;
    attack.fails_at_the_broker(&answer, "403 mandate_holder").await;
    app.finish().await;
}

#[tokio::test]
async fn nothing_that_was_ended_is_brought_back() {
    let app = TestApp::start().await;
    let low = app.low_mandate().await;
    withdraw_contract(&app).await;
    for door in [At::AgentAuth, At::Broker] {
        for method in ["DELETE", "PUT", "PATCH"] {
            let answer = app.caller("officer", door).send(method, "/leg/withdrawals", &[], Vec::new()).await;
            assert!([404, 405].contains(&answer.status), "{method}: {answer}");
        }
        let again = json!({"template": "contract@1.0.0", "reason": "all is well again"});
        let answer = app.caller("officer", door).post("/leg/withdrawals", &again).await;
        assert_eq!(
            (answer.status, answer.text("/reason").as_str()),
            (200, "the form was wrong"),
            "the first one stands"
        );
    }
    let (method, path, _) = the_call("low");
    let attack = Attack::begins(&app, "a call on it").await;
    let answer = app.call(method, path, &low, None).await;
    attack.fails_at_the_broker(&answer, "403 leg_template_withdrawn").await;
    app.finish().await;
}

/// What remains: ending every ground there is, each on record with who did it, and the low acts of any workload.
#[tokio::test]
async fn what_remains_is_ending_every_ground() {
    let app = TestApp::start().await;
    let officer = app.to_issuer("officer");
    assert_eq!(officer.post("/issue", &asking("low")).await.status, 201);
    for template in ["contract", "consent", "legal-obligation", "legitimate-interest"] {
        let answer = officer.post("/leg/withdrawals", &json!({"template": template, "reason": "x"})).await;
        assert_eq!(answer.status, 201, "{template}: {answer}");
    }
    assert_eq!(app.issue(&asking("low")).await.verdict(), "422 leg_template_withdrawn");
    let ended = app.events_of(EventType::LegWithdrawn).await;
    assert_eq!(ended.len(), 4);
    assert!(ended.iter().all(|event| event.subject.caller == Some(officer.id())));
    app.finish().await;
}
