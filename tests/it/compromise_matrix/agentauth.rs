//! The attacker is inside the AgentAuth process: its signing key, its challenges, every statement that was handed in.

use atb::domain::approval::{Delegation, View};
use atb::domain::catalogue::Tier;
use atb::domain::id::Sha256Digest;
use serde_json::{Value, json};

use super::board::Board;
use super::thief::{Thief, approval, claims_of, handed_in};
use super::{Attack, withdraw_contract};
use crate::app::{TestApp, asking, asking_critical, the_call};

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
        let mandate = thief.forges(&low, &one["ask"], "high", approvers);
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
    let mandate = thief.forges(&low, &shown["ask"], "high", approvers);
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
    let mandate = || thief.forges(&low, &shown["ask"], "high", approvers.clone());
    let (method, path, body) = the_call("high");
    assert_eq!(app.call(method, path, &mandate(), body.as_ref()).await.status, 200);
    let attack = Attack::begins(&app, "a second time").await;
    let answer = app.call(method, path, &mandate(), body.as_ref()).await;
    let replayed = atb::domain::ledger::EventType::PoaSingleUseReplayBlocked;
    attack.fails(&answer, "409 mandate_replayed", replayed).await;
    app.finish().await;
}

/// The digest of the view with another sentence: what a bundle of other words at AgentAuth shows.
fn other_words(shown: &mut Value) -> Sha256Digest {
    shown["view"]["sentence"] = json!("Read vendor V-1001");
    let digest = serde_json::from_value::<View>(shown["view"].clone()).unwrap().digest();
    shown["statement"]["view"] = json!(digest);
    digest
}

#[tokio::test]
async fn what_people_were_shown_otherwise_is_not_carried_out() {
    let app = TestApp::start().await;
    let thief = Thief::of_the_mandate_key(&app);
    let low = claims_of(&app.low_mandate().await);
    let honest = app.shown(&app.challenge(&asking("high")).await).await;
    let mut lie = honest.clone();
    let view = other_words(&mut lie);
    // Her program cannot know the policy's words. It knows every fact, so the parameters stand below the lie.
    let seen = atb::cli::approve::Shown::check(lie.to_string().as_bytes()).unwrap().lines().join("\n");
    assert!(seen.contains("Read vendor V-1001") && seen.contains("/payment_limit  25000"), "{seen}");
    let misled = |name: &str| approval(&app, name, &honest, |statement| statement.view = view);
    let (method, path, body) = the_call("high");
    for (what, approvers) in [
        ("both were shown other words", vec![misled("alice"), misled("bob")]),
        ("one was shown other words", vec![handed_in(&app, "alice", &honest), misled("bob")]),
    ] {
        let attack = Attack::begins(&app, what).await;
        let mandate = thief.forges(&low, &honest["ask"], "high", approvers);
        let answer = app.call(method, path, &mandate, body.as_ref()).await;
        attack.fails_at_the_broker(&answer, "403 statement_view").await;
    }
    app.finish().await;
}

/// `text` with the claims of its payload changed, and the signature left as it was.
fn tampered(text: &str, change: impl FnOnce(&mut Value)) -> String {
    use base64ct::{Base64UrlUnpadded, Encoding as _};
    let mut claims = claims_of(text);
    change(&mut claims);
    let parts: Vec<_> = text.split('.').collect();
    format!("{}.{}.{}", parts[0], Base64UrlUnpadded::encode_string(claims.to_string().as_bytes()), parts[2])
}

