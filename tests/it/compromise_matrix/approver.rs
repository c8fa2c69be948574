//! The attacker holds one approver's SVID and key.

use atb::domain::approval::{Delegation, Statement};
use atb::domain::ledger::EventType;
use serde_json::{Value, json};

use super::Attack;
use crate::app::{Answer, TestApp, asking, asking_critical};

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

/// `name` hands in her statement with this delegation.
async fn tries(app: &TestApp, name: &str, challenge: &str, shown: &Value, del: &str) -> Answer {
    let caller = app.to_issuer(name);
    let statement = Statement { del: Some(del.to_owned()), ..caller.statement(shown) };
    let body = json!({"statement": caller.sign(&statement)});
    caller.post(&format!("/challenges/{challenge}/approve"), &body).await
}

#[tokio::test]
async fn standing_in_makes_nobody_two_and_nobody_more_than_she_is() {
    let app = TestApp::start_with(|home| {
        home.edit_policy_data("opa/approvers/data.json", |people| {
            people["spiffe://atb.dev/approver/bob"]["tiers"] = json!(["low", "medium"]);
        });
    })
    .await;
    let challenge = app.challenge(&asking("high")).await;
    let shown = app.shown(&challenge).await;
    let [alice, mobile, bob, carol] = ["alice", "alice-mobile", "bob", "carol"].map(|name| app.to_issuer(name));
    let of_alice = alice.delegation(&bob, &shown);
    let attacks = [
        ("herself", "alice-mobile", alice.delegate(&alice.delegation(&mobile, &shown)), "403 delegation_to_self"),
        (
            "what he may not himself",
            "carol",
            bob.delegate(&bob.delegation(&carol, &shown)),
            "403 delegator_not_entitled",
        ),
        ("passed on", "carol", alice.delegate(&of_alice), "403 delegation_delegate"),
        (
            "passed on under the delegate's key",
            "carol",
            bob.delegate(&Delegation { sub: carol.id(), ..of_alice.clone() }),
            "403 delegation_issuer",
        ),
    ];
    for (what, name, del, verdict) in attacks {
        let attack = Attack::begins(&app, what).await;
        let answer = tries(&app, name, &challenge, &shown, &del).await;
        attack.fails(&answer, verdict, EventType::PoaApprovalRefused).await;
    }
    assert_eq!(tries(&app, "bob", &challenge, &shown, &alice.delegate(&of_alice)).await.status, 200);
    for (who, verdict) in [
        ("alice", "403 approver_already_counted"),
        ("alice-mobile", "403 same_person"),
        ("bob", "403 approver_already_counted"),
    ] {
        let attack = Attack::begins(&app, "delegate and delegator as two votes").await;
        attack.fails(&app.approve(who, &challenge).await, verdict, EventType::PoaApprovalRefused).await;
    }
    let attack = Attack::begins(&app, "a second delegate").await;
    let again = alice.delegate(&alice.delegation(&carol, &shown));
    let answer = tries(&app, "carol", &challenge, &shown, &again).await;
    attack.fails(&answer, "403 approver_already_counted", EventType::PoaApprovalRefused).await;
    assert_eq!(app.shown(&challenge).await["approved"], json!(1));
    app.finish().await;
}

#[tokio::test]
async fn a_critical_act_is_approved_in_person() {
    let app = TestApp::start().await;
    let challenge = app.challenge(&asking_critical()).await;
    let shown = app.shown(&challenge).await;
    let (bob, carol) = (app.to_issuer("bob"), app.to_issuer("carol"));
    let del = carol.delegate(&carol.delegation(&bob, &shown));
    let attack = Attack::begins(&app, "for an executive").await;
    let answer = tries(&app, "bob", &challenge, &shown, &del).await;
    attack.fails(&answer, "403 delegation_not_allowed", EventType::PoaApprovalRefused).await;
    app.finish().await;
}

#[tokio::test]
async fn a_stolen_delegation_is_of_no_use_without_the_delegates_key() {
    let app = TestApp::start().await;
    let challenge = app.challenge(&asking("high")).await;
    let shown = app.shown(&challenge).await;
    let (bob, carol) = (app.to_issuer("bob"), app.to_issuer("carol"));
    let stolen = carol.delegate(&carol.delegation(&bob, &shown));
    let attack = Attack::begins(&app, "by another approver").await;
    let answer = tries(&app, "alice", &challenge, &shown, &stolen).await;
    attack.fails(&answer, "403 delegation_delegate", EventType::PoaApprovalRefused).await;
    let attack = Attack::begins(&app, "by an agent").await;
    let answer = tries(&app, "support", &challenge, &shown, &stolen).await;
    attack.fails(&answer, "403 approver_unknown", EventType::PoaApprovalRefused).await;
    let attack = Attack::begins(&app, "to look at what is asked").await;
    let path = format!("/challenges/{challenge}");
    let answer = app.to_issuer("alice").send("GET", &path, &[("atb-delegation", &stolen)], Vec::new()).await;
    attack.fails(&answer, "403 delegation_delegate", EventType::PoaApprovalRefused).await;
    app.finish().await;
}

/// What remains: saying no to everything, each time by name.
#[tokio::test]
async fn what_remains_is_rejecting_everything() {
    let app = TestApp::start().await;
    for tier in ["medium", "high"] {
        let challenge = app.challenge(&asking(tier)).await;
        let no = json!({"reason": "no"});
        let answer = app.to_issuer("alice").post(&format!("/challenges/{challenge}/reject"), &no).await;
        assert_eq!(answer.status, 200, "{answer}");
        assert_eq!(app.collect(&challenge).await.verdict(), "403 challenge_rejected");
    }
    let rejected = app.events_of(EventType::PoaChallengeRejected).await;
    assert_eq!(rejected.len(), 2);
    assert!(rejected.iter().all(|event| event.subject.caller == Some(app.id_of("alice"))), "{rejected:?}");
    app.finish().await;
}
