//! `atb policy bench`: figures, by entry point, tier and answer, and by rule.

use super::{bundle, policy, root};

#[test]
fn the_shipped_bundle_is_measured_over_its_own_cases() {
    let ran = policy(root(), &["bench", "--iterations", "3", "--warm-up", "1", "--format", "json", "opa"]).ok().json();
    let rows = ran["rows"].as_array().unwrap();
    let entry: Vec<_> = rows.iter().filter(|row| row["kind"] == "entry_point").collect();
    assert!(entry.iter().any(|row| row["query"] == "data.atb.poa.decision" && row["allow"] == true), "{rows:#?}");
    assert!(entry.iter().any(|row| row["allow"] == false) && rows.iter().any(|row| row["kind"] == "rule"), "{rows:#?}");
    for row in rows {
        let number = |name: &str| row[name].as_u64().unwrap();
        assert!(number("evaluations") > 0 && number("min_ns") > 0, "{row:#}");
        assert!(number("p50_ns") <= number("p99_ns") && number("p99_ns") <= number("max_ns"), "{row:#}");
    }
    assert!(ran["machine"]["processors"].as_u64().unwrap() > 0 && !ran["digest"].as_str().unwrap().is_empty());
}

#[test]
fn inputs_and_a_rule_can_be_named() {
    let folder = bundle(&[("policy/pol.rego", "package pol\n\nallow if input.n < 10\n\nmore := input.n + 1\n")]);
    std::fs::write(folder.path().join("inputs.json"), "[{\"n\": 1}, {\"n\": 2}]").unwrap();
    let args = ["bench", "opa", "-i", "inputs.json", "data.pol.allow", "--iterations", "20", "--threads", "2"];
    let ran = policy(folder.path(), &[&args[..], &["--format", "json"]].concat()).ok().json();
    assert_eq!((&ran["samples"], &ran["threads"]), (&2.into(), &2.into()));
    let evaluations = |query: &str| {
        let row = ran["rows"].as_array().unwrap().iter().find(|row| row["query"] == query).unwrap().clone();
        row["evaluations"].as_u64().unwrap()
    };
    assert_eq!((evaluations("data.pol.allow"), evaluations("data.pol.more")), (80, 20));
    let text = policy(folder.path(), &args).ok().out;
    assert!(
        text.starts_with("bundle  dev-") && text.contains("\nmachine ") && text.contains("data.pol.allow"),
        "{text}"
    );
    let none = policy(folder.path(), &["bench", "opa"]);
    assert!(none.code == 2 && none.err.contains("there is no input"), "{none:?}");
    let unknown = policy(folder.path(), &["bench", "opa", "-i", "inputs.json", "data.pol.nothing"]);
    assert!(unknown.code == 2 && unknown.err.contains("there is no rule `data.pol.nothing`"), "{unknown:?}");
}
