//! The configuration: any text is read or refused, and nothing is opened while it is.
#![no_main]

use std::path::Path;

use atb::config::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = Config::parse(Path::new("/nowhere/atb.toml"), text, &[]);
    // A line `ATB_SECTION__KEY=value` in front of the file overlays it.
    let Some((first, rest)) = text.split_once('\n') else { return };
    if let Some((name, value)) = first.split_once('=') {
        let _ = Config::parse(Path::new("/nowhere/atb.toml"), rest, &[(name.to_owned(), value.to_owned())]);
    }
});
