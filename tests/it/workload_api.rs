//! The services on identities of a SPIFFE Workload API: rotation, an agent that is away, denies, answers emptily or falls
//! silent, and the doors that close when what we know has become too old.

mod agent;
mod rotation;

use std::time::Duration;

use atb::domain::ledger::EventType;
use atb::domain::spiffe::UnverifiedSvid;
use rustls::pki_types::CertificateDer;

pub use agent::{FakeAgent, Manner, eventually, on_workload_api};

use crate::app::{AGENT, At, TestApp, asking};

const HOUR: Duration = Duration::from_secs(3600);
const DOORS: [&str; 2] = ["agentauth", "broker"];

/// Longer than a machine under load holds a task up, shorter than a test may take.
const MAX_AGE: u64 = 10;

async fn start(agent: &FakeAgent, max_age: u64) -> TestApp {
    TestApp::start_with(|home| on_workload_api(home, agent, max_age)).await
}

/// Until when the SVID is good that a new handshake shows.
async fn shown_until(app: &TestApp, at: At) -> u64 {
    let stream = app.caller(AGENT, at).connect().await;
    let chain: Vec<CertificateDer<'static>> = stream.get_ref().1.peer_certificates().unwrap().to_vec();
    UnverifiedSvid::parse(&chain).unwrap().claimed_validity().1.as_secs()
}

async fn ready(app: &TestApp) -> (u16, String) {
    app.ops("/ready").await
}

