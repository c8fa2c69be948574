//! What the policy is told of a call, by a policy of the test that answers with its input, and one that counts.

use std::collections::BTreeMap;

use atb::domain::id::Sha256Digest;
use atb::domain::ledger::EventType;
use serde_json::json;
use tokio::task::JoinSet;
use x509_parser::pem::parse_x509_pem;

use crate::app::{AGENT, Home, TestApp, asking, the_call};
use crate::schemas::fits;

/// Issues what the catalogue has, at once, with a risk of 7.
const ISSUE: &str = r#"package atb.issue

decision := {
	"allow": true, "reason": "ok", "tier": data.catalogue[input.poa.act].tier, "missing": [], "obligations": [],
	"matched": [concat(":", ["act", input.poa.act])], "violations": [],
	"risk": {"score": 7, "contributions": [{"factor": "issue", "points": 7}]},
	"requirement": {
		"required": 0, "roles": {}, "excluded": [], "delegable": true, "ticket": false, "challenge_seconds": 60,
		"max_ttl_seconds": 300,
	},
}
"#;

const APPROVAL: &str = r#"package atb.approval

assessment := {"counted": [], "refused": [], "approved": 0, "required": 0, "roles_missing": {}, "met": true}
"#;

/// Denies, and says what it was told: one violation a fact.
const ECHO: &str = r#"package atb.poa

decision := {
	"allow": false, "reason": "echo", "tier": null, "missing": [], "obligations": [],
	"violations": [{"rule": row[0], "pointer": "", "detail": row[1]} | some row in told],
}

told := [
	["members", concat(" ", sort([name | some name, _ in input]))],
	["environment", input.environment],
	["phase", input.phase],
	["authority", input.agent.platform.authority],
	["lifetime", concat(" ", [format_int(input.agent.platform.issued_at, 10), format_int(input.agent.platform.expires_at, 10)])],
	["counters", concat(" ", sort([concat(".", [of, window, format_int(n, 10)]) |
		some of, windows in input.counters
		some window, n in windows
	]))],
	["digest", input.request.digest],
]
"#;

/// Three calls an hour, whoever asks and for whatever.
const THREE: &str = r#"package atb.poa

decision := {
	"allow": true, "reason": "ok", "tier": data.catalogue[input.request.act].tier, "missing": [], "obligations": [],
	"violations": [], "risk": {"score": 41, "contributions": []},
} if {
	input.counters.agent["3600"] < 3
	input.counters.act["3600"] <= input.counters.agent["3600"]
	input.counters.workspace["86400"] >= input.counters.act["86400"]
} else := {
	"allow": false, "reason": "rate_limited", "tier": null, "missing": [], "obligations": [], "violations": [],
	"risk": {"score": 100, "contributions": []},
}
"#;

/// Puts `poa` and the rest of a minimal policy in the place of the shipped rules.
pub fn policy(home: &Home, poa: &str) {
    let folder = home.path("opa/policy");
    for file in std::fs::read_dir(&folder).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    for (name, text) in [("poa", poa), ("issue", ISSUE), ("approval", APPROVAL)] {
        std::fs::write(folder.join(format!("{name}.rego")), text).unwrap();
    }
}

/// What [`ECHO`] says, by name.
async fn told(app: &TestApp) -> BTreeMap<String, String> {
    let mandate = app.low_mandate().await;
    let (method, path, _) = the_call("low");
    let answer = app.call(method, path, &mandate, None).await;
    assert_eq!(answer.verdict(), "403 echo", "{answer}");
    let facts = answer.json["errors"].as_array().unwrap().iter().map(|error| error["detail"].as_str().unwrap());
    facts.map(|fact| fact.split_once(": ").unwrap()).map(|(name, fact)| (name.to_owned(), fact.to_owned())).collect()
}

