//! The attacker can write AgentAuth's configuration: its ticket systems, its endpoints, its legal officers.

use atb::domain::ledger::EventType;
use serde_json::json;

use super::Attack;
use super::board::Board;
use crate::app::{AGENT, TestApp, asking, asking_critical};
use crate::notify::{Receiver, SECRET};

#[tokio::test]
async fn a_ticket_system_of_the_attackers_own_is_nobodys_approval() {
    let theirs = Board::start("approved").await;
    let app = TestApp::start_with(|home| theirs.stands_in(home)).await;
    let challenge = app.challenge(&asking_critical()).await;
    assert_eq!(theirs.asked(), 1, "it was the attacker's that was asked");
    assert_eq!(app.approve("alice", &challenge).await.status, 200);
    let attack = Attack::begins(&app, "one person twice").await;
    let answer = app.approve("alice-mobile", &challenge).await;
    attack.fails(&answer, "403 same_person", EventType::PoaApprovalRefused).await;
    assert_eq!(app.approve("bob", &challenge).await.status, 200);
    assert_eq!(app.collect(&challenge).await.status, 202, "an executive is still missing");
    app.finish().await;
}

#[tokio::test]
async fn an_endpoint_of_the_attackers_own_reads_nothing_that_acts() {
    let theirs = Receiver::good().await;
    let app = TestApp::start_with(|home| {
        home.secret("theirs", SECRET);
        home.configure(&format!(
            "[[notify.endpoints]]\nname = \"theirs\"\nurl = \"http://{}/\"\nsecret = \"theirs\"\n",
            theirs.address
        ));
    })
    .await;
    let challenge = app.challenge(&asking("high")).await;
    for name in ["alice", "bob"] {
        assert_eq!(app.approve(name, &challenge).await.status, 200);
    }
    let mandate = app.collect(&challenge).await.text("/token");
    let told: String = theirs.arrived(2).await.into_iter().map(|delivery| delivery.text).collect();
    // What remains: it learns that something was asked, by whom, which act, and that people agreed.
    assert!(told.contains(&challenge) && told.contains("sap.vendor.change"), "{told}");
    for secret in [mandate.as_str(), "eyJ", "statement\"", "DE02120300000000202051", "25000", "MSA-1001"] {
        assert!(!told.contains(secret), "{secret} is told: {told}");
    }
    app.finish().await;
}

#[tokio::test]
async fn an_officer_of_the_attackers_own_can_only_end() {
    let app = TestApp::start_with(|home| {
        home.replace("atb.toml", "spiffe://atb.dev/legal/officer", "spiffe://atb.dev/agent/procurement");
    })
    .await;
    let (challenge, agent) = (app.challenge(&asking("high")).await, app.to_issuer(AGENT));
    let attack = Attack::begins(&app, "the officer approves").await;
    let statement = agent.sign(&agent.statement(&app.shown(&challenge).await));
    let answer = agent.post(&format!("/challenges/{challenge}/approve"), &json!({"statement": statement})).await;
    attack.fails(&answer, "403 approver_unknown", EventType::PoaApprovalRefused).await;
    let body = json!({"template": "contract", "reason": "x"});
    assert_eq!(agent.post("/leg/withdrawals", &body).await.status, 201);
    assert_eq!(app.issue(&asking("low")).await.verdict(), "422 leg_template_withdrawn");
    let attack = Attack::begins(&app, "the one who is none any more").await;
    let answer = app.to_issuer("officer").post("/leg/withdrawals", &body).await;
    attack.fails(&answer, "403 not_a_legal_officer", EventType::PoaDenied).await;
    app.finish().await;
}
