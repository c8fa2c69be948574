//! OPA's decision logs as history: `tests/vectors/opa_log/decisions.jsonl` is what a real OPA wrote (see make.sh there).

use std::io::Write as _;
use std::path::PathBuf;

use serde_json::json;

use super::{copy, policy, text};

fn vectors(name: &str) -> PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/opa_log").join(name)
}

#[test]
fn what_opa_decided_is_reproduced_and_what_it_masked_is_named() {
    let (log, bundle) = (vectors("decisions.jsonl"), vectors("bundle"));
    let written = std::fs::read(&log).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let packed = folder.path().join("log.gz");
    let mut gzip = flate2::write::GzEncoder::new(std::fs::File::create(&packed).unwrap(), flate2::Compression::fast());
    gzip.write_all(&written).unwrap();
    gzip.finish().unwrap();
    let array = folder.path().join("array.json");
    let events = String::from_utf8(written).unwrap().trim().replace('\n', ",");
    std::fs::write(&array, format!(" [{events}]\n")).unwrap();
    for log in [&log, &packed, &array] {
        let ran = policy(&["replay", "--opa-log", text(log), "--bundle", text(&bundle), "--format", "json"]);
        let report = ran.json();
        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(
            (&report["replay"]["decisions"], &report["replay"]["reproduced"]),
            (&json!(6), &json!(4)),
            "{ran:?}"
        );
        let masked = &report["replay"]["not_reproduced"]["input_masked"];
        assert_eq!(masked["count"], 2, "{ran:?}");
        let details: Vec<_> = masked["examples"].as_array().unwrap().iter().map(|e| e["detail"].clone()).collect();
        assert!(details.contains(&json!("OPA masked `/input/poa/note` in its log")), "{details:?}");
    }
}

#[test]
fn a_candidate_is_held_against_opas_history() {
    let folder = tempfile::tempdir().unwrap();
    let candidate = folder.path().join("candidate");
    copy(&vectors("bundle"), &candidate);
    let poa = candidate.join("policy/poa.rego");
    let raised = std::fs::read_to_string(&poa).unwrap().replace("<= 5000", "<= 6500");
    std::fs::write(&poa, raised).unwrap();
    let (log, base) = (vectors("decisions.jsonl"), vectors("bundle"));
    let ran = policy(&[
        "diff",
        "--base",
        text(&base),
        "--candidate",
        text(&candidate),
        "--opa-log",
        text(&log),
        "--format",
        "json",
    ]);
    let report = ran.json();
    assert_eq!((ran.code, &report["totals"]), (1, &json!({"deny_to_allow": 1, "tier_changed": 1})), "{ran:?}");
    let flip = &report["flips"][0];
    assert_eq!((&flip["from"], &flip["to"], &flip["act"]), (&json!("denied"), &json!("ok"), &json!("erp.order.read")));
}
