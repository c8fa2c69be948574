//! Every act of the shipped catalogue, held against the shipped policy and the act's own schema, as the broker does:
//! the least that it may be asked for passes, and each bound and each type is refused where it is overstepped.
//!
//! The tables are the catalogue itself, so an act that is added is tried without a line here.

use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use super::Evaluator;
use super::approvals::{noon, ready, shipped};
use crate::domain::action::ActionName;
use crate::domain::catalogue::CatalogueEntry;
use crate::domain::json::Object;
use crate::domain::policy::PolicyInput;

const AGENT: &str = "spiffe://atb.dev/agent/procurement";
const PEOPLE: [&str; 2] = ["spiffe://atb.dev/approver/cleo", "spiffe://atb.dev/approver/mara"];

/// Two people who between them may agree to anything.
fn directory() -> Value {
    let person = |name: &str, role: &str| {
        json!({"person": name, "name": name, "roles": [role], "tiers": ["low", "medium", "high", "critical"],
            "acts": ["*"], "workspaces": ["default"]})
    };
    json!({PEOPLE[0]: person("cleo", "cfo"), PEOPLE[1]: person("mara", "manager")})
}

fn engine() -> Evaluator {
    ready(shipped(&directory()))
}

/// The call of `act` with these parameters, under a mandate with everything that could be asked of it.
fn call(evaluator: &Evaluator, act: &ActionName, entry: &CatalogueEntry, params: &Value, con: &Value) -> PolicyInput {
    let ground = entry.ground.as_deref().unwrap();
    let template = evaluator.bundle().templates().find(ground).unwrap();
    let names: Vec<_> = entry.attestations.keys().collect();
    let approvals: Vec<Value> =
        (PEOPLE.iter()).map(|id| json!({"id": id, "approved_at": noon() - 60, "attestations": names})).collect();
    let named: Vec<Value> = PEOPLE.iter().map(|id| json!({"id": id, "type": "approver"})).collect();
    let low = entry.tier.as_str() == "low";
    let mut leg = json!({
        "jurisdiction": "DE", "accountable_party": {"type": "employee", "id": "frank"}, "basis": template.basis(),
        "ref": "REF-1", "description": "One call of each act", "template": template.reference(),
        "ticket": {"system": "jira", "ref": "OPS-1"},
    });
    if !low {
        leg["dual_control"] = json!({"required": true, "approvers": named});
    }
    let tie = json!({"connector": "erp", "method": "POST", "path": "/x", "digest": "sha-256:00"});
    let mut poa = json!({
        "sub": AGENT, "act": act, "con": con, "leg": leg, "ttl": 30, "tier": entry.tier,
        "iat": noon() - 5, "nbf": noon() - 5, "exp": noon() + 25,
    });
    if entry.bind_request {
        poa["req"] = tie.clone();
    }
    let mut request = json!({"act": act, "params": params});
    request.as_object_mut().unwrap().extend(tie.as_object().unwrap().clone());
    let input = json!({
        "phase": "call", "time": noon(), "workspace": "default", "environment": "production", "poa": poa, "request": request,
        "agent": {"id": AGENT, "trust_domain": "atb.dev"}, "requires_dual_control": !low,
        "approvals": if low { vec![] } else { approvals },
    });
    PolicyInput::from_recorded(input.to_string())
}

/// What the broker asks of a call: the policy, then the schema.
fn passes(
    evaluator: &mut Evaluator,
    act: &ActionName,
    entry: &CatalogueEntry,
    params: &Value,
    con: &Value,
) -> Result<(), String> {
    let decision = evaluator.decide(&call(evaluator, act, entry, params, con));
    if !decision.allow {
        return Err(format!("{}: {:?}", decision.reason, decision.violations));
    }
    let object = Object::from(params.as_object().cloned().unwrap_or_default());
    entry.check_params(&object).map_err(|errors| format!("{errors:?}"))
}

