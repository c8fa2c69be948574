//! A connector's workload, or a gateway in front of it: whoever may ask for decisions about its calls.

use std::time::Duration;

use serde_json::{Value, json};

use super::Attack;
use crate::app::{Home, TestApp};
use crate::ext_authz::{Envoy, reading, to_connector};

const ERP: &str = "erp";

/// A second connector, with a workload of its own, to the same upstream.
fn another_connector(home: &Home) {
    let erp = std::fs::read_to_string(home.path("connectors/erp.toml")).unwrap();
    let crm = erp.replace("name = \"erp\"", "name = \"crm\"").replace("/connector/erp", "/connector/crm");
    std::fs::write(home.path("connectors/crm.toml"), crm).unwrap();
}

fn question(connector: &str, agent: &str, vendor: &str, mandate: &str) -> Value {
    json!({
        "token": mandate, "agent": format!("spiffe://atb.dev/agent/{agent}"),
        "request": {"connector": connector, "method": "GET", "path": format!("/vendors/{vendor}"),
            "params": {"vendor_id": vendor}},
    })
}

fn evaluation(connector: &str, mandate: &str) -> Value {
    json!({
        "subject": {"type": "agent", "id": "spiffe://atb.dev/agent/procurement"}, "action": {"name": "GET"},
        "resource": {"type": connector, "id": "/vendors/V-1001"},
        "context": {"token": mandate, "params": {"vendor_id": "V-1001"}},
    })
}

#[tokio::test]
async fn a_connector_cannot_ask_about_anothers_calls_by_any_interface() {
    let app = TestApp::start_with(another_connector).await;
    app.enrol("crm", "connector/crm", Duration::from_secs(600));
    let mandate = app.low_mandate().await;
    for (who, others) in [(ERP, "crm"), ("crm", "erp")] {
        let workload = app.to_broker(who);
        let attack = Attack::begins(&app, "decide").await;
        let answer = workload.post("/v1/decide", &question(others, "procurement", "V-1001", &mandate)).await;
        attack.fails_at_the_broker(&answer, "403 connector_not_callers").await;
        let attack = Attack::begins(&app, "AuthZEN").await;
        let answer = workload.post("/access/v1/evaluation", &evaluation(others, &mandate)).await;
        attack.fails_at_the_broker(&answer, "403 connector_not_callers").await;
        let attack = Attack::begins(&app, "the policy itself").await;
        let answer = workload.post("/v1/data/atb/poa/decision", &json!({"input": {}})).await;
        attack.fails(&answer, "403 data_api_not_callers", atb::domain::ledger::EventType::PolicyQueried).await;
        let told = Envoy::of(&app, who).await.check(to_connector(reading(&mandate), others)).await;
        assert_eq!(told.verdict(), "403 connector_not_callers", "{who}");
    }
    let answer = app.to_broker("crm").post("/v1/decide", &question("crm", "procurement", "V-1001", &mandate)).await;
    assert_eq!(answer.json["allow"], true, "the mandate was spent: {answer}");
    app.finish().await;
}

#[tokio::test]
async fn a_connector_cannot_make_an_agent_of_a_mandate_or_a_mandate_of_an_agent() {
    let app = TestApp::start().await;
    let mandate = app.low_mandate().await;
    let workload = app.to_broker(ERP);
    let answer = workload.post("/v1/decide", &question(ERP, "support", "V-1001", &mandate)).await;
    assert_eq!((&answer.json["allow"], answer.reason().as_str()), (&json!(false), "mandate_holder"), "{answer}");
    let mut bare = evaluation(ERP, &mandate);
    bare["context"].as_object_mut().unwrap().remove("token");
    let answer = workload.post("/access/v1/evaluation", &bare).await;
    let told = (&answer.json["decision"], answer.text("/context/reason"));
    assert_eq!(told, (&json!(false), "credential_missing".to_owned()), "{answer}");
    let attack = Attack::begins(&app, "calls with it").await;
    let bearer = format!("Bearer {mandate}");
    let answer = workload.send("GET", "/c/erp/vendors/V-1001", &[("authorization", &bearer)], Vec::new()).await;
    attack.fails_at_the_broker(&answer, "403 mandate_holder").await;
    app.finish().await;
}

#[tokio::test]
async fn what_remains_is_spending_a_mandate_that_passes_on_another_call_that_it_covers() {
    let app = TestApp::start().await;
    let mandate = app.low_mandate().await;
    let answer = app.to_broker(ERP).post("/v1/decide", &question(ERP, "procurement", "V-1002", &mandate)).await;
    assert_eq!(answer.json["allow"], true, "{answer}");
    assert_eq!(app.call("GET", "/c/erp/vendors/V-1001", &mandate, None).await.verdict(), "409 mandate_replayed");
    app.finish().await;
}
