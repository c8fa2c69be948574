use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::{RegoText, RegoVersion};
use crate::domain::policy::Bundle;
use crate::domain::policy::bundle::samples::{vectors, with};

/// Every file of `tests/vectors/bundle/rego` is added to the base bundle; its first line says what is found:
/// `# finding: LINE: TEXT` or `# finding: TEXT`.
#[test]
fn every_hostile_rego_file_is_refused_with_its_finding_at_once() {
    let mut seen = 0;
    for entry in std::fs::read_dir(vectors().join("rego")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let expected = text.lines().next().unwrap().strip_prefix("# finding: ").expect(name);
        let (line, what) = match expected.split_once(':') {
            Some((line, what)) if line.parse::<usize>().is_ok() => (line.parse().ok(), what.trim()),
            _ => (None, expected),
        };
        let start = Instant::now();
        let error = Bundle::parse(&with(&[("policy/hostile.rego", &text)])).expect_err(name);
        assert!(start.elapsed() < Duration::from_secs(2), "{name} took {:?}", start.elapsed());
        let fits = |f: &&crate::domain::policy::bundle::Finding| {
            f.what.contains(what) && line.is_none_or(|line: usize| f.line == line && f.file == "policy/hostile.rego")
        };
        assert!(error.findings().iter().any(|f| fits(&f)), "{name}: wanted `{expected}`, got\n{error}");
        seen += 1;
    }
    assert!(seen >= 28, "{seen}");
}

const ENTRIES: [(&str, &str); 3] = [
    ("a.rego", "package atb.poa\n\ndecision := 1"),
    ("b.rego", "package atb.issue\n\ndecision := 1"),
    ("c.rego", "package atb.approval\n\nassessment := 1"),
];

fn admit(texts: &[(&str, &str)], data: &Map<String, Value>) -> Result<super::Modules, Vec<super::Finding>> {
    let texts: Vec<_> = texts.iter().map(|(path, text)| RegoText { path, text, version: RegoVersion::V1 }).collect();
    super::admit(&texts, data)
}

fn findings(more: &[(&str, &str)], data: &Value) -> Vec<String> {
    let texts: Vec<_> = ENTRIES.iter().chain(more).copied().collect();
    let data: Map<String, Value> = data.as_object().unwrap().clone();
    admit(&texts, &data).err().into_iter().flatten().map(|f| f.to_string()).collect()
}

#[test]
fn a_chain_longer_than_the_bound_is_refused_and_one_as_long_is_not() {
    let chain = |n: usize| {
        let links: String = (1..n).map(|i| format!("r{i} := r{}\n", i + 1)).collect();
        format!("package p\n\n{links}r{n} := 1\n")
    };
    assert_eq!(findings(&[("d.rego", &chain(super::MAX_CHAIN))], &json!({})), Vec::<String>::new());
    assert!(
        findings(&[("d.rego", &chain(super::MAX_CHAIN + 1))], &json!({}))[0]
            .contains("d.rego:3:1: a chain of more than 64")
    );
    assert!(findings(&[("d.rego", &chain(600))], &json!({}))[0].contains("chain"));
}

#[test]
fn recursion_over_two_packages_is_refused() {
    let found = findings(
        &[("d.rego", "package x\n\nimport data.y\n\nf(a) := y.g(a)"), ("e.rego", "package y\n\ng(a) := data.x.f(a)")],
        &json!({}),
    );
    assert!(found[0].contains("recursion: x.f -> y.g -> x.f"), "{found:?}");
}

#[test]
fn data_over_a_rule_and_a_rule_over_a_package_are_refused() {
    assert!(findings(&[], &json!({"atb": {"poa": {"decision": {"allow": true}}}}))[0].contains("overlap"));
    let found = findings(&[("d.rego", "package atb\n\npoa := {\"decision\": 2}")], &json!({}));
    assert!(found[0].contains("the rule has the path of package `atb.poa`"), "{found:?}");
}

#[test]
fn a_package_over_several_files_is_one_source_with_the_places_of_each() {
    let texts: Vec<_> = ENTRIES
        .iter()
        .copied()
        .chain([
            ("x/1.rego", "package p\n\nimport data.roles\n\na := roles.x"),
            ("x/2.rego", "package p\n\nimport data.roles\n\nb := a"),
        ])
        .collect();
    let modules = admit(&texts, json!({"roles": {"x": 1}}).as_object().unwrap()).unwrap();
    let merged = modules.policy().iter().find(|m| m.package() == "p").unwrap();
    assert_eq!(merged.source().matches("import").count(), 1);
    let line_of = |text: &str| merged.source().lines().position(|l| l == text).unwrap() + 1;
    assert_eq!(merged.origin(line_of("a := roles.x")), Some(("x/1.rego", 5)));
    assert_eq!(merged.origin(line_of("b := a")), Some(("x/2.rego", 5)));
    assert_eq!(merged.origin(1), None);
}

#[test]
fn what_a_policy_needs_is_inside_of_the_profile() {
    let text = r#"package p

import data.roles
import input.poa as claims

default allow := false

allow if {
	bound := claims.amount
	not over(bound)
	every item in input.items { item in {"a", "b"} }
	some role, _ in roles
	startswith(role, "x")
	count([y | some y in input.items; y != "c"]) > 0
} else if {
	input.break_glass == true
}

over(amount) if amount > 10

names contains name if some name, _ in roles

table[name] := 1 if some name in names
nested["a"] := table
"#;
    assert_eq!(findings(&[("d.rego", text)], &json!({"roles": {"x": 1}})), Vec::<String>::new());
}

#[test]
fn the_operands_of_a_negation_are_bound_before_it_on_the_same_line() {
    let text = "package p\n\nimport input.poa as claims\n\nq if not claims.amount > 1\n\nr if not claims.amount";
    let texts: Vec<_> = ENTRIES.iter().copied().chain([("d.rego", text)]).collect();
    let modules = admit(&texts, &Map::new()).unwrap();
    let merged = modules.policy().iter().find(|m| m.package() == "p").unwrap();
    let line_of = |text: &str| merged.source().lines().position(|l| l == text).unwrap() + 1;
    assert_eq!(
        merged.origin(line_of("q if { __negated_1 := claims.amount; not __negated_1 > 1 }")),
        Some(("d.rego", 5))
    );
    assert_eq!(merged.origin(line_of("r if not claims.amount")), Some(("d.rego", 7)));
}
