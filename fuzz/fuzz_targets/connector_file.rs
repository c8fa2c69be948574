//! Connector files as TOML (first byte even) and as YAML: read or refused with a place inside the file.
#![no_main]

use std::path::Path;

use atb::adapters::connectors::parse_file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for name in ["/nowhere/fuzz.toml", "/nowhere/fuzz.yaml"] {
        match parse_file(Path::new(name), text, true) {
            Ok((connector, place)) => assert!(!connector.routes.is_empty() && place.line <= text.lines().count()),
            Err(error) => {
                let place = error.place();
                assert!(place.is_none_or(|place| (1..=text.lines().count() + 1).contains(&place.line)), "{error}");
            }
        }
    }
});
