//! `crypto.x509.parse_and_verify_certificates`: the first certificate is the root, the last one the leaf, which must be
//! good for a TLS server, as with OPA; the time is `input.time`, and not the clock.
//!
//! webpki builds the path. It looks neither at the anchor's validity and extensions nor at key usages, so that this is
//! done here: a path that Go refuses must not be one here. The other way round there are paths that Go takes and webpki
//! does not (a leaf that may sign certificates, RSA below 2,048 bits): `[false, []]`.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::aws_lc_rs as algorithms;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::x509::X509Version;

use super::x509::{is_handled, parse};

const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ED25519,
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
];

/// The path from the leaf to the root, at a time in nanoseconds.
pub(super) fn verified(ders: &[Vec<u8>], now: i64) -> Option<Vec<Vec<u8>>> {
    let seconds = u64::try_from(now).ok()? / 1_000_000_000;
    let ([root, between @ ..], Some(leaf)) = (ders.split_last()?.1, ders.last()) else { return None };
    let valid = parse(root).ok().filter(|root| may_sign(root) && is_valid(root, seconds) && nothing_unknown(root))?;
    let between: Vec<CertificateDer<'_>> = between
        .iter()
        .filter(|der| parse(der).is_ok_and(|certificate| may_sign(&certificate)))
        .map(|der| CertificateDer::from(der.as_slice()))
        .collect();
    let (root_der, leaf_der) = (CertificateDer::from(valid.as_raw()), CertificateDer::from(leaf.as_slice()));
    let anchors = [anchor_from_trusted_cert(&root_der).ok()?];
    let certificate = EndEntityCert::try_from(&leaf_der).ok()?;
    let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let path =
        certificate.verify_for_usage(ALGORITHMS, &anchors, &between, at, KeyUsage::server_auth(), None, None).ok()?;
    let steps: Vec<_> = path.intermediate_certificates().map(|step| step.der().to_vec()).collect();
    if steps.len() > longest(&valid) {
        return None;
    }
    Some(std::iter::once(leaf.clone()).chain(steps).chain([root.clone()]).collect())
}

/// RFC 5280 §4.2.1.9 and §4.2.1.3: an authority, which may sign certificates if it says what it may do.
fn may_sign(certificate: &X509Certificate<'_>) -> bool {
    let authority = certificate.basic_constraints().ok().flatten().is_some_and(|read| read.value.ca);
    let usage = certificate.key_usage();
    certificate.version() == X509Version::V3
        && authority
        && usage.is_ok_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign()))
}

fn is_valid(certificate: &X509Certificate<'_>, seconds: u64) -> bool {
    let validity = certificate.validity();
    i64::try_from(seconds)
        .is_ok_and(|now| validity.not_before.timestamp() <= now && now <= validity.not_after.timestamp())
}

/// Name constraints of the anchor are webpki's to check.
fn nothing_unknown(certificate: &X509Certificate<'_>) -> bool {
    let constraints = |parsed: &ParsedExtension<'_>| matches!(parsed, ParsedExtension::NameConstraints(_));
    certificate.extensions().iter().all(|one| is_handled(one) || constraints(one.parsed_extension()))
}

/// How many authorities may stand between the root and the leaf.
fn longest(root: &X509Certificate<'_>) -> usize {
    let constraint = root.basic_constraints().ok().flatten().and_then(|read| read.value.path_len_constraint);
    constraint.map_or(usize::MAX, |length| usize::try_from(length).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der(name: &str) -> Vec<u8> {
        let path = format!("{}/scripts/rego_corpus/certificates/{name}.pem", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read(path).unwrap();
        x509_parser::pem::Pem::iter_from_buffer(&text).next().unwrap().unwrap().contents
    }

    /// 2020-01-02T03:04:05Z to 2119-12-31T23:59:59Z.
    #[test]
    fn a_path_holds_from_the_first_to_the_last_second_of_its_certificates() {
        const NOT_BEFORE: i64 = 1_577_934_245;
        const NOT_AFTER: i64 = 4_733_510_399;
        let path = [der("ca"), der("int"), der("deep")];
        let at = |seconds: i64| verified(&path, seconds * 1_000_000_000).map(|path| path.len());
        assert_eq!(at(NOT_BEFORE), Some(3));
        assert_eq!(at(NOT_BEFORE - 1), None);
        assert_eq!(at(NOT_AFTER), Some(3));
        assert_eq!(at(NOT_AFTER + 1), None);
        assert_eq!(verified(&path, -1), None);
    }

    #[test]
    fn certificates_are_bounded() {
        let cases = [("%".repeat(262_145), true), ("%".repeat(262_144), false)];
        for (text, bound) in cases {
            let answer = super::super::x509::ders(&text, "CERTIFICATE");
            assert_eq!(matches!(answer, Err(super::super::Stop::Bound(_))), bound);
        }
        let many = |n: usize| <base64ct::Base64 as base64ct::Encoding>::encode_string(&der("ed").repeat(n));
        let count = |n: usize| super::super::x509::ders(&many(n), "CERTIFICATE").map(|ders| ders.len());
        assert_eq!(count(16), Ok(16));
        assert!(matches!(count(17), Err(super::super::Stop::Bound(_))));
    }

    #[test]
    fn a_root_allows_no_more_authorities_than_it_says() {
        assert_eq!(longest(&parse(&der("ca")).unwrap()), 1);
        assert_eq!(longest(&parse(&der("int")).unwrap()), 0);
        assert_eq!(longest(&parse(&der("leaf")).unwrap()), usize::MAX);
    }
}
