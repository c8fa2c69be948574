//! One mandate, one call.

use atb::domain::ledger::EventType;
use tokio::task::JoinSet;

use crate::app::{AGENT, TestApp, asking, the_call};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_replays_at_once_reach_the_upstream_once() {
    const CONNECTIONS: usize = 50;
    let app = TestApp::start().await;
    let mandate = app.low_mandate().await;
    let mark = app.mark().await;
    let mut calls = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (agent, mandate) = (app.to_broker(AGENT), mandate.clone());
        calls.spawn(async move {
            let mut verdicts = Vec::new();
            for _ in 0..1000 / CONNECTIONS {
                verdicts.push(agent.call("GET", "/c/erp/vendors/V-1001", &mandate, None).await.verdict());
            }
            verdicts
        });
    }
    let verdicts = calls.join_all().await.concat();
    let count = |verdict: &str| verdicts.iter().filter(|found| *found == verdict).count();
    assert_eq!((count("200 "), count("409 mandate_replayed")), (1, 999));
    assert_eq!(app.erp_hits(), 1);

    let events = app.events_since(mark).await;
    let of = |kind| events.iter().filter(|event| event.event_type == kind).count();
    let blocked = EventType::PoaSingleUseReplayBlocked;
    assert_eq!((of(EventType::BrokerDecision), of(blocked), of(EventType::ConnectorOutcome)), (1, 999, 1));
    assert_eq!(events.len(), 1001);
    app.finish().await;
}

#[tokio::test]
async fn a_replay_is_named_on_record_with_the_mandate_that_came_again() {
    let app = TestApp::start().await;
    let mandate = app.approved_mandate(&asking("high"), &["alice", "bob"]).await;
    let (method, path, body) = the_call("high");
    assert_eq!(app.call(method, path, &mandate, body.as_ref()).await.status, 200);
    let answer = app.call(method, path, &mandate, body.as_ref()).await;
    assert_eq!(answer.verdict(), "409 mandate_replayed");
    answer.assert_problem();
    let blocked = app.events_of(EventType::PoaSingleUseReplayBlocked).await;
    let issued = app.events_of(EventType::PoaIssuedDualControl).await;
    let event = TestApp::only(blocked, "a replay");
    assert_eq!(event.subject.jti, issued[0].subject.jti);
    assert_eq!(event.subject.challenge_id, issued[0].subject.challenge_id);
    assert_eq!(event.subject.decision_id.unwrap().to_string(), answer.text("/decision_id"));
    assert_eq!(app.erp_hits(), 1);
    app.finish().await;
}
