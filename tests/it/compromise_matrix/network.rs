//! The attacker owns the network: reads, changes, replays, answers in our place.

use super::Attack;
use crate::app::{AGENT, At, OTHER, TestApp, the_call};

#[tokio::test]
async fn a_captured_mandate_is_useless_without_its_holders_key() {
    let app = TestApp::start().await;
    let mandate = app.low_mandate().await;
    let (method, path, _) = the_call("low");
    let bearer = format!("Bearer {mandate}");
    let agent = app.id_of(AGENT).to_string();
    let proxy = "URI=spiffe://atb.dev/agent/procurement";
    let forged = [
        ("as it is", None, "403 mandate_holder"),
        ("with the agent's name in a header", Some(("x-spiffe-id", agent.as_str())), "403 identity_conflict"),
        ("with a proxy's header", Some(("x-forwarded-client-cert", proxy)), "403 identity_conflict"),
    ];
    for (what, header, verdict) in forged {
        let attack = Attack::begins(&app, what).await;
        let headers: Vec<_> = [("authorization", bearer.as_str())].into_iter().chain(header).collect();
        let answer = app.to_broker(OTHER).send(method, path, &headers, Vec::new()).await;
        attack.fails_at_the_broker(&answer, verdict).await;
    }
    assert_eq!(app.call(method, path, &mandate, None).await.status, 200, "the genuine one was spent");
    let attack = Attack::begins(&app, "replayed").await;
    let answer = app.call(method, path, &mandate, None).await;
    attack.fails(&answer, "409 mandate_replayed", atb::domain::ledger::EventType::PoaSingleUseReplayBlocked).await;
    app.finish().await;
}

#[tokio::test]
async fn nobody_answers_in_our_place() {
    let app = TestApp::start().await;
    // An enrolled workload that stands where AgentAuth should: its SVID is good, its name is not AgentAuth's.
    let impostor = app.caller_expecting(AGENT, At::Broker, At::AgentAuth);
    assert!(impostor.try_get("/.well-known/jwks.json").await.is_err());
    assert!(app.caller_expecting(AGENT, At::Broker, At::Broker).try_get("/").await.is_ok());
    app.finish().await;
}
