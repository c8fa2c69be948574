//! What operators see on the plain listener.

use atb::domain::ledger::EventType;

use crate::app::{AGENT, TestApp, asking};

#[tokio::test]
async fn a_started_service_is_healthy_and_ready_and_says_what_it_checked() {
    let app = TestApp::start().await;
    assert_eq!(app.ops("/health").await, (200, "ok\n".to_owned()));
    let (status, body) = app.ops("/ready").await;
    let ready: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 200, "{body}");
    assert_eq!(ready["ready"], true);
    for check in ["policy", "trust_bundle", "svid", "ledger"] {
        assert_eq!(ready["checks"][check], "ok", "{body}");
    }
    app.finish().await;
}

#[tokio::test]
async fn metrics_count_what_happened_and_name_nobody() {
    let app = TestApp::start().await;
    let mandate = app.low_mandate().await;
    assert_eq!(app.call("GET", "/c/erp/vendors/V-1001", &mandate, None).await.status, 200);
    assert_eq!(app.call("GET", "/c/erp/vendors/V-1001", &mandate, None).await.status, 409);
    assert_eq!(app.to_issuer(AGENT).get("/nothing/V-1001").await.status, 404);
    let challenge = app.challenge(&asking("high")).await;

    let (status, text) = app.ops("/metrics").await;
    assert_eq!(status, 200);
    assert!(text.ends_with("# EOF\n"), "not OpenMetrics");
    let samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(samples.iter().all(|line| line.starts_with("atb_")), "{text}");
    for event in
        ["poa_issued", "broker_decision", "poa_single_use_replay_blocked", "poa_denied", "poa_challenge_created"]
    {
        let counted = samples.iter().any(|l| l.starts_with("atb_events_total{") && l.contains(&format!("\"{event}\"")));
        assert!(counted, "no atb_events_total of {event}:\n{text}");
    }
    let jti = app.events_of(EventType::PoaIssued).await[0].subject.jti.unwrap().to_string();
    for secret in ["spiffe://", "procurement", "V-1001", "/vendors", "eyJ", &jti, &challenge] {
        assert!(!text.contains(secret), "`{secret}` in the metrics:\n{text}");
    }
    app.finish().await;
}

#[tokio::test]
async fn the_operators_listener_offers_nothing_else() {
    let app = TestApp::start().await;
    for path in ["/", "/issue", "/c/erp/vendors/V-1001", "/challenges", "/v1/decide"] {
        assert_eq!(app.ops(path).await.0, 404, "{path}");
    }
    app.finish().await;
}
