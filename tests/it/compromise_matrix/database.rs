//! The attacker can write AgentAuth's database, beside the running service, and has no key.

use atb::domain::approval::Statement;
use atb::domain::ledger::EventType;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

use super::withdraw_contract;
use crate::app::{AGENT, Answer, TestApp, asking, the_call};
use crate::notify::{Receiver, SECRET};

/// The file, beside the running service.
async fn opened(app: &TestApp) -> SqliteConnection {
    SqliteConnectOptions::new().filename(app.home().path("data/ledger.db")).connect().await.unwrap()
}

/// Rewrites the challenge as it lies in the file.
async fn rewrite(app: &TestApp, challenge: &str, change: impl FnOnce(&mut Value)) {
    let mut file = opened(app).await;
    let id = uuid::Uuid::parse_str(challenge).unwrap().as_bytes().to_vec();
    let (body,): (String,) =
        sqlx::query_as("SELECT body FROM challenge WHERE id = ?").bind(&id).fetch_one(&mut file).await.unwrap();
    let mut body: Value = serde_json::from_str(&body).unwrap();
    change(&mut body);
    let state = body["state"]["state"].as_str().unwrap().to_owned();
    sqlx::query("UPDATE challenge SET body = ?, state = ?, version = version + 1 WHERE id = ?")
        .bind(body.to_string())
        .bind(state)
        .bind(&id)
        .execute(&mut file)
        .await
        .unwrap();
    file.close().await.unwrap();
}

fn approved() -> Value {
    json!({"state": "approved", "at": "2026-11-21T00:00:00Z"})
}

#[tokio::test]
async fn a_written_state_is_not_an_approval() {
    let app = TestApp::start().await;
    let challenge = app.challenge(&asking("high")).await;
    rewrite(&app, &challenge, |body| body["state"] = approved()).await;
    assert_eq!(app.collect(&challenge).await.verdict(), "403 approval_missing");
    let challenge = app.challenge(&asking("high")).await;
    assert_eq!(app.approve("alice", &challenge).await.status, 200);
    rewrite(&app, &challenge, |body| {
        body["state"] = approved();
        body["draft"]["requirement"]["required"] = json!(1);
    })
    .await;
    assert_eq!(app.collect(&challenge).await.verdict(), "403 approval_missing");
    app.finish().await;
}

#[tokio::test]
async fn a_written_vote_is_not_a_statement() {
    let app = TestApp::start().await;
    let challenge = app.challenge(&asking("high")).await;
    assert_eq!(app.approve("alice", &challenge).await.status, 200);
    let bob = app.id_of("bob");
    rewrite(&app, &challenge, |body| {
        let mut vote = body["votes"][0].clone();
        (vote["approver"], vote["person"]) = (json!(bob), json!("bob"));
        body["votes"].as_array_mut().unwrap().push(vote);
        body["state"] = approved();
    })
    .await;
    assert_eq!(app.collect(&challenge).await.verdict(), "403 approval_mislabelled");
    app.finish().await;
}

#[tokio::test]
async fn what_was_signed_cannot_be_rewritten_afterwards() {
    let app = TestApp::start().await;
    let challenge = app.challenge(&asking("high")).await;
    for name in ["alice", "bob"] {
        assert_eq!(app.approve(name, &challenge).await.status, 200);
    }
    rewrite(&app, &challenge, |body| body["draft"]["ask"]["leg"]["description"] = json!("routine")).await;
    assert_eq!(app.collect(&challenge).await.verdict(), "403 statement_digest");
    let (method, path, body) = the_call("high");
    assert_eq!(app.call(method, path, "none", body.as_ref()).await.status, 401);
    assert_eq!(app.erp_hits(), 0);
    app.finish().await;
}

#[tokio::test]
async fn an_ended_challenge_cannot_be_brought_back() {
    let app = TestApp::start_with(|home| home.challenges_last(2)).await;
    let challenge = app.challenge(&asking("high")).await;
    for name in ["alice", "bob"] {
        assert_eq!(app.approve(name, &challenge).await.status, 200);
    }
    tokio::time::sleep(std::time::Duration::from_millis(3_100)).await;
    rewrite(&app, &challenge, |body| {
        body["state"] = approved();
        body["expires_at"] = json!("2099-01-01T00:00:00Z");
    })
    .await;
    assert_eq!(app.collect(&challenge).await.verdict(), "403 statement_expired");
    app.finish().await;
}

