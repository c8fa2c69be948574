//! Envoy's description of a request (ext_authz v3), as protobuf: a request with one reading, or a refusal.
#![no_main]

use atb::adapters::http::ext_authz::whole;
use envoy_types::pb::envoy::service::auth::v3::CheckRequest;
use libfuzzer_sys::fuzz_target;
use prost::Message as _;

fuzz_target!(|bytes: &[u8]| {
    let Ok(request) = CheckRequest::decode(bytes) else { return };
    let http = request.attributes.and_then(|attributes| attributes.request).and_then(|request| request.http);
    let Some(http) = http else { return };
    let (method, path) = (http.method.clone(), http.path.clone());
    if let Ok((parts, _)) = whole(http) {
        assert_eq!(parts.method.as_str(), method);
        assert!(parts.uri.path().is_empty() || path.contains(parts.uri.path()));
    }
});
