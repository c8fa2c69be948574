//! Open Cybersecurity Schema Framework 1.3, class API Activity (6003) of the category Application Activity (6).
//!
//! One class for every entry: what an agent asks of a system through the broker is an API call, and what leads to it or
//! follows from it says so in `activity_name`. The actor is the agent, or the approver on what she does, the API is the act at its
//! connector, the source is the workload by its SPIFFE ID, `status` is the verdict or the outcome. The profile
//! `security_control` carries what was decided. Members of ours that OCSF has no place for are in `unmapped`.

use serde_json::{Map, Value, json};

use super::{PRODUCT, VENDOR, VERSION, Weight, title, weight};
use crate::domain::ledger::query::Facts;

const CATEGORY: u64 = 6;
const CLASS: u64 = 6003;

pub(super) fn record(seq: u64, facts: &Facts) -> Vec<u8> {
    let (activity_id, activity_name) = activity(facts);
    let (status_id, status) = status(facts);
    let (severity_id, severity) = match weight(facts) {
        Weight::Usual => (1, "Informational"),
        Weight::Denied => (3, "Medium"),
        Weight::Attack => (4, "High"),
    };
    let (action_id, action) = match facts.allow {
        Some(true) => (1, "Allowed"),
        Some(false) => (2, "Denied"),
        None => (0, "Unknown"),
    };
    let event = json!({
        "category_uid": CATEGORY,
        "category_name": "Application Activity",
        "class_uid": CLASS,
        "class_name": "API Activity",
        "activity_id": activity_id,
        "activity_name": activity_name,
        "type_uid": CLASS * 100 + activity_id,
        "type_name": format!("API Activity: {activity_name}"),
        "time": facts.at.map(|at| at.as_millis()),
        "severity_id": severity_id,
        "severity": severity,
        "status_id": status_id,
        "status": status,
        "status_detail": facts.reason,
        "status_code": facts.status.map(|status| status.to_string()),
        "duration": facts.duration_us.map(|us| us / 1000),
        "action_id": action_id,
        "action": action,
        "risk_score": facts.risk_score.map(|score| score.as_u8()),
        "message": title(facts),
        "metadata": {
            "version": "1.3.0",
            "product": {"name": PRODUCT, "vendor_name": VENDOR, "version": VERSION},
            "profiles": ["security_control"],
            "uid": facts.event_id,
            "sequence": seq,
            "event_code": facts.event_type,
            "log_name": "ledger",
            "original_time": facts.at.map(|at| at.to_string()),
            "correlation_uid": facts.challenge_id.as_ref().or(facts.jti.as_ref()).or(facts.decision_id.as_ref()),
        },
        "actor": actor(facts),
        "src_endpoint": {"svc_name": facts.actor().unwrap_or("atb")},
        "api": api(facts),
        "unmapped": unmapped(facts),
    });
    let mut line = without_nulls(event).to_string().into_bytes();
    line.push(b'\n');
    line
}

/// By the method of the call where there is one (RFC 9110 §9.3).
fn activity(facts: &Facts) -> (u64, String) {
    let call = matches!(facts.event_type.as_str(), "broker_decision" | "connector_outcome");
    match facts.method.as_deref().filter(|_| call) {
        Some("POST") => (1, "Create".to_owned()),
        Some("GET" | "HEAD") => (2, "Read".to_owned()),
        Some("PUT" | "PATCH") => (3, "Update".to_owned()),
        Some("DELETE") => (4, "Delete".to_owned()),
        _ => (99, title(facts)),
    }
}

fn status(facts: &Facts) -> (u64, &'static str) {
    match (facts.outcome.as_deref(), facts.allow) {
        (Some("ok"), _) | (None, Some(true)) => (1, "Success"),
        (Some("failed"), _) | (None, Some(false)) => (2, "Failure"),
        _ => (0, "Unknown"),
    }
}

fn actor(facts: &Facts) -> Value {
    match facts.actor() {
        Some(id) => json!({"user": {"uid": id, "type_id": 3, "type": "System"}}),
        None => json!({"app_name": PRODUCT}),
    }
}

fn api(facts: &Facts) -> Value {
    let operation = facts.act.as_ref().map_or_else(|| facts.event_type.clone(), ToString::to_string);
    json!({
        "operation": operation,
        "service": facts.connector.as_ref().map(|name| json!({"name": name})),
        "request": facts.decision_id.as_ref().map(|id| json!({"uid": id})),
        "response": facts.status.map(|status| json!({"code": status})),
    })
}

fn unmapped(facts: &Facts) -> Value {
    json!({
        "workspace": facts.workspace,
        "tier": facts.tier,
        "jti": facts.jti,
        "challenge_id": facts.challenge_id,
        "agent": facts.agent,
        "caller": facts.caller,
        "approvers": (!facts.approvers.is_empty()).then_some(&facts.approvers),
        "template": facts.template,
        "method": facts.method,
        "path": facts.path,
        "outcome": facts.outcome,
        "bundle": facts.bundle,
        "bundle_digest": facts.bundle_digest,
        "detail": (!facts.detail.is_empty()).then_some(&facts.detail),
    })
}

/// An attribute that is not known is left out; OCSF has no null.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let known = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(known.map(|(name, value)| (name, without_nulls(value))).collect::<Map<_, _>>())
        }
        other => other,
    }
}
