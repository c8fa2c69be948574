//! Approvers who are in the directory no more when the mandate is minted: what counts then is carried, and nothing else.

use atb::domain::ledger::EventType;
use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::{Value, json};

use crate::app::{TestApp, asking, asking_critical, the_call};

const APPROVERS: &str = "opa/approvers/data.json";

fn id(name: &str) -> String {
    format!("spiffe://atb.dev/approver/{name}")
}

/// The directory without `name`, from now on; the entry that was there.
async fn leaves(app: &mut TestApp, name: &str) -> Value {
    let mut entry = None;
    app.home().edit_policy_data(APPROVERS, |people| entry = people.as_object_mut().unwrap().remove(&id(name)));
    app.restart().await;
    entry.unwrap()
}

async fn approved_by(app: &TestApp, ask: &Value, names: &[&str]) -> String {
    let challenge = app.challenge(ask).await;
    for name in names {
        let answer = app.approve(name, &challenge).await;
        assert_eq!(answer.status, 200, "{name}: {answer}");
    }
    challenge
}

fn claims(mandate: &str) -> Value {
    let payload = mandate.split('.').nth(1).unwrap();
    serde_json::from_slice(&Base64UrlUnpadded::decode_vec(payload).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_that_counts_no_more_is_not_carried_and_the_broker_takes_the_rest() {
    let mut app = TestApp::start().await;
    // Alice and Bob are two, but none of them an executive: so Carol is the third.
    let challenge = approved_by(&app, &asking_critical(), &["alice", "bob", "carol"]).await;
    leaves(&mut app, "bob").await;
    let mark = app.mark().await;
    let answer = app.collect(&challenge).await;
    assert_eq!(answer.status, 201, "{answer}");
    let minted = TestApp::only(app.events_since(mark).await, "the mandate");
    assert_eq!(minted.event_type, EventType::PoaIssuedDualControl);
    let carried = claims(&answer.text("/token"))["leg"]["dual_control"]["approvers"].clone();
    let ids: Vec<_> = carried.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, [id("alice"), id("carol")]);
    assert_eq!(minted.subject.approvers.iter().map(ToString::to_string).collect::<Vec<_>>(), ids);
    let (method, path, body) = the_call("critical");
    let call = app.call(method, path, &answer.text("/token"), body.as_ref()).await;
    assert!((200..300).contains(&call.status), "{call}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn approvals_that_do_not_suffice_any_more_yield_nothing_and_the_challenge_waits_for_its_time() {
    let mut app = TestApp::start().await;
    let high = approved_by(&app, &asking("high"), &["alice", "bob"]).await;
    let critical = approved_by(&app, &asking_critical(), &["alice", "bob", "carol"]).await;
    let entry = leaves(&mut app, "bob").await;
    let refused = app.collect(&high).await;
    assert_eq!(refused.verdict(), "403 approval_missing", "{refused}");
    assert_eq!(refused.json["missing"], json!(["approval"]), "{refused}");
    let state = async |app: &TestApp| app.to_issuer("alice").get(&format!("/challenges/{high}")).await.text("/state");
    assert_eq!(state(&app).await, "approved");

    // Bob is back; Carol, the executive, is gone.
    app.home().edit_policy_data(APPROVERS, |people| people[id("bob")] = entry.clone());
    leaves(&mut app, "carol").await;
    let refused = app.collect(&critical).await;
    assert_eq!(refused.verdict(), "403 role_missing", "{refused}");
    assert_eq!(refused.json["missing"], json!(["executive"]), "{refused}");
    assert_eq!(app.collect(&high).await.status, 201);
    assert_eq!(state(&app).await, "redeemed");
    app.finish().await;
}
