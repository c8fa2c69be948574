//! Decisions on record are reproduced, and a candidate is held against them: by those who merge policy.

mod diff;
mod opa_log;
mod openings;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::app::{TestApp, asking, the_call};
use super::process::{Ran, atb};

/// Runs `atb policy …`.
fn policy(args: &[&str]) -> Ran {
    let mut command = atb(["policy"]);
    Ran::of(command.args(args))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Everything that the policy is asked in a day: low, medium and high acts, denials by the policy and before it.
async fn a_day(app: &TestApp) {
    let (method, path, _) = the_call("low");
    let low = app.low_mandate().await;
    assert_eq!(app.call(method, path, &low, None).await.status, 200);
    assert_eq!(app.call(method, path, &low, None).await.reason(), "mandate_replayed");
    for (amount, allowed) in [(10.5, true), (60_000.0, false)] {
        let mandate = app.approved_mandate(&asking("medium"), &["alice"]).await;
        let (method, path, body) = the_call("medium");
        let mut body = body.unwrap();
        body["amount"] = json!(amount);
        let called = app.call(method, path, &mandate, Some(&body)).await;
        assert_eq!(called.status < 300, allowed, "{called}");
    }
    let high = app.approved_mandate(&asking("high"), &["alice", "bob"]).await;
    let (method, path, body) = the_call("high");
    assert!(app.call(method, path, &high, body.as_ref()).await.status < 300);
    let denied = app.issue(&asking("critical")).await;
    assert_eq!(denied.reason(), "ticket_missing");
    let twice = app.challenge(&asking("high")).await;
    assert_eq!(app.approve("alice", &twice).await.status, 200);
    assert_eq!(app.approve("alice-mobile", &twice).await.status, 403);
}

/// A day, its history with openings, and the bundle that decided.
async fn exported() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let app = TestApp::start().await;
    a_day(&app).await;
    let folder = tempfile::tempdir().unwrap();
    let (config, bundle) = (app.home().path("atb.toml"), folder.path().join("opa"));
    copy(&app.home().path("opa"), &bundle);
    let history = folder.path().join("history.jsonl");
    policy(&["replay", "--config", text(&config), "--export", text(&history), "--with-openings"]).ok();
    app.finish().await;
    (folder, history, bundle)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    change(&mut value);
    std::fs::write(path, value.to_string()).unwrap();
}

