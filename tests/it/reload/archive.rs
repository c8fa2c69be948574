use std::time::Duration;

use atb::adapters::bundle_archive;
use atb::adapters::clock::SystemClock;
use atb::domain::ledger::EventType;
use atb::service::ports::Clock as _;
use serde_json::{Value, json};

use super::{Releases, await_events, files, policy_in_force, put, read_vendor};
use crate::app::{TestApp, asking};

const SIGNED: &str = "[policy]\nsource = \"policy.tar.gz\"\nverification_keys = [\"release.pub\"]\n\
                      require_signature = true\npoll_seconds = 3600\n";

async fn started(configuration: &str, metadata: &Value) -> (TestApp, Releases) {
    let mut releases = None;
    let app = TestApp::start_with(|home| {
        let own = Releases::new(home, "release");
        put(&home.path("policy.tar.gz"), &own.release(home, "r5", metadata));
        home.replace("atb.toml", "[bundle]\ndir = \"opa\"\n", "");
        home.configure(configuration);
        releases = Some(own);
    })
    .await;
    (app, releases.unwrap())
}

#[tokio::test]
async fn only_a_signed_archive_in_time_and_in_order_is_put_in_force() {
    let (mut app, releases) = started(SIGNED, &json!({"sequence": 5})).await;
    let home = app.home();
    let stranger = Releases::new(&home, "stranger");
    let five = releases.release(&home, "r5", &json!({"sequence": 5}));
    let unsigned = bundle_archive::write(&files(&home, "r6", &json!({"sequence": 6})), None).unwrap();
    let past = "2020-01-01T00:00:00Z";
    let mut torn = five.clone();
    torn.truncate(five.len() / 2);
    let bad = [
        ("bundle_unsigned", unsigned),
        ("bundle_key_unknown", stranger.release(&home, "r6", &json!({"sequence": 6}))),
        ("bundle_expired", releases.release(&home, "r6", &json!({"sequence": 6, "expires_at": past}))),
        ("bundle_sequence_too_low", releases.release(&home, "r4", &json!({"sequence": 4}))),
        ("bundle_sequence_reused", releases.release(&home, "other", &json!({"sequence": 5}))),
        ("bundle_sequence_missing", releases.release(&home, "none", &json!({}))),
        ("bundle_unreadable", torn),
    ];
    for (nth, (reason, bytes)) in bad.iter().enumerate() {
        put(&home.path("policy.tar.gz"), bytes);
        app.reload();
        let refused = await_events(&app, EventType::PolicyRefused, nth + 1).await.subject;
        assert_eq!(refused.reason.as_deref(), Some(*reason), "{refused:?}");
        assert_eq!(policy_in_force(&app).await["sequence"], 5, "{reason}");
        assert_eq!(read_vendor(&app).await.status, 200, "{reason}");
    }
    let four_again = releases.release(&home, "r4-again", &json!({"sequence": 6}));
    put(&home.path("policy.tar.gz"), &four_again);
    app.reload();
    let activated = await_events(&app, EventType::PolicyActivated, 2).await.subject;
    assert_eq!(activated.bundle.unwrap().to_string(), "r4-again");
    assert_eq!((activated.detail["sequence"].as_str(), activated.detail["source"].as_str()), ("6", "archive"));
    assert_eq!(activated.detail["signed_by"], releases.signer.key().kid().to_string());

    app.stop().await;
    put(&home.path("policy.tar.gz"), &five);
    let refused = app.start_again().await.unwrap_err();
    assert!(refused.contains("bundle_sequence_too_low") && refused.contains('6'), "{refused}");
    put(&home.path("policy.tar.gz"), &four_again);
    app.start_again().await.unwrap();
    app.finish().await;
}

#[tokio::test]
async fn another_digest_than_the_pinned_one_is_refused() {
    let mut app = TestApp::start_with(|home| {
        let pin = files(home, "r1", &json!({})).digest();
        home.configure(&format!("[policy]\npoll_seconds = 3600\npin = \"{pin}\"\n"));
    })
    .await;
    files(&app.home(), "r2", &json!({}));
    app.reload();
    let refused = await_events(&app, EventType::PolicyRefused, 1).await.subject;
    assert_eq!(refused.reason.as_deref(), Some("bundle_pin_mismatch"), "{refused:?}");
    app.stop().await;
    assert!(app.start_again().await.unwrap_err().contains("bundle_pin_mismatch"));
    files(&app.home(), "r1", &json!({}));
    app.start_again().await.unwrap();
    app.finish().await;
}

#[tokio::test]
async fn past_its_end_a_bundle_allows_nothing_until_there_is_a_newer_one() {
    let (app, releases) = started(SIGNED, &json!({"sequence": 1})).await;
    let mandate = app.low_mandate().await;
    // Time enough for an activation on a slow machine.
    let end = SystemClock.now().plus(Duration::from_secs(12)).truncate_to_secs();
    let ending = json!({"sequence": 2, "expires_at": end.to_string()});
    put(&app.home().path("policy.tar.gz"), &releases.release(&app.home(), "r2", &ending));
    app.reload();
    await_events(&app, EventType::PolicyActivated, 2).await;
    while SystemClock.now() < end {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(app.issue(&asking("low")).await.verdict(), "403 policy_expired");
    assert_eq!(app.call("GET", "/c/erp/vendors/V-1001", &mandate, None).await.verdict(), "403 policy_expired");
    let (status, body) = app.ops("/ready").await;
    assert!(status == 503 && body.contains("the policy expired at"), "{body}");

    put(&app.home().path("policy.tar.gz"), &releases.release(&app.home(), "r3", &json!({"sequence": 3})));
    app.reload();
    await_events(&app, EventType::PolicyActivated, 3).await;
    assert_eq!(app.call("GET", "/c/erp/vendors/V-1001", &mandate, None).await.status, 200);
    assert_eq!(app.ops("/ready").await.0, 200);
    app.finish().await;
}
