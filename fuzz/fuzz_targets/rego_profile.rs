//! The safe profile of Rego: any text is admitted or refused, in bounded time and without a panic.
#![no_main]

use atb::domain::policy::profile::{RegoText, RegoVersion, admit};
use libfuzzer_sys::fuzz_target;
use serde_json::Map;

fuzz_target!(|text: &str| {
    for version in [RegoVersion::V1, RegoVersion::V0] {
        let _ = admit(&[RegoText { path: "policy/fuzz.rego", text, version }], &Map::new());
    }
});
