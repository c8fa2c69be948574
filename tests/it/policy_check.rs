//! `atb policy check`: one defect a file, each found by its rule at its place; the formats that others read.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use atb::adapters::bundle_dir;
use atb::domain::policy::bundle::BundleFiles;
use atb::service::toolchain::check::{self, Finding, Options, RuleId, Severity};
use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn base() -> PathBuf {
    root().join("tests/vectors/bundle/base")
}

/// The base bundle and more files; one that it has is replaced.
fn base_and(more: &[(&str, &str)]) -> BundleFiles {
    let base = bundle_dir::read(&base()).unwrap();
    let kept = base.iter().filter(|(path, _)| !more.iter().any(|(new, _)| new == path));
    let kept: Vec<_> = kept.map(|(path, content)| (path.to_owned(), content.to_vec())).collect();
    let new = more.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
    BundleFiles::new(kept.into_iter().chain(new)).unwrap()
}

fn found(files: &BundleFiles) -> Vec<Finding> {
    check::check(files, Options::default())
}

fn atb(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_atb")).current_dir(root()).args(args).output().unwrap()
}

/// What every small file of one defect has, beside it.
const AROUND: [RuleId; 3] = [RuleId::MissingMetadata, RuleId::UnreachableRule, RuleId::UntitledRule];