fn lines(path: &Path) -> Vec<Value> {
    std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn write_lines(path: &Path, lines: &[Value]) {
    std::fs::write(path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
}

#[tokio::test]
async fn every_decision_of_a_day_is_reproduced_from_the_ledger_of_a_running_service() {
    let app = TestApp::start().await;
    a_day(&app).await;
    let ran = policy(&["replay", "--config", text(&app.home().path("atb.toml")), "--format", "json"]).ok();
    let report = ran.json();
    assert_eq!(report["ok"], true, "{ran:?}");
    assert_eq!(report["replay"]["not_reproduced"], json!({}), "{ran:?}");
    crate::schemas::fits("policy-replay-report", &report);
    let mut kinds = std::collections::BTreeMap::new();
    for event in app.events().await {
        if let Some(rule) = event.subject.rule {
            *kinds.entry((event.event_type.as_str(), rule.as_str())).or_insert(0_u64) += 1;
            assert!(event.subject.input.is_some() && event.subject.bundle_digest.is_some(), "{event:?}");
            let clear = event.subject.input.unwrap();
            for secret in ["DE02120300000000202051", "order 7"] {
                assert!(!clear.as_json().contains(secret), "{secret} in {clear:?}");
            }
        }
    }
    assert_eq!(report["replay"]["reproduced"], kinds.values().sum::<u64>());
    for expected in [
        ("broker_decision", "poa.decision"),
        ("poa_approval_recorded", "approval.assessment"),
        ("poa_approval_refused", "approval.assessment"),
        ("poa_challenge_created", "issue.decision"),
        ("poa_denied", "issue.decision"),
        ("poa_issued", "issue.decision"),
        ("poa_issued_dual_control", "issue.decision"),
    ] {
        assert!(kinds.contains_key(&expected), "{expected:?} is not in {kinds:?}");
    }
    app.finish().await;
}

#[tokio::test]
async fn what_is_not_reproduced_is_named_with_its_reason() {
    let (folder, history, bundle) = exported().await;
    let whole = lines(&history);
    let replay = |lines: &[Value], bundle: &Path| {
        let path = folder.path().join("changed.jsonl");
        write_lines(&path, lines);
        policy(&["replay", "--history", text(&path), "--bundle", text(bundle), "--format", "json"])
    };
    let all = replay(&whole, &bundle);
    assert_eq!((all.code, all.json()["replay"]["reproduced"].as_u64()), (0, Some(whole.len() as u64)), "{all:?}");
    let with_params = whole.iter().position(|line| line["openings"]["values"].get("/request/params/iban").is_some());
    let at = with_params.unwrap();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut lines = whole.clone();
        change(&mut lines[at]);
        lines
    };
    let other_digest = json!(format!("sha-256:{}", "0".repeat(64)));
    for (code, sound, lines) in [
        ("differs", false, changed(&|line| line["entry"]["verdict_digest"] = other_digest.clone())),
        (
            "opening_tampered",
            false,
            changed(&|line| {
                line["openings"]["values"]["/request/params/iban"] = json!("DE00");
            }),
        ),
        ("opening_erased", true, changed(&|line| drop(line.as_object_mut().unwrap().remove("openings")))),
        ("bundle_missing", false, changed(&|line| line["entry"]["bundle_digest"] = other_digest.clone())),
        ("unreadable", false, changed(&|line| line["entry"] = json!({"event_id": 1}))),
        (
            "input_not_recorded",
            true,
            changed(&|line| {
                for name in ["rule", "input", "verdict_digest"] {
                    line["entry"].as_object_mut().unwrap().remove(name);
                }
            }),
        ),
    ] {
        let ran = replay(&lines, &bundle);
        let report = ran.json();
        assert_eq!(ran.code, i32::from(!sound), "{code}: {ran:?}");
        assert_eq!(report["replay"]["not_reproduced"][code]["count"], 1, "{code}: {ran:?}");
        assert_eq!(report["replay"]["reproduced"], whole.len() - 1, "{code}");
        crate::schemas::fits("policy-replay-report", &report);
    }
    edit(&bundle.join("tiers/data.json"), |tiers| tiers["low"]["max_ttl_seconds"] = json!(299));
    let other = replay(&whole, &bundle);
    assert_eq!(other.json()["replay"]["not_reproduced"]["bundle_missing"]["count"], whole.len(), "{other:?}");
}

#[tokio::test]
async fn an_export_holds_clear_values_only_if_asked_for_and_replaces_no_file() {
    let app = TestApp::start().await;
    a_day(&app).await;
    let folder = tempfile::tempdir().unwrap();
    let (config, path) = (app.home().path("atb.toml"), folder.path().join("history.jsonl"));
    let args = ["replay", "--config", text(&config), "--export", text(&path)];
    policy(&args).ok();
    let exported = std::fs::read_to_string(&path).unwrap();
    assert!(!exported.contains("DE02120300000000202051"), "{exported}");
    lines(&path).iter().for_each(|line| crate::schemas::fits("policy-history", line));
    let again = policy(&args);
    assert_eq!(again.code, 2, "{again:?}");
    let clear = folder.path().join("clear.jsonl");
    let warned = policy(&["replay", "--config", text(&config), "--export", text(&clear), "--with-openings"]).ok();
    assert!(warned.err.contains("clear values"), "{warned:?}");
    assert!(std::fs::read_to_string(&clear).unwrap().contains("DE02120300000000202051"));
    lines(&clear).iter().for_each(|line| crate::schemas::fits("policy-history", line));
    app.finish().await;
}
