//! Strict JSON: what is accepted has one canonical form, and reads back as the same value.
#![no_main]

use atb::domain::json::{canonical, parse, parse_document};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = parse_document(bytes, 1_000);
    let Ok(value) = parse(bytes) else { return };
    let written = canonical(&value);
    let again = parse(&written).expect("canonical JSON is strict JSON");
    assert_eq!(canonical(&again), written, "canonicalisation is idempotent");
});
