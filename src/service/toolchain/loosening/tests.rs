use serde_json::json;

use super::*;

fn data() -> Value {
    json!({
        "catalogue": {"erp.order.create": {"tier": "high", "data_class": "personal", "reversibility": "irreversible", "bind_request": true, "max_ttl_seconds": 60,
            "approval": {"approvals": 3, "roles": {"finance": 1}}, "attestations": {"four_eyes": "…"},
            "privileged": {"role": ["admin", "owner"]}, "loggable": ["currency"], "parameters": {"type": "object"},
            "limits": {"amount": {"max": 100, "min": 1}, "currency": {"in": ["EUR", "USD"]}, "name": {"pattern": "^a"}}}},
        "tiers": {"high": {"approvals": 2, "roles": {"executive": 1}, "delegable": false, "ticket": true,
            "challenge_seconds": 3600, "max_ttl_seconds": 300}},
        "approvers": {"spiffe://a/x": {"person": "x", "roles": ["cfo"], "tiers": ["high"], "acts": ["erp.*"],
            "workspaces": ["default"], "valid_until": "2026-12-31"}},
        "agents": {"spiffe://a/g": {"operator": "o", "workspace": "default", "platform": {"connectors": ["erp"]}}},
        "workspaces": {"default": {"free_form_leg": false, "denied": ["erp.*"], "risk_threshold": 50}},
        "environments": {"production": {"rates": [{"max": 5}]}},
        "calendars": {"office": {"timezone": "Europe/Berlin"}},
        "freezes": {"q4": {"acts": ["*"]}},
        "roles": {"executive": {"cfo": true}},
        "low_risk_allowlist": {"acts": {"erp.vendor.read": true}},
        "leg_templates": {"contract": {"version": "1", "basis": "CONTRACT", "jurisdictions": ["EU"], "acts": ["erp.*"],
            "data_classes": ["internal"], "valid_from": "2026-01-01", "valid_until": "2026-12-31", "withdrawn": "2026-11-01",
            "variables": {"ref": {"required": true}}}},
        "risk": {"threshold": 60, "near_limit_percent": 80, "calendar": "office", "points": {"near_limit": 10},
            "base": {"tier": {"high": {"factor": "tier:high", "points": 25}}}},
    })
}

fn between(base: &Value, candidate: &Value) -> Vec<(&'static str, String)> {
    loosenings(base.as_object().unwrap(), candidate.as_object().unwrap()).into_iter().map(|l| (l.kind, l.at)).collect()
}

