//! Low-risk reads without a mandate: only where the configuration, the policy, the allowlist, the act's tier and the
//! directory of agents all say so.

use std::time::Duration;

use atb::domain::ledger::{Entry, EventType};
use serde_json::json;

use super::refused;
use super::told::policy;
use crate::app::{AGENT, Answer, Home, TestApp, the_call};
use crate::schemas::fits;

/// Lets listed reads of known agents through, and tells the rest what is wrong.
const CAREFUL: &str = r#"package atb.poa

decision := {
	"allow": true, "reason": "ok", "tier": "low", "missing": [], "obligations": [],
	"matched": ["allowlist:low_risk"], "violations": [],
} if {
	input.unmandated == true
	input.poa == null
	input.approvals == []
	data.catalogue[input.request.act].tier == "low"
	data.low_risk_allowlist.acts[input.request.act] == true
	operator := data.agents[input.agent.id].operator
	operator != ""
	input.counters.agent["60"] < 100
} else := {
	"allow": false, "reason": "unmandated_not_allowed", "tier": null, "missing": [], "obligations": [],
	"violations": [],
}
"#;

/// A policy that lets everything through: the other lock must hold by itself.
const CARELESS: &str = r#"package atb.poa

decision := {
	"allow": true, "reason": "ok", "tier": data.catalogue[input.request.act].tier, "missing": [], "obligations": [],
	"violations": [],
}
"#;

const READ: &str = "/c/erp/vendors/V-1001";

fn listed(home: &Home) {
    std::fs::create_dir_all(home.path("opa/low_risk_allowlist")).unwrap();
    let acts = json!({"acts": {"erp.vendor.read": true}});
    std::fs::write(home.path("opa/low_risk_allowlist/data.json"), acts.to_string()).unwrap();
}

fn switched_on(home: &Home) {
    home.replace("atb.toml", "[broker]\n", "[broker]\nallow_unmandated_low_risk = true\n");
}

async fn bare(app: &TestApp, name: &str, method: &str, path: &str, body: Option<&serde_json::Value>) -> Answer {
    let caller = app.to_broker(name);
    match body {
        Some(body) => {
            let json = [("content-type", "application/json")];
            caller.send(method, path, &json, body.to_string().into_bytes()).await
        }
        None => caller.send(method, path, &[], Vec::new()).await,
    }
}

fn assert_fits(event: &Entry) {
    fits("ledger-entry", &serde_json::to_value(event).unwrap());
}

#[tokio::test]
async fn without_the_switch_nothing_goes_without_a_mandate() {
    let app = TestApp::start_with(|home| {
        policy(home, CARELESS);
        listed(home);
    })
    .await;
    let mark = app.mark().await;
    let answer = bare(&app, AGENT, "GET", READ, None).await;
    let event = refused(&app, "no mandate", &answer, "401 credential_missing", mark, 0).await;
    assert!(!event.subject.detail.contains_key("unmandated"));
    app.finish().await;
}

#[tokio::test]
async fn a_listed_read_goes_through_and_is_on_record_with_its_outcome() {
    let app = TestApp::start_with(|home| {
        policy(home, CAREFUL);
        listed(home);
        switched_on(home);
    })
    .await;
    for nth in 1..=2 {
        let mark = app.mark().await;
        let answer = bare(&app, AGENT, "GET", READ, None).await;
        assert_eq!(answer.status, 200, "{answer}");
        assert_eq!(app.erp_hits(), nth);
        let mut events = app.events_since(mark).await;
        while events.len() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            events = app.events_since(mark).await;
        }
        let [decision, outcome] = &events[..] else { panic!("{events:?}") };
        assert_eq!((decision.event_type, outcome.event_type), (EventType::BrokerDecision, EventType::ConnectorOutcome));
        assert_eq!((decision.subject.allow, decision.subject.jti), (Some(true), None));
        assert_eq!(decision.subject.decision_id.unwrap().to_string(), answer.header("x-atb-decision-id"));
        assert_eq!(decision.subject.act.as_ref().unwrap().as_str(), "erp.vendor.read");
        assert_eq!(decision.subject.decision_id, outcome.subject.decision_id);
        for event in &events {
            assert_eq!(event.subject.detail["unmandated"], "true");
            assert_fits(event);
        }
    }
    app.finish().await;
}

#[tokio::test]
async fn whatever_is_not_a_listed_read_of_a_known_agent_needs_its_mandate() {
    for rules in [CAREFUL, CARELESS] {
        let app = TestApp::start_with(|home| {
            policy(home, rules);
            listed(home);
            switched_on(home);
        })
        .await;
        app.enrol("stranger", "agent/stranger", Duration::from_secs(3600));
        let (post, orders, order) = the_call("medium");
        let cases = [
            ("a medium act", AGENT, post, orders, order),
            ("a low read that is not listed", AGENT, "GET", "/c/erp/orders/O-2001", None),
            ("an agent that nobody knows", "stranger", "GET", READ, None),
            ("an approver", "alice", "GET", READ, None),
        ];
        for (what, name, method, path, body) in cases {
            let mark = app.mark().await;
            let answer = bare(&app, name, method, path, body.as_ref()).await;
            let event = refused(&app, what, &answer, "403 unmandated_not_allowed", mark, 0).await;
            assert_eq!(answer.json["missing"], json!(["mandate"]), "{what}: {answer}");
            assert_eq!(event.subject.detail["unmandated"], "true", "{what}");
            assert_fits(&event);
        }
        for (what, path, verdict) in [
            ("no such route", "/c/erp/nothing", "404 unknown_route"),
            ("a path with two readings", "/c/erp/vendors/%2e%2e", "400 ambiguous_path"),
            ("an undeclared parameter", "/c/erp/vendors/V-1001?admin=1", "422 undeclared_parameter"),
            ("a parameter against the schema", "/c/erp/vendors/x", "422 parameters_invalid"),
        ] {
            let mark = app.mark().await;
            let answer = bare(&app, AGENT, "GET", path, None).await;
            refused(&app, what, &answer, verdict, mark, 0).await;
        }
        let mark = app.mark().await;
        let broken = app.to_broker(AGENT).call("GET", READ, "not-a-mandate", None).await;
        refused(&app, "a mandate that is none", &broken, "401 mandate_malformed", mark, 0).await;
        app.finish().await;
    }
}
