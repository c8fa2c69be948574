//! `atb report governance` over what a service really wrote.

use std::process::{Command, Output};

use atb::domain::ledger::EventType;
use serde_json::Value;

use crate::app::{AGENT, TestApp, asking};

fn governance(app: &TestApp, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atb"));
    command.args(["report", "governance", "--home"]).arg(app.home().path("")).args(more).output().unwrap()
}

fn figures(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = serde_json::from_slice(&output.stdout).unwrap();
    crate::schemas::fits("governance-report", &report);
    report
}

#[tokio::test]
async fn the_figures_are_those_of_what_happened() {
    let app = TestApp::start().await;
    let mandate = app.low_mandate().await;
    assert_eq!(app.call("GET", "/c/erp/vendors/V-1001", &mandate, None).await.status, 200);
    assert_eq!(app.call("GET", "/c/erp/vendors/V-1001", &mandate, None).await.status, 409);
    app.challenge(&asking("high")).await;
    let unknown = serde_json::json!({"act": "erp.vault.open", "leg": {}});
    assert!(app.to_issuer(AGENT).post("/issue", &unknown).await.status >= 400);

    let report = figures(&governance(&app, &["--format", "json"]));
    assert_eq!(report["volume"]["mandates"], 1);
    assert_eq!(report["volume"]["calls"], 1);
    assert_eq!(report["volume"]["replays"], 1);
    assert_eq!(report["volume"]["requests"], 3);
    assert_eq!(report["escalation_rate"]["part"], 1);
    assert_eq!(report["denial_rate"]["part"], 1);
    assert_eq!(report["denial_rate"]["of"], 4);
    assert_eq!(report["override_rate"], Value::Null, "nobody has answered yet");
    assert_eq!(report["score"]["integrity"], "intact");

    let none = figures(&governance(&app, &["--until", "2020-01-01T00:00:00Z", "--format", "json"]));
    assert_eq!((&none["period"]["entries"], &none["denial_rate"]), (&Value::from(0), &Value::Null));
    let elsewhere = figures(&governance(&app, &["--workspace", "other", "--format", "json", "--no-verify"]));
    assert_eq!((&elsewhere["volume"]["evaluations"], &elsewhere["score"]["value"]), (&Value::from(0), &Value::Null));

    for format in ["text", "markdown"] {
        let printed = governance(&app, &["--format", format]);
        let text = String::from_utf8(printed.stdout).unwrap();
        for figure in ["escalation rate", "override rate", "denial rate", "policy coverage", "false positives", "score"]
        {
            assert!(text.contains(figure), "{format} without {figure}:\n{text}");
        }
    }
    let backwards = governance(&app, &["--since", "2026-01-02T00:00:00Z", "--until", "2026-01-01T00:00:00Z"]);
    assert_eq!(backwards.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&backwards.stderr).contains("before it begins"));
    app.finish().await;
}

#[tokio::test]
async fn a_record_that_was_tampered_with_scores_nothing_and_exits_with_one() {
    let mut app = TestApp::start().await;
    app.low_mandate().await;
    let store = app.home().path("copy.db");
    let plain = app.home().path("data/ledger.db");
    app.stop().await;
    assert_eq!(governance(&app, &[]).status.code(), Some(0));
    std::fs::copy(plain, &store).unwrap();
    let edit = "UPDATE entry SET body = CAST(replace(CAST(body AS TEXT), 'poa_issued', 'poa_denied') AS BLOB) \
                WHERE event_type = 'poa_issued'";
    crate::faults_store::sql(&store, &[edit]).await;
    let output = governance(&app, &["--store", store.to_str().unwrap(), "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["score"]["value"], &report["score"]["integrity"]), (&Value::from(0), &Value::from("broken")));
    assert!(String::from_utf8_lossy(&output.stderr).contains("edited"), "what was done is named");
    app.start_again().await.unwrap();
    app.finish().await;
}

#[tokio::test]
async fn auditors_are_told_the_same_figures_at_the_doors_and_others_nothing() {
    let app = TestApp::start_with(|home| {
        home.configure("[ledger]\nauditors = [\"spiffe://atb.dev/approver/alice\"]");
    })
    .await;
    app.low_mandate().await;
    for alice in [app.to_issuer("alice"), app.to_broker("alice")] {
        let answer = alice.get("/reports/governance").await;
        assert_eq!(answer.status, 200, "{answer}");
        crate::schemas::fits("governance-report", &answer.json);
        assert_eq!(answer.json["volume"]["mandates"], 1);
        assert_eq!(answer.json["score"]["integrity"], "not_verified");
        for (query, reason) in [
            ("?sinec=2026-01-01T00:00:00Z", "query_invalid"),
            ("?since=yesterday", "query_invalid"),
            ("?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", "period_empty"),
            ("?since=2020-01-01T00:00:00Z", "period_too_long"),
        ] {
            let refused = alice.get(&format!("/reports/governance{query}")).await;
            assert_eq!((refused.status, refused.text("/reason").as_str()), (400, reason), "{refused}");
        }
    }
    let refused = app.to_issuer(AGENT).get("/reports/governance").await;
    assert_eq!((refused.status, refused.text("/reason").as_str()), (403, "not_an_auditor"));
    let reads = app.events_of(EventType::AuditRead).await;
    assert!(!reads.is_empty() && reads.iter().all(|read| read.subject.detail["order"] == "governance"));
    app.finish().await;
}