/// Runs `check` on every act; several engines divide them, because there are many.
fn for_every_act(check: impl Fn(&mut Evaluator, &ActionName, &CatalogueEntry) + Sync) {
    static COUNT: OnceLock<usize> = OnceLock::new();
    let shares = *COUNT.get_or_init(|| std::thread::available_parallelism().map_or(1, |n| n.get().min(4)));
    std::thread::scope(|scope| {
        for share in 0..shares {
            let check = &check;
            scope.spawn(move || {
                let mut evaluator = engine();
                let bundle = evaluator.bundle().clone();
                for (act, entry) in bundle.catalogue().iter().skip(share).step_by(shares) {
                    check(&mut evaluator, act, entry);
                }
            });
        }
    });
}

fn example(entry: &CatalogueEntry) -> Map<String, Value> {
    entry.example.as_ref().unwrap().as_map().clone()
}

fn with(mut params: Map<String, Value>, name: &str, value: Value) -> Value {
    params.insert(name.to_owned(), value);
    Value::Object(params)
}

#[test]
fn the_least_that_each_act_may_be_asked_for_passes() {
    for_every_act(|evaluator, act, entry| {
        let params = Value::Object(example(entry));
        passes(evaluator, act, entry, &params, &json!({})).unwrap_or_else(|why| panic!("{act}: {why}"));
        // The narrowest constraint there is: the very values.
        let scalars: Map<String, Value> =
            example(entry).into_iter().filter(|(_, value)| !value.is_array() && !value.is_object()).collect();
        passes(evaluator, act, entry, &params, &Value::Object(scalars))
            .unwrap_or_else(|why| panic!("{act}, tied: {why}"));
    });
}

#[test]
fn no_act_takes_a_parameter_of_another_type_an_unknown_one_or_lacks_one() {
    let others = [json!(null), json!(true), json!(7), json!("seven"), json!(7.5), json!([]), json!({})];
    for_every_act(|evaluator, act, entry| {
        for (name, schema) in entry.parameters["properties"].as_object().unwrap() {
            for other in &others {
                let fits = match schema["type"].as_str().unwrap() {
                    "string" => other.is_string(),
                    "boolean" => other.is_boolean(),
                    "integer" => other.is_i64(),
                    "number" => other.is_number(),
                    "array" => other.is_array(),
                    kind => panic!("{act}: a parameter of type {kind}"),
                };
                let params = with(example(entry), name, other.clone());
                let decision = evaluator.decide(&call(evaluator, act, entry, &params, &json!({})));
                assert!(fits || !decision.allow, "{act}: {name} = {other}");
                let told = ["parameter_type", "missing_parameter"].contains(&decision.reason.as_str());
                assert!(fits || told, "{act}: {name} = {other}: {}", decision.reason);
            }
        }
        let unknown = with(example(entry), "unheard_of", json!(1));
        assert!(passes(evaluator, act, entry, &unknown, &json!({})).is_err(), "{act}");
        for name in entry.parameters["required"].as_array().unwrap() {
            let mut params = example(entry);
            params.remove(name.as_str().unwrap());
            assert!(passes(evaluator, act, entry, &Value::Object(params), &json!({})).is_err(), "{act} without {name}");
        }
    });
}

