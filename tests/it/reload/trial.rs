use atb::domain::ledger::{Entry, EventType};
use atb::domain::policy::{Place, Share};
use serde_json::json;

use super::{await_events, copy_of_policy, edit_json, name, narrow, policy_in_force, read_vendor_as};
use crate::app::{AGENT, Home, OTHER, TestApp};

fn with_candidate(home: &Home, mode: &str) {
    name(&home.path("opa"), "today", &json!({}));
    let next = copy_of_policy(home, "next");
    name(&next, "next", &json!({}));
    edit_json(&next.join("catalogue/data.json"), narrow);
    home.configure(&format!("[policy]\npoll_seconds = 3600\n[policy.candidate]\nsource = \"next\"\n{mode}\n"));
}

async fn newest_decision(app: &TestApp) -> Entry {
    app.events_of(EventType::BrokerDecision).await.into_iter().next_back().unwrap()
}

#[tokio::test]
async fn a_shadow_is_on_record_and_decides_nothing() {
    let app = TestApp::start_with(|home| with_candidate(home, "mode = \"shadow\"")).await;
    let tried = await_events(&app, EventType::PolicyActivated, 2).await.subject;
    assert_eq!((tried.detail["role"].as_str(), tried.detail["mode"].as_str()), ("candidate", "shadow"));
    assert_eq!(policy_in_force(&app).await["candidate"]["revision"], "next");

    assert_eq!(read_vendor_as(&app, AGENT).await.status, 200);
    let decision = newest_decision(&app).await.subject;
    assert_eq!((decision.allow, decision.bundle.unwrap().to_string()), (Some(true), "today".to_owned()));
    let detail = |key: &str| decision.detail[key].as_str();
    assert_eq!((detail("candidate_mode"), detail("candidate_revision")), ("shadow", "next"));
    assert_eq!((detail("candidate_allow"), detail("candidate_reason")), ("false", "limit_exceeded"));
    assert!(!decision.detail.contains_key("displaced_allow"));
    let issued = app.events_of(EventType::PoaIssued).await.into_iter().next_back().unwrap().subject;
    assert_eq!(issued.detail["candidate_allow"], "true", "it differs at the call only: {issued:?}");
    let metrics = app.ops("/metrics").await.1;
    for (question, agreement) in [("issue", "same"), ("decide", "stricter")] {
        let line =
            format!("atb_policy_candidate_verdicts_total{{question=\"{question}\",agreement=\"{agreement}\"}} 1");
        assert!(metrics.contains(&line), "{line}:\n{metrics}");
    }
    app.finish().await;
}

/// The lowest percentage that takes one of the two agents.
fn between() -> (u8, &'static str, &'static str) {
    let place = |name: &str| {
        let id = format!("spiffe://atb.dev/agent/{name}").parse().unwrap();
        Place::of(&"default".parse().unwrap(), &id)
    };
    let takes = |percent, name| Share::of_percent(percent).unwrap().takes(place(name));
    let percent = (1..=100).find(|percent| takes(*percent, AGENT) || takes(*percent, OTHER)).unwrap();
    assert_ne!(takes(percent, AGENT), takes(percent, OTHER), "the two are apart");
    if takes(percent, AGENT) { (percent, AGENT, OTHER) } else { (percent, OTHER, AGENT) }
}

#[tokio::test]
async fn a_rollout_decides_for_its_share_and_the_rest_keeps_the_policy_in_force() {
    let (percent, taken, left) = between();
    let mode = format!("mode = \"rollout\"\npercent = {percent}");
    let app = TestApp::start_with(|home| with_candidate(home, &mode)).await;
    await_events(&app, EventType::PolicyActivated, 2).await;

    assert_eq!(read_vendor_as(&app, left).await.status, 200);
    let decision = newest_decision(&app).await.subject;
    assert_eq!(decision.bundle.unwrap().to_string(), "today");
    assert_eq!(decision.detail["candidate_allow"], "false");
    assert!(!decision.detail.contains_key("displaced_allow"));

    assert_eq!(read_vendor_as(&app, taken).await.verdict(), "403 limit_exceeded");
    let decision = newest_decision(&app).await.subject;
    assert_eq!(decision.bundle.unwrap().to_string(), "next");
    assert_eq!(decision.detail["candidate_percent"], percent.to_string());
    assert_eq!(
        (decision.detail["candidate_allow"].as_str(), decision.detail["displaced_allow"].as_str()),
        ("false", "true")
    );
    assert_eq!(decision.detail["displaced_revision"], "today");
    let issued = app.events_of(EventType::PoaIssued).await.into_iter().next_back().unwrap().subject;
    assert_eq!(issued.bundle.unwrap().to_string(), "next", "issue and call are decided by the same bundle");
    app.finish().await;
}

#[tokio::test]
async fn a_candidate_with_a_defect_is_refused_and_nobody_notices() {
    let app = TestApp::start_with(|home| {
        with_candidate(home, "mode = \"rollout\"\npercent = 100");
        std::fs::write(home.path("next/policy/broken.rego"), "package broken\n\np :=\n").unwrap();
    })
    .await;
    let refused = await_events(&app, EventType::PolicyRefused, 1).await.subject;
    assert_eq!(refused.detail["role"], "candidate");
    assert_eq!(read_vendor_as(&app, AGENT).await.status, 200);
    assert!(policy_in_force(&app).await.get("candidate").is_none());
    app.finish().await;
}
