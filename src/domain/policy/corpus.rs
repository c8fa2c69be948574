//! The corpus (`tests/vectors/rego`): small cases of Rego with the result that a real OPA gave, run here through the
//! safe profile and the engine that decides. What is recorded as refused must be refused, by that check.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::bundle::samples::base;
use super::engine::Evaluator;
use super::profile::builtins::{Builtin, Support, TABLE, allowed};
use super::{Bundle, PolicyFault, PolicyInput};
use crate::domain::policy::bundle::BundleFiles;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// File name to text.
    modules: BTreeMap<String, String>,
    /// JSON.
    #[serde(default)]
    data: Option<String>,
    /// JSON.
    #[serde(default)]
    input: Option<String>,
    query: String,
    /// OPA's answer, as JSON; none: undefined or an error.
    #[serde(default)]
    result: Option<String>,
    #[serde(default)]
    undefined: bool,
    #[serde(default)]
    opa_error: Option<String>,
    /// The code of the finding with which the profile refuses it.
    #[serde(default)]
    refused: Option<String>,
    /// Why the engine answers with a fault, that is a denial, where OPA is undefined or has a value.
    #[serde(default)]
    differs: Option<String>,
    /// The value that the engine gives where it `differs` and is no fault, as JSON.
    #[serde(default)]
    ours: Option<String>,
    #[serde(default)]
    v0: bool,
}

/// What came of a case.
#[derive(Debug, PartialEq)]
enum Answer {
    Value(Value),
    Undefined,
    /// An error of the engine: a denial.
    Fault(String),
    /// The codes of the findings.
    Refused(Vec<String>),
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/rego");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: &std::path::PathBuf| -> Vec<Case> {
        let text = std::fs::read_to_string(path).unwrap();
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    files.iter().flat_map(read).collect()
}

/// The bundle of a case; `order` says which module comes first, second and so on by the order of file names.
fn bundle(case: &Case, order: &[usize]) -> Result<Bundle, Answer> {
    let mut files = base();
    for (place, (name, text)) in order.iter().zip(&case.modules) {
        files.push((format!("case/{place}-{name}"), text.clone().into_bytes()));
    }
    if let Some(data) = &case.data {
        let members: BTreeMap<String, Value> = serde_json::from_str(data).unwrap();
        for (name, value) in members {
            let content =
                if value.is_object() { value.to_string() } else { serde_json::json!({ "v": value }).to_string() };
            files.push((format!("{name}/data.json"), content.into_bytes()));
        }
    }
    if case.v0 {
        files
            .push((".manifest".to_owned(), br#"{"rego_version": 0, "file_rego_versions": {"/policy/*": 1}}"#.to_vec()));
    }
    Bundle::parse(&BundleFiles::new(files).unwrap())
        .map_err(|error| Answer::Refused(error.findings().iter().map(|f| format!("{} {f}", f.code)).collect()))
}

fn answer(case: &Case, order: &[usize]) -> Answer {
    let bundle = match bundle(case, order) {
        Ok(bundle) => bundle,
        Err(refused) => return refused,
    };
    let mut evaluator = match Evaluator::new(Arc::new(bundle)) {
        Ok(evaluator) => evaluator.within(std::time::Duration::from_secs(5)),
        Err(error) => return Answer::Fault(error.to_string()),
    };
    let input = case.input.clone().unwrap_or_else(|| "{}".to_owned());
    match evaluator.query(&case.query, &PolicyInput::from_recorded(input)) {
        Ok(value) => Answer::Value(value),
        Err(PolicyFault::Undefined) => Answer::Undefined,
        Err(fault) => Answer::Fault(format!("{fault:?}")),
    }
}

/// None: as recorded.
fn complaint(case: &Case, order: &[usize]) -> Option<String> {
    let got = answer(case, order);
    let fits = match (&case.refused, &got) {
        (Some(code), Answer::Refused(found)) => found.iter().any(|f| f.starts_with(code.as_str())),
        (Some(_), _) | (None, Answer::Refused(_)) => false,
        (None, Answer::Fault(_)) => case.differs.is_some() || case.opa_error.is_some(),
        (None, Answer::Value(value)) if case.differs.is_some() => {
            case.ours.as_ref().is_some_and(|ours| equal(value, &serde_json::from_str(ours).unwrap()))
        }
        _ if case.differs.is_some() => false,
        (None, Answer::Undefined) => case.undefined,
        (None, Answer::Value(value)) => {
            let expected = case.result.as_ref().map(|text| serde_json::from_str(text).unwrap());
            expected.is_some_and(|expected: Value| equal(value, &expected))
        }
    };
    (!fits).then(|| {
        let shown = match &got {
            Answer::Value(value) => value.to_string(),
            other => format!("{other:?}"),
        };
        let opa = case.result.clone().or_else(|| case.opa_error.clone()).unwrap_or_else(|| "undefined".to_owned());
        format!("{} (order {order:?})\n   ours: {shown}\n   opa:  {opa} {:?}", case.name, case.refused)
    })
}

/// As values: OPA writes `1e+21` where others write `1e21`.
fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => {
            let whole = |n: &serde_json::Number| n.as_i64().map(i128::from).or(n.as_u64().map(i128::from));
            match (whole(a), whole(b)) {
                (Some(a), Some(b)) => a == b,
                _ => a.as_f64() == b.as_f64(),
            }
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| equal(a, b)))
        }
        (a, b) => a == b,
    }
}

