//! Templates of legal grounds, as lawyers write them.
#![no_main]

use atb::domain::json::parse;
use atb::domain::leg::LegTemplate;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(source) = parse(bytes) else { return };
    let folder = "gdpr-art-6".parse().expect("an id");
    if let Ok(template) = LegTemplate::parse(&folder, &source) {
        assert_eq!(template.source(), &source);
    }
});
