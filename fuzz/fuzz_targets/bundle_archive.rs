//! A bundle as it comes from outside: gzip, tar, files.
#![no_main]

use atb::adapters::bundle_archive;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = bundle_archive::read(bytes);
});