/// One row a loosening: where, what it becomes (null: it goes), and the kind.
fn rows() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("/catalogue/erp.order.create/tier", json!("medium"), "tier_lowered"),
        ("/catalogue/erp.order.create/data_class", json!("internal"), "class_lowered"),
        ("/catalogue/erp.order.create/reversibility", json!("read_only"), "reversibility_lowered"),
        ("/catalogue/erp.order.create/bind_request", json!(false), "binding_dropped"),
        ("/catalogue/erp.order.create/max_ttl_seconds", json!(61), "life_longer"),
        ("/catalogue/erp.order.create/max_ttl_seconds", Value::Null, "life_longer"),
        ("/catalogue/erp.order.create/approval/approvals", json!(2), "approvals_fewer"),
        ("/catalogue/erp.order.create/approval/roles/finance", Value::Null, "roles_fewer"),
        ("/catalogue/erp.order.create/attestations/four_eyes", Value::Null, "restriction_removed"),
        ("/catalogue/erp.order.create/privileged/role", json!(["admin"]), "restriction_removed"),
        ("/catalogue/erp.order.create/loggable", json!(["currency", "iban"]), "loggable_added"),
        ("/catalogue/erp.order.create/parameters", json!({}), "parameters_changed"),
        ("/catalogue/erp.order.create/limits/amount/max", json!(101), "limit_widened"),
        ("/catalogue/erp.order.create/limits/amount/min", json!(0), "limit_widened"),
        ("/catalogue/erp.order.create/limits/amount/max", Value::Null, "limit_widened"),
        ("/catalogue/erp.order.create/limits/amount/max", json!("101"), "limit_widened"),
        ("/catalogue/erp.order.create/limits/currency/in", json!(["EUR", "CHF"]), "limit_widened"),
        ("/catalogue/erp.order.create/limits/name/pattern", json!("^."), "limit_widened"),
        ("/catalogue/erp.new", json!({"tier": "low"}), "act_added"),
        ("/tiers/high/approvals", json!(1), "approvals_fewer"),
        ("/tiers/high/roles/executive", json!(0), "roles_fewer"),
        ("/tiers/high/delegable", json!(true), "delegable_widened"),
        ("/tiers/high/ticket", json!(false), "ticket_dropped"),
        ("/tiers/high/challenge_seconds", json!(7200), "challenge_longer"),
        ("/tiers/high/max_ttl_seconds", json!(600), "life_longer"),
        ("/approvers/spiffe:~1~1a~1y", json!({"tiers": ["low"]}), "approver_added"),
        ("/approvers/spiffe:~1~1a~1x/tiers", json!(["high", "critical"]), "approver_widened"),
        ("/approvers/spiffe:~1~1a~1x/person", json!("y"), "approver_widened"),
        ("/approvers/spiffe:~1~1a~1x/valid_until", Value::Null, "approver_widened"),
        ("/agents/spiffe:~1~1a~1h", json!({"operator": "o", "workspace": "default"}), "agent_added"),
        ("/agents/spiffe:~1~1a~1g/operator", json!("p"), "agent_changed"),
        ("/agents/spiffe:~1~1a~1g/platform", Value::Null, "restriction_removed"),
        ("/workspaces/default/free_form_leg", json!(true), "free_form_allowed"),
        ("/workspaces/default/denied", json!([]), "restriction_removed"),
        ("/workspaces/default/risk_threshold", json!(60), "restriction_changed"),
        ("/environments/production/rates", json!([{"max": 6}]), "restriction_removed"),
        ("/calendars/office/timezone", json!("UTC"), "restriction_changed"),
        ("/freezes/q4", Value::Null, "restriction_removed"),
        ("/roles/executive/intern", json!(true), "role_class_widened"),
        ("/low_risk_allowlist/acts/crm.account.read", json!(true), "allowlist_added"),
        ("/leg_templates/other", json!({"basis": "LI", "acts": ["*"]}), "template_added"),
        ("/leg_templates/contract/jurisdictions", json!(["EU", "US"]), "template_widened"),
        ("/leg_templates/contract/acts", json!(["*"]), "template_widened"),
        ("/leg_templates/contract/data_classes", json!(["internal", "personal"]), "template_widened"),
        ("/leg_templates/contract/basis", json!("LI"), "template_changed"),
        ("/leg_templates/contract/variables", json!({"ref": {"required": false}}), "template_changed"),
        ("/leg_templates/contract/valid_from", json!("2025-12-31"), "template_longer"),
        ("/leg_templates/contract/valid_until", json!("2027-01-01"), "template_longer"),
        ("/leg_templates/contract/withdrawn", json!("2026-11-02"), "template_longer"),
        ("/leg_templates/contract/withdrawn", Value::Null, "template_longer"),
        ("/risk/threshold", json!(61), "risk_lowered"),
        ("/risk/near_limit_percent", json!(81), "risk_lowered"),
        ("/risk/points/near_limit", json!(9), "risk_lowered"),
        ("/risk/base/tier/high/points", json!(0), "risk_lowered"),
        ("/risk/calendar", Value::Null, "restriction_removed"),
        ("/risk", Value::Null, "restriction_removed"),
    ]
}

fn with(pointer: &str, value: &Value) -> Value {
    let mut changed = data();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    if changed.pointer(parent).is_none() {
        changed[parent.trim_start_matches('/')] = json!({});
    }
    let members = changed.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    let name = name.replace("~1", "/");
    if value.is_null() {
        drop(members.remove(&name))
    } else {
        drop(members.insert(name, value.clone()))
    }
    changed
}

#[test]
fn each_loosening_of_the_data_is_found_once_under_its_name_and_place() {
    for (pointer, value, kind) in rows() {
        assert_eq!(between(&data(), &with(pointer, &value)), [(kind, pointer.to_owned())], "{pointer} {value}");
    }
}

#[test]
fn what_tightens_is_no_loosening() {
    assert!(between(&data(), &data()).is_empty());
    for (pointer, value) in [
        ("/catalogue/erp.order.create/tier", json!("critical")),
        ("/catalogue/erp.order.create/max_ttl_seconds", json!(30)),
        ("/catalogue/erp.order.create/limits/amount/max", json!(99)),
        ("/catalogue/erp.order.create/limits/currency/in", json!(["EUR"])),
        ("/catalogue/erp.order.create/limits/bic", json!({"pattern": "^x"})),
        ("/catalogue/erp.order.create", Value::Null),
        ("/tiers/high/approvals", json!(3)),
        ("/approvers/spiffe:~1~1a~1x", Value::Null),
        ("/workspaces/default/denied", json!(["erp.*", "crm.*"])),
        ("/freezes/q5", json!({"acts": ["*"]})),
        ("/low_risk_allowlist/acts/erp.vendor.read", Value::Null),
        ("/catalogue/erp.order.create/data_class", json!("sensitive")),
        ("/leg_templates/contract/jurisdictions", json!([])),
        ("/leg_templates/contract/valid_until", json!("2026-06-30")),
        ("/leg_templates/contract/withdrawn", json!("2026-10-01")),
        ("/leg_templates/contract", Value::Null),
        ("/risk/threshold", json!(59)),
        ("/risk/base/tier/high/points", json!(26)),
    ] {
        assert_eq!(between(&data(), &with(pointer, &value)), [], "{pointer} {value}");
    }
}
