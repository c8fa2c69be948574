//! `atb policy test`: what `opa test` does, and what it does not.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{bundle, golden, policy, root};
use crate::process::{Ran, atb};
use crate::schemas::fits;

const PASSING: &str = "package x_test\n\ntest_one if 1 == 1\n\ntest_two if true\n";

fn vector(name: &str) -> String {
    std::fs::read_to_string(root().join("tests/vectors/policy_tool").join(name)).unwrap()
}

/// The base bundle with tests of every kind, most of which fail.
fn failing() -> tempfile::TempDir {
    let files = ["pol.rego", "pol_test.rego", "pol_cases.yaml"].map(|name| (format!("policy/{name}"), vector(name)));
    bundle(&files.each_ref().map(|(name, text)| (name.as_str(), text.as_str())))
}

/// The text with every duration as `(T)` or `time="T"`.
fn timeless(text: &str) -> String {
    let duration = regex_lite::Regex::new(r"\([0-9.]+(ns|µs|ms|s)\)").unwrap();
    let seconds = regex_lite::Regex::new("time=\"[0-9.]+\"").unwrap();
    seconds.replace_all(&duration.replace_all(text, "(T)"), "time=\"T\"").into_owned()
}

fn rows(ran: &Ran) -> Vec<Value> {
    ran.json().as_array().unwrap().clone()
}

#[test]
fn each_format_says_what_failed_where_and_with_which_values() {
    let folder = failing();
    let mut printed = String::new();
    for format in ["pretty", "json", "junit", "github"] {
        let ran = policy(folder.path(), &["test", "--format", format, "-r", "pol_test|cases"]);
        assert_eq!(ran.code, 2, "{ran:?}");
        let text = match format {
            "json" => {
                let mut rows = rows(&ran);
                rows.iter_mut().for_each(|row| row["duration"] = json!(0));
                format!("{:#}\n", json!(rows))
            }
            _ => timeless(&ran.out),
        };
        printed.push_str(&format!("# {format}\n{text}\n"));
    }
    golden("policy_test.txt", &printed);
}

#[test]
fn the_exit_code_is_that_of_opa_test() {
    let folder = bundle(&[("policy/x_test.rego", PASSING)]);
    let run = |args: &[&str]| policy(folder.path(), &[&["test"], args].concat());
    let passed = run(&[]);
    assert_eq!((passed.code, passed.out.as_str()), (0, "PASS: 4/4\n"), "{passed:?}");
    assert_eq!(run(&["-r", "nothing"]).code, 0);
    let empty = run(&["-r", "nothing", "--fail-on-empty"]);
    assert_eq!((empty.code, empty.err.as_str()), (1, "no tests were run\n"));
    assert_eq!(run(&["nowhere"]).code, 1);
    let skipped = bundle(&[("policy/x_test.rego", "package x_test\n\ntodo_test_a if false\n")]);
    assert_eq!(policy(skipped.path(), &["test", "-r", "todo"]).code, 2);
    let said = policy(skipped.path(), &["test", "-z", "-r", "todo"]);
    assert_eq!((said.code, said.out.lines().last()), (0, Some("SKIPPED: 1/1")), "{said:?}");
    let broken = bundle(&[("policy/x.rego", "package x\n\na := b\n")]);
    let broken = policy(broken.path(), &["test"]);
    assert!(broken.code == 1 && broken.err.contains("policy/x.rego:3:6"), "{broken:?}");
    assert_eq!(run(&["-r", "("]).code, 2, "a usage error");
}

#[test]
fn a_run_is_chosen_by_name_repeated_and_timed() {
    let folder = bundle(&[("policy/x_test.rego", PASSING)]);
    let run = |args: &[&str]| policy(folder.path(), &[&["test"], args].concat()).ok().out;
    assert_eq!(run(&["-r", "x_test.test_(one|two)$", "--count", "2"]), "PASS: 2/2\nPASS: 2/2\n");
    let verbose = run(&["-v", "-r", "test_one", "-b", "-p", "3", "opa"]);
    let line = "-".repeat(80);
    assert_eq!(
        timeless(&verbose),
        format!("opa/policy/x_test.rego:3:\ndata.x_test.test_one: PASS (T)\n{line}\nPASS: 1/1\n")
    );
    let timed = run(&["--bench", "-r", "test_one"]);
    assert!(timed.starts_with("data.x_test.test_one\t") && timed.contains(" ns/op\n"), "{timed}");
}

