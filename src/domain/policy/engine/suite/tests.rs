use std::sync::Arc;

use serde_json::json;

use super::{Coverage, Outcome, Suite, TestItem, Verdict, discover};
use crate::domain::policy::Bundle;
use crate::domain::policy::bundle::samples::with;

const POLICY: &str = "package pol

default allow := false

allow if {
	input.user == \"alice\"
	input.n < 10
}

f(x) := x + 1
";

fn bundle(tests: &str) -> Arc<Bundle> {
    Arc::new(Bundle::parse(&with(&[("policy/pol.rego", POLICY), ("policy/pol_test.rego", tests)])).unwrap())
}

fn ran(tests: &str) -> Vec<(TestItem, Outcome)> {
    let bundle = bundle(&format!("package pol_test\n\nimport data.pol\n\n{tests}"));
    let mut suite = Suite::new(Arc::clone(&bundle)).unwrap();
    let items = discover(&bundle).into_iter().filter(|item| item.package == "data.pol_test");
    items.map(|item| (item.clone(), suite.run(&item))).collect()
}

/// The statement that failed, its line, and the values of its terms.
fn why(tests: &str) -> (String, usize, Vec<(String, String)>) {
    let (_, outcome) = ran(tests).remove(0);
    let why = outcome.explanations.first().unwrap_or_else(|| panic!("{outcome:?}")).clone();
    let values = why.values.into_iter().map(|v| (v.term, v.value)).collect();
    (why.text, why.line, values)
}

fn pair(term: &str, value: &str) -> (String, String) {
    (term.to_owned(), value.to_owned())
}

#[test]
fn the_statement_that_fails_is_named_with_the_values_of_its_terms() {
    assert_eq!(
        why("test_a if {\n\tx := 5\n\ty := pol.f(x)\n\ty == 7\n\tpol.allow\n}\n"),
        ("y == 7".to_owned(), 8, vec![pair("y", "6")])
    );
    assert_eq!(
        why("test_a if pol.allow with input as {\"user\": \"bob\", \"n\": 3}\n").2,
        [pair("pol.allow", "false")]
    );
    assert_eq!(
        why("test_a if {\n\tx := 2\n\tpol.f(x) + 1 > 7\n}\n").2,
        [pair("pol.f(x) + 1", "4"), pair("pol.f(x)", "3"), pair("x", "2")]
    );
    assert_eq!(why("test_a if 1 / 0 == 1\n").2, [pair("1 / 0", "undefined")]);
    assert_eq!(why("test_a if \"a\" in [\"b\"]\n").0, "\"a\" in [\"b\"]");
}

#[test]
fn inside_of_an_every_the_element_is_named() {
    let (text, line, values) = why("test_a if {\n\tevery x in [1, 2, 3] {\n\t\tx > 0\n\t\tx < 3\n\t}\n}\n");
    assert_eq!((text.as_str(), line, values), ("x < 3", 8, vec![pair("x", "3")]));
}

#[test]
fn a_value_that_is_not_true_fails_and_a_todo_is_not_run() {
    let verdicts: Vec<_> = ran("test_false := false\n\ntest_text := \"x\"\n\ntodo_test_later if 1 / 0\n\ntest_conflict := x if some x in [true, false]\n")
        .into_iter()
        .map(|(item, outcome)| (item.name, outcome.verdict))
        .collect();
    assert_eq!(verdicts[0].1, Verdict::Failed("false".to_owned()));
    assert_eq!(verdicts[1].1, Verdict::Failed("\"x\"".to_owned()));
    assert_eq!(verdicts[2], ("todo_test_later".to_owned(), Verdict::Skipped));
    assert!(matches!(&verdicts[3].1, Verdict::Error(text) if text.contains("policy/pol_test.rego:11")), "{verdicts:?}");
}

#[test]
fn each_case_of_a_test_is_reported_by_name_the_failed_ones_too() {
    let tests = "test_cases[name] if {\n\tsome name, tc in {\"one\": {\"n\": 1}, \"two\": {\"n\": 100}}\n\tgot := pol.allow with input as {\"user\": \"alice\", \"n\": tc.n}\n\tgot == true\n}\n\n\
                 test_deep[a][b] if {\n\tsome a in [\"x\", \"y\"]\n\tsome b in [1, 2]\n\tb < 2\n}\n\n\
                 test_fine[name] if {\n\tsome name in [\"only\"]\n\tname != \"\"\n}\n";
    let ran = ran(tests);
    let [cases, deep, fine] = ran.as_slice() else { panic!("{ran:?}") };
    assert!(matches!(cases.1.verdict, Verdict::Failed(_)));
    let fail: Vec<_> = cases.1.cases.iter().map(|(name, case)| (name.as_str(), case.fail)).collect();
    assert_eq!(fail, [("one", false), ("two", true)]);
    let why = &cases.1.explanations[0];
    assert_eq!((why.case.join("/"), why.text.as_str(), why.line), ("two".to_owned(), "got == true", 8));
    assert_eq!(why.values[0].value, "false");
    // Whether the engine can name its cases or not, a test with a case that fails has not passed.
    assert_ne!(deep.1.verdict, Verdict::Passed, "{deep:?}");
    assert_eq!(fine.1.verdict, Verdict::Passed);
}