/// Every order of up to three modules, and both ends of more.
fn orders(modules: usize) -> Vec<Vec<usize>> {
    match modules {
        1 => vec![vec![0]],
        2 => vec![vec![0, 1], vec![1, 0]],
        3 => vec![vec![0, 1, 2], vec![0, 2, 1], vec![1, 0, 2], vec![1, 2, 0], vec![2, 0, 1], vec![2, 1, 0]],
        n => vec![(0..n).collect(), (0..n).rev().collect()],
    }
}

fn report(complaints: &[String]) {
    assert!(complaints.is_empty(), "{} cases differ:\n{}", complaints.len(), complaints.join("\n"));
}

#[test]
fn the_engine_answers_as_opa_did_in_every_order_of_files_and_on_several_threads() {
    let cases = cases();
    assert!(cases.len() >= 400, "{}", cases.len());
    let work: Vec<(&Case, Vec<usize>)> =
        cases.iter().flat_map(|case| orders(case.modules.len()).into_iter().map(move |order| (case, order))).collect();
    let complaints: Vec<String> = std::thread::scope(|scope| {
        let share = |offset: usize| {
            let work = &work;
            let run = move || -> Vec<String> {
                work.iter().skip(offset).step_by(4).filter_map(|(case, order)| complaint(case, order)).collect()
            };
            std::thread::Builder::new().stack_size(16 * 1024 * 1024).spawn_scoped(scope, run).unwrap()
        };
        let threads: Vec<_> = (0..4).map(share).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    report(&complaints);
}

fn file(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn the_document_lists_every_builtin_and_what_becomes_of_it() {
    let document = file("docs/rego-compatibility.md");
    let rows = document.lines().filter(|line| line.starts_with("| `") && line.matches('|').count() == 4);
    let builtins: Vec<&str> = rows.filter(|line| !line.starts_with("| `profile/")).collect();
    let expected: Vec<String> = TABLE
        .iter()
        .map(|Builtin { name, arguments, support }| match support {
            Support::Same => format!("| `{name}` | {arguments} | same |"),
            Support::Extension => format!("| `{name}` | {arguments} | extension |"),
            Support::Refused(instead) => format!("| `{name}` | {arguments} | refused: {instead} |"),
        })
        .collect();
    assert_eq!(builtins, expected);
}

#[test]
fn the_document_names_every_finding_of_the_profile_and_no_other() {
    let codes = |text: &str, open: char| -> BTreeSet<String> {
        let start = format!("{open}profile/");
        text.split(&start)
            .skip(1)
            .map(|part| part.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect())
            .collect()
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/domain/policy/profile");
    let sources: String = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "rs"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    assert_eq!(codes(&file("docs/rego-compatibility.md"), '`'), codes(&sources, '"'));
}

#[test]
fn everything_that_is_supported_has_a_case() {
    let cases: String = cases().iter().flat_map(|case| case.modules.values().cloned()).collect();
    let called = |name: &str| cases.contains(&format!("{name}("));
    let without: Vec<_> = allowed().iter().filter(|name| !called(name)).collect();
    assert_eq!(without, [&"time.now_ns"], "the clock is tested with the extensions");
}
