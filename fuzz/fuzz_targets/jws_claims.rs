//! Headers and claims of every signed document, past its envelope: `header\nclaims` as JSON, which is base64url outside.
#![no_main]

use atb::domain::approval::{UnverifiedDelegation, UnverifiedSignOff, UnverifiedStatement};
use atb::domain::mandate::UnverifiedMandate;
use atb::domain::platform::UnverifiedPlatformToken;
use atb::domain::spiffe::UnverifiedJwtSvid;
use base64ct::{Base64UrlUnpadded, Encoding as _};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (header, claims) = (bytes.get(..at).unwrap_or_default(), bytes.get(at + 1..).unwrap_or_default());
    let part = Base64UrlUnpadded::encode_string;
    let jws = format!("{}.{}.{}", part(header), part(claims), part(&[0; 64]));
    let _ = UnverifiedMandate::parse(&jws);
    let _ = UnverifiedStatement::parse(&jws);
    let _ = UnverifiedDelegation::parse(&jws);
    let _ = UnverifiedSignOff::parse(&jws);
    if let Ok(svid) = UnverifiedJwtSvid::parse(&jws) {
        assert!(svid.claimed_id().as_str().starts_with("spiffe://"));
    }
    if let Ok(token) = UnverifiedPlatformToken::parse(&jws) {
        let _ = token.claimed_kid();
    }
});