#[tokio::test]
async fn a_stored_view_that_was_rewritten_is_not_what_was_signed() {
    let app = TestApp::start().await;
    let other_words = |body: &mut Value| body["draft"]["view"]["sentence"] = json!("Read vendor V-1001");
    // After they signed: not what they signed.
    let challenge = app.challenge(&asking("high")).await;
    for name in ["alice", "bob"] {
        assert_eq!(app.approve(name, &challenge).await.status, 200);
    }
    rewrite(&app, &challenge, other_words).await;
    assert_eq!(app.collect(&challenge).await.verdict(), "403 statement_view");
    // Before they signed: not what the policy says.
    let challenge = app.challenge(&asking("high")).await;
    rewrite(&app, &challenge, other_words).await;
    for name in ["alice", "bob"] {
        assert_eq!(app.approve(name, &challenge).await.status, 200);
    }
    assert_eq!(app.collect(&challenge).await.verdict(), "403 view_changed");
    // Another fact: her own program does not sign.
    let challenge = app.challenge(&asking("high")).await;
    rewrite(&app, &challenge, |body| {
        let text = body["draft"]["view"].to_string().replace("V-1001", "V-1002");
        body["draft"]["view"] = serde_json::from_str(&text).unwrap();
    })
    .await;
    let shown = app.to_issuer("alice").get(&format!("/challenges/{challenge}")).await;
    assert!(atb::cli::approve::Shown::check(&shown.body).is_err(), "{shown}");
    app.finish().await;
}

#[tokio::test]
async fn whom_a_vote_stands_for_is_in_the_statement_alone() {
    let app = TestApp::start().await;
    let challenge = app.challenge(&asking("high")).await;
    let shown = app.shown(&challenge).await;
    let (bob, carol) = (app.to_issuer("bob"), app.to_issuer("carol"));
    let del = carol.delegate(&carol.delegation(&bob, &shown));
    let statement = Statement { del: Some(del), ..bob.statement(&shown) };
    let body = json!({"statement": bob.sign(&statement)});
    assert_eq!(bob.post(&format!("/challenges/{challenge}/approve"), &body).await.status, 200);
    // Carol is made free to sign again.
    let mut stood = Value::Null;
    rewrite(&app, &challenge, |body| stood = body["votes"][0].as_object_mut().unwrap().remove("stood_in_for").unwrap())
        .await;
    assert_eq!(app.approve("carol", &challenge).await.status, 200, "the count is taken from the file");
    assert_eq!(app.collect(&challenge).await.verdict(), "403 approval_mislabelled");
    // Bob's own vote is made one for Carol.
    let challenge = app.challenge(&asking("high")).await;
    for name in ["alice", "bob"] {
        assert_eq!(app.approve(name, &challenge).await.status, 200);
    }
    rewrite(&app, &challenge, |body| body["votes"][1]["stood_in_for"] = stood).await;
    assert_eq!(app.collect(&challenge).await.verdict(), "403 approval_mislabelled");
    assert!(app.events_of(EventType::PoaIssuedDualControl).await.is_empty());
    app.finish().await;
}

