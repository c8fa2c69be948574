//! `atb policy eval`: answers in `opa eval`'s shape.

use serde_json::json;

use super::{bundle, policy};
use crate::process::Ran;

const POLICY: &str = "package pol\n\nf(x) := x + 1\n\nallow if input.n < 10\n\nfar if data.extra.far\n";

fn eval(args: &[&str]) -> Ran {
    let folder = bundle(&[
        ("policy/pol.rego", POLICY),
        ("policy/pol_test.rego", "package pol_test\n\none := {\"n\": 1}\n"),
        ("extra/data.json", "{\"near\": true}"),
    ]);
    std::fs::write(folder.path().join("input.json"), "{\"n\": 1}").unwrap();
    std::fs::write(folder.path().join("extra.json"), "{\"extra\": {\"far\": true}}").unwrap();
    policy(folder.path(), &[&["eval"], args].concat())
}

#[test]
fn an_answer_has_the_shape_of_opa_eval() {
    let value = eval(&["-d", "opa", "-i", "input.json", "data.pol.allow"]).ok().json();
    let location = json!({"row": 1, "col": 1});
    let expected =
        json!({"result": [{"expressions": [{"value": true, "text": "data.pol.allow", "location": location}]}]});
    assert_eq!(value, expected);
    let bound = eval(&["x := data.pol.f(3)"]).ok().json();
    assert_eq!(bound["result"][0]["bindings"], json!({"x": 4}));
    let mocked = eval(&["data.pol.allow with input as data.pol_test.one"]).ok().json();
    assert_eq!(mocked["result"][0]["expressions"][0]["value"], true);
    assert_eq!(mocked["result"][0]["expressions"][0]["text"], "data.pol.allow with input as data.pol_test.one");
    assert_eq!(eval(&["data.pol.allow"]).ok().json(), json!({}), "undefined");
    let metrics = eval(&["--metrics", "1"]).ok().json();
    assert!(metrics["metrics"]["timer_rego_query_eval_ns"].as_u64().unwrap() > 0);
}

#[test]
fn each_format_prints_what_opa_eval_prints() {
    for (format, query, expected) in [
        ("pretty", "data.pol_test.one", "{\n  \"n\": 1\n}\n"),
        ("pretty", "data.pol.allow", "undefined\n"),
        ("pretty", "x := 3", "┌───┐\n│ x │\n├───┤\n│ 3 │\n└───┘\n"),
        ("values", "x := 3; [x, 4]", "[\n  true,\n  [\n    3,\n    4\n  ]\n]\n"),
        ("raw", "\"a\"; [3]", "a [3]\n"),
    ] {
        assert_eq!(eval(&["--format", format, query]).ok().out, expected, "{format} {query}");
    }
}

#[test]
fn what_is_defined_can_be_the_exit_code() {
    assert_eq!(eval(&["--fail", "data.pol.allow"]).code, 1);
    eval(&["--fail", "-i", "input.json", "data.pol.allow"]).ok();
    assert_eq!(eval(&["--fail-defined", "1"]).code, 1);
    eval(&["--fail-defined", "data.pol.allow"]).ok();
}

#[test]
fn more_data_can_be_laid_beside_the_bundle() {
    let value = eval(&["--data", "extra.json", "--format", "raw", "data.pol.far"]).ok();
    assert_eq!(value.out, "true\n");
}

#[test]
fn a_query_outside_of_the_profile_is_refused_with_its_place() {
    let refused = eval(&["1 == 1\nhttp.send({})"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    let error = &refused.json()["errors"][0];
    assert_eq!(error["location"], json!({"file": "", "row": 2, "col": 1}), "{error:#}");
    assert!(error["message"].as_str().unwrap().contains("`http.send`"), "{error:#}");
    let text = eval(&["--format", "pretty", "x +"]);
    assert!(text.code == 2 && text.err.starts_with("query:"), "{text:?}");
    assert_eq!(eval(&["-i", "nowhere.json", "1"]).code, 2);
}

#[test]
fn a_query_that_does_not_end_is_ended() {
    let xs = "xs := numbers.range(1, 1000)";
    let query = format!("{xs}; count([1 | some a in xs; some b in xs; some c in xs; a + b + c < 0]) == 0");
    let ended = eval(&["--timeout", "100ms", &query]);
    assert!(ended.code == 2 && ended.out.contains("time limit"), "{ended:?}");
    let doubled: String = (0..24).map(|i| format!("a{} := concat(\"\", [a{i}, a{i}])\n", i + 1)).collect();
    let hungry = eval(&[&format!("a0 := \"{}\"\n{doubled}count(a24) > 0", "x".repeat(900))]);
    assert!(hungry.code == 2 && hungry.err.contains("ended the process"), "{hungry:?}");
}

#[test]
fn many_inputs_are_answered_one_a_line_in_their_order() {
    let folder = bundle(&[("policy/pol.rego", POLICY), ("extra/data.json", "{\"near\": true}")]);
    let inputs: Vec<String> = (0..12_000).map(|n| format!("{{\"n\": {}}}", n % 20)).collect();
    std::fs::write(folder.path().join("inputs.jsonl"), format!("{}\n\n", inputs.join("\n"))).unwrap();
    let run = |args: &[&str]| policy(folder.path(), &[&["eval", "--inputs", "inputs.jsonl"], args].concat());
    let many = run(&["-p", "3", "data.pol.allow"]).ok();
    let expected: Vec<&str> = (0..12_000).map(|n| if n % 20 < 10 { "{\"result\":true}" } else { "{}" }).collect();
    assert!(many.out.lines().eq(expected), "{}", &many.out[..200]);
    assert_eq!(run(&["--fail", "data.pol.allow"]).code, 1);
    let unknown = run(&["data.pol.alow"]);
    assert!(unknown.code == 2 && unknown.err.contains("data.pol.alow is no rule of the policy"), "{unknown:?}");
    let query = run(&["x := data.pol.allow"]);
    assert!(query.code == 2 && query.err.contains("the path of a rule"), "{query:?}");
    std::fs::write(folder.path().join("inputs.jsonl"), "{\"n\": 1}\n{\"n\": 1, \"n\": 2}\n{\"n\": 2}").unwrap();
    let twice = run(&["data.pol.allow"]);
    let said = "{\"result\":true}\n{\"error\":\"policy_error\"}\n{\"result\":true}\n";
    assert_eq!((twice.code, twice.out.as_str()), (1, said), "a member twice is no input: {twice:?}");
}
