use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Evaluator, run_tests};
use crate::domain::policy::bundle::samples::{with, with_poa};
use crate::domain::policy::{Bundle, PolicyInput};

const ALLOW: &str =
    r#"{"allow": true, "reason": "ok", "tier": "low", "missing": [], "obligations": [], "violations": []}"#;
const DENY: &str =
    r#"{"allow": false, "reason": "denied", "tier": null, "missing": [], "obligations": [], "violations": []}"#;

fn ready(bundle: Arc<Bundle>) -> Evaluator {
    let mut evaluator = Evaluator::new(bundle).unwrap();
    evaluator.prepare().unwrap();
    evaluator
}

fn base() -> Evaluator {
    ready(Arc::new(Bundle::parse(&with(&[])).unwrap()))
}

fn input(value: &Value) -> PolicyInput {
    PolicyInput::from_recorded(value.to_string())
}

fn good() -> Value {
    json!({
        "poa": {"act": "erp.order.read", "sub": "spiffe://atb.dev/agent/a", "amount": 10},
        "agent": {"id": "spiffe://atb.dev/agent/a"}
    })
}

/// The reason that a policy for calls gives to an input.
fn reason(rego: &str, given: &Value) -> String {
    let decision = ready(with_poa(&format!("package atb.poa\n\n{rego}\n"))).decide(&input(given));
    assert_eq!(decision.allow, decision.reason == "ok");
    decision.reason
}

#[test]
fn a_sound_call_is_allowed_and_stays_so() {
    let mut evaluator = base();
    for _ in 0..3 {
        assert!(evaluator.decide(&input(&good())).allow);
        assert_eq!(evaluator.decide(&input(&json!({}))).reason, "denied");
        assert!(evaluator.issue(&input(&good())).requirement.is_some());
        assert!(!evaluator.assess(&input(&good())).met);
    }
}

#[test]
fn null_arrays_texts_and_objects_in_place_of_a_number_are_denied() {
    let mut evaluator = base();
    for amount in [
        json!(null),
        json!([]),
        json!("10"),
        json!({}),
        json!(true),
        json!(5001),
        json!({"$serde_json::private::Number": "1"}),
    ] {
        let mut call = good();
        call["poa"]["amount"] = amount.clone();
        assert!(!evaluator.decide(&input(&call)).allow, "{amount}");
    }
    for (member, value) in [("sub", json!(null)), ("sub", json!(["spiffe://atb.dev/agent/a"])), ("act", json!(null))] {
        let mut call = good();
        call["poa"][member] = value.clone();
        call["agent"]["id"] = value.clone();
        assert!(!evaluator.decide(&input(&call)).allow, "{member} {value}");
    }
}

#[test]
fn an_input_that_is_not_json_is_an_error_of_the_policy() {
    let mut evaluator = base();
    for text in ["", "null x", "{", "{\"a\":1,\"a\":2}"] {
        assert_eq!(evaluator.decide(&PolicyInput::from_recorded(text.to_owned())).reason, "policy_error", "{text}");
    }
    assert_eq!(evaluator.decide(&PolicyInput::from_recorded("null".to_owned())).reason, "denied");
}

#[test]
fn no_decision_is_a_denial() {
    assert_eq!(reason(&format!("decision := {ALLOW} if input.never"), &json!({})), "policy_undefined");
}

#[test]
fn an_allow_that_is_not_boolean_is_a_denial() {
    for allow in ["\"true\"", "1", "null", "[true]", "{\"a\": true}", "{true}"] {
        let rego = format!("decision := {}", ALLOW.replace("true", allow));
        assert_eq!(reason(&rego, &json!({})), "policy_malformed", "{allow}");
    }
    assert_eq!(reason("decision := true", &json!({})), "policy_malformed");
}

#[test]
fn conflicting_rules_are_a_denial() {
    let rego = format!("decision := {ALLOW} if input.a\n\ndecision := {DENY} if input.b");
    assert_eq!(reason(&rego, &json!({"a": true, "b": true})), "policy_error");
    assert_eq!(reason(&rego, &json!({"a": true})), "ok");
}

#[test]
fn an_expensive_rule_ends_in_a_timeout_and_the_next_question_is_answered() {
    let rego = format!(
        "decision := {ALLOW} if input.cheap\n\ndecision := {ALLOW} if {{\n\tnot input.cheap\n\
         \tcount([1 | some a in input.xs; some b in input.xs; some c in input.xs; some d in input.xs; a + b + c + d < 0]) == 0\n}}"
    );
    let mut evaluator = ready(with_poa(&format!("package atb.poa\n\n{rego}\n")));
    let numbers: Vec<u32> = (0..300).collect();
    let start = Instant::now();
    assert_eq!(evaluator.decide(&input(&json!({"xs": numbers}))).reason, "policy_timeout");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert!(evaluator.decide(&input(&json!({"cheap": true}))).allow);
}

