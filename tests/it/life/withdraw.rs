//! An agent takes its request back.

use atb::domain::ledger::EventType;
use serde_json::json;

use crate::app::{AGENT, Answer, OTHER, TestApp, asking};
use crate::schemas::fits;

pub async fn withdraw(app: &TestApp, name: &str, challenge: &str) -> Answer {
    app.to_issuer(name).post(&format!("/issue/{challenge}/withdraw"), &json!({"reason": "wrong vendor"})).await
}

#[tokio::test]
async fn what_its_agent_took_back_yields_nothing_whoever_has_agreed() {
    let app = TestApp::start().await;
    for approvers in [&[][..], &["alice"], &["alice", "bob"]] {
        let challenge = app.challenge(&asking("high")).await;
        for name in approvers {
            assert_eq!(app.approve(name, &challenge).await.status, 200);
        }
        let shown = app.shown(&challenge).await;
        let mark = app.mark().await;
        let answer = withdraw(&app, AGENT, &challenge).await;
        assert_eq!((answer.status, answer.text("/state").as_str()), (200, "withdrawn"), "{answer}");
        assert_eq!(answer.text("/reason"), "wrong vendor");
        fits("issue-withdrawn", &answer.json);
        let event = TestApp::only(app.events_since(mark).await, "a withdrawal");
        assert_eq!(event.event_type, EventType::PoaChallengeWithdrawn);
        assert_eq!(event.subject.detail["withdrawal"], "wrong vendor");
        fits("ledger-entry", &serde_json::to_value(&event).unwrap());

        let told = app.collect(&challenge).await;
        assert_eq!(told.verdict(), "410 challenge_withdrawn");
        assert!(told.text("/detail").contains("wrong vendor"), "{told}");
        let carol = app.to_issuer("carol");
        let statement = carol.sign(&carol.statement(&shown));
        let late = carol.post(&format!("/challenges/{challenge}/approve"), &json!({ "statement": statement })).await;
        assert_eq!(late.verdict(), "410 challenge_withdrawn");
        let no = carol.post(&format!("/challenges/{challenge}/reject"), &json!({"reason": "no"})).await;
        assert_eq!(no.verdict(), "410 challenge_withdrawn");
        assert_eq!(withdraw(&app, AGENT, &challenge).await.verdict(), "410 challenge_withdrawn");
        assert_eq!(app.shown(&challenge).await["state"], "withdrawn");
        let listed = carol.get("/challenges?status=withdrawn").await;
        let mut ids = listed.json["challenges"].as_array().unwrap().iter().map(|c| c["challenge_id"].clone());
        assert!(ids.any(|id| id == challenge.as_str()), "{listed}");
    }
    app.finish().await;
}

#[tokio::test]
async fn only_its_agent_takes_a_request_back_and_says_why() {
    let app = TestApp::start().await;
    let challenge = app.challenge(&asking("high")).await;
    let path = format!("/issue/{challenge}/withdraw");
    let unknown = "/issue/01890000-0000-7000-8000-000000000000/withdraw";
    let why = json!({"reason": "wrong vendor"});
    for (what, name, path, body, verdict) in [
        ("another agent", OTHER, path.as_str(), why.clone(), "404 challenge_not_found"),
        ("an approver", "alice", &path, why.clone(), "404 challenge_not_found"),
        ("no such challenge", AGENT, unknown, why.clone(), "404 challenge_not_found"),
        ("no id", AGENT, "/issue/x/withdraw", why, "404 challenge_not_found"),
        ("no reason", AGENT, &path, json!({}), "422 schema_violation"),
        ("an empty reason", AGENT, &path, json!({"reason": " "}), "422 schema_violation"),
        ("a hidden text", AGENT, &path, json!({"reason": "a\u{202e}b"}), "422 schema_violation"),
        ("a list", AGENT, &path, json!(["wrong vendor"]), "422 schema_violation"),
        ("more than a reason", AGENT, &path, json!({"reason": "a", "state": "approved"}), "422 schema_violation"),
    ] {
        let mark = app.mark().await;
        let answer = app.to_issuer(name).post(path, &body).await;
        assert_eq!(answer.verdict(), verdict, "{what}: {answer}");
        answer.assert_problem();
        assert_eq!(TestApp::only(app.events_since(mark).await, what).event_type, EventType::PoaDenied);
    }
    let got = app.to_issuer(AGENT).get(&path).await;
    assert_eq!(got.status, 405, "a withdrawal by GET: {got}");
    assert_eq!(app.collect(&challenge).await.status, 202);
    app.finish().await;
}

#[tokio::test]
async fn no_two_ways_to_stand_look_alike_to_the_agent() {
    let app = TestApp::start_with(|home| {
        home.edit_policy_data("opa/tiers/data.json", |tiers| tiers["high"]["challenge_seconds"] = json!(2));
    })
    .await;
    let [rejected, withdrawn, redeemed, pending] = [
        app.challenge(&asking("medium")).await,
        app.challenge(&asking("medium")).await,
        app.challenge(&asking("medium")).await,
        app.challenge(&asking("medium")).await,
    ];
    let expired = app.challenge(&asking("high")).await;
    let no = app.to_issuer("bob").post(&format!("/challenges/{rejected}/reject"), &json!({"reason": "not you"})).await;
    assert_eq!(no.status, 200);
    assert_eq!(withdraw(&app, AGENT, &withdrawn).await.status, 200);
    assert_eq!(app.approve("alice", &redeemed).await.status, 200);
    assert_eq!(app.collect(&redeemed).await.status, 201);
    let waited = app.to_issuer(AGENT).get(&format!("/issue/{expired}?wait=30")).await;
    assert_eq!(waited.status, 410, "{waited}");

    let mut answers = Vec::new();
    for (challenge, verdict) in [
        (&rejected, "403 challenge_rejected"),
        (&expired, "410 challenge_expired"),
        (&withdrawn, "410 challenge_withdrawn"),
        (&redeemed, "409 challenge_redeemed"),
        (&pending, "202 "),
    ] {
        let answer = app.collect(challenge).await;
        assert_eq!(answer.verdict(), verdict, "{answer}");
        if answer.status != 202 {
            answer.assert_problem();
            fits("problem", &answer.json);
        }
        // What is over stays over for a withdrawal too, in the same words.
        if challenge != &pending {
            assert_eq!(withdraw(&app, AGENT, challenge).await.verdict(), verdict);
        }
        answers.push(answer);
    }
    assert!(answers[0].text("/detail").contains("not you"), "{}", answers[0]);
    for (at, one) in answers.iter().enumerate() {
        for other in &answers[at + 1..] {
            for member in ["/type", "/code", "/reason", "/title", "/detail"] {
                assert_ne!(one.json.pointer(member), other.json.pointer(member), "{member}: {one} and {other}");
            }
        }
    }
    app.finish().await;
}
