//! `atb demo`, as a newcomer runs it first.

use std::collections::BTreeSet;

use serde_json::Value;

use super::process::{Ran, atb, entries};

#[test]
fn the_demo_comes_out_as_it_says_and_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let ran = Ran::of(atb(["demo", "--once", "--format", "json"]).env("TMPDIR", temporary.path())).ok();
    let steps: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert!(steps.len() >= 15, "{steps:#?}");
    for step in &steps {
        let members: BTreeSet<_> = step.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["step", "expect", "got", "ok", "ms"].into());
        assert_eq!(step["ok"], true, "{step}");
        assert!(step["ms"].is_u64() && !step["step"].as_str().unwrap().is_empty(), "{step}");
    }
    assert_eq!(entries(temporary.path()), [""; 0]);
}