#[test]
fn a_panic_is_a_denial_and_the_next_question_is_answered() {
    let rego = format!("package atb.poa\n\ndecision := {ALLOW} if abs(input.x) > 0\n");
    let mut evaluator = ready(with_poa(&rego));
    let panics = |_: Vec<regorus::Value>| -> anyhow::Result<regorus::Value> { panic!("a builtin panics") };
    evaluator.engine.as_mut().unwrap().add_extension("abs".to_owned(), 1, Box::new(panics)).unwrap();
    assert_eq!(evaluator.decide(&input(&json!({"x": 1}))).reason, "policy_panic");
    assert!(evaluator.decide(&input(&json!({"x": 1}))).allow, "the engine was loaded anew, without the extension");
}

#[test]
fn a_package_over_several_files_denies_in_every_order_of_files() {
    let poa = format!(
        "package atb.poa\n\nimport data.guard\n\ndefault decision := {DENY}\n\ndecision := {ALLOW} if guard.open\n"
    );
    let whole = format!(
        "package atb.poa\n\ndefault decision := {DENY}\n\ndecision := {ALLOW} if {{\n\tdoc := data.guard\n\tdoc.open\n}}\n"
    );
    let parts = [
        "package guard\n\nopen if not denied\n",
        "package guard\n\ndenied if bad\n",
        "package guard\n\nbad if input.bad\n",
    ];
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for (poa, order) in [&poa, &whole].into_iter().flat_map(|poa| orders.map(|order| (poa, order))) {
        let names: Vec<String> = order.iter().map(|i| format!("policy/guard{i}.rego")).collect();
        let mut files = vec![("policy/poa.rego", poa.as_str()), ("policy/poa_test.rego", "package atb.poa_test\n")];
        files.extend(names.iter().map(String::as_str).zip(parts));
        let mut evaluator = ready(Arc::new(Bundle::parse(&with(&files)).unwrap()));
        assert!(!evaluator.decide(&input(&json!({"bad": true}))).allow, "{order:?}");
        assert!(evaluator.decide(&input(&json!({}))).allow, "{order:?}");
    }
}

#[test]
fn the_bundles_tests_are_run_and_a_failing_one_is_named() {
    assert_eq!(run_tests(&Arc::new(Bundle::parse(&with(&[])).unwrap())).unwrap().passed, 2);
    let failing = "package atb.poa_test\n\ntest_true if true\n\ntest_false if 1 == 2\n\ntest_text := \"x\"\n";
    let report = run_tests(&Arc::new(Bundle::parse(&with(&[("policy/poa_test.rego", failing)])).unwrap())).unwrap();
    assert_eq!(report.passed, 1);
    let failed: Vec<_> = report.failed.iter().map(|f| (f.name.as_str(), f.file.as_str(), f.line)).collect();
    assert_eq!(failed, [("test_false", "policy/poa_test.rego", 5), ("test_text", "policy/poa_test.rego", 7)]);
}

#[test]
fn a_test_never_takes_part_in_a_decision() {
    let opening = format!("package atb.poa\n\ndecision := {ALLOW} if input.from_a_test\n");
    let bundle = Bundle::parse(&with(&[("policy/opening_test.rego", &opening)])).unwrap();
    assert!(!ready(Arc::new(bundle)).decide(&input(&json!({"from_a_test": true}))).allow);
}

#[test]
fn an_error_of_the_engine_names_the_file_it_came_from() {
    let rego = "package atb.poa\n\none(x) := x\n\ndecision := one(1, 2, 3)\n";
    let error = Evaluator::new(with_poa(rego)).and_then(|mut e| e.prepare()).unwrap_err();
    assert_eq!(error.place, "policy/poa.rego:5", "{error}");
}

#[test]
fn any_rule_can_be_asked_for_and_a_function_or_a_stranger_cannot() {
    let mut evaluator = base();
    assert_eq!(evaluator.query("atb.poa.decision", &input(&good())).unwrap()["allow"], true);
    for path in ["atb.poa.nothing", "catalogue", "", "atb", "atb.poa_test.test_nobody_else_may"] {
        assert!(evaluator.query(path, &input(&good())).is_err(), "{path}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z.:/]{0,12}".prop_map(Value::from),
        Just(Value::from("erp.order.read")),
        Just(Value::from("spiffe://atb.dev/agent/a")),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map("(poa|act|sub|amount|agent|id|[a-z]{1,3})", inner, 0..6)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_input_but_a_sound_one_is_allowed_and_none_panics(values in prop::collection::vec(any_json(), 24)) {
        let mut evaluator = base();
        for value in values {
            let decision = evaluator.decide(&input(&value));
            let sound = value["poa"]["act"] == "erp.order.read"
                && value["poa"]["sub"].is_string()
                && value["poa"]["sub"] == value["agent"]["id"]
                && value["poa"]["amount"].as_f64().is_some_and(|amount| amount <= 5000.0);
            prop_assert_eq!(decision.allow, sound, "{}", value);
            prop_assert_ne!(decision.reason, "policy_panic");
        }
    }
}