#[tokio::test]
async fn the_services_run_on_identities_of_a_workload_api() {
    let agent = FakeAgent::start();
    let app = start(&agent, 60).await;
    let mandate = app.low_mandate().await;
    assert_eq!(app.call("GET", "/c/erp/vendors/V-1001", &mandate, None).await.status, 200);
    assert_eq!(ready(&app).await.0, 200);
    let metrics = app.ops("/metrics").await.1;
    for series in
        ["atb_svid_expires_in_seconds{door=\"broker\"}", "atb_trust_bundle_age_seconds{trust_domain=\"atb.dev\"}"]
    {
        assert!(metrics.contains(series), "no {series}:\n{metrics}");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_rotation_is_shown_in_the_next_handshake_ends_no_connection_and_is_on_record() {
    let agent = FakeAgent::start();
    let app = start(&agent, 60).await;
    let kept = app.to_issuer(AGENT).connected().await;
    let before = shown_until(&app, At::AgentAuth).await;
    agent.issue(&DOORS, 2 * HOUR);
    eventually("the new SVID", async || shown_until(&app, At::AgentAuth).await > before + 1800).await;
    eventually("the broker's new SVID", async || shown_until(&app, At::Broker).await > before + 1800).await;
    assert_eq!(kept.post("/issue", &asking("low")).await.status, 201, "the connection from before goes on");
    let on_record = async || {
        let rotated = app.events_of(EventType::IdentityRotated).await;
        let ids: Vec<_> = rotated.iter().filter_map(|event| event.subject.detail.get("spiffe_id").cloned()).collect();
        DOORS.iter().all(|door| ids.contains(&format!("spiffe://atb.dev/{door}")))
    };
    eventually("the rotation on record", on_record).await;
    assert!(app.ops("/metrics").await.1.contains("atb_identity_rotations_total{kind=\"svid\"} 2"));
    app.finish().await;
}

#[tokio::test]
async fn an_agent_that_was_away_is_found_again_and_nobody_notices() {
    let mut agent = FakeAgent::start();
    let app = start(&agent, 60).await;
    let before = shown_until(&app, At::Broker).await;
    agent.stop().await;
    assert_eq!(app.issue(&asking("low")).await.status, 201);
    agent.start_again();
    agent.issue(&DOORS, 2 * HOUR);
    eventually("the agent found again", async || shown_until(&app, At::Broker).await > before + 1800).await;
    assert_eq!(ready(&app).await.0, 200);
    app.finish().await;
}

/// Whatever keeps an agent from confirming what we hold closes the doors in time, and its voice opens them.
async fn is_believed_until_it_is_too_old(manner: Manner, failure: &str) {
    let agent = FakeAgent::start();
    let app = start(&agent, MAX_AGE).await;
    let kept = app.to_issuer(AGENT).connected().await;
    agent.answers(manner);
    assert_eq!(app.issue(&asking("low")).await.status, 201, "{manner:?}: the last good one holds for its age");

    eventually("/ready false", async || ready(&app).await.0 == 503).await;
    let (_, said) = ready(&app).await;
    assert!(said.contains("trust.max_age_seconds"), "{manner:?}: {said}");
    let refused = kept.post("/issue", &asking("low")).await;
    assert_eq!((refused.status, refused.text("/code")), (503, "identity_stale".to_owned()), "{manner:?}");
    assert!(refused.headers.contains_key("retry-after"), "{manner:?}");
    assert!(app.to_broker(AGENT).try_get("/c/erp/vendors/V-1001").await.is_err(), "{manner:?}: no new handshake");
    let closed = async || {
        let stale = app.events_of(EventType::IdentityStale).await;
        stale.iter().any(|event| event.subject.reason.as_deref() == Some("trust_bundle_stale"))
    };
    eventually("the closing on record", closed).await;
    for sample in [
        format!("atb_identity_source_failures_total{{source=\"workload_api\",reason=\"{failure}\"}}"),
        "atb_identity_doors_closed 1".to_owned(),
    ] {
        eventually(&sample, async || app.ops("/metrics").await.1.contains(&sample)).await;
    }

    agent.answers(Manner::Serves);
    eventually("/ready true again", async || ready(&app).await.0 == 200).await;
    assert_eq!(app.issue(&asking("low")).await.status, 201, "{manner:?}");
    let opened = async || {
        let rotated = app.events_of(EventType::IdentityRotated).await;
        rotated.iter().any(|event| event.subject.reason.as_deref() == Some("doors_opened"))
    };
    eventually("the opening on record", opened).await;
    app.finish().await;
}

#[tokio::test]
async fn an_agent_that_denies_is_believed_until_it_is_too_old() {
    is_believed_until_it_is_too_old(Manner::Denies, "permission_denied").await;
}

#[tokio::test]
async fn an_agent_that_answers_emptily_is_believed_until_it_is_too_old() {
    is_believed_until_it_is_too_old(Manner::AnswersEmptily, "empty_answer").await;
}

#[tokio::test]
async fn an_emptied_bundle_does_not_leave_the_old_authorities_in_force_for_ever() {
    is_believed_until_it_is_too_old(Manner::HasNoBundle, "empty_answer").await;
}

#[tokio::test]
async fn an_agent_that_falls_silent_is_believed_until_it_is_too_old() {
    is_believed_until_it_is_too_old(Manner::IsSilent, "silent").await;
}

#[tokio::test]
async fn the_svid_of_somebody_else_is_never_taken() {
    let agent = FakeAgent::start();
    let app = start(&agent, 60).await;
    let (before, opened) = (shown_until(&app, At::Broker).await, agent.opened());
    agent.issue(&["agentauth", "agent/procurement"], 2 * HOUR);
    let refused = "atb_identity_source_failures_total{source=\"workload_api\",reason=\"no_svid\"}";
    eventually("the refusal", async || app.ops("/metrics").await.1.contains(refused)).await;
    assert_eq!(shown_until(&app, At::Broker).await, before);
    assert_eq!(shown_until(&app, At::AgentAuth).await, before, "a message is taken whole or not at all");
    assert!(agent.opened() >= opened);
    app.finish().await;
}

#[tokio::test]
async fn an_svid_that_expires_unrenewed_closes_the_doors() {
    let agent = FakeAgent::start();
    let app = TestApp::start_with(|home| {
        on_workload_api(home, &agent, 600);
        agent.issue(&DOORS, Duration::from_secs(12));
    })
    .await;
    eventually("/ready false", async || ready(&app).await.0 == 503).await;
    assert!(ready(&app).await.1.contains("expired at"));
    agent.issue(&DOORS, HOUR);
    eventually("/ready true again", async || ready(&app).await.0 == 200).await;
    app.finish().await;
}

#[tokio::test]
async fn an_authority_that_is_taken_out_of_the_bundle_ends_the_connections_of_its_callers() {
    let agent = FakeAgent::start();
    let app = start(&agent, 60).await;
    let kept = app.to_issuer(AGENT).connected().await;
    assert_eq!(kept.try_get("/.well-known/jwks.json").await, Ok(200));
    let later = app.to_issuer(AGENT);
    agent.trust("");
    eventually("the end of the connection", async || kept.try_get("/.well-known/jwks.json").await.is_err()).await;
    assert!(later.try_get("/.well-known/jwks.json").await.is_err(), "nor a new one");
    app.finish().await;
}
