//! The attacker can write AgentAuth's database, beside the running service, and has no key.

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::app::{TestApp, asking, the_call};

/// Rewrites the challenge as it lies in the file.
async fn rewrite(app: &TestApp, challenge: &str, change: impl FnOnce(&mut Value)) {
    let path = app.home().path("data/ledger.db");
    let mut file = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
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
