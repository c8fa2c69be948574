//! Approvals through the real engine and the shipped rules: the golden matrix, and laws over generated directories.
//!
//! The world here is the shipped bundle with a directory of its own. Inputs are written as `service::facts` writes them.

mod laws;
mod matrix;
mod states;

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::Evaluator;
use crate::domain::policy::bundle::BundleFiles;
use crate::domain::policy::{Bundle, PolicyInput};
use crate::domain::time::Timestamp;

const REQUESTER: &str = "spiffe://atb.dev/agent/procurement";

/// One act of each kind: the four tiers, and one that asks for a role beyond its tier.
const ACTS: [&str; 5] =
    ["erp.vendor.read", "erp.order.create", "sap.vendor.change", "sap.payment.execute", "erp.vendor.delete"];

fn id_of(name: &str) -> String {
    if name.contains('/') { name.to_owned() } else { format!("spiffe://atb.dev/approver/{name}") }
}

/// Noon of the day that everything happens on.
pub(super) fn noon() -> u64 {
    Timestamp::parse_rfc3339("2026-12-01T12:00:00Z").unwrap().as_secs()
}

/// The shipped bundle without its tests, with these approvers.
pub(super) fn shipped(approvers: &Value) -> Bundle {
    let mut files = Vec::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("opa"), "", &mut files);
    files.retain(|(path, _)| !path.ends_with("_test.rego") && path != "approvers/data.json");
    files.push(("approvers/data.json".to_owned(), approvers.to_string().into_bytes()));
    Bundle::parse(&BundleFiles::new(files).unwrap()).unwrap()
}

fn read(folder: &Path, under: &str, into: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        let inside = format!("{under}{}", name.to_str().unwrap());
        if path.is_dir() {
            read(&path, &format!("{inside}/"), into);
        } else {
            into.push((inside, std::fs::read(&path).unwrap()));
        }
    }
}

pub(super) fn ready(bundle: Bundle) -> Evaluator {
    let mut evaluator = Evaluator::new(Arc::new(bundle)).unwrap().within(std::time::Duration::from_secs(5));
    evaluator.prepare().unwrap();
    evaluator
}

/// What is asked for, and what has been brought for it.
#[derive(Debug, Clone)]
struct Case<'a> {
    act: &'a str,
    agent: &'a str,
    ticket: bool,
    dual: bool,
    time: u64,
    approvals: Vec<Value>,
}

impl<'a> Case<'a> {
    fn of(act: &'a str, approvals: Vec<Value>) -> Self {
        Self { act, agent: REQUESTER, ticket: true, dual: false, time: noon(), approvals }
    }

    /// The draft, for `issue.decision` and `approval.assessment`.
    fn draft(&self, bundle: &Bundle) -> PolicyInput {
        self.input(bundle, "issue", Map::new())
    }

    /// The mandate that carries all of the approvals, and its call.
    fn call(&self, bundle: &Bundle, required: u32) -> PolicyInput {
        let signed = |id: &str| json!({id: &self.approvals[0]["id"], "approved_at": "2026-12-01T12:00:00.000Z", "statement": ""});
        let mut leg = Map::new();
        match self.approvals.as_slice() {
            [] => {}
            [_] if required < 2 => drop(leg.insert("approval".to_owned(), signed("approver_id"))),
            all => {
                let approvers: Vec<_> = all.iter().map(|one| json!({"id": one["id"], "type": "approver"})).collect();
                leg.insert("dual_control".to_owned(), json!({"required": true, "approvers": approvers}));
            }
        }
        self.input(bundle, "call", leg)
    }

    fn input(&self, bundle: &Bundle, phase: &str, approved: Map<String, Value>) -> PolicyInput {
        let entry = bundle.catalogue().find(&self.act.parse().unwrap()).unwrap();
        let mut leg = json!({
            "jurisdiction": "DE", "accountable_party": {"type": "employee", "id": "frank"}, "basis": "CONTRACT",
            "ref": "MSA-1", "description": "Fulfil order 7", "template": bundle.templates().find("contract").unwrap().reference(),
        });
        let members = leg.as_object_mut().unwrap();
        let dual = if phase == "call" { approved.contains_key("dual_control") } else { self.dual };
        members.extend(approved);
        if self.ticket {
            members.insert("ticket".to_owned(), json!({"system": "jira", "ref": "OPS-1"}));
        }
        let request = json!({
            "connector": "erp", "method": "POST", "path": "/x", "act": self.act, "params": params(&entry.parameters, &entry.limits.to_value()),
            "digest": "sha-256:00",
        });
        let mut poa = json!({"sub": self.agent, "act": self.act, "con": {}, "leg": leg, "ttl": 30, "tier": entry.tier});
        if entry.bind_request {
            poa["req"] = json!({"connector": "erp", "method": "POST", "path": "/x", "digest": "sha-256:00"});
        }
        if phase == "call" {
            let (from, to) = (self.time - 5, self.time + 25);
            for (claim, at) in [("iat", from), ("nbf", from), ("exp", to)] {
                poa[claim] = json!(at);
            }
        }
        let input = json!({
            "phase": phase, "time": self.time, "workspace": "default", "poa": poa, "request": request,
            "agent": {"id": self.agent, "trust_domain": "atb.dev"},
            "approvals": self.approvals, "requires_dual_control": dual,
        });
        PolicyInput::from_recorded(input.to_string())
    }
}

/// The least that an act's schema asks for, within its limits.
fn params(schema: &Value, limits: &Value) -> Value {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let value = |name: &str| match schema["properties"][name]["type"].as_str() {
        _ if limits[name]["in"].is_array() => limits[name]["in"][0].clone(),
        Some("number" | "integer") => json!(1),
        Some("boolean") => json!(true),
        Some("array") => json!(["x"]),
        Some("object") => json!({}),
        _ => json!("x"),
    };
    required.iter().map(|name| (name.as_str().unwrap().to_owned(), value(name.as_str().unwrap()))).collect()
}
