//! What the policy is told of a call, by a policy of the test that answers with its input, and one that counts.

use atb::domain::id::Sha256Digest;
use atb::domain::ledger::EventType;
use serde_json::{Value, json};
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

/// Denies, and says what it was told.
const ECHO: &str = r#"package atb.poa

decision := {
	"allow": false, "reason": "echo", "tier": null, "missing": [], "obligations": [],
	"violations": [{"rule": "echo", "pointer": "", "detail": json.marshal(input)}],
}
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

async fn told(app: &TestApp) -> Value {
    let mandate = app.low_mandate().await;
    let (method, path, _) = the_call("low");
    let answer = app.call(method, path, &mandate, None).await;
    assert_eq!(answer.verdict(), "403 echo", "{answer}");
    serde_json::from_str(answer.text("/errors/0/detail").strip_prefix("echo: ").unwrap()).unwrap()
}

#[tokio::test]
async fn the_policy_is_told_the_environment_the_platform_the_counters_and_the_binding() {
    let app = TestApp::start_with(|home| {
        policy(home, ECHO);
        home.replace("atb.toml", "dev = true", "dev = true\nenvironment = \"staging\"");
    })
    .await;
    let input = told(&app).await;
    assert_eq!((&input["environment"], &input["phase"]), (&json!("staging"), &json!("call")));
    assert!(input.get("unmandated").is_none(), "{input}");
    let windows = json!({"60": 0, "3600": 0, "86400": 0});
    assert_eq!(input["counters"], json!({"agent": windows, "act": windows, "workspace": windows}));
    let request = &input["request"];
    let binding = json!({"connector": "erp", "method": "GET", "path": "/vendors/V-1001", "digest": request["digest"]});
    assert_eq!(request["binding"], binding);

    let authority = std::fs::read(app.home().path("trust/bundle.pem")).unwrap();
    let (_, pem) = parse_x509_pem(&authority).unwrap();
    let digest = Sha256Digest::of(pem.parse_x509().unwrap().public_key().raw);
    let svid = std::fs::read(app.home().path("svids").join(AGENT).join("svid.pem")).unwrap();
    let (_, pem) = parse_x509_pem(&svid).unwrap();
    let validity = pem.parse_x509().unwrap().validity().clone();
    assert_eq!(
        input["agent"]["platform"],
        json!({
            "authority": digest.to_string(), "issued_at": validity.not_before.timestamp(),
            "expires_at": validity.not_after.timestamp()
        })
    );
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
