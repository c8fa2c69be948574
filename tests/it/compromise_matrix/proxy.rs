//! The attacker has a proxy that may hand in JWT-SVIDs.

use atb::domain::ledger::EventType;
use serde_json::json;

use super::Attack;
use crate::app::{AGENT, Answer, OTHER, TestApp, asking, the_call};
use crate::identity::jwt_svid::{about, enrol_proxies, taken};
use crate::identity::tokens::Issuer;

const AGENTAUTH: &str = "spiffe://atb.dev/agentauth";
const BROKER: &str = "spiffe://atb.dev/broker";

async fn world() -> (TestApp, Issuer) {
    let authority = Issuer::new("k");
    let app = TestApp::start_with(|home| taken(home, &authority, "")).await;
    enrol_proxies(&app);
    (app, authority)
}

/// The low call over the proxy's connection.
async fn call(app: &TestApp, mandate: &str, token: Option<&str>) -> Answer {
    let (method, path, _) = the_call("low");
    let bearer = format!("Bearer {mandate}");
    let headers: Vec<_> =
        [("authorization", bearer.as_str())].into_iter().chain(token.map(|t| ("x-jwt-svid", t))).collect();
    app.to_broker("edge").send(method, path, &headers, Vec::new()).await
}

#[tokio::test]
async fn a_proxy_that_lies_is_nobody_without_a_workloads_token() {
    let (app, authority) = world().await;
    let mandate = app.low_mandate().await;
    let agent = app.id_of(AGENT).to_string();
    let own = Issuer::new("k");
    let tokens = [
        ("none", None, "401 jwt_svid_missing"),
        ("one that it made", Some(own.signs(&about(&agent, BROKER))), "401 jwt_svid_bad_signature"),
        ("for the other door", Some(authority.signs(&about(&agent, AGENTAUTH))), "401 jwt_svid_audience"),
        ("for another service", Some(authority.signs(&about(&agent, "https://crm.example"))), "401 jwt_svid_audience"),
        ("its own", Some(authority.signs(&about("spiffe://atb.dev/proxy/edge", BROKER))), "403 jwt_svid_of_a_proxy"),
    ];
    for (what, token, verdict) in tokens {
        let attack = Attack::begins(&app, what).await;
        let answer = call(&app, &mandate, token.as_deref()).await;
        attack.fails_at_the_broker(&answer, verdict).await;
    }
    let (method, path, _) = the_call("low");
    assert_eq!(app.call(method, path, &mandate, None).await.status, 200, "the genuine mandate was spent");
    app.finish().await;
}

#[tokio::test]
async fn a_token_that_was_used_is_of_no_use_to_the_proxy() {
    let (app, authority) = world().await;
    let (first, second) = (app.low_mandate().await, app.low_mandate().await);
    let token = authority.signs(&about(app.id_of(AGENT).as_str(), BROKER));
    assert_eq!(call(&app, &first, Some(&token)).await.status, 200);
    // The outcome of that call may still be written.
    while app.events_of(EventType::ConnectorOutcome).await.is_empty() {
        tokio::task::yield_now().await;
    }
    let attack = Attack::begins(&app, "once more").await;
    attack.fails_at_the_broker(&call(&app, &second, Some(&token)).await, "401 jwt_svid_replayed").await;
    let attack = Attack::begins(&app, "the token of somebody else").await;
    let others = authority.signs(&about(app.id_of(OTHER).as_str(), BROKER));
    attack.fails_at_the_broker(&call(&app, &second, Some(&others)).await, "403 mandate_holder").await;
    app.finish().await;
}

#[tokio::test]
async fn a_persons_token_is_not_her_signature() {
    let (app, authority) = world().await;
    let challenge = app.challenge(&asking("medium")).await;
    let shown = app.shown(&challenge).await;
    let alice = app.id_of("alice").to_string();
    let proxy = app.to_issuer("edge");
    let hand_in = async |body: serde_json::Value| {
        let token = authority.signs(&about(&alice, AGENTAUTH));
        let headers = [("content-type", "application/json"), ("x-jwt-svid", token.as_str())];
        let path = format!("/challenges/{challenge}/approve");
        proxy.send("POST", &path, &headers, body.to_string().into_bytes()).await
    };
    let answer = hand_in(json!({})).await;
    assert_eq!(answer.status, 422, "{answer}");
    // Her words under the proxy's own key.
    let forged = proxy.sign(&app.to_issuer("alice").statement(&shown));
    let attack = Attack::begins(&app, "her words under the proxy's key").await;
    let answer = hand_in(json!({ "statement": forged })).await;
    attack.fails(&answer, "403 statement_issuer", EventType::PoaApprovalRefused).await;
    assert_eq!(app.collect(&challenge).await.status, 202, "nobody has approved");
    app.finish().await;
}

#[tokio::test]
async fn what_remains_is_one_use_of_a_token_that_was_held_back() {
    let (app, authority) = world().await;
    let agent = app.id_of(AGENT).to_string();
    let token = authority.signs(&about(&agent, AGENTAUTH));
    let headers = [("content-type", "application/json"), ("x-jwt-svid", token.as_str())];
    let body = asking("low").to_string().into_bytes();
    let proxy = app.to_issuer("edge");
    assert_eq!(proxy.send("POST", "/issue", &headers, body.clone()).await.status, 201, "once");
    // The workload itself then notices.
    let answer = proxy.send("POST", "/issue", &headers, body).await;
    assert_eq!(answer.verdict(), "401 jwt_svid_replayed", "{answer}");
    let issued = app.events_of(EventType::PoaIssued).await;
    assert_eq!(issued.last().unwrap().subject.detail["presented_by"], "spiffe://atb.dev/proxy/edge");
    app.finish().await;
}
