//! Alerts and pictures in `deploy/`: every metric that they name is one that a running service has.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use atb::adapters::metrics::Metrics;

use crate::app::TestApp;

fn deployed(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(folder);
    fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap()))
        .collect()
}

/// Words that begin with `atb_`.
fn metrics_named(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("atb_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_metric_that_an_alert_or_a_dashboard_names_exists() {
    let known: BTreeSet<_> = Metrics::new("1").series().iter().cloned().collect();
    let files = [deployed("prometheus"), deployed("grafana")].concat();
    assert!(files.len() >= 5, "{}", files.len());
    for (file, content) in files {
        let named = metrics_named(&content);
        assert!(!named.is_empty(), "{file} names no metric");
        let unknown: Vec<_> = named.difference(&known).collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}, which no service tells; there are {known:#?}");
    }
}

#[tokio::test]
async fn what_a_service_tells_is_what_the_registry_says_that_there_is() {
    let app = TestApp::start().await;
    let (_, text) = app.ops("/metrics").await;
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let told: BTreeSet<_> = samples.map(|line| line.split(['{', ' ']).next().unwrap().to_owned()).collect();
    let known: BTreeSet<_> = Metrics::new("1").series().iter().cloned().collect();
    assert!(told.len() > 10 && told.is_subset(&known), "{told:?}");
    app.finish().await;
}

#[test]
fn every_alert_says_what_it_means_and_whom_it_is_for_and_the_named_ones_are_there() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus/atb.rules.yml");
    let rules: serde_json::Value = serde_saphyr::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let rules: Vec<_> =
        rules["groups"].as_array().unwrap().iter().flat_map(|g| g["rules"].as_array().unwrap()).collect();
    for rule in &rules {
        assert!(rule["annotations"]["summary"].is_string(), "{rule}");
        assert!(["page", "ticket"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{rule}");
    }
    let names: BTreeSet<_> = rules.iter().map(|rule| rule["alert"].as_str().unwrap()).collect();
    assert_eq!(names.len(), rules.len(), "two alerts of one name");
    for name in [
        "ATBSecurityPolicyDenialSpike",
        "ATBReplaySpike",
        "ATBApprovalWait",
        "ATBLedgerLag",
        "ATBCheckpointStale",
        "ATBAuditGap",
    ] {
        assert!(names.contains(name), "{name} is missing");
    }
    let guide = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operators.md")).unwrap();
    for name in names {
        assert!(guide.contains(name), "docs/operators.md does not say what to do on {name}");
    }
}

#[test]
fn every_alert_has_a_rule_test_in_which_it_fires() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus");
    let read = |name: &str| -> serde_json::Value {
        serde_saphyr::from_str(&fs::read_to_string(folder.join(name)).unwrap()).unwrap()
    };
    let (rules, tests) = (read("atb.rules.yml"), read("atb.rules.test.yml"));
    let of = |list: &serde_json::Value| list.as_array().unwrap().clone();
    let alerts =
        of(&rules["groups"]).into_iter().flat_map(|group| of(&group["rules"])).map(|rule| rule["alert"].clone());
    let alerts: BTreeSet<_> = alerts.map(|name| name.as_str().unwrap().to_owned()).collect();
    let cases = of(&tests["tests"]).into_iter().flat_map(|test| of(&test["alert_rule_test"]));
    let firing = cases.filter(|case| case["exp_alerts"].as_array().is_some_and(|alerts| !alerts.is_empty()));
    let tried: BTreeSet<_> = firing.map(|case| case["alertname"].as_str().unwrap().to_owned()).collect();
    assert_eq!(alerts, tried);
}

#[test]
fn a_dashboard_is_what_grafana_imports() {
    for (file, content) in deployed("grafana") {
        let board: serde_json::Value = serde_json::from_str(&content).unwrap();
        let panels = board["panels"].as_array().unwrap();
        assert!(panels.len() >= 6 && board["uid"].is_string() && board["title"].is_string(), "{file}");
        let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
        assert_eq!(ids.len(), panels.len(), "{file}: two panels of one id");
        assert!(panels.iter().all(|panel| !panel["targets"].as_array().unwrap().is_empty()), "{file}");
    }
}

/// `promtool test rules`, where there is one.
#[test]
fn the_rules_do_what_their_tests_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus");
    let run = std::process::Command::new("promtool")
        .args(["test", "rules", "atb.rules.test.yml"])
        .current_dir(folder)
        .output();
    match run {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => eprintln!("skipped, no promtool: {error}"),
    }
}
