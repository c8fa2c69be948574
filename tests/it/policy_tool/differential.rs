//! Generated inputs with the answers that a real OPA gave, held against the engine that decides.
//!
//! The archive holds the policy and the data of that day too, so a change of the shipped policy changes nothing here.
//! `scripts/compare-opa --freeze` writes it; `scripts/compare-opa` asks an OPA about the policy as it is now.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use atb::domain::json;
use atb::domain::policy::bundle::BundleFiles;
use atb::domain::policy::engine::Evaluator;
use atb::domain::policy::{Bundle, PolicyFault, PolicyInput};
use serde_json::Value;

use super::root;

/// What an evaluating thread of the broker has.
const STACK: usize = 16 * 1024 * 1024;

fn archive() -> BTreeMap<String, Vec<u8>> {
    let packed = std::fs::File::open(root().join("tests/vectors/policy/differential.tar.gz")).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed));
    let read = |entry: std::io::Result<tar::Entry<'_, _>>| {
        let mut entry = entry.unwrap();
        let (name, mut content) = (entry.path().unwrap().display().to_string(), Vec::new());
        entry.read_to_end(&mut content).unwrap();
        (name, content)
    };
    archive.entries().unwrap().map(read).collect()
}

/// The shipped files with those of the world in their place.
fn bundle(files: &BTreeMap<String, Vec<u8>>, world: &str) -> Bundle {
    let below = |folder: String| {
        files.iter().filter_map(move |(name, content)| Some((name.strip_prefix(&folder)?.to_owned(), content.clone())))
    };
    let mut members: BTreeMap<String, Vec<u8>> = below("bundle/".to_owned()).collect();
    members.extend(below(format!("worlds/{world}/")));
    Bundle::parse(&BundleFiles::new(members).unwrap()).unwrap()
}

/// How many answers agreed, and by reason how many decisions there were.
fn hold(bundle: Bundle, world: &str, cases: &[Value]) -> BTreeMap<String, usize> {
    let mut evaluator = Evaluator::new(Arc::new(bundle)).unwrap().within(Duration::from_secs(20));
    evaluator.prepare().unwrap();
    let mut reasons = BTreeMap::new();
    for case in cases {
        let input = PolicyInput::from_recorded(case["input"].to_string());
        for (rule, digest) in case["answers"].as_object().unwrap() {
            let answer = match evaluator.query(rule, &input) {
                Ok(value) => vec![value],
                Err(PolicyFault::Undefined) => Vec::new(),
                Err(fault) => panic!("{world}: {rule}: {fault}: {}", case["input"]),
            };
            if let Some(reason) = answer.first().and_then(|answer| answer["reason"].as_str()) {
                *reasons.entry(reason.to_owned()).or_default() += 1;
            }
            let ours = json::digest(&Value::from(answer.clone())).to_string();
            assert_eq!(ours, digest.as_str().unwrap(), "{world}: {rule}\n{answer:?}\n{}", case["input"]);
        }
    }
    reasons
}

#[test]
fn the_engine_gives_the_answers_that_opa_gave() {
    let files = archive();
    let mut worlds: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in std::str::from_utf8(&files["cases.jsonl"]).unwrap().lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        worlds.entry(case["world"].as_str().unwrap().to_owned()).or_default().push(case);
    }
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let threads: Vec<_> = worlds
        .into_iter()
        .map(|(world, cases)| {
            let bundle = bundle(&files, &world);
            thread::Builder::new().stack_size(STACK).spawn(move || hold(bundle, &world, &cases)).unwrap()
        })
        .collect();
    for thread in threads {
        for (reason, count) in thread.join().unwrap() {
            *reasons.entry(reason).or_default() += count;
        }
    }
    // They are about the rules, not about inputs that no rule looks at.
    let decided: usize = reasons.values().sum();
    assert!(reasons.len() > 30 && reasons["ok"] > 100, "{reasons:?}");
    assert!(reasons["input_malformed"] * 4 < decided, "{reasons:?}");
}