#[test]
fn a_table_changes_its_input_and_compares_what_it_names() {
    let table = "calls:
  query: data.pol.allow
  input: data.pol_test.alice
  cases:
    - name: within the bound
      expect: true
    - name: beyond the bound
      set: {/n: 10}
      expect: false
    - name: wrong on purpose
      remove: [/user]
      expect: true
    - name: nothing to remove
      remove: [/user/name]
      expect: true
whole:
  query: data.pol_test.view
  input: {n: 1}
  data: {catalogue: {replaced: true}}
  cases:
    - name: a part of an object
      expect: {n: 1, replaced: {replaced: true}}
    - name: another part
      expect: {n: 2, missing: 1}
";
    let tests = "package pol_test\n\nalice := {\"user\": \"alice\", \"n\": 1}\n\nview := {\"n\": input.n, \"replaced\": data.catalogue, \"more\": 1}\n";
    let files = with(&[("policy/pol.rego", POLICY), ("policy/pol_test.rego", tests), ("policy/x_cases.yaml", table)]);
    let bundle = Arc::new(Bundle::parse(&files).unwrap());
    let mut suite = Suite::new(Arc::clone(&bundle)).unwrap();
    let items = discover(&bundle).into_iter().filter(|item| item.case.is_some());
    let ran: Vec<_> = items.map(|item| (item.full_name(), suite.run(&item))).collect();
    let passed: Vec<bool> = ran.iter().map(|(_, outcome)| outcome.verdict == Verdict::Passed).collect();
    assert_eq!(passed, [true, true, false, false, true, false], "{ran:#?}");
    assert_eq!(ran[2].1.explanations[0].values[0].value, "false, expected true");
    assert!(matches!(&ran[3].1.verdict, Verdict::Error(text) if text.contains("policy/x_cases.yaml:13")), "{ran:#?}");
    let differences: Vec<_> =
        ran[5].1.explanations[0].values.iter().map(|v| (v.term.as_str(), v.value.as_str())).collect();
    assert_eq!(differences, [("/n", "1, expected 2"), ("/missing", "nothing, expected 1")]);
}

#[test]
fn the_lines_of_each_test_are_told_apart() {
    let bundle = bundle(
        "package pol_test\n\nimport data.pol\n\ntest_f if pol.f(1) == 2\n\ntest_no if not pol.allow with input as {\"user\": \"bob\"}\n",
    );
    let mut suite = Suite::new(Arc::clone(&bundle)).unwrap().measured().unwrap();
    let all = suite.uncovered();
    let lines = |name: &str, suite: &mut Suite| {
        let item = discover(&bundle).into_iter().find(|item| item.name == name).unwrap();
        suite.run(&item);
        let mut taken = Coverage::default();
        suite.covered(&mut taken);
        let of_policy = taken.covered.into_iter().filter(|range| range.file == "policy/pol.rego");
        of_policy.map(|range| range.start.0).collect::<Vec<_>>()
    };
    assert_eq!(lines("test_f", &mut suite), [10]);
    let no = lines("test_no", &mut suite);
    assert!(no.contains(&6) && !no.contains(&7) && !no.contains(&5) && !no.contains(&10), "{no:?}");
    let policy: Vec<_> = all.missed.iter().filter(|r| r.file == "policy/pol.rego").map(|r| r.start.0).collect();
    assert_eq!(policy, [3, 5, 6, 7, 10]);
}

#[test]
fn a_query_is_answered_as_opa_eval_does() {
    let mut suite = Suite::new(bundle("package pol_test\n\nalice := {\"user\": \"alice\", \"n\": 1}\n")).unwrap();
    let answer =
        suite.eval("x := data.pol.f(3)\ndata.pol.allow with input as data.pol_test.alice", &json!({})).unwrap();
    let expressions = &answer["result"][0]["expressions"];
    assert_eq!(expressions[0], json!({"value": true, "text": "x := data.pol.f(3)", "location": {"row": 1, "col": 1}}));
    assert_eq!(expressions[1]["text"], "data.pol.allow with input as data.pol_test.alice");
    assert_eq!((&expressions[1]["value"], &expressions[1]["location"]["row"]), (&json!(true), &json!(2)));
    assert_eq!(answer["result"][0]["bindings"], json!({"x": 4}));
    assert_eq!(suite.eval("data.pol.nothing", &json!({})).unwrap(), json!({}));
}