/// What remains: asking people once more. Every time is on record, and no vote comes along.
#[tokio::test]
async fn what_remains_is_asking_more_often_than_three_times() {
    let app = TestApp::start().await;
    let agent = app.to_issuer(AGENT);
    let ends = async |challenge: &str| {
        let no = json!({"reason": "no"});
        let answer = app.to_issuer("bob").post(&format!("/challenges/{challenge}/reject"), &no).await;
        assert_eq!(answer.status, 200, "{answer}");
    };
    let again =
        async |challenge: &str| -> Answer { agent.post(&format!("/issue/{challenge}/reask"), &json!({})).await };
    let mut challenge = app.challenge(&asking("high")).await;
    for _ in 0..3 {
        ends(&challenge).await;
        challenge = again(&challenge).await.text("/challenge_id");
    }
    assert_eq!(app.approve("alice", &challenge).await.status, 200);
    ends(&challenge).await;
    assert_eq!(again(&challenge).await.verdict(), "409 reask_limit");
    rewrite(&app, &challenge, |body| body["draft"]["reask_of"]["nth"] = json!(0)).await;
    let more = again(&challenge).await;
    assert_eq!((more.status, &more.json["approved"]), (202, &json!(0)), "{more}");
    assert_eq!(again(&challenge).await.verdict(), "409 challenge_reasked");
    rewrite(&app, &challenge, |body| drop(body.as_object_mut().unwrap().remove("reasked_as"))).await;
    let twin = again(&challenge).await;
    assert_eq!((twin.status, &twin.json["approved"]), (202, &json!(0)), "{twin}");
    let created = app.events_of(EventType::PoaChallengeCreated).await;
    assert_eq!(created.len(), 6);
    let of: Vec<_> = created.iter().filter_map(|event| event.subject.detail.get("reask_of")).collect();
    assert_eq!(of.iter().filter(|of| ***of == challenge).count(), 2, "one challenge with two successors on record");
    app.finish().await;
}

#[tokio::test]
async fn a_withdrawal_whose_row_was_deleted_still_holds() {
    let mut app = TestApp::start().await;
    let (one, two) = (app.low_mandate().await, app.low_mandate().await);
    withdraw_contract(&app).await;
    let mut file = opened(&app).await;
    for text in ["DELETE FROM leg_withdrawal", "UPDATE leg_withdrawal SET target = 'contract@0.0.1'"] {
        let refused = sqlx::query(text).execute(&mut file).await.unwrap_err().to_string();
        assert!(refused.contains("a withdrawal is final"), "{refused}");
    }
    // Who can write the file can drop what keeps it.
    for text in ["DROP TRIGGER leg_withdrawal_stays", "DELETE FROM leg_withdrawal"] {
        sqlx::query(text).execute(&mut file).await.unwrap();
    }
    file.close().await.unwrap();
    let (method, path, _) = the_call("low");
    assert_eq!(app.call(method, path, &one, None).await.verdict(), "403 leg_template_withdrawn");
    assert_eq!(app.issue(&asking("low")).await.verdict(), "422 leg_template_withdrawn");
    app.restart().await;
    // After a restart too: the record says it, and the record is signed.
    assert_eq!(app.call(method, path, &two, None).await.verdict(), "403 leg_template_withdrawn");
    assert_eq!(app.events_of(EventType::LegWithdrawn).await.len(), 1);
    app.finish().await;
}

/// What remains: people are not told. What they sign, and what becomes of it, is not in these rows.
#[tokio::test]
async fn a_notification_that_was_deleted_changes_no_challenge() {
    let deaf = Receiver::start(|_| 500).await;
    let app = TestApp::start_with(|home| {
        home.secret("hook", SECRET);
        home.configure(&format!(
            "[[notify.endpoints]]\nname = \"hook\"\nurl = \"http://{}/\"\nsecret = \"hook\"\n",
            deaf.address
        ));
    })
    .await;
    let challenge = app.challenge(&asking("high")).await;
    deaf.arrived(1).await;
    let mut file = opened(&app).await;
    for text in ["DELETE FROM notification_waiting", "UPDATE notification_place SET next_seq = next_seq + 1000"] {
        sqlx::query(text).execute(&mut file).await.unwrap();
    }
    file.close().await.unwrap();
    let shown = app.shown(&challenge).await;
    assert_eq!((&shown["state"], &shown["approved"]), (&json!("pending"), &json!(0)));
    assert_eq!(app.collect(&challenge).await.status, 202);
    for name in ["alice", "bob"] {
        assert_eq!(app.approve(name, &challenge).await.status, 200);
    }
    assert_eq!(app.collect(&challenge).await.status, 201);
    assert!(app.events_of(EventType::NotificationDead).await.is_empty());
    app.finish().await;
}
