//! Questions to the ledger: what is written reads back as the same question.
#![no_main]

use atb::domain::ledger::query::Query;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = text.parse::<Query>();
});
