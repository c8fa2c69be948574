//! The attacker holds one approver's SVID and key.

use atb::domain::approval::Statement;
use atb::domain::ledger::EventType;
use serde_json::json;

use super::Attack;
use crate::app::{TestApp, asking};

#[tokio::test]
async fn one_person_is_never_two() {
    let app = TestApp::start().await;
    let challenge = app.challenge(&asking("high")).await;
    assert_eq!(app.approve("alice", &challenge).await.status, 200);
    for (who, what, verdict) in [
        ("alice", "the same identity again", "403 approver_already_counted"),
        ("alice-mobile", "the same person's other identity", "403 same_person"),
    ] {
        let attack = Attack::begins(&app, what).await;
        attack.fails(&app.approve(who, &challenge).await, verdict, EventType::PoaApprovalRefused).await;
    }
    let collected = app.collect(&challenge).await;
    assert_eq!((collected.status, &collected.json["approved"]), (202, &json!(1)), "{collected}");
    app.finish().await;
}

#[tokio::test]
async fn one_key_signs_for_one_person_and_one_request() {
    let app = TestApp::start().await;
    let challenge = app.challenge(&asking("high")).await;
    let twin = app.challenge(&asking("high")).await;
    let (alice, shown) = (app.to_issuer("alice"), app.shown(&challenge).await);
    let genuine = alice.statement(&shown);
    let attacks = [
        ("in bob's name", Statement { iss: app.id_of("bob"), ..genuine.clone() }, "403 statement_issuer"),
        ("for another agent", Statement { sub: app.id_of("support"), ..genuine.clone() }, "403 statement_subject"),
        ("for another request", Statement { cid: twin.parse().unwrap(), ..genuine.clone() }, "403 statement_challenge"),
    ];
    for (what, statement, verdict) in attacks {
        let attack = Attack::begins(&app, what).await;
        let body = json!({"statement": alice.sign(&statement)});
        let answer = alice.post(&format!("/challenges/{challenge}/approve"), &body).await;
        attack.fails(&answer, verdict, EventType::PoaApprovalRefused).await;
    }
    app.finish().await;
}

/// What remains: a medium act, for which one person is enough, if the attacker controls the agent as well.
#[tokio::test]
async fn what_remains_are_acts_that_one_person_may_allow() {
    let app = TestApp::start().await;
    let mandate = app.approved_mandate(&asking("medium"), &["alice"]).await;
    assert!(!mandate.is_empty());
    app.finish().await;
}
