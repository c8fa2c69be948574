use std::sync::atomic::{AtomicBool, Ordering};

use atb::domain::ledger::EventType;
use serde_json::json;

use super::{await_events, edit_json, name, narrow, policy_in_force, read_vendor};
use crate::app::TestApp;

/// Until it is told to stop: one mandate and one call after another.
async fn calls_until(app: &TestApp, stop: &AtomicBool) -> Vec<String> {
    let mut verdicts = Vec::new();
    while !stop.load(Ordering::Acquire) {
        verdicts.push(read_vendor(app).await.verdict());
    }
    verdicts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edited_limit_decides_the_next_calls_and_none_is_lost_in_between() {
    let app = TestApp::start_with(|home| home.configure("[policy]\npoll_seconds = 1\n")).await;
    let stop = AtomicBool::new(false);
    let edit = async {
        name(&app.home().path("opa"), "r2", &json!({}));
        edit_json(&app.home().path("opa/catalogue/data.json"), narrow);
        await_events(&app, EventType::PolicyActivated, 2).await;
        stop.store(true, Ordering::Release);
    };
    let (verdicts, ()) = tokio::join!(calls_until(&app, &stop), edit);
    assert!(verdicts.iter().all(|v| v.starts_with("200") || v == "403 limit_exceeded"), "{verdicts:?}");
    assert!(verdicts[0].starts_with("200"), "{verdicts:?}");

    let mandate = app.low_mandate().await;
    let refused = app.call("GET", "/c/erp/vendors/V-1001", &mandate, None).await;
    assert_eq!(refused.verdict(), "403 limit_exceeded");
    for kind in [EventType::PoaIssued, EventType::BrokerDecision] {
        let newest = app.events_of(kind).await.into_iter().next_back().unwrap();
        assert_eq!(newest.subject.bundle.unwrap().to_string(), "r2", "{kind:?}");
    }
    let policy = policy_in_force(&app).await;
    assert_eq!((&policy["revision"], &policy["source"]), (&json!("r2"), &json!("folder")));
    app.finish().await;
}

/// A mandate names the bundle that it was minted under; it is judged by the one in force when it is used.
#[tokio::test]
async fn a_mandate_of_the_bundle_before_is_judged_by_the_one_in_force() {
    let app = TestApp::start_with(|home| home.configure("[policy]\npoll_seconds = 3600\n")).await;
    let (before, also_before) = (app.low_mandate().await, app.low_mandate().await);
    name(&app.home().path("opa"), "r2", &json!({}));
    app.reload();
    await_events(&app, EventType::PolicyActivated, 2).await;
    assert_eq!(app.call("GET", "/c/erp/vendors/V-1001", &before, None).await.status, 200);
    edit_json(&app.home().path("opa/catalogue/data.json"), narrow);
    app.reload();
    await_events(&app, EventType::PolicyActivated, 3).await;
    let refused = app.call("GET", "/c/erp/vendors/V-1001", &also_before, None).await;
    assert_eq!(refused.verdict(), "403 limit_exceeded");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_activations_under_load_drop_no_request() {
    let app = TestApp::start_with(|home| home.configure("[policy]\npoll_seconds = 3600\n")).await;
    let stop = AtomicBool::new(false);
    let edits = async {
        for round in 1..=20 {
            name(&app.home().path("opa"), &format!("r{round}"), &json!({}));
            app.reload();
            await_events(&app, EventType::PolicyActivated, round + 1).await;
        }
        stop.store(true, Ordering::Release);
    };
    let (first, second, ()) = tokio::join!(calls_until(&app, &stop), calls_until(&app, &stop), edits);
    let verdicts: Vec<_> = first.into_iter().chain(second).collect();
    assert!(verdicts.len() > 40, "{}", verdicts.len());
    assert!(verdicts.iter().all(|verdict| verdict.starts_with("200")), "{verdicts:?}");
    app.finish().await;
}