#[tokio::test]
async fn the_policy_is_told_the_environment_the_platform_the_counters_and_the_binding() {
    let app = TestApp::start_with(|home| {
        policy(home, ECHO);
        home.replace("atb.toml", "dev = true", "dev = true\nenvironment = \"staging\"");
    })
    .await;
    let told = told(&app).await;
    let members = "agent approvals counters environment phase poa request requires_dual_control time workspace";
    assert_eq!(told["members"], members, "`unmandated` only where it is so");
    assert_eq!((told["environment"].as_str(), told["phase"].as_str()), ("staging", "call"));
    let none = ["act", "agent", "workspace"].map(|of| format!("{of}.3600.0 {of}.60.0 {of}.86400.0"));
    assert_eq!(told["counters"], none.join(" "));
    assert!(told["digest"].starts_with("sha-256:"));

    let authority = std::fs::read(app.home().path("trust/bundle.pem")).unwrap();
    let (_, pem) = parse_x509_pem(&authority).unwrap();
    let digest = Sha256Digest::of(pem.parse_x509().unwrap().public_key().raw);
    assert_eq!(told["authority"], digest.to_string());
    let svid = std::fs::read(app.home().path("svids").join(AGENT).join("svid.pem")).unwrap();
    let (_, pem) = parse_x509_pem(&svid).unwrap();
    let validity = pem.parse_x509().unwrap().validity().clone();
    assert_eq!(told["lifetime"], format!("{} {}", validity.not_before.timestamp(), validity.not_after.timestamp()));
    app.finish().await;
}

#[tokio::test]
async fn a_development_directory_is_still_production_to_the_policy() {
    let app = TestApp::start_with(|home| policy(home, ECHO)).await;
    assert_eq!(told(&app).await["environment"], "production");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_at_once_never_exceed_a_limit_and_a_restart_does_not_forget_them() {
    let mut app = TestApp::start_with(|home| policy(home, THREE)).await;
    let mut mandates = Vec::new();
    for _ in 0..12 {
        mandates.push(app.low_mandate().await);
    }
    let mut calls = JoinSet::new();
    for mandate in mandates {
        let agent = app.to_broker(AGENT);
        calls.spawn(async move { agent.call("GET", "/c/erp/vendors/V-1001", &mandate, None).await.verdict() });
    }
    let verdicts = calls.join_all().await;
    let allowed = verdicts.iter().filter(|verdict| verdict.starts_with("200")).count();
    let limited = verdicts.iter().filter(|verdict| *verdict == "403 rate_limited").count();
    assert!((1..=3).contains(&allowed) && allowed + limited == 12, "{verdicts:?}");
    assert_eq!(app.erp_hits(), allowed as u64);
    // Those in flight count, so that at once fewer than three may have gone through; one after the other the rest may.
    for _ in allowed..3 {
        let mandate = app.low_mandate().await;
        assert_eq!(app.call("GET", "/c/erp/vendors/V-1001", &mandate, None).await.status, 200);
    }
    for _ in 0..2 {
        let mandate = app.low_mandate().await;
        let answer = app.call("GET", "/c/erp/vendors/V-1001", &mandate, None).await;
        assert_eq!(answer.verdict(), "403 rate_limited", "{answer}");
        app.restart().await;
    }
    let decisions = app.events_of(EventType::BrokerDecision).await;
    let scores =
        |allow: bool| decisions.iter().filter(move |e| e.subject.allow == Some(allow)).map(|e| e.subject.risk_score);
    assert!(
        scores(true).all(|score| score.unwrap().as_u8() == 41)
            && scores(false).all(|score| score.unwrap().as_u8() == 100)
    );
    let issued = app.events_of(EventType::PoaIssued).await;
    assert!(issued.iter().all(|event| event.subject.risk_score.unwrap().as_u8() == 7));
    for event in decisions.iter().chain(&issued) {
        fits("ledger-entry", &serde_json::to_value(event).unwrap());
    }
    app.finish().await;
}

#[tokio::test]
async fn a_question_that_spends_nothing_is_not_counted_and_one_that_spends_is() {
    let mut app = TestApp::start_with(|home| policy(home, THREE)).await;
    let question = |mandate: &str, peek: bool| {
        json!({"token": mandate, "agent": "spiffe://atb.dev/agent/procurement", "peek": peek, "request": {
            "connector": "erp", "method": "GET", "path": "/vendors/V-1001", "params": {"vendor_id": "V-1001"}}})
    };
    let mandate = app.low_mandate().await;
    for _ in 0..5 {
        let answer = app.to_broker("erp").post("/v1/decide", &question(&mandate, true)).await;
        assert_eq!(answer.json["allow"], true, "{answer}");
    }
    app.restart().await;
    for expected in [true, true, true, false] {
        let mandate = app.issue(&asking("low")).await.text("/token");
        let answer = app.to_broker("erp").post("/v1/decide", &question(&mandate, false)).await;
        assert_eq!(answer.json["allow"], expected, "{answer}");
    }
    app.finish().await;
}
