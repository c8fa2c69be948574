//! Documents with keys of others: SPIFFE bundles, JWT authorities, JWK sets of providers and of our issuer, release keys.
#![no_main]

use atb::domain::jose::MandateKeys;
use atb::domain::json::{self, Object};
use atb::domain::jwt::JwtKeys;
use atb::domain::policy::bundle::TrustedKey;
use atb::domain::spiffe::{BundleDocument, JwtBundle, TrustDomain};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let domain: TrustDomain = "atb.dev".parse().expect("a trust domain");
    if let Ok(document) = BundleDocument::parse(domain.clone(), bytes) {
        assert!(document.x509.is_some() || document.jwt.count() > 0, "an empty bundle is none");
        let again = BundleDocument::parse(domain.clone(), bytes).expect("the same text");
        assert_eq!(document.keys_digest, again.keys_digest);
    }
    let _ = JwtBundle::parse(domain.clone(), bytes);
    let _ = JwtBundle::of_keys(domain, [bytes]);
    let _ = TrustedKey::from_spki_der(bytes);
    let Ok(value) = json::parse(bytes) else { return };
    if let Ok(keys) = JwtKeys::from_set(&value, |usage| usage.is_none_or(|usage| usage == "sig")) {
        assert!(keys.count() > 0);
    }
    if let Ok(set) = json::parse_as::<Object>(bytes)
        && let Ok(keys) = MandateKeys::from_jwks(&set)
    {
        let ours = json::canonical(&keys.to_jwks());
        assert!(json::parse_as::<Object>(&ours).is_ok_and(|ours| MandateKeys::from_jwks(&ours).is_ok()));
    }
});
