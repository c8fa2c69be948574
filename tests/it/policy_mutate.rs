//! `atb policy mutate`: a small bundle whose tests leave known gaps.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn bundle() -> PathBuf {
    root().join("tests/vectors/policy/mutate")
}

fn mutate(path: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atb"));
    command.current_dir(root()).args(["policy", "mutate", path.to_str().unwrap(), "-j", "2"]).args(args);
    command.output().unwrap()
}

fn report(args: &[&str]) -> Value {
    let output = mutate(&bundle(), &[args, &["--format", "json"]].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

/// Each survivor as `file:line:column original -> mutated`.
fn survivors(report: &Value) -> Vec<String> {
    let one = |s: &Value| {
        let text = |name: &str| s[name].as_str().unwrap().to_owned();
        format!("{}:{}:{} {} -> {}", text("file"), s["line"], s["column"], text("original"), text("mutated"))
    };
    report["survivors"].as_array().unwrap().iter().map(one).collect()
}

/// A copy of the bundle, to be changed.
fn copied() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut pending = vec![bundle()];
    while let Some(at) = pending.pop() {
        let to = folder.path().join(at.strip_prefix(bundle()).unwrap());
        if at.is_dir() {
            fs::create_dir_all(&to).unwrap();
            pending.extend(fs::read_dir(&at).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            fs::copy(&at, &to).unwrap();
        }
    }
    folder
}

#[test]
fn what_no_test_notices_is_listed_with_its_place_and_nothing_else_is() {
    let report = report(&["--file", "poa.rego"]);
    let expected = [
        "policy/poa.rego:19:2 input.poa.sub == input.agent.id -> true",
        "policy/poa.rego:21:2 known -> true",
        "policy/poa.rego:36:47 <= -> <",
        "policy/poa.rego:38:10 data.agents[input.poa.sub] -> true",
    ];
    assert_eq!(survivors(&report), expected, "{report:#}");
    let total = &report["total"];
    assert_eq!(total["mutants"].as_u64().unwrap(), total["killed"].as_u64().unwrap() + 4, "{total}");
}

#[test]
fn a_short_way_that_is_narrower_is_noticed_by_the_way_that_a_test_takes() {
    let with = report(&["--rule", "atb.poa.usual"]);
    assert!(with["total"]["detours"].as_u64().unwrap() >= 1, "{with:#}");
    assert_eq!(with["total"]["survived"], 0, "{with:#}");
    let folder = copied();
    let policy = folder.path().join("policy/poa.rego");
    let text = fs::read_to_string(&policy).unwrap().replace("fast_path: true", "fast_path: false");
    fs::write(&policy, text).unwrap();
    let output = mutate(folder.path(), &["--rule", "atb.poa.usual", "--format", "json"]);
    let without: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(without["total"]["survived"].as_u64().unwrap() >= 1, "{without:#}");
}

#[test]
fn data_that_ask_for_less_are_mutants_too() {
    let report = report(&["--file", "data.json", "--catalogue"]);
    let survivors = survivors(&report);
    for gap in ["100 -> 101", "1 -> 0", "\"medium\" -> \"low\""] {
        assert!(survivors.iter().any(|s| s.ends_with(gap)), "{gap} {survivors:#?}");
    }
    // The limit that is not there is noticed: the larger call is denied.
    assert!(!survivors.iter().any(|s| s.contains("\"amount\": {\"max\"")), "{survivors:#?}");
    // A critical tier that asks an executive but fewer people than executives does not load.
    assert!(report["total"]["mutants"].as_u64().unwrap() > 5, "{report:#}");
}

#[test]
fn the_same_seed_tries_the_same_mutants() {
    let sample = |seed: &str| report(&["--sample", "12", "--seed", seed]);
    let (one, again, other) = (sample("7"), sample("7"), sample("8"));
    assert_eq!(one, again);
    assert_ne!(one, other);
    assert_eq!(one["partial"], true);
}

#[test]
fn an_accepted_survivor_does_not_count_and_an_entry_without_survivor_is_a_finding() {
    let accepted = "- file: policy/poa.rego\n  rule: atb.poa.within\n  original: \"<=\"\n  mutated: \"<\"\n  reason: amounts are whole\n";
    // Beside the bundle and after its name, where OPA does not load it.
    let folder = copied();
    let place = tempfile::tempdir().unwrap();
    let bundle = place.path().join("own");
    fs::rename(folder.path(), &bundle).unwrap();
    let file = place.path().join("own.mutants.yaml");
    fs::write(&file, accepted).unwrap();
    let run = || {
        let output = mutate(&bundle, &["--threshold", "1", "--format", "json"]);
        (output.status.code(), serde_json::from_slice::<Value>(&output.stdout).unwrap_or_default())
    };
    let (code, report) = run();
    assert_eq!((code, &report["total"]["accepted"]), (Some(0), &Value::from(1)), "{report:#}");
    fs::write(&file, accepted.replace("\"<\"", "\">\"")).unwrap();
    let (code, report) = run();
    assert_eq!((code, report["stale"].as_array().unwrap().len()), (Some(1), 1), "{report:#}");
    fs::write(&file, accepted.replace("amounts are whole", "\"\"")).unwrap();
    assert_eq!(run().0, Some(2));
}

#[test]
fn the_score_decides_and_tests_that_fail_already_are_no_measure() {
    assert_eq!(mutate(&bundle(), &["--file", "poa.rego", "--threshold", "100"]).status.code(), Some(1));
    assert_eq!(mutate(&bundle(), &["--file", "poa.rego", "--threshold", "80"]).status.code(), Some(0));
    let folder = copied();
    fs::write(folder.path().join("policy/no_test.rego"), "package no_test\n\ntest_no if false\n").unwrap();
    let output = mutate(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no_test.test_no"), "{output:?}");
    fs::remove_file(folder.path().join("policy/no_test.rego")).unwrap();
    fs::remove_file(folder.path().join("policy/poa_test.rego")).unwrap();
    assert_eq!(mutate(folder.path(), &[]).status.code(), Some(2), "no tests");
}

#[test]
fn a_mutant_that_does_not_end_is_noticed_by_its_time() {
    let folder = copied();
    let loops = "package slow\n\ntest_ends if {\n\tcount([1 | data.atb.poa.guard; some a in xs; some b in xs; some c in xs; some d in xs; a + b + c + d < 0]) == 0\n}\n\nxs := numbers.range(1, 200)\n";
    fs::write(folder.path().join("policy/slow_test.rego"), loops).unwrap();
    let policy = folder.path().join("policy/poa.rego");
    let text = fs::read_to_string(&policy).unwrap() + "\nguard if input.never == 1\n";
    fs::write(&policy, text).unwrap();
    let output = mutate(folder.path(), &["--rule", "atb.poa.guard", "--format", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["total"]["timed_out"].as_u64().unwrap() >= 1, "{report:#}");
}

#[test]
fn the_markdown_for_a_pull_request_is_this() {
    let output = mutate(&bundle(), &["--file", "poa.rego", "--format", "markdown"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let text: String = text.lines().map(|l| if l.contains("of bundle") { l.split(" of bundle").next().unwrap().to_owned() } else { l.to_owned() } + "\n").collect();
    let golden = root().join("tests/golden/policy_mutate.md");
    if std::env::var_os("ATB_BLESS").is_some() {
        fs::write(&golden, &text).unwrap();
    }
    assert_eq!(text, fs::read_to_string(&golden).unwrap_or_default());
}

/// The whole score is a run of minutes; a sample that is the same on every machine is one of seconds.
#[test]
fn a_fixed_sample_of_mutants_of_the_shipped_policy_is_noticed_by_its_tests() {
    let mut command = super::process::atb(["policy", "mutate", "--sample", "30", "--seed", "1", "--threshold", "75"]);
    let ran =
        super::process::Ran::of(command.args(["-j", "2", "--format", "json"]).arg(root().join("opa"))).ok().json();
    let tried = ran["total"]["mutants"].as_u64().unwrap() + ran["total"]["stillborn"].as_u64().unwrap();
    assert_eq!((tried, &ran["partial"]), (30, &true.into()), "{ran:#}");
}

/// They are no part of the bundle: no activation waits for them.
#[test]
fn further_tests_beside_the_bundle_are_asked_too_and_are_tests_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (here, beside) = (folder.path().join("pol"), folder.path().join("pol.tests"));
    fs::rename(copied().keep(), &here).unwrap();
    fs::create_dir(&beside).unwrap();
    let alone = mutate(&here, &["--file", "poa.rego", "--format", "json"]);
    let at_the_limit = "package atb.poa_test\n\n\
        test_the_limit_may if poa.decision == permit with input as asked(holder, 100)\n";
    fs::write(beside.join("limit_test.rego"), at_the_limit).unwrap();
    let with_them = mutate(&here, &["--file", "poa.rego", "--format", "json"]);
    let left = |output: &Output| survivors(&serde_json::from_slice(&output.stdout).unwrap());
    let noticed: Vec<_> = left(&alone).into_iter().filter(|one| !left(&with_them).contains(one)).collect();
    assert_eq!(noticed, ["policy/poa.rego:36:47 <= -> <"]);

    let other = folder.path().join("other");
    fs::rename(&beside, &other).unwrap();
    assert_eq!(left(&mutate(&here, &["--file", "poa.rego", "--format", "json"])), left(&alone));
    let named = ["--file", "poa.rego", "--format", "json", "--tests", other.to_str().unwrap()];
    assert_eq!(left(&mutate(&here, &named)), left(&with_them));

    fs::write(other.join("allow.rego"), "package atb.more\n").unwrap();
    let refused = mutate(&here, &["--tests", other.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("allow.rego` is no test"), "{said}");
}