#[test]
fn a_test_that_ends_its_process_is_an_error_and_the_others_are_run() {
    let doubled: String = (0..24).map(|i| format!("\ta{} := concat(\"\", [a{i}, a{i}])\n", i + 1)).collect();
    let hungry = format!("test_hungry if {{\n\ta0 := \"{}\"\n{doubled}\tcount(a24) > 0\n}}", "x".repeat(900));
    let text = format!("{PASSING}\n{hungry}\n");
    let folder = bundle(&[("policy/x_test.rego", text.as_str())]);
    let ran = policy(folder.path(), &["test", "--format", "json", "-r", "x_test", "-p", "2"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    let rows = rows(&ran);
    assert_eq!(rows.len(), 3, "{rows:#?}");
    for row in rows {
        let message = row["error"]["message"].as_str().unwrap_or_default();
        assert_eq!(message.contains("ended the process"), row["name"] == "test_hungry", "{row:#}");
    }
}

#[test]
fn a_test_that_takes_long_ends_at_its_time() {
    let loops = "count([1 | some a in xs; some b in xs; some c in xs; some d in xs; a + b + c + d < 0]) == 0";
    let text = format!("package x_test\n\nxs := numbers.range(1, 1000)\n\ntest_long if {loops}\n");
    let folder = bundle(&[("policy/x_test.rego", text.as_str())]);
    let start = Instant::now();
    let ran = policy(folder.path(), &["test", "--timeout", "200ms", "-r", "test_long"]);
    assert!(ran.code == 2 && ran.out.contains("ERROR: 1/1"), "{ran:?}");
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

#[test]
fn coverage_is_opas_report_and_its_threshold_fails_the_run() {
    let policy_text = vector("pol.rego");
    let tests = "package pol_test\n\ntest_ok if data.pol.allow with input as {\"user\": \"alice\", \"n\": 1}\n";
    let folder = bundle(&[("policy/pol.rego", policy_text.as_str()), ("policy/pol_test.rego", tests)]);
    let run = |args: &[&str]| policy(folder.path(), &[&["test", "-r", "pol_test"], args].concat());
    let report = run(&["--coverage"]).ok().json();
    let file = &report["files"]["opa/policy/pol.rego"];
    let starts = |list: &str| -> Vec<u64> {
        file[list].as_array().unwrap().iter().map(|range| range["start"]["row"].as_u64().unwrap()).collect()
    };
    // What `opa test --coverage` says of the same files, row by row, but for the default: this engine always looks at it.
    assert_eq!(starts("covered"), [3, 5, 6, 7]);
    assert_eq!(starts("not_covered"), [10, 12, 14]);
    assert_eq!((&file["covered_lines"], &file["not_covered_lines"]), (&json!(4), &json!(3)));
    assert_eq!(report["files"]["opa/policy/pol_test.rego"]["coverage"], json!(100.0));
    let below = run(&["--threshold", "99", "-v"]);
    assert_eq!(below.code, 2, "{below:?}");
    assert!(
        below.err.contains("Code coverage threshold not met") && below.err.contains("\topa/policy/pol.rego:10\n"),
        "{below:?}"
    );
    run(&["--threshold", "5"]).ok();
    let beside = run(&["--coverage", "--format", "junit"]).ok();
    assert!(beside.out.contains("<testsuites") && beside.err.starts_with("coverage: "), "{beside:?}");
}

#[test]
fn the_shipped_policy_passes_is_covered_and_its_cases_fit_their_schema() {
    let ran = policy(root(), &["test", "--threshold", "98", "opa"]).ok();
    let report = ran.json();
    assert!(report["coverage"].as_f64().unwrap() >= 98.0);
    let cases = std::fs::read_to_string(root().join("opa/policy/cases/calls_cases.yaml")).unwrap();
    fits("policy-cases", &serde_saphyr::from_str::<Value>(&cases).unwrap());
    policy(root(), &["test", "opa", "opa.tests"]).ok();
    let listed = policy(root(), &["test", "--format", "json", "-r", "^cases\\.", "opa"]).ok();
    assert!(rows(&listed).len() >= 5);
}

#[test]
fn a_table_with_an_unknown_member_refuses_the_bundle_with_its_line() {
    let text = vector("pol_cases.yaml").replace("expect: false", "expects: false");
    let folder = bundle(&[("policy/pol.rego", &vector("pol.rego")), ("policy/pol_cases.yaml", &text)]);
    let ran = policy(folder.path(), &["test"]);
    assert!(ran.code == 1 && ran.err.contains("policy/pol_cases.yaml:13:"), "{ran:?}");
}

#[test]
fn watching_runs_the_tests_again_when_a_file_changes() {
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;

    let folder = bundle(&[("policy/x_test.rego", PASSING)]);
    let mut command = atb(["policy", "test", "--watch", "-r", "x_test"]);
    let mut child = command.current_dir(folder.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "PASS: 2/2"));
    let more = format!("{PASSING}\ntest_three if false\n");
    std::fs::write(folder.path().join("opa/policy/x_test.rego"), more).unwrap();
    assert!(lines.any(|line| line == "FAIL: 1/3"));
    child.kill().unwrap();
    child.wait().unwrap();
}
