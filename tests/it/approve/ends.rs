//! How a challenge ends: with a mandate, a no, or the clock.

use std::time::Duration;

use atb::domain::ledger::EventType;
use serde_json::json;

use crate::app::{AGENT, TestApp, asking};

#[tokio::test]
async fn a_no_ends_it_for_everybody() {
    let app = TestApp::start().await;
    let challenge = app.challenge(&asking("high")).await;
    assert_eq!(app.approve("alice", &challenge).await.status, 200);
    let reject = format!("/challenges/{challenge}/reject");
    let no = app.to_issuer("bob").post(&reject, &json!({"reason": "the IBAN is not the vendor's"})).await;
    assert_eq!((no.status, no.text("/state").as_str()), (200, "rejected"), "{no}");

    let told = app.collect(&challenge).await;
    assert_eq!(told.verdict(), "403 challenge_rejected");
    assert!(told.text("/detail").contains("the IBAN is not the vendor's"), "{told}");
    told.assert_problem();
    assert_eq!(app.approve("carol", &challenge).await.verdict(), "409 challenge_rejected");
    let again = app.to_issuer("carol").post(&reject, &json!({"reason": "me too"})).await;
    assert_eq!(again.verdict(), "409 challenge_rejected");
    let shown = app.shown(&challenge).await;
    assert_eq!(shown["ended"], json!({"by": app.id_of("bob"), "reason": "the IBAN is not the vendor's"}));
    crate::schemas::fits("challenge", &shown);
    assert_eq!(app.events_of(EventType::PoaChallengeRejected).await.len(), 1);
    app.finish().await;
}

#[tokio::test]
async fn a_no_needs_a_reason_and_an_approver() {
    let app = TestApp::start().await;
    let challenge = app.challenge(&asking("high")).await;
    let path = format!("/challenges/{challenge}/reject");
    for (what, name, body, verdict) in [
        ("no reason", "bob", json!({}), "422 schema_violation"),
        ("an empty reason", "bob", json!({"reason": ""}), "422 schema_violation"),
        ("two lines", "bob", json!({"reason": "a\nb"}), "422 schema_violation"),
        ("more than a reason", "bob", json!({"reason": "a", "by": "carol"}), "422 schema_violation"),
        ("an agent", AGENT, json!({"reason": "changed my mind"}), "403 approver_unknown"),
    ] {
        let mark = app.mark().await;
        let answer = app.to_issuer(name).post(&path, &body).await;
        assert_eq!(answer.verdict(), verdict, "{what}: {answer}");
        answer.assert_problem();
        TestApp::only(app.events_since(mark).await, what);
    }
    assert_eq!(app.collect(&challenge).await.status, 202);
    app.finish().await;
}

#[tokio::test]
async fn a_challenge_that_ran_out_of_time_expires_once_and_takes_nothing_more() {
    let app = TestApp::start_with(|home| home.challenges_last(2)).await;
    let challenge = app.challenge(&asking("high")).await;
    let shown = app.shown(&challenge).await;
    let alice = app.to_issuer("alice");
    let statement = alice.sign(&alice.statement(&shown));

    // The longest wait ends with the challenge, not with its own time.
    let waited = app.to_issuer(AGENT).get(&format!("/issue/{challenge}?wait=60")).await;
    assert_eq!(waited.verdict(), "410 challenge_expired");
    waited.assert_problem();
    assert_eq!(app.collect(&challenge).await.status, 410);
    assert_eq!(app.shown(&challenge).await["state"], "expired");
    let late = alice.post(&format!("/challenges/{challenge}/approve"), &json!({ "statement": statement })).await;
    assert!(["403 statement_expired", "410 challenge_expired"].contains(&late.verdict().as_str()), "{late}");
    let no = alice.post(&format!("/challenges/{challenge}/reject"), &json!({"reason": "late"})).await;
    assert_eq!(no.verdict(), "410 challenge_expired");
    assert_eq!(app.events_of(EventType::PoaChallengeExpired).await.len(), 1);
    app.finish().await;
}

#[tokio::test]
async fn approvals_that_came_in_time_are_of_no_use_after_it() {
    let app = TestApp::start_with(|home| home.challenges_last(2)).await;
    let challenge = app.challenge(&asking("high")).await;
    for name in ["alice", "bob"] {
        assert_eq!(app.approve(name, &challenge).await.status, 200);
    }
    // Nobody asks: the service expires it by itself.
    let expired = async {
        while app.events_of(EventType::PoaChallengeExpired).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), expired).await.expect("the challenge did not expire");
    assert_eq!(app.collect(&challenge).await.verdict(), "410 challenge_expired");
    assert_eq!(app.events_of(EventType::PoaChallengeExpired).await.len(), 1);
    app.finish().await;
}

#[tokio::test]
async fn waiting_ends_as_soon_as_everybody_agreed() {
    let app = TestApp::start().await;
    let challenge = app.challenge(&asking("medium")).await;
    let (agent, path) = (app.to_issuer(AGENT), format!("/issue/{challenge}?wait=60"));
    let waiting = tokio::spawn(async move { agent.get(&path).await });
    assert_eq!(app.approve("alice", &challenge).await.status, 200);
    let answer = tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it still waits").unwrap();
    assert_eq!(answer.status, 201, "{answer}");
    app.finish().await;
}

#[tokio::test]
async fn waiting_ends_with_where_it_stands_when_nobody_agrees() {
    let app = TestApp::start().await;
    let challenge = app.challenge(&asking("high")).await;
    let answer = app.to_issuer(AGENT).get(&format!("/issue/{challenge}?wait=1")).await;
    assert_eq!((answer.status, &answer.json["approved"]), (202, &json!(0)), "{answer}");
    assert_eq!(answer.header("location"), format!("/issue/{challenge}"));
    app.finish().await;
}

#[tokio::test]
async fn a_mandate_is_handed_out_once_and_only_to_a_get() {
    let app = TestApp::start().await;
    let challenge = app.challenge(&asking("medium")).await;
    assert_eq!(app.approve("alice", &challenge).await.status, 200);
    // HEAD would mint a mandate and throw it away.
    let head = app.to_issuer(AGENT).send("HEAD", &format!("/issue/{challenge}"), &[], Vec::new()).await;
    assert_eq!(head.status, 405);
    assert_eq!(app.collect(&challenge).await.status, 201);
    let mark = app.mark().await;
    assert_eq!(app.collect(&challenge).await.verdict(), "409 challenge_redeemed");
    let event = TestApp::only(app.events_since(mark).await, "a second mandate");
    assert_eq!(event.event_type, EventType::PoaDenied);
    assert_eq!(app.approve("bob", &challenge).await.verdict(), "409 challenge_redeemed");
    app.finish().await;
}
