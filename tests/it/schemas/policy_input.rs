//! `schemas/policy-input.schema.json` against what the program tells the policy.

use std::collections::BTreeSet;

use atb::domain::action::{ActionName, CallPath, Method};
use atb::domain::attestation::Attested;
use atb::domain::catalogue::Tier;
use atb::domain::guardrail::GuardrailFacts;
use atb::domain::id::Sha256Digest;
use atb::domain::json::Object;
use atb::domain::policy::{
    AgentFacts, ApprovalFact, Counters, Environment, OnBehalfOf, Phase, PlatformFacts, PolicyFacts, PolicyInput,
    RequestFacts,
};
use serde_json::{Value, json};

use super::{fits, refuses, schema};

fn told(phase: Phase) -> Value {
    let agent = "spiffe://atb.dev/agent/procurement".parse().unwrap();
    let path: CallPath = "/orders/7".parse().unwrap();
    let act: ActionName = "erp.order.create".parse().unwrap();
    let params: Object = serde_json::from_value(json!({"amount": 12})).unwrap();
    let workspace = "default".parse().unwrap();
    let approvals = [
        ApprovalFact {
            id: "spiffe://atb.dev/approver/alice".parse().unwrap(),
            approved_at: 1_790_000_000,
            on_behalf_of: None,
            attestations: ["area_clear".parse().unwrap()].into_iter().collect(),
        },
        ApprovalFact {
            id: "spiffe://atb.dev/approver/bob".parse().unwrap(),
            approved_at: 1_790_000_000,
            on_behalf_of: Some(OnBehalfOf {
                id: "spiffe://atb.dev/approver/carol".parse().unwrap(),
                tiers: vec![Tier::Medium],
                acts: vec![serde_json::from_value(json!("erp.*")).unwrap()],
                workspaces: vec!["default".parse().unwrap()],
            }),
            attestations: Attested::default(),
        },
    ];
    let draft = json!({"sub": agent_id(&agent), "act": "erp.order.create", "con": {}, "ttl": 300, "tier": null});
    let platform = PlatformFacts { authority: Sha256Digest::from_bytes([8; 32]), issued_at: 1, expires_at: 2 };
    let counters = Counters::default();
    let guarded = GuardrailFacts::found(vec!["pii".to_owned().try_into().unwrap()]);
    let facts = PolicyFacts {
        phase,
        time: 1_790_000_001,
        workspace: &workspace,
        agent: AgentFacts { id: &agent, trust_domain: "atb.dev", platform: Some(platform) },
        poa: draft,
        request: (phase == Phase::Call).then_some(RequestFacts {
            connector: "erp",
            method: Method::Post,
            path: &path,
            act: act.as_str(),
            params: &params,
            digest: Sha256Digest::from_bytes([7; 32]),
        }),
        approvals: &approvals,
        requires_dual_control: false,
        environment: Environment::Production,
        counters: (phase == Phase::Call).then_some(&counters),
        guardrails: (phase == Phase::Call).then_some(&guarded),
        unmandated: false,
    };
    serde_json::from_str(PolicyInput::new(&facts).as_json()).unwrap()
}

fn agent_id(id: &atb::domain::spiffe::SpiffeId) -> &str {
    id.as_str()
}

#[test]
fn what_the_policy_is_told_fits() {
    fits("policy-input", &told(Phase::Issue));
    refuses(
        "policy-input",
        &told(Phase::Call),
        vec![
            ("/phase", json!("ask")),
            ("/time", json!("now")),
            ("/poa/subject", json!("x")),
            ("/request/body", json!({})),
            ("/approvals/0/person", json!("alice")),
            ("/approvals/1/on_behalf_of/roles", json!([])),
            ("/agent/attestation", json!(true)),
            ("/environment", json!("prod")),
            ("/unmandated", json!(false)),
            ("/guardrails/status", json!("fine")),
        ],
    );
}

/// What the schema promises before every member of it is told: no member is told that the schema does not have.
#[test]
fn every_member_that_is_told_is_in_the_schema() {
    let known: BTreeSet<&String> = schema("policy-input")["properties"].as_object().unwrap().keys().collect();
    for name in told(Phase::Call).as_object().unwrap().keys() {
        assert!(known.contains(name), "{name}");
    }
    let mut full = told(Phase::Call);
    let count = json!({"60": 1, "3600": 2, "86400": 3});
    full["environment"] = json!("production");
    full["counters"] = json!({"agent": count, "act": count, "workspace": count});
    full["agent"]["platform"] =
        json!({"authority": format!("sha-256:{}", "0".repeat(64)), "issued_at": 1, "expires_at": 2});
    full["approvals"][0]["attestations"] = json!(["four_eyes"]);
    full["poa"] = Value::Null;
    full["unmandated"] = json!(true);
    fits("policy-input", &full);
}
