//! Bodies of our own APIs: requests for mandates, questions about calls, AuthZEN's evaluations.
#![no_main]

use atb::domain::json;
use atb::service::broker::{DecideRequest, read_evaluations};
use atb::service::issuer::IssueRequest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = json::parse_as::<IssueRequest>(bytes);
    let _ = json::parse_as::<DecideRequest>(bytes);
    let _ = read_evaluations(bytes);
});
