//! A bundle as the probe reads it: files, manifest, tables.
#![no_main]

use atb::domain::policy::bundle::{BundleFiles, Manifest};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(files) = BundleFiles::from_wire(bytes) {
        assert_eq!(BundleFiles::from_wire(&files.to_wire()).expect("what we wrote").digest(), files.digest());
        let _ = Manifest::of(&files);
    }
    if let Ok(files) = BundleFiles::new([(".manifest".to_owned(), bytes.to_vec())]) {
        let _ = Manifest::of(&files);
    }
});
