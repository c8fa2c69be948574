//! The attacker holds AgentAuth's signing key, an agent's SVID, and every mandate that was issued.

use serde_json::{Value, json};

use super::Attack;
use super::thief::{Thief, claims_of, with};
use crate::app::{AGENT, OTHER, TestApp, asking, asking_critical, bank_account, the_call};

/// The list of approvals in a dual-control mandate.
fn approvers(claims: &mut Value) -> &mut Vec<Value> {
    claims["leg"]["dual_control"]["approvers"].as_array_mut().unwrap()
}

fn sum_of(params: &Value) -> Value {
    json!(atb::domain::json::digest(params))
}

#[tokio::test]
async fn nobody_agreed_cannot_be_turned_into_two_people_agreed() {
    let app = TestApp::start().await;
    let thief = Thief::of_the_mandate_key(&app);
    let genuine = app.approved_mandate(&asking("high"), &["alice", "bob"]).await;
    let claims = claims_of(&genuine);
    let alice = app.to_issuer("alice");
    let mut mine: atb::domain::approval::Statement =
        serde_json::from_value(claims_of(claims["leg"]["dual_control"]["approvers"][0]["statement"].as_str().unwrap()))
            .unwrap();
    let chain: Vec<_> = alice.chain().iter().map(|der| der.to_vec()).collect();
    let under_alices_chain = thief.states(&mine, &chain);
    mine.iss = app.id_of(AGENT);
    let by_the_agent = app.to_issuer(AGENT).sign(&mine);
    let attacks = [
        (
            "no approvals",
            with(&claims, |c| drop(c["leg"].as_object_mut().unwrap().remove("dual_control"))),
            "403 approval_missing",
        ),
        ("one approval of two", with(&claims, |c| drop(approvers(c).pop())), "403 approval_missing"),
        (
            "one person twice",
            with(&claims, |c| {
                let one = approvers(c)[0].clone();
                approvers(c)[1] = one;
            }),
            "403 approver_already_counted",
        ),
        (
            "names without statements",
            with(&claims, |c| {
                for a in approvers(c) {
                    a["statement"] = json!("");
                }
            }),
            "403 statement_malformed",
        ),
        (
            "a statement by the issuer's key",
            with(&claims, |c| approvers(c)[0]["statement"] = json!(under_alices_chain)),
            "403 statement_algorithm",
        ),
        (
            "a statement by the agent, who is no approver",
            with(&claims, |c| {
                approvers(c)[0]["statement"] = json!(by_the_agent);
                approvers(c)[0]["id"] = json!(app.id_of(AGENT));
            }),
            "403 approver_is_requester",
        ),
        (
            "another name on a statement",
            with(&claims, |c| approvers(c)[0]["id"] = json!(app.id_of("carol"))),
            "403 approval_mislabelled",
        ),
        (
            "another time on a statement",
            with(&claims, |c| approvers(c)[0]["approved_at"] = json!("2026-01-01T00:00:00Z")),
            "403 approval_mislabelled",
        ),
    ];
    let (method, path, body) = the_call("high");
    for (what, claims, verdict) in attacks {
        let attack = Attack::begins(&app, what).await;
        let answer = app.call(method, path, &thief.mints(&claims), body.as_ref()).await;
        attack.fails_at_the_broker(&answer, verdict).await;
    }
    assert_eq!(app.call(method, path, &genuine, body.as_ref()).await.status, 200, "the genuine one was spent");
    app.finish().await;
}