/// The values just outside of what a bound of a limit or of a schema takes.
fn outside(keyword: &str, bound: &Value, schema: &Value) -> Vec<Value> {
    let step = if schema["type"] == "integer" { 1.0 } else { 0.01 };
    let number = |at: f64| if schema["type"] == "integer" { json!(at as i64) } else { json!(at) };
    let text = |length: u64| json!("a".repeat(usize::try_from(length).unwrap()));
    let item = schema["items"]["pattern"].as_str().map_or(json!("x"), |_| json!("C-1001"));
    let list = |length: u64| json!(vec![item.clone(); usize::try_from(length).unwrap()]);
    let is_list = schema["type"] == "array";
    match keyword {
        "max" | "maximum" => vec![number(bound.as_f64().unwrap() + step)],
        "min" | "minimum" => vec![number(bound.as_f64().unwrap() - step)],
        "max_length" if is_list => vec![list(bound.as_u64().unwrap() + 1)],
        "max_length" | "maxLength" => vec![text(bound.as_u64().unwrap() + 1)],
        "min_length" | "minLength" => bound.as_u64().unwrap().checked_sub(1).map(text).into_iter().collect(),
        "maxItems" => vec![list(bound.as_u64().unwrap() + 1)],
        "minItems" => vec![list(bound.as_u64().unwrap() - 1)],
        "pattern" => vec![json!("\u{1}"), json!("")],
        "in" | "enum" | "eq" if schema["type"] == "integer" => vec![json!(8080)],
        "in" | "enum" | "eq" => vec![json!("not on the list")],
        "type" | "items" => Vec::new(),
        other => panic!("a bound called {other}"),
    }
}

#[test]
fn one_beyond_each_bound_of_the_catalogue_is_refused() {
    for_every_act(|evaluator, act, entry| {
        let properties = entry.parameters["properties"].as_object().unwrap();
        for (name, schema) in properties {
            for (keyword, bound) in schema.as_object().unwrap() {
                for value in outside(keyword, bound, schema) {
                    let params = with(example(entry), name, value.clone());
                    let refused = passes(evaluator, act, entry, &params, &json!({})).is_err();
                    assert!(refused, "{act}: {name} = {value} beyond {keyword} of its schema");
                }
            }
        }
        for (name, limit) in entry.limits.as_map() {
            let schema = &properties[name];
            for (keyword, bound) in limit.as_object().unwrap() {
                for value in outside(keyword, bound, schema) {
                    let params = with(example(entry), name, value.clone());
                    let decision = evaluator.decide(&call(evaluator, act, entry, &params, &json!({})));
                    assert_eq!(decision.reason, "limit_exceeded", "{act}: {name} = {value} beyond {keyword} {bound}");
                    assert_eq!(decision.violations[0].pointer, format!("/request/params/{name}"), "{act}");
                }
                // At the bound itself it passes, unless the schema is narrower still.
                if let "max" | "min" = keyword.as_str() {
                    let params = with(example(entry), name, bound.clone());
                    let decision = evaluator.decide(&call(evaluator, act, entry, &params, &json!({})));
                    assert!(decision.allow, "{act}: {name} at {keyword} {bound}: {}", decision.reason);
                    let wider = json!({name: {keyword: outside(keyword, bound, schema)[0]}});
                    let decision =
                        evaluator.decide(&call(evaluator, act, entry, &Value::Object(example(entry)), &wider));
                    assert_eq!(decision.reason, "constraint_exceeds_limit", "{act}: {wider}");
                }
            }
        }
    });
}

#[test]
fn a_value_that_is_privileged_asks_for_a_ticket_whatever_the_tier() {
    let mut evaluator = engine();
    let bundle = evaluator.bundle().clone();
    let mut tried = 0;
    for (act, entry) in bundle.catalogue().iter() {
        for (name, values) in &entry.privileged {
            for value in values {
                let params = with(example(entry), name, value.clone());
                passes(&mut evaluator, act, entry, &params, &json!({})).unwrap_or_else(|why| panic!("{act}: {why}"));
                let input = call(&evaluator, act, entry, &params, &json!({}));
                let mut bare: Value = serde_json::from_str(input.as_json()).unwrap();
                bare["poa"]["leg"].as_object_mut().unwrap().remove("ticket");
                let decision = evaluator.decide(&PolicyInput::from_recorded(bare.to_string()));
                assert!(!decision.allow, "{act}: {name} = {value}");
                tried += 1;
            }
        }
    }
    assert!(tried > 0);
}
