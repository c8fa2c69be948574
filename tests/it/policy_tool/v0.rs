//! Bundles of Rego v0: by `--v0-compatible`, or by what the manifest says.

use super::{bundle, policy};

const FILES: [(&str, &str); 4] = [
    ("policy/approval.rego", "package atb.approval\n\nassessment = {} { true }\n"),
    ("policy/issue.rego", "package atb.issue\n\ndecision = {} { true }\n"),
    (
        "policy/poa.rego",
        "package atb.poa\n\ndecision = {\"reason\": reason}\n\ndefault reason = \"none\"\n\nreason = \"many\" {\n\tinput.xs[i] > 1\n\tnot kept[input.xs[i]]\n}\n\nkept[x] { x = 2 }\n",
    ),
    (
        "policy/poa_test.rego",
        "package atb.poa_test\n\ntest_many { data.atb.poa.reason == \"many\" with input as {\"xs\": [1, 3]} }\n\ntest_kept { data.atb.poa.reason == \"none\" with input as {\"xs\": [1, 2]} }\n\ntest_any { any([false, true]) }\n",
    ),
];

#[test]
fn a_bundle_of_v0_is_checked_tested_and_evaluated_where_it_is_said_to_be_one() {
    let folder = bundle(&FILES);
    let run = |args: &[&str]| policy(folder.path(), args);
    std::fs::write(folder.path().join("input.json"), "{\"xs\": [3]}").unwrap();
    let query = ["eval", "-d", "opa", "-i", "input.json", "--format", "raw", "data.atb.poa.decision.reason"];
    let with = |args: &[&str]| run(&[args, &["--v0-compatible"][..]].concat());

    let refused = run(&query);
    assert!(refused.code == 2 && refused.err.contains("`if` keyword is required"), "{refused:?}");
    assert_eq!(with(&query).ok().out, "many\n");
    assert_eq!(run(&["test", "opa"]).code, 1);
    let tested = with(&["test", "opa"]).ok().out;
    assert!(tested.contains("PASS: 3/3"), "{tested}");
    assert_eq!(run(&["check", "opa"]).code, 1);
    let checked = with(&["check", "opa"]).out;
    for note in [
        "opa/policy/poa.rego:12:1: note[rego-v0]: Rego v0: `kept[x] { x = 2 }`; in Rego v1: `kept contains x if { x = 2 }`",
        "opa/policy/poa_test.rego:7:12: note[rego-v0]: `any` is withdrawn in OPA 1; in Rego v1: `true in xs`",
    ] {
        assert!(checked.contains(note), "{note}\n{checked}");
    }

    std::fs::write(folder.path().join("opa/.manifest"), "{\"rego_version\": 0}").unwrap();
    assert_eq!(run(&query).ok().out, "many\n");
    assert!(run(&["test", "opa"]).ok().out.contains("PASS: 3/3"));

    // What the manifest says goes before the flag.
    std::fs::write(folder.path().join("opa/.manifest"), "{\"rego_version\": 1}").unwrap();
    assert_eq!(with(&["test", "opa"]).code, 1);
}
