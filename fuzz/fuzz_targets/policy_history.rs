//! Decisions of the past: our own entries and exports, OPA's decision logs; and what was agreed to beforehand.
#![no_main]

use atb::domain::json;
use atb::domain::ledger::Entry;
use atb::service::toolchain::mutate::accept;
use atb::service::toolchain::replay::{Accept, Past, of_opa_event};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = of_opa_event(text);
    let _ = Past::of_history_line(text);
    let _ = Past::of_entry(text.as_bytes(), None);
    let _ = Accept::parse("accept.yaml", text);
    let _ = accept::read(text);
    if let Ok(entry) = json::parse_as::<Entry>(text.as_bytes()) {
        let written = entry.to_bytes();
        assert_eq!(json::parse_as::<Entry>(&written).expect("what we wrote").to_bytes(), written);
    }
});
