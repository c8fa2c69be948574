//! SPIFFE IDs, trust domains and patterns: what is read is written the same.
#![no_main]

use atb::domain::spiffe::{SpiffeId, SpiffePattern, TrustDomain};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(id) = text.parse::<SpiffeId>() {
        assert_eq!(id.as_str(), text);
        assert!(text.len() <= 2048 && !text.contains('%'));
        assert!(!text.split('/').skip(3).any(|segment| segment == "." || segment == ".."));
        assert!(text.parse::<SpiffePattern>().is_ok_and(|pattern| pattern.matches(&id)));
    }
    if let Ok(domain) = text.parse::<TrustDomain>() {
        assert_eq!(domain.as_str(), text);
        assert!(!text.bytes().any(|b| b.is_ascii_uppercase()));
    }
});
