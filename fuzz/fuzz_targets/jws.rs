//! The JWS documents: mandates, statements, delegations, before any key is looked at.
#![no_main]

use atb::domain::approval::{UnverifiedDelegation, UnverifiedStatement};
use atb::domain::mandate::UnverifiedMandate;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = UnverifiedMandate::parse(text);
    let _ = UnverifiedStatement::parse(text);
    let _ = UnverifiedDelegation::parse(text);
});
