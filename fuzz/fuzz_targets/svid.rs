//! Chains of certificates, each with its length in front, and PEM bundles.
#![no_main]

use atb::domain::spiffe::{TrustBundle, UnverifiedSvid};
use libfuzzer_sys::fuzz_target;
use rustls_pki_types::CertificateDer;

fuzz_target!(|bytes: &[u8]| {
    let _ = TrustBundle::parse_pem("atb.dev".parse().expect("a trust domain"), bytes);
    let _ = UnverifiedSvid::parse(&[CertificateDer::from(bytes)]);
    let chain: Vec<_> = chain(bytes).collect();
    let _ = UnverifiedSvid::parse(&chain);
});

/// Certificates with two bytes of length in front of each.
fn chain(mut rest: &[u8]) -> impl Iterator<Item = CertificateDer<'_>> {
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (der, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        rest = after;
        Some(CertificateDer::from(der))
    })
}
