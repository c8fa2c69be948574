use std::path::Path;

use atb::domain::ledger::EventType;
use serde_json::json;

use super::{await_events, name, policy_in_force, read_vendor};
use crate::app::{Home, TestApp};

/// One defect: how it is made, the reason, and where it is said to be.
struct Defect(&'static str, fn(&Home), &'static str, &'static str);

const DEFECTS: [Defect; 4] = [
    Defect(
        "a syntax error",
        |home| write(home, "opa/policy/broken.rego", "package broken\n\np := \n"),
        "bundle_invalid",
        "policy/broken.rego:",
    ),
    Defect(
        "a failing test",
        |home| write(home, "opa/policy/no_test.rego", "package no_test\n\ntest_no if false\n"),
        "bundle_tests_failed",
        "policy/no_test.rego:3",
    ),
    Defect(
        "an act in two tiers",
        |home| {
            let text = std::fs::read_to_string(home.path("opa/catalogue/data.json")).unwrap();
            let doubled = text.replacen('{', "{\"erp.vendor.read\": {\"tier\": \"critical\"}, ", 1);
            write(home, "opa/catalogue/data.json", &doubled);
        },
        "bundle_invalid",
        "catalogue/data.json:",
    ),
    Defect(
        "an endless rule",
        |home| {
            let doubled: String = (0..24).map(|i| format!("\ta{} := concat(\"\", [a{i}, a{i}])\n", i + 1)).collect();
            let text = format!("\ta0 := \"{}\"\n{doubled}\tcount(a24) > 0\n", "x".repeat(900));
            write(home, "opa/policy/x_test.rego", &format!("package x_test\n\ntest_a if {{\n{text}}}\n"));
        },
        "bundle_too_expensive",
        "",
    ),
];

fn write(home: &Home, path: &str, text: &str) {
    std::fs::write(home.path(path), text).unwrap();
}

#[tokio::test]
async fn a_bundle_with_a_defect_is_refused_whole_once_and_what_is_in_force_stays() {
    let app = TestApp::start_with(|home| {
        name(&home.path("opa"), "good", &json!({}));
        home.configure("[policy]\npoll_seconds = 3600\n");
    })
    .await;
    for (nth, Defect(what, make, reason, place)) in DEFECTS.iter().enumerate() {
        let catalogue = std::fs::read(app.home().path("opa/catalogue/data.json")).unwrap();
        make(&app.home());
        app.reload();
        let entry = await_events(&app, EventType::PolicyRefused, nth + 1).await;
        let fits = crate::schemas::validator("ledger-entry").is_valid(&serde_json::to_value(&entry).unwrap());
        assert!(fits, "{what}: {entry:?}");
        let refused = entry.subject;
        assert_eq!(refused.reason.as_deref(), Some(*reason), "{what}: {refused:?}");
        assert_eq!(refused.allow, Some(false), "{what}");
        assert!(refused.bundle_digest.is_some(), "{what}");
        assert!(refused.detail["finding"].contains(place), "{what}: {refused:?}");
        assert_eq!((refused.detail["role"].as_str(), refused.detail["source"].as_str()), ("in_force", "folder"));
        assert_eq!(read_vendor(&app).await.status, 200, "{what}");
        assert_eq!(policy_in_force(&app).await["revision"], "good", "{what}");
        // The same files again are no news.
        app.reload();
        std::fs::write(app.home().path("opa/catalogue/data.json"), catalogue).unwrap();
        for path in ["opa/policy/broken.rego", "opa/policy/no_test.rego", "opa/policy/x_test.rego"] {
            let _ = std::fs::remove_file(app.home().path(path));
        }
    }
    assert_eq!(app.events_of(EventType::PolicyActivated).await.len(), 1);
    let metrics = app.ops("/metrics").await.1;
    for reason in ["bundle_invalid", "bundle_tests_failed", "bundle_too_expensive"] {
        let line = format!("atb_policy_refusals_total{{role=\"in_force\",reason=\"{reason}\"}}");
        assert!(metrics.contains(&line), "{metrics}");
    }
    app.finish().await;
}

/// The template `consent` commits to a data subject.
#[tokio::test]
async fn a_bundle_that_needs_a_key_that_is_not_there_is_refused() {
    let mut consent = Vec::new();
    let app = TestApp::start_with(|home| {
        let folder = home.path("opa/leg_templates/consent");
        for file in std::fs::read_dir(&folder).unwrap() {
            let path = file.unwrap().path();
            consent.push((path.clone(), std::fs::read(&path).unwrap()));
        }
        std::fs::remove_dir_all(&folder).unwrap();
        home.replace("atb.toml", "commitment = \"keys/commitment.key\"", "");
        home.configure("[policy]\npoll_seconds = 3600\n");
    })
    .await;
    std::fs::create_dir_all(consent[0].0.parent().unwrap_or(Path::new("."))).unwrap();
    consent.iter().for_each(|(path, text)| std::fs::write(path, text).unwrap());
    app.reload();
    let refused = await_events(&app, EventType::PolicyRefused, 1).await.subject;
    assert_eq!(refused.reason.as_deref(), Some("bundle_key_missing"), "{refused:?}");
    assert!(refused.detail["finding"].contains("keys.commitment"), "{refused:?}");
    assert_eq!(read_vendor(&app).await.status, 200);
    app.finish().await;
}