#[tokio::test]
async fn what_two_people_agreed_to_cannot_be_turned_into_something_else() {
    let app = TestApp::start().await;
    let thief = Thief::of_the_mandate_key(&app);
    let genuine = app.approved_mandate(&asking("high"), &["alice", "bob"]).await;
    let claims = claims_of(&genuine);
    let more = bank_account(250_000);
    let (method, path, body) = the_call("high");
    let big = json!({"iban": "DE02120300000000202051", "payment_limit": 250_000});
    let attacks = [
        ("another amount, digest left", claims.clone(), Some(&big), "403 request_mismatch"),
        (
            "another amount, digest made to fit",
            with(&claims, |c| c["req"]["digest"] = sum_of(&more)),
            Some(&big),
            "403 statement_digest",
        ),
        (
            "no binding to a call",
            with(&claims, |c| drop(c.as_object_mut().unwrap().remove("req"))),
            body.as_ref(),
            "403 statement_digest",
        ),
        (
            "a longer life",
            with(&claims, |c| c["exp"] = json!(c["iat"].as_u64().unwrap() + 299)),
            body.as_ref(),
            "403 statement_digest",
        ),
        (
            "another ground",
            with(&claims, |c| c["leg"]["description"] = json!("routine")),
            body.as_ref(),
            "403 statement_digest",
        ),
        (
            "another accountable party",
            with(&claims, |c| c["leg"]["accountable_party"]["id"] = json!("frank")),
            body.as_ref(),
            "403 statement_digest",
        ),
        (
            "other constraints",
            with(&claims, |c| c["con"] = json!({"payment_limit": {"max": 1}})),
            body.as_ref(),
            "403 statement_digest",
        ),
        ("a lower tier", with(&claims, |c| c["tier"] = json!("low")), body.as_ref(), "403 tier_mismatch"),
    ];
    for (what, claims, body, verdict) in attacks {
        let attack = Attack::begins(&app, what).await;
        let answer = app.call(method, path, &thief.mints(&claims), body).await;
        attack.fails_at_the_broker(&answer, verdict).await;
    }
    let attack = Attack::begins(&app, "for another agent").await;
    let stolen = thief.mints(&with(&claims, |c| c["sub"] = json!(app.id_of(OTHER))));
    let answer = app.to_broker(OTHER).call(method, path, &stolen, body.as_ref()).await;
    attack.fails_at_the_broker(&answer, "403 statement_digest").await;
    assert_eq!(app.call(method, path, &genuine, body.as_ref()).await.status, 200, "the genuine one was spent");
    app.finish().await;
}

#[tokio::test]
async fn an_approved_call_cannot_be_made_twice() {
    let app = TestApp::start().await;
    let thief = Thief::of_the_mandate_key(&app);
    let genuine = app.approved_mandate(&asking("high"), &["alice", "bob"]).await;
    let (method, path, body) = the_call("high");
    assert_eq!(app.call(method, path, &genuine, body.as_ref()).await.status, 200);
    for what in ["a fresh mandate on the same approvals", "once more"] {
        let attack = Attack::begins(&app, what).await;
        let answer = app.call(method, path, &thief.mints(&claims_of(&genuine)), body.as_ref()).await;
        let replayed = atb::domain::ledger::EventType::PoaSingleUseReplayBlocked;
        attack.fails(&answer, "409 mandate_replayed", replayed).await;
    }
    app.finish().await;
}

#[tokio::test]
async fn nobody_becomes_an_executive_by_label() {
    let app = TestApp::start().await;
    let thief = Thief::of_the_mandate_key(&app);
    let challenge = app.challenge(&asking_critical()).await;
    for name in ["alice", "bob"] {
        assert_eq!(app.approve(name, &challenge).await.status, 200);
    }
    // Two genuine statements for a critical act, none by an executive: AgentAuth waits, its thief does not.
    let shown = app.shown(&challenge).await;
    let statements: Vec<_> = ["alice", "bob"]
        .map(|name| {
            let caller = app.to_issuer(name);
            let statement = caller.statement(&shown);
            json!({
                "id": caller.id(), "type": "executive", "statement": caller.sign(&statement),
                "approved_at": atb::domain::time::Timestamp::from_secs(statement.iat),
            })
        })
        .to_vec();
    let low = claims_of(&app.low_mandate().await);
    let claims = with(&low, |c| {
        let ask = &shown["ask"];
        for member in ["act", "con", "leg", "req"] {
            c[member] = ask[member].clone();
        }
        c["tier"] = json!("critical");
        c["exp"] = json!(c["iat"].as_u64().unwrap() + ask["ttl"].as_u64().unwrap());
        c["leg"]["dual_control"] = json!({"required": true, "approvers": statements});
    });
    let (method, path, body) = the_call("critical");
    let attack = Attack::begins(&app, "two approvers called executives").await;
    let answer = app.call(method, path, &thief.mints(&claims), body.as_ref()).await;
    attack.fails_at_the_broker(&answer, "403 role_missing").await;
    app.finish().await;
}

/// What remains: acts for which nobody is asked, by an agent whose SVID the thief has as well.
#[tokio::test]
async fn what_remains_are_acts_that_need_nobody() {
    let app = TestApp::start().await;
    let thief = Thief::of_the_mandate_key(&app);
    let claims = claims_of(&app.low_mandate().await);
    let (method, path, _) = the_call("low");
    let forged = thief.mints(&claims);
    let attack = Attack::begins(&app, "without the agent's SVID").await;
    let answer = app.to_broker(OTHER).call(method, path, &forged, None).await;
    attack.fails_at_the_broker(&answer, "403 mandate_holder").await;
    assert_eq!(app.call(method, path, &forged, None).await.status, 200, "with the agent's SVID it is a mandate");
    app.finish().await;
}
