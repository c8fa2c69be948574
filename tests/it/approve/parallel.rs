//! Any interleaving gives the right count.

use atb::domain::ledger::EventType;
use serde_json::json;
use tokio::task::JoinSet;

use crate::app::{AGENT, Answer, TestApp, asking, asking_critical};

/// Each of `names` hands in `times` statements of her own, all at once, on connections of their own.
async fn all_at_once(app: &TestApp, challenge: &str, names: &[&str], times: usize) -> Vec<Answer> {
    let shown = app.shown(challenge).await;
    let path = format!("/challenges/{challenge}/approve");
    let mut prepared = Vec::new();
    for name in names.repeat(times) {
        let caller = app.to_issuer(name).connected().await;
        let body = json!({ "statement": caller.sign(&caller.statement(&shown)) });
        prepared.push((caller, path.clone(), body));
    }
    let votes: JoinSet<_> =
        prepared.into_iter().map(|(caller, path, body)| async move { caller.post(&path, &body).await }).collect();
    votes.join_all().await
}

fn count(answers: &[Answer], verdict: &str) -> usize {
    answers.iter().filter(|answer| answer.verdict() == verdict).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_approvals_by_one_person_through_two_identities_are_one() {
    let app = TestApp::start().await;
    let challenge = app.challenge(&asking("high")).await;
    let mark = app.mark().await;
    let answers = all_at_once(&app, &challenge, &["alice", "alice-mobile"], 100).await;
    assert_eq!(answers.len(), 200);
    assert_eq!(count(&answers, "200 "), 1);
    assert_eq!(count(&answers, "403 same_person") + count(&answers, "403 approver_already_counted"), 199);
    let events = app.events_since(mark).await;
    let of = |kind| events.iter().filter(|event| event.event_type == kind).count();
    assert_eq!((of(EventType::PoaApprovalRecorded), of(EventType::PoaApprovalRefused)), (1, 199));
    assert_eq!(events.len(), 200);
    let collected = app.collect(&challenge).await;
    assert_eq!((collected.status, &collected.json["approved"]), (202, &json!(1)), "{collected}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_people_at_once_are_counted_once_each_and_no_more_than_it_takes() {
    let app = TestApp::start().await;
    let challenge = app.challenge(&asking_critical()).await;
    let answers = all_at_once(&app, &challenge, &["alice", "alice-mobile", "bob", "carol"], 15).await;
    // Carol is the executive: with her and one other it is enough, so two or three people count, whoever came first.
    let counted = count(&answers, "200 ");
    assert!((2..=3).contains(&counted), "{counted} counted");
    let shown = app.shown(&challenge).await;
    assert_eq!((&shown["state"], &shown["approved"]), (&json!("approved"), &json!(counted)));
    let people: std::collections::BTreeSet<_> = shown["approvers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|approver| approver["id"].as_str().unwrap().replace("-mobile", ""))
        .collect();
    assert_eq!(people.len(), counted);
    let recorded = app.events_of(EventType::PoaApprovalRecorded).await;
    assert_eq!(recorded.len(), counted);
    assert_eq!(app.events_of(EventType::PoaApprovalRefused).await.len(), answers.len() - counted);
    assert_eq!(app.collect(&challenge).await.status, 201);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_redemptions_at_once_give_one_mandate() {
    let app = TestApp::start().await;
    let challenge = app.challenge(&asking("high")).await;
    for name in ["alice", "bob"] {
        assert_eq!(app.approve(name, &challenge).await.status, 200);
    }
    let mut agents = Vec::new();
    for _ in 0..100 {
        agents.push((app.to_issuer(AGENT).connected().await, format!("/issue/{challenge}")));
    }
    let mark = app.mark().await;
    let redemptions: JoinSet<_> =
        agents.into_iter().map(|(agent, path)| async move { agent.get(&path).await }).collect();
    let answers = redemptions.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    assert_eq!(count(&answers, "409 challenge_redeemed"), 99);
    let events = app.events_since(mark).await;
    let of = |kind| events.iter().filter(|event| event.event_type == kind).count();
    assert_eq!((of(EventType::PoaIssuedDualControl), of(EventType::PoaDenied)), (1, 99));
    app.finish().await;
}
