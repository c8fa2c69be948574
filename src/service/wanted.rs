//! What to ask for, told to an agent whose call or request lacks it: RFC 9396 §2 `authorization_details`.
//!
//! Only what the agent needs to ask `POST /issue` by itself, and nothing that it did not send: of parameters the names
//! and the digest, never the values. Whether it would be given is not said; that is the policy's answer when it asks.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::action::{ActionName, CallPath, CallRequest, Method};
use crate::domain::approval::{Ask, CallView, ChallengeDraft};
use crate::domain::id::{ConnectorId, Sha256Digest};
use crate::domain::json::Object;
use crate::domain::policy::Requirement;
use crate::domain::role::RoleClass;
use crate::domain::spiffe::SpiffeId;

/// The `type` of RFC 9396 §2: a mandate (proof of authority).
pub const TYPE: &str = "urn:atb:poa";

/// One element of `authorization_details`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wanted {
    #[serde(rename = "type")]
    kind: &'static str,
    actions: [ActionName; 1],
    locations: Vec<SpiffeId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<String>,
    #[serde(skip_serializing_if = "Object::is_empty")]
    constraints: Object,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<WantedCall>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requires: Option<Requires>,
}

/// The one call that the mandate is wanted for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WantedCall {
    connector: ConnectorId,
    method: Method,
    path: CallPath,
    /// Names only. Without `digest`: those that the route declares in path and query; the body was not read.
    parameters: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Sha256Digest>,
}

/// Who must agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Requires {
    approvals: u32,
    roles: BTreeMap<RoleClass, u32>,
    ticket: bool,
}

/// A call by method and path alone, as its route names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedCall {
    /// The act of the route.
    pub act: ActionName,
    /// The upstream.
    pub connector: ConnectorId,
    /// The method.
    pub method: Method,
    /// The decoded path.
    pub path: CallPath,
    /// The parameters that the route declares in path and query.
    pub parameters: Vec<String>,
}

impl Wanted {
    /// A mandate for a call of which only method and path were looked at.
    pub fn for_named(call: NamedCall, broker: &SpiffeId) -> Self {
        let NamedCall { act, connector, method, path, mut parameters } = call;
        parameters.sort_unstable();
        let request = WantedCall { connector, method, path, parameters, digest: None };
        Self { request: Some(request), ..Self::for_act(act, vec![broker.clone()]) }
    }

    /// A mandate for exactly this call.
    pub fn for_call(call: &CallRequest, broker: &SpiffeId) -> Self {
        let request = WantedCall::of(&CallView::from(call));
        Self { request: Some(request), ..Self::for_act(call.act.clone(), vec![broker.clone()]) }
    }

    /// The mandate that was asked for, and who must agree to it as far as the policy says.
    pub fn for_ask(ask: &Ask, aud: &[SpiffeId], call: Option<&CallView>, requirement: Option<&Requirement>) -> Self {
        let template = &ask.leg.as_leg().template;
        Self {
            template: Some(format!("{}@{}", template.id, template.version)),
            constraints: ask.con.clone(),
            ttl_seconds: Some(ask.ttl.as_secs()),
            request: call.map(WantedCall::of),
            requires: requirement.map(Requires::of),
            ..Self::for_act(ask.act.clone(), aud.to_vec())
        }
    }

    /// The mandate that a challenge is about.
    pub fn for_draft(draft: &ChallengeDraft) -> Self {
        Self::for_ask(&draft.ask, &draft.aud, draft.call.as_ref(), Some(&draft.requirement))
    }

    fn for_act(act: ActionName, locations: Vec<SpiffeId>) -> Self {
        Self {
            kind: TYPE,
            actions: [act],
            locations,
            template: None,
            constraints: Object::default(),
            ttl_seconds: None,
            request: None,
            requires: None,
        }
    }
}

impl WantedCall {
    fn of(call: &CallView) -> Self {
        let mut parameters: Vec<String> = call.params.as_map().keys().cloned().collect();
        parameters.sort_unstable();
        Self {
            connector: call.binding.connector.clone(),
            method: call.binding.method,
            path: call.binding.path.clone(),
            parameters,
            digest: Some(call.binding.digest),
        }
    }
}

impl Requires {
    fn of(requirement: &Requirement) -> Self {
        Self { approvals: requirement.required, roles: requirement.roles.clone(), ticket: requirement.ticket }
    }
}

/// What a denial for `reason` says is missing: what the policy names, or what a mandate of another content would have.
/// Empty where asking for a mandate does not help.
pub fn missing_for(reason: &str, named: &[serde_json::Value]) -> Vec<String> {
    let named: Vec<String> = named.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect();
    if !named.is_empty() {
        return named;
    }
    let one = match reason {
        "act_mismatch"
        | "request_mismatch"
        | "tier_mismatch"
        | "holder_mismatch"
        | "mandate_time"
        | "constraint_violated" => "mandate",
        "same_person" => "approval",
        _ if reason.starts_with("approver_") => "approval",
        _ if reason.starts_with("leg_") => "ground",
        _ => return Vec::new(),
    };
    vec![one.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_ask_for_names_parameters_and_never_tells_their_values() {
        let params = serde_json::json!({"iban": "DE02120300000000202051", "vendor_id": "V-1001"});
        let call = CallRequest::new(
            "erp".parse().unwrap(),
            Method::Post,
            "/vendors/V-1001/bank-account".parse().unwrap(),
            "sap.vendor.change".parse().unwrap(),
            serde_json::from_value(params).unwrap(),
        );
        let wanted = Wanted::for_call(&call, &"spiffe://atb.dev/broker".parse().unwrap());
        insta::assert_json_snapshot!(wanted, @r#"
        {
          "type": "urn:atb:poa",
          "actions": [
            "sap.vendor.change"
          ],
          "locations": [
            "spiffe://atb.dev/broker"
          ],
          "request": {
            "connector": "erp",
            "method": "POST",
            "path": "/vendors/V-1001/bank-account",
            "parameters": [
              "iban",
              "vendor_id"
            ],
            "digest": "sha-256:73153cc70553709c385bf32410889f3e1d1028fa7678b3b4d753f766a4ac0508"
          }
        }
        "#);
    }

    #[test]
    fn a_denial_that_no_mandate_would_change_misses_nothing() {
        for reason in ["unknown_act", "limit_exceeded", "parameter_type", "policy_timeout"] {
            assert!(missing_for(reason, &[]).is_empty(), "{reason}");
        }
        assert_eq!(missing_for("act_mismatch", &[]), ["mandate"]);
        assert_eq!(missing_for("leg_template_expired", &[]), ["ground"]);
        assert_eq!(missing_for("ticket_missing", &["ticket".into()]), ["ticket"]);
    }
}