#[tokio::test]
async fn standing_in_is_proven_at_the_broker_whatever_agentauth_let_pass() {
    let app = TestApp::start().await;
    let thief = Thief::of_the_mandate_key(&app);
    let low = claims_of(&app.low_mandate().await);
    let shown = app.shown(&app.challenge(&asking("high")).await).await;
    let (bob, carol) = (app.to_issuer("bob"), app.to_issuer("carol"));
    let good = carol.delegation(&bob, &shown);
    let genuine = carol.delegate(&good);
    let by_carol = |change: &dyn Fn(&mut Delegation)| {
        let mut delegation = good.clone();
        change(&mut delegation);
        carol.delegate(&delegation)
    };
    let carols_chain: Vec<_> = carol.chain().iter().map(|der| der.to_vec()).collect();
    let with = |del: &str| approval(&app, "bob", &shown, |statement| statement.del = Some(del.to_owned()));
    let rewritten = |change: &dyn Fn(&mut Value)| {
        let mut one = with(&genuine);
        one["statement"] = json!(tampered(one["statement"].as_str().unwrap(), change));
        one
    };
    let other =
        by_carol(&|d| d.acts = vec!["*".to_owned().try_into().unwrap(), "erp.*".to_owned().try_into().unwrap()]);
    let over = by_carol(&|d| (d.iat, d.nbf, d.exp) = (d.iat - 90, d.nbf - 90, d.iat - 30));
    let alices = by_carol(&|d| d.sub = app.id_of("alice"));
    let narrow = by_carol(&|d| d.tiers = vec![Tier::Medium]);
    let elsewhere = by_carol(&|d| d.workspaces = vec!["team-b".parse().unwrap()]);
    let attacks = [
        (
            "stripped",
            rewritten(&|claims| drop(claims.as_object_mut().unwrap().remove("del"))),
            "403 statement_signature",
        ),
        ("swapped", rewritten(&|claims| claims["del"] = json!(other)), "403 statement_signature"),
        ("over", with(&over), "403 delegation_expired"),
        ("for another delegate", with(&alices), "403 delegation_delegate"),
        ("by the thief's key", with(&thief.delegates(&good, &carols_chain)), "403 delegation_algorithm"),
        ("by the delegate's own key", with(&bob.delegate(&good)), "403 delegation_issuer"),
        ("for another tier", with(&narrow), "403 delegation_tier"),
        ("for another team", with(&elsewhere), "403 delegation_scope"),
    ];
    let (method, path, body) = the_call("high");
    for (what, bobs, verdict) in attacks {
        let attack = Attack::begins(&app, what).await;
        let mandate = thief.forges(&low, &shown["ask"], "high", vec![handed_in(&app, "alice", &shown), bobs]);
        let answer = app.call(method, path, &mandate, body.as_ref()).await;
        attack.fails_at_the_broker(&answer, verdict).await;
    }
    let attack = Attack::begins(&app, "delegate and delegator as two").await;
    let both = vec![with(&genuine), handed_in(&app, "carol", &shown)];
    let answer = app.call(method, path, &thief.forges(&low, &shown["ask"], "high", both), body.as_ref()).await;
    attack.fails_at_the_broker(&answer, "403 approver_already_counted").await;
    // The genuine one, to show that the attacks failed for their own reasons.
    let honest = thief.forges(&low, &shown["ask"], "high", vec![handed_in(&app, "alice", &shown), with(&genuine)]);
    assert_eq!(app.call(method, path, &honest, body.as_ref()).await.status, 200);
    app.finish().await;
}

#[tokio::test]
async fn a_critical_act_is_not_approved_in_anothers_name() {
    let app = TestApp::start().await;
    let thief = Thief::of_the_mandate_key(&app);
    let low = claims_of(&app.low_mandate().await);
    let shown = app.shown(&app.challenge(&asking_critical()).await).await;
    let (bob, carol) = (app.to_issuer("bob"), app.to_issuer("carol"));
    let del = carol.delegate(&carol.delegation(&bob, &shown));
    let for_carol = approval(&app, "bob", &shown, |statement| statement.del = Some(del));
    let mandate = thief.forges(&low, &shown["ask"], "critical", vec![handed_in(&app, "alice", &shown), for_carol]);
    let (method, path, body) = the_call("critical");
    let attack = Attack::begins(&app, "an executive's delegate").await;
    let answer = app.call(method, path, &mandate, body.as_ref()).await;
    attack.fails_at_the_broker(&answer, "403 delegation_not_allowed").await;
    app.finish().await;
}

#[tokio::test]
async fn a_withdrawn_ground_carries_nothing_at_a_broker_that_was_told() {
    let app = TestApp::start().await;
    let thief = Thief::of_the_mandate_key(&app);
    let claims = claims_of(&app.low_mandate().await);
    withdraw_contract(&app).await;
    let (method, path, _) = the_call("low");
    let attack = Attack::begins(&app, "a fresh mandate on a withdrawn template").await;
    let answer = app.call(method, path, &thief.mints(&claims), None).await;
    attack.fails_at_the_broker(&answer, "403 leg_template_withdrawn").await;
    app.finish().await;
}

/// What remains: the broker does not ask the ticket system. It holds a critical act to the ticket that people signed.
#[tokio::test]
async fn what_remains_is_a_ticket_that_was_closed_after_people_signed() {
    let board = Board::start("approved").await;
    let app = TestApp::start_with(|home| board.stands_in(home)).await;
    let thief = Thief::of_the_mandate_key(&app);
    let low = claims_of(&app.low_mandate().await);
    let challenge = app.challenge(&asking_critical()).await;
    let shown = app.shown(&challenge).await;
    for name in ["alice", "carol"] {
        assert_eq!(app.approve(name, &challenge).await.status, 200);
    }
    board.says("closed");
    assert_eq!(app.collect(&challenge).await.verdict(), "403 ticket_not_approved", "AgentAuth asks again");
    let approvers = || vec![handed_in(&app, "alice", &shown), handed_in(&app, "carol", &shown)];
    let mut other = shown["ask"].clone();
    other["leg"]["ticket"]["ref"] = json!("OPS-17");
    let (method, path, body) = the_call("critical");
    let attack = Attack::begins(&app, "another ticket than people signed").await;
    let mandate = thief.forges(&low, &other, "critical", approvers());
    let answer = app.call(method, path, &mandate, body.as_ref()).await;
    attack.fails_at_the_broker(&answer, "403 statement_digest").await;
    let mandate = thief.forges(&low, &shown["ask"], "critical", approvers());
    assert_eq!(app.call(method, path, &mandate, body.as_ref()).await.status, 204);
    app.finish().await;
}
