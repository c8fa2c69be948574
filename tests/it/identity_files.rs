//! Identities in files that something else keeps fresh: used once they are good, never by half, and not for ever.

use std::time::Duration;

use atb::domain::ledger::EventType;
use atb::domain::spiffe::UnverifiedSvid;

use crate::app::{AGENT, TestApp, asking};
use crate::workload_api::eventually;

const HOUR: Duration = Duration::from_secs(3600);

async fn shown_until(app: &TestApp) -> u64 {
    let stream = app.to_issuer(AGENT).connect().await;
    let chain = stream.get_ref().1.peer_certificates().unwrap();
    UnverifiedSvid::parse(chain).unwrap().claimed_validity().1.as_secs()
}

#[tokio::test]
async fn files_that_are_replaced_are_used_once_they_fit_together_and_never_by_half() {
    let app = TestApp::start().await;
    let kept = app.to_issuer(AGENT).connected().await;
    let before = shown_until(&app).await;
    app.enrol("renewed", "agentauth", 2 * HOUR);
    let (from, to) = (app.home().path("svids/renewed"), app.home().path("svids/agentauth"));
    std::fs::copy(from.join("svid.pem"), to.join("svid.pem")).unwrap();
    let refused = "atb_identity_source_failures_total{source=\"files\",reason=\"svid_key_mismatch\"}";
    eventually("the refusal of the half", async || app.ops("/metrics").await.1.contains(refused)).await;
    assert_eq!(shown_until(&app).await, before);
    std::fs::copy(from.join("key.pem"), to.join("key.pem")).unwrap();
    eventually("the whole", async || shown_until(&app).await != before).await;
    assert_eq!(kept.post("/issue", &asking("low")).await.status, 201, "the connection from before goes on");
    let on_record = async || {
        let rotated = app.events_of(EventType::IdentityRotated).await;
        rotated.iter().any(|event| event.subject.reason.as_deref() == Some("svid"))
    };
    eventually("the rotation on record", on_record).await;
    app.finish().await;
}

#[tokio::test]
async fn a_bundle_that_is_gone_is_believed_until_it_is_too_old() {
    let app = TestApp::start_with(|home| home.replace("atb.toml", "[trust]\n", "[trust]\nmax_age_seconds = 5\n")).await;
    let kept = app.to_issuer(AGENT).connected().await;
    let (bundle, away) = (app.home().path("trust/bundle.pem"), app.home().path("trust/away.pem"));
    std::fs::rename(&bundle, &away).unwrap();
    eventually("/ready false", async || app.ops("/ready").await.0 == 503).await;
    assert!(app.ops("/ready").await.1.contains("trust.max_age_seconds"));
    assert_eq!(kept.post("/issue", &asking("low")).await.text("/code"), "identity_stale");
    std::fs::rename(&away, &bundle).unwrap();
    eventually("/ready true again", async || app.ops("/ready").await.0 == 200).await;
    assert_eq!(app.issue(&asking("low")).await.status, 201);
    app.finish().await;
}
