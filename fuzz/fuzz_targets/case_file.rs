//! A case as an auditor gets it: a ZIP of anybody.
#![no_main]

use atb::adapters::case_file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = case_file::read(bytes);
});