#[test]
fn each_defect_is_found_by_its_rule_at_its_place_and_by_no_other() {
    const FILE: &str = "policy/case.rego";
    let mut seen = 0;
    let mut wrong = Vec::new();
    for folder in fs::read_dir(root().join("tests/vectors/policy/check")).unwrap() {
        let folder = folder.unwrap().path();
        let rule = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let id = *RuleId::ALL.iter().find(|id| id.as_str() == rule).unwrap_or_else(|| panic!("no rule `{rule}`"));
        for case in fs::read_dir(&folder).unwrap() {
            let case = case.unwrap().path();
            let text = fs::read_to_string(&case).unwrap();
            let place = text.lines().last().unwrap().strip_prefix("# expect: ").unwrap().to_owned();
            let all = found(&base_and(&[(FILE, &text)]));
            let own = all.iter().filter(|f| f.file == FILE && (f.rule == id || !AROUND.contains(&f.rule)));
            let own: Vec<_> = own.filter(|f| f.rule == id || f.severity != Severity::Note).collect();
            let here = |f: &&&Finding| f.rule == id && format!("{}:{}", f.line, f.column) == place;
            let exact = own.iter().filter(here).count() == 1;
            if !exact || (own.len() > 1 && id != RuleId::MissingMetadata) {
                wrong.push(format!("{} expects {place}: {own:#?}", case.display()));
            }
            seen += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen >= 40, "{seen}");
}

#[test]
fn every_rule_has_a_file_that_shows_it() {
    let folders: BTreeSet<String> = fs::read_dir(root().join("tests/vectors/policy/check"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned())
        .collect();
    // Shown by tests of their own below, or a note on the base bundle.
    let elsewhere =
        ["rego-v0", "bundle-data", "unmarked-entrypoint", "untitled-rule", "unbounded-parameter", "loose-pattern"];
    for rule in RuleId::ALL {
        assert!(folders.contains(rule.as_str()) || elsewhere.contains(&rule.as_str()), "{}", rule.as_str());
    }
    let titled = "# METADATA\n# title: A\n# description: B\npackage atb.approval\n\n# METADATA\n# title: C\n# description: D\nassessment := helper\n\nhelper := {}\n";
    let unmarked = found(&base_and(&[("policy/approval.rego", titled)]));
    assert!(unmarked.iter().any(|f| f.rule == RuleId::UnmarkedEntrypoint), "{unmarked:#?}");
    assert!(unmarked.iter().any(|f| f.rule == RuleId::UntitledRule && f.line == 11), "{unmarked:#?}");
}

#[test]
fn data_that_do_not_load_are_found_beside_what_is_wrong_with_the_rego() {
    let all = found(&base_and(&[
        ("agents/data.json", "{\"spiffe://atb.dev/agent/a\": {\"operator\": 5}}"),
        ("policy/case.rego", "package x\n\na if any([input.time > 0])\n"),
    ]));
    assert!(all.iter().any(|f| f.rule == RuleId::BundleData && f.file == "agents/data.json"), "{all:#?}");
    assert!(all.iter().any(|f| f.rule == RuleId::DeprecatedBuiltin && f.line == 3), "{all:#?}");
    let broken = found(&base_and(&[("agents/data.json", "{\n  \"a\": 1,\n")]));
    assert!(broken.iter().any(|f| f.rule == RuleId::BundleData && f.file == "agents/data.json"), "{broken:#?}");
}

#[test]
fn what_an_act_leaves_open_is_found_at_its_parameter() {
    let act = |properties: &str, more: &str| {
        let text = format!(
            "{{\n\"erp.order.read\": {{\"title\": \"t\", \"view\": \"v\", \"tier\": \"low\", \"data_class\": \"internal\",\n\
             \"reversibility\": \"read_only\", \"bind_request\": false, \"limits\": {{}}{more},\n\
             \"parameters\": {{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {{\n{properties}}}}}}}}}"
        );
        let all = found(&base_and(&[("catalogue/data.json", &text), ("low_risk_allowlist/data.json", "{}")]));
        let of_act = all.into_iter().filter(|f| f.file == "catalogue/data.json");
        of_act.map(|f| (f.rule.as_str(), f.line)).collect::<Vec<_>>()
    };
    let sound = r#""level": {"type": "string", "enum": ["a", "b"]}"#;
    assert_eq!(act(sound, r#", "privileged": {"level": ["a"]}"#), []);
    assert_eq!(act(sound, r#", "privileged": {"level": ["c"]}"#), [("impossible-value", 3)]);
    assert_eq!(act(sound, r#", "example": {"level": "c"}"#), [("bundle-data", 4)]);
    assert_eq!(act(r#""n": {"type": "integer"}"#, ""), [("unbounded-parameter", 5)]);
    assert_eq!(
        act(r#""n": {"type": "array", "maxItems": 3, "items": {"type": "string"}}"#, ""),
        [("unbounded-parameter", 5)]
    );
    for loose in ["^a", "^(a+)+$"] {
        let text = format!(r#""n": {{"type": "string", "maxLength": 9, "pattern": "{loose}"}}"#);
        assert_eq!(act(&text, ""), [("loose-pattern", 5)], "{loose}");
    }
}

#[test]
fn several_files_that_do_not_parse_are_all_reported_with_what_the_others_have() {
    let all = found(&base_and(&[
        ("policy/a.rego", "package x\n\na if {\n"),
        ("policy/b.rego", "package x\n\nb := ]\n"),
        ("policy/c.rego", "package x\n\nc := f(a) if rand.intn(\"x\", 6) > 0\n"),
    ]));
    for (file, rule) in [
        ("policy/a.rego", RuleId::SyntaxError),
        ("policy/b.rego", RuleId::SyntaxError),
        ("policy/c.rego", RuleId::NondeterministicBuiltin),
    ] {
        assert!(all.iter().any(|f| f.file == file && f.rule == rule), "{file} {all:#?}");
    }
    // `f` and `a` may be rules of the files that do not parse.
    assert!(!all.iter().any(|f| f.message.contains("`f`")), "{all:#?}");
}

#[test]
fn a_finding_says_what_to_use_instead() {
    let all = found(&base_and(&[("policy/case.rego", "package x\n\na if opa.runtime() != {}\n\nb := uper(\"a\")\n")]));
    let fix = |rule| all.iter().find(|f: &&Finding| f.rule == rule).unwrap().fix.clone();
    assert!(!fix(RuleId::NondeterministicBuiltin).is_empty(), "{all:#?}");
    assert!(fix(RuleId::UnknownBuiltin).contains("`upper`"), "{all:#?}");
}

#[test]
fn the_shipped_policy_has_no_error_and_no_warning() {
    let files = bundle_dir::read(&root().join("opa")).unwrap();
    let bad: Vec<_> = found(&files).into_iter().filter(|f| f.severity != Severity::Note).collect();
    assert!(bad.is_empty(), "{bad:#?}");
}

/// A folder with the base bundle and one defective file.
fn defective() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = "package x\n\nimport data.atb.issue\n\n# METADATA\n# title: A\na if rand.intn(\"x\", 6) > 0\n";
    for (path, content) in base_and(&[("policy/case.rego", text)]).iter() {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

fn printed(format: &str) -> (i32, String) {
    let folder = defective();
    let path = folder.path().to_str().unwrap();
    let output = atb(&["policy", "check", "--no-notes", "--format", format, path]);
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code().unwrap(), text.replace(path, "BUNDLE").replace(env!("CARGO_PKG_VERSION"), "VERSION"))
}

/// Compares with `tests/golden/policy_check.<name>`; `ATB_BLESS=1` writes it.
fn golden(name: &str, text: &str) {
    let path = root().join("tests/golden").join(name);
    if std::env::var_os("ATB_BLESS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{name}");
}

#[test]
fn each_format_is_as_others_read_it() {
    for (format, name) in [
        ("text", "policy_check.txt"),
        ("json", "policy_check.json"),
        ("sarif", "policy_check.sarif"),
        ("github", "policy_check.github.txt"),
    ] {
        let (code, text) = printed(format);
        assert_eq!(code, 1, "{format} {text}");
        golden(name, &text);
    }
}

#[test]
fn sarif_fits_its_schema_and_each_result_names_its_rule() {
    let (_, text) = printed("sarif");
    let log: Value = serde_json::from_str(&text).unwrap();
    let schema = fs::read(root().join("tests/vectors/policy/sarif-2.1.0-part.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&serde_json::from_slice(&schema).unwrap()).unwrap();
    let faults: Vec<_> = validator.iter_errors(&log).map(|e| format!("{e} at {}", e.instance_path())).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    let run = &log["runs"][0];
    for result in run["results"].as_array().unwrap() {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
    }
}

#[test]
fn exit_codes_tell_errors_warnings_and_what_cannot_be_read_apart() {
    assert_eq!(atb(&["policy", "check", "/nonexistent"]).status.code(), Some(2));
    assert_eq!(atb(&["policy", "check", "--strict", "opa"]).status.code(), Some(0));
    let folder = tempfile::tempdir().unwrap();
    let unused = "package x\n\nimport data.atb.issue\n\na if input.time > 0\n";
    let known = fs::read_to_string(base().join("policy/poa.rego")).unwrap();
    let known = known.lines().filter(|line| !line.contains("amount")).collect::<Vec<_>>().join("\n");
    for (path, content) in base_and(&[("policy/case.rego", unused), ("policy/poa.rego", &known)]).iter() {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let path = folder.path().to_str().unwrap();
    assert_eq!(atb(&["policy", "check", path]).status.code(), Some(0));
    assert_eq!(atb(&["policy", "check", "--strict", path]).status.code(), Some(1));
}

#[test]
fn what_is_rego_v0_is_noted_with_its_place_and_how_v1_says_it() {
    let text = "package old\n\ndeny[msg] {\n\txs := [1, 2]; xs[i] > 1\n\tany([true]); msg = \"m\"\n}\n\nok { not deny[\"m\"]; x > 1 }\n";
    let manifest = "{\"file_rego_versions\": {\"/policy/old.rego\": 0}}";
    let all = found(&base_and(&[("policy/old.rego", text), (".manifest", manifest)]));
    let own: Vec<_> = all.iter().filter(|f| f.file == "policy/old.rego" && !AROUND.contains(&f.rule)).collect();
    let shown = |f: &&Finding| format!("{}:{} {} {} {}", f.line, f.column, f.rule.as_str(), f.message, f.fix);
    let shown: Vec<_> = own.iter().map(shown).collect();
    assert_eq!(
        shown,
        [
            "3:1 rego-v0 Rego v0: `deny[msg] {` in Rego v1: `deny contains msg if {`",
            "5:2 rego-v0 `any` is withdrawn in OPA 1 in Rego v1: `true in xs`",
            "8:1 rego-v0 Rego v0: `ok { not deny[\"m\"]; x > 1 }` in Rego v1: `ok if { not deny[\"m\"]; x > 1 }`",
            "8:21 outside-profile nothing gives the variable `x` a value bind it in a statement: `x := …`, `xs[x]` or `some x in xs`",
        ]
    );
}
